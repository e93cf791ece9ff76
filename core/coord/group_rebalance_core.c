/* group_rebalance_core.c - from the first reason to rebalance to the next
 * generation.
 *
 * group_prepare() opens the doors; members join (group_join_core.c); group_
 * try_complete() closes them when nobody is missing, group_rebalance_due() when
 * the time is over. */
#include "coord/group_private.h"

#include "base/mem.h"
#include "base/must.h"

/* The longest time that a member allows for a rebalance. */
static int64_t group_rebalance_ms(const struct group *group)
{
    int64_t longest = 0;

    list_each(node, &group->members)
    {
        longest = MAX(longest, group_member_of(node)->rebalance_timeout_ms);
    }
    return longest;
}

void group_prepare(struct group *group, int64_t now_ms,
                   struct group_effects *out)
{
    int64_t wait_ms = group_rebalance_ms(group);

    if (group->state == GROUP_PREPARING) {
        return;
    }
    if (group->state == GROUP_COMPLETING) {
        group_reset_assignments(group, ERR_REBALANCE_IN_PROGRESS, now_ms, out);
    }
    group->saving = false;
    group->initial = group->state == GROUP_EMPTY;
    group->new_member_added = false;
    if (group->initial) {
        group->delay_left_ms =
            MAX(wait_ms - group->limits->initial_delay_ms, 0);
        wait_ms = group->limits->initial_delay_ms;
    }
    group_move(group, GROUP_PREPARING);
    heap_put(&group->timers, &group->rebalance.node, now_ms + wait_ms);
}

uint32_t group_count_protocol(const struct group *group, struct str name)
{
    uint32_t count = 0;

    list_each(node, &group->members)
    {
        if (group_member_find_protocol(group_member_of(node), name) != NULL) {
            count++;
        }
    }
    return count;
}

/* The place in names of the member's first protocol that is there. */
static int32_t group_vote(const struct group_member *member,
                          const struct str *names, int32_t count)
{
    for (int32_t i = 0; i < member->protocols_count; i++) {
        for (int32_t j = 0; j < count; j++) {
            if (str_eq(member->protocols[i].name, names[j])) {
                return j;
            }
        }
    }
    unreachable(); /* all have them all */
}

struct str group_select_protocol(const struct group *group)
{
    const struct group_member *first = group_member_of(group->members.next);
    struct str names[GROUP_PROTOCOLS_MAX];
    uint32_t votes[GROUP_PROTOCOLS_MAX] = {0};
    int32_t count = 0;
    int32_t best = 0;

    for (int32_t i = 0; i < first->protocols_count; i++) {
        struct str name = first->protocols[i].name;

        if (group_count_protocol(group, name) == group->members_count) {
            names[count++] = name;
        }
    }
    must(count > 0);
    list_each(node, &group->members)
    {
        votes[group_vote(group_member_of(node), names, count)]++;
    }
    for (int32_t i = 1; i < count; i++) {
        best = votes[i] > votes[best] ? i : best;
    }
    return names[best];
}

void group_answer_join(struct group *group, struct group_member *member,
                       void *token, struct group_effects *out)
{
    struct group_answer *answer =
        group_answer(out, token, GROUP_ANSWER_JOIN, ERR_NONE);

    answer->member_id = member->id;
    answer->generation = group->generation;
    answer->leader_id = group->leader->id;
    answer->with_members = member == group->leader;
}

/* Those that have not joined again are out; static members have until their
 * session ends. */
static void group_drop_missing(struct group *group)
{
    list_each_safe(node, &group->members)
    {
        struct group_member *member = group_member_of(node);

        if (member->join == NULL && str_is_null(member->instance_id)) {
            group_member_take_out(group, member);
            group_member_free(member);
        }
    }
}

/* The leader stays, if it has joined; else the first that has. False: nobody
 * has. */
static bool group_elect(struct group *group)
{
    if (group->leader != NULL && group->leader->join != NULL) {
        return true;
    }
    list_each(node, &group->members)
    {
        if (group_member_of(node)->join != NULL) {
            group->leader = group_member_of(node);
            return true;
        }
    }
    return false;
}

/* A new generation begins: everybody learns of it, and has the longest
 * rebalance time-out to sync. */
static void group_begin_generation(struct group *group, int64_t now_ms,
                                   struct group_effects *out)
{
    group_text_set(&group->protocol, group_select_protocol(group));
    group_move(group, GROUP_COMPLETING);
    list_each(node, &group->members)
    {
        struct group_member *member = group_member_of(node);
        void *token = member->join;

        member->synced = false;
        member->is_new = false;
        if (token != NULL) {
            member->join = NULL;
            group_answer_join(group, member, token, out);
        }
        group_member_touch(group, member, now_ms);
    }
    heap_put(&group->timers, &group->rebalance.node,
             now_ms + group_rebalance_ms(group));
}

/* The time to join is over, or nobody is missing. */
static void group_complete(struct group *group, int64_t now_ms,
                           struct group_effects *out)
{
    heap_remove(&group->timers, &group->rebalance.node);
    group_drop_missing(group);
    if (group->members_count > 0 && !group_elect(group)) {
        /* Only static members, all away: they have another time-out. */
        heap_put(&group->timers, &group->rebalance.node,
                 now_ms + group_rebalance_ms(group));
        return;
    }
    group->generation++;
    if (group->members_count > 0) {
        group_begin_generation(group, now_ms, out);
        return;
    }
    group_text_set(&group->protocol, STR_NULL);
    group->places = UINT32_MAX;
    group_move(group, GROUP_EMPTY);
    out->save = true;
}

void group_try_complete(struct group *group, int64_t now_ms,
                        struct group_effects *out)
{
    if (group->state != GROUP_PREPARING || group->pending_count > 0) {
        return;
    }
    if (group->initial && group->members_count > 0) {
        return; /* the delay runs to its end */
    }
    list_each(node, &group->members)
    {
        if (group_member_of(node)->join == NULL) {
            return;
        }
    }
    group_complete(group, now_ms, out);
}

/* The initial delay is extended while members keep coming, up to the longest
 * rebalance time-out. */
static bool group_extend_delay(struct group *group, int64_t now_ms)
{
    int64_t more_ms =
        MIN(group->limits->initial_delay_ms, group->delay_left_ms);

    if (!group->initial || !group->new_member_added || more_ms <= 0) {
        return false;
    }
    group->new_member_added = false;
    group->delay_left_ms -= more_ms;
    heap_put(&group->timers, &group->rebalance.node, now_ms + more_ms);
    return true;
}

void group_rebalance_due(struct group *group, int64_t now_ms,
                         struct group_effects *out)
{
    heap_remove(&group->timers, &group->rebalance.node);
    if (group->state != GROUP_PREPARING) {
        group_expire_syncs(group, now_ms, out);
    } else if (!group_extend_delay(group, now_ms)) {
        group->initial = false;
        group_complete(group, now_ms, out);
    }
}
