/* units.h - sizes and durations as people write them: "256MiB", "7d".
 *
 * A whole number and a unit, blanks between them allowed, either case. Sizes:
 * B, KiB, MiB, GiB, TiB (1024), KB, MB, GB, TB (1000). Durations: ms, s, m, h,
 * d. */
#ifndef BASE_UNITS_H
#define BASE_UNITS_H

#include "base/arena.h"

/* A bare number is bytes. */
MUST_USE bool units_size(struct str text, int64_t *bytes);
/* A bare number is refused, but for 0. */
MUST_USE bool units_duration(struct str text, int64_t *ms);
/* A value for a name of Kafka's, such as "retention.ms" or "segment.bytes":
 * what the end of the name says it is, with a unit; false for all others. */
MUST_USE bool units_named(struct str name, struct str text, int64_t *out);

/* In the largest unit that leaves a whole number: "256MiB", "90s". */
const char *units_size_text(struct arena *arena, int64_t bytes);
const char *units_duration_text(struct arena *arena, int64_t ms);

#endif
