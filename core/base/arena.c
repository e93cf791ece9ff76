/* arena.c - blocks that double in size, bumped from, freed together.
 *
 * 1. The first pieces come from what was lent, where something was.
 * 2. arena_grow() takes a block of twice the size of the last one; a piece that
 *    is larger than that gets a block of its own size.
 * 3. arena_reset() runs the hooks, newest first, then frees every block.
 *
 * The rest of a block that is too short for the next piece is left unused.
 *
 * Invariants:
 * 1. at and end lie in the newest block, or in what was lent; at is NULL while
 *    there is neither.
 * 2. The budget is charged for every block, header included, and for nothing
 *    else. */
#include "base/arena.h"
#include "base/mem.h"
#include "base/must.h"

#include <stdarg.h>
#include <stdio.h>

enum {
    ARENA_BLOCK_BYTES_MIN = 1024, /* with its header: a fair malloc() */
    ARENA_BLOCK_BYTES_MAX = 64 * 1024,
    ARENA_ALIGN = _Alignof(max_align_t),
};

/* The arena's; the oldest is the last of the list. */
struct arena_block {
    struct arena_block *next; /* the one before it */
    size_t bytes;             /* of data */
    _Alignas(max_align_t) uint8_t data[];
};

/* A new block that has room for bytes; what is left of the last one is wasted.
 * */
static void arena_grow(struct arena *arena, size_t bytes)
{
    size_t total = ARENA_BLOCK_BYTES_MIN;
    struct arena_block *block;

    must(bytes <= SIZE_MAX / 2);
    if (arena->blocks != NULL) {
        total = MIN(2 * (arena->blocks->bytes + sizeof(*block)),
                    (size_t)ARENA_BLOCK_BYTES_MAX);
    }
    total = MAX(total, bytes + sizeof(*block));
    block = mem_alloc(total);
    if (arena->budget != NULL) {
        budget_charge(arena->budget, total);
    }
    block->next = arena->blocks;
    block->bytes = total - sizeof(*block);
    arena->blocks = block;
    arena->at = block->data;
    arena->end = block->data + block->bytes;
}

void arena_lend(struct arena *arena, void *ptr, size_t bytes)
{
    must(arena->at == NULL);
    arena->at = ptr;
    arena->end = arena->at + bytes;
}

void *arena_raw(struct arena *arena, size_t bytes)
{
    void *piece;

    if (arena->at == NULL || bytes > (size_t)(arena->end - arena->at)) {
        arena_grow(arena, bytes);
    }
    piece = arena->at;
    arena->at += bytes;
    arena->used_bytes += bytes;
    return piece;
}

void *arena_alloc(struct arena *arena, size_t bytes)
{
    size_t gap = (size_t)(-(uintptr_t)arena->at) % ARENA_ALIGN;
    void *piece;

    if (arena->at == NULL || gap > (size_t)(arena->end - arena->at) ||
        bytes > (size_t)(arena->end - arena->at) - gap) {
        arena_grow(arena, bytes);
        gap = 0;
    }
    arena->at += gap;
    piece = arena_raw(arena, bytes);
    return memset(piece, 0, bytes);
}

void *arena_array(struct arena *arena, size_t count, size_t bytes)
{
    size_t product;

    must(!__builtin_mul_overflow(count, bytes, &product));
    return arena_alloc(arena, product);
}

struct str arena_str(struct arena *arena, struct str s)
{
    char *copy;

    if (s.ptr == NULL) {
        return STR_NULL;
    }
    must(s.len < SIZE_MAX);
    copy = arena_raw(arena, s.len + 1);
    if (s.len > 0) {
        memcpy(copy, s.ptr, s.len);
    }
    copy[s.len] = '\0';
    return (struct str){copy, s.len};
}

struct str arena_printf(struct arena *arena, const char *format, ...)
{
    va_list args;
    char *text;
    int len;

    va_start(args, format);
    len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    must(len >= 0);
    text = arena_raw(arena, (size_t)len + 1);
    va_start(args, format);
    vsnprintf(text, (size_t)len + 1, format, args);
    va_end(args);
    return (struct str){text, (size_t)len};
}

void arena_on_reset(struct arena *arena, struct arena_cleanup *cleanup)
{
    must(cleanup->run != NULL);
    cleanup->next = arena->cleanups;
    arena->cleanups = cleanup;
}

size_t arena_used_bytes(const struct arena *arena)
{
    return arena->used_bytes;
}

/* A hook may live in the arena, and may free what holds it: next is read
 * first. It may also still allocate and add a hook. */
void arena_reset(struct arena *arena)
{
    struct arena_block *block;

    while (arena->cleanups != NULL) {
        struct arena_cleanup *cleanup = arena->cleanups;

        arena->cleanups = cleanup->next;
        cleanup->run(cleanup);
    }
    block = arena->blocks;
    *arena = (struct arena){.budget = arena->budget};
    while (block != NULL) {
        struct arena_block *next = block->next;

        if (arena->budget != NULL) {
            budget_give(arena->budget, block->bytes + sizeof(*block));
        }
        mem_free(block);
        block = next;
    }
}
