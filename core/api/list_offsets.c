/* list_offsets.c - the ListOffsets request (api key 2).
 *
 * Happy path: the special timestamps (earliest, latest, ...) are answered from
 * what the log publishes; a real timestamp and the largest one are looked up in
 * the files of the logs, on one disk thread, one partition after the other, so
 * that a long list does not stand in the way of those who wait for a sync;
 * answer. A partition that is named twice is answered once, with an error.
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

struct list_offsets_item {
    struct list_offsets_response_partition *out;
    int64_t timestamp;
    struct log *log; /* pinned while the search runs; NULL: none is needed */
    enum err err;
    struct log_found found;
};

struct list_offsets {
    struct api_request *r;
    struct list_offsets_request body;
    struct list_offsets_response response;
    struct list_offsets_item *items;
    uint32_t item_count;
    struct map items_by_key; /* topic and partition; while it looks */
    struct work work;
};

static enum flow_verdict list_offsets_look(struct flow *flow);
static enum flow_verdict list_offsets_search(struct flow *flow);
static enum flow_verdict list_offsets_respond(struct flow *flow);

static const struct flow_step list_offsets_steps[] = {
    {"look", list_offsets_look, NULL},       /* what needs no file */
    {"search", list_offsets_search, NULL},   /* waits for a disk thread */
    {"respond", list_offsets_respond, NULL}, /* always runs, exactly once */
};

void handle_list_offsets(struct api_request *r)
{
    struct list_offsets *list = ARENA_NEW(r->arena, struct list_offsets);

    list->r = r;
    list_offsets_request_decode(&r->body, r->arena, r->version, &list->body);
    if (!api_decoded(r)) {
        return;
    }
    r->own = list;
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

static enum err
list_offsets_look_at(struct list_offsets *list, struct str topic,
                     const struct list_offsets_request_partition *in,
                     struct list_offsets_item *item)
{
    struct lookup_topic named = {.name = topic};
    struct lookup_partition found;
    enum err err =
        lookup_partition(list->r, &named, in->partition_index, &found);

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
        size_t partitions = (size_t)body->topics[i].partitions_count;

        out->name = body->topics[i].name;
        out->partitions =
            arena_array(arena, partitions, sizeof(*out->partitions));
        count += partitions;
    }
    list->items = arena_array(arena, count, sizeof(*list->items));
}

/* The item of a partition, new, or the one that it has had before. */
static struct list_offsets_item *
list_offsets_item(struct list_offsets *list,
                  struct list_offsets_response_topic *topic, int32_t partition,
                  bool *is_new)
{
    struct str key = lookup_key(list->r->arena, topic->name, partition);
    struct list_offsets_item *item = map_find(&list->items_by_key, key);

    *is_new = item == NULL;
    if (item == NULL) {
        item = &list->items[list->item_count++];
        item->out = &topic->partitions[topic->partitions_count++];
        list_offsets_response_partition_init(item->out);
        item->out->partition_index = partition;
        map_put(&list->items_by_key, key, item);
    }
    return item;
}

static void list_offsets_drop_search(struct list_offsets_item *item)
{
    if (item->log != NULL) {
        log_unpin(item->log);
        item->log = NULL;
    }
}

static enum flow_verdict list_offsets_look(struct flow *flow)
{
    struct list_offsets *list = api_own(flow);

    list_offsets_prepare(list);
    for (int32_t i = 0; i < list->body.topics_count; i++) {
        const struct list_offsets_request_topic *topic = &list->body.topics[i];

        for (int32_t j = 0; j < topic->partitions_count; j++) {
            const struct list_offsets_request_partition *in =
                &topic->partitions[j];
            bool is_new;
            struct list_offsets_item *item = list_offsets_item(
                list, &list->response.topics[i], in->partition_index, &is_new);

            if (is_new) {
                item->timestamp = in->timestamp;
                item->err = list_offsets_look_at(list, topic->name, in, item);
            } else {
                list_offsets_drop_search(item);
                item->err = ERR_INVALID_REQUEST;
            }
        }
    }
    map_fini(&list->items_by_key);
    return FLOW_NEXT;
}

/* On a disk thread. */
static void list_offsets_run(struct work *work)
{
    struct list_offsets *list = container_of(work, struct list_offsets, work);

    for (uint32_t i = 0; i < list->item_count; i++) {
        struct list_offsets_item *item = &list->items[i];

        if (item->log != NULL && item->timestamp == LIST_MAX_TIMESTAMP) {
            item->err = log_find_max_timestamp(item->log, &item->found, NULL);
        } else if (item->log != NULL) {
            item->err =
                log_find_time(item->log, item->timestamp, &item->found, NULL);
        }
    }
}

static void list_offsets_search_done(struct work *work)
{
    struct list_offsets *list = container_of(work, struct list_offsets, work);

    for (uint32_t i = 0; i < list->item_count; i++) {
        list_offsets_drop_search(&list->items[i]);
    }
    flow_resume(&list->r->flow, ERR_NONE);
}

static enum flow_verdict list_offsets_search(struct flow *flow)
{
    struct list_offsets *list = api_own(flow);
    bool searches = false;

    for (uint32_t i = 0; i < list->item_count; i++) {
        searches = searches || list->items[i].log != NULL;
    }
    if (!searches) {
        return FLOW_NEXT;
    }
    list->work.run = list_offsets_run;
    list->work.done = list_offsets_search_done;
    list->work.key = (uint64_t)(uintptr_t)list;
    env_work(loop_env(conn_loop(list->r->request->conn)), &list->work);
    return FLOW_WAIT;
}

static enum flow_verdict list_offsets_respond(struct flow *flow)
{
    struct list_offsets *list = api_own(flow);
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
