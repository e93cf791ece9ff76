/* recover_core.c - the rules, without a disk. */
#include "log/recover_core.h"

enum {
    /* A sealed segment without index entries up to here is unremarkable; no
     * batch is larger. */
    RECOVER_UNINDEXED_BYTES = 128 << 20,
};

/* The segment that the point is in: the one with its base, else, where a crash
 * came between two files, the last one not above its offset. */
static uint32_t recover_point_segment(const struct recover_segment *segments,
                                      uint32_t count,
                                      const struct recover_point *point)
{
    uint32_t at = 0;

    for (uint32_t i = 0; i < count; i++) {
        if (segments[i].base <= point->base) {
            at = i;
        }
    }
    return at;
}

void recover_plan(const struct recover_segment *segments, uint32_t count,
                  uint32_t at, const struct recover_point *point, bool clean,
                  struct recover_plan *out)
{
    uint32_t holds = recover_point_segment(segments, count, point);
    const struct recover_segment *segment = &segments[at];

    *out = (struct recover_plan){.index = RECOVER_INDEX_REBUILD, .read = true};
    if (point->offset < 0 || at > holds || segment->base > point->base) {
        return;
    }
    if (at < holds || segment->base != point->base) {
        /* The last of all is read for where it ends: the point's is missing. */
        out->index = RECOVER_INDEX_TRUST;
        out->read = at + 1 == count;
        out->sure = segment->bytes;
        return;
    }
    out->sure = point->position;
    out->holds_point = true;
    out->index = clean && segment->bytes == point->position
                     ? RECOVER_INDEX_TRUST
                     : RECOVER_INDEX_CHECK;
    out->read = out->index == RECOVER_INDEX_CHECK;
}

bool recover_index_fits(uint64_t log_bytes, bool file_is_there,
                        uint32_t entries, uint64_t last_position)
{
    if (!file_is_there) {
        return log_bytes == 0;
    }
    if (entries == 0) {
        return log_bytes <= RECOVER_UNINDEXED_BYTES;
    }
    return last_position < log_bytes &&
           log_bytes - last_position <= RECOVER_UNINDEXED_BYTES;
}

enum recover_verdict recover_judge(const struct recover_segment *segment,
                                   const struct recover_plan *plan,
                                   int64_t expected,
                                   const struct recover_batch *batch)
{
    if (batch->good && batch->base_offset >= expected &&
        batch->last_offset >= batch->base_offset &&
        batch->last_offset - segment->base <= INT32_MAX) {
        return RECOVER_GOOD;
    }
    return batch->position < plan->sure ? RECOVER_DAMAGE : RECOVER_CUT;
}

bool recover_follows(const struct recover_segment *segments, uint32_t at,
                     const struct recover_point *point, int64_t last_end)
{
    return (point->offset >= 0 && segments[at].base <= point->base) ||
           segments[at].base == last_end;
}
