/* TLS over a socket, if OpenSSL was there at build time. Certificates are not checked. */
#ifndef LOAD_TLS_H
#define LOAD_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct tls;

bool tls_is_here(void);

/* One for a connected socket; ends the process when there is no memory. */
struct tls *tls_open(int fd, const char *host);

/* 1: done, 0: to be called again, -1: it failed. `wants_write` says what to wait for. */
int tls_shake(struct tls *tls, bool *wants_write);

/* As recv and send do: -1 and EAGAIN when it must wait. */
ssize_t tls_receive(struct tls *tls, char *to, size_t room);
ssize_t tls_send(struct tls *tls, const char *from, size_t length);

void tls_close(struct tls *tls);

#endif
