/* create_topics.c - the CreateTopics request (api key 19).
 *
 * Each topic is one change of the metadata; they go side by side, and fail one
 * by one. A topic is answered once its partitions serve. A name that the
 * request has twice is refused and answered once, as Kafka does it.
 *
 * Source: KIP-4, KIP-464 (defaults), KIP-525 (what became of it), KIP-516. */
#include "api/dispatch.h"
#include "cluster/topic_create.h"
#include "wire/create_topics.h"

enum {
    CONFIG_SOURCE_TOPIC = 1,
    CONFIG_SOURCE_DEFAULT = 5,
    CREATE_TOPICS_MAX =
        10000, /* of one request, as Kafka's controller has it */
};

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
    const struct create_topics_request_topic **ins; /* as response.topics */
    uint32_t pending;
};

static enum flow_verdict create_topics_change(struct flow *flow);
static enum flow_verdict create_topics_respond(struct flow *flow);

static const struct flow_step create_topics_steps[] = {
    {"change", create_topics_change, NULL},   /* waits for quorum and logs */
    {"respond", create_topics_respond, NULL}, /* always runs, exactly once */
};

void handle_create_topics(struct api_request *r)
{
    struct create_topics *c = ARENA_NEW(r->arena, struct create_topics);

    c->r = r;
    create_topics_request_init(&c->body);
    create_topics_request_decode(&r->body, r->arena, r->version, &c->body);
    if (!api_decoded(r)) {
        return;
    }
    r->own = c;
    flow_start(&r->flow, create_topics_steps, ARRAY_COUNT(create_topics_steps));
}

static bool create_topics_is_set(const struct command_create_topic *command,
                                 struct str config)
{
    for (int32_t i = 0; i < command->configs_count; i++) {
        if (str_eq(command->configs[i].name, config)) {
            return true;
        }
    }
    return false;
}

/* All configs of a topic, and whose each is. */
static void
create_topics_answer_configs(struct arena *arena,
                             const struct topic_create *create,
                             struct create_topics_response_topic *out)
{
    const struct command_create_topic *command =
        &create->change.command.create_topic;

    out->configs =
        arena_array(arena, topic_config_count(), sizeof(*out->configs));
    for (size_t i = 0; i < topic_config_count(); i++) {
        const struct topic_config *config = topic_config_at(i);
        struct str name = str_of(config->name);
        struct create_topics_response_config *answer =
            &out->configs[out->configs_count++];

        create_topics_response_config_init(answer);
        answer->name = name;
        answer->value = topic_config_text(config, &create->settings, arena);
        answer->config_source = create_topics_is_set(command, name)
                                    ? CONFIG_SOURCE_TOPIC
                                    : CONFIG_SOURCE_DEFAULT;
    }
}

static void create_topics_answer(struct create_topics_item *item,
                                 const struct controller_change *change)
{
    struct create_topics_response_topic *out = item->out;
    const struct command_create_topic *command = &change->command.create_topic;
    struct arena *arena = item->create_topics->r->arena;

    out->error_code = err_wire(api_change_err(change->err));
    if (change->err != ERR_NONE) {
        out->error_message = arena_str(arena, str_of(change->why.text));
        return;
    }
    out->num_partitions = command->partitions_count;
    out->replication_factor = (int16_t)command->partitions[0].replicas_count;
    out->topic_id = command->topic_id;
    create_topics_answer_configs(arena, &item->create, out);
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
    struct topic_create_assignment *assignments = arena_array(
        c->r->arena, (size_t)in->assignments_count, sizeof(*assignments));
    struct topic_override *configs =
        arena_array(c->r->arena, (size_t)in->configs_count, sizeof(*configs));

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
    *spec =
        (struct topic_create_spec){.name = in->name,
                                   .partitions = in->num_partitions,
                                   .replication_factor = in->replication_factor,
                                   .assignments = assignments,
                                   .assignments_count = in->assignments_count,
                                   .configs = configs,
                                   .configs_count = in->configs_count,
                                   .source = "client"};
}

static void create_topics_refuse(struct create_topics_response_topic *out,
                                 enum err err, const char *text)
{
    out->error_code = err_wire(err);
    out->error_message = str_of(text);
}

/* The answer of a name, new, or a refusal because it is not. */
static void create_topics_add(struct create_topics *c,
                              const struct create_topics_request_topic *in,
                              struct map *by_name)
{
    struct create_topics_response_topic *out = map_find(by_name, in->name);

    if (out != NULL) {
        create_topics_refuse(out, ERR_INVALID_REQUEST,
                             "the request names this topic more than once");
        return;
    }
    c->ins[c->response.topics_count] = in;
    out = &c->response.topics[c->response.topics_count++];
    create_topics_response_topic_init(out);
    out->name = in->name;
    map_put(by_name, in->name, out);
}

static void create_topics_start(struct create_topics *c, int32_t at)
{
    const struct api_options *options = &c->r->api->options;
    struct create_topics_item *item =
        ARENA_NEW(c->r->arena, struct create_topics_item);

    item->create_topics = c;
    item->out = &c->response.topics[at];
    create_topics_fill(c, c->ins[at], &item->spec);
    item->create.spec = &item->spec;
    item->create.defaults = options->topic_defaults;
    item->create.change.controller = options->controller;
    item->create.change.check_only = c->body.validate_only;
    item->create.change.done = create_topics_changed;
    c->pending++;
    topic_create_start(&item->create, loop_env(conn_loop(c->r->request->conn)));
}

static enum flow_verdict create_topics_change(struct flow *flow)
{
    struct create_topics *c = api_own(flow);
    size_t count = (size_t)c->body.topics_count;
    struct map by_name = {0};

    create_topics_response_init(&c->response);
    c->response.topics =
        arena_array(c->r->arena, count, sizeof(*c->response.topics));
    c->ins = arena_array(c->r->arena, count, sizeof(c->ins[0]));
    for (size_t i = 0; i < count; i++) {
        create_topics_add(c, &c->body.topics[i], &by_name);
    }
    map_fini(&by_name);
    c->pending = 1; /* this step's own */
    for (int32_t i = 0; i < c->response.topics_count; i++) {
        struct create_topics_response_topic *out = &c->response.topics[i];

        if (c->response.topics_count > CREATE_TOPICS_MAX) {
            create_topics_refuse(out, ERR_POLICY_VIOLATION,
                                 "a request may name 10000 topics");
        } else if (out->error_code == 0) {
            create_topics_start(c, i);
        }
    }
    return --c->pending == 0 ? FLOW_NEXT : FLOW_WAIT;
}

static enum flow_verdict create_topics_respond(struct flow *flow)
{
    struct create_topics *c = api_own(flow);

    create_topics_response_encode(api_answer_begin(c->r, 1024), c->r->version,
                                  &c->response);
    api_answer_end(c->r);
    return FLOW_NEXT;
}
