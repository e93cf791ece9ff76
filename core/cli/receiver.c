/* receiver.c - fetches records of one topic.
 *
 * A poll:
 * 1. Where a leader has moved, the metadata is read again.
 * 2. Every leader of partitions that want something is asked once, without a
 *    fetch session: a tool reads few partitions. With several leaders none may
 *    keep the others waiting long.
 * 3. Batches are checked (CRC), unpacked and walked; control batches are
 * stepped over, records before the position too.
 * 4. take() gets each record, in order within a partition; the position moves
 *    behind it first, so that what was taken counts.
 *
 * Failure modes:
 * - A leader has moved or is away: asked for again in the next poll, for a
 *   minute.
 * - Records were deleted meanwhile: told, and it goes on where the log begins.
 * - An offset beyond the end, a damaged batch: final, and told. */
#include "cli/receiver.h"
#include "cli/cli_private.h"
#include "wire/fetch.h"
#include <inttypes.h>
#include <stdio.h>

enum {
    RECEIVER_BYTES_MAX = 32 << 20,
    RECEIVER_PARTITION_BYTES_MAX = 1 << 20,
    RECEIVER_PAYLOAD_BYTES_MAX = 256 << 20,
    RECEIVER_RETRY_MS = 200,
    RECEIVER_PATIENCE_MS = 60000,
};

static bool receiver_has_ended(const struct receiver_partition *part)
{
    return part->end != RECEIVER_NO_END && part->position >= part->end;
}

bool receiver_is_done(const struct receiver *receiver)
{
    if (receiver->enough) {
        return true;
    }
    for (int32_t i = 0; i < receiver->partition_count; i++) {
        if (!receiver_has_ended(&receiver->partitions[i])) {
            return false;
        }
    }
    return true;
}

/* Learns who leads now. A failure leaves it stale: the next poll tries again.
 * */
static enum err receiver_refresh(struct receiver *receiver, struct why *why)
{
    struct arena arena = {0};
    struct metadata_response_topic *topic;
    enum err err = cli_topic(receiver->client, receiver->topic, false, &arena,
                             &topic, why);

    for (int32_t i = 0; !err && i < topic->partitions_count; i++) {
        for (int32_t p = 0; p < receiver->partition_count; p++) {
            if (receiver->partitions[p].index ==
                topic->partitions[i].partition_index) {
                receiver->partitions[p].leader = topic->partitions[i].leader_id;
            }
        }
    }
    receiver->stale = err != ERR_NONE;
    arena_reset(&arena);
    return err;
}

/* The records of one batch, from the position on. */
static enum err receiver_batch(struct receiver *receiver,
                               struct receiver_partition *part,
                               const struct batch_header *header,
                               struct str payload, struct why *why)
{
    struct record_iter iter;
    struct record record;

    record_iter_init(&iter, header, payload);
    while (record_iter_next(&iter, &record)) {
        struct receiver_record out = {
            .partition = part->index,
            .offset = header->base_offset + record.offset_delta,
            .timestamp_ms = record_timestamp(header, &record),
            .record = &record,
        };

        if (out.offset < part->position) {
            continue;
        }
        if (part->end != RECEIVER_NO_END && out.offset >= part->end) {
            part->position = out.offset;
            return ERR_NONE;
        }
        part->position = out.offset + 1;
        if (!receiver->take(receiver->arg, &out)) {
            receiver->enough = true;
            return ERR_NONE;
        }
    }
    if (record_iter_finish(&iter)) {
        return why_set(
            why, ERR_CORRUPT,
            "\"%.*s-%" PRId32 "\": the batch at offset %" PRId64 " is damaged",
            STR_ARG(receiver->topic), part->index, header->base_offset);
    }
    part->position = MAX(part->position, batch_last_offset(header) + 1);
    return ERR_NONE;
}

/* All batches of a partition's answer; the last one may be cut off. */
static enum err receiver_records(struct receiver *receiver,
                                 struct receiver_partition *part,
                                 const struct wire_records *records,
                                 struct why *why)
{
    const uint8_t *at = records->ptr;
    size_t left = (size_t)MAX(records->bytes, 0);
    struct arena arena = {0};
    enum err err = ERR_NONE;

    while (!err && left > 0 && !receiver->enough && !receiver_has_ended(part)) {
        struct batch_header header;
        struct str payload;

        err = batch_parse(at, left, &header);
        if (err == ERR_TORN) {
            err = ERR_NONE;
            break;
        }
        if (err) {
            err = why_set(why, err,
                          "\"%.*s-%" PRId32 "\": a batch at or after offset "
                          "%" PRId64 " is damaged: %s",
                          STR_ARG(receiver->topic), part->index, part->position,
                          err_text(err));
            break;
        }
        if ((header.attributes & BATCH_CONTROL) != 0) {
            part->position =
                MAX(part->position, batch_last_offset(&header) + 1);
        } else {
            err = batch_payload(at, &header, RECEIVER_PAYLOAD_BYTES_MAX, &arena,
                                &payload);
            err = err ? why_set(why, err,
                                "\"%.*s-%" PRId32 "\": the batch at offset "
                                "%" PRId64 " does not unpack: %s",
                                STR_ARG(receiver->topic), part->index,
                                header.base_offset, err_text(err))
                      : receiver_batch(receiver, part, &header, payload, why);
        }
        at += header.bytes;
        left -= (size_t)header.bytes;
    }
    arena_reset(&arena);
    return err;
}

/* The position lies outside the log: records were deleted meanwhile. */
static enum err receiver_out_of_range(struct receiver *receiver,
                                      struct receiver_partition *part,
                                      int64_t start, struct why *why)
{
    if (start > part->position) {
        fprintf(stderr,
                "tidemark: \"%.*s-%" PRId32 "\" begins at offset %" PRId64
                ": going on there\n",
                STR_ARG(receiver->topic), part->index, start);
        part->position = start;
        return ERR_NONE;
    }
    return why_set(why, ERR_OFFSET_OUT_OF_RANGE,
                   "\"%.*s-%" PRId32 "\" has no offset %" PRId64
                   ": it is beyond the end",
                   STR_ARG(receiver->topic), part->index, part->position);
}

/* What a broker says of one partition. What may pass makes the next poll ask
 * for the metadata. */
static enum err receiver_partition(struct receiver *receiver,
                                   struct receiver_partition *part,
                                   const struct fetch_response_partition *in,
                                   struct why *why)
{
    enum err err = client_error(in->error_code);

    if (err == ERR_NONE) {
        return receiver_records(receiver, part, &in->records, why);
    }
    if (err == ERR_OFFSET_OUT_OF_RANGE) {
        return receiver_out_of_range(receiver, part, in->log_start_offset, why);
    }
    (void)why_set(why, err, "\"%.*s-%" PRId32 "\": %s (%s)",
                  STR_ARG(receiver->topic), part->index, err_text(err),
                  err_name(err));
    if (err_is_retriable(err)) {
        receiver->stale = true;
        return ERR_NONE;
    }
    return err;
}

/* The partitions that a node leads and that have not ended. */
static void receiver_request(const struct receiver *receiver, int32_t node,
                             int wait_ms, struct fetch_request *request,
                             struct fetch_request_topic *topic,
                             struct arena *arena)
{
    fetch_request_init(request);
    fetch_request_topic_init(topic);
    request->replica_id = -1;
    request->max_wait_ms = wait_ms;
    request->min_bytes = 1;
    request->max_bytes = RECEIVER_BYTES_MAX;
    request->session_id = 0;
    request->session_epoch = -1;
    request->topics = topic;
    request->topics_count = 1;
    topic->topic = receiver->topic;
    topic->partitions = arena_array(arena, (size_t)receiver->partition_count,
                                    sizeof(*topic->partitions));
    for (int32_t i = 0; i < receiver->partition_count; i++) {
        const struct receiver_partition *part = &receiver->partitions[i];
        struct fetch_request_partition *out;

        if (part->leader != node || receiver_has_ended(part)) {
            continue;
        }
        out = &topic->partitions[topic->partitions_count++];
        fetch_request_partition_init(out);
        out->partition = part->index;
        out->current_leader_epoch = -1;
        out->fetch_offset = part->position;
        out->partition_max_bytes = RECEIVER_PARTITION_BYTES_MAX;
    }
}

/* All partitions of an answer, in its order. */
static enum err receiver_answer(struct receiver *receiver,
                                const struct fetch_response *response,
                                struct why *why)
{
    enum err err = client_error(response->error_code);

    if (err) {
        return why_set(why, err, "could not fetch: %s", err_text(err));
    }
    for (int32_t t = 0; t < response->responses_count; t++) {
        const struct fetch_response_topic *topic = &response->responses[t];

        for (int32_t p = 0; p < topic->partitions_count; p++) {
            for (int32_t i = 0; !err && i < receiver->partition_count; i++) {
                if (receiver->partitions[i].index ==
                    topic->partitions[p].partition_index) {
                    err = receiver_partition(receiver, &receiver->partitions[i],
                                             &topic->partitions[p], why);
                }
            }
        }
    }
    return err;
}

/* Asks one leader. */
static enum err receiver_ask(struct receiver *receiver, int32_t node,
                             int wait_ms, struct why *why)
{
    struct arena arena = {0};
    struct fetch_request_topic topic;
    struct fetch_response response;
    struct fetch_request request;
    struct exchange x = {.arena = &arena};
    enum err err =
        client_exchange(receiver->client, node, &x, API_FETCH, 12, why);

    if (!err) {
        receiver_request(receiver, node, wait_ms, &request, &topic, &arena);
        x.timeout_ms += wait_ms;
        err = EXCHANGE_ASK(fetch, &x, &request, &response, why);
    }
    if (!err) {
        err = receiver_answer(receiver, &response, why);
    }
    arena_reset(&arena);
    return err;
}

/* The next leader after one, of partitions that want something; -1: none. */
static int32_t receiver_next_node(const struct receiver *receiver,
                                  int32_t after)
{
    int32_t next = -1;

    for (int32_t i = 0; i < receiver->partition_count; i++) {
        const struct receiver_partition *part = &receiver->partitions[i];

        if (part->leader > after && !receiver_has_ended(part) &&
            (next < 0 || part->leader < next)) {
            next = part->leader;
        }
    }
    return next;
}

enum err receiver_poll(struct receiver *receiver, int wait_ms, struct why *why)
{
    int32_t first = receiver_next_node(receiver, -1);
    bool alone = receiver_next_node(receiver, first) < 0;
    enum err err = ERR_NONE;

    if (receiver->stale) {
        client_sleep(receiver->client, RECEIVER_RETRY_MS);
        err = receiver_refresh(receiver, why);
    }
    /* With several leaders a quiet one must not hold up the others. */
    for (int32_t node = receiver_next_node(receiver, -1);
         !err && node >= 0 && !receiver->enough;
         node = receiver_next_node(receiver, node)) {
        err = receiver_ask(receiver, node, alone ? wait_ms : wait_ms / 5, why);
    }
    if (err == ERR_CLOSED || err == ERR_TIMEOUT) {
        int64_t now_ms = client_now_ms();

        if (receiver->failing_since_ms == 0) {
            receiver->failing_since_ms = now_ms;
        }
        receiver->stale = true;
        return now_ms - receiver->failing_since_ms > RECEIVER_PATIENCE_MS
                   ? err
                   : ERR_NONE;
    }
    if (!err) {
        receiver->failing_since_ms = 0;
    }
    return err;
}
