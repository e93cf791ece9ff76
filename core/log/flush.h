/* flush.h - group commit: one sync of a log in flight, no clock.
 *
 * Happy path:
 * 1. flush_wrote() for what was written; flush_now() where it shall be synced.
 * 2. If no sync is in flight, one begins: it captures the written end and the
 *    segments that are dirty. Appends go on meanwhile.
 * 3. When it ends, everything below the captured end is on the disk: advanced()
 *    is called, and the next sync begins if there was another flush_now().
 *
 * The flushed point and the producers' state are stored beside, each second and
 * each 64 MiB while they change: an idle log sets no timer. Each sync notes the
 * point that it makes (point.h). An end without
 * a batch before it (a hole) is on the disk once the point is stored there.
 *
 * A sync or a write of a point that fails calls failed(), once; from then on
 * nothing advances. Where it is for want of descriptors (ERR_LIMIT), or of
 * space for a file that is needed, it is done again, a little later; a point
 * that finds no space waits for the next one. Threads: the owner's loop; jobs
 * run on disk threads. */
#ifndef LOG_FLUSH_H
#define LOG_FLUSH_H

#include "log/point.h"
#include "log/view.h"

struct flush_calls {
    /* The flushed end has moved. */
    void (*advanced)(void *arg);
    /* A point is made: its segment's times into it. */
    void (*describe)(void *arg, struct small_files_point *point);
    /* One is to be stored: the indexes of its segment to their files. */
    void (*spill)(void *arg, int64_t base);
    /* The producers' state as of the offset, one file; or NULL. */
    struct point_file *(*state)(void *arg, int64_t offset);
    void (*failed)(void *arg, const struct why *why);
    /* Nothing is in flight any more. */
    void (*idle)(void *arg);
};

/* A segment to be synced, with a reference; its indexes too. */
struct flush_item {
    struct segment *segment;
    bool indexes;
};

struct flush_job {
    struct work work;
    uint32_t cuts;
    struct view_mark mark;
    struct flush_item *items;
    uint32_t item_count;
    struct point_file *files;
    struct small_files_point point; /* of the mark */
    bool stores_point;              /* when it ends in a hole */
    bool folder;
    bool parent;
    bool lacks_room; /* for a file that is needed */
    enum err err;
    struct why *why; /* mem_; NULL when all went well */
};

struct flush_point_job {
    struct work work;
    uint32_t cuts;
    struct small_files_point point;
    struct point_file *state; /* may be NULL */
    enum err err;
    struct why *why; /* mem_; NULL when all went well */
};

struct flush {
    struct env *env; /* private from here on */
    const char *folder;
    const struct flush_calls *calls;
    void *arg;
    struct view_mark written;
    struct view_mark flushed;
    struct point point;
    struct view_mark stored;  /* the point, as far as jobs have ended */
    struct flush_item *items; /* dirty; taken by the next sync */
    uint32_t item_count;
    uint32_t item_capacity;
    struct point_file *files;
    struct flush_job job;
    struct flush_point_job point_job;
    struct env_timer timer;
    struct env_timer retry; /* of the job, which is busy meanwhile */
    bool retries;           /* and that was told */
    bool ends_in_hole;      /* written does */
    bool folder_dirty;
    bool parent_dirty;
    bool wanted;
    bool busy;
    bool point_busy;
    bool point_due;
    bool point_waits; /* its job, which is busy meanwhile, for the timer */
    bool timer_set;
    bool closing;
    bool unsealed; /* and its indexes are not complete */
    bool broken;
};

struct flush_options {
    struct env *env;
    const char *folder;              /* borrowed */
    const struct flush_calls *calls; /* borrowed */
    void *arg;
    uint64_t key;                   /* of the jobs on disk threads; even */
    struct view_mark mark;          /* all below it is on the disk */
    struct small_files_point point; /* as stored */
};

/* Nothing is pending. options: borrowed for the call; what they point to, for
 * life. */
void flush_init(struct flush *flush, const struct flush_options *options);
/* Must be idle. */
void flush_fini(struct flush *flush);

/* Bytes up to mark were written; the last ones to this segment. */
void flush_wrote(struct flush *flush, struct segment *segment,
                 struct view_mark mark);
/* The end moved on without bytes: is_hole, or to a new segment. */
void flush_moved(struct flush *flush, struct view_mark mark, bool is_hole);
/* Names in the folder have changed, or its own is new: they are synced too. */
void flush_renamed(struct flush *flush);
void flush_created(struct flush *flush);
/* The segment's indexes are complete: synced with it, and the point stored. */
void flush_sealed(struct flush *flush, struct segment *segment);
/* Takes file, which may be NULL: saved once what was written is on the disk. */
void flush_file(struct flush *flush, struct point_file *file);
/* All that was written so far shall be on the disk. */
void flush_now(struct flush *flush);
/* Stores the point now, if it is behind. */
void flush_point_now(struct flush *flush);
/* Before bytes are cut off: mark becomes the stored point, unless it lies above
 * the flushed end, as the point never does; jobs in flight store nothing above
 * it any more. Blocks. */
MUST_USE enum err flush_lower(struct flush *flush, struct view_mark mark,
                              struct why *why);
/* The log ends at mark now; what is in flight counts up to it. */
void flush_cut(struct flush *flush, struct view_mark mark);
/* Whether nothing is to be synced. */
bool flush_is_clean(const struct flush *flush);
bool flush_is_idle(const struct flush *flush);
/* The log closes: what finds no room is given up, the point too, and nothing
 * advances then.
 * sealed: the indexes at its end are complete; else the point says that they
 * are not. */
void flush_close(struct flush *flush, bool sealed);
/* Forgets the timer and what was asked for and not begun. */
void flush_stop(struct flush *flush);
/* After a simulated crash: what jobs held is freed; flush_fini() follows. */
void flush_abandon(struct flush *flush);

#endif
