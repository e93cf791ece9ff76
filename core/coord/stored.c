/* stored.c - a group as the command that stores it, and back. */
#include "coord/coordinator_private.h"

static struct str stored_text(struct arena *arena, struct str text)
{
    return str_is_null(text) ? STR_LIT("") : arena_str(arena, text);
}

static void stored_from_member(const struct group *group,
                               const struct group_member *member,
                               struct arena *arena,
                               struct command_save_group_member *out)
{
    *out = (struct command_save_group_member){
        .member_id = stored_text(arena, member->id),
        .instance_id = arena_str(arena, member->instance_id),
        .client_id = stored_text(arena, member->client_id),
        .client_host = stored_text(arena, member->client_host),
        .session_timeout_ms = member->session_timeout_ms,
        .rebalance_timeout_ms = member->rebalance_timeout_ms,
        .subscription =
            stored_text(arena, group_member_metadata(group, member)),
        .assignment = stored_text(arena, member->assignment)};
}

void stored_from_group(const struct group *group, struct arena *arena,
                       struct command_save_group *out)
{
    int32_t count = 0;

    *out = (struct command_save_group){
        .group_id = arena_str(arena, group->id),
        .generation = group->generation,
        .protocol_type = stored_text(arena, group->protocol_type),
        .protocol = arena_str(arena, group->protocol),
        .leader = STR_NULL,
        .members =
            arena_array(arena, group->members_count, sizeof(*out->members))};
    if (group->leader != NULL) {
        out->leader = arena_str(arena, group->leader->id);
    }
    list_each(node, &group->members)
    {
        stored_from_member(group, container_of(node, struct group_member, node),
                           arena, &out->members[count++]);
    }
    out->members_count = count;
}

/* The stored member has one protocol: the one that was chosen. */
static void stored_to_member(const struct stored_group *stored,
                             const struct stored_member *from,
                             struct group *group, int64_t now_ms)
{
    struct group_protocol protocol = {.name = stored->protocol,
                                      .metadata = from->subscription};
    struct group_member member = {
        .id = from->member_id,
        .instance_id = from->instance_id,
        .client_id = from->client_id,
        .client_host = from->client_host,
        .session_timeout_ms = from->session_timeout_ms,
        .rebalance_timeout_ms = from->rebalance_timeout_ms,
        .protocols = &protocol,
        .protocols_count = 1,
        .assignment = from->assignment};

    group_restore_member(group, &member,
                         !str_is_null(stored->leader) &&
                             str_eq(stored->leader, from->member_id),
                         now_ms);
}

struct group *stored_to_group(const struct stored_group *stored,
                              const struct group_limits *limits, int64_t now_ms)
{
    struct group *group = group_open(stored->group_id, limits);

    group_restore(group, stored->generation, stored->protocol_type,
                  stored->protocol);
    for (int32_t i = 0; i < stored->members_count; i++) {
        stored_to_member(stored, &stored->members[i], group, now_ms);
    }
    group_check(group);
    return group;
}
