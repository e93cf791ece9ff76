/* entry_core.h - entries as records of a batch, to disk and back.
 *
 * A batch holds entries of one term with indexes that follow each other: base
 * offset = first index, leader epoch = term. Its CRC covers neither of the two,
 * so each record says them again, in its key:
 *
 *   0  1 version = 1     2  8 index, big-endian
 *   1  1 type           10  4 term, big-endian
 *
 * and the value is the payload. What does not agree with itself is damage.
 * Pure. */
#ifndef QUORUM_ENTRY_CORE_H
#define QUORUM_ENTRY_CORE_H

#include "base/arena.h"
#include "base/err.h"

enum entry_type {
    ENTRY_COMMAND = 1, /* the machine's */
    ENTRY_BARRIER = 2, /* nobody's: opens a term, or answers a read */
    ENTRY_CHANGE = 3,  /* a whole new membership (voters_core.h) */
};

enum {
    ENTRY_BATCH_BYTES = 61, /* of a batch beside its entries */
    ENTRY_BYTES = 36,       /* of an entry beside its payload, at most */
};

struct entry {
    int32_t term;
    enum entry_type type;
    struct str payload;
};

/* Entries that follow each other from first on. */
struct entry_run {
    uint64_t first;
    struct entry *entries;
    uint32_t count; /* > 0 */
};

/* The batch of a run, all of one term; it is the arena's, and the payloads of
 * the run are copied. The run's payloads point into the batch afterwards.
 * Errors: ERR_TOO_LARGE. */
MUST_USE enum err entry_batch_build(struct entry_run *run, int64_t timestamp_ms,
                                    struct arena *arena, struct str *batch);

/* Reads the batch at the front of bytes and checks all of it. Payloads lie in
 * the bytes, the array in the arena. *took: the bytes of the batch.
 * Errors: ERR_TORN (fewer bytes than the batch has), ERR_DAMAGED. */
MUST_USE enum err entry_batch_parse(struct str bytes, struct arena *arena,
                                    struct entry_run *run, size_t *took,
                                    struct why *why);

#endif
