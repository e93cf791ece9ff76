/* init_producer_id.c - the InitProducerId request (api key 22).
 *
 * An idempotent producer gets an id that nobody had, with epoch 0; one that
 * brings its id along (KIP-360, after a lost batch) gets a new one as well: a
 * fresh id fences nothing and needs nothing to be remembered. Transactional ids
 * are refused: this version has no transactions.
 *
 * Source: KIP-98, KIP-360; behaviours 5. */
#include "api/dispatch.h"
#include "api/producer_ids.h"
#include "wire/init_producer_id.h"

struct init_producer_id {
    struct api_request *r;
    struct producer_ids_take take;
};

static void init_producer_id_answer(struct api_request *r, enum err err,
                                    int64_t producer_id)
{
    struct init_producer_id_response response;

    init_producer_id_response_init(&response);
    response.error_code = err_wire(err);
    response.producer_id = producer_id;
    response.producer_epoch = err == ERR_NONE ? 0 : -1;
    init_producer_id_response_encode(api_answer_begin(r, 32), r->version,
                                     &response);
    api_answer_end(r);
}

static void init_producer_id_taken(struct producer_ids_take *take)
{
    struct init_producer_id *init =
        container_of(take, struct init_producer_id, take);
    enum err err = take->err;

    /* The client retries this one until the quorum answers again. */
    if (err != ERR_NONE) {
        err = ERR_COORDINATOR_NOT_AVAILABLE;
    }
    init_producer_id_answer(init->r, err, take->producer_id);
}

/* Source: behaviours 5, "InitProducerId". */
static enum err
init_producer_id_check(const struct init_producer_id_request *in)
{
    if (!str_is_null(in->transactional_id)) {
        return in->transactional_id.len == 0
                   ? ERR_INVALID_REQUEST
                   : ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED;
    }
    if ((in->producer_id == -1) != (in->producer_epoch == -1)) {
        return ERR_INVALID_REQUEST;
    }
    return ERR_NONE;
}

void handle_init_producer_id(struct api_request *r)
{
    struct init_producer_id *init =
        ARENA_NEW(r->arena, struct init_producer_id);
    struct init_producer_id_request body;
    enum err err;

    init_producer_id_request_init(&body);
    init_producer_id_request_decode(&r->body, r->arena, r->version, &body);
    if (!api_decoded(r)) {
        return;
    }
    err = init_producer_id_check(&body);
    if (err != ERR_NONE) {
        init_producer_id_answer(r, err, -1);
        return;
    }
    init->r = r;
    init->take.ids = r->api->producer_ids;
    init->take.done = init_producer_id_taken;
    producer_ids_take(&init->take);
}
