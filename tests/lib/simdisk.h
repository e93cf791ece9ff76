/* simdisk.h - a disk in memory that loses what was not synced.
 *
 * It has the operations of run/file.h, so the code under test is the real one.
 * What a crash may leave:
 *
 * - of the writes to a file since its last file_sync(): any, in sectors of 512
 *   bytes, in any order, so a write may be torn and holes read as zeros; what
 *   came after a truncation that was lost is lost too;
 * - of the names in a folder (made, renamed, removed) since its last
 *   disk_sync_folder(): the first n, whatever n is; a rename over an existing
 *   name leaves the old or the new one. A file_sync() of a new file does not
 *   save its name. A rename between two folders is on disk once either of them
 *   was synced.
 *
 * Paths are names only ("/node1/orders-0/0.log"); the folder "/" is there.
 * Any thread; one lock. */
#ifndef LIB_SIMDISK_H
#define LIB_SIMDISK_H

#include "run/file.h"

struct simdisk;

struct simdisk *simdisk_open(void);
/* All files must be closed, or have been opened before the last crash and be
 * closed too: handles outlive a crash, the disk outlives the handles. */
void simdisk_close(struct simdisk *sim);
struct disk *simdisk_disk(struct simdisk *sim);

/* The power goes: what was not synced is kept or lost as the seed says. Handles
 * that are open now answer ERR_DISK to everything from here on; close them. */
void simdisk_crash(struct simdisk *sim, uint64_t seed);
/* The worst and the best: all that was not synced is lost, or all is kept. */
void simdisk_crash_losing_all(struct simdisk *sim);
void simdisk_crash_keeping_all(struct simdisk *sim);

/* Writes that would use more than this answer ERR_FULL; UINT64_MAX at first. */
void simdisk_limit(struct simdisk *sim, uint64_t bytes);
uint64_t simdisk_used_bytes(struct simdisk *sim);
/* What files are stamped with from now on. */
void simdisk_wall_ms(struct simdisk *sim, int64_t wall_ms);
/* Turns the bits of mask in the byte at position, on the medium: bit rot. False
 * when there is no such file or byte. */
bool simdisk_rot(struct simdisk *sim, const char *path, uint64_t position,
                 uint8_t mask);
/* Syncs of files and folders since the start: for "how often". */
uint64_t simdisk_sync_count(struct simdisk *sim);

#endif
