/* groups_core.c - each group in an arena of its own. */
#include "meta/groups_core.h"

#include "base/mem.h"

static void stored_group_free(struct stored_group *group)
{
    struct arena arena = group->arena;

    mem_free(group);
    arena_reset(&arena);
}

void groups_fini(struct groups *groups)
{
    size_t at = 0;
    struct str key;
    void *group;

    while (map_next(&groups->by_id, &at, &key, &group)) {
        stored_group_free(group);
    }
    map_fini(&groups->by_id);
}

size_t groups_count(const struct groups *groups)
{
    return map_count(&groups->by_id);
}

const struct stored_group *groups_find(const struct groups *groups,
                                       struct str group_id)
{
    return map_find(&groups->by_id, group_id);
}

bool groups_next(const struct groups *groups, size_t *at,
                 const struct stored_group **out)
{
    struct str key;
    void *group;

    if (!map_next(&groups->by_id, at, &key, &group)) {
        return false;
    }
    *out = group;
    return true;
}

static void stored_member_copy(struct arena *arena, struct stored_member *into,
                               const struct command_save_group_member *from)
{
    *into = (struct stored_member){
        .member_id = arena_str(arena, from->member_id),
        .instance_id = arena_str(arena, from->instance_id),
        .client_id = arena_str(arena, from->client_id),
        .client_host = arena_str(arena, from->client_host),
        .session_timeout_ms = from->session_timeout_ms,
        .rebalance_timeout_ms = from->rebalance_timeout_ms,
        .subscription = arena_str(arena, from->subscription),
        .assignment = arena_str(arena, from->assignment),
    };
}

static struct stored_group *
stored_group_new(const struct command_save_group *from)
{
    struct stored_group *group = MEM_NEW(struct stored_group);
    struct arena *arena = &group->arena;

    group->group_id = arena_str(arena, from->group_id);
    group->generation = from->generation;
    group->protocol_type = arena_str(arena, from->protocol_type);
    group->protocol = arena_str(arena, from->protocol);
    group->leader = arena_str(arena, from->leader);
    group->saved_at_ms = from->at_ms;
    group->members_count = from->members_count;
    group->members = arena_array(arena, (size_t)from->members_count,
                                 sizeof(*group->members));
    for (int32_t i = 0; i < from->members_count; i++) {
        stored_member_copy(arena, &group->members[i], &from->members[i]);
    }
    return group;
}

static void stored_member_row(const struct stored_group *group, int32_t place,
                              struct rows *rows)
{
    const struct stored_member *m = &group->members[place];

    rows_add(rows, ROW_MEMBER_PUT);
    rows_text(rows, group->group_id);
    rows_text(rows, m->member_id);
    rows_text(rows, m->instance_id);
    rows_text(rows, m->client_id);
    rows_text(rows, m->client_host);
    rows_i64(rows, m->session_timeout_ms);
    rows_i64(rows, m->rebalance_timeout_ms);
    rows_blob(rows, m->subscription);
    rows_blob(rows, m->assignment);
    rows_i64(rows, place);
}

void groups_save(struct groups *groups,
                 const struct command_save_group *command, struct rows *rows)
{
    struct stored_group *group = stored_group_new(command);
    struct stored_group *before =
        map_put(&groups->by_id, group->group_id, group);

    if (rows != NULL) {
        if (before != NULL && before->members_count > 0) {
            rows_add(rows, ROW_MEMBERS_DELETE);
            rows_text(rows, group->group_id);
        }
        rows_add(rows, ROW_GROUP_PUT);
        rows_text(rows, group->group_id);
        rows_i64(rows, group->generation);
        rows_text(rows, group->protocol_type);
        rows_text(rows, group->protocol);
        rows_text(rows, group->leader);
        rows_i64(rows, group->saved_at_ms);
        for (int32_t i = 0; i < group->members_count; i++) {
            stored_member_row(group, i, rows);
        }
    }
    if (before != NULL) {
        stored_group_free(before);
    }
}

bool groups_delete(struct groups *groups, struct str group_id,
                   struct rows *rows)
{
    struct stored_group *group = map_remove(&groups->by_id, group_id);

    if (group == NULL) {
        return false;
    }
    if (group->members_count > 0) {
        rows_add(rows, ROW_MEMBERS_DELETE);
        rows_text(rows, group->group_id);
    }
    rows_add(rows, ROW_GROUP_DELETE);
    rows_text(rows, group->group_id);
    stored_group_free(group);
    return true;
}
