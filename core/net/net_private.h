/* net_private.h - what net.c, conn*.c and listener.c share. */
#ifndef NET_NET_PRIVATE_H
#define NET_NET_PRIVATE_H

#include "base/trace.h"
#include "net/net.h"
#include "net/peers.h"
#include <stdatomic.h>
#include <uv.h>

/* Of one loop. A client that connects or misbehaves without end does not fill
 * a disk with lines. */
enum { REFUSALS_A_SECOND = 1, CLOSINGS_A_SECOND = 10 };

/* The part of a net that lives on one loop. */
struct net_loop {
    struct net *net;   /* whose array it is in */
    struct loop *loop; /* borrowed: it outlives the net */
    struct env *env;   /* the loop's */
    struct block_pool pool;
    struct list conns;          /* all, the longest idle first */
    struct list halves;         /* those inside a frame, the oldest first */
    struct list starved;        /* those that wait for the budget */
    struct list dirty;          /* those with something to send or to start */
    struct env_task flush;      /* of dirty, at the end of the turn */
    struct env_timer reaper;    /* at the first moment when one may be due */
    uint32_t count;             /* connections */
    uint32_t running;           /* requests, of all its connections */
    struct trace_gate refusals; /* lines about connections that are refused */
    struct trace_gate closings; /* or closed for what their clients do */
    bool draining;              /* net_close() was called */
    struct mail drain_mail;
    struct mail drained_mail; /* to loop 0: no connection is left here */
    struct env_timer grace;
    bool drained;
};

/* A socket that listens; loop 0 only. */
struct listener {
    uv_poll_t poll;
    struct net *net;
    int fd;         /* closed by listener_stop() */
    uint32_t index; /* the caller's: conn_listener() */
    bool polling;   /* poll is a handle of the loop */
    struct listener *next;
};

/* Made and freed on loop 0; options and loops are constant in between. */
struct net {
    struct net_options options;
    struct net_loop *loops; /* owned, one a loop */
    unsigned loops_count;
    unsigned next_loop; /* who gets the next connection */
    unsigned drained_count;
    struct listener *listeners; /* owned */
    int reserve_fd;     /* given up for a moment when descriptors run out */
    struct peers peers; /* loop 0 */
    _Atomic uint32_t connections; /* admitted and not gone, of all loops */
    int64_t grace_ms;
    void (*closed)(void *arg); /* not NULL: it is closing */
    void *closed_arg;
};

/* Its loop's alone; freed by conn_maybe_free(). */
struct conn {
    uv_poll_t poll;
    struct net_loop *net_loop;
    int fd;               /* owned; closed with the handle */
    uint32_t listener;    /* its index */
    int events;           /* what the poll waits for; 0: stopped */
    struct block *block;  /* one reference; NULL: no byte waits */
    uint32_t parsed;      /* position in the block of the next frame */
    struct list requests; /* oldest first: running, or answered and unsent */
    uint32_t running;
    uint32_t running_alone; /* of them, those that allow no other */
    uint32_t unsent;        /* answered requests that are still here */
    uint64_t output_bytes;  /* of answers, that have not left */
    int64_t active_ms;      /* something came or left */
    int64_t half_since_ms;  /* since when it is in halves */
    struct list node;       /* in net_loop->conns */
    struct list half_node;
    struct list starved_node;
    struct list dirty_node;
    bool closing;       /* conn_close() was called */
    bool handle_closed; /* libuv has let go of poll */
    bool parsing;       /* inside conn_in_parse(): not to be freed */
    bool hung_up;       /* the client sends no more: bytes may wait, unread */
    bool input_ended;   /* its last byte was read */
    bool is_counted;    /* in net->peers, under peer_key */
    struct peer_key peer_key;
    struct mail gone_mail;         /* to loop 0: uncount it, and free it */
    struct sockaddr_storage local; /* where the client connected to */
    char peer[64];                 /* "127.0.0.1:53422" */
};

/* Takes over a connected, non-blocking socket. On the loop of net_loop.
 * counted: the address that it is counted under; NULL: it is not. */
void conn_start(struct net_loop *net_loop, int fd, uint32_t listener,
                const struct peer_key *counted);

/* Those of its net. */
static inline const struct net_options *conn_options(const struct conn *conn)
{
    return &conn->net_loop->net->options;
}

/* The turn's milliseconds. */
static inline int64_t conn_now(const struct conn *conn)
{
    return env_now_ms(conn->net_loop->env);
}

/* Frees the connection once it is closed and nothing refers to it any more. */
void conn_maybe_free(struct conn *conn);

/* Reads what is there, and starts the frames in it. */
void conn_in_read(struct conn *conn);
/* Starts every frame that is whole and allowed. */
void conn_in_parse(struct conn *conn);
/* Whether anything shall be read now. */
bool conn_in_is_wanted(const struct conn *conn);
/* Sends what can be sent; false when the connection was closed by it. */
bool conn_out_send(struct conn *conn);
/* The oldest answer is there and waits for the socket. */
bool conn_out_is_due(const struct conn *conn);
/* Something has come or left: it is not idle. */
void conn_touch(struct conn *conn);
/* Frees a request that is out of its connection's list. */
void conn_out_free(struct request *request);
/* Sets what the poll waits for, from the state of the connection. */
void conn_update_events(struct conn *conn);
void conn_close(struct conn *conn);
/* End of the turn: send, then start what became possible. */
void conn_flush(struct conn *conn);
/* Tries again to read, or to start what was read; for one that was starved. */
void conn_retry(struct conn *conn);

/* A connection of the loop is gone. */
void net_loop_conn_gone(struct net_loop *net_loop);
void net_loop_set_reaper(struct net_loop *net_loop);
void net_loop_mark_dirty(struct net_loop *net_loop, struct conn *conn);
/* The budget has none left for it, to read or to start what it has read: it is
 * tried again when it has. */
void net_loop_starve(struct net_loop *net_loop, struct conn *conn);
/* Bytes went back to the budget. */
void net_loop_given(struct net_loop *net_loop);

/* A bound, listening socket that is not watched yet; as net_listen() says. */
MUST_USE enum err listener_open(struct net *net, const char *host,
                                uint16_t port, struct listener **out,
                                uint16_t *bound_port, struct why *why);
void listener_start(struct listener *listener);
/* Closes the socket; the memory goes later. */
void listener_stop(struct listener *listener);

#endif
