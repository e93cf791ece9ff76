/* reserve.h - space on the data's volume that is really there: data/.reserve.
 *
 * A file that holds nothing. While the volume has room it keeps some of it from
 * everybody else; when the volume is full to the last byte it is removed, and
 * what a broker must write to start, to answer reads and to delete topics (the
 * quorum's entries, meta.db's WAL, torn tails, small files) has a place. It is
 * made again when there is room.
 *
 * The reserve that refuses what grows is another thing, a number:
 * folder_reserve_bytes(). That one keeps clients from filling the volume; this
 * one helps when somebody else does.
 *
 * Threads: reserve_open() and reserve_close() when no loop runs; the rest on
 * the loop of reserve_watch(). */
#ifndef BROKER_RESERVE_H
#define BROKER_RESERVE_H

#include "run/env.h"

struct reserve;

/* How large the file is: half of what folder_reserve_bytes() says, so that what
 * grows is refused still when it was given back; at most 8 MiB. */
uint64_t reserve_file_bytes(uint64_t reserve_bytes);

/* Looks at the volume: makes the file when so much would be left beside it as
 * reserve_bytes, removes it when the volume is full. Blocks. A volume that
 * cannot hold space ready (fallocate()) has no such file. The disk tells how
 * much is free, and is borrowed; the file itself is the system's. */
struct reserve *reserve_open(struct disk *disk, const char *folder,
                             uint64_t reserve_bytes);
/* Whether the file is there. */
bool reserve_is_held(const struct reserve *reserve);
/* From here on it is made again, on a disk thread, when there is room: looks
 * after some seconds, then less and less often, up to once a minute, as long as
 * it is not there. */
void reserve_watch(struct reserve *reserve, struct env *env);
/* Removes the file now; where it is not, nothing happens. */
void reserve_give(struct reserve *reserve);
void reserve_close(struct reserve *reserve);

#endif
