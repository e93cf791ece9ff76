/* group_member_core.c - one member: its texts, its session, its place in the
 * group's lists. */
#include "base/mem.h"
#include "base/must.h"
#include "coord/group_private.h"

void group_text_set(struct str *text, struct str value)
{
    char *copy = str_dup(value);

    mem_free((void *)(uintptr_t)text->ptr);
    *text = (struct str){copy, value.len};
}

struct group_member *group_member_new(struct str id, bool is_pending)
{
    struct group_member *member = MEM_NEW(struct group_member);

    group_text_set(&member->id, id);
    member->is_pending = is_pending;
    member->is_new = true;
    list_init(&member->node);
    return member;
}

static void group_member_free_protocols(struct group_member *member)
{
    for (int32_t i = 0; i < member->protocols_count; i++) {
        group_text_set(&member->protocols[i].name, STR_NULL);
        group_text_set(&member->protocols[i].metadata, STR_NULL);
    }
    mem_free(member->protocols);
    member->protocols = NULL;
    member->protocols_count = 0;
}

void group_member_free(struct group_member *member)
{
    must(member->join == NULL && member->sync == NULL);
    must(member->timer.node.place == 0);
    group_member_free_protocols(member);
    group_text_set(&member->id, STR_NULL);
    group_text_set(&member->instance_id, STR_NULL);
    group_text_set(&member->client_id, STR_NULL);
    group_text_set(&member->client_host, STR_NULL);
    group_text_set(&member->assignment, STR_NULL);
    mem_free(member);
}

void group_member_set_protocols(struct group_member *member,
                                const struct group_protocol *protocols,
                                int32_t count)
{
    struct group_protocol *copies = mem_zalloc((size_t)count * sizeof(*copies));

    for (int32_t i = 0; i < count; i++) {
        group_text_set(&copies[i].name, protocols[i].name);
        group_text_set(&copies[i].metadata, protocols[i].metadata);
    }
    group_member_free_protocols(member);
    member->protocols = copies;
    member->protocols_count = count;
}

bool group_member_has_protocols(const struct group_member *member,
                                const struct group_protocol *protocols,
                                int32_t count)
{
    if (count != member->protocols_count) {
        return false;
    }
    for (int32_t i = 0; i < count; i++) {
        if (!str_eq(protocols[i].name, member->protocols[i].name) ||
            !str_eq(protocols[i].metadata, member->protocols[i].metadata)) {
            return false;
        }
    }
    return true;
}

const struct group_protocol *
group_member_find_protocol(const struct group_member *member, struct str name)
{
    for (int32_t i = 0; i < member->protocols_count; i++) {
        if (str_eq(member->protocols[i].name, name)) {
            return &member->protocols[i];
        }
    }
    return NULL;
}

void group_member_touch(struct group *group, struct group_member *member,
                        int64_t now_ms)
{
    int64_t span_ms = member->session_timeout_ms;

    if (member->join != NULL) {
        if (!member->is_new) {
            group_member_suspend(group, member);
            return;
        }
        span_ms = GROUP_NEW_MEMBER_MS;
    } else if (member->sync != NULL) {
        group_member_suspend(group, member);
        return;
    }
    heap_put(&group->timers, &member->timer.node, now_ms + span_ms);
}

void group_member_suspend(struct group *group, struct group_member *member)
{
    heap_remove(&group->timers, &member->timer.node);
}

uint64_t group_protocols_longest(const struct group_protocol *protocols,
                                 int32_t count)
{
    uint64_t longest = 0;

    for (int32_t i = 0; i < count; i++) {
        longest = MAX(longest, protocols[i].metadata.len);
    }
    return longest;
}

void group_member_weigh(struct group *group, struct group_member *member)
{
    uint64_t texts = member->id.len + member->instance_id.len +
                     member->client_id.len + member->client_host.len +
                     member->assignment.len;
    uint64_t bytes = sizeof(*member) + texts;
    uint64_t stored =
        GROUP_STORED_MEMBER_BYTES + texts +
        group_protocols_longest(member->protocols, member->protocols_count);

    for (int32_t i = 0; i < member->protocols_count; i++) {
        bytes += sizeof(member->protocols[i]) + member->protocols[i].name.len +
                 member->protocols[i].metadata.len;
    }
    stored = member->is_pending ? 0 : stored;
    group->bytes += bytes - member->bytes;
    member->bytes = bytes;
    group->stored_bytes += stored - member->stored_bytes;
    member->stored_bytes = stored;
}

void group_member_assign(struct group *group, struct group_member *member,
                         struct str assignment)
{
    group_text_set(&member->assignment, assignment);
    group_member_weigh(group, member);
}

void group_member_add(struct group *group, struct group_member *member)
{
    must(map_put(&group->by_id, member->id, member) == NULL);
    group_member_weigh(group, member);
    if (member->is_pending) {
        list_push(&group->pending, &member->node);
        group->pending_count++;
        return;
    }
    list_push(&group->members, &member->node);
    group->members_count++;
    if (!str_is_null(member->instance_id)) {
        map_put(&group->by_instance, member->instance_id, member);
    }
}

void group_member_take_out(struct group *group, struct group_member *member)
{
    group_member_suspend(group, member);
    list_remove(&member->node);
    map_remove(&group->by_id, member->id);
    group->bytes -= member->bytes;
    member->bytes = 0;
    group->stored_bytes -= member->stored_bytes;
    member->stored_bytes = 0;
    if (member->is_pending) {
        group->pending_count--;
        return;
    }
    group->members_count--;
    if (!str_is_null(member->instance_id) &&
        map_find(&group->by_instance, member->instance_id) == member) {
        map_remove(&group->by_instance, member->instance_id);
    }
    if (group->leader == member) {
        group->leader = list_is_empty(&group->members)
                            ? NULL
                            : group_member_of(group->members.next);
    }
}

struct group_member *group_find_member(const struct group *group,
                                       struct str member_id)
{
    struct group_member *member = map_find(&group->by_id, member_id);

    return member == NULL || member->is_pending ? NULL : member;
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

struct str group_member_metadata(const struct group *group,
                                 const struct group_member *member)
{
    const struct group_protocol *protocol =
        group_member_find_protocol(member, group->protocol);

    return protocol == NULL ? STR_LIT("") : protocol->metadata;
}
