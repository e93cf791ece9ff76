/* delete_topics.c - the DeleteTopics request (api key 20).
 *
 * Each topic, by name or by id, is one change of the metadata; they go side by
 * side, and fail one by one. What the request names twice, be it once by name
 * and once by id, is refused and answered once, as Kafka does it.
 *
 * Source: KIP-4, KIP-516 (topic ids), KIP-599; protocol/api-versions 5. */
#include "api/dispatch.h"
#include "api/lookup.h"
#include "cluster/controller.h"
#include "wire/delete_topics.h"

struct delete_topics;

struct delete_topics_item {
    struct delete_topics *delete;
    struct controller_change change;
    bool by_id;
    int64_t at_ms;
    struct delete_topics_response_topic *out;
};

struct delete_topics {
    struct api_request *r;
    struct delete_topics_request body;
    struct delete_topics_response response;
    uint32_t pending;
};

static enum flow_verdict delete_topics_change(struct flow *flow);
static enum flow_verdict delete_topics_respond(struct flow *flow);

static const struct flow_step delete_topics_steps[] = {
    {"change", delete_topics_change, NULL},   /* waits for the quorum */
    {"respond", delete_topics_respond, NULL}, /* always runs, exactly once */
};

void handle_delete_topics(struct api_request *r)
{
    struct delete_topics *d = ARENA_NEW(r->arena, struct delete_topics);

    d->r = r;
    delete_topics_request_decode(&r->body, r->arena, r->version, &d->body);
    if (!api_decoded(r)) {
        return;
    }
    r->own = d;
    flow_start(&r->flow, delete_topics_steps, ARRAY_COUNT(delete_topics_steps));
}

/* On the control loop. */
static enum err delete_topics_prepare(struct controller_change *change,
                                      const struct state *state,
                                      struct why *why)
{
    struct delete_topics_item *item =
        container_of(change, struct delete_topics_item, change);
    const struct topic *topic =
        item->by_id ? topics_find_id(&state->topics, item->out->topic_id)
                    : topics_find(&state->topics, item->out->name);

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

    item->out->error_code = err_wire(api_change_err(change->err));
    if (change->err != ERR_NONE) {
        item->out->error_message =
            arena_str(d->r->arena, str_of(change->why.text));
    } else if (change->topic != NULL) {
        item->out->name = arena_str(d->r->arena, change->topic->name);
        item->out->topic_id = change->topic->id;
    }
    controller_change_end(change);
    if (--d->pending == 0) {
        flow_resume(&d->r->flow, ERR_NONE);
    }
}

/* What the request says at this place; versions before 6 have names only. */
static struct delete_topics_request_topic
delete_topics_named(const struct delete_topics *d, int32_t at)
{
    if (d->r->version >= 6) {
        return d->body.topics[at];
    }
    return (struct delete_topics_request_topic){.name =
                                                    d->body.topic_names[at]};
}

static void delete_topics_refuse(struct delete_topics_response_topic *out,
                                 const char *text)
{
    out->error_code = err_wire(ERR_INVALID_REQUEST);
    out->error_message = str_of(text);
}

static struct delete_topics_response_topic *
delete_topics_answer(struct delete_topics *d,
                     const struct delete_topics_request_topic *named)
{
    struct delete_topics_response_topic *out =
        &d->response.responses[d->response.responses_count++];

    delete_topics_response_topic_init(out);
    out->name = named->name;
    out->topic_id = named->topic_id;
    return out;
}

/* What stands for a topic among those named: its id, where there is one. */
static struct str
delete_topics_key(const struct delete_topics *d,
                  const struct delete_topics_request_topic *named)
{
    struct lookup_topic wanted = {.name = named->name,
                                  .id = named->topic_id,
                                  .by_id = str_is_null(named->name)};
    const struct topic *topic = lookup_topic(d->r, &wanted);
    const struct uuid *id = topic != NULL ? &topic->id : &named->topic_id;

    return topic != NULL || wanted.by_id
               ? lookup_key(d->r->arena, str_sub(id->bytes, sizeof(*id)), 1)
               : lookup_key(d->r->arena, named->name, 0);
}

/* The answer of what is named here, new, or a refusal because it is not. */
static void delete_topics_add(struct delete_topics *d, int32_t at,
                              struct map *by_key)
{
    struct delete_topics_request_topic named = delete_topics_named(d, at);
    bool has_id = !uuid_is_zero(named.topic_id);
    bool has_name = !str_is_null(named.name);
    struct delete_topics_response_topic *out;
    struct str key;

    if (has_name == has_id) {
        delete_topics_refuse(delete_topics_answer(d, &named),
                             has_name ? "a topic has either a name or an id "
                                        "here"
                                      : "neither a name nor an id");
        return;
    }
    key = delete_topics_key(d, &named);
    out = map_find(by_key, key);
    if (out != NULL) {
        delete_topics_refuse(out, "the request names this topic twice");
        return;
    }
    map_put(by_key, key, delete_topics_answer(d, &named));
}

static void delete_topics_start(struct delete_topics *d,
                                struct delete_topics_response_topic *out)
{
    struct delete_topics_item *item =
        ARENA_NEW(d->r->arena, struct delete_topics_item);

    item->delete = d;
    item->by_id = str_is_null(out->name);
    item->at_ms = env_wall_ms(loop_env(conn_loop(d->r->request->conn)));
    item->out = out;
    item->change.controller = d->r->api->options.controller;
    item->change.prepare = delete_topics_prepare;
    item->change.done = delete_topics_changed;
    d->pending++;
    controller_change(&item->change);
}

static enum flow_verdict delete_topics_change(struct flow *flow)
{
    struct delete_topics *d = api_own(flow);
    int32_t count =
        d->r->version >= 6 ? d->body.topics_count : d->body.topic_names_count;
    struct map by_key = {0};

    delete_topics_response_init(&d->response);
    d->response.responses =
        arena_array(d->r->arena, (size_t)count, sizeof(*d->response.responses));
    for (int32_t i = 0; i < count; i++) {
        delete_topics_add(d, i, &by_key);
    }
    map_fini(&by_key);
    d->pending = 1; /* this step's own */
    for (int32_t i = 0; i < d->response.responses_count; i++) {
        if (d->response.responses[i].error_code == 0) {
            delete_topics_start(d, &d->response.responses[i]);
        }
    }
    return --d->pending == 0 ? FLOW_NEXT : FLOW_WAIT;
}

static enum flow_verdict delete_topics_respond(struct flow *flow)
{
    struct delete_topics *d = api_own(flow);

    delete_topics_response_encode(api_answer_begin(d->r, 256), d->r->version,
                                  &d->response);
    api_answer_end(d->r);
    return FLOW_NEXT;
}
