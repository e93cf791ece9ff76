/* dump.h - looks at partitions on disk, without a log and without a change:
 * for "tidemark log dump" and "tidemark log check".
 *
 * Works on a folder that a broker is writing to as well: what lies above the
 * flushed point and is not whole is a tail, no problem. Blocks; any thread. */
#ifndef LOG_DUMP_H
#define LOG_DUMP_H

#include "run/file.h"
#include "wire/batch.h"

enum dump_kind {
    DUMP_PARTITION, /* a folder begins */
    DUMP_SEGMENT,   /* a .log begins */
    DUMP_BATCH,
    DUMP_RECORD,  /* only when asked for */
    DUMP_TAIL,    /* an unfinished write at the end: text */
    DUMP_PROBLEM, /* damage, or a file that contradicts another: text */
};

/* What is seen; all borrowed for the call. */
struct dump_event {
    enum dump_kind kind;
    const char *folder;    /* of the partition */
    const char *partition; /* the last part of folder: "orders-3" */
    const char *file;      /* "00000000000000000000.log"; NULL: the folder */
    uint64_t position;     /* in the file */
    int64_t offset;        /* of the batch or record; of a problem, -1: none */
    const struct batch_header *batch; /* DUMP_BATCH, DUMP_RECORD */
    const struct record *record;      /* DUMP_RECORD */
    int64_t timestamp;                /* of the record */
    const char *text;
};

struct dump_counts {
    uint64_t partitions;
    uint64_t segments;
    uint64_t batches;
    uint64_t records;
    uint64_t bytes;
    uint64_t tails;
    uint64_t problems;
};

struct dump_options {
    bool records; /* tell each */
    void (*each)(void *arg, const struct dump_event *event);
    void *arg;
};

/* path: a partition's folder, or one that holds such folders, or a data folder,
 * which has them in "log". Every CRC, record, index and state file is checked;
 * counts->problems says how many were wrong.
 * Errors: ERR_NOT_FOUND (no partition there), ERR_DISK. */
MUST_USE enum err dump_folder(struct disk *disk, const char *path,
                              const struct dump_options *options,
                              struct dump_counts *counts, struct why *why);

#endif
