/* group_join_core.c - who may join a group, and what a join does to it.
 *
 * group_join() refuses what no group takes, turns away whom a full one has no
 * place for, and hands on by who asks:
 *
 *   nobody yet, an unknown instance  group_join_new(): a member, or an id first
 *   a known instance without an id   group_replace(): the same member, new id
 *   an id that was handed out        group_join_pending(): becomes a member
 *   a member                         group_join_known(): again, or at once
 *
 * All that take part in the next generation come through group_rejoin(): the
 * rebalance begins, unless one is under way, the join is parked, and the
 * rebalance ends when nobody is missing. */
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
    if (join->protocols_count == 0 ||
        join->protocols_count > GROUP_PROTOCOLS_MAX ||
        join->protocol_type.len == 0) {
        return false;
    }
    if (group->members_count == 0) {
        return true;
    }
    if (!str_eq(join->protocol_type, group->protocol_type)) {
        return false;
    }
    for (int32_t i = 0; i < join->protocols_count; i++) {
        if (group_count_protocol(group, join->protocols[i].name) ==
            group->members_count) {
            return true;
        }
    }
    return false;
}

/* Whether a member will be of the next generation, as far as is known: who is
 * expected may not come; static members stay a while. */
static bool group_keeps(const struct group *group,
                        const struct group_member *member)
{
    return group->state != GROUP_PREPARING || member->join != NULL ||
           !str_is_null(member->instance_id);
}

/* Whether the group, with what the join says of its member, could not be
 * stored. */
static bool group_outgrows(const struct group *group,
                           const struct group_member *member,
                           const struct group_join *join)
{
    uint64_t bytes =
        GROUP_STORED_MEMBER_BYTES +
        MAX(join->member_id.len, join->new_member_id.len) +
        join->instance_id.len + join->client_id.len + join->client_host.len +
        group_protocols_longest(join->protocols, join->protocols_count);

    list_each(node, &group->members)
    {
        if (group_keeps(group, group_member_of(node))) {
            bytes += group_member_of(node)->stored_bytes;
        }
    }
    if (member != NULL) { /* it is described anew, and owns what it owned */
        bytes += member->assignment.len;
        bytes -= group_keeps(group, member) ? member->stored_bytes : 0;
    }
    return bytes > group->limits->stored_bytes;
}

/* While a group prepares, those that have joined count: members that are still
 * expected may not come. Not so against group->places: whom the last shedding
 * left is expected back, and nobody else takes a place before. Ids that were
 * handed out count beside the members: they cost memory too. */
static bool group_is_full(const struct group *group,
                          const struct group_join *join)
{
    const struct group_member *member =
        map_find(&group->by_id, join->member_id);
    uint32_t places = MIN(group->limits->members, group->places);
    uint32_t waiting = 0;

    if (member == NULL && !str_is_null(join->instance_id)) {
        member = map_find(&group->by_instance, join->instance_id);
    }
    if (member == NULL && group->pending_count >= group->limits->members) {
        return true;
    }
    if (member != NULL && member->is_pending) {
        member = NULL;
    }
    if (group_outgrows(group, member, join)) {
        return true;
    }
    if (group->state == GROUP_EMPTY) {
        return false;
    }
    if (member == NULL && group->members_count >= group->places) {
        return true;
    }
    if (group->state != GROUP_PREPARING) {
        return member == NULL && group->members_count >= places;
    }
    list_each(node, &group->members)
    {
        waiting += group_member_of(node)->join != NULL ? 1 : 0;
    }
    return (member == NULL || member->join == NULL) && waiting >= places;
}

/* Takes over what the join says of its member. */
static void group_describe(struct group *group, struct group_member *member,
                           const struct group_join *join)
{
    group_text_set(&member->client_id, join->client_id);
    group_text_set(&member->client_host, join->client_host);
    member->session_timeout_ms = join->session_timeout_ms;
    member->rebalance_timeout_ms =
        MAX(join->rebalance_timeout_ms, GROUP_REBALANCE_MS_MIN);
    group_member_set_protocols(member, join->protocols, join->protocols_count);
    group_member_weigh(group, member);
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

/* The member, which is described already, takes part in the next generation. */
static void group_rejoin(struct group *group, struct group_member *member,
                         const struct group_join *join,
                         struct group_effects *out)
{
    group_prepare(group, join->now_ms, out);
    group_park(group, member, join, out);
    group_try_complete(group, join->now_ms, out);
}

static void group_add(struct group *group, struct str id,
                      const struct group_join *join, struct group_effects *out)
{
    struct group_member *member = group_member_new(id, false);

    /* Whoever comes while the initial delay runs may extend it; the first one
     * has started it. */
    group->new_member_added = group->state == GROUP_PREPARING && group->initial;
    group_text_set(&member->instance_id, join->instance_id);
    if (group->members_count == 0) {
        group_text_set(&group->protocol_type, join->protocol_type);
        group->leader = member;
    }
    group_describe(group, member, join);
    group_member_add(group, member);
    group_rejoin(group, member, join, out);
}

/* What the static member, which has started anew under another id, is told
 * when nothing else changes. Who led leads on, but need not assign again;
 * before version 9 that cannot be said, so it hears that its old self leads.
 * Source: KIP-345, KIP-814. */
static void group_answer_replaced(struct group *group,
                                  struct group_member *member,
                                  const struct group_join *join,
                                  struct group_effects *out)
{
    bool leads = group->leader == member;

    group_member_touch(group, member, join->now_ms);
    group_answer_join(group, member, join->token, out);
    if (leads && !join->can_skip) {
        out->answers[out->answers_count - 1].leader_id = group->replaced_id;
        out->answers[out->answers_count - 1].with_members = false;
    }
    out->answers[out->answers_count - 1].skip_assignment =
        leads && join->can_skip;
    out->save = true;
    out->answers_after_save = true;
}

/* A static member that has started anew: its old self's place, a new id. */
static void group_replace(struct group *group, struct group_member *member,
                          const struct group_join *join,
                          struct group_effects *out)
{
    group_text_set(&group->replaced_id, member->id);
    if (member->join != NULL) {
        group_answer(out, member->join, GROUP_ANSWER_JOIN,
                     ERR_FENCED_INSTANCE_ID)
            ->member_id = group->replaced_id;
        member->join = NULL;
    }
    if (member->sync != NULL) {
        group_answer(out, member->sync, GROUP_ANSWER_SYNC,
                     ERR_FENCED_INSTANCE_ID);
        member->sync = NULL;
    }
    map_remove(&group->by_id, member->id);
    group_text_set(&member->id, join->new_member_id);
    must(map_put(&group->by_id, member->id, member) == NULL);
    group_describe(group, member, join);
    if (group->state == GROUP_STABLE &&
        str_eq(group_select_protocol(group), group->protocol)) {
        group_answer_replaced(group, member, join, out);
    } else {
        group_rejoin(group, member, join, out);
    }
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

    if (same && (group->state == GROUP_COMPLETING ||
                 (group->state == GROUP_STABLE && member != group->leader))) {
        group_member_touch(group, member, join->now_ms);
        group_answer_join(group, member, join->token, out);
        return;
    }
    group_describe(group, member, join);
    group_rejoin(group, member, join, out);
}

/* A full group keeps no id for whom it has no place. */
static void group_turn_away(struct group *group, const struct group_join *join,
                            struct group_effects *out)
{
    struct group_member *member = map_find(&group->by_id, join->member_id);

    group_refuse(join, ERR_GROUP_MAX_SIZE_REACHED, join->member_id, out);
    if (member != NULL) {
        group_remove_member(group, member, join->now_ms, out);
    }
}

static void group_join_checked(struct group *group,
                               const struct group_join *join,
                               struct group_effects *out)
{
    struct group_member *member = map_find(&group->by_id, join->member_id);
    enum err err;

    if (join->member_id.len == 0) {
        group_join_new(group, join, out);
        return;
    }
    if (member != NULL && member->is_pending &&
        str_is_null(join->instance_id)) {
        group_join_pending(group, member, join, out);
        return;
    }
    err = group_find_caller(group, join->member_id, join->instance_id, &member);
    if (err != ERR_NONE) {
        group_refuse(join, err, join->member_id, out);
        return;
    }
    group_join_known(group, member, join, out);
}

void group_join(struct group *group, const struct group_join *join,
                struct group_effects *out)
{
    enum group_state before = group->state;

    if (join->session_timeout_ms < group->limits->session_ms_min ||
        join->session_timeout_ms > group->limits->session_ms_max) {
        group_refuse(join, ERR_INVALID_SESSION_TIMEOUT, join->member_id, out);
    } else if (group_is_full(group, join)) {
        group_turn_away(group, join, out);
    } else if (!group_supports(group, join)) {
        group_refuse(join, ERR_INCONSISTENT_GROUP_PROTOCOL, join->member_id,
                     out);
    } else {
        group_join_checked(group, join, out);
    }
    if (group->state != before) {
        group_check(group);
    }
}
