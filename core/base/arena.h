/* arena.h - the lifetime of a request.
 *
 * Memory that is bumped from blocks and freed all at once. A cleanup hook ties
 * to it what is not memory: a pinned segment, a charge on a budget. Not shared
 * between threads; may move from one to another with its request. Zero is a
 * valid empty arena. */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include "base/budget.h"
#include "base/str.h"

struct arena_block;

struct arena_cleanup {
    void (*run)(struct arena_cleanup *cleanup);
    struct arena_cleanup *next; /* private */
};

struct arena {
    struct budget *budget; /* charged with every block; set while it is empty,
                              kept by a reset; NULL: none */
    struct arena_block *blocks; /* private from here on */
    uint8_t *at;
    uint8_t *end;
    struct arena_cleanup *cleanups;
    size_t used_bytes;
};

/* The caller's memory, used before any block is taken; not freed or charged.
 * arena: empty; a reset forgets it. */
void arena_lend(struct arena *arena, void *ptr, size_t bytes);
/* Zeroed, aligned for anything. bytes: 0 gives a valid pointer. */
void *arena_alloc(struct arena *arena, size_t bytes);
/* count elements of bytes each; aborts on overflow of the product. */
void *arena_array(struct arena *arena, size_t count, size_t bytes);
/* Not zeroed, not aligned: for bytes that are written at once. */
void *arena_raw(struct arena *arena, size_t bytes);
/* A NUL-terminated copy; null stays null. */
struct str arena_str(struct arena *arena, struct str s);
struct str arena_printf(struct arena *arena, const char *format, ...)
    PRINTF_LIKE(2, 3);
/* Runs at reset, newest first. cleanup: the caller's, often in this arena. */
void arena_on_reset(struct arena *arena, struct arena_cleanup *cleanup);
/* Bytes handed out since the last reset. */
size_t arena_used_bytes(const struct arena *arena);
/* Runs the hooks, frees everything, leaves a valid empty arena. */
void arena_reset(struct arena *arena);

#define ARENA_NEW(arena, type) ((type *)arena_alloc((arena), sizeof(type)))

#endif
