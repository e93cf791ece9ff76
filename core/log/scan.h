/* scan.h - reads a .log file batch by batch, with a look at every CRC.
 *
 * For recovery, checks and searches; any thread. Memory: one block, whatever
 * sizes the bytes claim. */
#ifndef LOG_SCAN_H
#define LOG_SCAN_H

#include "run/file.h"
#include "wire/batch.h"

struct scan {
    struct file *file; /* borrowed */
    uint64_t position; /* of the next batch */
    uint64_t end;      /* nothing is read from here on */
    bool headers_only; /* leaves out the CRC, and the leader epoch */
    /* The leader epoch of what is at offset, -1: unknown: it is not in the CRC
     * either. NULL: any will do. */
    int32_t (*epoch_of)(void *arg, int64_t offset);
    void *epoch_arg;
    uint64_t read_bytes; /* from the file, so far */
    uint8_t *block;      /* private from here on */
    size_t capacity;
    uint64_t block_at;
    size_t block_bytes;
};

/* One batch, and where it is. */
struct scan_batch {
    struct batch_header header;
    uint64_t position;
};

/* From position from, where a batch begins, to end. file: borrowed. */
void scan_init(struct scan *scan, struct file *file, uint64_t from,
               uint64_t end);
/* Frees the block. */
void scan_fini(struct scan *scan);

/* Whether the offsets of a parsed header can be (the CRC leaves them out). */
bool scan_has_offsets(const struct batch_header *h);

/* The batch at scan->position, which moves behind it.
 * Errors: ERR_NOT_FOUND (the end), ERR_TORN (the file ends inside the batch),
 *         ERR_CORRUPT (header, CRC or epoch; the position stays:
 *         scan_resync()), ERR_DISK. why says what is wrong. */
MUST_USE enum err scan_next(struct scan *scan, struct scan_batch *out,
                            struct why *why);
/* The same for a batch that lies in [low, high): its offsets are not in its
 * CRC. Where it begins above low there is a hole before it, which is believed
 * only if what comes behind it leaves room for it: else the batch's base offset
 * is wrong. Errors: as there; ERR_CORRUPT too for offsets that do not fit. */
MUST_USE enum err scan_next_in(struct scan *scan, int64_t low, int64_t high,
                               struct scan_batch *out, struct why *why);
/* The whole batch, into memory of the caller: out->header.bytes. */
MUST_USE enum err scan_load(struct scan *scan, const struct scan_batch *batch,
                            void *into, struct why *why);

/* Looks for the next good batch behind scan->position that lies in [low, high):
 * first where the damaged batch says that it ends, then at every byte. Moves
 * there.
 * Errors: ERR_NOT_FOUND (none before scan->end: moved to the end), ERR_DISK. */
MUST_USE enum err scan_resync(struct scan *scan, int64_t low, int64_t high,
                              struct why *why);

#endif
