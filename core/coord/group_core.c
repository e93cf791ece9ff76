/* group_core.c - rebalances, syncs, heartbeats, time-outs.
 *
 * The drawing of the states is in group_core.h; joining is in
 * group_join_core.c. */
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

static void group_move(struct group *group, enum group_state state)
{
    must(transitions[group->state][state]);
    group->state = state;
}

void group_check(const struct group *group)
{
    uint32_t count = 0;

    list_each(node, &group->members)
    {
        const struct group_member *member = group_member_of(node);

        count++;
        must(!member->is_pending);
        must(map_find(&group->by_id, member->id) == member);
        must(member->join == NULL || group->state == GROUP_PREPARING);
        must(member->sync == NULL || group->state == GROUP_COMPLETING);
    }
    must(count == group->members_count);
    must((group->state == GROUP_EMPTY) ==
         (count == 0 && group->state != GROUP_PREPARING));
    must(count == 0 || group->leader != NULL);
    must(group->rebalance.node.place == 0 || group->state != GROUP_EMPTY);
}

struct group *group_open(struct str id, const struct group_limits *limits)
{
    struct group *group = MEM_NEW(struct group);

    group_text_set(&group->id, id);
    group->limits = limits;
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

struct group_answer *group_answer(struct group_effects *out, void *token,
                                  enum group_answer_kind kind, enum err err)
{
    struct group_answer *answer;

    must(token != NULL);
    if (out->answers_count == out->answers_capacity) {
        out->answers_capacity = MAX(8, 2 * out->answers_capacity);
        out->answers = mem_realloc(out->answers, out->answers_capacity *
                                                     sizeof(*out->answers));
    }
    answer = &out->answers[out->answers_count++];
    *answer = (struct group_answer){.token = token,
                                    .kind = kind,
                                    .err = err,
                                    .member_id = STR_LIT(""),
                                    .generation = -1,
                                    .leader_id = STR_LIT(""),
                                    .assignment = STR_LIT("")};
    return answer;
}

void group_effects_clear(struct group_effects *effects)
{
    effects->answers_count = 0;
    effects->save = false;
    effects->saved_wanted = false;
    effects->answers_after_save = false;
}

void group_effects_fini(struct group_effects *effects)
{
    mem_free(effects->answers);
    *effects = (struct group_effects){0};
}

int64_t group_deadline_ms(const struct group *group)
{
    const struct heap_node *first = heap_first(&group->timers);

    return first == NULL ? INT64_MAX : first->key;
}

enum err group_find_caller(const struct group *group, struct str member_id,
                           struct str instance_id, struct group_member **out)
{
    struct group_member *member = group_find_member(group, member_id);

    if (!str_is_null(instance_id)) {
        struct group_member *known = map_find(&group->by_instance, instance_id);

        if (known == NULL) {
            return ERR_UNKNOWN_MEMBER_ID;
        }
        if (!str_eq(known->id, member_id)) {
            return ERR_FENCED_INSTANCE_ID;
        }
        member = known;
    }
    *out = member;
    return member == NULL ? ERR_UNKNOWN_MEMBER_ID : ERR_NONE;
}

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

/* The parked syncs get an error, the assignments are void. */
static void group_reset_assignments(struct group *group, enum err err,
                                    int64_t now_ms, struct group_effects *out)
{
    list_each(node, &group->members)
    {
        struct group_member *member = group_member_of(node);

        group_member_assign(group, member, STR_LIT(""));
        if (member->sync != NULL) {
            group_answer(out, member->sync, GROUP_ANSWER_SYNC, err);
            member->sync = NULL;
            group_member_touch(group, member, now_ms);
        }
    }
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

/* Whether every member can do it. */
static bool group_all_have(const struct group *group, struct str protocol)
{
    list_each(node, &group->members)
    {
        if (group_member_find_protocol(group_member_of(node), protocol) ==
            NULL) {
            return false;
        }
    }
    return true;
}

/* How many members like this protocol best of those that all have. */
static uint32_t group_votes(const struct group *group, struct str protocol)
{
    uint32_t votes = 0;

    list_each(node, &group->members)
    {
        const struct group_member *member = group_member_of(node);

        for (int32_t i = 0; i < member->protocols_count; i++) {
            if (group_all_have(group, member->protocols[i].name)) {
                votes += str_eq(member->protocols[i].name, protocol) ? 1 : 0;
                break;
            }
        }
    }
    return votes;
}

/* Most votes win; of equals, the one that the first member prefers. */
struct str group_select_protocol(const struct group *group)
{
    const struct group_member *first = group_member_of(group->members.next);
    struct str best = STR_NULL;
    uint32_t best_votes = 0;

    for (int32_t i = 0; i < first->protocols_count; i++) {
        struct str name = first->protocols[i].name;

        if (group_all_have(group, name)) {
            uint32_t votes = group_votes(group, name);

            if (str_is_null(best) || votes > best_votes) {
                best = name;
                best_votes = votes;
            }
        }
    }
    return best;
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

/* The leader's word for each member; who is not named gets nothing. */
static void group_take_assignments(struct group *group,
                                   const struct group_sync *sync)
{
    list_each(node, &group->members)
    {
        group_member_assign(group, group_member_of(node), STR_LIT(""));
    }
    for (int32_t i = 0; i < sync->assignments_count; i++) {
        struct group_member *member =
            group_find_member(group, sync->assignments[i].name);

        if (member != NULL) {
            group_member_assign(group, member, sync->assignments[i].metadata);
        }
    }
}

static void group_answer_sync(struct group_member *member, void *token,
                              struct group_effects *out)
{
    struct group_answer *answer =
        group_answer(out, token, GROUP_ANSWER_SYNC, ERR_NONE);

    answer->assignment = member->assignment;
}

static enum err group_check_sync(const struct group *group,
                                 const struct group_sync *sync,
                                 struct group_member **member)
{
    enum err err =
        group_find_caller(group, sync->member_id, sync->instance_id, member);

    if (err != ERR_NONE) {
        return err;
    }
    if (sync->generation != group->generation) {
        return ERR_ILLEGAL_GENERATION;
    }
    if ((!str_is_null(sync->protocol_type) &&
         !str_eq(sync->protocol_type, group->protocol_type)) ||
        (!str_is_null(sync->protocol) && !str_is_null(group->protocol) &&
         !str_eq(sync->protocol, group->protocol))) {
        return ERR_INCONSISTENT_GROUP_PROTOCOL;
    }
    return group->state == GROUP_PREPARING ? ERR_REBALANCE_IN_PROGRESS
                                           : ERR_NONE;
}

/* The time to sync is not watched any more once everybody has. */
static void group_synced(struct group *group, struct group_member *member)
{
    member->synced = true;
    list_each(node, &group->members)
    {
        if (!group_member_of(node)->synced) {
            return;
        }
    }
    heap_remove(&group->timers, &group->rebalance.node);
}

void group_sync(struct group *group, const struct group_sync *sync,
                struct group_effects *out)
{
    struct group_member *member;
    enum err err = group_check_sync(group, sync, &member);

    if (err != ERR_NONE) {
        group_answer(out, sync->token, GROUP_ANSWER_SYNC, err);
        return;
    }
    group_synced(group, member);
    if (group->state == GROUP_STABLE) {
        group_answer_sync(member, sync->token, out);
        group_member_touch(group, member, sync->now_ms);
        return;
    }
    if (member->sync != NULL) { /* asked again, over another connection */
        group_answer(out, member->sync, GROUP_ANSWER_SYNC,
                     ERR_REBALANCE_IN_PROGRESS);
    }
    member->sync = sync->token;
    group_member_suspend(group, member);
    if (member == group->leader && !group->saving) {
        group_take_assignments(group, sync);
        group->saving = true;
        out->save = true;
        out->saved_wanted = true;
    }
    group_check(group);
}

void group_saved(struct group *group, int32_t generation, enum err err,
                 int64_t now_ms, struct group_effects *out)
{
    if (group->state != GROUP_COMPLETING || group->generation != generation ||
        !group->saving) {
        return; /* the group has moved on */
    }
    group->saving = false;
    if (err != ERR_NONE) {
        group_reset_assignments(group, err, now_ms, out);
        group_prepare(group, now_ms, out);
        return;
    }
    group_move(group, GROUP_STABLE);
    list_each(node, &group->members)
    {
        struct group_member *member = group_member_of(node);

        if (member->sync != NULL) {
            group_answer_sync(member, member->sync, out);
            member->sync = NULL;
            group_member_touch(group, member, now_ms);
        }
    }
    group_check(group);
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

/* Those that did not sync in time are out. */
static void group_expire_syncs(struct group *group, int64_t now_ms,
                               struct group_effects *out)
{
    bool removed = false;

    list_each_safe(node, &group->members)
    {
        struct group_member *member = group_member_of(node);

        if (!member->synced) {
            group_member_take_out(group, member);
            group_member_free(member);
            removed = true;
        }
    }
    if (removed) {
        group_prepare(group, now_ms, out);
        group_try_complete(group, now_ms, out);
    }
}

static void group_rebalance_due(struct group *group, int64_t now_ms,
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
