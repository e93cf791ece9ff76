/* net.h - the listeners of the process and its connections on all loops.
 *
 * Loop 0 accepts and deals connections out in turn; each belongs to one loop
 * from then on. */
#ifndef NET_NET_H
#define NET_NET_H

#include "net/conn.h"

struct net_options {
    struct loops *loops;
    struct net_limits limits;
    struct net_handler handler;
    struct budget *budget;
    const char *congestion; /* e.g. "cubic"; NULL: the system's default */
};

/* On loop 0. Nothing listens yet. options: copied; what it points to outlives
 * the net. */
struct net *net_open(const struct net_options *options);

/* Binds host:port and listens; host is an address, port 0 takes a free one.
 * Call before net_start(); connections are taken from net_start() on.
 * bound_port: what port became.
 * Errors: ERR_EXISTS (the port is taken; why names the process that holds it
 * where the system tells), ERR_DENIED, ERR_INVALID (not an address here). */
MUST_USE enum err net_listen(struct net *net, const char *host, uint16_t port,
                             uint32_t listener, uint16_t *bound_port,
                             struct why *why);
/* Takes connections from here on. Loop 0. */
void net_start(struct net *net);

/* Stops listening, closes every connection once what runs on it has been
 * answered, at the latest after grace_ms, and frees all. Loop 0. */
void net_close(struct net *net, int64_t grace_ms, void (*done)(void *arg),
               void *arg);

/* Open connections of all loops. Any loop. */
uint32_t net_connections(const struct net *net);

/* Calls visit on each loop, by mail, with the requests that run there: those
 * that the handler has and has not answered; their order means nothing.
 * running: borrowed for the call. On loop 0; does nothing once net_close() was
 * called. */
void net_visit(struct net *net,
               void (*visit)(void *arg, struct request **running, size_t count),
               void *arg);

#endif
