/* sync_group.c - the SyncGroup request (api key 14).
 *
 * The leader brings everybody's assignment, the others wait for theirs: the
 * answers leave when it is stored.
 *
 * Source: KIP-62, KIP-345, KIP-559; behaviours 2. */
#include "api/ask.h"
#include "api/dispatch.h"
#include "wire/sync_group.h"

struct sync_group {
    struct api_request *r;
    struct coordinator_sync sync;
};

static void sync_group_done(struct coordinator_ask *ask)
{
    struct coordinator_sync *sync =
        container_of(ask, struct coordinator_sync, ask);
    struct api_request *r = container_of(sync, struct sync_group, sync)->r;
    struct sync_group_response response;

    sync_group_response_init(&response);
    response.error_code = err_wire(ask->err);
    response.assignment = STR_LIT("");
    if (ask->err == ERR_NONE) {
        response.protocol_type = sync->protocol_type;
        response.protocol_name = sync->protocol;
        response.assignment = sync->assignment;
    }
    sync_group_response_encode(api_answer_begin(r, 128), r->version, &response);
    api_answer_end(r);
}

/* From version 5 on a client says what it believes was chosen. */
static bool sync_group_is_vague(const struct api_request *r,
                                const struct sync_group_request *body)
{
    return r->version >= 5 && (str_is_null(body->protocol_type) ||
                               str_is_null(body->protocol_name));
}

static struct group_protocol *
sync_group_assignments(struct arena *arena,
                       const struct sync_group_request *body)
{
    struct group_protocol *assignments = arena_array(
        arena, (size_t)MAX(body->assignments_count, 0), sizeof(*assignments));

    for (int32_t i = 0; i < body->assignments_count; i++) {
        assignments[i] = (struct group_protocol){
            .name = body->assignments[i].member_id,
            .metadata = body->assignments[i].assignment};
    }
    return assignments;
}

void handle_sync_group(struct api_request *r)
{
    struct sync_group *s = ARENA_NEW(r->arena, struct sync_group);
    struct sync_group_request body;

    sync_group_request_init(&body);
    sync_group_request_decode(&r->body, r->arena, r->version, &body);
    if (!api_decoded(r)) {
        return;
    }
    s->r = r;
    s->sync.ask = ask_make(r, body.group_id, sync_group_done);
    if (sync_group_is_vague(r, &body)) {
        s->sync.ask.err = ERR_INCONSISTENT_GROUP_PROTOCOL;
        sync_group_done(&s->sync.ask);
        return;
    }
    s->sync.in = (struct group_sync){
        .member_id = body.member_id,
        .instance_id = body.group_instance_id,
        .generation = body.generation_id,
        .protocol_type = body.protocol_type,
        .protocol = body.protocol_name,
        .assignments = sync_group_assignments(r->arena, &body),
        .assignments_count = MAX(body.assignments_count, 0)};
    ask_may_park(r, &s->sync.ask);
    coordinator_sync(&s->sync);
}
