/* wire_messages.c - fuzzes every decoder.
 *
 * The first two bytes choose message and version, the rest is its body. What
 * decodes must encode, and what was encoded must come back byte for byte. */
#include "base/must.h"
#include "wire/wire_tables.h"

enum { ARENA_BYTES_MAX = 1 << 26 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static struct str encode(const struct wire_message *m, int16_t version,
                         const void *value, struct arena *arena)
{
    struct writer w;

    writer_init(&w, arena, 0);
    m->encode(&w, version, value);
    must(!w.failed);
    return writer_output(&w);
}

static enum err decode(const struct wire_message *m, int16_t version,
                       struct str in, struct arena *arena, void *out)
{
    struct reader r;

    reader_init(&r, in.ptr, in.len);
    r.arena_bytes_max = ARENA_BYTES_MAX;
    m->decode(&r, arena, version, out);
    return reader_finish(&r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    const struct wire_message *m;
    struct arena arena = {0};
    struct str first, second;
    int16_t version;
    void *value;

    if (bytes < 2) {
        return 0;
    }
    m = &wire_messages[data[0] % wire_messages_count];
    version = (int16_t)(m->versions.first +
                        data[1] % (m->versions.last - m->versions.first + 1));
    value = arena_alloc(&arena, m->top->size);
    if (decode(m, version, str_sub(data + 2, bytes - 2), &arena, value) ==
        ERR_NONE) {
        first = encode(m, version, value, &arena);
        must(decode(m, version, first, &arena, value) == ERR_NONE);
        second = encode(m, version, value, &arena);
        must(str_eq(first, second));
    }
    arena_reset(&arena);
    return 0;
}
