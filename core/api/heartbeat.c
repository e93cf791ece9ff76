/* heartbeat.c - the Heartbeat request (api key 12).
 *
 * Keeps a member in its group, and tells it of a rebalance. Nothing is stored.
 *
 * Source: KIP-62, KIP-345; behaviours 2. */
#include "api/ask.h"
#include "api/dispatch.h"
#include "wire/heartbeat.h"

struct heartbeat {
    struct api_request *r;
    struct coordinator_heartbeat heartbeat;
};

static void heartbeat_done(struct coordinator_ask *ask)
{
    struct heartbeat *h = container_of(ask, struct heartbeat, heartbeat.ask);
    struct heartbeat_response response;

    heartbeat_response_init(&response);
    response.error_code = err_wire(ask->err);
    heartbeat_response_encode(api_answer_begin(h->r, 16), h->r->version,
                              &response);
    api_answer_end(h->r);
}

void handle_heartbeat(struct api_request *r)
{
    struct heartbeat *h = ARENA_NEW(r->arena, struct heartbeat);
    struct heartbeat_request body;

    heartbeat_request_init(&body);
    heartbeat_request_decode(&r->body, r->arena, r->version, &body);
    if (!api_decoded(r)) {
        return;
    }
    h->r = r;
    h->heartbeat.ask = ask_make(r, body.group_id, heartbeat_done);
    h->heartbeat.in =
        (struct group_caller){.member_id = body.member_id,
                              .instance_id = body.group_instance_id,
                              .generation = body.generation_id};
    coordinator_heartbeat(&h->heartbeat);
}
