/* metadata.c - the Metadata request (api key 3).
 *
 * Happy path: find the topics that are named, or take all; make those that are
 * missing, when the client allows it and its listener too, and wait until they
 * serve; answer with brokers, topics, partitions and leaders.
 *
 * Source: protocol guide, "Metadata"; KIP-78 (cluster id), KIP-361 (automatic
 *         creation), KIP-430, KIP-516 (topic ids); protocol/api-versions 5. */
#include "api/dispatch.h"
#include "api/lookup.h"
#include "cluster/topic_create.h"
#include "wire/metadata.h"

enum {
    /* What an unsecured broker allows, as Kafka's bit fields say it. */
    TOPIC_OPERATIONS_ALL = 0x0DF8,
    CLUSTER_OPERATIONS_ALL = 0x1FA0,
};

struct metadata;

/* A topic that is made because somebody asked for it. */
struct metadata_create {
    struct metadata *metadata;
    struct topic_create create;
    struct topic_create_spec spec;
    enum err err;
};

struct metadata {
    struct api_request *r;
    struct metadata_request body;
    bool all;
    struct metadata_create *creates; /* by place in the request */
    uint32_t pending;
    struct metadata_response response;
};

static enum flow_verdict metadata_make(struct flow *flow);
static enum flow_verdict metadata_respond(struct flow *flow);

static const struct flow_step metadata_steps[] = {
    {"make", metadata_make, NULL},       /* topics that are missing */
    {"respond", metadata_respond, NULL}, /* always runs, exactly once */
};

static struct metadata *metadata_of(struct flow *flow)
{
    struct api_request *r = container_of(flow, struct api_request, flow);

    return r->request->context;
}

void handle_metadata(struct api_request *r)
{
    struct metadata *m = ARENA_NEW(r->arena, struct metadata);

    m->r = r;
    metadata_request_init(&m->body);
    metadata_request_decode(&r->body, r->arena, r->version, &m->body);
    if (!api_decoded(r)) {
        return;
    }
    /* Version 0 has no null: there an empty list means all. */
    m->all = m->body.topics_count < 0 ||
             (r->version == 0 && m->body.topics_count == 0);
    r->request->context = m;
    flow_start(&r->flow, metadata_steps, ARRAY_COUNT(metadata_steps));
}

static struct lookup_topic metadata_named(const struct metadata *m, int32_t at)
{
    const struct metadata_request_topic *topic = &m->body.topics[at];

    return (struct lookup_topic){.name = topic->name,
                                 .id = topic->topic_id,
                                 .by_id = m->r->version >= 12 &&
                                          str_is_null(topic->name)};
}

static void metadata_made(struct controller_change *change)
{
    struct metadata_create *make =
        container_of(change, struct metadata_create, create.change);
    struct metadata *m = make->metadata;

    /* Two clients that ask at once make one topic: the other one's is as good. */
    make->err =
        change->err == ERR_TOPIC_ALREADY_EXISTS ? ERR_NONE : change->err;
    controller_change_end(change);
    if (--m->pending == 0) {
        flow_resume(&m->r->flow, ERR_NONE);
    }
}

/* Whether the topic at this place is to be made. */
static bool metadata_wants(const struct metadata *m, int32_t at)
{
    struct lookup_topic named = metadata_named(m, at);

    if (named.by_id || str_is_null(named.name) ||
        lookup_topic(m->r, &named) != NULL) {
        return false;
    }
    for (int32_t i = 0; i < at; i++) {
        if (str_eq(m->body.topics[i].name, named.name)) {
            return false; /* it is being made already */
        }
    }
    return true;
}

static void metadata_start(struct metadata *m, int32_t at)
{
    const struct api_options *options = &m->r->api->options;
    struct metadata_create *make = &m->creates[at];

    make->metadata = m;
    make->spec = (struct topic_create_spec){.name = m->body.topics[at].name,
                                            .partitions = -1,
                                            .replication_factor = -1,
                                            .source = "auto"};
    make->create.spec = &make->spec;
    make->create.defaults = (struct topic_create_defaults){
        .partitions = options->default_partitions,
        .replication_factor = options->default_replication_factor,
        .partitions_max = options->partitions_per_topic};
    make->create.change.controller = options->controller;
    make->create.change.done = metadata_made;
    m->pending++;
    topic_create_start(&make->create,
                       loop_env(conn_loop(m->r->request->conn)));
}

static enum flow_verdict metadata_make(struct flow *flow)
{
    struct metadata *m = metadata_of(flow);

    m->creates = arena_array(m->r->arena, (size_t)MAX(m->body.topics_count, 0),
                             sizeof(*m->creates));
    if (m->all || !m->body.allow_auto_topic_creation ||
        !api_listener(m->r)->auto_create) {
        return FLOW_NEXT;
    }
    m->pending = 1; /* this step's own */
    for (int32_t i = 0; i < m->body.topics_count; i++) {
        if (metadata_wants(m, i)) {
            metadata_start(m, i);
        }
    }
    return --m->pending == 0 ? FLOW_NEXT : FLOW_WAIT;
}

static void metadata_answer_partition(const struct topic_partition *in,
                                      int32_t index,
                                      struct metadata_response_partition *out)
{
    metadata_response_partition_init(out);
    out->partition_index = index;
    out->error_code =
        err_wire(in->leader < 0 ? ERR_LEADER_NOT_AVAILABLE : ERR_NONE);
    out->leader_id = in->leader;
    out->leader_epoch = in->leader_epoch;
    out->replica_nodes = (int32_t *)(uintptr_t)in->replicas;
    out->replica_nodes_count = in->replicas_count;
    out->isr_nodes = (int32_t *)(uintptr_t)in->isr;
    out->isr_nodes_count = in->isr_count;
}

static void metadata_answer_topic(const struct metadata *m,
                                  const struct topic *topic,
                                  struct metadata_response_topic *out)
{
    metadata_response_topic_init(out);
    out->name = topic->name;
    out->topic_id = topic->id;
    out->partitions_count = topic->partitions_count;
    out->partitions =
        arena_array(m->r->arena, (size_t)topic->partitions_count,
                    sizeof(*out->partitions));
    for (int32_t i = 0; i < topic->partitions_count; i++) {
        metadata_answer_partition(&topic->partitions[i], i,
                                  &out->partitions[i]);
    }
    if (m->body.include_topic_authorized_operations) {
        out->topic_authorized_operations = TOPIC_OPERATIONS_ALL;
    }
}

/* A topic that is named and not there: which error that is. */
static enum err metadata_missing(const struct metadata *m, int32_t at,
                                 const struct lookup_topic *named)
{
    if (str_is_null(named->name) && !named->by_id) {
        return ERR_INVALID_REQUEST; /* ids are known from version 12 on */
    }
    if (!named->by_id && topic_name_check(named->name, NULL) != ERR_NONE) {
        return ERR_INVALID_TOPIC_EXCEPTION;
    }
    return m->creates[at].err != ERR_NONE ? m->creates[at].err
                                          : lookup_unknown(named);
}

static void metadata_answer_named(struct metadata *m)
{
    struct metadata_response *response = &m->response;

    response->topics_count = MAX(m->body.topics_count, 0);
    response->topics =
        arena_array(m->r->arena, (size_t)response->topics_count,
                    sizeof(*response->topics));
    for (int32_t i = 0; i < response->topics_count; i++) {
        struct lookup_topic named = metadata_named(m, i);
        const struct topic *topic = lookup_topic(m->r, &named);

        if (topic != NULL) {
            metadata_answer_topic(m, topic, &response->topics[i]);
            continue;
        }
        metadata_response_topic_init(&response->topics[i]);
        response->topics[i].error_code =
            err_wire(metadata_missing(m, i, &named));
        response->topics[i].name = named.name;
        response->topics[i].topic_id = m->body.topics[i].topic_id;
    }
}

static void metadata_answer_one_of_all(struct topic *topic, void *arg)
{
    struct metadata *m = arg;

    metadata_answer_topic(m, topic,
                          &m->response.topics[m->response.topics_count++]);
}

/* Brokers as this client reaches them: this one where it has connected to, the
 * others under what they have registered for the same listener. */
static void metadata_answer_brokers(struct metadata *m,
                                    const struct image *image)
{
    const struct api_options *options = &m->r->api->options;
    const char *listener = api_listener(m->r)->name;
    int32_t count = image->brokers == NULL ? 0 : image->brokers->count;
    struct metadata_response *response = &m->response;

    response->brokers =
        arena_array(m->r->arena, (size_t)count, sizeof(*response->brokers));
    for (int32_t i = 0; i < count; i++) {
        const struct broker *broker = &image->brokers->items[i];
        struct metadata_response_broker *out =
            &response->brokers[response->brokers_count];

        metadata_response_broker_init(out);
        out->node_id = broker->id;
        out->rack = broker->rack;
        if (broker->id == options->node_id) {
            api_advertised(m->r, &out->host, &out->port);
            response->brokers_count++;
            continue;
        }
        for (int32_t j = 0; j < broker->listeners_count; j++) {
            if (str_eq(broker->listeners[j].name, str_of(listener))) {
                out->host = broker->listeners[j].host;
                out->port = broker->listeners[j].port;
                response->brokers_count++;
                break;
            }
        }
    }
}

static enum flow_verdict metadata_respond(struct flow *flow)
{
    struct metadata *m = metadata_of(flow);
    const struct image *image =
        controller_image(m->r->api->options.controller);
    struct metadata_response *response = &m->response;

    metadata_response_init(response);
    response->cluster_id = str_of(image->cluster_id);
    response->controller_id = image->controller_id;
    metadata_answer_brokers(m, image);
    if (m->all) {
        response->topics =
            arena_array(m->r->arena, (size_t)image->topics_count,
                        sizeof(*response->topics));
        image_each_topic(image, metadata_answer_one_of_all, m);
    } else {
        metadata_answer_named(m);
    }
    if (m->body.include_cluster_authorized_operations) {
        response->cluster_authorized_operations = CLUSTER_OPERATIONS_ALL;
    }
    metadata_response_encode(api_answer_begin(m->r, 1024), m->r->version,
                             response);
    api_answer_end(m->r);
    return FLOW_NEXT;
}
