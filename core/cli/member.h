/* member.h - a member of a consumer group, by the classic protocol.
 *
 * Subscribes to one topic and offers the strategy "range", so that it shares a
 * group with every client that does. As the group's leader it assigns for all
 * members, whatever topics they subscribe to. */
#ifndef CLI_MEMBER_H
#define CLI_MEMBER_H

#include "cli/client.h"

enum {
    MEMBER_SESSION_MS = 10000,
    MEMBER_REBALANCE_MS = 60000,
    MEMBER_HEARTBEAT_MS = 3000,
};

struct member;

/* group, topic: borrowed. Talks to nobody yet. */
struct member *member_open(struct client *client, struct str group,
                           struct str topic);
/* Leaves the group, where it is in it. member: NULL is accepted. */
void member_close(struct member *member);

/* Joins and waits for the assignment; may take a minute while others finish
 * what they do. partitions: of the topic, sorted, valid until the next join.
 * Errors: ERR_CANCELLED, and what the coordinator says that is final. */
MUST_USE enum err member_join(struct member *member, const int32_t **partitions,
                              int32_t *count, struct why *why);

/* Says that it is alive, when it is time to.
 * Errors: ERR_REBALANCE_IN_PROGRESS (commit, then join again), and others that
 *         mean the same; see member_must_join(). */
MUST_USE enum err member_heartbeat(struct member *member, struct why *why);
/* Whether an error of heartbeat or commit is cured by joining again. */
bool member_must_join(enum err err);
/* Whether an error passes: the coordinator moves, loads, or is out of reach. */
bool member_is_passing(enum err err);

struct member_offset {
    int32_t partition;
    int64_t offset; /* -1: none is committed */
};

/* The committed offsets of the given partitions, filled in. */
MUST_USE enum err member_committed(struct member *member,
                                   struct member_offset *offsets, int32_t count,
                                   struct why *why);
MUST_USE enum err member_commit(struct member *member,
                                const struct member_offset *offsets,
                                int32_t count, struct why *why);

#endif
