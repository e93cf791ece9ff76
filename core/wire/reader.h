/* reader.h - reads Kafka's encodings from bytes in memory.
 *
 * A cursor with a sticky error: after the first read that does not fit, every
 * read gives zero or null and `failed` stays true, so that a decoder is a
 * straight list of reads with one check at the end. Strings and bytes are
 * slices of the input, which must outlive them; only arrays take memory, from
 * the arena of the request, after their count was checked against the bytes
 * left. Belongs to one thread.
 * Source: protocol guide, "Protocol Primitive Types"; KIP-482. */
#ifndef WIRE_READER_H
#define WIRE_READER_H

#include "base/arena.h"
#include "base/bytes.h"
#include "base/err.h"
#include "base/uuid.h"

/* A `records` field: record batches back to back.
 *
 * Decoded: ptr and bytes are a slice of the input. To be encoded: either ptr
 * (copied into the output), or splice, any pointer of the caller's, which
 * makes the writer leave these bytes out and note where they belong. */
struct wire_records {
    const uint8_t *ptr;
    int32_t bytes; /* -1 is null */
    void *splice;
};

struct reader {
    const uint8_t *at;
    const uint8_t *end;
    size_t arena_bytes_max; /* 0: no limit on what arrays may take */
    bool failed;
};

/* bytes: borrowed as long as the reader and what it gave are in use. */
static inline void reader_init(struct reader *r, const void *ptr, size_t bytes)
{
    const uint8_t *at = ptr;
    *r = (struct reader){.at = at, .end = at + bytes};
}

/* How many bytes are left; 0 after a failure. */
static inline size_t reader_left(const struct reader *r)
{
    return (size_t)(r->end - r->at);
}

/* What was read makes no sense: nothing more can be read. */
static inline void reader_fail(struct reader *r)
{
    r->failed = true;
    r->at = r->end;
}

/* ERR_NONE when nothing failed and nothing is left over, else ERR_MALFORMED. */
MUST_USE static inline enum err reader_finish(const struct reader *r)
{
    return r->failed || r->at != r->end ? ERR_MALFORMED : ERR_NONE;
}

/* The next bytes, or NULL when fewer are left. */
static inline const uint8_t *reader_take(struct reader *r, size_t bytes)
{
    const uint8_t *at = r->at;

    if (reader_left(r) < bytes) {
        reader_fail(r);
        return NULL;
    }
    r->at += bytes;
    return at;
}

/* One byte. */
static inline uint8_t reader_u8(struct reader *r)
{
    const uint8_t *at = reader_take(r, 1);
    return at == NULL ? 0 : *at;
}

/* INT8. */
static inline int8_t reader_i8(struct reader *r)
{
    return (int8_t)reader_u8(r);
}

/* BOOLEAN: any byte but 0 is true. */
static inline bool reader_bool(struct reader *r)
{
    return reader_u8(r) != 0;
}

/* UINT16. */
static inline uint16_t reader_u16(struct reader *r)
{
    const uint8_t *at = reader_take(r, 2);
    return at == NULL ? 0 : bytes_get_u16(at);
}

/* INT16. */
static inline int16_t reader_i16(struct reader *r)
{
    return (int16_t)reader_u16(r);
}

/* UINT32. */
static inline uint32_t reader_u32(struct reader *r)
{
    const uint8_t *at = reader_take(r, 4);
    return at == NULL ? 0 : bytes_get_u32(at);
}

/* INT32. */
static inline int32_t reader_i32(struct reader *r)
{
    return (int32_t)reader_u32(r);
}

/* INT64. */
static inline int64_t reader_i64(struct reader *r)
{
    const uint8_t *at = reader_take(r, 8);
    return at == NULL ? 0 : bytes_get_i64(at);
}

/* FLOAT64: IEEE 754, big-endian. */
double reader_f64(struct reader *r);
/* UUID: 16 bytes. */
struct uuid reader_uuid(struct reader *r);

/* Numbers of more than one byte; use the functions below. */
uint64_t reader_uvarint_long(struct reader *r, unsigned bits);

/* UNSIGNED_VARINT: LEB128 of at most 32 bits; more is a failure. */
static inline uint32_t reader_uvarint(struct reader *r)
{
    if (r->at < r->end && *r->at < 0x80) {
        return *r->at++;
    }
    return (uint32_t)reader_uvarint_long(r, 32);
}

/* The same of at most 64 bits. */
static inline uint64_t reader_uvarlong(struct reader *r)
{
    if (r->at < r->end && *r->at < 0x80) {
        return *r->at++;
    }
    return reader_uvarint_long(r, 64);
}

/* VARINT: zigzag, as records use it. */
static inline int32_t reader_varint(struct reader *r)
{
    uint32_t v = reader_uvarint(r);
    return (int32_t)((v >> 1) ^ (0 - (v & 1)));
}

/* VARLONG: zigzag. */
static inline int64_t reader_varlong(struct reader *r)
{
    uint64_t v = reader_uvarlong(r);
    return (int64_t)((v >> 1) ^ (0 - (v & 1)));
}

/* STRING, or COMPACT_STRING where flex says so. Null is a failure; empty is a
 * pointer that is not NULL, with length 0. */
struct str reader_str(struct reader *r, bool flex);
/* The same, where null is a value. */
struct str reader_str_nullable(struct reader *r, bool flex);
/* BYTES, or COMPACT_BYTES; the rest as for strings. */
struct str reader_bytes(struct reader *r, bool flex);
struct str reader_bytes_nullable(struct reader *r, bool flex);
/* RECORDS, or COMPACT_RECORDS: a slice of the input. */
struct wire_records reader_records(struct reader *r, bool flex, bool nullable);

/* How an array stands on the wire and in memory. */
struct reader_array {
    bool flex;
    bool nullable;
    uint16_t element_bytes_min; /* least bytes of one element on the wire */
    uint16_t element_size;      /* sizeof one element in memory */
};

/* The count of an array and room for its elements, zeroed, in the arena. Gives
 * NULL with count 0 on failure and for an empty array, count -1 for null. */
void *reader_array(struct reader *r, struct arena *arena,
                   struct reader_array array, int32_t *count);

/* The marker of a nullable struct; the struct's memory from the arena, or NULL
 * when it is null or the reader failed. */
void *reader_struct(struct reader *r, struct arena *arena, size_t size);

/* Tagged fields. A decoder opens each tag, reads its value or leaves it, and
 * closes it: an unread value is skipped, a half-read one is a failure. */
struct reader_tag {
    uint32_t tag;
    const uint8_t *start; /* private */
    const uint8_t *end;   /* private */
};

/* The next field of a section: its tag and size. Its value comes next. */
struct reader_tag reader_tag_open(struct reader *r);
/* Skips what was not read of it. */
void reader_tag_close(struct reader *r, const struct reader_tag *tag);
/* A whole section of which no tag is known. */
void reader_tags_skip(struct reader *r);

#endif
