/* retain_core.c - the rules of rolling and of retention. */
#include "log/retain_core.h"

#define RETAIN_FOR_EVER_MS (INT64_MAX / 4)

enum { RETAIN_INDEX_BYTES_MIN = 4096, RETAIN_AGE_MS_MIN = 1000 };

static bool retain_is_old(const struct retain_roll *roll)
{
    int64_t age_ms = roll->wall_ms - roll->created_ms;

    /* A clock that was set back says nothing. */
    if (age_ms >= 0 && age_ms < RETAIN_AGE_MS_MIN) {
        return false;
    }
    /* Neither is negative: the difference is in range. */
    if (roll->first_timestamp >= 0 && roll->batch_max_timestamp >= 0) {
        return roll->batch_max_timestamp - roll->first_timestamp >
               roll->segment_ms;
    }
    return roll->wall_ms - roll->created_ms > roll->segment_ms;
}

bool retain_must_roll(const struct retain_roll *roll)
{
    if (roll->batch_last_offset - roll->base > INT32_MAX) {
        return true;
    }
    if (roll->bytes == 0) {
        return false;
    }
    return roll->bytes + roll->batch_bytes > (uint64_t)roll->segment_bytes ||
           roll->index_bytes > (uint64_t)MAX(roll->segment_index_bytes,
                                             RETAIN_INDEX_BYTES_MIN) ||
           retain_is_old(roll);
}

/* By time: whether it goes now; else *next_ms is brought down to when. */
static bool retain_is_expired(const struct retain_segment *segment,
                              const struct retain_limits *limits,
                              int64_t wall_ms, int64_t *next_ms)
{
    int64_t oldest_ms; /* that stays */

    if (!limits->retain || limits->retention_ms < 0 ||
        limits->retention_ms > RETAIN_FOR_EVER_MS) {
        return false;
    }
    /* Times in batches may be any: what is added to them can overflow. */
    oldest_ms = wall_ms - limits->retention_ms;
    if (segment->max_timestamp < oldest_ms) {
        return true;
    }
    if (segment->max_timestamp <= RETAIN_FOR_EVER_MS) {
        *next_ms = MIN(*next_ms, segment->max_timestamp - oldest_ms + 1);
    }
    return false;
}

uint32_t retain_count(const struct retain_segment *segments, uint32_t count,
                      const struct retain_limits *limits, int64_t wall_ms,
                      int64_t *next_ms)
{
    uint64_t total = 0;
    uint32_t gone = 0;

    *next_ms = INT64_MAX;
    for (uint32_t i = 0; i < count; i++) {
        total += segments[i].bytes;
    }
    for (; gone < count; gone++) {
        const struct retain_segment *segment = &segments[gone];
        bool active = gone + 1 == count;
        bool below = segment->end_offset <= limits->start_offset && !active;
        bool large =
            !active && limits->retain && limits->retention_bytes >= 0 &&
            total - segment->bytes >= (uint64_t)limits->retention_bytes;

        if (segment->end_offset > limits->safe_end ||
            (active && segment->bytes == 0)) {
            break;
        }
        if (!below && !large &&
            !retain_is_expired(segment, limits, wall_ms, next_ms)) {
            break;
        }
        total -= segment->bytes;
    }
    return gone;
}
