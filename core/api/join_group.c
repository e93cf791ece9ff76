/* join_group.c - the JoinGroup request (api key 11).
 *
 * The answer may be a rebalance away: it comes when all members have joined, or
 * the time for it is over. The rules are in coord/group_core.h.
 *
 * Source: KIP-62, KIP-345, KIP-394, KIP-559, KIP-814; behaviours 2. */
#include "api/ask.h"
#include "api/dispatch.h"
#include "wire/join_group.h"

struct join_group {
    struct api_request *r;
    struct coordinator_join join;
};

static void join_group_done(struct coordinator_ask *ask)
{
    struct coordinator_join *join =
        container_of(ask, struct coordinator_join, ask);
    struct api_request *r = container_of(join, struct join_group, join)->r;
    bool ok = ask->err == ERR_NONE;
    struct join_group_response response;

    join_group_response_init(&response);
    response.error_code = err_wire(ask->err);
    response.member_id = join->member_id;
    if (ok) {
        response.generation_id = join->generation;
        response.protocol_type = join->protocol_type;
        response.leader = join->leader_id;
        response.skip_assignment = join->skip_assignment;
        response.members_count = join->members_count;
    }
    /* Null is known from version 7 on. */
    response.protocol_name = ok                ? join->protocol
                             : r->version >= 7 ? STR_NULL
                                               : STR_LIT("");
    response.members = arena_array(r->arena, (size_t)response.members_count,
                                   sizeof(*response.members));
    for (int32_t i = 0; i < response.members_count; i++) {
        response.members[i] = (struct join_group_response_member){
            .member_id = join->members[i].member_id,
            .group_instance_id = join->members[i].instance_id,
            .metadata = join->members[i].metadata};
    }
    join_group_response_encode(api_answer_begin(r, 256), r->version, &response);
    api_answer_end(r);
}

/* "/127.0.0.1", as Kafka has it: the peer without its port. */
static struct str join_group_host(const struct api_request *r)
{
    const char *peer = conn_peer(r->request->conn);
    const char *colon = strrchr(peer, ':');
    size_t len = colon == NULL ? strlen(peer) : (size_t)(colon - peer);

    return arena_printf(r->arena, "/%.*s", (int)len, peer);
}

static struct group_protocol *
join_group_protocols(struct arena *arena, const struct join_group_request *body)
{
    struct group_protocol *protocols = arena_array(
        arena, (size_t)MAX(body->protocols_count, 0), sizeof(*protocols));

    for (int32_t i = 0; i < body->protocols_count; i++) {
        protocols[i] =
            (struct group_protocol){.name = body->protocols[i].name,
                                    .metadata = body->protocols[i].metadata};
    }
    return protocols;
}

void handle_join_group(struct api_request *r)
{
    struct join_group *j = ARENA_NEW(r->arena, struct join_group);
    struct join_group_request body;

    join_group_request_init(&body);
    join_group_request_decode(&r->body, r->arena, r->version, &body);
    if (!api_decoded(r)) {
        return;
    }
    j->r = r;
    j->join.ask = ask_make(r, body.group_id, join_group_done);
    j->join.in = (struct group_join){
        .member_id = body.member_id,
        .instance_id = body.group_instance_id,
        .client_id = r->client_id,
        .client_host = join_group_host(r),
        .protocol_type = body.protocol_type,
        .protocols = join_group_protocols(r->arena, &body),
        .protocols_count = MAX(body.protocols_count, 0),
        .session_timeout_ms = body.session_timeout_ms,
        /* Version 0 has one time-out for both. */
        .rebalance_timeout_ms = r->version == 0 ? body.session_timeout_ms
                                                : body.rebalance_timeout_ms,
        .id_required = r->version >= 4,
        .can_skip = r->version >= 9};
    ask_may_park(r, &j->join.ask);
    coordinator_join(&j->join);
}
