/* committed.h - what groups have committed: writing it and reading it.
 *
 * Commits are group-committed: they join the open batch; one batch is a command
 * on its way to the disk at a time, and meanwhile the next one fills. Whatever
 * a turn of the loop brings goes together. An answer leaves when its command is
 * durable and applied, so a commit that was answered is read by whoever asks
 * next.
 *
 * Source: behaviours 4; KIP-211 (expiry), KIP-709 (many groups). */
#ifndef COORD_COMMITTED_H
#define COORD_COMMITTED_H

#include "coord/coordinator.h"

enum {
    COMMITTED_BATCH_BYTES = 256 << 10,
    COMMITTED_FETCH_BYTES = 64 << 20, /* of an answer, about */
};

struct committed_partition {
    int32_t index;
    int32_t leader_epoch;
    int64_t offset;
    struct str metadata; /* null: none */
    enum err err;        /* out, of a commit; of a fetch too */
};

struct committed_topic {
    bool by_id; /* else by name */
    struct str name;
    struct uuid id;
    struct committed_partition *partitions;
    int32_t partitions_count;
};

struct committed_commit {
    struct coordinator_ask ask;
    struct group_caller in;
    bool tells_missing;   /* version 9 on: ERR_GROUP_ID_NOT_FOUND is known */
    int64_t retention_ms; /* -1: never expires */
    struct committed_topic *topics;
    int32_t topics_count;

    struct command_commit_offsets_commit command; /* private from here on */
    struct committed_partition **places;          /* by entry of the command */
    uint32_t places_count;
    size_t bytes;
};

/* Any loop. ask.err is for all partitions, then their own: see
 * ERR_UNKNOWN_TOPIC_OR_PARTITION, ERR_UNKNOWN_TOPIC_ID,
 * ERR_OFFSET_METADATA_TOO_LARGE.
 * Errors: ERR_ILLEGAL_GENERATION, ERR_GROUP_ID_NOT_FOUND,
 *         ERR_UNKNOWN_MEMBER_ID, ERR_FENCED_INSTANCE_ID,
 *         ERR_REBALANCE_IN_PROGRESS, ERR_NOT_COORDINATOR,
 *         ERR_COORDINATOR_NOT_AVAILABLE, ERR_UNKNOWN_SERVER_ERROR (larger than
 *         a command can be). */
void committed_commit(struct committed_commit *commit);

struct committed_group {
    struct str group_id;
    bool all; /* all topics: they are filled in */
    struct committed_topic *topics;
    int32_t topics_count;
    enum err err; /* out */
};

struct committed_fetch {
    struct coordinator_ask ask; /* its group_id is not looked at */
    struct committed_group *groups;
    int32_t groups_count;

    int64_t now_ms; /* private from here on */
    uint64_t bytes;
};

/* Any loop. Offset and leader epoch are -1 where nothing is committed; metadata
 * is never null. A partition's errors: ERR_UNKNOWN_TOPIC_ID,
 * ERR_UNKNOWN_SERVER_ERROR (the answer would be larger than an answer may be).
 * Errors, of a group: ERR_NOT_COORDINATOR, ERR_COORDINATOR_NOT_AVAILABLE,
 *     ERR_UNKNOWN_SERVER_ERROR (all topics, the same). */
void committed_fetch(struct committed_fetch *fetch);

/* Part of struct coordinator; belongs to the control loop. */
struct committed {
    struct coordinator *coordinator; /* private, all of it */
    struct list open;                /* asks, in the order in which they came */
    struct list proposed;
    bool in_flight;
    struct controller_change change;
    struct env_task soon;
};

/* Nothing is open. */
void committed_init(struct committed *committed,
                    struct coordinator *coordinator);

/* Whether a commit of the group is on its way. */
bool committed_awaits(const struct committed *committed, struct str group_id);

#endif
