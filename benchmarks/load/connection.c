#include "connection.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "crowd.h"
#include "inflater.h"
#include "memory.h"
#include "tls.h"
#include "websocket.h"

/* From one address to one port there are some 28 000 ports; beyond these the next loopback address. */
#define FROM_ONE_ADDRESS 20000u

static void watch(struct load *load, struct connection *c, bool wants_write)
{
    if (wants_write == c->wants_write)
        return;
    c->wants_write = wants_write;
    struct epoll_event event = {.events = EPOLLIN | (wants_write ? EPOLLOUT : 0), .data.u32 = c->index};
    epoll_ctl(load->epoll, EPOLL_CTL_MOD, c->fd, &event);
}

static bool bind_source(const struct connection *c, const struct sockaddr_storage *to)
{
    const struct sockaddr_in *peer = (const struct sockaddr_in *)to;
    if (to->ss_family != AF_INET || ntohl(peer->sin_addr.s_addr) >> 24 != 127)
        return true;
    int on = 1; /* the port is then chosen at connect, which needs only the pair to be free */
    setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    struct sockaddr_in from = {.sin_family = AF_INET,
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK + c->index / FROM_ONE_ADDRESS)};
    return bind(c->fd, (struct sockaddr *)&from, sizeof from) == 0;
}

bool connection_dial(struct load *load, struct connection *c)
{
    int on = 1;
    c->fd = socket(load->address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0) {
        load_fail(load, "no socket for connection %u: %s", c->index, strerror(errno));
        return false;
    }
    c->stage = DIALED;
    c->dialed_ns = clock_ns();
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (c->receive_buffer > 0)
        setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &c->receive_buffer, sizeof c->receive_buffer);
    if (!bind_source(c, &load->address)
        || (connect(c->fd, (struct sockaddr *)&load->address, load->address_length) != 0
            && errno != EINPROGRESS)) {
        load_fail(load, "connection %u: %s", c->index, strerror(errno));
        load->errors.refused++;
        connection_drop(load, c);
        return false;
    }
    c->wants_write = true;
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT, .data.u32 = c->index};
    epoll_ctl(load->epoll, EPOLL_CTL_ADD, c->fd, &event);
    return true;
}

static void waiting_put(struct waiting *w, const char *bytes, size_t length)
{
    if (w->from > 0 && w->from + w->length + length > w->room) {
        memmove(w->bytes, w->bytes + w->from, w->length);
        w->from = 0;
    }
    if (w->from + w->length + length > w->room) {
        w->room = (uint32_t)(w->from + w->length + length + 256);
        w->bytes = need_more(w->bytes, w->room);
    }
    memcpy(w->bytes + w->from + w->length, bytes, length);
    w->length += (uint32_t)length;
}

void connection_drop(struct load *load, struct connection *c)
{
    if (c->stage == ABSENT || c->stage == GONE)
        return;
    if (c->stage < ENTERING)
        load->under_way--;
    c->stage = GONE;
    /* A reset leaves no port waiting: the next run needs as many. */
    struct linger now = {.l_onoff = 1, .l_linger = 0};
    setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    if (c->tls != NULL)
        tls_close(c->tls);
    if (c->inflater != NULL)
        inflater_close(c->inflater);
    close(c->fd);
    free(c->in.bytes);
    free(c->out.bytes);
    c->in = c->out = (struct waiting){0};
    c->tls = NULL;
    c->inflater = NULL;
}

static void lost(struct load *load, struct connection *c, const char *why)
{
    if (c->stage < ENTERING)
        load->errors.refused++;
    else
        load->errors.closed++;
    load_fail(load, "connection %u: %s", c->index, why);
    connection_drop(load, c);
}

void crowd_send(struct load *load, struct connection *c, const char *bytes, size_t length)
{
    if (c->stage == GONE)
        return;
    if (c->out.length == 0) {
        ssize_t sent = c->tls != NULL ? tls_send(c->tls, bytes, length)
                                      : send(c->fd, bytes, length, MSG_NOSIGNAL);
        if (sent < 0 && errno != EAGAIN && errno != EINTR)
            return; /* reading tells why */
        if (sent > 0) {
            bytes += sent;
            length -= (size_t)sent;
        }
        if (length == 0)
            return;
    }
    waiting_put(&c->out, bytes, length);
    watch(load, c, true);
}

void crowd_send_text(struct load *load, struct connection *c, const char *text, size_t length)
{
    char frame[2048];
    if (length + LONGEST_HEAD > sizeof frame)
        abort();
    crowd_send(load, c, frame, websocket_frame(frame, OP_TEXT, text, length, &load->mask));
}

static void flush(struct load *load, struct connection *c)
{
    struct waiting *w = &c->out;
    while (w->length > 0) {
        ssize_t sent = c->tls != NULL ? tls_send(c->tls, w->bytes + w->from, w->length)
                                      : send(c->fd, w->bytes + w->from, w->length, MSG_NOSIGNAL);
        if (sent <= 0)
            return;
        w->from += (uint32_t)sent;
        w->length -= (uint32_t)sent;
    }
    w->from = 0;
    watch(load, c, false);
}

static void ask(struct load *load, struct connection *c)
{
    char query[512], target[2048], request[4096];
    const struct options *o = load->options;
    load->dialect.target(load, c, query, sizeof query);
    snprintf(target, sizeof target, "%s%s", o->path, query);
    size_t length = websocket_request(request, sizeof request, o->host, o->port, target, o->deflate);
    c->stage = ASKED;
    watch(load, c, false);
    crowd_send(load, c, request, length);
}

static void control(struct load *load, struct connection *c, const struct frame *frame)
{
    char pong[LONGEST_HEAD + 125];
    char words[160];
    switch (frame->first & 0x0f) {
    case OP_PING:
        if (frame->length <= 125)
            crowd_send(load, c, pong,
                websocket_frame(pong, OP_PONG, frame->payload, frame->length, &load->mask));
        break;
    case OP_PONG:
        break;
    case OP_CLOSE:
        snprintf(words, sizeof words, "the server closed it: %d %.*s",
            frame->length < 2 ? 1005 : (uint8_t)frame->payload[0] << 8 | (uint8_t)frame->payload[1],
            frame->length > 2 && frame->length <= 125 ? (int)frame->length - 2 : 0, frame->payload + 2);
        lost(load, c, words);
        break;
    default: /* binary, or a message in pieces: nobody of ours says such things */
        load->errors.garbled++;
    }
}

/* Take the whole frames; returns where the rest begins. */
static const char *take_frames(struct load *load, struct connection *c, const char *at, const char *end,
    int64_t now)
{
    struct frame frame;
    enum cut cut;
    while ((cut = websocket_cut(&at, end, LONGEST_FRAME, &frame)) == CUT_FRAME) {
        if (frame.first == (FRAME_FIN | OP_TEXT))
            load->dialect.heard(load, c, frame.payload, frame.length, now);
        else if (frame.first == (FRAME_FIN | FRAME_DEFLATED | OP_TEXT) && c->inflater != NULL) {
            size_t length;
            const char *text = inflater_take(c->inflater, frame.payload, frame.length, &length);
            if (text == NULL) {
                lost(load, c, "what is compressed cannot be read");
                return end;
            }
            load->dialect.heard(load, c, text, length, now);
        } else
            control(load, c, &frame);
        if (c->stage == GONE)
            return end;
    }
    if (cut == CUT_BROKEN) {
        lost(load, c, "the server sent no frame of RFC 6455");
        return end;
    }
    return at;
}

static const char *take_answer(struct load *load, struct connection *c, const char *at, const char *end)
{
    struct opening opening;
    switch (websocket_answer(at, (size_t)(end - at), &opening)) {
    case ANSWER_PARTIAL:
        return at;
    case ANSWER_REFUSED: {
        char words[64];
        snprintf(words, sizeof words, "the handshake was answered with %d", opening.status);
        lost(load, c, words);
        return end;
    }
    case ANSWER_OPEN:
        break;
    }
    if (opening.deflates && load->options->deflate) {
        c->inflater = inflater_open(opening.keeps_no_context);
        load->deflating++;
    }
    load->under_way--;
    load->opened++;
    c->stage = ENTERING;
    load->dialect.opened(load, c);
    return at + opening.length;
}

static void receive(struct load *load, struct connection *c)
{
    char *room = load->buffer + LONGEST_FRAME + BEFORE_FRAME;
    ssize_t got;
    do {
        got = c->tls != NULL ? tls_receive(c->tls, room, RECEIVED_AT_ONCE)
                             : recv(c->fd, room, RECEIVED_AT_ONCE, 0);
        if (got <= 0) {
            if (got == 0)
                lost(load, c, "the server ended it");
            else if (errno != EAGAIN && errno != EINTR)
                lost(load, c, strerror(errno));
            return;
        }
        int64_t now = clock_ns();
        load->received += (uint64_t)got;
        const char *at = room - c->in.length, *end = room + got;
        if (c->in.length > 0) {
            memcpy(room - c->in.length, c->in.bytes, c->in.length);
            c->in.length = 0;
        }
        if (c->stage == ASKED)
            at = take_answer(load, c, at, end);
        if (c->stage >= ENTERING && c->stage != GONE)
            at = take_frames(load, c, at, end, now);
        if (c->stage == GONE)
            return;
        if (at < end)
            waiting_put(&c->in, at, (size_t)(end - at));
    } while (c->tls != NULL && (size_t)got == RECEIVED_AT_ONCE); /* what OpenSSL holds wakes no epoll */
}

void connection_ready(struct load *load, struct connection *c, uint32_t events)
{
    if (c->stage == GONE)
        return;
    if (c->stage == DIALED) {
        int error = 0;
        socklen_t length = sizeof error;
        getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &length);
        if (error != 0) {
            lost(load, c, strerror(error));
            return;
        }
        if (!load->options->tls) {
            ask(load, c);
            return;
        }
        c->tls = tls_open(c->fd, load->options->host);
        c->stage = SECURING;
    }
    if (c->stage == SECURING) {
        bool wants_write = false;
        int done = tls_shake(c->tls, &wants_write);
        if (done < 0)
            lost(load, c, "no TLS");
        else if (done == 0)
            watch(load, c, wants_write);
        else
            ask(load, c);
        return;
    }
    if (events & EPOLLOUT)
        flush(load, c);
    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
        receive(load, c);
}
