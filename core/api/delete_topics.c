/* delete_topics.c - the DeleteTopics request (api key 20).
 *
 * Each topic, by name or by id, is one change of the metadata; they go side by
 * side, and fail one by one.
 *
 * Source: KIP-4, KIP-516 (topic ids), KIP-599; protocol/api-versions 5. */
#include "api/dispatch.h"
#include "cluster/controller.h"
#include "wire/delete_topics.h"

struct delete_topics;

struct delete_topics_item {
    struct delete_topics *delete;
    struct controller_change change;
    struct str name;
    struct uuid id;
    bool by_id;
    int64_t at_ms;
    struct delete_topics_response_topic *out;
};

struct delete_topics {
    struct api_request *r;
    struct delete_topics_request body;
    struct delete_topics_response response;
    struct delete_topics_item *items;
    uint32_t pending;
};

static enum flow_verdict delete_topics_change(struct flow *flow);
static enum flow_verdict delete_topics_respond(struct flow *flow);

static const struct flow_step delete_topics_steps[] = {
    {"change", delete_topics_change, NULL},   /* waits for the quorum */
    {"respond", delete_topics_respond, NULL}, /* always runs, exactly once */
};

static struct delete_topics *delete_topics_of(struct flow *flow)
{
    struct api_request *r = container_of(flow, struct api_request, flow);

    return r->request->context;
}

void handle_delete_topics(struct api_request *r)
{
    struct delete_topics *d = ARENA_NEW(r->arena, struct delete_topics);

    d->r = r;
    delete_topics_request_decode(&r->body, r->arena, r->version, &d->body);
    if (!api_decoded(r)) {
        return;
    }
    r->request->context = d;
    flow_start(&r->flow, delete_topics_steps, ARRAY_COUNT(delete_topics_steps));
}

/* On the control loop. */
static enum err delete_topics_prepare(struct controller_change *change,
                                      const struct state *state,
                                      struct why *why)
{
    struct delete_topics_item *item =
        container_of(change, struct delete_topics_item, change);
    const struct topic *topic = item->by_id
                                    ? topics_find_id(&state->topics, item->id)
                                    : topics_find(&state->topics, item->name);

    if (topic == NULL) {
        return why_set(why,
                       item->by_id ? ERR_UNKNOWN_TOPIC_ID
                                   : ERR_UNKNOWN_TOPIC_OR_PARTITION,
                       "there is no such topic");
    }
    change->command = (struct command){
        .type = COMMAND_DELETE_TOPIC,
        .delete_topic = {.topic_id = topic->id, .at_ms = item->at_ms}};
    return ERR_NONE;
}

static void delete_topics_changed(struct controller_change *change)
{
    struct delete_topics_item *item =
        container_of(change, struct delete_topics_item, change);
    struct delete_topics *d = item->delete;

    item->out->error_code = err_wire(change->err);
    if (change->err != ERR_NONE) {
        item->out->error_message =
            arena_str(d->r->arena, str_of(change->why.text));
    } else if (change->topic != NULL) {
        item->out->name =
            arena_str(d->r->arena, change->topic->name);
        item->out->topic_id = change->topic->id;
    }
    controller_change_end(change);
    if (--d->pending == 0) {
        flow_resume(&d->r->flow, ERR_NONE);
    }
}

static void delete_topics_start(struct delete_topics *d, uint32_t at)
{
    struct delete_topics_item *item = &d->items[at];
    bool has_ids = d->r->version >= 6;

    item->delete = d;
    item->name = has_ids ? d->body.topics[at].name : d->body.topic_names[at];
    item->by_id = has_ids && str_is_null(item->name);
    item->id = item->by_id ? d->body.topics[at].topic_id : (struct uuid){0};
    item->at_ms = env_wall_ms(loop_env(conn_loop(d->r->request->conn)));
    item->out = &d->response.responses[at];
    delete_topics_response_topic_init(item->out);
    item->out->name = item->name;
    item->out->topic_id = item->id;
    item->change.controller = d->r->api->options.controller;
    item->change.prepare = delete_topics_prepare;
    item->change.done = delete_topics_changed;
    d->pending++;
    controller_change(&item->change);
}

static enum flow_verdict delete_topics_change(struct flow *flow)
{
    struct delete_topics *d = delete_topics_of(flow);
    uint32_t count = (uint32_t)(d->r->version >= 6
                                    ? d->body.topics_count
                                    : d->body.topic_names_count);

    delete_topics_response_init(&d->response);
    d->response.responses_count = (int32_t)count;
    d->response.responses =
        arena_array(d->r->arena, count, sizeof(*d->response.responses));
    d->items = arena_array(d->r->arena, count, sizeof(*d->items));
    d->pending = 1; /* this step's own */
    for (uint32_t i = 0; i < count; i++) {
        delete_topics_start(d, i);
    }
    return --d->pending == 0 ? FLOW_NEXT : FLOW_WAIT;
}

static enum flow_verdict delete_topics_respond(struct flow *flow)
{
    struct delete_topics *d = delete_topics_of(flow);

    delete_topics_response_encode(api_answer_begin(d->r, 256), d->r->version,
                                  &d->response);
    api_answer_end(d->r);
    return FLOW_NEXT;
}
