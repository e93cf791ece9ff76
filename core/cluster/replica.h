/* replica.h - a partition that this node holds: its log, its leadership, its
 * high watermark.
 *
 * A replica belongs to one loop, which alone appends. Any loop may ask it to
 * append (replica_append() goes there and back), read its log (log.h says what
 * is published) and wait for its high watermark to move (replica_wait()).
 *
 * High watermark: what every in-sync replica has on disk (flush = "commit"), or
 * has written (flush = "async"). With one replica that is the log's own flushed
 * end, or its end. */
#ifndef CLUSTER_REPLICA_H
#define CLUSTER_REPLICA_H

#include "cluster/wall.h"
#include "log/log.h"
#include "run/call.h"

struct replica;

struct replica_options {
    struct loops *loops;
    struct loop *loop; /* the owner */
    const char *folder;
    struct str topic; /* copied */
    struct uuid topic_id;
    int32_t partition;
    int32_t leader_epoch;
    struct log_config config;
    int64_t retention_check_ms;
    uint32_t producers_max; /* idempotent ones to remember; 0: any number */
    struct wall *wall;      /* retention's clock; borrowed */
    bool clean;             /* the last stop was clean */
    /* A disk failure: ends the process. */
    void (*failed)(void *arg, const struct why *why);
    void *failed_arg;
};

/* Opens the log and leads it under leader_epoch. On the owner loop, or before
 * the loops run. Blocks. report: what recovery found.
 * Errors: those of log_open(). */
MUST_USE enum err replica_open(const struct replica_options *options,
                               struct replica **out,
                               struct log_recovery *report, struct why *why);

/* Owner loop. Waiting appends get ERR_STOPPING (removing: ERR_UNKNOWN_TOPIC_OR_
 * PARTITION), waiting fetches wake up; the log is closed, or removed with its
 * folder. The replica must be unpublished before (replicas.h). done: on the
 * owner loop. */
void replica_close(struct replica *replica, bool removing,
                   void (*done)(void *arg), void *arg);

/* One batch for the log. Caller's memory, in use until done. */
struct replica_append {
    struct replica *replica;
    uint8_t *batch; /* checked by wire/; borrowed, offsets are written in */
    uint32_t bytes;
    int16_t acks; /* 0, 1, -1 (all) as in the Produce request */
    /* For the wait behind the write, in steps of a second, at least one. */
    int32_t timeout_ms;
    void (*done)(struct replica_append *append); /* on the loop that asked */
    /* Out. */
    enum err err;
    int64_t base_offset;
    int64_t log_start_offset;

    struct call call; /* private from here on */
    struct log_append log_append;
    struct waiter waiter;
    struct list node;
    int64_t deadline_ms;
    bool waits;
};

/* Appends and waits for what acks asks for. Answers by mail.
 * Errors (in append->err): those of log_append() (ERR_DISK for
 * ERR_LIMIT), ERR_STOPPING,
 * ERR_UNKNOWN_TOPIC_OR_PARTITION (deleted meanwhile), ERR_REQUEST_TIMED_OUT (it
 * was written, and may still get where it was to get). */
void replica_append(struct replica_append *append);

/* Any loop. Somebody who waits for the high watermark to move. Caller's memory,
 * in use until wake or replica_wait_cancel(). */
struct replica_waiter {
    void (*wake)(struct replica_waiter *waiter);
    struct replica *replica; /* private from here on */
    struct list node;
};

/* Wakes waiter once when the high watermark passes at_least - 1 or the replica
 * closes, on this loop; it may wake for less. False, and nothing queued, when
 * that is so already. */
MUST_USE bool replica_wait(struct replica *replica,
                           struct replica_waiter *waiter, int64_t at_least);
/* A waiter that woke up already is accepted. */
void replica_wait_cancel(struct replica_waiter *waiter);

/* Any loop. */
struct log *replica_log(struct replica *replica);
int64_t replica_high_watermark(const struct replica *replica);
int32_t replica_leader_epoch(const struct replica *replica);
struct loop *replica_loop(const struct replica *replica);
/* Any loop. False from the moment replica_close() was called. */
bool replica_is_open(const struct replica *replica);

#endif
