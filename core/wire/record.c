/* record.c - walking over the records of a batch.
 *
 * Each record is read by a cursor of its own that ends where the record says it
 * ends: it must be used up exactly, and nothing can look beyond it. */
#include "wire/record.h"

#include "wire/batch.h"

enum { HEADER_BYTES_MIN = 2 }; /* of a record's header: two lengths */

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

bool record_iter_next(struct record_iter *iter, struct record *out)
{
    struct reader *r = &iter->reader;
    struct reader body;
    const uint8_t *start;
    int32_t length;

    if (iter->left == 0) {
        return false;
    }
    length = reader_varint(r);
    start = length < 0 ? NULL : reader_take(r, (size_t)length);
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
    iter->left--;
    return true;
}

enum err record_iter_finish(const struct record_iter *iter)
{
    return iter->left != 0 || reader_finish(&iter->reader) ? ERR_CORRUPT
                                                           : ERR_NONE;
}
