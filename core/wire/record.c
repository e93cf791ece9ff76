/* record.c - walking over the records of a batch. The bytes: record.h.
 *
 * 1. record_read_short() takes a common record in one go: nearly all are short,
 *    have no headers and are not the last ones of their batch. It needs no
 *    cursor, and a third of the time.
 * 2. What it does not take is left to record_read(): a cursor of its own that
 *    ends where the record says it ends. It must be used up exactly, and
 * nothing can look beyond it. It also says what is wrong.
 *
 * Invariants:
 * 1. Every slice lies inside its record, every record inside the payload.
 * 2. After a failure the iterator gives nothing more, and finish says so. */
#include "wire/record.h"

#include "wire/batch.h"

enum {
    HEADER_BYTES_MIN = 2, /* of a record's header: two lengths */
    SHORT_VARINT_BYTES = 3,
    SHORT_FIXED_BYTES = 1 + 4 * SHORT_VARINT_BYTES, /* up to the key */
};

int64_t record_timestamp(const struct batch_header *h,
                         const struct record *record)
{
    if ((h->attributes & BATCH_LOG_APPEND_TIME) != 0) {
        return h->max_timestamp;
    }
    return (int64_t)((uint64_t)h->base_timestamp +
                     (uint64_t)record->timestamp_delta);
}

void record_iter_init(struct record_iter *iter, const struct batch_header *h,
                      struct str payload)
{
    reader_init(&iter->reader, payload.ptr, payload.len);
    iter->left = h->record_count;
}

/* A key, value or header text: a varint length, -1 for null. */
static struct str record_slice(struct reader *r)
{
    int32_t length = reader_varint(r);
    const uint8_t *at;

    if (length < 0) {
        if (length != -1) {
            reader_fail(r);
        }
        return STR_NULL;
    }
    at = reader_take(r, (size_t)length);
    return at == NULL ? STR_NULL : str_sub(at, (size_t)length);
}

bool record_header_next(struct reader *headers, struct record_header *out)
{
    out->key = record_slice(headers);
    if (out->key.ptr == NULL) {
        reader_fail(headers);
    }
    out->value = record_slice(headers);
    return !headers->failed;
}

/* Skips over the headers and keeps their bytes. */
static void record_read_headers(struct reader *r, struct record *out)
{
    struct record_header header;
    const uint8_t *start;
    int32_t count = reader_varint(r);

    if (count < 0 || (size_t)count > reader_left(r) / HEADER_BYTES_MIN) {
        reader_fail(r);
        count = 0;
    }
    out->headers_count = count;
    start = r->at;
    while (count > 0 && record_header_next(r, &header)) {
        count--;
    }
    out->headers = str_sub(start, (size_t)(r->at - start));
}

/* A zigzag varint of at most SHORT_VARINT_BYTES, all of which may be looked at;
 * gives where it ends, or NULL when it is longer. */
static inline const uint8_t *short_varint(const uint8_t *at, int32_t *out)
{
    uint32_t v = *at++;

    if (v >= 0x80) {
        v = (v & 0x7f) | (uint32_t)*at++ << 7;
        if (v >= 0x80 << 7) {
            v = (v & 0x3fff) | (uint32_t)*at++ << 14;
            if (v >= 0x80 << 14) {
                return NULL;
            }
        }
    }
    *out = (int32_t)((v >> 1) ^ (0 - (v & 1)));
    return at;
}

/* A key or value; gives where it ends, or NULL when that is not clear. What
 * begins before limit, and what follows it, may be looked at. */
static inline const uint8_t *short_slice(const uint8_t *at,
                                         const uint8_t *limit, struct str *out)
{
    int32_t length;

    at = short_varint(at, &length);
    *out = STR_NULL;
    if (at == NULL || length == -1) {
        return at;
    }
    if (length < 0 || length > limit - at) {
        return NULL;
    }
    *out = str_sub(at, (size_t)length);
    return at + length;
}

/* Reads a common record; false, with nothing changed but *out, when it is not
 * one. The bytes kept free at the end make most checks of the end superfluous;
 * that the parts fill the record exactly is checked once. */
static inline bool record_read_short(struct reader *r, struct record *out)
{
    const uint8_t *at = r->at;
    const uint8_t *start;
    const uint8_t *limit;
    int32_t length;
    int32_t delta;

    if (reader_left(r) < 2 * SHORT_FIXED_BYTES) {
        return false;
    }
    limit = r->end - SHORT_FIXED_BYTES;
    start = short_varint(at, &length);
    if (start == NULL || length < 0 || length > limit - start) {
        return false;
    }
    out->attributes = (int8_t)*start;
    at = short_varint(start + 1, &delta);
    if (at == NULL) {
        return false;
    }
    out->timestamp_delta = delta;
    at = short_varint(at, &out->offset_delta);
    if (at == NULL || (at = short_slice(at, limit, &out->key)) == NULL ||
        (at = short_slice(at, limit, &out->value)) == NULL || *at != 0 ||
        at + 1 != start + length) {
        return false;
    }
    out->headers_count = 0;
    out->headers = str_sub(at + 1, 0);
    r->at = at + 1;
    return true;
}

/* Any record, by a cursor that ends with it. */
static bool record_read(struct reader *r, struct record *out)
{
    int32_t length = reader_varint(r);
    const uint8_t *start = length < 0 ? NULL : reader_take(r, (size_t)length);
    struct reader body;

    if (start == NULL || r->failed) {
        reader_fail(r);
        return false;
    }
    reader_init(&body, start, (size_t)length);
    out->attributes = reader_i8(&body);
    out->timestamp_delta = reader_varlong(&body);
    out->offset_delta = reader_varint(&body);
    out->key = record_slice(&body);
    out->value = record_slice(&body);
    record_read_headers(&body, out);
    if (reader_finish(&body) != ERR_NONE) {
        reader_fail(r);
        return false;
    }
    return true;
}

bool record_iter_next(struct record_iter *iter, struct record *out)
{
    struct reader *r = &iter->reader;

    if (iter->left == 0 ||
        (!record_read_short(r, out) && !record_read(r, out))) {
        return false;
    }
    iter->left--;
    return true;
}

enum err record_iter_finish(const struct record_iter *iter)
{
    return iter->left != 0 || reader_finish(&iter->reader) ? ERR_CORRUPT
                                                           : ERR_NONE;
}
