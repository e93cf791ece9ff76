/* tail.h - the end of the log, as the library believes it to be.
 *
 * Three things, all in memory: the newest entries with their payloads (those
 * that are not applied yet, and some for followers); the term of every entry
 * that the log holds, as runs; the memberships above the last checkpoint. What
 * is here may still be on its way to the disk, and what was cut here may still
 * be there: storage.c brings the disk after it.
 *
 * Belongs to one loop. Zero, then tail_init(). */
#ifndef QUORUM_TAIL_H
#define QUORUM_TAIL_H

#include "quorum/entry_core.h"
#include "quorum/stable.h"

/* Bytes that several entries lie in: a batch. Shared by reference. */
struct tail_block {
    uint32_t refs;
    struct arena arena;
};

/* With one reference, the caller's. */
struct tail_block *tail_block_new(void);
void tail_block_unref(struct tail_block *block);

/* A membership that is in the log. */
struct tail_change {
    uint64_t index;
    char *voters; /* own copy */
    size_t bytes;
};

struct tail_slot; /* an entry and its block */

struct tail {
    uint64_t first;  /* of the log */
    uint64_t last;   /* first - 1: empty */
    uint64_t cached; /* entries from here on have their payloads */
    uint64_t cached_bytes;
    struct tail_slot *slots; /* private from here on: a ring by index */
    size_t capacity;
    struct stable_run *runs;
    uint32_t run_count;
    uint32_t run_capacity;
    struct tail_change *changes;
    uint32_t change_count;
    uint32_t change_capacity;
};

/* An empty log that begins at first. */
void tail_init(struct tail *tail, uint64_t first);
void tail_fini(struct tail *tail);

/* The next entry: a share of block. block: NULL, the payload will not be asked
 * for; only when no entry with one is cached. */
void tail_put(struct tail *tail, const struct entry *entry,
              struct tail_block *block);
/* Takes over the runs of a checkpoint at index: entries up to it, of which
 * nothing but the term is known. The tail is empty. */
void tail_put_runs(struct tail *tail, const struct stable_run *runs,
                   uint32_t count, uint64_t index);
/* Forgets everything from index on. */
void tail_cut(struct tail *tail, uint64_t index);
/* The log begins at first from now on; first <= last + 1. */
void tail_cut_head(struct tail *tail, uint64_t first);
/* Drops payloads up to index, the oldest first, while more than keep_bytes
 * are cached. */
void tail_forget(struct tail *tail, uint64_t index, uint64_t keep_bytes);
/* Drops memberships up to index: a checkpoint holds the last of them. */
void tail_forget_changes(struct tail *tail, uint64_t index);

/* 0: not in the log. */
int32_t tail_term_of(const struct tail *tail, uint64_t index);
/* False when the payload is not cached. out: valid until the tail changes. */
bool tail_find(const struct tail *tail, uint64_t index, struct entry *out);
/* The last membership at or below index; NULL when it is not here. */
const struct tail_change *tail_change_at(const struct tail *tail,
                                         uint64_t index);
/* The first membership above index; NULL when there is none. */
const struct tail_change *tail_change_above(const struct tail *tail,
                                            uint64_t index);

#endif
