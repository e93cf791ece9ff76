/* recover_core.h - what a log's recovery reads, believes, cuts and reports.
 *
 * Happy path: everything below the flushed point was on the disk before a crash
 * and is not read again. The segment that holds the point is read from its last
 * index entry on, later segments whole.
 *
 * 1. Below the point a bad batch is damage: it is reported and stepped over,
 *    nothing is cut.
 * 2. Above it the first bad batch ends the log: it and all that follows, later
 *    segments too, was never acknowledged and is moved to *.cut.
 * 3. A log that ends below the point has lost what was acknowledged: damage.
 *    It goes on at the point, so that no offset is given twice.
 *
 * Pure. Source: record-format 8; design decision 16. */
#ifndef LOG_RECOVER_CORE_H
#define LOG_RECOVER_CORE_H

#include "base/base.h"

struct recover_point {
    int64_t offset; /* -1: unknown: then nothing is known to be on disk */
    int64_t base;
    uint64_t position;
};

/* A segment as found. */
struct recover_segment {
    int64_t base;
    uint64_t bytes;
};

enum recover_index {
    RECOVER_INDEX_TRUST,   /* sealed and synced: a look at its size is enough */
    RECOVER_INDEX_CHECK,   /* keep what is sorted and below sure */
    RECOVER_INDEX_REBUILD, /* nothing of it counts */
};

/* What to do with a segment. Its .log is read from the last index entry that
 * counts, or not at all. */
struct recover_plan {
    enum recover_index index;
    bool read;        /* look at the batches */
    bool holds_point; /* up to position sure it ends at the point's offset */
    uint64_t sure;    /* below this position a bad batch is damage */
};

/* clean: the last stop was a clean one: the point's own segment is as it was
 * left if it ends there. */
void recover_plan(const struct recover_segment *segments, uint32_t count,
                  uint32_t at, const struct recover_point *point, bool clean,
                  struct recover_plan *out);

/* Whether an index that has these entries may belong to a sealed segment. */
bool recover_index_fits(uint64_t log_bytes, bool file_is_there,
                        uint32_t entries, uint64_t last_position);

enum recover_verdict {
    RECOVER_GOOD,
    RECOVER_DAMAGE, /* report, step over it */
    RECOVER_CUT,    /* the log ends here */
};

/* A batch at position of the segment. good: header and CRC are right, and what
 * lies around it leaves room for its offsets; expected: the lowest that may
 * come. */
struct recover_batch {
    uint64_t position;
    bool good;
    int64_t base_offset;
    int64_t last_offset;
};

/* What the batch is. expected: the lowest offset that may come. */
enum recover_verdict recover_judge(const struct recover_segment *segment,
                                   const struct recover_plan *plan,
                                   int64_t expected,
                                   const struct recover_batch *batch);

/* Whether the log may go on in the segment at, when the last batch below it
 * ends at last_end. (A hole at the end of a log is its next segment's.) */
bool recover_follows(const struct recover_segment *segments, uint32_t at,
                     const struct recover_point *point, int64_t last_end);

#endif
