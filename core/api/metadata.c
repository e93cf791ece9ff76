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

/* Topics that one request may make by asking for them; for the others it is
 * asked again. */
enum { METADATA_CREATES_MAX = 100 };

struct metadata;

/* A topic that is made because somebody asked for it. */
struct metadata_create {
    struct metadata *metadata;
    struct topic_create create;
    struct topic_create_spec spec;
    enum err err;
};

/* A topic that the request names, once. */
struct metadata_item {
    struct lookup_topic named;
    enum err refused;               /* what it names is no topic's name */
    struct metadata_create *create; /* NULL: it is not made */
};

struct metadata {
    struct api_request *r;
    struct metadata_request body;
    bool all;
    struct metadata_item *items;
    int32_t items_count;
    int32_t creates_count;
    uint32_t pending;
    struct metadata_response response;
};

static enum flow_verdict metadata_gather(struct flow *flow);
static enum flow_verdict metadata_make(struct flow *flow);
static enum flow_verdict metadata_respond(struct flow *flow);

static const struct flow_step metadata_steps[] = {
    {"gather", metadata_gather, NULL},   /* what is named, each once */
    {"make", metadata_make, NULL},       /* topics that are missing */
    {"respond", metadata_respond, NULL}, /* always runs, exactly once */
};

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
    r->own = m;
    flow_start(&r->flow, metadata_steps, ARRAY_COUNT(metadata_steps));
}

/* From version 12 on an id says which topic, whatever the name beside it;
 * before there are none, and a name is a must. To name nothing at all is an
 * accident for Kafka: -1, where others would do better. */
static enum err metadata_refuse(const struct metadata *m,
                                const struct metadata_request_topic *in)
{
    bool has_id = !uuid_is_zero(in->topic_id);

    if (m->r->version >= 12) {
        return str_is_null(in->name) && !has_id ? ERR_UNKNOWN_SERVER_ERROR
                                                : ERR_NONE;
    }
    return str_is_null(in->name) || has_id ? ERR_INVALID_REQUEST : ERR_NONE;
}

/* The topic that is meant; NULL: there is none. */
static const struct topic *metadata_find(const struct metadata *m,
                                         const struct metadata_item *item)
{
    return item->refused == ERR_NONE ? lookup_topic(m->r, &item->named) : NULL;
}

/* What stands for a topic among those named: its id, where there is one. */
static struct str metadata_key(const struct metadata *m,
                               const struct metadata_item *item)
{
    const struct lookup_topic *named = &item->named;
    const struct topic *topic = metadata_find(m, item);

    if (topic != NULL || named->by_id) {
        return lookup_key(
            m->r->arena,
            str_sub(topic != NULL ? topic->id.bytes : named->id.bytes,
                    sizeof(struct uuid)),
            1);
    }
    return lookup_key(m->r->arena, named->name, 0);
}

/* Ten thousand times the same large topic is one: the answer is never larger
 * than the cluster. */
static enum flow_verdict metadata_gather(struct flow *flow)
{
    struct metadata *m = api_own(flow);
    int32_t count = MAX(m->body.topics_count, 0);
    struct map by_key = {0};

    m->items = arena_array(m->r->arena, (size_t)count, sizeof(*m->items));
    for (int32_t i = 0; i < count; i++) {
        const struct metadata_request_topic *in = &m->body.topics[i];
        struct metadata_item *item = &m->items[m->items_count];
        struct str key;

        item->named = (struct lookup_topic){
            .name = in->name,
            .id = in->topic_id,
            .by_id = m->r->version >= 12 && !uuid_is_zero(in->topic_id)};
        item->refused = metadata_refuse(m, in);
        key = metadata_key(m, item);
        if (map_find(&by_key, key) == NULL) {
            map_put(&by_key, key, item);
            m->items_count++;
        }
    }
    map_fini(&by_key);
    return FLOW_NEXT;
}

static void metadata_made(struct controller_change *change)
{
    struct metadata_create *make =
        container_of(change, struct metadata_create, create.change);
    struct metadata *m = make->metadata;

    /* Two clients that ask at once make one topic: the other one's is as good.
     */
    make->err =
        change->err == ERR_TOPIC_ALREADY_EXISTS ? ERR_NONE : change->err;
    controller_change_end(change);
    if (--m->pending == 0) {
        flow_resume(&m->r->flow, ERR_NONE);
    }
}

static bool metadata_wants(const struct metadata *m,
                           const struct metadata_item *item)
{
    return !item->named.by_id && item->refused == ERR_NONE &&
           m->creates_count < METADATA_CREATES_MAX &&
           metadata_find(m, item) == NULL;
}

static void metadata_start(struct metadata *m, struct metadata_item *item)
{
    const struct api_options *options = &m->r->api->options;
    struct metadata_create *make =
        ARENA_NEW(m->r->arena, struct metadata_create);

    item->create = make;
    make->metadata = m;
    make->spec = (struct topic_create_spec){.name = item->named.name,
                                            .partitions = -1,
                                            .replication_factor = -1,
                                            .source = "auto"};
    make->create.spec = &make->spec;
    make->create.defaults = options->topic_defaults;
    make->create.change.controller = options->controller;
    make->create.change.done = metadata_made;
    m->creates_count++;
    m->pending++;
    topic_create_start(&make->create, loop_env(conn_loop(m->r->request->conn)));
}

static enum flow_verdict metadata_make(struct flow *flow)
{
    struct metadata *m = api_own(flow);

    if (!m->body.allow_auto_topic_creation ||
        !api_listener(m->r)->auto_create) {
        return FLOW_NEXT;
    }
    m->pending = 1; /* this step's own */
    for (int32_t i = 0; i < m->items_count; i++) {
        if (metadata_wants(m, &m->items[i])) {
            metadata_start(m, &m->items[i]);
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
    out->partitions = arena_array(m->r->arena, (size_t)topic->partitions_count,
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
static enum err metadata_missing(const struct metadata_item *item)
{
    const struct lookup_topic *named = &item->named;

    if (item->refused != ERR_NONE) {
        return item->refused;
    }
    if (!named->by_id && topic_name_check(named->name, NULL) != ERR_NONE) {
        return ERR_INVALID_TOPIC_EXCEPTION;
    }
    if (item->create == NULL || item->create->err == ERR_NONE) {
        return lookup_unknown(named);
    }
    /* All clients ask again after this one. */
    return err_is_retriable(item->create->err) ? ERR_LEADER_NOT_AVAILABLE
                                               : item->create->err;
}

static void metadata_answer_named(struct metadata *m)
{
    struct metadata_response *response = &m->response;

    response->topics_count = m->items_count;
    response->topics = arena_array(m->r->arena, (size_t)m->items_count,
                                   sizeof(*response->topics));
    for (int32_t i = 0; i < m->items_count; i++) {
        const struct metadata_item *item = &m->items[i];
        const struct topic *topic = metadata_find(m, item);
        struct metadata_response_topic *out = &response->topics[i];

        if (topic != NULL) {
            metadata_answer_topic(m, topic, out);
            continue;
        }
        metadata_response_topic_init(out);
        out->error_code = err_wire(metadata_missing(item));
        out->topic_id = item->named.id;
        if (!item->named.by_id || item->refused != ERR_NONE) {
            out->name =
                str_is_null(item->named.name) ? STR_LIT("") : item->named.name;
        }
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
    struct metadata *m = api_own(flow);
    const struct image *image = controller_image(m->r->api->options.controller);
    struct metadata_response *response = &m->response;

    metadata_response_init(response);
    response->cluster_id = str_of(image->cluster_id);
    response->controller_id = image->controller_id;
    metadata_answer_brokers(m, image);
    if (m->all) {
        response->topics = arena_array(m->r->arena, (size_t)image->topics_count,
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
