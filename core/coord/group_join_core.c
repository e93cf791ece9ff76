/* group_join_core.c - who may join a group, and what a join does to it. */
#include "base/must.h"
#include "coord/group_private.h"

static void group_refuse(const struct group_join *join, enum err err,
                         struct str member_id, struct group_effects *out)
{
    group_answer(out, join->token, GROUP_ANSWER_JOIN, err)->member_id =
        member_id;
}

/* Whether the group and the newcomer have a way to assign in common. */
static bool group_supports(const struct group *group,
                           const struct group_join *join)
{
    if (join->protocols_count == 0 || join->protocol_type.len == 0) {
        return false;
    }
    if (group->members_count == 0) {
        return true;
    }
    if (!str_eq(join->protocol_type, group->protocol_type)) {
        return false;
    }
    for (int32_t i = 0; i < join->protocols_count; i++) {
        bool all = true;

        list_each(node, &group->members)
        {
            all = all && group_member_find_protocol(
                             group_member_of(node),
                             join->protocols[i].name) != NULL;
        }
        if (all) {
            return true;
        }
    }
    return false;
}

static bool group_is_full(const struct group *group,
                          const struct group_join *join)
{
    const struct group_member *member =
        group_find_member(group, join->member_id);
    uint32_t waiting = 0;

    if (group->state == GROUP_EMPTY) {
        return false;
    }
    if (group->state != GROUP_PREPARING) {
        return member == NULL && group->members_count >= group->limits->members;
    }
    list_each(node, &group->members)
    {
        waiting += group_member_of(node)->join != NULL ? 1 : 0;
    }
    return (member == NULL || member->join == NULL) &&
           waiting >= group->limits->members;
}

static enum err group_check_join(const struct group *group,
                                 const struct group_join *join)
{
    if (join->session_timeout_ms < group->limits->session_ms_min ||
        join->session_timeout_ms > group->limits->session_ms_max) {
        return ERR_INVALID_SESSION_TIMEOUT;
    }
    if (group_is_full(group, join)) {
        return ERR_GROUP_MAX_SIZE_REACHED;
    }
    return group_supports(group, join) ? ERR_NONE
                                       : ERR_INCONSISTENT_GROUP_PROTOCOL;
}

/* Takes over what the join says of its member. */
static void group_describe(struct group_member *member,
                           const struct group_join *join)
{
    group_text_set(&member->client_id, join->client_id);
    group_text_set(&member->client_host, join->client_host);
    member->session_timeout_ms = join->session_timeout_ms;
    member->rebalance_timeout_ms = join->rebalance_timeout_ms;
    group_member_set_protocols(member, join->protocols, join->protocols_count);
}

/* Parks the join; one that is parked already is from a connection that is gone
 * or gives up. */
static void group_park(struct group *group, struct group_member *member,
                       const struct group_join *join, struct group_effects *out)
{
    if (member->join != NULL) {
        group_answer(out, member->join, GROUP_ANSWER_JOIN,
                     ERR_REBALANCE_IN_PROGRESS)
            ->member_id = member->id;
    }
    member->join = join->token;
    group_member_touch(group, member, join->now_ms);
}

/* The member takes part in the next generation. */
static void group_rejoin(struct group *group, struct group_member *member,
                         const struct group_join *join,
                         struct group_effects *out)
{
    group_prepare(group, join->now_ms, out);
    group_describe(member, join);
    group_park(group, member, join, out);
    group_try_complete(group, join->now_ms, out);
}

static void group_add(struct group *group, struct str id,
                      const struct group_join *join, struct group_effects *out)
{
    struct group_member *member = group_member_new(id, false);

    group_text_set(&member->instance_id, join->instance_id);
    group_describe(member, join);
    if (group->members_count == 0) {
        group_text_set(&group->protocol_type, join->protocol_type);
        group->leader = member;
    }
    /* The state is left before the member is in: an empty group is one that
     * has no members. The longest rebalance time-out counts the newcomer. */
    group_member_add(group, member);
    group_prepare(group, join->now_ms, out);
    group->new_member_added = true;
    group_park(group, member, join, out);
    group_try_complete(group, join->now_ms, out);
}

/* The protocol's choice would be the same with the newcomer's list. */
static bool group_keeps_protocol(const struct group *group,
                                 const struct group_join *join)
{
    for (int32_t i = 0; i < join->protocols_count; i++) {
        if (str_eq(join->protocols[i].name, group->protocol)) {
            return true;
        }
    }
    return false;
}

/* A static member that has started anew: its old self's place, a new id.
 * Source: KIP-345; KIP-814 for the leader. */
static void group_replace(struct group *group, struct group_member *member,
                          const struct group_join *join,
                          struct group_effects *out)
{
    bool keeps = group->state == GROUP_STABLE &&
                 group_keeps_protocol(group, join);
    bool led = group->leader == member;
    struct group_answer *answer;

    if (member->join != NULL) {
        group_answer(out, member->join, GROUP_ANSWER_JOIN,
                     ERR_FENCED_INSTANCE_ID)
            ->member_id = member->id;
        member->join = NULL;
    }
    if (member->sync != NULL) {
        group_answer(out, member->sync, GROUP_ANSWER_SYNC,
                     ERR_FENCED_INSTANCE_ID);
        member->sync = NULL;
    }
    map_remove(&group->by_id, member->id);
    group_text_set(&member->id, join->new_member_id);
    map_put(&group->by_id, member->id, member);
    if (!keeps) {
        group_rejoin(group, member, join, out);
        return;
    }
    group_describe(member, join);
    group->protocol = group_member_find_protocol(member, group->protocol)->name;
    group_member_touch(group, member, join->now_ms);
    answer = group_answer(out, join->token, GROUP_ANSWER_JOIN, ERR_NONE);
    answer->member_id = member->id;
    answer->generation = group->generation;
    answer->leader_id = group->leader->id;
    answer->with_members = led && join->can_skip;
    answer->skip_assignment = led && join->can_skip;
    if (led && !join->can_skip) {
        /* Not its own id: or it would assign, and nobody would ask for it. */
        answer->leader_id = STR_LIT("");
    }
    out->save = true;
    out->answers_after_save = true;
}

static void group_join_new(struct group *group, const struct group_join *join,
                           struct group_effects *out)
{
    struct group_member *known =
        str_is_null(join->instance_id)
            ? NULL
            : map_find(&group->by_instance, join->instance_id);

    if (known != NULL) {
        group_replace(group, known, join, out);
        return;
    }
    if (join->id_required && str_is_null(join->instance_id)) {
        struct group_member *pending =
            group_member_new(join->new_member_id, true);

        pending->session_timeout_ms = join->session_timeout_ms;
        group_member_add(group, pending);
        group_member_touch(group, pending, join->now_ms);
        group_refuse(join, ERR_MEMBER_ID_REQUIRED, pending->id, out);
        return;
    }
    group_add(group, join->new_member_id, join, out);
}

/* An id that was handed out becomes a member. */
static void group_join_pending(struct group *group,
                               struct group_member *pending,
                               const struct group_join *join,
                               struct group_effects *out)
{
    group_member_take_out(group, pending);
    group_member_free(pending);
    group_add(group, join->member_id, join, out);
}

static void group_join_known(struct group *group, struct group_member *member,
                             const struct group_join *join,
                             struct group_effects *out)
{
    bool same = group_member_has_protocols(member, join->protocols,
                                           join->protocols_count);
    bool stays = (group->state == GROUP_COMPLETING && same) ||
                 (group->state == GROUP_STABLE && same &&
                  member != group->leader);

    if (!stays) {
        group_rejoin(group, member, join, out);
        return;
    }
    group_member_touch(group, member, join->now_ms);
    group_answer_join(group, member, join->token, out);
    if (group->state == GROUP_STABLE) {
        out->answers[out->answers_count - 1].with_members = false;
    }
}

void group_join(struct group *group, const struct group_join *join,
                struct group_effects *out)
{
    enum err err = group_check_join(group, join);
    struct group_member *member;

    if (err != ERR_NONE) {
        group_refuse(join, err, join->member_id, out);
        return;
    }
    if (join->member_id.len == 0) {
        group_join_new(group, join, out);
        group_check(group);
        return;
    }
    member = map_find(&group->by_id, join->member_id);
    if (member != NULL && member->is_pending) {
        group_join_pending(group, member, join, out);
        group_check(group);
        return;
    }
    err = group_find_caller(group, join->member_id, join->instance_id, &member);
    if (err != ERR_NONE) {
        group_refuse(join, err, join->member_id, out);
        return;
    }
    group_join_known(group, member, join, out);
    group_check(group);
}
