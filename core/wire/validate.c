/* validate.c - the checks of a produced batch, in Kafka's order.
 *
 *  1. exactly one batch of format 2, with a codec that the version may use
 *  2. not larger than the topic allows
 *  3. base offset 0, CRC, counts, no control bit, a sequence with a producer id
 *  4. each record: readable, a key where the topic needs one, a timestamp in
 *   range
 *  5. what the topic wants otherwise: timestamp type, codec, offset deltas that
 *   count up from 0; only the last two need a rewritten batch
 *
 * A failure of one record is a failure of the batch; the list says which.
 *
 * Failure modes:
 *  - Any bytes: an error of Kafka's with a sentence. No byte is written before
 *  all checks have passed.
 *  - A batch that unpacks to more than is allowed, or than there is memory for:
 *  refused while it unpacks (compress.c).
 *
 * Invariants:
 *  1. What comes out is a batch whose header, CRC and records hold; whoever
 * reads it later trusts them.
 *  2. What was unpacked is gone when validate_batch() returns: the result lies
 * in the caller's bytes or in the arena. */
#include "wire/validate.h"

#include "base/must.h"

enum { NO_TIMESTAMP = -1, ERRORS_ROOM_FIRST = 8 };

/* A check under way. Pointers are borrowed from the caller. */
struct validation {
    const struct validate_rules *rules;
    struct arena *arena;   /* the caller's: for what the result refers to */
    struct arena unpacked; /* of the payload: gone when all is checked */
    struct validate_result *out;
    const uint8_t *given;  /* the client's batch */
    struct str payload;    /* the records, in the batch or in unpacked */
    int64_t max_timestamp; /* ms, of the records so far; NO_TIMESTAMP: none */
    int32_t errors_room;   /* of out->errors */
    bool has_timestamp_error;
    bool needs_rewrite; /* the bytes cannot stay as they are */
};

/* text: static, for the client. Gives back err. */
static enum err validate_refuse(struct validate_result *out, enum err err,
                                const char *text)
{
    out->text = text;
    return err;
}

static const char one_batch[] =
    "a produce request must have one record batch in each partition";

/* Fills the header: after it, the sizes are right. */
static enum err validate_check_shape(const uint8_t *batch, size_t bytes,
                                     const struct validate_rules *rules,
                                     struct validate_result *out)
{
    struct batch_header *h = &out->header;
    enum err err = bytes == 0 ? ERR_NONE : batch_header_parse(batch, bytes, h);
    int codec;

    if (bytes == 0) {
        return validate_refuse(out, ERR_INVALID_RECORD, one_batch);
    }
    if (err == ERR_UNSUPPORTED ||
        (err == ERR_CORRUPT && batch[BATCH_MAGIC_AT] != BATCH_MAGIC)) {
        return validate_refuse(out, ERR_INVALID_RECORD,
                               "record batches must have format 2");
    }
    if (err == ERR_TORN || batch_bytes(batch) == 0) {
        return validate_refuse(out, ERR_CORRUPT_MESSAGE,
                               "the size of the record batch does not match");
    }
    if (bytes > batch_bytes(batch)) {
        return validate_refuse(out, ERR_INVALID_RECORD, one_batch);
    }
    codec = h->attributes & BATCH_CODEC_MASK;
    if (codec == CODEC_ZSTD && rules->produce_version < 7) {
        return validate_refuse(out, ERR_UNSUPPORTED_COMPRESSION_TYPE,
                               "zstd needs version 7 of the produce request");
    }
    return ERR_NONE;
}

/* What the header says of the batch as a whole. */
static enum err validate_check_header(const uint8_t *batch, size_t bytes,
                                      const struct validate_rules *rules,
                                      struct validate_result *out)
{
    const struct batch_header *h = &out->header;

    if (bytes > (size_t)MAX(rules->batch_bytes_max, 0)) {
        return validate_refuse(
            out, ERR_MESSAGE_TOO_LARGE,
            "the record batch is larger than max.message.bytes");
    }
    if (h->base_offset != 0) {
        return validate_refuse(out, ERR_INVALID_RECORD,
                               "the base offset of a record batch must be 0");
    }
    if (!batch_crc_matches(batch, bytes)) {
        return validate_refuse(
            out, ERR_CORRUPT_MESSAGE,
            "the checksum of the record batch does not match");
    }
    if (h->record_count <= 0 ||
        h->record_count != (int64_t)h->last_offset_delta + 1) {
        return validate_refuse(out, ERR_INVALID_RECORD,
                               "the record batch has a wrong count of records");
    }
    if ((h->attributes & BATCH_CONTROL) != 0) {
        return validate_refuse(out, ERR_INVALID_RECORD,
                               "clients cannot write control batches");
    }
    if (h->producer_id >= 0 && h->base_sequence < 0) {
        return validate_refuse(out, ERR_INVALID_RECORD,
                               "a producer id needs a sequence");
    }
    return ERR_NONE;
}

/* The records as bytes; Kafka's names for what can be wrong with them. */
static enum err validate_unpack(const uint8_t *batch, struct validation *v)
{
    switch (batch_payload(batch, &v->out->header, v->rules->payload_bytes_max,
                          &v->unpacked, &v->payload)) {
    case ERR_NONE:
        return ERR_NONE;
    case ERR_UNSUPPORTED:
        return validate_refuse(v->out, ERR_UNSUPPORTED_COMPRESSION_TYPE,
                               "the record batch has an unknown codec");
    case ERR_TOO_LARGE:
        return validate_refuse(
            v->out, ERR_MESSAGE_TOO_LARGE,
            "the record batch unpacks to more than is allowed");
    case ERR_BUSY:
        return validate_refuse(
            v->out, ERR_BUSY,
            "there is no memory to unpack the record batch in just "
            "now (limits.memory)");
    default:
        return validate_refuse(v->out, ERR_INVALID_RECORD,
                               "the record batch cannot be unpacked");
    }
}

/* Doubles the list when it is full; what does not fit is not listed. */
static void validate_blame(struct validation *v, int32_t index,
                           const char *text)
{
    struct validate_result *out = v->out;

    if (out->errors_count == VALIDATE_ERRORS_MAX) {
        return;
    }
    if (out->errors_count == v->errors_room) {
        int32_t room = MAX(v->errors_room * 2, (int32_t)ERRORS_ROOM_FIRST);
        struct validate_error *errors =
            arena_array(v->arena, (size_t)room, sizeof(*errors));

        if (out->errors_count > 0) {
            memcpy(errors, out->errors,
                   (size_t)out->errors_count * sizeof(*errors));
        }
        out->errors = errors;
        v->errors_room = room;
    }
    out->errors[out->errors_count++] =
        (struct validate_error){.index = index, .text = text};
}

/* Unsigned, for the difference of two times may not fit. */
static bool validate_is_in_range(const struct validate_rules *rules,
                                 int64_t timestamp)
{
    uint64_t now = (uint64_t)rules->now_ms, then = (uint64_t)timestamp;

    if (timestamp > rules->now_ms) {
        return then - now <= (uint64_t)rules->after_ms_max;
    }
    return rules->before_ms_max == INT64_MAX ||
           now - then <= (uint64_t)rules->before_ms_max;
}

/* What is wrong with the timestamp, or NULL. */
static const char *validate_timestamp_fault(const struct validation *v,
                                            int64_t timestamp)
{
    if (!v->rules->log_append_time && timestamp != NO_TIMESTAMP) {
        return validate_is_in_range(v->rules, timestamp)
                   ? NULL
                   : "the timestamp of the record is out of range";
    }
    if ((v->out->header.attributes & BATCH_LOG_APPEND_TIME) != 0) {
        return "only the broker may set the append time";
    }
    return NULL;
}

/* All checks of one record; the first that fails is told. */
static void validate_check_record(struct validation *v, int32_t index,
                                  const struct record *record)
{
    int64_t timestamp = record_timestamp(&v->out->header, record);
    const char *fault;

    if (v->rules->needs_keys && record->key.ptr == NULL) {
        validate_blame(v, index,
                       "a compacted topic takes no record without a key");
        return;
    }
    if ((record->attributes & BATCH_CODEC_MASK) != 0) {
        validate_blame(v, index, "a record inside a batch cannot have a codec");
        return;
    }
    fault = validate_timestamp_fault(v, timestamp);
    if (fault != NULL) {
        v->has_timestamp_error = true;
        validate_blame(v, index, fault);
        return;
    }
    v->max_timestamp = MAX(v->max_timestamp, timestamp);
    if (record->offset_delta != index) {
        v->needs_rewrite = true;
    }
}

/* Timestamp deltas of which no record needs a second look; none of them where
 * the batch has no times of its own. */
struct usual {
    int64_t delta_min;
    int64_t delta_max;
};

/* From the oldest to the newest time allowed, as deltas to the base; none
 * where that does not fit into a number. */
static struct usual validate_usual_deltas(const struct validation *v)
{
    const struct validate_rules *rules = v->rules;
    const struct batch_header *h = &v->out->header;
    struct usual none = {.delta_min = 0, .delta_max = -1};
    struct usual usual;
    int64_t oldest;

    if (rules->log_append_time ||
        (h->attributes & BATCH_LOG_APPEND_TIME) != 0 || h->base_timestamp < 0 ||
        __builtin_sub_overflow(rules->now_ms, rules->before_ms_max, &oldest) ||
        __builtin_add_overflow(rules->now_ms, rules->after_ms_max,
                               &usual.delta_max) ||
        __builtin_sub_overflow(usual.delta_max, h->base_timestamp,
                               &usual.delta_max)) {
        return none;
    }
    usual.delta_min = MAX(oldest, 0) - h->base_timestamp;
    return usual;
}

/* Most records are in order, have no codec, a time in range and a key where one
 * is needed: for these nothing but the largest time is kept. */
static enum err validate_check_records(struct validation *v)
{
    const struct usual usual = validate_usual_deltas(v);
    const int64_t base_timestamp = v->out->header.base_timestamp;
    const bool needs_keys = v->rules->needs_keys;
    struct record_iter iter;
    struct record record;
    int64_t delta_seen = -1;
    int32_t index = 0;

    record_iter_init(&iter, &v->out->header, v->payload);
    while (record_iter_next(&iter, &record)) {
        int64_t delta = record.timestamp_delta;

        if (delta >= usual.delta_min && delta <= usual.delta_max &&
            record.offset_delta == index && record.attributes == 0 &&
            (record.key.ptr != NULL || !needs_keys)) {
            if (delta != delta_seen) {
                v->max_timestamp =
                    MAX(v->max_timestamp, base_timestamp + delta);
                delta_seen = delta;
            }
        } else {
            validate_check_record(v, index, &record);
        }
        index++;
    }
    if (record_iter_finish(&iter) != ERR_NONE) {
        return validate_refuse(v->out, ERR_INVALID_RECORD,
                               "the records of the batch cannot be read");
    }
    if (v->has_timestamp_error) {
        return validate_refuse(v->out, ERR_INVALID_TIMESTAMP,
                               "the timestamps of some records are not valid");
    }
    if (v->out->errors_count > 0) {
        return validate_refuse(v->out, ERR_INVALID_RECORD,
                               "some records are not valid");
    }
    return ERR_NONE;
}

/* Copies every record into a new batch: another codec, offset deltas from 0. */
static enum err validate_rewrite(struct validation *v, int codec)
{
    const struct validate_rules *rules = v->rules;
    struct validate_result *out = v->out;
    const struct batch_header old = out->header;
    struct batch_options options = {
        .leader_epoch = -1,
        .attributes = (int16_t)((old.attributes & BATCH_TRANSACTIONAL) | codec),
        .producer_id = old.producer_id,
        .producer_epoch = old.producer_epoch,
        .base_sequence = old.base_sequence,
        .level = codec == rules->codec ? rules->level : COMPRESS_LEVEL_DEFAULT,
    };
    struct batch_builder builder;
    struct record_iter iter;
    struct record record;
    struct str batch = STR_NULL;

    batch_builder_init(&builder, &v->unpacked, &options,
                       v->payload.len + BATCH_HEADER_BYTES);
    record_iter_init(&iter, &old, v->payload);
    while (record_iter_next(&iter, &record)) {
        batch_builder_add(
            &builder, &(struct batch_record){
                          .timestamp = rules->log_append_time
                                           ? rules->now_ms
                                           : record_timestamp(&old, &record),
                          .key = record.key,
                          .value = record.value,
                          .headers_count = record.headers_count,
                          .headers_encoded = record.headers,
                      });
    }
    if (batch_builder_finish(&builder, &batch) != ERR_NONE ||
        batch.len > (size_t)rules->batch_bytes_max) {
        return validate_refuse(
            out, ERR_MESSAGE_TOO_LARGE,
            "the record batch is larger than max.message.bytes after "
            "compression by the broker");
    }
    out->batch = arena_raw(v->arena, batch.len);
    memcpy(out->batch, batch.ptr, batch.len);
    return ERR_NONE;
}

/* The batch as it will be on disk; what it was unpacked to is still there. */
static enum err validate_settle(struct validation *v)
{
    const struct validate_rules *rules = v->rules;
    struct validate_result *out = v->out;
    int codec = out->header.attributes & BATCH_CODEC_MASK;
    enum err err;

    if (rules->codec != VALIDATE_CODEC_PRODUCER && rules->codec != codec) {
        codec = rules->codec;
        v->needs_rewrite = true;
    }
    if (v->needs_rewrite) {
        err = validate_rewrite(v, codec);
        if (err) {
            return err;
        }
    }
    must(v->needs_rewrite == (out->batch != v->given)); /* invariant 2 */
    batch_set_timestamps(out->batch, rules->log_append_time,
                         rules->log_append_time ? rules->now_ms
                                                : v->max_timestamp);
    return batch_header_parse(out->batch, batch_bytes(out->batch),
                              &out->header);
}

enum err validate_batch(uint8_t *batch, size_t bytes,
                        const struct validate_rules *rules, struct arena *arena,
                        struct validate_result *out)
{
    struct validation v = {.rules = rules,
                           .arena = arena,
                           .unpacked = {.budget = arena->budget},
                           .out = out,
                           .given = batch,
                           .max_timestamp = NO_TIMESTAMP};
    enum err err;

    *out = (struct validate_result){.batch = batch};
    err = validate_check_shape(batch, bytes, rules, out);
    err = err ? err : validate_check_header(batch, bytes, rules, out);
    err = err ? err : validate_unpack(batch, &v);
    err = err ? err : validate_check_records(&v);
    err = err ? err : validate_settle(&v);
    arena_reset(&v.unpacked);
    return err;
}
