/* member.c - a member of a consumer group: join, sync, heartbeat, commit.
 *
 * member_join() goes on until it is assigned something or cannot be:
 * 1. the coordinator is found;
 * 2. JoinGroup; a first answer may only give the member its id;
 * 3. as the leader it assigns, for all;
 * 4. SyncGroup brings the assignment.
 * What a coordinator answers while it moves, loads or rebalances is tried
 * again.
 *
 *  (no id) -- MEMBER_ID_REQUIRED --> (id) -- joined, synced --> (generation)
 *     ^                                ^                              |
 *     |  UNKNOWN_MEMBER_ID, fenced     |  REBALANCE, ILLEGAL_GENERATION
 *     +--------------------------------+------------------------------+
 *
 * Failure modes:
 * - The coordinator is elsewhere or away: forgotten, looked for next time.
 * - One lost heartbeat is no failure: the session lasts longer than two.
 * - A leader's assignment that cannot be read: told, not guessed at.
 *
 * Invariants:
 * 1. id is never NULL; "" means that the coordinator does not know us.
 * 2. partitions are of the last assignment, sorted, in member->arena.
 *
 * Source: protocol guide, "JoinGroup", "SyncGroup"; KIP-394 (member ids). */
#include "cli/member.h"
#include "base/mem.h"
#include "cli/assign.h"
#include "wire/consumer_protocol.h"
#include "wire/heartbeat.h"
#include "wire/join_group.h"
#include "wire/leave_group.h"
#include "wire/offset_commit.h"
#include "wire/offset_fetch.h"
#include "wire/sync_group.h"
#include <stdlib.h>

enum { MEMBER_RETRY_MS = 200 };

struct member {
    struct client *client;
    struct str group;
    struct str topic;
    int32_t coordinator;  /* CLIENT_ANY: not known */
    char *id;             /* from mem_; "" before the first join */
    int32_t generation;   /* -1: not in the group */
    int64_t heartbeat_ms; /* when the next one is due */
    struct arena arena;   /* of the assignment */
    int32_t *partitions;
    int32_t partition_count;
};

struct member *member_open(struct client *client, struct str group,
                           struct str topic)
{
    struct member *member = MEM_NEW(struct member);

    *member = (struct member){.client = client,
                              .group = group,
                              .topic = topic,
                              .coordinator = CLIENT_ANY,
                              .id = mem_dupz(""),
                              .generation = -1};
    return member;
}

bool member_must_join(enum err err)
{
    return err == ERR_REBALANCE_IN_PROGRESS || err == ERR_ILLEGAL_GENERATION ||
           err == ERR_UNKNOWN_MEMBER_ID;
}

bool member_is_passing(enum err err)
{
    return err == ERR_COORDINATOR_NOT_AVAILABLE || err == ERR_NOT_COORDINATOR ||
           err == ERR_COORDINATOR_LOAD_IN_PROGRESS || err == ERR_CLOSED ||
           err == ERR_TIMEOUT || err == ERR_REQUEST_TIMED_OUT;
}

/* Notes what an error tells about where we stand; gives it back. */
static enum err member_note(struct member *member, enum err err)
{
    if (err == ERR_NOT_COORDINATOR || err == ERR_COORDINATOR_NOT_AVAILABLE ||
        err == ERR_CLOSED) {
        member->coordinator = CLIENT_ANY;
    }
    if (err == ERR_UNKNOWN_MEMBER_ID || err == ERR_FENCED_INSTANCE_ID) {
        mem_free(member->id);
        member->id = mem_dupz("");
        member->generation = -1;
    }
    return err;
}

static enum err member_refused(struct member *member, enum err err,
                               const char *what, struct why *why)
{
    return why_set(why, member_note(member, err),
                   "group \"%.*s\": could not %s: %s (%s)",
                   STR_ARG(member->group), what, err_text(err), err_name(err));
}

/* Begins a request to the coordinator, which is found first where it is not
 * known. */
static enum err member_exchange(struct member *member, struct exchange *x,
                                enum api_key key, int16_t version_max,
                                struct why *why)
{
    enum err err = ERR_NONE;

    if (member->coordinator == CLIENT_ANY) {
        err = client_coordinator(member->client, member->group,
                                 &member->coordinator, why);
    }
    if (!err) {
        err = client_exchange(member->client, member->coordinator, x, key,
                              version_max, why);
    }
    return member_note(member, err);
}

/* What we subscribe to, as the other members understand it. */
static struct str member_subscription(const struct member *member,
                                      struct arena *arena)
{
    struct consumer_protocol_subscription subscription;
    struct str topic = member->topic;
    struct writer w;

    consumer_protocol_subscription_init(&subscription);
    subscription.topics = &topic;
    subscription.topics_count = 1;
    writer_init(&w, arena, 64);
    writer_i16(&w, 0);
    consumer_protocol_subscription_encode(&w, 0, &subscription);
    return writer_output(&w);
}

/* One JoinGroup. The answer's memory is the arena's.
 * Errors: ERR_MEMBER_ID_REQUIRED (the id is noted: join again). */
static enum err member_join_once(struct member *member, struct arena *arena,
                                 struct join_group_response *response,
                                 struct why *why)
{
    struct join_group_request_protocol protocol;
    struct join_group_request request;
    struct exchange x = {.arena = arena};
    enum err err = member_exchange(member, &x, API_JOIN_GROUP, 7, why);

    if (err) {
        return err;
    }
    join_group_request_protocol_init(&protocol);
    protocol.name = STR_LIT("range");
    protocol.metadata = member_subscription(member, arena);
    join_group_request_init(&request);
    request.group_id = member->group;
    request.session_timeout_ms = MEMBER_SESSION_MS;
    request.rebalance_timeout_ms = MEMBER_REBALANCE_MS;
    request.member_id = str_of(member->id);
    request.group_instance_id = STR_NULL;
    request.protocol_type = STR_LIT("consumer");
    request.protocols = &protocol;
    request.protocols_count = 1;
    x.timeout_ms = MEMBER_REBALANCE_MS + EXCHANGE_TIMEOUT_MS;
    err = member_note(member,
                      EXCHANGE_ASK(join_group, &x, &request, response, why));
    if (err) {
        return err;
    }
    err = client_error(response->error_code);
    if (err == ERR_NONE || err == ERR_MEMBER_ID_REQUIRED) {
        mem_free(member->id);
        member->id = str_dup(response->member_id);
        member->generation = response->generation_id;
        return err;
    }
    return member_refused(member, err, "join", why);
}

/* As the leader: what everybody gets. */
static enum err member_assign(struct member *member,
                              const struct join_group_response *joined,
                              struct arena *arena,
                              struct sync_group_request *request,
                              struct why *why)
{
    struct assign_member *members =
        arena_array(arena, (size_t)joined->members_count, sizeof(*members));

    for (int32_t i = 0; i < joined->members_count; i++) {
        members[i].id = joined->members[i].member_id;
        members[i].metadata = joined->members[i].metadata;
    }
    request->assignments_count = joined->members_count;
    request->assignments = arena_array(arena, (size_t)joined->members_count,
                                       sizeof(*request->assignments));
    for (int32_t i = 0; i < joined->members_count; i++) {
        sync_group_request_assignment_init(&request->assignments[i]);
        request->assignments[i].member_id = members[i].id;
    }
    return assign_range(member->client, members, joined->members_count, arena,
                        request->assignments, why);
}

static int member_compare(const void *a, const void *b)
{
    return *(const int32_t *)a < *(const int32_t *)b ? -1 : 1;
}

/* Takes our partitions out of an assignment. */
static enum err member_take(struct member *member, struct str bytes,
                            struct why *why)
{
    struct consumer_protocol_assignment assignment;
    struct arena arena = {0};
    struct reader r;
    int16_t version;

    arena_reset(&member->arena);
    member->partitions = NULL;
    member->partition_count = 0;
    if (bytes.len == 0) {
        return ERR_NONE; /* the leader had nothing for us */
    }
    reader_init(&r, bytes.ptr, bytes.len);
    version = reader_i16(&r);
    consumer_protocol_assignment_init(&assignment);
    consumer_protocol_assignment_decode(
        &r, &arena, MIN(MAX(version, (int16_t)0), (int16_t)3), &assignment);
    for (int32_t i = 0; !r.failed && i < assignment.assigned_partitions_count;
         i++) {
        const struct consumer_protocol_assignment_topic_partition *given =
            &assignment.assigned_partitions[i];

        if (str_eq(given->topic, member->topic)) {
            member->partition_count = given->partitions_count;
            member->partitions =
                arena_array(&member->arena, (size_t)given->partitions_count,
                            sizeof(int32_t));
            for (int32_t p = 0; p < given->partitions_count; p++) {
                member->partitions[p] = given->partitions[p];
            }
        }
    }
    arena_reset(&arena);
    if (r.failed) {
        return why_set(why, ERR_MALFORMED,
                       "group \"%.*s\": the leader's assignment cannot be read",
                       STR_ARG(member->group));
    }
    if (member->partition_count > 0) {
        qsort(member->partitions, (size_t)member->partition_count,
              sizeof(int32_t), member_compare);
    }
    return ERR_NONE;
}

/* SyncGroup: the leader brings what everybody gets, all are told theirs. */
static enum err member_sync(struct member *member,
                            const struct join_group_response *joined,
                            struct arena *arena, struct why *why)
{
    struct sync_group_response response;
    struct sync_group_request request;
    struct exchange x = {.arena = arena};
    enum err err = ERR_NONE;

    sync_group_request_init(&request);
    request.group_id = member->group;
    request.generation_id = member->generation;
    request.member_id = str_of(member->id);
    request.group_instance_id = STR_NULL;
    request.protocol_type = STR_LIT("consumer");
    request.protocol_name = joined->protocol_name;
    if (str_eq(joined->leader, joined->member_id)) {
        err = member_assign(member, joined, arena, &request, why);
    }
    if (!err) {
        err = member_exchange(member, &x, API_SYNC_GROUP, 5, why);
    }
    if (err) {
        return err;
    }
    x.timeout_ms = MEMBER_REBALANCE_MS + EXCHANGE_TIMEOUT_MS;
    err = member_note(member,
                      EXCHANGE_ASK(sync_group, &x, &request, &response, why));
    if (!err && response.error_code != 0) {
        return member_refused(member, client_error(response.error_code),
                              "be assigned partitions", why);
    }
    return err ? err : member_take(member, response.assignment, why);
}

enum err member_join(struct member *member, const int32_t **partitions,
                     int32_t *count, struct why *why)
{
    int64_t deadline_ms = client_now_ms() + 2 * MEMBER_REBALANCE_MS;
    enum err err;

    for (;;) {
        struct arena arena = {0};
        struct join_group_response joined;

        err = member_join_once(member, &arena, &joined, why);
        if (err == ERR_NONE) {
            err = member_sync(member, &joined, &arena, why);
        }
        arena_reset(&arena);
        if (err == ERR_NONE || client_now_ms() > deadline_ms) {
            break;
        }
        if (err == ERR_MEMBER_ID_REQUIRED || member_must_join(err)) {
            continue;
        }
        if (!member_is_passing(err)) {
            break;
        }
        client_sleep(member->client, MEMBER_RETRY_MS);
    }
    member->heartbeat_ms = client_now_ms() + MEMBER_HEARTBEAT_MS;
    *partitions = member->partitions;
    *count = member->partition_count;
    return err;
}

enum err member_heartbeat(struct member *member, struct why *why)
{
    struct arena arena = {0};
    struct heartbeat_response response;
    struct heartbeat_request request;
    struct exchange x = {.arena = &arena};
    enum err err;

    if (client_now_ms() < member->heartbeat_ms) {
        return ERR_NONE;
    }
    err = member_exchange(member, &x, API_HEARTBEAT, 4, why);
    if (!err) {
        heartbeat_request_init(&request);
        request.group_id = member->group;
        request.generation_id = member->generation;
        request.member_id = str_of(member->id);
        request.group_instance_id = STR_NULL;
        x.timeout_ms = MEMBER_SESSION_MS;
        err = member_note(
            member, EXCHANGE_ASK(heartbeat, &x, &request, &response, why));
    }
    if (!err && response.error_code != 0) {
        err = member_refused(member, client_error(response.error_code),
                             "stay in it", why);
    }
    arena_reset(&arena);
    member->heartbeat_ms = client_now_ms() + MEMBER_HEARTBEAT_MS;
    /* The session lasts longer than two heartbeats: one may be lost. */
    return member_is_passing(err) ? ERR_NONE : err;
}

enum err member_committed(struct member *member, struct member_offset *offsets,
                          int32_t count, struct why *why)
{
    struct arena arena = {0};
    struct offset_fetch_request_topic topic;
    struct offset_fetch_response response;
    struct offset_fetch_request request;
    struct exchange x = {.arena = &arena};
    enum err err = member_exchange(member, &x, API_OFFSET_FETCH, 7, why);

    if (!err) {
        offset_fetch_request_init(&request);
        offset_fetch_request_topic_init(&topic);
        request.group_id = member->group;
        request.topics = &topic;
        request.topics_count = 1;
        topic.name = member->topic;
        topic.partition_indexes_count = count;
        topic.partition_indexes =
            arena_array(&arena, (size_t)count, sizeof(int32_t));
        for (int32_t i = 0; i < count; i++) {
            topic.partition_indexes[i] = offsets[i].partition;
            offsets[i].offset = -1;
        }
        err = member_note(
            member, EXCHANGE_ASK(offset_fetch, &x, &request, &response, why));
    }
    if (!err && response.error_code != 0) {
        err = member_refused(member, client_error(response.error_code),
                             "read the committed offsets", why);
    }
    for (int32_t t = 0; !err && t < response.topics_count; t++) {
        for (int32_t p = 0; p < response.topics[t].partitions_count; p++) {
            for (int32_t i = 0; i < count; i++) {
                if (response.topics[t].partitions[p].partition_index ==
                    offsets[i].partition) {
                    offsets[i].offset =
                        response.topics[t].partitions[p].committed_offset;
                }
            }
        }
    }
    arena_reset(&arena);
    return err;
}

enum err member_commit(struct member *member,
                       const struct member_offset *offsets, int32_t count,
                       struct why *why)
{
    struct arena arena = {0};
    struct offset_commit_request_topic topic;
    struct offset_commit_response response;
    struct offset_commit_request request;
    struct exchange x = {.arena = &arena};
    enum err err = member_exchange(member, &x, API_OFFSET_COMMIT, 8, why);

    if (!err) {
        offset_commit_request_init(&request);
        offset_commit_request_topic_init(&topic);
        request.group_id = member->group;
        request.generation_id_or_member_epoch = member->generation;
        request.member_id = str_of(member->id);
        request.group_instance_id = STR_NULL;
        request.topics = &topic;
        request.topics_count = 1;
        topic.name = member->topic;
        topic.partitions_count = count;
        topic.partitions =
            arena_array(&arena, (size_t)count, sizeof(*topic.partitions));
        for (int32_t i = 0; i < count; i++) {
            offset_commit_request_partition_init(&topic.partitions[i]);
            topic.partitions[i].partition_index = offsets[i].partition;
            topic.partitions[i].committed_offset = offsets[i].offset;
            topic.partitions[i].committed_metadata = STR_LIT("");
        }
        err = member_note(
            member, EXCHANGE_ASK(offset_commit, &x, &request, &response, why));
    }
    for (int32_t t = 0; !err && t < response.topics_count; t++) {
        for (int32_t p = 0; !err && p < response.topics[t].partitions_count;
             p++) {
            int16_t code = response.topics[t].partitions[p].error_code;

            if (code != 0) {
                err = member_refused(member, client_error(code), "commit", why);
            }
        }
    }
    arena_reset(&arena);
    return err;
}

/* Whatever the coordinator says: we are gone. */
static void member_leave(struct member *member)
{
    struct arena arena = {0};
    struct leave_group_request_member_identity identity;
    struct leave_group_request request;
    struct exchange x = {.arena = &arena};

    if (member_exchange(member, &x, API_LEAVE_GROUP, 4, NULL) == ERR_NONE) {
        leave_group_request_init(&request);
        leave_group_request_member_identity_init(&identity);
        identity.member_id = str_of(member->id);
        identity.group_instance_id = STR_NULL;
        request.group_id = member->group;
        request.member_id = str_of(member->id);
        request.members = &identity;
        request.members_count = 1;
        leave_group_request_encode(&x.writer, x.version, &request);
        x.timeout_ms = 2000;
        if (exchange_run(&x, NULL)) {
            member->generation = -1; /* the session will end by itself */
        }
    }
    arena_reset(&arena);
}

void member_close(struct member *member)
{
    if (member == NULL) {
        return;
    }
    if (member->id[0] != '\0') {
        member_leave(member);
    }
    arena_reset(&member->arena);
    mem_free(member->id);
    mem_free(member);
}
