/* retain_core.h - when a log begins a new segment, and which may go.
 *
 * Pure. Source: record-format 6; KIP-32 for time by the batches' timestamps. */
#ifndef LOG_RETAIN_CORE_H
#define LOG_RETAIN_CORE_H

#include "base/base.h"

/* The active segment and the batch that comes. */
struct retain_roll {
    int64_t base;
    uint64_t bytes;
    int64_t first_timestamp; /* of the segment; -1: none */
    int64_t created_ms;
    uint64_t index_bytes; /* of the fuller index, the next entry included */
    uint64_t batch_bytes;
    int64_t batch_last_offset;
    int64_t batch_max_timestamp;
    int64_t wall_ms;
    int64_t segment_bytes;
    int64_t segment_ms;
    int64_t segment_index_bytes;
};

/* Whether the batch begins a new segment. What the settings ask for is honoured
 * down to an index of 4 KiB and an age of a second: Kafka's limits are lower,
 * and with them, or with the times in its batches, a client could make each
 * batch a segment of five files. */
bool retain_must_roll(const struct retain_roll *roll);

struct retain_segment {
    uint64_t bytes;
    int64_t end_offset;    /* one above its last */
    int64_t max_timestamp; /* of its batches, else of the file */
};

struct retain_limits {
    int64_t retention_ms;    /* -1: none */
    int64_t retention_bytes; /* -1: none */
    int64_t start_offset;    /* segments wholly below it go in any case */
    int64_t safe_end;        /* only segments that end at or below it go */
    bool retain;             /* cleanup.policy contains delete */
};

/* How many of the oldest segments go. The last one is the active one: it goes
 * too when its time has come and it has bytes. next_ms: how long nothing will
 * be due by time, INT64_MAX: until something is appended. */
uint32_t retain_count(const struct retain_segment *segments, uint32_t count,
                      const struct retain_limits *limits, int64_t wall_ms,
                      int64_t *next_ms);

#endif
