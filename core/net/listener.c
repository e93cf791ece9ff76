/* listener.c - bind, listen, accept, and deal connections out to loops.
 *
 * 1. listener_open() binds and listens: clients wait in the kernel's queue.
 * 2. listener_start(): from then on loop 0 watches the socket.
 * 3. listener_poll() accepts some of those who wait, a turn.
 * 4. listener_admits() holds each against the limits and counts it.
 * 5. listener_deal_out() gives it to the next loop in turn, by mail where that
 *    is another one: conn_start().
 *
 * Failure modes:
 * - Too many, of all or of one address: closed at once, one line a second.
 * - No descriptor is left: the one kept in reserve takes the connection, so
 *   that it can be closed; else the socket would stay readable for ever.
 * - The port is taken: the message names the process that has it.
 *
 * Invariants:
 * 1. net->connections counts from listener_admits() to net_loop_conn_gone():
 *    also those that are under way to their loop.
 * 2. Loop 0 alone accepts, counts addresses and chooses loops. */
#include "net/net_private.h"
#include "net/port_holder.h"

#include "base/mem.h"
#include "base/must.h"
#include "base/trace.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BACKLOG = 1024, ACCEPTS_A_TURN = 64 };

/* An accepted socket on its way to its loop. */
struct listener_deal {
    struct mail mail;
    struct net_loop *net_loop;
    int fd;
    uint32_t listener;
    bool is_counted;
    struct peer_key peer_key;
};

static void listener_deliver(struct mail *mail)
{
    struct listener_deal *deal = container_of(mail, struct listener_deal, mail);

    /* Mail of one sender keeps its order, and listeners stop before a drain. */
    must(!deal->net_loop->draining);
    conn_start(deal->net_loop, deal->fd, deal->listener,
               deal->is_counted ? &deal->peer_key : NULL);
    mem_free(deal);
}

/* Whether the limits leave room for one more; it is counted then. */
static bool listener_admits(struct net *net,
                            const struct sockaddr_storage *address,
                            struct peer_key *key, bool *is_counted)
{
    const struct net_limits *limits = &net->options.limits;
    struct net_loop *here = &net->loops[0];
    int64_t now = env_now_ms(here->env);
    uint32_t open =
        atomic_load_explicit(&net->connections, memory_order_relaxed);

    if (open >= limits->connections) {
        trace_gated(&here->refusals, now, REFUSALS_A_SECOND,
                    "refused a connection: %u are open (limits.connections)",
                    open);
        return false;
    }
    *is_counted = peers_key_of(address, key);
    if (*is_counted &&
        !peers_add(&net->peers, key, limits->connections_per_ip)) {
        trace_gated(&here->refusals, now, REFUSALS_A_SECOND,
                    "refused a connection: its address has %u open "
                    "(limits.connections_per_ip)",
                    limits->connections_per_ip);
        return false;
    }
    atomic_fetch_add_explicit(&net->connections, 1, memory_order_relaxed);
    return true;
}

/* fd goes to the next loop in turn; refused when there are too many. */
static void listener_deal_out(struct listener *listener, int fd,
                              const struct sockaddr_storage *address)
{
    struct net *net = listener->net;
    struct net_loop *net_loop = &net->loops[net->next_loop];
    struct listener_deal deal = {.mail = {.deliver = listener_deliver},
                                 .net_loop = net_loop,
                                 .fd = fd,
                                 .listener = listener->index};
    struct listener_deal *sent;
    int one = 1;

    if (!listener_admits(net, address, &deal.peer_key, &deal.is_counted)) {
        close(fd);
        return;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
    must(loop_is_current(net->loops[0].loop)); /* invariant 2 */
    net->next_loop = (net->next_loop + 1) % net->loops_count;
    if (loop_is_current(net_loop->loop)) {
        conn_start(net_loop, fd, listener->index,
                   deal.is_counted ? &deal.peer_key : NULL);
        return;
    }
    sent = mem_alloc(sizeof(*sent));
    *sent = deal;
    mail_send(net_loop->loop, &sent->mail);
}

/* Out of descriptors: takes the connection with the one kept in reserve, and
 * closes it, so that the client learns of it and the socket does not stay
 * readable for ever. */
static void listener_refuse_one(struct listener *listener)
{
    struct net *net = listener->net;
    int fd;

    trace_gated(&net->loops[0].refusals, env_now_ms(net->loops[0].env),
                REFUSALS_A_SECOND,
                "refused a connection: no descriptors are left (raise "
                "ulimit -n, or lower limits.connections)");
    if (net->reserve_fd >= 0) {
        close(net->reserve_fd);
    }
    fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC);
    if (fd >= 0) {
        close(fd);
    }
    net->reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

/* Some of those who wait; the rest wakes the loop again. */
static void listener_poll(uv_poll_t *poll, int status, int events)
{
    struct listener *listener = poll->data;

    (void)status;
    (void)events;
    for (int i = 0; i < ACCEPTS_A_TURN; i++) {
        struct sockaddr_storage address = {0};
        socklen_t bytes = sizeof(address);
        int fd = accept4(listener->fd, (struct sockaddr *)&address, &bytes,
                         SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (fd >= 0) {
            listener_deal_out(listener, fd, &address);
        } else if (errno == EMFILE || errno == ENFILE) {
            listener_refuse_one(listener);
            return;
        } else if (errno != EINTR && errno != ECONNABORTED) {
            return;
        }
    }
}

/* host as an address; false when it is none. */
static bool listener_address(const char *host, uint16_t port,
                             struct sockaddr_storage *address, socklen_t *bytes)
{
    struct sockaddr_in *in = (struct sockaddr_in *)address;
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)address;

    *address = (struct sockaddr_storage){0};
    if (inet_pton(AF_INET, host, &in->sin_addr) == 1) {
        in->sin_family = AF_INET;
        in->sin_port = htons(port);
        *bytes = sizeof(*in);
        return true;
    }
    if (inet_pton(AF_INET6, host, &in6->sin6_addr) == 1) {
        in6->sin6_family = AF_INET6;
        in6->sin6_port = htons(port);
        *bytes = sizeof(*in6);
        return true;
    }
    return false;
}

/* What a person can do about it. */
static enum err listener_bind_failed(const char *host, uint16_t port, int error,
                                     struct why *why)
{
    char holder[128] = "";

    if (error == EADDRINUSE) {
        port_holder(port, holder, sizeof(holder));
        return why_set(why, ERR_EXISTS,
                       "could not listen on %s:%u: the port is taken%s; stop "
                       "that process or choose another port with --set "
                       "listeners.1.bind=%s:PORT",
                       host, port, holder, host);
    }
    if (error == EACCES) {
        return why_set(why, ERR_DENIED,
                       "could not listen on %s:%u: ports below 1024 need a "
                       "right that this user lacks; choose a higher one",
                       host, port);
    }
    return why_set(why, ERR_INVALID, "could not listen on %s:%u: %s", host,
                   port, strerror(error));
}

/* A bound, listening socket, or -1 with errno set. */
static int listener_socket(const struct sockaddr_storage *address,
                           socklen_t bytes, const char *congestion)
{
    int one = 1;
    int fd = socket(address->ss_family,
                    SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int error;

    if (fd < 0) {
        return -1;
    }
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (address->ss_family == AF_INET6) {
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
    }
    if (congestion != NULL) {
        /* A hint: a kernel without it keeps its default. */
        (void)setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, congestion,
                         (socklen_t)strlen(congestion));
    }
    if (bind(fd, (const struct sockaddr *)address, bytes) != 0 ||
        listen(fd, BACKLOG) != 0) {
        error = errno;
        close(fd);
        errno = error;
        return -1;
    }
    return fd;
}

enum err listener_open(struct net *net, const char *host, uint16_t port,
                       struct listener **out, uint16_t *bound_port,
                       struct why *why)
{
    struct sockaddr_storage address;
    socklen_t bytes;
    int fd;

    if (!listener_address(host, port, &address, &bytes)) {
        return why_set(why, ERR_INVALID,
                       "cannot listen on \"%s\": not an IPv4 or IPv6 address",
                       host);
    }
    fd = listener_socket(&address, bytes, net->options.congestion);
    if (fd < 0) {
        return listener_bind_failed(host, port, errno, why);
    }
    bytes = sizeof(address);
    getsockname(fd, (struct sockaddr *)&address, &bytes);
    *bound_port = ntohs(address.ss_family == AF_INET6
                            ? ((struct sockaddr_in6 *)&address)->sin6_port
                            : ((struct sockaddr_in *)&address)->sin_port);
    *out = MEM_NEW(struct listener);
    (*out)->net = net;
    (*out)->fd = fd;
    return ERR_NONE;
}

void listener_start(struct listener *listener)
{
    void *uv = loop_uv(loops_at(listener->net->options.loops, 0));

    must(uv_poll_init(uv, &listener->poll, listener->fd) == 0);
    listener->poll.data = listener;
    listener->polling = true;
    must(uv_poll_start(&listener->poll, UV_READABLE, listener_poll) == 0);
}

static void listener_closed(uv_handle_t *handle)
{
    mem_free(handle->data);
}

void listener_stop(struct listener *listener)
{
    if (listener->polling) {
        uv_poll_stop(&listener->poll);
        close(listener->fd);
        uv_close((uv_handle_t *)&listener->poll, listener_closed);
    } else {
        close(listener->fd);
        mem_free(listener);
    }
}
