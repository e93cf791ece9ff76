/* one_log.h - a log on a simulated disk and clock, and batches for it. */
#ifndef UNIT_LOG_ONE_LOG_H
#define UNIT_LOG_ONE_LOG_H

#include "base/arena.h"
#include "base/mem.h"
#include "lib/fixture.h"
#include "lib/simdisk.h"
#include "lib/simenv.h"
#include "log/log.h"
#include <stdio.h>

#define ONE_FOLDER "/log/orders-3"

struct one_log {
    struct simclock clock;
    struct simdisk *sim;
    struct disk *disk; /* the simulated one, or a fault in front of it */
    struct simenv *simenv;
    struct log_config config;
    struct log_producers *producers;
    struct log *log;
    struct log_recovery report;
    struct why why;
    struct arena arena;
    uint32_t failures; /* calls of options.failed */
    bool closed;
};

struct one_append {
    struct log_append append;
    struct one_log *one;
    enum err err;
    bool done;
};

static inline struct log_config one_config(void)
{
    return (struct log_config){.segment_bytes = 1 << 30,
                               .segment_ms = INT64_C(7) * 86400000,
                               .segment_index_bytes = 10 << 20,
                               .index_interval_bytes = 4096,
                               .retention_ms = -1,
                               .retention_bytes = -1,
                               .file_delete_delay_ms = 100,
                               .flush_messages = INT64_MAX,
                               .flush_ms = INT64_MAX,
                               .flush_commit = true,
                               .retain = true};
}

static inline void one_failed(void *arg, const struct why *why)
{
    struct one_log *one = arg;

    (void)why;
    one->failures++;
}

static inline void one_init(struct one_log *one, uint64_t seed)
{
    *one = (struct one_log){.config = one_config()};
    simclock_init(&one->clock, seed);
    one->clock.wall_start_ms = 1000000;
    one->sim = simdisk_open();
    one->disk = simdisk_disk(one->sim);
    assert_int_equal(disk_make_folder(one->disk, "/log", NULL), ERR_NONE);
    assert_int_equal(disk_sync_folder(one->disk, "/", NULL), ERR_NONE);
    one->simenv = simenv_open(&one->clock, one->disk);
    one->producers = log_producers_open(86400000);
}

static inline enum err one_try_open(struct one_log *one, bool clean)
{
    struct log_options options = {.folder = ONE_FOLDER,
                                  .topic = STR_LIT("orders"),
                                  .partition = 3,
                                  .topic_id = {{1, 2, 3}},
                                  .config = one->config,
                                  .producers = one->producers,
                                  .clean = clean,
                                  .failed = one_failed,
                                  .failed_arg = one};

    if (one->producers != NULL) {
        one->producers->reset(one->producers);
    }
    return log_open(simenv_env(one->simenv), &options, &one->log, &one->report,
                    &one->why);
}

static inline void one_open(struct one_log *one, bool clean)
{
    enum err err = one_try_open(one, clean);

    if (err) {
        fail_msg("%s: %s", err_name(err), one->why.text);
    }
}

static inline void one_closed(void *arg)
{
    ((struct one_log *)arg)->closed = true;
}

static inline void one_do_close(void *arg)
{
    struct one_log *one = arg;

    log_close(one->log, one_closed, one);
}

static inline void one_close(struct one_log *one)
{
    one->closed = false;
    simenv_run(one->simenv, one_do_close, one);
    assert_true(simclock_run_until_set(&one->clock, &one->closed, 100000));
    one->log = NULL;
}

/* The end of a test whose log is closed, or leaked by a crash. */
static inline void one_fini(struct one_log *one)
{
    log_producers_close(one->producers);
    simenv_close(one->simenv);
    simdisk_close(one->sim);
    simclock_fini(&one->clock);
    arena_reset(&one->arena);
}

/* Lets everything happen that is due now, not the timers of seconds to come. */
static inline void one_settle(struct one_log *one)
{
    simclock_run_for_ms(&one->clock, 100);
}

struct one_batch {
    int32_t count;
    int64_t timestamp;
    int64_t producer_id; /* 0: none */
    int16_t epoch;
    int32_t sequence;
    size_t value_bytes; /* of each record */
    char fill;
};

static inline struct str one_make(struct one_log *one, struct one_batch it)
{
    struct batch_options options = BATCH_OPTIONS;
    struct batch_builder builder;
    struct str value;
    struct str out;
    char *bytes = mem_alloc(it.value_bytes + 1);

    memset(bytes, it.fill == 0 ? 'v' : it.fill, it.value_bytes + 1);
    value = str_sub(bytes, it.value_bytes);
    if (it.producer_id > 0) {
        options.producer_id = it.producer_id;
        options.producer_epoch = it.epoch;
        options.base_sequence = it.sequence;
    }
    batch_builder_init(&builder, &one->arena, &options, 256);
    for (int32_t i = 0; i < it.count; i++) {
        struct batch_record record = {.timestamp = it.timestamp + i,
                                      .value = value};

        batch_builder_add(&builder, &record);
    }
    assert_int_equal(batch_builder_finish(&builder, &out), ERR_NONE);
    mem_free(bytes);
    return out;
}

static inline void one_append_done(struct log_append *append, enum err err)
{
    struct one_append *a = container_of(append, struct one_append, append);

    a->err = err;
    a->done = true;
}

static inline void one_do_append(void *arg)
{
    struct one_append *a = arg;

    log_append(a->one->log, &a->append);
}

static inline struct one_append *one_start(struct one_log *one,
                                           struct one_batch it)
{
    struct one_append *a = ARENA_NEW(&one->arena, struct one_append);
    struct str batch = one_make(one, it);

    *a = (struct one_append){
        .one = one,
        .append = {.batch = (uint8_t *)(uintptr_t)batch.ptr,
                   .bytes = (uint32_t)batch.len,
                   .leader_epoch = MAX(0, log_last_epoch(one->log)),
                   .from_client = it.producer_id > 0,
                   .done = one_append_done}};
    return a;
}

/* Appends in a turn of its own; not necessarily on disk. */
static inline struct one_append *one_append(struct one_log *one,
                                            struct one_batch it)
{
    struct one_append *a = one_start(one, it);

    simenv_run(one->simenv, one_do_append, a);
    return a;
}

/* Appends count records and waits for the disk. Gives the base offset. */
static inline int64_t one_put(struct one_log *one, struct one_batch it)
{
    struct one_append *a = one_append(one, it);

    assert_true(a->done);
    assert_int_equal(a->err, ERR_NONE);
    for (int i = 0;
         i < 100 && log_flushed_end(one->log) <= a->append.last_offset; i++) {
        one_settle(one);
    }
    assert_true(log_flushed_end(one->log) > a->append.last_offset);
    return a->append.base_offset;
}

static inline void one_do_show(void *arg)
{
    struct one_log *one = arg;

    log_set_visible_end(one->log, log_end_offset(one->log));
}

static inline void one_show(struct one_log *one)
{
    simenv_run(one->simenv, one_do_show, one);
}

/* Both halves of it. */
static inline enum err one_raise_start(struct one_log *one, int64_t offset)
{
    enum err err = log_store_start(one->log, offset, NULL);

    return err != ERR_NONE ? err : log_raise_start(one->log, offset, NULL);
}

/* The process dies; the disk keeps all that was written. */
static inline void one_kill(struct one_log *one)
{
    simenv_crash(one->simenv);
    log_abandon(one->log);
    one->log = NULL;
}

/* After one_kill(): the power went, and with it what no sync has saved of the
 * flushed point, which is then the one of the last second. */
static inline void one_forget_note(struct one_log *one)
{
    uint8_t none[64] = {0};
    struct iovec part = {none, sizeof(none)};
    struct file *file = NULL;

    assert_int_equal(file_open(one->disk, ONE_FOLDER "/flushed-point",
                               FILE_WRITE, &file, NULL),
                     ERR_NONE);
    assert_int_equal(file_write(file, 1024, &part, 1, NULL), ERR_NONE);
    file_close(file);
}

/* All bytes from offset on to the visible end, through log_read(). From mem_.
 */
static inline uint8_t *one_read(struct one_log *one, int64_t offset,
                                uint32_t chunk, size_t *bytes)
{
    uint8_t *all = mem_alloc(1);

    *bytes = 0;
    while (offset < log_visible_end(one->log)) {
        struct log_range range;
        struct batch_header h;
        size_t at = *bytes;
        enum err err = log_read(one->log, offset, chunk, true, &range);

        assert_int_equal(err, ERR_NONE);
        if (range.bytes == 0) {
            break;
        }
        all = mem_realloc(all, *bytes + range.bytes);
        assert_int_equal(log_range_read(&range, all + at, NULL), ERR_NONE);
        log_range_unpin(&range);
        while (batch_parse(all + at, *bytes + range.bytes - at, &h) ==
               ERR_NONE) {
            at += (uint32_t)h.bytes;
            offset = batch_last_offset(&h) + 1;
        }
        assert_true(at > *bytes);
        *bytes = at;
    }
    return all;
}

/* How many records there are from offset to the visible end; all of them whole
 * and with growing offsets. */
static inline int64_t one_count(struct one_log *one, int64_t offset,
                                uint32_t chunk)
{
    size_t bytes = 0;
    uint8_t *all = one_read(one, offset, chunk, &bytes);
    int64_t count = 0;
    int64_t next = -1;
    struct batch_header h;

    for (size_t at = 0; at < bytes; at += (uint32_t)h.bytes) {
        assert_int_equal(batch_parse(all + at, bytes - at, &h), ERR_NONE);
        assert_true(h.base_offset >= next);
        next = batch_last_offset(&h) + 1;
        count += h.record_count;
    }
    mem_free(all);
    return count;
}

/* The size of a file; -1: not there. */
static inline int64_t one_file_bytes(struct one_log *one, const char *name)
{
    char path[512];
    struct file *file = NULL;
    uint64_t bytes = 0;

    (void)snprintf(path, sizeof(path), ONE_FOLDER "/%s", name);
    if (file_open(one->disk, path, FILE_READ, &file, NULL)) {
        return -1;
    }
    assert_int_equal(file_size(file, &bytes, NULL), ERR_NONE);
    file_close(file);
    return (int64_t)bytes;
}

#endif
