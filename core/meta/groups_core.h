/* groups_core.h - groups as they were when their last rebalance completed: a
 * part of the state.
 *
 * A coordinator that starts takes its groups from here, so a stable member's
 * heartbeat goes on with its generation. Heartbeats and half-done rebalances
 * are never stored. A stored group does not change: it is replaced whole.
 * Pure; belongs to the control loop. */
#ifndef META_GROUPS_CORE_H
#define META_GROUPS_CORE_H

#include "base/map.h"
#include "meta/command_core.h"
#include "meta/rows_core.h"

struct stored_member {
    struct str member_id;
    struct str instance_id; /* null: not static */
    struct str client_id;
    struct str client_host;
    int32_t session_timeout_ms;
    int32_t rebalance_timeout_ms;
    struct str subscription; /* bytes of the chosen protocol */
    struct str assignment;   /* bytes */
};

struct stored_group {
    struct str group_id;
    int32_t generation;
    struct str protocol_type;
    struct str protocol; /* null: empty group */
    struct str leader;   /* null: none */
    int64_t saved_at_ms;
    struct stored_member *members; /* in the order of the command */
    int32_t members_count;
    struct arena arena; /* private: holds the texts and members */
};

/* Zero is a valid empty one. */
struct groups {
    struct map by_id; /* private */
};

/* Frees all groups. */
void groups_fini(struct groups *groups);
/* How many are stored. */
size_t groups_count(const struct groups *groups);
/* Borrowed until the next command; NULL when there is none. */
const struct stored_group *groups_find(const struct groups *groups,
                                       struct str group_id);
MUST_USE bool groups_next(const struct groups *groups, size_t *at,
                          const struct stored_group **out);

/* Applies, and at start puts back what the tables hold (rows NULL). */
void groups_save(struct groups *groups,
                 const struct command_save_group *command, struct rows *rows);
/* Applies; false when there is no such group. */
bool groups_delete(struct groups *groups, struct str group_id,
                   struct rows *rows);

#endif
