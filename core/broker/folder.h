/* folder.h - the data folder: one process at a time, and whether the last one
 * stopped cleanly. */
#ifndef BROKER_FOLDER_H
#define BROKER_FOLDER_H

#include "run/file.h"

struct folder;

/* Makes the folder when it is absent, and locks it.
 * clean: whether the last stop was clean; from now on it is not, until
 *        folder_mark_clean().
 * Errors: ERR_IN_USE (why names the process), ERR_DENIED, ERR_DISK. */
MUST_USE enum err folder_open(const char *path, struct folder **out,
                              bool *clean, struct why *why);
/* Everything is on disk: the next start may trust it. */
MUST_USE enum err folder_mark_clean(struct folder *folder, struct why *why);
/* What is to stay free on its volume: 5 %, at most 256 MiB (design decision
 * 17); 0 where the system does not tell. */
uint64_t folder_reserve_bytes(const struct folder *folder);
void folder_close(struct folder *folder);

#endif
