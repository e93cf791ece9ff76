/* reader.c - the reads that are too long to be inlined.
 *
 * Invariants, whatever the bytes are:
 * 1. No slice leaves the input.
 * 2. No array takes memory for elements that the bytes left could not hold, nor
 *    more than arena_bytes_max in all.
 * 3. After a failure at == end: nothing more is read, every value is zero or
 *    null. */
#include "wire/reader.h"

enum { STR_BYTES_MAX = 32767 };

uint64_t reader_uvarint_long(struct reader *r, unsigned bits)
{
    uint64_t value = 0;

    for (unsigned shift = 0; shift < bits; shift += 7) {
        uint8_t byte = reader_u8(r);
        unsigned room = bits - shift;

        if (room < 7 && (byte >> room) != 0) {
            break;
        }
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            return value;
        }
    }
    reader_fail(r);
    return 0;
}

double reader_f64(struct reader *r)
{
    uint64_t bits = (uint64_t)reader_i64(r);
    double value;

    memcpy(&value, &bits, sizeof(value));
    return value;
}

struct uuid reader_uuid(struct reader *r)
{
    struct uuid uuid = {{0}};
    const uint8_t *at = reader_take(r, sizeof(uuid.bytes));

    if (at != NULL) {
        memcpy(uuid.bytes, at, sizeof(uuid.bytes));
    }
    return uuid;
}

/* A length of -1 is null: the compact form is the length + 1, unsigned. */
static int64_t reader_compact_length(struct reader *r)
{
    return (int64_t)reader_uvarint(r) - 1;
}

/* The slice of a length that was read; a negative one is null. */
static struct str reader_slice(struct reader *r, int64_t length)
{
    const uint8_t *at;

    if (length < 0 || r->failed) {
        return STR_NULL;
    }
    at = reader_take(r, (size_t)length);
    return at == NULL ? STR_NULL : str_sub(at, (size_t)length);
}

struct str reader_str_nullable(struct reader *r, bool flex)
{
    int64_t length = flex ? reader_compact_length(r) : reader_i16(r);

    if (length > STR_BYTES_MAX) {
        reader_fail(r);
    }
    return reader_slice(r, length);
}

struct str reader_str(struct reader *r, bool flex)
{
    struct str s = reader_str_nullable(r, flex);

    if (s.ptr == NULL) {
        reader_fail(r);
    }
    return s;
}

struct str reader_bytes_nullable(struct reader *r, bool flex)
{
    return reader_slice(r, flex ? reader_compact_length(r) : reader_i32(r));
}

struct str reader_bytes(struct reader *r, bool flex)
{
    struct str s = reader_bytes_nullable(r, flex);

    if (s.ptr == NULL) {
        reader_fail(r);
    }
    return s;
}

struct wire_records reader_records(struct reader *r, bool flex, bool nullable)
{
    struct str s =
        nullable ? reader_bytes_nullable(r, flex) : reader_bytes(r, flex);

    if (s.ptr == NULL || s.len > INT32_MAX) {
        return (struct wire_records){.bytes = -1};
    }
    return (struct wire_records){.ptr = (const uint8_t *)s.ptr,
                                 .bytes = (int32_t)s.len};
}

void *reader_array(struct reader *r, struct arena *arena,
                   struct reader_array array, int32_t *count)
{
    int64_t n = array.flex ? reader_compact_length(r) : reader_i32(r);
    size_t bytes;

    *count = 0;
    if (r->failed || n == 0) {
        return NULL;
    }
    if (n < 0) {
        if (!array.nullable) {
            reader_fail(r);
            return NULL;
        }
        *count = -1;
        return NULL;
    }
    if ((size_t)n > reader_left(r) / array.element_bytes_min) {
        reader_fail(r);
        return NULL;
    }
    bytes = (size_t)n * array.element_size;
    if (r->arena_bytes_max != 0 &&
        arena_used_bytes(arena) + bytes > r->arena_bytes_max) {
        reader_fail(r);
        return NULL;
    }
    *count = (int32_t)n;
    return arena_alloc(arena, bytes);
}

void *reader_struct(struct reader *r, struct arena *arena, size_t size)
{
    int8_t marker = reader_i8(r);

    if (r->failed || marker < 0) {
        return NULL;
    }
    return arena_alloc(arena, size);
}

struct reader_tag reader_tag_open(struct reader *r)
{
    struct reader_tag tag = {.tag = reader_uvarint(r), .end = r->end};
    uint32_t bytes = reader_uvarint(r);

    if (bytes > reader_left(r)) {
        reader_fail(r);
        bytes = 0;
    }
    tag.start = r->at;
    r->end = r->at + bytes;
    if (r->failed) {
        tag.tag = UINT32_MAX;
    }
    return tag;
}

void reader_tag_close(struct reader *r, const struct reader_tag *tag)
{
    if (r->at == tag->start) {
        r->at = r->end;
    }
    if (r->at != r->end) {
        r->failed = true;
    }
    r->end = tag->end;
    if (r->failed) {
        r->at = r->end;
    }
}

void reader_tags_skip(struct reader *r)
{
    for (uint32_t n = reader_uvarint(r); n > 0 && !r->failed; n--) {
        struct reader_tag tag = reader_tag_open(r);
        reader_tag_close(r, &tag);
    }
}
