/* list_offsets.c - the ListOffsets request (api key 2).
 *
 * Happy path: the special timestamps (earliest, latest, ...) are answered from
 * what the log publishes; a real timestamp and the largest one are looked up in
 * the files of the log, on a disk thread, all partitions side by side; answer.
 *
 * Source: KIP-79, KIP-101, KIP-734 (-3), KIP-405 (-4, -5), KIP-1023 (-6);
 *         protocol/api-versions 5. */
#include "api/dispatch.h"
#include "api/lookup.h"
#include "cluster/replica.h"
#include "wire/list_offsets.h"

enum list_offsets_timestamp {
    LIST_LATEST = -1,
    LIST_EARLIEST = -2,
    LIST_MAX_TIMESTAMP = -3,
    LIST_EARLIEST_LOCAL = -4,
    LIST_LATEST_TIERED = -5,
    LIST_EARLIEST_PENDING_UPLOAD = -6,
};

struct list_offsets;

struct list_offsets_item {
    struct list_offsets *list;
    struct list_offsets_response_partition *out;
    int64_t timestamp;
    struct log *log; /* pinned while the search runs; NULL: none is needed */
    struct work work;
    enum err err;
    struct log_found found;
};

struct list_offsets {
    struct api_request *r;
    struct list_offsets_request body;
    struct list_offsets_response response;
    struct list_offsets_item *items;
    uint32_t item_count;
    uint32_t pending;
};

static enum flow_verdict list_offsets_look(struct flow *flow);
static enum flow_verdict list_offsets_search(struct flow *flow);
static enum flow_verdict list_offsets_respond(struct flow *flow);

static const struct flow_step list_offsets_steps[] = {
    {"look", list_offsets_look, NULL},       /* what needs no file */
    {"search", list_offsets_search, NULL},   /* waits for disk threads */
    {"respond", list_offsets_respond, NULL}, /* always runs, exactly once */
};

static struct list_offsets *list_offsets_of(struct flow *flow)
{
    struct api_request *r = container_of(flow, struct api_request, flow);

    return r->request->context;
}

void handle_list_offsets(struct api_request *r)
{
    struct list_offsets *list = ARENA_NEW(r->arena, struct list_offsets);

    list->r = r;
    list_offsets_request_decode(&r->body, r->arena, r->version, &list->body);
    if (!api_decoded(r)) {
        return;
    }
    r->request->context = list;
    flow_start(&r->flow, list_offsets_steps, ARRAY_COUNT(list_offsets_steps));
}

/* The lowest version of the request that may ask for a special timestamp;
 * INT16_MAX: there is no such timestamp. */
static int16_t list_offsets_version_of(int64_t timestamp)
{
    switch (timestamp) {
    case LIST_MAX_TIMESTAMP:
        return 7;
    case LIST_EARLIEST_LOCAL:
        return 8;
    case LIST_LATEST_TIERED:
        return 9;
    case LIST_EARLIEST_PENDING_UPLOAD:
        return 11;
    default:
        return timestamp >= LIST_EARLIEST ? 1 : INT16_MAX;
    }
}

/* Answers what can be answered at once, or leaves a search in item->log. */
static enum err list_offsets_answer(struct list_offsets_item *item,
                                    struct replica *replica)
{
    struct log *log = replica_log(replica);

    item->found = (struct log_found){-1, -1, -1};
    switch (item->timestamp) {
    case LIST_LATEST:
        item->found.offset = log_visible_end(log);
        item->found.leader_epoch = replica_leader_epoch(replica);
        return ERR_NONE;
    case LIST_EARLIEST:
    case LIST_EARLIEST_LOCAL:
        item->found.offset = log_start_offset(log);
        item->found.leader_epoch = log_epoch_of(log, item->found.offset);
        return ERR_NONE;
    case LIST_LATEST_TIERED:
    case LIST_EARLIEST_PENDING_UPLOAD:
        return ERR_NONE; /* there is no tiered storage: none */
    default:
        log_pin(log);
        item->log = log;
        return ERR_NONE;
    }
}

static enum err list_offsets_look_at(
    struct list_offsets *list, struct str topic,
    const struct list_offsets_request_partition *in,
    struct list_offsets_item *item)
{
    struct lookup_topic named = {.name = topic};
    struct lookup_partition found;
    enum err err = lookup_partition(list->r, &named, in->partition_index,
                                    &found);

    if (err == ERR_NONE) {
        err = lookup_check_epoch(found.replica, in->current_leader_epoch);
    }
    if (err == ERR_NONE &&
        list->r->version < list_offsets_version_of(in->timestamp)) {
        err = ERR_UNSUPPORTED_VERSION;
    }
    if (err == ERR_NONE) {
        err = list_offsets_answer(item, found.replica);
    }
    return err;
}

/* Whether the request names a partition twice. */
static bool list_offsets_is_double(
    const struct list_offsets_request_topic *topic, int32_t at)
{
    for (int32_t i = 0; i < topic->partitions_count; i++) {
        if (i != at && topic->partitions[i].partition_index ==
                           topic->partitions[at].partition_index) {
            return true;
        }
    }
    return false;
}

static void list_offsets_prepare(struct list_offsets *list)
{
    const struct list_offsets_request *body = &list->body;
    struct arena *arena = list->r->arena;
    size_t count = 0;

    list_offsets_response_init(&list->response);
    list->response.topics_count = body->topics_count;
    list->response.topics = arena_array(arena, (size_t)body->topics_count,
                                        sizeof(*list->response.topics));
    for (int32_t i = 0; i < body->topics_count; i++) {
        struct list_offsets_response_topic *out = &list->response.topics[i];

        out->name = body->topics[i].name;
        out->partitions_count = body->topics[i].partitions_count;
        out->partitions = arena_array(arena, (size_t)out->partitions_count,
                                      sizeof(*out->partitions));
        count += (size_t)out->partitions_count;
    }
    list->items = arena_array(arena, count, sizeof(*list->items));
}

static enum flow_verdict list_offsets_look(struct flow *flow)
{
    struct list_offsets *list = list_offsets_of(flow);

    list_offsets_prepare(list);
    for (int32_t i = 0; i < list->body.topics_count; i++) {
        const struct list_offsets_request_topic *topic = &list->body.topics[i];

        for (int32_t j = 0; j < topic->partitions_count; j++) {
            const struct list_offsets_request_partition *in =
                &topic->partitions[j];
            struct list_offsets_item *item = &list->items[list->item_count++];

            item->list = list;
            item->out = &list->response.topics[i].partitions[j];
            item->timestamp = in->timestamp;
            list_offsets_response_partition_init(item->out);
            item->out->partition_index = in->partition_index;
            item->err =
                list_offsets_is_double(topic, j)
                    ? ERR_INVALID_REQUEST
                    : list_offsets_look_at(list, topic->name, in, item);
        }
    }
    return FLOW_NEXT;
}

/* On a disk thread. */
static void list_offsets_run(struct work *work)
{
    struct list_offsets_item *item =
        container_of(work, struct list_offsets_item, work);

    item->err = item->timestamp == LIST_MAX_TIMESTAMP
                    ? log_find_max_timestamp(item->log, &item->found, NULL)
                    : log_find_time(item->log, item->timestamp, &item->found,
                                    NULL);
}

static void list_offsets_search_done(struct work *work)
{
    struct list_offsets_item *item =
        container_of(work, struct list_offsets_item, work);
    struct list_offsets *list = item->list;

    log_unpin(item->log);
    if (--list->pending == 0) {
        flow_resume(&list->r->flow, ERR_NONE);
    }
}

static enum flow_verdict list_offsets_search(struct flow *flow)
{
    struct list_offsets *list = list_offsets_of(flow);
    struct env *env = loop_env(conn_loop(list->r->request->conn));

    for (uint32_t i = 0; i < list->item_count; i++) {
        struct list_offsets_item *item = &list->items[i];

        if (item->log != NULL) {
            list->pending++;
            item->work.run = list_offsets_run;
            item->work.done = list_offsets_search_done;
            item->work.key = (uint64_t)(uintptr_t)item->log;
            env_work(env, &item->work);
        }
    }
    return list->pending == 0 ? FLOW_NEXT : FLOW_WAIT;
}

static enum flow_verdict list_offsets_respond(struct flow *flow)
{
    struct list_offsets *list = list_offsets_of(flow);
    struct api_request *r = list->r;

    for (uint32_t i = 0; i < list->item_count; i++) {
        struct list_offsets_item *item = &list->items[i];

        item->out->error_code = err_wire(item->err);
        item->out->offset = -1;
        item->out->timestamp = -1;
        item->out->leader_epoch = -1;
        if (item->err == ERR_NONE) {
            item->out->offset = item->found.offset;
            item->out->timestamp = item->found.timestamp_ms;
            item->out->leader_epoch = item->found.leader_epoch;
        }
    }
    list_offsets_response_encode(
        api_answer_begin(r, 64 + 40 * (size_t)list->item_count), r->version,
        &list->response);
    api_answer_end(r);
    return FLOW_NEXT;
}
