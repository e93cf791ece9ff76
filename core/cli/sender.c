/* sender.c - produces records to one topic.
 *
 * sender_flush():
 * 1. The growing batches of all partitions are finished.
 * 2. Every leader that has batches to get is asked once, one request each.
 * 3. What a retriable error came back for stays; after a pause the metadata is
 *    read again, and the round begins anew, until none is left.
 *
 * A batch keeps its sequence, so the broker recognises what it has already.
 *
 * Failure modes:
 * - The connection breaks: with a producer id it is sent again, without one the
 *   outcome is open and that is an error.
 * - No broker for SENDER_DELIVERY_MS: ERR_TIMEOUT, with the last answer's
 * words.
 * - An error that is final ends the flush; the other partitions' batches are
 * not sent again.
 *
 * Invariants:
 * 1. A partition has a batch that grows or one on its way, never both.
 * 2. sequence grows only when a batch was acknowledged. */
#include "cli/sender.h"
#include "base/mem.h"
#include "base/must.h"
#include "base/murmur2.h"
#include "cli/cli_private.h"
#include "wire/init_producer_id.h"
#include "wire/produce.h"

enum {
    SENDER_BATCH_BYTES = 256 << 10, /* before compression */
    SENDER_RETRY_MS = 100,
    SENDER_DELIVERY_MS = 60000,
};

/* A partition and the batch that is growing, or on its way. */
struct sender_part {
    int32_t index;
    int32_t leader;     /* a node; -1: not known */
    struct arena arena; /* of the batch; empty between two */
    struct batch_builder builder;
    bool growing;
    struct str batch; /* finished; null: none on its way */
    int32_t sequence; /* of the next batch */
    int64_t first_offset;
    int64_t records;
};

struct sender {
    struct client *client; /* borrowed */
    struct sender_options options;
    struct sender_part *parts; /* owned, by index */
    int32_t part_count;
    int32_t turn;        /* the partition of records without a key */
    int64_t producer_id; /* -1: none, retries could double */
    int16_t producer_epoch;
    int64_t pending_bytes; /* of keys and values since the last flush */
    struct sender_totals totals;
};

/* Reads the topic's leaders. The first time it also makes the partitions. */
static enum err sender_refresh(struct sender *sender, struct why *why)
{
    struct arena arena = {0};
    struct metadata_response_topic *topic;
    enum err err = cli_topic(sender->client, sender->options.topic, true,
                             &arena, &topic, why);

    if (!err && sender->parts == NULL) {
        sender->part_count = topic->partitions_count;
        sender->parts =
            mem_zalloc((size_t)sender->part_count * sizeof(*sender->parts));
        for (int32_t i = 0; i < sender->part_count; i++) {
            sender->parts[i].index = i;
            sender->parts[i].leader = -1;
            sender->parts[i].first_offset = -1;
        }
    }
    for (int32_t i = 0; !err && i < topic->partitions_count; i++) {
        int32_t index = topic->partitions[i].partition_index;

        if (index >= 0 && index < sender->part_count) {
            sender->parts[index].leader = topic->partitions[i].leader_id;
        }
    }
    arena_reset(&arena);
    return err;
}

/* An id makes retries harmless. A broker that has none is used without. */
static enum err sender_identify(struct sender *sender, struct why *why)
{
    struct arena arena = {0};
    struct init_producer_id_response response;
    struct init_producer_id_request request;
    struct exchange x = {.arena = &arena};
    enum err err = client_exchange(sender->client, CLIENT_ANY, &x,
                                   API_INIT_PRODUCER_ID, 4, why);

    if (!err) {
        init_producer_id_request_init(&request);
        request.transactional_id = STR_NULL;
        request.transaction_timeout_ms = INT32_MAX;
        request.producer_id = -1;
        request.producer_epoch = -1;
        err = EXCHANGE_ASK(init_producer_id, &x, &request, &response, why);
    }
    if (!err && response.error_code == 0) {
        sender->producer_id = response.producer_id;
        sender->producer_epoch = response.producer_epoch;
    }
    arena_reset(&arena);
    return err == ERR_UNSUPPORTED ? ERR_NONE : err;
}

enum err sender_open(struct client *client,
                     const struct sender_options *options, struct sender **out,
                     struct why *why)
{
    struct sender *sender = MEM_NEW(struct sender);
    enum err err;

    sender->client = client;
    sender->options = *options;
    sender->producer_id = -1;
    sender->producer_epoch = -1;
    /* Many short runs, too, shall spread over the partitions. */
    sender->turn = (int32_t)(client_now_ms() & 0xffff);
    err = sender_refresh(sender, why);
    if (!err && options->partition >= sender->part_count) {
        err = why_set(
            why, ERR_INVALID, "topic \"%.*s\" has no partition %d: it has %d",
            STR_ARG(options->topic), options->partition, sender->part_count);
    }
    if (!err && options->acks == -1) {
        err = sender_identify(sender, why);
    }
    if (err) {
        sender_close(sender);
        sender = NULL;
    }
    *out = sender;
    return err;
}

void sender_close(struct sender *sender)
{
    for (int32_t i = 0; i < sender->part_count; i++) {
        arena_reset(&sender->parts[i].arena);
    }
    mem_free(sender->parts);
    mem_free(sender);
}

static struct sender_part *sender_choose(const struct sender *sender,
                                         struct str key)
{
    if (sender->options.partition >= 0) {
        return &sender->parts[sender->options.partition];
    }
    if (!str_is_null(key)) {
        return &sender->parts[murmur2_partition(key, sender->part_count)];
    }
    return &sender->parts[sender->turn % sender->part_count];
}

enum err sender_add(struct sender *sender, const struct batch_record *record,
                    struct why *why)
{
    struct sender_part *part = sender_choose(sender, record->key);

    if (!part->growing) {
        struct batch_options options = BATCH_OPTIONS;

        must(str_is_null(part->batch)); /* invariant 1 */

        options.attributes = (int16_t)sender->options.codec;
        options.producer_id = sender->producer_id;
        options.producer_epoch = sender->producer_epoch;
        options.base_sequence = sender->producer_id < 0 ? -1 : part->sequence;
        batch_builder_init(&part->builder, &part->arena, &options, 4096);
        part->growing = true;
    }
    batch_builder_add(&part->builder, record);
    sender->pending_bytes += (int64_t)(record->key.len + record->value.len);
    if (batch_builder_bytes(&part->builder) >= SENDER_BATCH_BYTES) {
        return sender_flush(sender, why);
    }
    return ERR_NONE;
}

/* The growing batches are finished; gives how many are to be sent. */
static enum err sender_finish(struct sender *sender, struct why *why)
{
    for (int32_t i = 0; i < sender->part_count; i++) {
        struct sender_part *part = &sender->parts[i];
        enum err err;

        if (!part->growing) {
            continue;
        }
        err = batch_builder_finish(&part->builder, &part->batch);
        if (err) {
            return why_set(why, err, "could not build a batch: %s",
                           err_text(err));
        }
        part->growing = false;
    }
    return ERR_NONE;
}

/* The batch is there for good: counts it. */
static void sender_delivered(struct sender *sender, struct sender_part *part,
                             int64_t base_offset)
{
    int32_t count = part->builder.record_count;

    if (part->first_offset < 0) {
        part->first_offset = base_offset;
    }
    part->records += count;
    part->sequence = batch_sequence_add(part->sequence, count);
    part->batch = STR_NULL;
    arena_reset(&part->arena);
    sender->totals.records += count;
}

static enum err sender_refused(const struct sender *sender,
                               const struct sender_part *part, enum err err,
                               struct str detail, struct why *why)
{
    if (detail.len == 0) {
        detail = str_of(err_text(err));
    }
    return why_set(why, err, "partition \"%.*s-%d\" refused the records: %.*s",
                   STR_ARG(sender->options.topic), part->index,
                   STR_ARG(detail));
}

/* What a broker says about its batches. What may be tried again stays. */
static enum err sender_answer(struct sender *sender,
                              const struct produce_response *response,
                              struct why *why)
{
    for (int32_t t = 0; t < response->responses_count; t++) {
        const struct produce_response_topic *topic = &response->responses[t];

        for (int32_t p = 0; p < topic->partition_responses_count; p++) {
            const struct produce_response_partition *answer =
                &topic->partition_responses[p];
            enum err err = client_error(answer->error_code);
            struct sender_part *part;

            if (answer->index < 0 || answer->index >= sender->part_count) {
                continue;
            }
            part = &sender->parts[answer->index];
            if (str_is_null(part->batch)) {
                continue;
            }
            if (!err || err == ERR_DUPLICATE_SEQUENCE_NUMBER) {
                sender_delivered(sender, part, answer->base_offset);
            } else {
                enum err refused = sender_refused(sender, part, err,
                                                  answer->error_message, why);

                if (!err_is_retriable(err)) {
                    return refused;
                }
            }
        }
    }
    return ERR_NONE;
}

/* The batches that a node leads, as the request has them. */
static void sender_request(struct sender *sender, int32_t node,
                           struct produce_request *request,
                           struct produce_request_topic *topic,
                           struct arena *arena)
{
    produce_request_init(request);
    produce_request_topic_init(topic);
    request->transactional_id = STR_NULL;
    request->acks = sender->options.acks;
    request->timeout_ms = EXCHANGE_TIMEOUT_MS;
    request->topic_data = topic;
    request->topic_data_count = 1;
    topic->name = sender->options.topic;
    topic->partition_data = arena_array(arena, (size_t)sender->part_count,
                                        sizeof(*topic->partition_data));
    for (int32_t i = 0; i < sender->part_count; i++) {
        struct sender_part *part = &sender->parts[i];
        struct produce_request_partition *out;

        if (part->leader != node || str_is_null(part->batch)) {
            continue;
        }
        out = &topic->partition_data[topic->partition_data_count++];
        produce_request_partition_init(out);
        out->index = part->index;
        out->records.ptr = (const uint8_t *)part->batch.ptr;
        out->records.bytes = (int32_t)part->batch.len;
    }
}

/* One request to one leader. With acks=0 nobody answers. */
static enum err sender_send(struct sender *sender, int32_t node,
                            struct why *why)
{
    struct arena arena = {0};
    struct produce_request_topic topic;
    struct produce_response response;
    struct produce_request request;
    struct exchange x = {.arena = &arena};
    enum err err =
        client_exchange(sender->client, node, &x, API_PRODUCE, 9, why);

    if (!err) {
        sender_request(sender, node, &request, &topic, &arena);
        produce_request_encode(&x.writer, x.version, &request);
        x.timeout_ms += EXCHANGE_TIMEOUT_MS;
        err = sender->options.acks == 0 ? exchange_send(&x, why)
                                        : exchange_run(&x, why);
    }
    if (!err && sender->options.acks == 0) {
        for (int32_t i = 0; i < topic.partition_data_count; i++) {
            sender_delivered(sender,
                             &sender->parts[topic.partition_data[i].index], -1);
        }
    } else if (!err) {
        produce_response_init(&response);
        produce_response_decode(&x.reader, &arena, x.version, &response);
        err = exchange_finish(&x, why);
        if (!err) {
            err = sender_answer(sender, &response, why);
        }
    }
    arena_reset(&arena);
    return err;
}

/* A leader that has batches to get, or -1. */
static int32_t sender_next_node(const struct sender *sender, int32_t after)
{
    int32_t next = -1;

    for (int32_t i = 0; i < sender->part_count; i++) {
        const struct sender_part *part = &sender->parts[i];

        if (!str_is_null(part->batch) && part->leader > after &&
            (next < 0 || part->leader < next)) {
            next = part->leader;
        }
    }
    return next;
}

static bool sender_is_done(const struct sender *sender)
{
    for (int32_t i = 0; i < sender->part_count; i++) {
        if (!str_is_null(sender->parts[i].batch)) {
            return false;
        }
    }
    return true;
}

/* Whether what went wrong may go right next time. A connection that broke
 * leaves the outcome open: whoever has no producer id cannot send again without
 * risking a double. */
static bool sender_may_retry(const struct sender *sender, enum err err)
{
    return (err == ERR_CLOSED || err == ERR_TIMEOUT) &&
           sender->producer_id >= 0;
}

/* Every leader gets its batches once. */
static enum err sender_round(struct sender *sender, struct why *why)
{
    enum err err = ERR_NONE;

    for (int32_t node = sender_next_node(sender, -1); !err && node >= 0;
         node = sender_next_node(sender, node)) {
        err = sender_send(sender, node, why);
    }
    return err;
}

enum err sender_flush(struct sender *sender, struct why *why)
{
    int64_t deadline_ms = client_now_ms() + SENDER_DELIVERY_MS;
    enum err err = sender_finish(sender, why);

    while (!err && !sender_is_done(sender)) {
        err = sender_round(sender, why);
        if (!err && sender_is_done(sender)) {
            break;
        }
        if (err && !sender_may_retry(sender, err)) {
            return err;
        }
        if (client_now_ms() > deadline_ms) {
            return ERR_TIMEOUT; /* why: from the last answer */
        }
        client_sleep(sender->client, SENDER_RETRY_MS);
        err = cli_stop ? why_set(why, ERR_CANCELLED, "interrupted")
                       : sender_refresh(sender, why);
        if (sender_may_retry(sender, err)) {
            err = ERR_NONE;
        }
    }
    if (!err) {
        sender->totals.bytes += sender->pending_bytes;
        sender->pending_bytes = 0;
        sender->turn++;
    }
    return err;
}

struct sender_totals sender_totals(const struct sender *sender)
{
    return sender->totals;
}

bool sender_partition_totals(const struct sender *sender, int32_t index,
                             struct sender_partition_totals *out)
{
    if (index >= sender->part_count) {
        return false;
    }
    *out = (struct sender_partition_totals){
        .partition = sender->parts[index].index,
        .first_offset = sender->parts[index].first_offset,
        .records = sender->parts[index].records,
    };
    return true;
}
