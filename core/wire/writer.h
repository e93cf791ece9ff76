/* writer.h - writes Kafka's encodings into one contiguous block.
 *
 * The block lies in an arena and moves to one of twice the size when it is
 * full, so a pointer into it holds only until the next write. Record bytes that
 * lie in files (or in memory that is not to be copied) are left out: the
 * writer counts them and notes where they belong, and who sends the answer puts
 * block and splices together. Errors are sticky: `failed` stays true after a
 * text of more than 32,767 bytes or an output of more than INT32_MAX bytes.
 * Belongs to one thread.
 * Source: protocol guide, "Protocol Primitive Types"; KIP-482. */
#ifndef WIRE_WRITER_H
#define WIRE_WRITER_H

#include "wire/reader.h"

/* `bytes` bytes of `what` come before the byte at `position` of the block. */
struct writer_splice {
    size_t position;
    int32_t bytes;
    void *what;
    struct writer_splice *next;
};

struct writer {
    struct arena *arena;
    uint8_t *start;
    uint8_t *at;
    uint8_t *end; /* private from here on */
    struct writer_splice *splices;
    struct writer_splice *splices_last;
    size_t spliced_bytes;
    bool failed;
};

/* arena: borrowed; what is written lives as long as its memory. bytes: the
 * first block's size, a guess. */
void writer_init(struct writer *w, struct arena *arena, size_t bytes);

/* What is in the block, without the splices. */
static inline struct str writer_output(const struct writer *w)
{
    return str_sub(w->start, (size_t)(w->at - w->start));
}

/* Block and splices together. */
static inline size_t writer_total(const struct writer *w)
{
    return (size_t)(w->at - w->start) + w->spliced_bytes;
}

/* Makes room; use writer_take(). */
void writer_grow(struct writer *w, size_t bytes);

/* Room for that many bytes at the end, to be filled at once. */
static inline uint8_t *writer_take(struct writer *w, size_t bytes)
{
    uint8_t *at;

    if ((size_t)(w->end - w->at) < bytes) {
        writer_grow(w, bytes);
    }
    at = w->at;
    w->at += bytes;
    return at;
}

/* One byte. */
static inline void writer_u8(struct writer *w, uint8_t v)
{
    *writer_take(w, 1) = v;
}

/* INT8. */
static inline void writer_i8(struct writer *w, int8_t v)
{
    writer_u8(w, (uint8_t)v);
}

/* BOOLEAN: 0 or 1. */
static inline void writer_bool(struct writer *w, bool v)
{
    writer_u8(w, v ? 1 : 0);
}

/* UINT16. */
static inline void writer_u16(struct writer *w, uint16_t v)
{
    bytes_put_u16(writer_take(w, 2), v);
}

/* INT16. */
static inline void writer_i16(struct writer *w, int16_t v)
{
    bytes_put_i16(writer_take(w, 2), v);
}

/* UINT32. */
static inline void writer_u32(struct writer *w, uint32_t v)
{
    bytes_put_u32(writer_take(w, 4), v);
}

/* INT32. */
static inline void writer_i32(struct writer *w, int32_t v)
{
    bytes_put_i32(writer_take(w, 4), v);
}

/* INT64. */
static inline void writer_i64(struct writer *w, int64_t v)
{
    bytes_put_i64(writer_take(w, 8), v);
}

/* FLOAT64: IEEE 754, big-endian. */
void writer_f64(struct writer *w, double v);
/* UUID: 16 bytes. */
void writer_uuid(struct writer *w, struct uuid v);
/* Bytes as they are, without a length. */
void writer_raw(struct writer *w, const void *ptr, size_t bytes);

/* LEB128 of at most 64 bits. */
void writer_uvarlong(struct writer *w, uint64_t v);

/* UNSIGNED_VARINT. */
static inline void writer_uvarint(struct writer *w, uint32_t v)
{
    writer_uvarlong(w, v);
}

/* VARINT: zigzag, as records use it. */
static inline void writer_varint(struct writer *w, int32_t v)
{
    writer_uvarlong(w, ((uint32_t)v << 1) ^ (0 - ((uint32_t)v >> 31)));
}

/* VARLONG: zigzag. */
static inline void writer_varlong(struct writer *w, int64_t v)
{
    writer_uvarlong(w, ((uint64_t)v << 1) ^ (0 - ((uint64_t)v >> 63)));
}

/* STRING, or COMPACT_STRING where flex says so. nullable: whether this version
 * has a null here; without it null is written as empty. */
void writer_str(struct writer *w, bool flex, bool nullable, struct str s);
/* BYTES, or COMPACT_BYTES. */
void writer_bytes(struct writer *w, bool flex, bool nullable, struct str s);
/* RECORDS, or COMPACT_RECORDS: copied, or spliced (struct wire_records). */
void writer_records(struct writer *w, bool flex, bool nullable,
                    const struct wire_records *records);
/* The length of an array. Gives the number of elements that must follow: 0 for
 * null. */
int32_t writer_count(struct writer *w, bool flex, bool nullable, int32_t count);
/* The marker of a nullable struct; gives whether the struct follows. */
bool writer_struct(struct writer *w, const void *value);

/* Leaves out bytes that the sender will insert here. what: the caller's. */
void writer_splice(struct writer *w, int32_t bytes, void *what);

/* One tagged field: the value is written between open and close. Gives a
 * position for close. */
size_t writer_tag_open(struct writer *w, uint32_t tag);
/* position: what writer_tag_open() gave. */
void writer_tag_close(struct writer *w, size_t position);

/* The frame around all that the writer holds: open comes before every other
 * write and leaves room for the size, close fills it in, splices included.
 * Errors: ERR_TOO_LARGE (the writer failed, or the frame is over INT32_MAX). */
void writer_frame_open(struct writer *w);
MUST_USE enum err writer_frame_close(struct writer *w);

#endif
