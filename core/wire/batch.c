/* batch.c - reading, changing and building record batches. The bytes: batch.h.
 *
 * Reading, a step of trust at a time:
 * 1. batch_header_parse() holds the sizes against the bytes that are there.
 * 2. batch_parse() its CRC as well.
 * 3. batch_payload() unpacks, up to a limit.
 * 4. record.c holds each varint of each record against the record's length.
 * After that every slice lies inside the batch.
 *
 * Building:
 * 1. batch_builder_init() leaves room for the header.
 * 2. batch_builder_add() writes a record behind the ones before it: its sizes
 *    are summed up first, for its length stands in front.
 * 3. batch_builder_finish() compresses what was written, fills in the header
 * and seals it with the CRC.
 *
 * Invariants of a builder:
 * 1. Offset deltas grow; last_offset_delta is the last one, -1 before the
 * first.
 * 2. The block begins with BATCH_HEADER_BYTES that are written last. */
#include "wire/batch.h"

#include "base/crc32c.h"
#include "base/must.h"

enum {
    LAST_OFFSET_DELTA_AT = 23,
    BASE_TIMESTAMP_AT = 27,
    PRODUCER_ID_AT = 43,
    PRODUCER_EPOCH_AT = 51,
    BASE_SEQUENCE_AT = 53,
    RECORD_COUNT_AT = 57,
};

uint32_t batch_bytes(const void *prefix)
{
    int32_t length = bytes_get_i32((const uint8_t *)prefix + 8);

    if (length < BATCH_HEADER_BYTES - BATCH_PREFIX_BYTES ||
        length > INT32_MAX - BATCH_PREFIX_BYTES) {
        return 0;
    }
    return (uint32_t)length + BATCH_PREFIX_BYTES;
}

/* The fields as they are; whether they make sense is for the caller. */
static void batch_header_read(const uint8_t *at, struct batch_header *out)
{
    *out = (struct batch_header){
        .base_offset = bytes_get_i64(at),
        .bytes = (int32_t)batch_bytes(at),
        .leader_epoch = bytes_get_i32(at + BATCH_LEADER_EPOCH_AT),
        .crc = bytes_get_u32(at + BATCH_CRC_AT),
        .attributes = bytes_get_i16(at + BATCH_ATTRIBUTES_AT),
        .last_offset_delta = bytes_get_i32(at + LAST_OFFSET_DELTA_AT),
        .base_timestamp = bytes_get_i64(at + BASE_TIMESTAMP_AT),
        .max_timestamp = bytes_get_i64(at + BATCH_MAX_TIMESTAMP_AT),
        .producer_id = bytes_get_i64(at + PRODUCER_ID_AT),
        .producer_epoch = bytes_get_i16(at + PRODUCER_EPOCH_AT),
        .base_sequence = bytes_get_i32(at + BASE_SEQUENCE_AT),
        .record_count = bytes_get_i32(at + RECORD_COUNT_AT),
    };
}

enum err batch_header_parse(const void *batch, size_t bytes,
                            struct batch_header *out)
{
    const uint8_t *at = batch;
    uint32_t size;

    if (bytes <= BATCH_MAGIC_AT) {
        return ERR_TORN;
    }
    if (at[BATCH_MAGIC_AT] < BATCH_MAGIC) {
        return ERR_UNSUPPORTED;
    }
    size = batch_bytes(at);
    if (at[BATCH_MAGIC_AT] != BATCH_MAGIC || size == 0) {
        return ERR_CORRUPT;
    }
    if (bytes < size) {
        return ERR_TORN;
    }
    batch_header_read(at, out);
    if (out->record_count < 0 || out->last_offset_delta < 0 ||
        out->base_offset < 0 ||
        out->base_offset > INT64_MAX - out->last_offset_delta) {
        return ERR_CORRUPT;
    }
    return ERR_NONE;
}

static uint32_t batch_crc(const uint8_t *at, size_t bytes)
{
    return crc32c(0, at + BATCH_ATTRIBUTES_AT, bytes - BATCH_ATTRIBUTES_AT);
}

bool batch_crc_matches(const void *batch, size_t bytes)
{
    const uint8_t *at = batch;

    return batch_crc(at, bytes) == bytes_get_u32(at + BATCH_CRC_AT);
}

enum err batch_parse(const void *batch, size_t bytes, struct batch_header *out)
{
    enum err err = batch_header_parse(batch, bytes, out);

    if (err) {
        return err;
    }
    return batch_crc_matches(batch, (size_t)out->bytes) ? ERR_NONE
                                                        : ERR_CORRUPT;
}

int32_t batch_sequence_add(int32_t sequence, int32_t delta)
{
    return (int32_t)(((int64_t)sequence + delta) % ((int64_t)INT32_MAX + 1));
}

int32_t batch_last_sequence(const struct batch_header *h)
{
    return h->base_sequence < 0
               ? -1
               : batch_sequence_add(h->base_sequence, h->last_offset_delta);
}

void batch_set_base_offset(void *batch, int64_t base_offset)
{
    bytes_put_i64(batch, base_offset);
}

void batch_set_leader_epoch(void *batch, int32_t leader_epoch)
{
    bytes_put_i32((uint8_t *)batch + BATCH_LEADER_EPOCH_AT, leader_epoch);
}

void batch_seal(void *batch)
{
    uint8_t *at = batch;

    bytes_put_u32(at + BATCH_CRC_AT, batch_crc(at, batch_bytes(at)));
}

void batch_set_timestamps(void *batch, bool log_append_time,
                          int64_t max_timestamp)
{
    uint8_t *at = batch;
    int old = bytes_get_i16(at + BATCH_ATTRIBUTES_AT);
    int attributes = log_append_time ? old | BATCH_LOG_APPEND_TIME
                                     : old & ~BATCH_LOG_APPEND_TIME;

    if (attributes == old &&
        bytes_get_i64(at + BATCH_MAX_TIMESTAMP_AT) == max_timestamp) {
        return;
    }
    bytes_put_i16(at + BATCH_ATTRIBUTES_AT, (int16_t)attributes);
    bytes_put_i64(at + BATCH_MAX_TIMESTAMP_AT, max_timestamp);
    batch_seal(at);
}

enum err batch_payload(const void *batch, const struct batch_header *h,
                       size_t bytes_max, struct arena *arena, struct str *out)
{
    struct str packed = str_sub((const uint8_t *)batch + BATCH_HEADER_BYTES,
                                (size_t)h->bytes - BATCH_HEADER_BYTES);
    int codec = h->attributes & BATCH_CODEC_MASK;

    if (codec != CODEC_NONE) {
        return compress_decode(codec, packed, bytes_max, arena, out);
    }
    *out = packed;
    return packed.len > bytes_max ? ERR_TOO_LARGE : ERR_NONE;
}

void batch_builder_init(struct batch_builder *b, struct arena *arena,
                        const struct batch_options *options, size_t bytes)
{
    *b = (struct batch_builder){.options = *options, .last_offset_delta = -1};
    writer_init(&b->writer, arena, bytes + BATCH_HEADER_BYTES);
    memset(writer_take(&b->writer, BATCH_HEADER_BYTES), 0, BATCH_HEADER_BYTES);
}

void batch_builder_add(struct batch_builder *b,
                       const struct batch_record *record)
{
    batch_builder_add_at(b, b->last_offset_delta + 1, record);
}

/* How many bytes the zigzag varint takes. */
static size_t varint_bytes(int64_t value)
{
    uint64_t v = ((uint64_t)value << 1) ^ (0 - ((uint64_t)value >> 63));
    size_t bytes = 1;

    while (v >= 0x80) {
        v >>= 7;
        bytes++;
    }
    return bytes;
}

/* -1 for null. */
static int32_t slice_length(struct str s)
{
    return s.ptr == NULL ? -1 : (int32_t)s.len;
}

static size_t slice_bytes(struct str s)
{
    return varint_bytes(slice_length(s)) + s.len;
}

static void slice_write(struct writer *w, struct str s)
{
    writer_varint(w, slice_length(s));
    writer_raw(w, s.ptr, s.len);
}

/* Of the headers without their count. */
static size_t headers_bytes(const struct batch_record *record)
{
    size_t bytes = record->headers_encoded.len;

    if (record->headers != NULL) {
        for (int32_t i = 0; i < record->headers_count; i++) {
            bytes += slice_bytes(record->headers[i].key);
            bytes += slice_bytes(record->headers[i].value);
        }
    }
    return bytes;
}

static void headers_write(struct writer *w, const struct batch_record *record)
{
    writer_varint(w, record->headers_count);
    if (record->headers == NULL) {
        writer_raw(w, record->headers_encoded.ptr, record->headers_encoded.len);
        return;
    }
    for (int32_t i = 0; i < record->headers_count; i++) {
        slice_write(w, record->headers[i].key);
        slice_write(w, record->headers[i].value);
    }
}

void batch_builder_add_at(struct batch_builder *b, int32_t offset_delta,
                          const struct batch_record *record)
{
    struct writer *w = &b->writer;
    int64_t delta;
    size_t bytes;

    must(offset_delta > b->last_offset_delta); /* invariant 1 */
    if (b->record_count == 0) {
        b->base_timestamp = record->timestamp;
        b->max_timestamp = record->timestamp;
    }
    b->max_timestamp = MAX(b->max_timestamp, record->timestamp);
    delta =
        (int64_t)((uint64_t)record->timestamp - (uint64_t)b->base_timestamp);
    bytes = 1 + varint_bytes(delta) + varint_bytes(offset_delta) +
            slice_bytes(record->key) + slice_bytes(record->value) +
            varint_bytes(record->headers_count) + headers_bytes(record);
    if (bytes > INT32_MAX || w->failed) {
        w->failed = true;
        return;
    }
    writer_varint(w, (int32_t)bytes);
    writer_i8(w, 0);
    writer_varlong(w, delta);
    writer_varint(w, offset_delta);
    slice_write(w, record->key);
    slice_write(w, record->value);
    headers_write(w, record);
    b->record_count++;
    b->last_offset_delta = offset_delta;
}

size_t batch_builder_bytes(const struct batch_builder *b)
{
    return writer_total(&b->writer);
}

/* bytes: of the whole batch. */
static void batch_builder_write_header(const struct batch_builder *b,
                                       uint8_t *at, size_t bytes)
{
    const struct batch_options *o = &b->options;

    bytes_put_i64(at, o->base_offset);
    bytes_put_i32(at + 8, (int32_t)(bytes - BATCH_PREFIX_BYTES));
    bytes_put_i32(at + BATCH_LEADER_EPOCH_AT, o->leader_epoch);
    at[BATCH_MAGIC_AT] = BATCH_MAGIC;
    bytes_put_i16(at + BATCH_ATTRIBUTES_AT, o->attributes);
    bytes_put_i32(at + LAST_OFFSET_DELTA_AT, b->last_offset_delta);
    bytes_put_i64(at + BASE_TIMESTAMP_AT, b->base_timestamp);
    bytes_put_i64(at + BATCH_MAX_TIMESTAMP_AT, b->max_timestamp);
    bytes_put_i64(at + PRODUCER_ID_AT, o->producer_id);
    bytes_put_i16(at + PRODUCER_EPOCH_AT, o->producer_epoch);
    bytes_put_i32(at + BASE_SEQUENCE_AT, o->base_sequence);
    bytes_put_i32(at + RECORD_COUNT_AT, b->record_count);
    batch_seal(at);
}

enum err batch_builder_finish(struct batch_builder *b, struct str *out)
{
    struct str all = writer_output(&b->writer);
    int codec = b->options.attributes & BATCH_CODEC_MASK;
    uint8_t *batch = b->writer.start;
    struct str packed;
    enum err err;

    must(b->record_count > 0 || b->writer.failed);
    if (b->writer.failed) {
        return ERR_TOO_LARGE;
    }
    if (codec != CODEC_NONE) {
        err = compress_encode(
            codec, b->options.level,
            str_sub(all.ptr + BATCH_HEADER_BYTES, all.len - BATCH_HEADER_BYTES),
            b->writer.arena, &packed);
        if (err) {
            return err;
        }
        all.len = packed.len + BATCH_HEADER_BYTES;
        batch = arena_raw(b->writer.arena, all.len);
        memcpy(batch + BATCH_HEADER_BYTES, packed.ptr, packed.len);
    }
    if (all.len > INT32_MAX) {
        return ERR_TOO_LARGE;
    }
    batch_builder_write_header(b, batch, all.len);
    *out = str_sub(batch, all.len);
    return ERR_NONE;
}

struct str batch_control(struct arena *arena,
                         const struct batch_options *options,
                         const struct control_marker *marker)
{
    struct batch_options control = *options;
    struct batch_builder builder;
    uint8_t key[4], value[6];
    struct str out = STR_NULL;
    enum err err;

    bytes_put_i16(key, 0);
    bytes_put_i16(key + 2, (int16_t)marker->type);
    bytes_put_i16(value, 0);
    bytes_put_i32(value + 2, marker->coordinator_epoch);
    control.attributes = (int16_t)((control.attributes & ~BATCH_CODEC_MASK) |
                                   BATCH_CONTROL | BATCH_TRANSACTIONAL);
    batch_builder_init(&builder, arena, &control, 32);
    batch_builder_add(&builder, &(struct batch_record){
                                    .timestamp = marker->timestamp,
                                    .key = str_sub(key, sizeof(key)),
                                    .value = str_sub(value, sizeof(value)),
                                });
    err = batch_builder_finish(&builder, &out);
    must(err == ERR_NONE);
    return out;
}
