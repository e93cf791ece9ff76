/* group_private.h - what group_core.c, group_member_core.c and
 * group_join_core.c share. */
#ifndef COORD_GROUP_PRIVATE_H
#define COORD_GROUP_PRIVATE_H

#include "coord/group_core.h"

enum {
    /* A member that has not completed its first join may wait for so long. */
    GROUP_NEW_MEMBER_MS = 300000,
    /* Ways to assign that a member may offer: clients have five at most. */
    GROUP_PROTOCOLS_MAX = 64,
    /* Of a stored member beside its texts: their lengths, two time-outs. */
    GROUP_STORED_MEMBER_BYTES = 4 * 2 + 2 * 4 + 2 * 4,
    /* A shorter rebalance time-out would be over before it began. */
    GROUP_REBALANCE_MS_MIN = 100,
};

/* group_core.c */
/* To another state, where that is allowed. */
void group_move(struct group *group, enum group_state state);
/* The member goes, and what follows from that. */
void group_remove_member(struct group *group, struct group_member *member,
                         int64_t now_ms, struct group_effects *out);

/* group_effects_core.c */
/* One more answer, to be filled in; holds until the next. */
struct group_answer *group_answer(struct group_effects *out, void *token,
                                  enum group_answer_kind kind, enum err err);

/* group_rebalance_core.c */
/* Begins a rebalance, unless one is under way already. */
void group_prepare(struct group *group, int64_t now_ms,
                   struct group_effects *out);
/* Completes the rebalance when nobody is missing. */
void group_try_complete(struct group *group, int64_t now_ms,
                        struct group_effects *out);
/* The time to join, or to sync, is over. */
void group_rebalance_due(struct group *group, int64_t now_ms,
                         struct group_effects *out);
/* How many members can assign in this way. */
uint32_t group_count_protocol(const struct group *group, struct str name);
/* Of what all members can: most votes win; of equals, what the first member
 * prefers. There are members, and they have one in common. */
struct str group_select_protocol(const struct group *group);
/* Answers a member's join with the group as it is. */
void group_answer_join(struct group *group, struct group_member *member,
                       void *token, struct group_effects *out);

/* group_sync_core.c */
/* The parked syncs get an error, the assignments are void. */
void group_reset_assignments(struct group *group, enum err err, int64_t now_ms,
                             struct group_effects *out);
/* Those that did not sync in time are out. */
void group_expire_syncs(struct group *group, int64_t now_ms,
                        struct group_effects *out);

/* group_member_core.c */
struct group_member *group_member_new(struct str id, bool is_pending);
void group_member_free(struct group_member *member);
void group_member_set_protocols(struct group_member *member,
                                const struct group_protocol *protocols,
                                int32_t count);
bool group_member_has_protocols(const struct group_member *member,
                                const struct group_protocol *protocols,
                                int32_t count);
const struct group_protocol *
group_member_find_protocol(const struct group_member *member, struct str name);
/* Replaces its assignment, and counts its bytes. */
void group_member_assign(struct group *group, struct group_member *member,
                         struct str assignment);
/* Counts a member's bytes anew, after it was described. */
void group_member_weigh(struct group *group, struct group_member *member);
/* What the longest of a member's protocols has to say: one will be stored. */
uint64_t group_protocols_longest(const struct group_protocol *protocols,
                                 int32_t count);
/* Replaces an owned text. */
void group_text_set(struct str *text, struct str value);
/* Starts the member's session anew; a parked member has none. */
void group_member_touch(struct group *group, struct group_member *member,
                        int64_t now_ms);
void group_member_suspend(struct group *group, struct group_member *member);
/* Checks who calls. *out: the member.
 * Errors: ERR_UNKNOWN_MEMBER_ID, ERR_FENCED_INSTANCE_ID. */
MUST_USE enum err group_find_caller(const struct group *group,
                                    struct str member_id,
                                    struct str instance_id,
                                    struct group_member **out);
/* Into and out of the group's lists and maps. */
void group_member_add(struct group *group, struct group_member *member);
void group_member_take_out(struct group *group, struct group_member *member);

/* From its place in a list. */
static inline struct group_member *group_member_of(struct list *node)
{
    return container_of(node, struct group_member, node);
}

#endif
