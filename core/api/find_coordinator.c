/* find_coordinator.c - the FindCoordinator request (api key 10).
 *
 * Groups are dealt out to brokers by slot. Transactional ids are told this
 * node, which then says that it has no transactions: a client gets a reason
 * instead of a search without end.
 *
 * Source: KIP-98 (types), KIP-699 (many keys); behaviours 1. */
#include "api/dispatch.h"
#include "wire/find_coordinator.h"

enum { COORDINATOR_GROUP = 0, COORDINATOR_TRANSACTION = 1 };

/* Another broker, under the listener through which this client came. */
static enum err find_coordinator_other(struct api_request *r, int32_t broker_id,
                                       struct str *host, int32_t *port)
{
    const struct brokers *brokers =
        controller_image(r->api->options.controller)->brokers;
    struct str listener = str_of(api_listener(r)->name);

    for (int32_t i = 0; brokers != NULL && i < brokers->count; i++) {
        const struct broker *broker = &brokers->items[i];

        for (int32_t j = 0;
             broker->id == broker_id && j < broker->listeners_count; j++) {
            if (str_eq(broker->listeners[j].name, listener)) {
                *host = arena_str(r->arena, broker->listeners[j].host);
                *port = broker->listeners[j].port;
                return ERR_NONE;
            }
        }
    }
    return ERR_COORDINATOR_NOT_AVAILABLE;
}

static void
find_coordinator_of(struct api_request *r, int8_t type, struct str key,
                    struct find_coordinator_response_coordinator *out)
{
    const struct image *image = controller_image(r->api->options.controller);
    int32_t broker_id = r->api->options.node_id;
    enum err err = ERR_NONE;

    find_coordinator_response_coordinator_init(out);
    out->key = key;
    out->node_id = -1;
    out->port = -1;
    if (type == COORDINATOR_GROUP) {
        broker_id = image->coordinators[coordinator_slot(key)].broker_id;
    } else if (type != COORDINATOR_TRANSACTION) {
        err = ERR_INVALID_REQUEST; /* share groups: not in this version */
    }
    if (err == ERR_NONE && broker_id == r->api->options.node_id) {
        api_advertised(r, &out->host, &out->port);
    } else if (err == ERR_NONE) {
        err = find_coordinator_other(r, broker_id, &out->host, &out->port);
    }
    out->error_code = err_wire(err);
    if (err == ERR_NONE) {
        out->node_id = broker_id;
    } else {
        out->error_message = str_of(err_text(err));
    }
}

void handle_find_coordinator(struct api_request *r)
{
    struct find_coordinator_request body;
    struct find_coordinator_response response;
    struct find_coordinator_response_coordinator one;

    find_coordinator_request_init(&body);
    find_coordinator_request_decode(&r->body, r->arena, r->version, &body);
    if (!api_decoded(r)) {
        return;
    }
    find_coordinator_response_init(&response);
    if (r->version < 4) {
        find_coordinator_of(r, body.key_type, body.key, &one);
        response.error_code = one.error_code;
        response.error_message = one.error_message;
        response.node_id = one.node_id;
        response.host = one.host;
        response.port = one.port;
    } else {
        response.coordinators_count = MAX(body.coordinator_keys_count, 0);
        response.coordinators =
            arena_array(r->arena, (size_t)response.coordinators_count,
                        sizeof(*response.coordinators));
        for (int32_t i = 0; i < response.coordinators_count; i++) {
            find_coordinator_of(r, body.key_type, body.coordinator_keys[i],
                                &response.coordinators[i]);
        }
    }
    find_coordinator_response_encode(api_answer_begin(r, 128), r->version,
                                     &response);
    api_answer_end(r);
}
