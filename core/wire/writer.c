/* writer.c - growing the block, lengths, tags, splices.
 *
 * 1. writer_take() gives room at the end; writer_grow() moves all to a block of
 *    twice the size when there is none. The old one stays in the arena.
 * 2. A splice notes a position and a count: the bytes are put in by the sender.
 * 3. A tagged field is written behind a size of one byte; writer_tag_close()
 *    moves it when the size takes more.
 * 4. writer_frame_close() writes the size of all, splices included.
 *
 * Invariants:
 * 1. start <= at <= end.
 * 2. Splices are in the order of their positions, none behind at.
 * 3. Once failed, what is in the block means nothing: the frame cannot be
 *    closed. */
#include "wire/writer.h"

#include "base/must.h"

enum { BLOCK_BYTES_MIN = 64, STR_BYTES_MAX = 32767 };

void writer_init(struct writer *w, struct arena *arena, size_t bytes)
{
    size_t room = MAX(bytes, (size_t)BLOCK_BYTES_MIN);
    uint8_t *start = arena_raw(arena, room);

    *w = (struct writer){
        .arena = arena, .start = start, .at = start, .end = start + room};
}

void writer_grow(struct writer *w, size_t bytes)
{
    size_t used = (size_t)(w->at - w->start);
    size_t room = 2 * (size_t)(w->end - w->start);
    uint8_t *start;

    while (room < used + bytes) {
        room *= 2;
    }
    must(w->at <= w->end); /* invariant 1 */
    start = arena_raw(w->arena, room);
    memcpy(start, w->start, used);
    w->start = start;
    w->at = start + used;
    w->end = start + room;
}

void writer_f64(struct writer *w, double v)
{
    uint64_t bits;

    memcpy(&bits, &v, sizeof(bits));
    bytes_put_u64(writer_take(w, 8), bits);
}

void writer_uuid(struct writer *w, struct uuid v)
{
    memcpy(writer_take(w, sizeof(v.bytes)), v.bytes, sizeof(v.bytes));
}

void writer_raw(struct writer *w, const void *ptr, size_t bytes)
{
    if (bytes > 0) {
        must(ptr != NULL);
        memcpy(writer_take(w, bytes), ptr, bytes);
    }
}

void writer_uvarlong(struct writer *w, uint64_t v)
{
    while (v >= 0x80) {
        writer_u8(w, (uint8_t)(v | 0x80));
        v >>= 7;
    }
    writer_u8(w, (uint8_t)v);
}

void writer_str(struct writer *w, bool flex, bool nullable, struct str s)
{
    bool is_null = s.ptr == NULL && nullable;

    if (s.len > STR_BYTES_MAX) {
        w->failed = true;
        s.len = 0;
    }
    if (flex) {
        writer_uvarint(w, is_null ? 0 : (uint32_t)s.len + 1);
    } else {
        writer_i16(w, is_null ? -1 : (int16_t)s.len);
    }
    writer_raw(w, s.ptr, s.len);
}

/* The length of bytes or an array; -1 is null. */
static void writer_length(struct writer *w, bool flex, int32_t length)
{
    if (flex) {
        writer_uvarint(w, (uint32_t)(length + 1));
    } else {
        writer_i32(w, length);
    }
}

void writer_bytes(struct writer *w, bool flex, bool nullable, struct str s)
{
    if (s.len >= INT32_MAX) {
        w->failed = true;
        s.len = 0;
    }
    writer_length(w, flex, s.ptr == NULL && nullable ? -1 : (int32_t)s.len);
    writer_raw(w, s.ptr, s.len);
}

void writer_records(struct writer *w, bool flex, bool nullable,
                    const struct wire_records *records)
{
    int32_t bytes = records->bytes;

    if (bytes < 0) {
        writer_length(w, flex, nullable ? -1 : 0);
        return;
    }
    if (bytes == INT32_MAX) {
        w->failed = true;
        return;
    }
    writer_length(w, flex, bytes);
    if (records->splice != NULL) {
        writer_splice(w, bytes, records->splice);
    } else {
        writer_raw(w, records->ptr, (size_t)bytes);
    }
}

int32_t writer_count(struct writer *w, bool flex, bool nullable, int32_t count)
{
    if (count == INT32_MAX) {
        w->failed = true;
        count = 0;
    }
    writer_length(w, flex, count < 0 ? (nullable ? -1 : 0) : count);
    return MAX(count, 0);
}

bool writer_struct(struct writer *w, const void *value)
{
    writer_i8(w, value == NULL ? -1 : 1);
    return value != NULL;
}

void writer_splice(struct writer *w, int32_t bytes, void *what)
{
    struct writer_splice *splice;

    if (bytes <= 0) {
        return;
    }
    splice = ARENA_NEW(w->arena, struct writer_splice);
    splice->position = (size_t)(w->at - w->start);
    splice->bytes = bytes;
    splice->what = what;
    if (w->splices_last == NULL) {
        w->splices = splice;
    } else {
        w->splices_last->next = splice;
    }
    w->splices_last = splice;
    w->spliced_bytes += (size_t)bytes;
}

/* One byte is kept for the size; nearly all values fit. Larger ones move when
 * the size is known, because the size must be as short as can be. */
size_t writer_tag_open(struct writer *w, uint32_t tag)
{
    writer_uvarint(w, tag);
    writer_u8(w, 0);
    return (size_t)(w->at - w->start);
}

void writer_tag_close(struct writer *w, size_t position)
{
    size_t bytes = (size_t)(w->at - w->start) - position;
    size_t more = 0;
    uint8_t *size;

    for (size_t rest = bytes >> 7; rest > 0; rest >>= 7) {
        more++;
    }
    /* Nothing is spliced into a tagged field: it would move. */
    must(w->splices_last == NULL || w->splices_last->position < position);
    if (more > 0) {
        writer_take(w, more);
        memmove(w->start + position + more, w->start + position, bytes);
    }
    size = w->start + position - 1;
    for (; bytes >= 0x80; bytes >>= 7) {
        *size++ = (uint8_t)(bytes | 0x80);
    }
    *size = (uint8_t)bytes;
}

void writer_frame_open(struct writer *w)
{
    must(w->at == w->start);
    writer_take(w, 4);
}

enum err writer_frame_close(struct writer *w)
{
    size_t bytes = writer_total(w) - 4;

    if (w->failed || bytes > INT32_MAX) {
        return ERR_TOO_LARGE;
    }
    bytes_put_i32(w->start, (int32_t)bytes);
    return ERR_NONE;
}
