/* folder.h - the data folder: one process at a time, and whether the last one
 * stopped cleanly. */
#ifndef BROKER_FOLDER_H
#define BROKER_FOLDER_H

#include "run/file.h"

struct folder;

/* Makes the folder when it is absent, so that its name survives a power cut,
 * and locks it.
 * clean_start: the run whose clean stop was marked; 0: none was.
 * Errors: ERR_IN_USE (why names the process), ERR_DENIED, ERR_DISK. */
MUST_USE enum err folder_open(const char *path, struct folder **out,
                              uint64_t *clean_start, struct why *why);
/* Another run has begun: the mark says nothing any more. */
void folder_take_mark(struct folder *folder);
/* Everything of this run is on disk: the next start may trust it. start: this
 * run's number, not 0. Errors: ERR_DISK, ERR_FULL. */
MUST_USE enum err folder_mark_clean(struct folder *folder, uint64_t start,
                                    struct why *why);
/* What is to stay free on its volume: 5 %, at most 256 MiB (design decision
 * 17); 0 where the system does not tell. */
uint64_t folder_reserve_bytes(const struct folder *folder);
void folder_close(struct folder *folder);

#endif
