/* epochs_core.h - which leader epoch wrote which offsets.
 *
 * A short ascending list of (epoch, first offset), kept as Kafka's
 * leader-epoch-checkpoint: "0", the count, then "epoch offset" a line. Pure.
 * Source: KIP-101, KIP-279; record-format 6. */
#ifndef LOG_EPOCHS_CORE_H
#define LOG_EPOCHS_CORE_H

#include "base/err.h"
#include "base/str.h"

struct epochs_entry {
    int64_t start_offset;
    int32_t epoch;
};

/* Zero is valid: nothing known. */
struct epochs {
    struct epochs_entry *entries; /* private from here on */
    uint32_t count;
    uint32_t capacity;
};

/* Leaves a valid empty list. */
void epochs_fini(struct epochs *epochs);

/* epoch begins at offset. An epoch that is not above the last one changes
 * nothing, unless that was to begin there: then it did not; entries at or above
 * offset, which no batch stands behind, go. Gives whether something changed:
 * save it. */
bool epochs_assign(struct epochs *epochs, int32_t epoch, int64_t offset);
/* The log ends at offset: entries from there on go. Gives whether any did. */
bool epochs_cut_end(struct epochs *epochs, int64_t offset);
/* The log starts at offset: what lies below becomes one entry there. */
bool epochs_cut_start(struct epochs *epochs, int64_t offset);

/* -1: none. */
int32_t epochs_last(const struct epochs *epochs);
/* Where the last one begins; -1: none. */
int64_t epochs_last_start(const struct epochs *epochs);
/* -1: unknown. */
int32_t epochs_of(const struct epochs *epochs, int64_t offset);

/* What a batch gets that a leader of this epoch appends at offset: epochs never
 * go back, whatever log a leader finds; what was reserved before an epoch began
 * is of the one before. */
int32_t epochs_for(const struct epochs *epochs, int64_t offset, int32_t epoch);

enum epochs_verdict {
    EPOCHS_FITS,  /* or nothing is known of its offset */
    EPOCHS_NEW,   /* the list may be older than the batch: epochs_assign() */
    EPOCHS_WRONG, /* no log has been written like that */
};

/* What a batch at offset says, epoch, is to a list that may be older or younger
 * than it: one that a crash left. Batches come in order. epoch -1: it says
 * nothing. */
enum epochs_verdict epochs_judge(const struct epochs *epochs, int64_t offset,
                                 int32_t epoch);
/* The largest epoch not above epoch, and where it ends; log_end for the last
 * one. (-1, -1) when epoch is above all or negative. */
void epochs_end(const struct epochs *epochs, int32_t epoch, int64_t log_end,
                int32_t *found_epoch, int64_t *end_offset);

/* From mem_. */
char *epochs_encode(const struct epochs *epochs, size_t *bytes);
/* Replaces what is there. Errors: ERR_CORRUPT (nothing changed). */
MUST_USE enum err epochs_decode(struct epochs *epochs, struct str text);

#endif
