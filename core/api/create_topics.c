/* create_topics.c - the CreateTopics request (api key 19).
 *
 * Each topic is one change of the metadata; they go side by side, and fail one
 * by one. A topic is answered once its partitions serve. A name that the
 * request has twice fails as a whole, as Kafka does it.
 *
 * Source: KIP-4, KIP-464 (defaults), KIP-525 (what became of it), KIP-516. */
#include "api/dispatch.h"
#include "cluster/topic_create.h"
#include "wire/create_topics.h"

enum { CONFIG_SOURCE_TOPIC = 1, CONFIG_SOURCE_DEFAULT = 5 };

struct create_topics;

struct create_topics_item {
    struct create_topics *create_topics;
    struct topic_create create;
    struct topic_create_spec spec;
    struct create_topics_response_topic *out;
};

struct create_topics {
    struct api_request *r;
    struct create_topics_request body;
    struct create_topics_response response;
    struct create_topics_item *items;
    uint32_t pending;
};

static enum flow_verdict create_topics_change(struct flow *flow);
static enum flow_verdict create_topics_respond(struct flow *flow);

static const struct flow_step create_topics_steps[] = {
    {"change", create_topics_change, NULL},   /* waits for quorum and logs */
    {"respond", create_topics_respond, NULL}, /* always runs, exactly once */
};

static struct create_topics *create_topics_of(struct flow *flow)
{
    struct api_request *r = container_of(flow, struct api_request, flow);

    return r->request->context;
}

void handle_create_topics(struct api_request *r)
{
    struct create_topics *c = ARENA_NEW(r->arena, struct create_topics);

    c->r = r;
    create_topics_request_init(&c->body);
    create_topics_request_decode(&r->body, r->arena, r->version, &c->body);
    if (!api_decoded(r)) {
        return;
    }
    r->request->context = c;
    flow_start(&r->flow, create_topics_steps, ARRAY_COUNT(create_topics_steps));
}

/* All honoured configs of a topic, and whose each is. */
static void create_topics_answer_configs(
    struct arena *arena, const struct topic *topic,
    struct create_topics_response_topic *out)
{
    out->configs = arena_array(arena, topic_config_count(),
                               sizeof(*out->configs));
    for (size_t i = 0; i < topic_config_count(); i++) {
        const struct topic_config *config = topic_config_at(i);
        struct str name = str_of(config->name);
        struct create_topics_response_config *answer =
            &out->configs[out->configs_count++];

        create_topics_response_config_init(answer);
        answer->name = name;
        answer->value = topic_config_text(config, &topic->settings, arena);
        answer->config_source =
            str_is_null(topic_find_override(topic, name))
                ? CONFIG_SOURCE_DEFAULT
                : CONFIG_SOURCE_TOPIC;
    }
}

static void create_topics_answer(struct create_topics_item *item,
                                 const struct controller_change *change)
{
    struct create_topics_response_topic *out = item->out;
    const struct command_create_topic *command = &change->command.create_topic;
    struct arena *arena = item->create_topics->r->arena;

    out->error_code = err_wire(change->err);
    if (change->err != ERR_NONE) {
        out->error_message = arena_str(arena, str_of(change->why.text));
        return;
    }
    out->num_partitions = command->partitions_count;
    out->replication_factor = (int16_t)command->partitions[0].replicas_count;
    if (change->topic != NULL) {
        out->topic_id = change->topic->id;
        create_topics_answer_configs(arena, change->topic, out);
    }
}

static void create_topics_changed(struct controller_change *change)
{
    struct create_topics_item *item =
        container_of(change, struct create_topics_item, create.change);
    struct create_topics *c = item->create_topics;

    create_topics_answer(item, change);
    controller_change_end(change);
    if (--c->pending == 0) {
        flow_resume(&c->r->flow, ERR_NONE);
    }
}

/* The wire's lists as the spec has them. */
static void create_topics_fill(struct create_topics *c,
                               const struct create_topics_request_topic *in,
                               struct topic_create_spec *spec)
{
    struct topic_create_assignment *assignments =
        arena_array(c->r->arena, (size_t)in->assignments_count,
                    sizeof(*assignments));
    struct topic_override *configs = arena_array(
        c->r->arena, (size_t)in->configs_count, sizeof(*configs));

    for (int32_t i = 0; i < in->assignments_count; i++) {
        assignments[i] = (struct topic_create_assignment){
            .partition = in->assignments[i].partition_index,
            .brokers = in->assignments[i].broker_ids,
            .brokers_count = in->assignments[i].broker_ids_count};
    }
    for (int32_t i = 0; i < in->configs_count; i++) {
        configs[i] = (struct topic_override){.name = in->configs[i].name,
                                             .value = in->configs[i].value};
    }
    *spec = (struct topic_create_spec){
        .name = in->name,
        .partitions = in->num_partitions,
        .replication_factor = in->replication_factor,
        .assignments = assignments,
        .assignments_count = in->assignments_count,
        .configs = configs,
        .configs_count = in->configs_count,
        .source = "client"};
}

static bool create_topics_is_double(const struct create_topics *c, int32_t at)
{
    for (int32_t i = 0; i < c->body.topics_count; i++) {
        if (i != at &&
            str_eq(c->body.topics[i].name, c->body.topics[at].name)) {
            return true;
        }
    }
    return false;
}

static void create_topics_start(struct create_topics *c, int32_t at)
{
    const struct api_options *options = &c->r->api->options;
    const struct create_topics_request_topic *in = &c->body.topics[at];
    struct create_topics_item *item = &c->items[at];

    item->create_topics = c;
    item->out = &c->response.topics[at];
    create_topics_response_topic_init(item->out);
    item->out->name = in->name;
    item->out->num_partitions = -1;
    item->out->replication_factor = -1;
    if (create_topics_is_double(c, at)) {
        item->out->error_code = err_wire(ERR_INVALID_REQUEST);
        item->out->error_message =
            str_of("the request names this topic more than once");
        return;
    }
    create_topics_fill(c, in, &item->spec);
    item->create.spec = &item->spec;
    item->create.defaults = (struct topic_create_defaults){
        .partitions = options->default_partitions,
        .replication_factor = options->default_replication_factor,
        .partitions_max = options->partitions_per_topic};
    item->create.change.controller = options->controller;
    item->create.change.check_only = c->body.validate_only;
    item->create.change.done = create_topics_changed;
    c->pending++;
    topic_create_start(&item->create,
                       loop_env(conn_loop(c->r->request->conn)));
}

static enum flow_verdict create_topics_change(struct flow *flow)
{
    struct create_topics *c = create_topics_of(flow);

    create_topics_response_init(&c->response);
    c->response.topics_count = c->body.topics_count;
    c->response.topics = arena_array(c->r->arena, (size_t)c->body.topics_count,
                                     sizeof(*c->response.topics));
    c->items = arena_array(c->r->arena, (size_t)c->body.topics_count,
                           sizeof(*c->items));
    c->pending = 1; /* this step's own */
    for (int32_t i = 0; i < c->body.topics_count; i++) {
        create_topics_start(c, i);
    }
    return --c->pending == 0 ? FLOW_NEXT : FLOW_WAIT;
}

static enum flow_verdict create_topics_respond(struct flow *flow)
{
    struct create_topics *c = create_topics_of(flow);

    create_topics_response_encode(api_answer_begin(c->r, 1024), c->r->version,
                                  &c->response);
    api_answer_end(c->r);
    return FLOW_NEXT;
}
