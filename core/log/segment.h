/* segment.h - one .log file and its two indexes.
 *
 * Counted: the published list of segments holds one reference, so does whoever
 * works on it from a disk thread; the last one frees it and closes its files.
 * The owner of the log alone appends; readers see what segment->bytes says,
 * which is published after the write.
 *
 * Source: record-format 6. */
#ifndef LOG_SEGMENT_H
#define LOG_SEGMENT_H

#include "log/checked.h"
#include "log/index.h"
#include "wire/batch.h"

/* Bytes that are known to be bad, and the offsets that are lost with them. */
struct segment_damage {
    uint64_t position;
    uint64_t end_position;
    int64_t offset;
    int64_t end_offset;
};

struct segment_damages;

struct segment {
    struct disk *disk;
    const char *folder; /* borrowed from the log */
    int64_t base;
    struct lazy_file log;
    struct index offsets;
    struct index times;
    _Atomic uint64_t bytes;
    _Atomic int64_t max_timestamp;             /* -1: no batch has one */
    _Atomic int64_t max_timestamp_offset;      /* last offset of its batch */
    _Atomic(struct segment_damages *) damages; /* NULL: none known */
    struct checked *checked; /* NULL: all of it; set before readers know it */
    _Atomic int refs;
    /* The owner's: */
    int64_t first_timestamp;  /* of the first batch; -1: none */
    int64_t created_ms;       /* wall clock: for batches without timestamps */
    uint64_t unindexed_bytes; /* appended since the last index entry */
    bool dirty;               /* waits for the next sync: flush.c */
};

struct scan;
struct scan_batch;

/* Where a batch lies. */
struct segment_spot {
    uint64_t position;
    uint32_t bytes;
    int64_t base_offset;
    int64_t last_offset;
};

/* Makes an empty segment, one reference.
 * Errors: ERR_EXISTS (a file of that name has bytes), ERR_DISK, ERR_FULL. */
MUST_USE enum err segment_create(struct disk *disk, const char *folder,
                                 int64_t base, struct segment **out,
                                 struct why *why);
/* The one that is there, one reference; its indexes are not loaded yet. */
MUST_USE enum err segment_open(struct disk *disk, const char *folder,
                               int64_t base, struct segment **out,
                               struct why *why);
void segment_ref(struct segment *segment);
/* Any thread. segment: NULL is accepted. */
void segment_unref(struct segment *segment);

/* Any thread: the size of what was written. */
static inline uint64_t segment_bytes(const struct segment *segment)
{
    return atomic_load_explicit(&segment->bytes, memory_order_acquire);
}

/* Writes at the end; segment_note() publishes it batch by batch. */
MUST_USE enum err segment_write(struct segment *segment,
                                const struct iovec *parts, int count,
                                struct why *why);
/* One batch that was written at the end: indexes it when more than
 * interval_bytes have gone by, then lets readers see it. */
MUST_USE enum err segment_note(struct segment *segment,
                               const struct batch_header *batch,
                               int64_t interval_bytes, struct why *why);
/* No batch comes any more: the last time entry, the indexes' files. */
MUST_USE enum err segment_seal(struct segment *segment, struct why *why);
/* Before readers know the segment: it has no indexes, nor their files. */
MUST_USE enum err segment_forget_indexes(struct segment *segment,
                                         struct why *why);
/* Index entries that are in memory only go to their files. */
MUST_USE enum err segment_spill(struct segment *segment, struct why *why);
/* Any thread: what was written is on the disk. */
MUST_USE enum err segment_sync(struct segment *segment, bool indexes,
                               struct why *why);
/* Before readers know the segment, and before segment_activate(): cuts the
 * .log; the indexes are index_truncate()'s. */
MUST_USE enum err segment_truncate(struct segment *segment, uint64_t bytes,
                                   struct why *why);
/* After segment_write() found no room: what it left behind the end goes. The
 * file stays open, for readers and a sync may have it. */
MUST_USE enum err segment_take_back(struct segment *segment, struct why *why);
/* It will be written to; before readers know it. */
void segment_activate(struct segment *segment);

/* Recovery, before readers know the segment: max_timestamp as the time index
 * has it; the place of the next segment_note() or segment_skip(), which counts
 * a batch that is in the index; files that are not needed now are closed. */
void segment_load_times(struct segment *segment);
void segment_rewind(struct segment *segment, uint64_t position);
void segment_skip(struct segment *segment, const struct batch_header *batch);
void segment_rest(struct segment *segment);

/* Recovery, before readers know the segment: bytes in [from, to) were checked,
 * what was before this process began and lies elsewhere is to be. */
void segment_set_checked(struct segment *segment, uint64_t from, uint64_t to);
/* Any thread. Readers step over these bytes from now on; false: known. */
bool segment_add_damage(struct segment *segment,
                        const struct segment_damage *damage);
/* Any thread. Whether some damage may not be known, for want of a place: what
 * is looked at has to be looked at each time. */
bool segment_forgets_damage(const struct segment *segment);
/* Any thread. The first known damage at position or behind it, or that holds
 * offset; false: none. */
bool segment_damage_at(const struct segment *segment, uint64_t position,
                       struct segment_damage *out);
bool segment_damage_of(const struct segment *segment, int64_t offset);

/* Any thread. The first batch that ends at offset or above it, below position
 * limit.
 * Errors: ERR_NOT_FOUND (none), ERR_DAMAGED (the chain of headers breaks;
 *         spot->position is where), ERR_DISK. */
MUST_USE enum err segment_find(struct segment *segment, int64_t offset,
                               uint64_t limit, bool in_turn,
                               struct segment_spot *spot, struct why *why);

/* Owner. Where the batch ends that ends at position: the next offset; the
 * segment's base at position 0. Errors: ERR_DAMAGED, ERR_DISK. */
MUST_USE enum err segment_end_before(struct segment *segment, uint64_t position,
                                     int64_t *end_offset, struct why *why);

/* Any thread. How many of the bytes from position on, where a batch begins, are
 * worth reading: a batch that the end cuts off is left out when the index knows
 * it, as it does each that is larger than the index interval. */
uint64_t segment_trim(struct segment *segment, uint64_t position,
                      uint64_t bytes, bool in_turn);

/* Gives back the open .log: lazy_handle_unref(). */
MUST_USE enum err segment_take(struct segment *segment, bool in_turn,
                               struct lazy_handle **out, struct why *why);

/* Any thread. The next sound batch of a scan over the segment, in [*low, high):
 * damage is stepped over, known or not (and not noted). *low moves behind it.
 * The CRC is looked at where it never was.
 * Errors: ERR_NOT_FOUND (the end), ERR_DISK. */
MUST_USE enum err segment_scan_next(const struct segment *segment,
                                    struct scan *scan, int64_t *low,
                                    int64_t high, struct scan_batch *out,
                                    struct why *why);

#endif
