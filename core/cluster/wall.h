/* wall.h - retention's clock for all loops, kept over restarts.
 *
 * Any loop may look; looks are rare (once a retention check), so a lock guards
 * it. What is trusted is kept in data/wall-clock, written at most once a
 * minute, by whoever looks. */
#ifndef CLUSTER_WALL_H
#define CLUSTER_WALL_H

#include "run/env.h"

struct wall;

/* Reads what was kept; a missing or unreadable file is nothing kept. */
struct wall *wall_open(struct env *env, const char *data_folder);
void wall_close(struct wall *wall);
/* env: of the loop that asks. Milliseconds since 1970. */
int64_t wall_look(struct wall *wall, struct env *env);

#endif
