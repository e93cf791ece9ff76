/* wall_core.h - the clock that retention goes by: a wrong clock must not delete
 * data (design decision 22).
 *
 * The last time that was trusted, plus the monotonic time since, is what the
 * wall clock is expected to say. A wall clock that is behind is believed: it
 * deletes less. One that is ahead by more than an hour is believed when it
 * still is ten minutes after it was first seen; until then the expected time
 * counts. Pure. */
#ifndef CLUSTER_WALL_CORE_H
#define CLUSTER_WALL_CORE_H

#include "base/base.h"

enum { WALL_JUMP_MS = 3600000, WALL_SECOND_LOOK_MS = 600000 };

struct wall_core {
    int64_t trusted_ms;    /* since 1970 */
    int64_t trusted_at_ms; /* monotonic, when trusted_ms was */
    int64_t ahead_at_ms;   /* monotonic, when a jump was first seen */
    bool ahead;
};

/* trusted_ms: what was kept at the last run; 0: nothing, the wall clock is
 * believed. */
void wall_core_init(struct wall_core *core, int64_t trusted_ms, int64_t wall_ms,
                    int64_t now_ms);
/* Looks at both clocks; gives the time to go by. */
int64_t wall_core_look(struct wall_core *core, int64_t wall_ms, int64_t now_ms);

#endif
