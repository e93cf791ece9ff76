/* log_rebuild.h - one segment, read again: for log_recover.c and log_cut.c.
 *
 * Carries out what recover_core.h decides, before readers know the segment.
 * Private to log/. */
#ifndef LOG_LOG_REBUILD_H
#define LOG_LOG_REBUILD_H

#include "log/log_private.h"
#include "log/names.h"
#include "log/recover_core.h"

/* A batch whose leader epoch is higher than those that the file lists: the file
 * is older than it, or the epoch is damaged. The batch behind it tells: epochs
 * never go back. */
struct log_rebuild_epoch {
    struct segment *segment; /* NULL: there is no such batch */
    uint64_t position;
    uint64_t end_position;
    int64_t offset;
    int64_t end_offset;
    int32_t epoch;
};

/* What goes on from segment to segment. */
struct log_rebuild {
    struct log *log;
    struct log_recovery *report;
    int64_t expected;    /* the lowest offset that may come */
    int64_t last_end;    /* of the last batch that was looked at */
    int64_t batches_end; /* of this segment's sure part; INT64_MAX: unknown */
    struct log_rebuild_epoch epoch;
    bool changed;        /* something is to be synced */
    bool epochs_changed; /* from what the file says */
    bool last_read;      /* the last segment was, not taken on trust */
    bool ended;          /* a cut: nothing of what follows stays */
};

/* A full disk keeps nothing from opening: what could not be written is made
 * again at the next start. Gives another err back as it is. */
MUST_USE enum err log_rebuild_full(struct log_rebuild *r, enum err err,
                                   const struct why *why);
/* The log ends at what is expected; something is to be cut behind it. */
void log_rebuild_end(struct log_rebuild *r);
/* <base>.cut, or <base>.1.cut and so on: what was cut before stays. */
void log_rebuild_cut_path(struct log_rebuild *r, int64_t base,
                          char path[NAMES_PATH_BYTES]);
/* Loads the indexes as planned; a sealed segment whose indexes cannot be
 * trusted is to be read after all: the plan is changed. */
MUST_USE enum err log_rebuild_indexes(struct log_rebuild *r,
                                      struct segment *segment,
                                      struct recover_plan *plan,
                                      struct why *why);
/* Reads the segment from its last index entry on; cuts, or reports. */
MUST_USE enum err log_rebuild_scan(struct log_rebuild *r,
                                   struct segment *segment,
                                   const struct recover_segment *found,
                                   const struct recover_plan *plan,
                                   struct why *why);
/* No batch follows: the last one's epoch is believed. */
void log_rebuild_last_epoch(struct log_rebuild *r);

#endif
