#include "tls.h"

#ifdef WITH_TLS

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>

struct tls {
    SSL *ssl;
};

static SSL_CTX *context;

bool tls_is_here(void)
{
    return true;
}

static void begin(void)
{
    context = SSL_CTX_new(TLS_client_method());
    if (context == NULL) {
        ERR_print_errors_fp(stderr);
        exit(1);
    }
    SSL_CTX_set_verify(context, SSL_VERIFY_NONE, NULL);
    SSL_CTX_set_mode(context,
        SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
    /* a server that goes without close_notify has gone all the same */
    SSL_CTX_set_options(context, SSL_OP_IGNORE_UNEXPECTED_EOF);
}

struct tls *tls_open(int fd, const char *host)
{
    if (context == NULL)
        begin();
    struct tls *tls = malloc(sizeof *tls);
    SSL *ssl = SSL_new(context);
    if (tls == NULL || ssl == NULL || SSL_set_fd(ssl, fd) != 1) {
        ERR_print_errors_fp(stderr);
        exit(1);
    }
    SSL_set_tlsext_host_name(ssl, host);
    SSL_set_connect_state(ssl);
    tls->ssl = ssl;
    return tls;
}

int tls_shake(struct tls *tls, bool *wants_write)
{
    ERR_clear_error();
    int done = SSL_do_handshake(tls->ssl);
    if (done == 1)
        return 1;
    int error = SSL_get_error(tls->ssl, done);
    *wants_write = error == SSL_ERROR_WANT_WRITE;
    return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? 0 : -1;
}

/* What recv and send would say of it. */
static ssize_t as_of_socket(struct tls *tls, int done)
{
    switch (SSL_get_error(tls->ssl, done)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        errno = EAGAIN;
        return -1;
    case SSL_ERROR_ZERO_RETURN:
        return 0;
    default:
        if (errno == 0 || errno == EAGAIN)
            errno = EPROTO;
        return -1;
    }
}

ssize_t tls_receive(struct tls *tls, char *to, size_t room)
{
    size_t all = 0, got;
    /* a read is one record at most, and what is left in the library wakes no epoll */
    while (all < room) {
        ERR_clear_error();
        errno = 0;
        int done = SSL_read_ex(tls->ssl, to + all, room - all, &got);
        if (done != 1)
            return all > 0 ? (ssize_t)all : as_of_socket(tls, done);
        all += got;
    }
    return (ssize_t)all;
}

ssize_t tls_send(struct tls *tls, const char *from, size_t length)
{
    size_t sent;
    ERR_clear_error();
    errno = 0;
    int done = SSL_write_ex(tls->ssl, from, length, &sent);
    return done == 1 ? (ssize_t)sent : as_of_socket(tls, done);
}

void tls_close(struct tls *tls)
{
    SSL_free(tls->ssl);
    free(tls);
}

#else

bool tls_is_here(void)
{
    return false;
}

struct tls *tls_open(int fd, const char *host)
{
    (void)fd;
    (void)host;
    return NULL;
}

int tls_shake(struct tls *tls, bool *wants_write)
{
    (void)tls;
    (void)wants_write;
    return -1;
}

ssize_t tls_receive(struct tls *tls, char *to, size_t room)
{
    (void)tls;
    (void)to;
    (void)room;
    return -1;
}

ssize_t tls_send(struct tls *tls, const char *from, size_t length)
{
    (void)tls;
    (void)from;
    (void)length;
    return -1;
}

void tls_close(struct tls *tls)
{
    (void)tls;
}

#endif
