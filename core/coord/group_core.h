/* group_core.h - a classic consumer group: who is in it, which generation, and
 * who waits for what.
 *
 *                 +-----------------------------------------------+
 *                 | no member is left                             |
 *                 v                                               |
 *   group_open  EMPTY --- first join ---> PREPARING ---------------+
 *                                          |  ^  ^
 *            all have joined, or the time   |  |  | a member comes, goes, or
 *            for it is over                 v  |  | changes; leader joins again
 *                                      COMPLETING |
 *                                          |      |
 *            the leader's assignment        v      |
 *            is stored                   STABLE --+
 *
 * Transitions, and the function that makes each: EMPTY, STABLE, COMPLETING ->
 * PREPARING group_prepare(); PREPARING -> COMPLETING, EMPTY group_complete();
 * COMPLETING -> STABLE group_saved().
 *
 * Invariants, all of which group_check() asserts:
 *   1. members and ids that were handed out are in by_id under their ids;
 *   2. a join is parked while PREPARING only, a sync while COMPLETING only;
 *   3. EMPTY has no members; COMPLETING and STABLE have some, and a leader;
 *   4. no deadline of a rebalance runs in EMPTY;
 *   5. a group without members has no bytes to be stored.
 *
 * Pure: an event in, effects out. The shell (coordinator.c) gives time and
 * random ids, sends the answers, stores what is to be stored and calls back
 * when the deadline has come. Each event carries a token; each token is
 * answered exactly once, now or in the effects of a later event.
 *
 * Source: behaviours 2; KIP-62, KIP-134, KIP-345, KIP-394, KIP-429. */
#ifndef COORD_GROUP_CORE_H
#define COORD_GROUP_CORE_H

#include "base/err.h"
#include "base/heap.h"
#include "base/list.h"
#include "base/map.h"

enum group_state {
    GROUP_EMPTY,
    GROUP_PREPARING,
    GROUP_COMPLETING,
    GROUP_STABLE,
};

struct group_limits {
    int64_t initial_delay_ms;
    int64_t session_ms_min;
    int64_t session_ms_max;
    uint32_t members;
    uint64_t stored_bytes; /* of all members, in the command that stores them */
};

/* A way to assign partitions that a member can, with its bytes for it. */
struct group_protocol {
    struct str name;
    struct str metadata;
};

/* Why a deadline is set; each has its own node in the group's heap. */
enum group_timer_kind {
    GROUP_TIMER_SESSION,   /* of a member, or of an id that was handed out */
    GROUP_TIMER_REBALANCE, /* the group's: joining, or the first sync, ends */
};

struct group_timer {
    struct heap_node node;
    enum group_timer_kind kind;
};

struct group_member {
    struct str id;          /* owned, as all texts here */
    struct str instance_id; /* null: not static */
    struct str client_id;
    struct str client_host;
    int32_t session_timeout_ms;
    int32_t rebalance_timeout_ms;
    struct group_protocol *protocols; /* in its own order */
    int32_t protocols_count;
    struct str assignment;
    uint64_t bytes;        /* as counted in the group's */
    uint64_t stored_bytes; /* as counted in the group's */
    bool is_pending;       /* an id that was handed out; not a member yet */
    bool is_new;           /* has not completed a join yet */
    bool synced;           /* since the last join completed */
    void *join;            /* parked; NULL: none */
    void *sync;            /* parked; NULL: none */
    struct group_timer timer;
    struct list node; /* in the group's members or pending */
};

struct group {
    struct str id; /* owned */
    enum group_state state;
    int32_t generation;
    struct str protocol_type; /* owned; null: none yet */
    struct str protocol;      /* owned; null: none */
    struct group_member *leader;
    struct list members; /* in the order in which they came */
    struct list pending;
    uint32_t members_count;
    uint32_t pending_count;
    struct map by_id;       /* members and pending */
    struct map by_instance; /* static members */
    struct heap timers;
    struct group_timer rebalance;
    bool initial;           /* PREPARING from EMPTY: the delay runs */
    bool new_member_added;  /* since the delay was last extended */
    int64_t delay_left_ms;  /* by which it can be extended in all */
    bool saving;            /* the leader's assignment is being stored */
    struct str replaced_id; /* owned: of the static member replaced last */
    uint64_t bytes;         /* of the members' texts, in memory */
    uint64_t stored_bytes;  /* the same, in the command that stores them */
    uint32_t places;        /* for members, as the last assignment that did not
                               fit has told; UINT32_MAX: none has */
    const struct group_limits *limits; /* borrowed */
};

enum group_answer_kind {
    GROUP_ANSWER_JOIN,
    GROUP_ANSWER_SYNC,
    GROUP_ANSWER_OTHER, /* heartbeat, leave: err says it all */
};

/* What a token is answered with. Texts are borrowed from the group until the
 * next event. */
struct group_answer {
    void *token;
    enum group_answer_kind kind;
    enum err err;
    struct str member_id;
    int32_t generation;
    struct str leader_id;
    bool with_members;    /* the leader's answer lists group->members */
    bool skip_assignment; /* KIP-814 */
    struct str assignment;
};

/* Zero is a valid empty one; group_effects_fini() in the end. */
struct group_effects {
    struct group_answer *answers;
    uint32_t answers_count;
    uint32_t answers_capacity; /* private */
    /* Store the group as it is; then, where saved_wanted, group_saved(). */
    bool save;
    bool saved_wanted;
    /* The answers leave only when it is stored. */
    bool answers_after_save;
};

/* A new group, empty. id: copied; limits: borrowed. */
struct group *group_open(struct str id, const struct group_limits *limits);
void group_close(struct group *group);

struct group_join {
    void *token;
    int64_t now_ms;
    struct str member_id; /* empty: none yet */
    struct str instance_id;
    struct str client_id;
    struct str client_host;
    struct str new_member_id; /* a fresh one, should it be needed */
    struct str protocol_type;
    const struct group_protocol *protocols;
    int32_t protocols_count;
    int32_t session_timeout_ms;
    int32_t rebalance_timeout_ms;
    bool id_required; /* version 4 on */
    bool can_skip;    /* version 9 on */
};

struct group_sync {
    void *token;
    int64_t now_ms;
    struct str member_id;
    struct str instance_id;
    int32_t generation;
    struct str protocol_type;                 /* null: not said */
    struct str protocol;                      /* null: not said */
    const struct group_protocol *assignments; /* name: the member's id */
    int32_t assignments_count;
};

/* Who says it, in heartbeats, commits and leaves. */
struct group_caller {
    struct str member_id;
    struct str instance_id;
    int32_t generation;
};

/* The token is answered when the group's next generation begins, or at once. */
void group_join(struct group *group, const struct group_join *join,
                struct group_effects *out);
/* The token is answered when the leader's assignment is stored, or at once. */
void group_sync(struct group *group, const struct group_sync *sync,
                struct group_effects *out);
/* Answered at once: the returned error is the answer. */
MUST_USE enum err group_heartbeat(struct group *group,
                                  const struct group_caller *caller,
                                  int64_t now_ms);
/* Takes one member out; the caller answers with what is returned. */
MUST_USE enum err group_leave(struct group *group,
                              const struct group_caller *caller, int64_t now_ms,
                              struct group_effects *out);
/* Whether a commit of offsets is the caller's to make; counts as a sign of
 * life. Source: behaviours 4. */
MUST_USE enum err group_check_commit(struct group *group,
                                     const struct group_caller *caller,
                                     int64_t now_ms);
/* The store that saved_wanted asked for is done. generation: of then. */
void group_saved(struct group *group, int32_t generation, enum err err,
                 int64_t now_ms, struct group_effects *out);
/* The deadline has come. */
void group_tick(struct group *group, int64_t now_ms, struct group_effects *out);
/* When group_tick() is due; INT64_MAX: never. */
int64_t group_deadline_ms(const struct group *group);
/* Answers everything that is parked. */
void group_abandon(struct group *group, enum err err,
                   struct group_effects *out);

/* A group from the disk: empty so far; then its members. */
void group_restore(struct group *group, int32_t generation,
                   struct str protocol_type, struct str protocol);
void group_restore_member(struct group *group,
                          const struct group_member *member, bool is_leader,
                          int64_t now_ms);

/* Nothing that is not stored would be lost with it: no member, no id handed
 * out. */
bool group_is_idle(const struct group *group);
struct group_member *group_find_member(const struct group *group,
                                       struct str member_id);
/* The metadata of a member for the chosen protocol; empty: none. */
struct str group_member_metadata(const struct group *group,
                                 const struct group_member *member);
const char *group_state_name(enum group_state state);
/* What holds in every state: aborts where it does not. */
void group_check(const struct group *group);

/* Frees the list. */
void group_effects_fini(struct group_effects *effects);
/* Empties the list; its memory stays. */
void group_effects_clear(struct group_effects *effects);

#endif
