/* batch.c - reading and changing record batches. The bytes: batch.h.
 *
 * A step of trust at a time:
 * 1. batch_header_parse() holds the sizes against the bytes that are there.
 * 2. batch_parse() its CRC as well.
 * 3. batch_payload() unpacks, up to a limit.
 * 4. record.c holds each varint of each record against the record's length.
 * After that every slice lies inside the batch. */
#include "wire/batch.h"

#include "base/crc32c.h"

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
        .last_offset_delta = bytes_get_i32(at + BATCH_LAST_OFFSET_DELTA_AT),
        .base_timestamp = bytes_get_i64(at + BATCH_BASE_TIMESTAMP_AT),
        .max_timestamp = bytes_get_i64(at + BATCH_MAX_TIMESTAMP_AT),
        .producer_id = bytes_get_i64(at + BATCH_PRODUCER_ID_AT),
        .producer_epoch = bytes_get_i16(at + BATCH_PRODUCER_EPOCH_AT),
        .base_sequence = bytes_get_i32(at + BATCH_BASE_SEQUENCE_AT),
        .record_count = bytes_get_i32(at + BATCH_RECORD_COUNT_AT),
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
