/* group_sync_core.c - from a generation to what each member owns.
 *
 * Followers wait. The leader's sync brings everybody's assignment: it is taken
 * over, stored, and when group_saved() says so, all who wait are answered.
 *
 * An assignment with which the group is larger than what can be stored would
 * come again after each rebalance. So the newest members go, as many as must,
 * and hear that the group is full; the others have a rebalance, and the group
 * remembers how many it had place for (group->places) until it is empty. Not
 * until it is small: without those that went it is, and what an assignor would
 * give with them cannot be told from that. */
#include "coord/group_private.h"

#include "base/must.h"

/* The parked syncs get an error, the assignments are void. */
void group_reset_assignments(struct group *group, enum err err, int64_t now_ms,
                             struct group_effects *out)
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

/* The newest members go until the rest, with what they were given, can be
 * stored. Those that wait hear why; who asks later is unknown, and joins. */
static void group_shed(struct group *group, int64_t now_ms,
                       struct group_effects *out)
{
    while (group->stored_bytes > group->limits->stored_bytes) {
        struct group_member *newest = group_member_of(group->members.prev);

        if (newest->sync != NULL) {
            group_answer(out, newest->sync, GROUP_ANSWER_SYNC,
                         ERR_GROUP_MAX_SIZE_REACHED);
            newest->sync = NULL;
        }
        group_member_take_out(group, newest);
        group_member_free(newest);
    }
    group->places = MAX(group->members_count, 1);
    group_prepare(group, now_ms, out);
    group_try_complete(group, now_ms, out);
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
        if (group->stored_bytes > group->limits->stored_bytes) {
            group_shed(group, sync->now_ms, out);
            return;
        }
        group->saving = true;
        out->save = true;
        out->saved_wanted = true;
    }
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

/* Those that did not sync in time are out. */
void group_expire_syncs(struct group *group, int64_t now_ms,
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
