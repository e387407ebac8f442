#include "slow.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "connection.h"
#include "tls.h"

void slow_begin(struct load *load, struct slow *slow, struct connection *c)
{
    *slow = (struct slow){.connection = c, .from_ns = clock_ns()};
    epoll_ctl(load->epoll, EPOLL_CTL_DEL, c->fd, NULL);
    load->slow = slow;
}

void slow_read(struct load *load, struct slow *slow)
{
    char thrown_away[SLOW_BUFFER];
    struct connection *c = slow->connection;
    uint64_t due =
        (uint64_t)((double)(clock_ns() - slow->from_ns) / SECOND_NS * load->options->slow_bytes);
    while (!slow->is_closed && slow->allowed < due) {
        size_t room = due - slow->allowed < SLOW_BUFFER ? (size_t)(due - slow->allowed) : SLOW_BUFFER;
        ssize_t got = c->tls != NULL ? tls_receive(c->tls, thrown_away, room)
                                     : recv(c->fd, thrown_away, room, 0);
        if (got > 0) {
            slow->taken += (uint64_t)got;
            slow->allowed += (uint64_t)got;
        } else if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
            slow->allowed = due; /* what it did not need it does not save up */
        } else {
            slow->is_closed = true;
            connection_drop(load, c);
        }
    }
}
