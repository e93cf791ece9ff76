/* batch_builder.c - building record batches. The bytes: batch.h.
 *
 * 1. batch_builder_init() leaves room for the header.
 * 2. batch_builder_add() writes a record behind the ones before it: its sizes
 *    are summed up first, for its length stands in front.
 * 3. batch_builder_finish() compresses what was written, fills in the header
 *    and seals it with the CRC.
 *
 * Failure modes: more than INT32_MAX bytes, or a level that the codec lacks:
 * told by batch_builder_finish(), until then the builder takes everything.
 *
 * Invariants:
 * 1. Offset deltas grow; last_offset_delta is the last one, -1 before the
 *    first.
 * 2. The block begins with BATCH_HEADER_BYTES that are written last. */
#include "wire/batch.h"

#include "base/must.h"

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
static size_t batch_builder_varint_bytes(int64_t value)
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
static int32_t batch_builder_slice_length(struct str s)
{
    return s.ptr == NULL ? -1 : (int32_t)s.len;
}

static size_t batch_builder_slice_bytes(struct str s)
{
    return batch_builder_varint_bytes(batch_builder_slice_length(s)) + s.len;
}

static void batch_builder_slice_write(struct writer *w, struct str s)
{
    writer_varint(w, batch_builder_slice_length(s));
    writer_raw(w, s.ptr, s.len);
}

/* Of the headers without their count. */
static size_t batch_builder_headers_bytes(const struct batch_record *record)
{
    size_t bytes = record->headers_encoded.len;

    if (record->headers != NULL) {
        for (int32_t i = 0; i < record->headers_count; i++) {
            bytes += batch_builder_slice_bytes(record->headers[i].key);
            bytes += batch_builder_slice_bytes(record->headers[i].value);
        }
    }
    return bytes;
}

static void batch_builder_headers_write(struct writer *w,
                                        const struct batch_record *record)
{
    writer_varint(w, record->headers_count);
    if (record->headers == NULL) {
        writer_raw(w, record->headers_encoded.ptr, record->headers_encoded.len);
        return;
    }
    for (int32_t i = 0; i < record->headers_count; i++) {
        batch_builder_slice_write(w, record->headers[i].key);
        batch_builder_slice_write(w, record->headers[i].value);
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
    bytes = 1 + batch_builder_varint_bytes(delta) +
            batch_builder_varint_bytes(offset_delta) +
            batch_builder_slice_bytes(record->key) +
            batch_builder_slice_bytes(record->value) +
            batch_builder_varint_bytes(record->headers_count) +
            batch_builder_headers_bytes(record);
    if (bytes > INT32_MAX || w->failed) {
        w->failed = true;
        return;
    }
    writer_varint(w, (int32_t)bytes);
    writer_i8(w, 0);
    writer_varlong(w, delta);
    writer_varint(w, offset_delta);
    batch_builder_slice_write(w, record->key);
    batch_builder_slice_write(w, record->value);
    batch_builder_headers_write(w, record);
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
    bytes_put_i32(at + BATCH_LAST_OFFSET_DELTA_AT, b->last_offset_delta);
    bytes_put_i64(at + BATCH_BASE_TIMESTAMP_AT, b->base_timestamp);
    bytes_put_i64(at + BATCH_MAX_TIMESTAMP_AT, b->max_timestamp);
    bytes_put_i64(at + BATCH_PRODUCER_ID_AT, o->producer_id);
    bytes_put_i16(at + BATCH_PRODUCER_EPOCH_AT, o->producer_epoch);
    bytes_put_i32(at + BATCH_BASE_SEQUENCE_AT, o->base_sequence);
    bytes_put_i32(at + BATCH_RECORD_COUNT_AT, b->record_count);
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
