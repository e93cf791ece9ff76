/* log_private.h - struct log, for the files that share the work on it:
 *
 *   log.c          open, close, what is small
 *   log_append.c   the queue, the write, the roll
 *   log_reserve.c  reservations
 *   log_recover.c  from files to a log
 *   log_folder.c   what its folder has
 *   log_rebuild.c  one segment, read again
 *   log_replay.c   the producers' state, from files and batches
 *   log_cut.c      truncation, the start, retention, removal of files
 *   log_read.c     ranges for readers
 *   log_find.c     searches by time
 *
 * Invariants (log_check()):
 * 1. start <= visible <= end <= next; flushed <= end.
 * 2. segments are sorted by base, the last one is active, and each begins
 *    where the one before it ended (but for damage).
 * 3. queue is sorted by offset; what is in it lies in [end, next). */
#ifndef LOG_LOG_PRIVATE_H
#define LOG_LOG_PRIVATE_H

#include "log/epochs_core.h"
#include "log/flush.h"
#include "log/log.h"
#include "log/scan.h"

/* Offsets that were set aside. Its append stands for it in the queue: batch is
 * NULL there. */
struct log_reservation {
    struct log_append stand_in;
    struct log_append *filled; /* borrowed until its done */
    int64_t count;
    bool released;
};

static inline struct log_append *log_append_of(struct list *node)
{
    return container_of(node, struct log_append, node);
}

/* NULL: it is a batch. */
static inline struct log_reservation *
log_reservation_of(struct log_append *append)
{
    return append->batch != NULL
               ? NULL
               : container_of(append, struct log_reservation, stand_in);
}

/* Segments on their way out: renamed, and after a while removed. */
struct log_doomed {
    struct list node;
    struct log *log;
    struct work work;
    struct env_timer timer;
    int64_t delay_ms;
    bool working;
    uint32_t count;
    int64_t bases[];
};

enum log_state { LOG_OPEN, LOG_CLOSING, LOG_FENCED };

struct log {
    struct env *env;
    char *folder;
    char *topic;
    struct log_config config;
    struct log_producers *producers; /* borrowed; may be NULL */
    void (*failed)(void *arg, const struct why *why);
    void *failed_arg;
    struct retire retire;
    struct view view;
    struct flush flush;
    struct small_files_point loaded; /* the point, at open */
    struct watch flushed_watch;
    struct epochs epochs;        /* changed by the owner, under the lock */
    pthread_mutex_t epochs_lock; /* for questions of others, ... */
    _Atomic int32_t last_epoch;  /* ... most of which are after this one */
    struct segment **segments;   /* one reference each */
    uint32_t segment_count;
    uint32_t segment_capacity;
    int32_t partition;
    enum log_state state;
    bool no_epochs;       /* see struct log_options */
    bool unchanged;       /* since it was opened after a clean stop */
    int64_t end_offset;   /* written */
    int64_t next_offset;  /* given */
    int64_t batches_end;  /* behind the last batch: holes may follow it */
    struct list queue;    /* log_append.node: not written yet */
    struct list answered; /* log_append.node: done() is due */
    struct env_task task;
    struct env_timer flush_timer; /* async: flush_ms */
    int64_t unflushed_records;    /* async: flush_messages */
    int64_t room_bytes;           /* may be appended before the disk is asked */
    int64_t room_until_ms;
    int64_t state_saved_ms; /* of producer-state, and how large it was */
    size_t state_bytes;
    struct list doomed;
    struct work remove_work;
    struct uuid removed_as;
    enum err remove_err;
    int remove_tries;
    struct env_timer close_timer;
    bool flush_timer_set;
    bool epochs_changed; /* and not yet handed to a flush */
    bool roll_failed;    /* and that was told */
    bool state_removed;  /* by the last log_replay(): wants a sync */
    bool removing;
    bool broken;
    _Atomic int pins;
    void (*closed)(void *arg);
    void *closed_arg;
};

/* The one that is written to. */
static inline struct segment *log_active(const struct log *log)
{
    return log->segments[log->segment_count - 1];
}

/* Where the segment at the place ends. */
static inline int64_t log_segment_end(const struct log *log, uint32_t at)
{
    return at + 1 < log->segment_count ? log->segments[at + 1]->base
                                       : log->end_offset;
}

/* The offset that the list's segment i ends below. */
static inline int64_t log_high(const struct view_list *list, uint32_t i,
                               struct view_mark visible)
{
    return i + 1 < list->count && list->segments[i]->base != visible.base
               ? MIN(list->segments[i + 1]->base, visible.offset)
               : visible.offset;
}

/* The end of what was written. */
struct view_mark log_end_mark(const struct log *log);
/* Moves it, for readers too. */
void log_set_end(struct log *log, int64_t offset);
/* The invariants, with must(). */
void log_check(const struct log *log);
/* The log cannot go on: tells options.failed, once. */
void log_fail(struct log *log, const struct why *why);
void log_push_segment(struct log *log, struct segment *segment);
void log_publish(struct log *log);
/* Changes of the epochs; give whether something changed. What is cut is saved
 * by the caller, what is assigned goes with the next flush. */
bool log_assign_epoch(struct log *log, int32_t epoch, int64_t offset);
bool log_cut_epochs(struct log *log, int64_t start, int64_t end);
MUST_USE enum err log_save_epochs(struct log *log, struct why *why);
/* An epoch is on the disk before a batch of it counts as flushed, and need not
 * be before: the next sync saves what has changed. With each write, for a sync
 * that was asked for before may be the one that takes it. */
void log_flush_epochs(struct log *log);
/* A scan of one of its files, with a look at the epochs. */
void log_scan_init(struct log *log, struct scan *scan,
                   const struct lazy_handle *handle, uint64_t from,
                   uint64_t end);
/* "orders-3", for messages. */
const char *log_name(const struct log *log, char text[300]);

/* Readers see offsets below it; also back. */
void log_show(struct log *log, int64_t offset);

/* log_append.c */
/* The batch takes its place in the log, at base. */
void log_place(struct log *log, struct log_append *append,
               struct batch_header *batch, int64_t base);
void log_append_init(struct log *log);
/* Everything that can be written is. */
void log_append_stop(struct log *log);
/* What is queued is answered with err, reservations are given up. */
void log_append_drop(struct log *log, enum err err);
/* After a simulated crash: nobody is answered. */
void log_append_abandon(struct log *log);
struct point_file *log_state_file(struct log *log, const char *name,
                                  int64_t offset, bool deep);
/* Errors: ERR_FULL, ERR_DISK: nothing has changed. */
MUST_USE enum err log_roll(struct log *log, struct why *why);

/* log_recover.c */
MUST_USE enum err log_recover(struct log *log,
                              const struct log_options *options,
                              struct log_recovery *report, struct why *why);
/* The segment of this base anew, cut at position, synced. */
MUST_USE enum err log_rebuild_cut_segment(struct log *log, int64_t base,
                                          uint64_t position,
                                          struct segment **out,
                                          struct why *why);
/* A stretch of a segment's bytes below the flushed point is bad. */
void log_report_damage(struct log *log, struct log_recovery *report,
                       const struct segment *segment, uint64_t position,
                       int64_t offset, const char *what);

/* log_replay.c: the producers know what the log holds below its end. Removes
 * stored state that is not from below the end. */
MUST_USE enum err log_replay(struct log *log, uint64_t *read_bytes,
                             struct why *why);

/* log_cut.c: removal timers are given up; the next start finds the files. */
void log_doomed_stop(struct log *log);

/* log.c: whether it may be freed now. */
void log_close_step(struct log *log);

#endif
