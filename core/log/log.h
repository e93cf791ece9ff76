/* log.h - a partition on disk: the only door to core/log.
 *
 * Kafka's own files in one folder: segments (.log, .index, .timeindex),
 * .snapshot, leader-epoch-checkpoint, partition.metadata; beside them ours: the
 * flushed point, the log start and the five-deep producer state (log/README.md
 * has the bytes). A log does not know of copies, topics' settings or clients;
 * quorum/ keeps its entries in one as well.
 *
 * Threads: one loop owns a log and alone calls what changes it. What readers
 * need (segments, start, flushed end, visible end) is published, so log_read()
 * and the getters marked "any loop" run where the connection lives.
 *
 * A write or a sync that fails ends the process through options.failed: the
 * page cache can no longer be trusted. */
#ifndef LOG_LOG_H
#define LOG_LOG_H

#include "base/uuid.h"
#include "log/producers.h"
#include "run/env.h"
#include "run/watch.h"

struct log;

struct log_config {
    int64_t segment_bytes;
    int64_t segment_ms;
    int64_t segment_index_bytes;
    int64_t index_interval_bytes;
    int64_t retention_ms;    /* -1: for ever */
    int64_t retention_bytes; /* -1: any size */
    int64_t file_delete_delay_ms;
    int64_t flush_messages; /* async only: sync after so many records ... */
    int64_t flush_ms;       /* ... or so long; INT64_MAX: never by this */
    /* Batches from clients are refused when they would leave less than this
     * free on the volume (design decision 17); 0: no reserve. */
    int64_t reserve_bytes;
    bool flush_commit; /* true: group commit from each append on */
    bool retain;       /* cleanup.policy contains delete */
};

/* What recovery found; for the line that a broker prints at start. */
struct log_recovery {
    int64_t start_offset;
    int64_t end_offset;
    int64_t cut_from_offset; /* first offset of the torn tail; -1: none */
    uint64_t cut_bytes;      /* moved to *.cut */
    uint64_t scanned_bytes;  /* of .log files read */
    int64_t damaged_offset;  /* below the flushed point; -1: none. The first: */
    char damaged_file[64];   /* each one is traced with topic and file */
    uint64_t damaged_position;
    uint32_t damaged_count;
};

struct log_options {
    const char *folder; /* copied */
    struct str topic;   /* copied; for messages */
    int32_t partition;
    struct uuid topic_id; /* into partition.metadata; zero: no such file */
    int64_t start_offset; /* of a new log: 0, the quorum's 1 */
    struct log_config config;
    struct log_producers *producers; /* borrowed until close; NULL: none */
    bool clean;     /* the last stop was clean: trust the indexes */
    bool no_epochs; /* the owner knows them itself: no file of them is kept */
    /* A disk failure from which the log cannot go on: ends the process. */
    void (*failed)(void *arg, const struct why *why);
    void *failed_arg;
};

/* Opens the folder, made when absent, and recovers it. Blocks; on the owner
 * loop or before it runs.
 * The flushed end is the log's end then; the visible end is its start, until
 * log_set_visible_end().
 * A folder that belongs to another topic id, which a removal has left, is set
 * aside under the name <folder>.<its id>-stray, and a new one made.
 * report: filled in, also when nothing was wrong.
 * Errors: ERR_DISK, ERR_FULL, ERR_TOO_LARGE (path), ERR_EXISTS (it could not be
 *         set aside). */
MUST_USE enum err log_open(struct env *env, const struct log_options *options,
                           struct log **out, struct log_recovery *report,
                           struct why *why);

/* Syncs, writes the producers' snapshot, the flushed point and the start, and
 * frees the log; done runs when the disk is quiet. */
void log_close(struct log *log, void (*done)(void *arg), void *arg);

/* For a simulator, after simenv_crash(): frees the log, calls nobody, leaves
 * the disk as it is. Ranges must have been unpinned. */
void log_abandon(struct log *log);

/* Once readers have let go, renames the folder to <folder>.<uuid>-delete and
 * removes it; frees the log. done runs then, and only then the folder's name
 * may be used again. What a crash leaves behind, log_sweep() finds. */
void log_remove(struct log *log, void (*done)(void *arg), void *arg);
/* Removes what is named *-delete in the folder of all partitions; at start.
 * Blocks. Errors: ERR_DISK, ERR_NOT_FOUND (no such folder). */
MUST_USE enum err log_sweep(struct disk *disk, const char *folder,
                            struct why *why);

/* One batch of a client, of the quorum, of a leader. Caller's memory, in use
 * until done. */
struct log_append {
    uint8_t *batch; /* borrowed; base offset and leader epoch are written in */
    uint32_t bytes;
    int32_t leader_epoch; /* what the log has by then, if that is higher */
    bool from_client;     /* ask options.producers->check(), mind the reserve */
    bool as_given;        /* a follower's: offset and epoch stay as they are */
    void (*done)(struct log_append *append, enum err err);
    /* Out, valid from done on: */
    int64_t base_offset;
    int64_t last_offset;
    bool duplicate;   /* was there already; nothing was written */
    struct list node; /* private from here on */
    enum err err;
};

/* Appends a checked batch (wire/batch.h) at the log's end.
 *
 * Offsets are given at once, the write is one writev for all appends of this
 * turn, done comes after it. On disk once the flushed end passed last_offset;
 * for a duplicate that holds as well: wait for the same.
 * Errors (in done): what producers->check() refuses, ERR_RECORD_LIST_TOO_LARGE
 * (over segment_bytes), ERR_FULL (the disk is at its reserve, or full: nothing
 * was written), ERR_LIMIT (no descriptor for the next segment: nothing was
 * either), ERR_OFFSET_OUT_OF_RANGE (as_given, below the end), ERR_DISK,
 * ERR_CLOSED.
 * Source: KIP-98; record-format 5, 6. */
void log_append(struct log *log, struct log_append *append);

/* Reserved offsets (design 4, "Produce through a partitioner"): count offsets
 * from the log's end are set aside; appends that come later queue behind, until
 * the range is filled by log_fill() or given up by log_release() (a hole
 * stays). Gives the first offset. */
int64_t log_reserve(struct log *log, int64_t count);
/* append->batch becomes the batch at the reserved offset base; the counts must
 * agree. Ranges are filled in the order in which they were reserved. */
void log_fill(struct log *log, int64_t base, struct log_append *append);
void log_release(struct log *log, int64_t base);

/* Asks for a sync of everything written so far, whatever config.flush_commit
 * says; the flushed end tells when it is done. */
void log_flush(struct log *log);

/* Owner loop. The flushed end as a number to wait on. */
struct watch *log_flushed_watch(struct log *log);
/* Owner loop. Readers see offsets below it: the replica sets it to the high
 * watermark. Never above the end; a lower one than before is ignored (only
 * log_truncate() takes it back). */
void log_set_visible_end(struct log *log, int64_t offset);

/* Any loop. End: of what was written. */
int64_t log_end_offset(const struct log *log);
int64_t log_visible_end(const struct log *log);
int64_t log_flushed_end(const struct log *log);
int64_t log_start_offset(const struct log *log);

/* A stretch of one segment file that a reader may send. */
struct log_range {
    int fd; /* for sendfile(); -1 on a simulated disk: use log_range_read() */
    uint64_t position;
    uint32_t bytes;
    void *pin; /* keeps the file open: log_range_unpin() once, any loop */
};

/* Any loop, within one turn. The bytes from the batch that holds offset on, up
 * to the visible end: at most max_bytes, but with whole_first at least the
 * first batch whole. One range; a segment's end ends it. bytes 0: nothing
 * visible. Errors: ERR_OFFSET_OUT_OF_RANGE (below the start, above the visible
 * end), ERR_DAMAGED (the bytes there are known to be bad), ERR_DISK. Source:
 * record-format 6, "Fetch at offset o". */
MUST_USE enum err log_read(struct log *log, int64_t offset, uint32_t max_bytes,
                           bool whole_first, struct log_range *out);
/* How many bytes log_read() could give in all from offset on, at most limit;
 * cheap: for min_bytes. */
uint64_t log_readable_bytes(struct log *log, int64_t offset, uint64_t limit);
MUST_USE enum err log_range_read(const struct log_range *range, void *into,
                                 struct why *why);
void log_range_unpin(struct log_range *range);

/* A found offset; offset -1: none. */
struct log_found {
    int64_t offset;
    int64_t timestamp_ms;
    int32_t leader_epoch; /* -1: unknown */
};

/* Any thread; reads files. First record at or after timestamp_ms, below the
 * visible end. The log must not be closed meanwhile (hold a pin: log_pin()). */
MUST_USE enum err log_find_time(struct log *log, int64_t timestamp_ms,
                                struct log_found *out, struct why *why);
/* The same: the record with the largest timestamp. */
MUST_USE enum err log_find_max_timestamp(struct log *log, struct log_found *out,
                                         struct why *why);
/* Any loop. The log stays open until log_unpin(), though log_close() and
 * log_remove() may have been called. */
void log_pin(struct log *log);
void log_unpin(struct log *log);

/* Owner loop. A new leader epoch begins at the log's end. It is on disk before
 * a batch of it counts as flushed; an epoch without one need not be.
 * Errors: ERR_DISK (the log cannot go on). Source: KIP-101. */
MUST_USE enum err log_begin_epoch(struct log *log, int32_t leader_epoch,
                                  struct why *why);
/* Owner loop. The last epoch of the log; -1: none. */
int32_t log_last_epoch(const struct log *log);
/* Any loop. For OffsetForLeaderEpoch: the largest epoch <= leader_epoch and
 * where it ends; (-1, -1) when leader_epoch is above all.
 * Source: behaviours 8. */
void log_epoch_end(struct log *log, int32_t leader_epoch, int32_t *found_epoch,
                   int64_t *end_offset);
/* Any loop. The epoch that offset was written in; -1: unknown. */
int32_t log_epoch_of(struct log *log, int64_t offset);

/* Owner loop. Cuts everything from offset on; durable on return. */
MUST_USE enum err log_truncate(struct log *log, int64_t offset,
                               struct why *why);
/* Owner loop. Empties the log; it goes on at offset. */
MUST_USE enum err log_restart_at(struct log *log, int64_t offset,
                                 struct why *why);
/* The log start is raised in two halves, so that a loop need not wait. First,
 * while the log is open, from a disk thread: durable on return, and a crash
 * from here on has raised it. Below the start that is there: nothing is done.
 * Errors: ERR_OFFSET_OUT_OF_RANGE (above the visible end), ERR_DISK, ERR_FULL.
 */
MUST_USE enum err log_store_start(const struct log *log, int64_t offset,
                                  struct why *why);
/* Then, on the owner loop, with the same offset. Segments wholly below it are
 * deleted after file_delete_delay_ms. Errors: ERR_DISK, ERR_FULL. */
MUST_USE enum err log_raise_start(struct log *log, int64_t offset,
                                  struct why *why);
/* Owner loop. Retention by time and size; gives how long nothing will be due,
 * in ms (INT64_MAX: until something is appended; 0: there was more than one
 * turn takes). retention_wall_ms: the guarded clock (design decision 22). */
int64_t log_retain(struct log *log, int64_t retention_wall_ms);
void log_configure(struct log *log, const struct log_config *config);

/* All bytes of all segments. Owner loop. */
uint64_t log_bytes(const struct log *log);

/* The producer state of a partition: Kafka's rules, five batches deep. For
 * log_options.producers; outlives the log.
 * expiration_ms: producer.id.expiration.ms. */
struct log_producers *log_producers_open(int64_t expiration_ms);
void log_producers_close(struct log_producers *producers);

#endif
