/* wall_core.c - trust, and when it is withheld. */
#include "cluster/wall_core.h"

void wall_core_init(struct wall_core *core, int64_t trusted_ms, int64_t wall_ms,
                    int64_t now_ms)
{
    *core =
        (struct wall_core){.trusted_ms = trusted_ms == 0 ? wall_ms : trusted_ms,
                           .trusted_at_ms = now_ms};
}

int64_t wall_core_look(struct wall_core *core, int64_t wall_ms, int64_t now_ms)
{
    int64_t expected_ms = core->trusted_ms + (now_ms - core->trusted_at_ms);

    if (wall_ms - expected_ms > WALL_JUMP_MS) {
        if (!core->ahead) {
            core->ahead = true;
            core->ahead_at_ms = now_ms;
        }
        if (now_ms - core->ahead_at_ms < WALL_SECOND_LOOK_MS) {
            return expected_ms;
        }
    }
    core->ahead = false;
    core->trusted_ms = wall_ms;
    core->trusted_at_ms = now_ms;
    return wall_ms;
}
