/* fetch.c - the Fetch request (api key 1).
 *
 * Happy path: find the session, or what stands for one; look at every
 * partition; while they hold less than min_bytes, wait for their high
 * watermarks to move or for max_wait_ms; take ranges of their segment files, no
 * more than max_bytes; answer with these ranges, which leave by sendfile.
 *
 * An error of a partition is a field of the answer and ends the wait. None
 * begins while memory is over its limit: the answer may be empty. What a
 * session's client knows already is left out of the answer.
 *
 * Source: protocol guide, "Fetch"; KIP-74 (max_bytes), KIP-227 (sessions),
 *         KIP-320 (leader epochs), KIP-516 (topic ids); behaviours 6. */
#include "api/dispatch.h"
#include "api/fetch_sessions.h"
#include "api/lookup.h"
#include "cluster/replica.h"
#include "wire/fetch.h"

enum {
    /* No answer is larger, whatever a client asks for (but for one batch). */
    FETCH_BYTES_MAX = 55 << 20,
    /* Nor waits longer: an empty answer before its time is none the worse. */
    FETCH_WAIT_MS_MAX = 300000,
};

struct fetch;

/* One partition of the request. */
struct fetch_item {
    struct fetch *fetch;
    struct fetch_session_partition *wish; /* the session's, or in the arena */
    struct replica_waiter waiter;
    struct replica *replica; /* of this turn */
    enum err err;
    int64_t high_watermark;
    int64_t log_start;
    int32_t diverging_epoch; /* -1: the client's log is a prefix of ours */
    int64_t diverging_end;
    struct log_range range;
};

struct fetch {
    struct api_request *r;
    struct fetch_request body;
    struct fetch_sessions *sessions;
    struct fetch_session *session; /* NULL: without one */
    bool incremental;
    enum err err; /* of the whole answer */
    struct fetch_item *items;
    uint32_t item_count;
    int64_t deadline_ms;
    bool registered;
    struct env_timer timer;
};

static enum flow_verdict fetch_begin(struct flow *flow);
static enum flow_verdict fetch_wait(struct flow *flow);
static enum flow_verdict fetch_read(struct flow *flow);
static enum flow_verdict fetch_respond(struct flow *flow);
static void fetch_wait_cancel(struct flow *flow);

static const struct flow_step fetch_steps[] = {
    {"begin", fetch_begin, NULL},            /* session, partitions */
    {"wait", fetch_wait, fetch_wait_cancel}, /* until min_bytes or max_wait */
    {"read", fetch_read, NULL},              /* ranges of files, pinned */
    {"respond", fetch_respond, NULL},        /* always runs, exactly once */
};

static struct env *fetch_env(const struct fetch *f)
{
    return loop_env(conn_loop(f->r->request->conn));
}

static bool fetch_is_by_id(const struct fetch *f)
{
    return f->r->version >= 13;
}

/* The client hung up while the request waits. */
static void fetch_gone(struct request *request)
{
    struct api_request *r = request->context;

    flow_cancel(&r->flow, ERR_CANCELLED);
}

void handle_fetch(struct api_request *r)
{
    struct fetch *f = ARENA_NEW(r->arena, struct fetch);

    f->r = r;
    fetch_request_init(&f->body);
    fetch_request_decode(&r->body, r->arena, r->version, &f->body);
    if (!api_decoded(r)) {
        return;
    }
    f->sessions = r->api->sessions[loop_index(conn_loop(r->request->conn))];
    r->own = f;
    r->request->gone = fetch_gone;
    flow_start(&r->flow, fetch_steps, ARRAY_COUNT(fetch_steps));
}

static struct fetch_session_wish
fetch_wish(const struct fetch *f, const struct fetch_request_topic *topic,
           const struct fetch_request_partition *partition)
{
    return (struct fetch_session_wish){
        .topic_id = topic->topic_id,
        .topic = fetch_is_by_id(f) ? STR_NULL : topic->topic,
        .partition = partition->partition,
        .current_leader_epoch = partition->current_leader_epoch,
        .last_fetched_epoch = partition->last_fetched_epoch,
        .max_bytes = partition->partition_max_bytes,
        .fetch_offset = partition->fetch_offset};
}

/* What the request adds to its session, and takes out of it. A session that
 * does not fit any more is lost: the client begins anew, without one.
 * Errors: ERR_FETCH_SESSION_ID_NOT_FOUND. */
static enum err fetch_update_session(struct fetch *f)
{
    for (int32_t i = 0; i < f->body.topics_count; i++) {
        const struct fetch_request_topic *topic = &f->body.topics[i];

        for (int32_t j = 0; j < topic->partitions_count; j++) {
            struct fetch_session_wish wish =
                fetch_wish(f, topic, &topic->partitions[j]);

            if (!fetch_session_wish(f->session, &wish)) {
                fetch_session_close(&f->sessions->cache, f->session->id);
                return ERR_FETCH_SESSION_ID_NOT_FOUND;
            }
        }
    }
    for (int32_t i = 0; i < f->body.forgotten_topics_data_count; i++) {
        const struct fetch_request_forgotten_topic *topic =
            &f->body.forgotten_topics_data[i];

        for (int32_t j = 0; j < topic->partitions_count; j++) {
            fetch_session_forget(f->session, topic->topic_id,
                                 fetch_is_by_id(f) ? STR_NULL : topic->topic,
                                 topic->partitions[j]);
        }
    }
    return ERR_NONE;
}

/* Partitions that the request names. */
static uint32_t fetch_count(const struct fetch *f)
{
    uint32_t count = 0;

    for (int32_t i = 0; i < f->body.topics_count; i++) {
        count += (uint32_t)f->body.topics[i].partitions_count;
    }
    return count;
}

/* Finds, makes or closes the session, as id and epoch of the request say. */
static enum err fetch_find_session(struct fetch *f)
{
    struct fetch_session_cache *cache = &f->sessions->cache;

    if (f->body.session_epoch != 0 && f->body.session_epoch != -1) {
        f->incremental = true;
        return fetch_session_continue(
            cache, f->body.session_id, f->body.session_epoch, fetch_is_by_id(f),
            env_now_ms(f->sessions->env), &f->session);
    }
    fetch_session_close(cache, f->body.session_id);
    if (f->body.session_epoch == 0 && f->body.topics_count > 0) {
        f->session = fetch_sessions_create(f->sessions, fetch_count(f),
                                           fetch_is_by_id(f));
    }
    return ERR_NONE;
}

static void fetch_add_item(struct fetch *f,
                           struct fetch_session_partition *wish)
{
    struct fetch_item *item = &f->items[f->item_count++];

    item->fetch = f;
    item->wish = wish;
    list_init(&item->waiter.node);
}

/* The items of a request without a session lie in its arena. */
static void fetch_add_items(struct fetch *f)
{
    f->items = arena_array(f->r->arena, fetch_count(f), sizeof(*f->items));
    for (int32_t i = 0; i < f->body.topics_count; i++) {
        const struct fetch_request_topic *topic = &f->body.topics[i];

        for (int32_t j = 0; j < topic->partitions_count; j++) {
            struct fetch_session_wish wish =
                fetch_wish(f, topic, &topic->partitions[j]);
            struct fetch_session_partition *partition =
                ARENA_NEW(f->r->arena, struct fetch_session_partition);

            *partition = (struct fetch_session_partition){
                .topic_id = wish.topic_id,
                .topic = wish.topic,
                .partition = wish.partition,
                .current_leader_epoch = wish.current_leader_epoch,
                .last_fetched_epoch = wish.last_fetched_epoch,
                .max_bytes = wish.max_bytes,
                .fetch_offset = wish.fetch_offset};
            fetch_add_item(f, partition);
        }
    }
}

static enum flow_verdict fetch_begin(struct flow *flow)
{
    struct fetch *f = api_own(flow);

    f->deadline_ms = env_now_ms(fetch_env(f)) +
                     MIN(MAX(f->body.max_wait_ms, 0), FETCH_WAIT_MS_MAX);
    f->err = fetch_find_session(f);
    if (f->err == ERR_NONE && f->session == NULL) {
        fetch_add_items(f);
        return FLOW_NEXT;
    }
    if (f->err == ERR_NONE) {
        f->err = fetch_update_session(f);
    }
    if (f->err != ERR_NONE) {
        return FLOW_NEXT;
    }
    f->items = arena_array(f->r->arena, f->session->count, sizeof(*f->items));
    list_each(node, &f->session->partitions)
    {
        fetch_add_item(
            f, container_of(node, struct fetch_session_partition, node));
    }
    return FLOW_NEXT;
}

/* Whether the client's log is a prefix of ours (KIP-320, followers and clients
 * that say which epoch they read last). */
static void fetch_check_diverging(struct fetch_item *item)
{
    const struct fetch_session_partition *wish = item->wish;
    int32_t epoch;
    int64_t end;

    item->diverging_epoch = -1;
    if (wish->last_fetched_epoch < 0) {
        return;
    }
    log_epoch_end(replica_log(item->replica), wish->last_fetched_epoch, &epoch,
                  &end);
    if (epoch == -1) {
        item->err = ERR_OFFSET_OUT_OF_RANGE;
    } else if (epoch < wish->last_fetched_epoch || end < wish->fetch_offset) {
        item->diverging_epoch = epoch;
        item->diverging_end = end;
    }
}

/* Looks at a partition: its replica, its numbers, what is wrong with it. Gives
 * how much could be read now, at most limit. */
static uint64_t fetch_look(struct fetch_item *item, uint64_t limit)
{
    struct fetch *f = item->fetch;
    const struct fetch_session_partition *wish = item->wish;
    struct lookup_topic named = {
        .name = wish->topic, .id = wish->topic_id, .by_id = fetch_is_by_id(f)};
    struct lookup_partition found;
    struct log *log;

    item->high_watermark = -1;
    item->log_start = -1;
    item->diverging_epoch = -1;
    item->err = lookup_partition(f->r, &named, wish->partition, &found);
    if (item->err != ERR_NONE) {
        return 0;
    }
    item->replica = found.replica;
    item->err = f->body.replica_id >= 0 || f->body.replica_state.replica_id >= 0
                    ? ERR_NOT_LEADER_OR_FOLLOWER
                    : lookup_check_epoch(found.replica,
                                         MAX(wish->current_leader_epoch, -1));
    if (item->err == ERR_NONE && f->r->version < 10 &&
        found.topic->settings.compression_type == TOPIC_COMPRESSION_ZSTD) {
        item->err = ERR_UNSUPPORTED_COMPRESSION_TYPE;
    }
    if (item->err == ERR_NONE) {
        fetch_check_diverging(item);
    }
    log = replica_log(found.replica);
    if (item->err == ERR_NONE && (wish->fetch_offset < log_start_offset(log) ||
                                  wish->fetch_offset > log_visible_end(log))) {
        item->err = ERR_OFFSET_OUT_OF_RANGE;
    }
    if (item->err != ERR_NONE) {
        return 0;
    }
    item->high_watermark = log_visible_end(log);
    item->log_start = log_start_offset(log);
    if (item->diverging_epoch != -1) {
        return 0;
    }
    return log_readable_bytes(log, wish->fetch_offset,
                              MIN(limit, (uint64_t)MAX(wish->max_bytes, 1)));
}

/* bytes, or what an answer may have. */
static uint32_t fetch_limit(const struct fetch *f, int32_t bytes)
{
    int32_t most = MIN(MAX(f->body.max_bytes, 0), FETCH_BYTES_MAX);

    return (uint32_t)MIN(MAX(bytes, 0), most);
}

/* Whether the answer can be given now: enough bytes, or something to report. */
static bool fetch_is_enough(struct fetch *f)
{
    uint64_t wanted = fetch_limit(f, f->body.min_bytes);
    uint64_t bytes = 0;
    bool news = false;

    for (uint32_t i = 0; i < f->item_count; i++) {
        struct fetch_item *item = &f->items[i];

        bytes += fetch_look(item, MAX(wanted, 1));
        news = news || item->err != ERR_NONE || item->diverging_epoch != -1;
    }
    return news || bytes >= wanted;
}

/* Nobody wakes this request any more. */
static void fetch_unregister(struct fetch *f)
{
    if (!f->registered) {
        return;
    }
    f->registered = false;
    env_timer_stop(fetch_env(f), &f->timer);
    for (uint32_t i = 0; i < f->item_count; i++) {
        replica_wait_cancel(&f->items[i].waiter);
    }
}

static void fetch_wake(struct replica_waiter *waiter)
{
    struct fetch *f = container_of(waiter, struct fetch_item, waiter)->fetch;

    if (f->registered) {
        fetch_unregister(f);
        flow_resume(&f->r->flow, ERR_NONE);
    }
}

static void fetch_time_over(struct env_timer *timer)
{
    struct fetch *f = container_of(timer, struct fetch, timer);

    fetch_unregister(f);
    flow_resume(&f->r->flow, ERR_NONE);
}

static void fetch_wait_cancel(struct flow *flow)
{
    fetch_unregister(api_own(flow));
}

/* Asks every partition to wake this request when its high watermark moves;
 * false when one has moved already. */
static bool fetch_register(struct fetch *f, int64_t wait_ms)
{
    f->registered = true;
    f->timer.fire = fetch_time_over;
    env_timer_set(fetch_env(f), &f->timer, wait_ms);
    for (uint32_t i = 0; i < f->item_count; i++) {
        struct fetch_item *item = &f->items[i];

        item->waiter.wake = fetch_wake;
        if (!replica_wait(item->replica, &item->waiter,
                          item->high_watermark + 1)) {
            fetch_unregister(f);
            return false;
        }
    }
    return true;
}

/* How long it may wait. While memory is over its limit one request of a loop
 * runs at a time: one that waits would keep all others from theirs. */
static int64_t fetch_left_ms(const struct fetch *f)
{
    return budget_is_over(f->r->arena->budget)
               ? 0
               : f->deadline_ms - env_now_ms(fetch_env(f));
}

static enum flow_verdict fetch_wait(struct flow *flow)
{
    struct fetch *f = api_own(flow);

    if (f->err != ERR_NONE) {
        return FLOW_NEXT;
    }
    for (;;) {
        int64_t left_ms = fetch_left_ms(f);

        if (f->item_count == 0 || fetch_is_enough(f) || left_ms <= 0) {
            return FLOW_NEXT;
        }
        if (fetch_register(f, left_ms)) {
            return FLOW_AGAIN;
        }
    }
}

static enum flow_verdict fetch_read(struct flow *flow)
{
    struct fetch *f = api_own(flow);
    uint32_t left = fetch_limit(f, f->body.max_bytes);
    bool first = true;

    for (uint32_t i = 0; i < f->item_count && f->err == ERR_NONE; i++) {
        struct fetch_item *item = &f->items[i];
        uint32_t wanted = MIN(left, (uint32_t)MAX(item->wish->max_bytes, 0));

        if (item->err != ERR_NONE || item->diverging_epoch != -1 ||
            (left == 0 && !first)) {
            continue;
        }
        item->err =
            log_read(replica_log(item->replica), item->wish->fetch_offset,
                     wanted, first, &item->range);
        if (item->err != ERR_NONE) {
            item->high_watermark = -1;
            item->log_start = -1;
            continue;
        }
        /* It may have moved since the look: no record lies above it. */
        item->high_watermark = log_visible_end(replica_log(item->replica));
        if (item->range.bytes > 0) {
            first = false;
            left -= MIN(left, item->range.bytes);
        }
    }
    return FLOW_NEXT;
}

/* Whether a session's client has to be told of this partition; remembers what
 * it will know. */
static bool fetch_is_news(struct fetch_item *item)
{
    struct fetch_session_partition *wish = item->wish;
    bool news = item->err != ERR_NONE || item->range.bytes > 0 ||
                item->diverging_epoch != -1 ||
                wish->told_high_watermark != item->high_watermark ||
                wish->told_log_start != item->log_start;

    wish->told_high_watermark = item->high_watermark;
    wish->told_log_start = item->log_start;
    return news;
}

static void fetch_answer_item(const struct fetch *f, struct fetch_item *item,
                              struct fetch_response_partition *out)
{
    fetch_response_partition_init(out);
    out->partition_index = item->wish->partition;
    out->error_code = err_wire(item->err);
    out->high_watermark = item->high_watermark;
    out->last_stable_offset = item->high_watermark; /* no transactions */
    out->log_start_offset = item->log_start;
    out->aborted_transactions_count = f->body.isolation_level == 1 ? 0 : -1;
    if (item->diverging_epoch != -1) {
        out->diverging_epoch.epoch = item->diverging_epoch;
        out->diverging_epoch.end_offset = item->diverging_end;
    }
    out->records = (struct wire_records){.ptr = (const uint8_t *)""};
    if (item->range.bytes > 0) {
        out->records = (struct wire_records){
            .bytes = (int32_t)item->range.bytes, .splice = &item->range};
    }
}

static bool fetch_is_same_topic(const struct fetch_session_partition *a,
                                const struct fetch_session_partition *b)
{
    return uuid_eq(a->topic_id, b->topic_id) && str_eq(a->topic, b->topic);
}

/* Groups neighbours of one topic, in the order in which they were served. */
static void fetch_answer_items(struct fetch *f, struct fetch_response *response)
{
    struct fetch_response_partition *partitions =
        arena_array(f->r->arena, f->item_count, sizeof(*partitions));
    struct fetch_response_topic *topic = NULL;
    const struct fetch_session_partition *last = NULL;
    uint32_t count = 0;

    response->responses =
        arena_array(f->r->arena, f->item_count, sizeof(*response->responses));
    for (uint32_t i = 0; i < f->item_count; i++) {
        struct fetch_item *item = &f->items[i];

        if (!fetch_is_news(item) && f->incremental) {
            continue;
        }
        if (last == NULL || !fetch_is_same_topic(last, item->wish)) {
            topic = &response->responses[response->responses_count++];
            topic->topic = item->wish->topic;
            topic->topic_id = item->wish->topic_id;
            topic->partitions = &partitions[count];
        }
        last = item->wish;
        fetch_answer_item(f, item, &partitions[count++]);
        topic->partitions_count++;
    }
}

/* Those that had data go to the end of the session's list. */
static void fetch_release_session(struct fetch *f)
{
    if (f->session == NULL) {
        return;
    }
    for (uint32_t i = 0; i < f->item_count; i++) {
        if (f->items[i].range.bytes > 0) {
            fetch_session_served(f->session, f->items[i].wish);
        }
    }
    fetch_session_release(&f->sessions->cache, f->session);
    f->session = NULL;
}

static enum flow_verdict fetch_respond(struct flow *flow)
{
    struct fetch *f = api_own(flow);
    struct fetch_response response;

    if (flow->err != ERR_NONE) {
        fetch_release_session(f);
        api_close(f->r);
        return FLOW_NEXT;
    }
    fetch_response_init(&response);
    response.error_code = err_wire(f->err);
    if (f->err == ERR_NONE) {
        fetch_answer_items(f, &response);
        if (f->session != NULL && f->session->count > 0) {
            response.session_id = f->session->id;
        }
    }
    fetch_response_encode(
        api_answer_begin(f->r, 64 + 64 * (size_t)response.responses_count),
        f->r->version, &response);
    fetch_release_session(f);
    api_answer_end(f->r);
    return FLOW_NEXT;
}
