/* coordinator.h - the groups that this node coordinates.
 *
 * All group state lives on the control loop. The rules are in group_core.h,
 * pure; here are the map of groups, the one timer, the answers that are due and
 * the commands that make a completed rebalance durable. Commits of offsets are
 * in committed.h. A handler of api/ asks from any loop, with a struct
 * coordinator_ask, and is answered there.
 *
 * A group without members costs nothing here: it is left to the stored state
 * (meta/groups_core.h) and comes back from there when somebody asks for it.
 *
 * Source: KIP-62, KIP-134 (initial delay), KIP-345 (static members), KIP-394
 *         (member ids), KIP-429 (cooperative); behaviours 1, 2, 4. */
#ifndef COORD_COORDINATOR_H
#define COORD_COORDINATOR_H

#include "cluster/controller.h"
#include "coord/group_core.h"

struct coordinator;
struct coordinator_waiter;

struct coordinator_options {
    struct controller *controller;
    int64_t initial_delay_ms; /* group.initial.rebalance.delay.ms */
    int64_t session_ms_min;   /* group.min.session.timeout.ms */
    int64_t session_ms_max;   /* group.max.session.timeout.ms */
    uint32_t group_members;   /* of one group */
    uint32_t groups;
    uint32_t offset_metadata_bytes; /* offset.metadata.max.bytes */
};

/* Control loop, once the controller is ready: takes the stored groups from the
 * state. Members have a fresh session; nobody has to rebalance. */
struct coordinator *coordinator_open(const struct coordinator_options *options);
/* Control loop, before the connections are closed: parked requests are answered
 * with ERR_COORDINATOR_NOT_AVAILABLE, as are those that still come. Members
 * stay as they are stored. Twice is once. */
void coordinator_stop(struct coordinator *coordinator);
/* Control loop, when no request can come any more: waits for commands under
 * way. */
void coordinator_close(struct coordinator *coordinator, void (*done)(void *arg),
                       void *arg);

/* A question about one group. Embedded in the structs below; the caller's
 * memory, in use until done. Everything is borrowed until then. */
struct coordinator_ask {
    struct coordinator *coordinator;
    struct arena *arena; /* the texts of the answer go here */
    struct str group_id;
    /* Once, on the loop that asked. */
    void (*done)(struct coordinator_ask *ask);
    enum err err; /* the answer: Kafka's codes only */

    void (*run)(struct coordinator_ask *ask); /* private from here on */
    struct coordinator_waiter *waiter;
    struct call call;
    struct call gone;
    struct list node;
    uint8_t legs;
};

/* The connection is gone, on the loop that asked, before done: whatever the
 * answer would have waited for is not waited for any more. done still comes. */
void coordinator_gone(struct coordinator_ask *ask);

struct coordinator_join_member {
    struct str member_id;
    struct str instance_id; /* null: not static */
    struct str metadata;
};

struct coordinator_join {
    struct coordinator_ask ask;
    /* What is asked; token, now_ms and new_member_id are filled in here. */
    struct group_join in;
    /* Also with an error: the id that the client shall use. */
    struct str member_id;
    int32_t generation;
    struct str protocol_type; /* null: none */
    struct str protocol;      /* null: none */
    struct str leader_id;
    bool skip_assignment;
    struct coordinator_join_member *members;
    int32_t members_count;
};

struct coordinator_sync {
    struct coordinator_ask ask;
    struct group_sync in; /* token, now_ms: filled in here */
    struct str protocol_type;
    struct str protocol;
    struct str assignment;
};

struct coordinator_heartbeat {
    struct coordinator_ask ask;
    struct group_caller in;
};

/* One member that leaves. */
struct coordinator_leaver {
    struct str member_id;
    struct str instance_id;
    enum err err; /* out */
};

struct coordinator_leave {
    struct coordinator_ask ask;
    struct coordinator_leaver *members;
    int32_t members_count;
};

/* Any loop. Errors, of all: ERR_INVALID_GROUP_ID, ERR_NOT_COORDINATOR,
 * ERR_COORDINATOR_NOT_AVAILABLE (stopping; a limit of this node: try again),
 * ERR_UNKNOWN_MEMBER_ID, ERR_FENCED_INSTANCE_ID.
 * Join: ERR_INVALID_SESSION_TIMEOUT, ERR_INCONSISTENT_GROUP_PROTOCOL,
 * ERR_MEMBER_ID_REQUIRED, ERR_GROUP_MAX_SIZE_REACHED (members, or their bytes:
 * the group could not be stored). */
void coordinator_join(struct coordinator_join *join);
/* Also: ERR_ILLEGAL_GENERATION, ERR_REBALANCE_IN_PROGRESS,
 * ERR_INCONSISTENT_GROUP_PROTOCOL, ERR_GROUP_MAX_SIZE_REACHED (with what was
 * assigned the group is too large to be stored, and this member has gone). */
void coordinator_sync(struct coordinator_sync *sync);
/* Also: ERR_ILLEGAL_GENERATION, ERR_REBALANCE_IN_PROGRESS. */
void coordinator_heartbeat(struct coordinator_heartbeat *heartbeat);
/* The members' own errors are in them. */
void coordinator_leave(struct coordinator_leave *leave);

#endif
