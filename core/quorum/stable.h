/* stable.h - the two small files beside the entries.
 *
 * `term` - what this node promised: written before anything is said or stored
 * under it. Two slots of 4096 bytes; the one with the higher number counts, the
 * next write goes to the other one. A slot has the same record twice, at 0 and
 * at 2048, of which one is enough:
 *
 *    0  4 "TQS1"                24  8 starts       40  8 vote
 *    4  4 CRC-32C, from 8 on    32  4 term         48  8 mark: index
 *    8  8 number of the write   36  4 mark: term
 *   16  8 node id
 *
 * The mark is an entry that was on disk when the slot was written: a log that
 * ends below it, compared by term first, has lost what this node vouched for.
 * `starts` counts the runs of the node; a run raises it before it changes
 * anything else.
 *
 * Why so. (1) A write is in place and of one size, into blocks that are there:
 * one sync, no name, and it needs no space on a full disk. (2) Power that goes
 * within a write tears the slot that does not count: what counted before counts
 * again, and nothing was said yet under the new one. A slot that a killed run
 * has written and not synced is found, and counts; the next write's sync
 * carries both then, and a third sync at such a start is spared: a copy lies
 * within one sector of 512 bytes, which is written or is not, so each slot is
 * what it was or what it is to be, and nothing was said yet under either. (3) A
 * slot that was written and rots does not look torn, which would be to forget a
 * vote: its second copy is there. Neither copy of either slot: the file is
 * damaged.
 *
 * Older folders have one record in the file, which is read, and replaced by the
 * next write:
 *
 *    0  4 "TQT1"      12  4 term   24  4 mark: term    36  4 CRC-32C of all
 *    4  8 node id     16  8 vote   28  8 mark: index         before
 *
 * `checkpoint` - up to where the machine is durable; below it the log may go.
 *
 *    0  4 "TQC1"      20  8 index of the last command at or below index
 *    4  4 CRC-32C     28  8 index of the membership in force
 *    8  8 index       36  4 its length, and its bytes (voters_core.h)
 *   16  4 term           4 count of runs, each: 8 first index, 4 term
 *
 * The CRC covers all from 8 on. The runs are the terms of the entries that the
 * log had from its first on, so that a start need not read them.
 *
 * Numbers are big-endian; the checkpoint is replaced whole. */
#ifndef QUORUM_STABLE_H
#define QUORUM_STABLE_H

#include "base/arena.h"
#include "run/file.h"

struct stable_term {
    uint64_t id;
    uint64_t starts; /* 0: an old file, which did not count them */
    int32_t term;
    uint64_t vote; /* 0: none in this term */
    int32_t mark_term;
    uint64_t mark_index;
};

/* Entries from first on, up to the next run, have this term. */
struct stable_run {
    uint64_t first;
    int32_t term;
};

struct stable_checkpoint {
    uint64_t index;
    int32_t term;
    uint64_t command_index;
    uint64_t voters_index;
    struct str voters;
    struct stable_run *runs;
    uint32_t run_count;
};

/* The file `term`, open between writes: the one that counts is never late for
 * want of a descriptor. Zero is valid. */
struct stable_slots {
    struct file *file; /* NULL: absent, or of an old version */
    uint64_t number;   /* of the last write; 0: none */
};

/* Durable on return.
 * Errors: ERR_DISK, ERR_FULL (only where the file is made). */
MUST_USE enum err stable_keep_term(struct disk *disk, const char *folder,
                                   struct stable_slots *slots,
                                   const struct stable_term *term,
                                   struct why *why);
/* Errors: ERR_DISK, ERR_FULL. */
MUST_USE enum err stable_keep_checkpoint(struct disk *disk, const char *folder,
                                         const struct stable_checkpoint *c,
                                         struct why *why);

/* Errors: ERR_NOT_FOUND (a first start, or none was taken), ERR_DAMAGED,
 *         ERR_DISK. */
MUST_USE enum err stable_load_term(struct disk *disk, const char *folder,
                                   struct stable_slots *slots,
                                   struct stable_term *out, struct why *why);
void stable_close_term(struct stable_slots *slots);
/* What out points to is the arena's. */
MUST_USE enum err stable_load_checkpoint(struct disk *disk, const char *folder,
                                         struct arena *arena,
                                         struct stable_checkpoint *out,
                                         struct why *why);

#endif
