/* index.h - a sparse sorted file of (key, value): offsets to positions, and
 * timestamps to offsets, alike.
 *
 *   .index      8 bytes: int32 offset - base, int32 position in the .log
 *   .timeindex 12 bytes: int64 timestamp, int32 offset - base
 *
 * Big endian. Keys only grow. The newest entries stay in a ring in memory and
 * are written half a ring at a time (they are no acknowledged data: recovery
 * makes them anew); a reader finds an entry in the file or in the ring and
 * looks again when the ring has moved on under it.
 *
 * Threads: one owner appends; floor and get: any. Source: record-format 6. */
#ifndef LOG_INDEX_H
#define LOG_INDEX_H

#include "log/lazy_file.h"

enum index_kind { INDEX_OFFSETS, INDEX_TIMES };

struct index_entry {
    int64_t key;   /* offset; timestamp */
    int64_t value; /* position; offset */
};

struct index_slot;

struct index {
    enum index_kind kind;
    int64_t base;
    struct lazy_file file;
    _Atomic uint32_t count;   /* entries there are */
    _Atomic uint32_t on_disk; /* of these in the file; the rest in the ring */
    _Atomic(struct index_slot *) ring; /* made at the first append */
    struct index_entry last;           /* owner; valid when count > 0 */
};

/* An empty index over a file that is not opened yet. folder: borrowed. */
void index_init(struct index *index, enum index_kind kind, struct disk *disk,
                const char *folder, int64_t base);
/* Entries that were not spilled are lost. */
void index_fini(struct index *index);

/* Counts the entries that the file has; a file that is not there has none.
 * Errors: ERR_CORRUPT (the size is no multiple of an entry's, or the last entry
 * is not above the first), ERR_DISK. */
MUST_USE enum err index_load(struct index *index, struct why *why);
/* Reads the whole file: the longest prefix of entries whose keys and values
 * grow, with values below limit (INDEX_OFFSETS: the size of the .log), is
 * kept, the rest cut off. */
MUST_USE enum err index_load_checked(struct index *index, int64_t limit,
                                     struct why *why);
/* Keeps the first count entries, all of which are in the file. Before readers
 * know the index. */
MUST_USE enum err index_truncate(struct index *index, uint32_t count,
                                 struct why *why);

/* There are no entries, and no file. Before readers know the index. */
MUST_USE enum err index_forget(struct index *index, struct why *why);

/* key: greater than the last one's. Writes to the file now and then.
 * Errors: ERR_DISK, ERR_FULL. */
MUST_USE enum err index_append(struct index *index, struct index_entry entry,
                               struct why *why);
/* Writes what is in the ring only; makes the file. */
MUST_USE enum err index_spill(struct index *index, struct why *why);
/* Any thread. What was spilled is on the disk; a file that is not open has
 * nothing to sync. */
MUST_USE enum err index_sync(struct index *index, struct why *why);

/* Any thread. */
static inline uint32_t index_count(const struct index *index)
{
    return atomic_load_explicit(&index->count, memory_order_acquire);
}

/* Whether some entries are in memory only. */
static inline bool index_is_ahead(const struct index *index)
{
    return index_count(index) !=
           atomic_load_explicit(&index->on_disk, memory_order_acquire);
}

/* Of one entry in the file. */
uint32_t index_entry_bytes(enum index_kind kind);
/* The entry at the place. Errors: ERR_NOT_FOUND (none there), ERR_DISK. */
MUST_USE enum err index_get(struct index *index, uint32_t at, bool in_turn,
                            struct index_entry *out, struct why *why);
/* The last entry with a key not above key; *found false: none. */
MUST_USE enum err index_floor(struct index *index, int64_t key, bool in_turn,
                              struct index_entry *out, bool *found,
                              struct why *why);
/* The last entry with a value not above value; *found false: none. */
MUST_USE enum err index_floor_value(struct index *index, int64_t value,
                                    bool in_turn, struct index_entry *out,
                                    bool *found, struct why *why);

#endif
