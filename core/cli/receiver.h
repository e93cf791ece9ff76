/* receiver.h - fetches records of one topic.
 *
 * A list of partitions, each with a position and perhaps an end; every poll
 * asks their leaders once and hands the records on, in order within a
 * partition. Leaders that move are followed. */
#ifndef CLI_RECEIVER_H
#define CLI_RECEIVER_H

#include "cli/client.h"
#include "wire/batch.h"

enum { RECEIVER_NO_END = -1 };

struct receiver_partition {
    int32_t index;
    int32_t leader;
    int64_t position; /* of the next record */
    int64_t end;      /* stops before it; RECEIVER_NO_END: never */
};

struct receiver_record {
    int32_t partition;
    int64_t offset;
    int64_t timestamp_ms;
    const struct record *record;
};

/* False: enough; nothing more is handed on, and the record counts as taken. */
typedef bool (*receiver_cb)(void *arg, const struct receiver_record *record);

struct receiver {
    struct client *client; /* borrowed, as are topic and partitions */
    struct str topic;
    struct receiver_partition *partitions;
    int32_t partition_count;
    receiver_cb take;
    void *arg;
    /* private from here on */
    bool enough;
    bool stale; /* a leader has moved */
    int64_t failing_since_ms;
};

/* One round. wait_ms: how long the brokers may wait for more.
 * Errors: ERR_CANCELLED, and what is final; while brokers cannot be reached
 *         it is tried again for a minute. */
MUST_USE enum err receiver_poll(struct receiver *receiver, int wait_ms,
                                struct why *why);
/* Whether all partitions have come to their ends, or it was enough. */
bool receiver_is_done(const struct receiver *receiver);

#endif
