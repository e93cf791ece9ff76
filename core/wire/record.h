/* record.h - the records inside a batch.
 *
 *   bytes      field              as
 *   1 to 5     length             varint: of all that follows
 *   1          attributes         int8, unused
 *   1 to 10    timestamp delta    varlong, to the batch's base timestamp, ms
 *   1 to 5     offset delta       varint, to the batch's base offset
 *   1 to 5     key length         varint; -1: null, and no bytes
 *              key
 *   1 to 5     value length       varint; -1: null, and no bytes
 *              value
 *   1 to 5     count of headers   varint
 *              each: key length, key, value length (-1: null), value
 *
 * All varints are zigzag. Keys, values and headers are slices of the payload;
 * nothing is allocated. Any thread.
 * Source: protocol guide, "Record". */
#ifndef WIRE_RECORD_H
#define WIRE_RECORD_H

#include "wire/reader.h"

struct batch_header;

/* Slices are of the payload. */
struct record {
    int32_t offset_delta;    /* to the batch's base offset */
    int64_t timestamp_delta; /* ms, to the batch's base timestamp */
    int8_t attributes;
    int32_t headers_count;
    struct str key;     /* null: no key */
    struct str value;   /* null: a tombstone */
    struct str headers; /* as encoded; record_header_next() reads them */
};

struct record_header {
    struct str key;
    struct str value; /* null is allowed */
};

/* The timestamp that a consumer sees. */
int64_t record_timestamp(const struct batch_header *h,
                         const struct record *record);

/* Walks over the records of a payload.
 *
 *   record_iter_init(&iter, &header, payload);
 *   while (record_iter_next(&iter, &record)) { ... }
 *   err = record_iter_finish(&iter); */
struct record_iter {
    struct reader reader;
    int32_t left;
};

/* payload: of batch_payload(), borrowed while the iterator is in use. */
void record_iter_init(struct record_iter *iter, const struct batch_header *h,
                      struct str payload);
/* False at the end and at the first record that cannot be read. */
bool record_iter_next(struct record_iter *iter, struct record *out);
/* ERR_CORRUPT when a record could not be read, or bytes or records are left. */
MUST_USE enum err record_iter_finish(const struct record_iter *iter);

/* Walks over a record's headers: start with a reader over record->headers and
 * call headers_count times. False when it is damaged (iteration of records has
 * checked that it is not). */
bool record_header_next(struct reader *headers, struct record_header *out);

#endif
