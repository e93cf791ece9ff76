/* point.h - the flushed point and the producers' state beside it, as disk
 * threads store them while the owner may cut the log.
 *
 * Each second the point is stored, synced. With each flush it is noted, which
 * costs a write to memory: the process may be killed, and the point is where
 * the flushed end was. When the power goes it may be a second older.
 *
 * A truncation makes void what jobs captured before it: each job says how many
 * truncations (cuts) it knows of, and when there were more, it stores nothing
 * that lies above them.
 *
 * Two locks. storing: whoever has it writes files, and waits for the disk; disk
 * threads take it, and the owner where it cuts, which blocks anyway. lock: what
 * is in memory, and what is written to memory; nobody waits for a sync with it,
 * so that a note passes by a point that is being stored.
 *
 * Invariants:
 * 1. What is stored is never above noted (point_write(), point_note()).
 * 2. Neither goes back but by a truncation, nor is above the flushed end.
 * 3. The owner's loop takes neither lock but to cut.
 * 4. The point that was synced last is never written over: the number moves on
 *    when the next one's sync has ended. */
#ifndef LOG_POINT_H
#define LOG_POINT_H

#include "log/small_files.h"
#include <pthread.h>
#include <stdatomic.h>

/* A file that is to be written: producers' state, the epochs. */
struct point_file {
    struct point_file *next; /* a list may be saved at once */
    char *path;              /* mem_, owned */
    char *bytes;             /* mem_, owned */
    size_t count;
    int64_t offset; /* it says nothing of what lies above */
    bool is_kafka;  /* as it is, without our header */
    bool is_synced; /* before it gets its name */
    bool is_needed; /* a full disk is an error */
};

struct point {
    struct disk *disk; /* private from here on */
    const char *folder;
    _Atomic uint32_t cuts;   /* the owner's; changes under both locks */
    pthread_mutex_t storing; /* before lock; guards these two: */
    int64_t cut_offset;   /* the lowest that jobs in flight may not know of */
    uint64_t synced;      /* number of the last point that was */
    pthread_mutex_t lock; /* guards the rest */
    uint64_t number;      /* of the last point that was written, ... */
    struct small_files_point noted; /* ... at least which was flushed */
    struct file *file; /* stays open while it is used; may be NULL */
    bool used;         /* since point_forget_idle() looked */
};

/* folder: borrowed. stored: as loaded. */
void point_init(struct point *point, struct disk *disk, const char *folder,
                const struct small_files_point *stored);
void point_fini(struct point *point);

/* Any thread; does not wait. The number of truncations so far. */
static inline uint32_t point_cuts(const struct point *point)
{
    return atomic_load_explicit(&point->cuts, memory_order_relaxed);
}

/* Any thread; blocks. Stores it, unless it is void; what was noted above it is
 * stored in its place. */
MUST_USE enum err point_store(struct point *point, uint32_t cuts,
                              const struct small_files_point *it,
                              struct why *why);
/* Any thread; writes to memory, whatever is being stored. Notes it, unless it
 * is void or lower. Errors: ERR_DISK. */
MUST_USE enum err point_note(struct point *point, uint32_t cuts,
                             const struct small_files_point *it,
                             struct why *why);
/* Any thread; blocks. Saves the files that are not void. A full disk is no
 * error but for those that are needed: without its file the producers' state is
 * replayed from the log. */
MUST_USE enum err point_save(struct point *point, uint32_t cuts,
                             const struct point_file *files, struct why *why);
/* Owner; blocks. Before bytes are cut off from it on: the point is it from now
 * on, unless it lies above the flushed end, that the owner knows of and that
 * was noted; *lowered: it is. in_flight: some job has been begun and has not
 * ended.
 */
MUST_USE enum err point_lower(struct point *point,
                              const struct small_files_point *it,
                              int64_t flushed_end, bool in_flight,
                              bool *lowered, struct why *why);

/* Owner; does not wait. Closes the file if nothing was stored since the last
 * call. */
void point_forget_idle(struct point *point);

/* Any thread; blocks. Errors: ERR_DISK, ERR_FULL. */
MUST_USE enum err point_file_save(struct disk *disk,
                                  const struct point_file *file,
                                  struct why *why);
/* Takes those out whose offset is above offset, frees them, gives the rest. */
struct point_file *point_files_cut(struct point_file *files, int64_t offset);
/* A whole list. files: NULL is accepted. */
void point_files_free(struct point_file *files);

#endif
