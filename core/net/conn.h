/* conn.h - a connection: frames in, answers out, in order.
 *
 * A frame is an int32 length and that many bytes (protocol guide, "Common
 * Request Format"). net/ knows no more of Kafka: it hands whole frames to the
 * handler that broker/ gave it, and takes answers back as memory and ranges of
 * files.
 *
 * Rules that hold for every connection:
 *  1. Frames are started in order. A frame starts while others run only when
 *     handler.overlaps() says so of it and of all that run.
 *  2. Answers leave in the order of the frames, whatever order they come in.
 *  3. A frame's memory grows as its bytes arrive, at most 16 times of what has
 *     come, never beyond limits.frame_bytes, always from the budget. What a
 *     request takes beyond its frame is charged to the budget as well: while
 *     that is over its limit, nobody is read from, and a loop on which one
 *     runs starts no other.
 *  4. A client that does not read its answers is not read from, and after
 *     limits.idle_ms closed.
 *
 * A connection belongs to one loop; all of this runs there. */
#ifndef NET_CONN_H
#define NET_CONN_H

#include "base/arena.h"
#include "net/block.h"
#include "run/loop.h"
#include <sys/socket.h>

struct conn;
struct net;
struct net_loop;

/* A piece of an answer: memory, or (ptr NULL) a range of a file. */
struct part {
    const uint8_t *ptr; /* borrowed until the answer has left */
    uint32_t bytes;
    int fd; /* of a file; borrowed, too */
    uint64_t position;
};

/* A frame and what becomes of it. Made by net/, freed by net/ after the answer
 * has left or the connection is gone. */
struct request {
    struct conn *conn;
    uint8_t *frame; /* without the length; borrowed until the answer left */
    uint32_t bytes;
    struct arena arena; /* lives as long: the answer's parts may lie in it */
    /* Called once when the connection closes before conn_respond(); set by the
     * handler, may stay NULL. conn_respond() is still due. */
    void (*gone)(struct request *request);
    void *context;    /* the handler's own */
    int64_t begun_ms; /* when it was started, in the time of its loop's env */

    struct block *block; /* private from here on */
    struct list node;
    struct part *parts;
    uint32_t parts_count;
    uint32_t parts_sent;
    uint32_t part_sent_bytes;
    uint32_t charged_bytes; /* of the budget, for this struct and the copy */
    bool is_cell;           /* of the pool; else memory of its own */
    bool answered;
    bool overlaps;
};

struct net_limits {
    uint32_t frame_bytes;        /* larger frames close the connection */
    uint32_t connections;        /* more are closed at once */
    uint32_t connections_per_ip; /* the same; not counted on loopback */
    uint32_t requests_running;   /* of one connection; then it is not read */
    uint32_t output_bytes;       /* unsent answers; then it is not read */
    int64_t idle_ms;             /* nothing came, left or runs: closed */
    int64_t half_frame_ms;       /* a frame that does not end: closed */
};

struct net_handler {
    /* A whole frame. conn_respond() or conn_refuse() is due exactly once, now
     * or later. */
    void (*request)(void *arg, struct request *request);
    /* May this frame run beside others that may? (Produce beside Produce.) */
    bool (*overlaps)(void *arg, const uint8_t *frame, uint32_t bytes);
    /* It is being answered or refused: for reports. NULL: nobody asks. */
    void (*answered)(void *arg, struct request *request);
    void *arg;
};

/* The answer: count parts, which (like what they point to) live in
 * request->arena or as long. count 0: no answer is due (acks=0). The request is
 * void afterwards. */
void conn_respond(struct request *request, struct part *parts, uint32_t count);
/* Closes instead of answering; request is void afterwards. */
void conn_refuse(struct request *request);

/* "127.0.0.1:53422"; borrowed, lives as long as the connection. */
const char *conn_peer(const struct conn *conn);
/* Where the client connected to: the default of the advertised address. */
const struct sockaddr_storage *conn_local(const struct conn *conn);
/* The index of the listener that it came through. */
uint32_t conn_listener(const struct conn *conn);
/* Whose it is. */
struct loop *conn_loop(const struct conn *conn);

#endif
