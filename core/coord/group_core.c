/* group_core.c - a group's beginning and end, its calls that are answered at
 * once, its time-outs.
 *
 * The drawing of the states is in group_core.h. A member comes in by
 * group_join_core.c, the group moves on by group_rebalance_core.c, each learns
 * what it owns by group_sync_core.c. */
#include "coord/group_core.h"

#include "base/mem.h"
#include "base/must.h"
#include "coord/group_private.h"

static const char *const state_names[] = {
    [GROUP_EMPTY] = "Empty",
    [GROUP_PREPARING] = "PreparingRebalance",
    [GROUP_COMPLETING] = "CompletingRebalance",
    [GROUP_STABLE] = "Stable",
};

/* From a row's state to a column's: allowed or not. */
static const bool transitions[4][4] = {
    [GROUP_EMPTY] = {[GROUP_PREPARING] = true},
    [GROUP_PREPARING] = {[GROUP_EMPTY] = true, [GROUP_COMPLETING] = true},
    [GROUP_COMPLETING] = {[GROUP_PREPARING] = true, [GROUP_STABLE] = true},
    [GROUP_STABLE] = {[GROUP_PREPARING] = true},
};

const char *group_state_name(enum group_state state)
{
    return state_names[state];
}

void group_move(struct group *group, enum group_state state)
{
    must(transitions[group->state][state]);
    group->state = state;
}

/* The numbers are those of the invariants in group_core.h. */
void group_check(const struct group *group)
{
    uint32_t count = 0;

    list_each(node, &group->members)
    {
        const struct group_member *member = group_member_of(node);

        count++;
        must(!member->is_pending);
        must(map_find(&group->by_id, member->id) == member);            /* 1 */
        must(member->join == NULL || group->state == GROUP_PREPARING);  /* 2 */
        must(member->sync == NULL || group->state == GROUP_COMPLETING); /* 2 */
    }
    must(count == group->members_count);
    must((group->state == GROUP_EMPTY) ==
         (count == 0 && group->state != GROUP_PREPARING)); /* 3 */
    must(count == 0 || group->leader != NULL);             /* 3 */
    must(group->rebalance.node.place == 0 ||
         group->state != GROUP_EMPTY);           /* 4 */
    must(count > 0 || group->stored_bytes == 0); /* 5 */
}

struct group *group_open(struct str id, const struct group_limits *limits)
{
    struct group *group = MEM_NEW(struct group);

    group_text_set(&group->id, id);
    group->limits = limits;
    group->places = UINT32_MAX;
    group->rebalance.kind = GROUP_TIMER_REBALANCE;
    list_init(&group->members);
    list_init(&group->pending);
    return group;
}

void group_close(struct group *group)
{
    heap_remove(&group->timers, &group->rebalance.node);
    while (!list_is_empty(&group->members)) {
        struct group_member *member = group_member_of(group->members.next);

        group_member_take_out(group, member);
        group_member_free(member);
    }
    while (!list_is_empty(&group->pending)) {
        struct group_member *member = group_member_of(group->pending.next);

        group_member_take_out(group, member);
        group_member_free(member);
    }
    map_fini(&group->by_id);
    map_fini(&group->by_instance);
    heap_fini(&group->timers);
    group_text_set(&group->id, STR_NULL);
    group_text_set(&group->protocol_type, STR_NULL);
    group_text_set(&group->protocol, STR_NULL);
    group_text_set(&group->replaced_id, STR_NULL);
    mem_free(group);
}

bool group_is_idle(const struct group *group)
{
    return group->state == GROUP_EMPTY && group->pending_count == 0;
}

int64_t group_deadline_ms(const struct group *group)
{
    const struct heap_node *first = heap_first(&group->timers);

    return first == NULL ? INT64_MAX : first->key;
}

void group_remove_member(struct group *group, struct group_member *member,
                         int64_t now_ms, struct group_effects *out)
{
    bool was_pending = member->is_pending;

    if (member->join != NULL) {
        group_answer(out, member->join, GROUP_ANSWER_JOIN,
                     ERR_UNKNOWN_MEMBER_ID);
        member->join = NULL;
    }
    if (member->sync != NULL) {
        group_answer(out, member->sync, GROUP_ANSWER_SYNC,
                     ERR_UNKNOWN_MEMBER_ID);
        member->sync = NULL;
    }
    group_member_take_out(group, member);
    group_member_free(member);
    if (!was_pending &&
        (group->state == GROUP_STABLE || group->state == GROUP_COMPLETING)) {
        group_prepare(group, now_ms, out);
    }
    group_try_complete(group, now_ms, out);
}

enum err group_heartbeat(struct group *group, const struct group_caller *caller,
                         int64_t now_ms)
{
    struct group_member *member;
    enum err err = group_find_caller(group, caller->member_id,
                                     caller->instance_id, &member);

    if (err != ERR_NONE) {
        return err;
    }
    if (caller->generation != group->generation) {
        return ERR_ILLEGAL_GENERATION;
    }
    group_member_touch(group, member, now_ms);
    return group->state == GROUP_PREPARING ? ERR_REBALANCE_IN_PROGRESS
                                           : ERR_NONE;
}

enum err group_leave(struct group *group, const struct group_caller *caller,
                     int64_t now_ms, struct group_effects *out)
{
    struct group_member *member = map_find(&group->by_id, caller->member_id);

    if (!str_is_null(caller->instance_id)) {
        struct group_member *known =
            map_find(&group->by_instance, caller->instance_id);

        if (known == NULL) {
            return ERR_UNKNOWN_MEMBER_ID;
        }
        if (caller->member_id.len > 0 &&
            !str_eq(known->id, caller->member_id)) {
            return ERR_FENCED_INSTANCE_ID;
        }
        member = known;
    }
    if (member == NULL) {
        return ERR_UNKNOWN_MEMBER_ID;
    }
    group_remove_member(group, member, now_ms, out);
    group_check(group);
    return ERR_NONE;
}

enum err group_check_commit(struct group *group,
                            const struct group_caller *caller, int64_t now_ms)
{
    struct group_member *member;
    enum err err;

    if (caller->generation < 0 && group->state == GROUP_EMPTY) {
        return ERR_NONE;
    }
    if (caller->generation < 0 && caller->member_id.len == 0 &&
        str_is_null(caller->instance_id)) {
        return ERR_UNKNOWN_MEMBER_ID; /* members alone may commit */
    }
    err = group_find_caller(group, caller->member_id, caller->instance_id,
                            &member);
    if (err != ERR_NONE) {
        return err;
    }
    if (caller->generation != group->generation) {
        return ERR_ILLEGAL_GENERATION;
    }
    if (group->state == GROUP_COMPLETING) {
        return ERR_REBALANCE_IN_PROGRESS;
    }
    group_member_touch(group, member, now_ms);
    return ERR_NONE;
}

void group_tick(struct group *group, int64_t now_ms, struct group_effects *out)
{
    while (group_deadline_ms(group) <= now_ms) {
        struct group_timer *timer =
            container_of(heap_first(&group->timers), struct group_timer, node);

        if (timer->kind == GROUP_TIMER_REBALANCE) {
            group_rebalance_due(group, now_ms, out);
        } else {
            group_remove_member(group,
                                container_of(timer, struct group_member, timer),
                                now_ms, out);
        }
    }
    group_check(group);
}

void group_abandon(struct group *group, enum err err, struct group_effects *out)
{
    list_each(node, &group->members)
    {
        struct group_member *member = group_member_of(node);

        if (member->join != NULL) {
            group_answer(out, member->join, GROUP_ANSWER_JOIN, err);
            member->join = NULL;
        }
        if (member->sync != NULL) {
            group_answer(out, member->sync, GROUP_ANSWER_SYNC, err);
            member->sync = NULL;
        }
    }
}

void group_restore(struct group *group, int32_t generation,
                   struct str protocol_type, struct str protocol)
{
    must(group->state == GROUP_EMPTY && group->members_count == 0);
    group->generation = generation;
    group_text_set(&group->protocol_type, protocol_type);
    group_text_set(&group->protocol, protocol);
}

void group_restore_member(struct group *group,
                          const struct group_member *stored, bool is_leader,
                          int64_t now_ms)
{
    struct group_member *member = group_member_new(stored->id, false);

    group_text_set(&member->instance_id, stored->instance_id);
    group_text_set(&member->client_id, stored->client_id);
    group_text_set(&member->client_host, stored->client_host);
    group_member_set_protocols(member, stored->protocols,
                               stored->protocols_count);
    member->session_timeout_ms = stored->session_timeout_ms;
    member->rebalance_timeout_ms = stored->rebalance_timeout_ms;
    member->is_new = false;
    member->synced = true;
    group_member_add(group, member);
    group_member_assign(group, member, stored->assignment);
    if (is_leader || group->leader == NULL) {
        group->leader = member;
    }
    group->state = GROUP_STABLE;
    group_member_touch(group, member, now_ms);
}
