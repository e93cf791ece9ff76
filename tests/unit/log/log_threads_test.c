/* log_threads_test.c - readers on other loops and threads, while the owner
 * appends, rolls and retains: real loops, a real disk, that may be full now and
 * then. */
#include "base/arena.h"
#include "base/mem.h"
#include "base/must.h"
#include "lib/fixture.h"
#include "log/log.h"
#include "log/segment.h"
#include "run/loop.h"
#include "run/mail.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

enum { READERS = 2, APPENDS = 3000, IN_FLIGHT = 8, FULL_EACH = 2 };

struct looker {
    struct mail mail;
    struct loop *loop;
    uint64_t random;
    uint64_t batches;
};

struct slot {
    struct log_append append;
    uint8_t *batch;
};

static struct {
    struct loops *loops;
    struct log *log;
    struct log_producers *producers;
    struct log_config config;
    char folder[FIXTURE_PATH_BYTES];
    struct looker readers[READERS];
    struct slot slots[IN_FLIGHT];
    struct arena arena;
    struct str batch;
    struct waiter waiter;
    struct mail ended;
    pthread_t searcher;
    uint64_t found;
    int writes; /* to a .log: the owner's alone */
    int refused;
    int appended;
    _Atomic bool stop;
    _Atomic int running;
} w;

static void must_not_fail(void *arg, const struct why *why)
{
    must(false);
}

/* ---- readers ---- */

static void end(struct mail *mail);

static void read_some(struct looker *r)
{
    int64_t start = log_start_offset(w.log);
    int64_t visible = log_visible_end(w.log);
    int64_t offset = start + (int64_t)(fixture_random(&r->random) %
                                       (uint64_t)(visible - start + 1));
    struct log_range range;
    struct batch_header h;
    uint8_t *bytes;
    enum err err =
        log_read(w.log, offset, (uint32_t)(fixture_random(&r->random) % 20000),
                 true, &range);

    must(err == ERR_NONE || err == ERR_OFFSET_OUT_OF_RANGE);
    if (err || range.bytes == 0) {
        return;
    }
    bytes = mem_alloc(range.bytes);
    err = log_range_read(&range, bytes, NULL);
    must(err == ERR_NONE);
    for (size_t at = 0;
         batch_parse(bytes + at, range.bytes - at, &h) == ERR_NONE;
         at += (uint32_t)h.bytes) {
        must(at > 0 ||
             (h.base_offset <= offset && batch_last_offset(&h) >= offset));
        must(batch_last_offset(&h) < log_visible_end(w.log));
        r->batches++;
    }
    log_range_unpin(&range);
    mem_free(bytes);
    (void)log_readable_bytes(w.log, offset, 1 << 20);
    (void)log_epoch_of(w.log, offset);
}

static void reader_turn(struct mail *mail)
{
    struct looker *r = container_of(mail, struct looker, mail);

    for (int i = 0; i < 20; i++) {
        read_some(r);
    }
    if (!atomic_load(&w.stop) || r->batches == 0) {
        mail_send(r->loop, &r->mail);
    } else if (atomic_fetch_sub(&w.running, 1) == 1) {
        mail_send(loops_at(w.loops, 0), &w.ended);
    }
}

static void *search(void *arg)
{
    uint64_t random = 5;

    while (!atomic_load(&w.stop) || w.found == 0) {
        struct log_found found;
        enum err err = log_find_time(
            w.log, 1000 + (int64_t)(fixture_random(&random) % APPENDS), &found,
            NULL);

        must(err == ERR_NONE);
        w.found += found.offset >= 0;
        err = log_find_max_timestamp(w.log, &found, NULL);
        must(err == ERR_NONE);
    }
    log_unpin(w.log);
    if (atomic_fetch_sub(&w.running, 1) == 1) {
        mail_send(loops_at(w.loops, 0), &w.ended);
    }
    return NULL;
}

/* ---- the owner ---- */

static void send(struct slot *slot);

static void sent(struct log_append *append, enum err err)
{
    must(err == ERR_NONE || err == ERR_FULL);
    if (err) {
        w.refused++;
        w.appended--;
    }
    if (w.appended < APPENDS) {
        send(container_of(append, struct slot, append));
    }
}

/* Each second write to a .log finds no room, half way. */
static enum err write_some(struct file *file, uint64_t position,
                           const struct iovec *parts, int count,
                           struct why *why)
{
    size_t n = strlen(file->path);
    struct iovec half = {parts[0].iov_base, parts[0].iov_len / 2};
    bool full = n > 4 && strcmp(file->path + n - 4, ".log") == 0 &&
                ++w.writes % FULL_EACH == 0;
    enum err err = disk_real()->ops->write(
        file, position, full ? &half : parts, full ? 1 : count, why);

    return err || !full ? err : why_set(why, ERR_FULL, "no room");
}

static void send(struct slot *slot)
{
    memcpy(slot->batch, w.batch.ptr, w.batch.len);
    batch_set_timestamps(slot->batch, true, 1000 + w.appended++);
    slot->append = (struct log_append){.batch = slot->batch,
                                       .bytes = (uint32_t)w.batch.len,
                                       .leader_epoch = w.appended / 500,
                                       .done = sent};
    log_append(w.log, &slot->append);
}

static void flushed(struct waiter *waiter)
{
    log_set_visible_end(w.log, log_flushed_end(w.log));
    (void)log_retain(w.log, 0);
    while (!watch_wait(log_flushed_watch(w.log), &w.waiter,
                       log_flushed_end(w.log) + 1)) {
    }
    if (log_flushed_end(w.log) >= APPENDS * 4) {
        watch_cancel(&w.waiter);
        atomic_store(&w.stop, true);
    }
}

static void closed(void *arg)
{
    loops_stop(w.loops);
}

static void end(struct mail *mail)
{
    log_close(w.log, closed, NULL);
}

static void start(void *arg)
{
    struct log_options options = {.folder = w.folder,
                                  .topic = STR_LIT("t"),
                                  .config = w.config,
                                  .producers = w.producers,
                                  .failed = must_not_fail};
    struct log_recovery report;
    struct env *env = loop_env(loops_at(w.loops, 0));
    enum err err;

    if (arg != NULL) {
        env->disk = arg;
    }
    err = log_open(env, &options, &w.log, &report, NULL);
    must(err == ERR_NONE);
    w.waiter.wake = flushed;
    must(watch_wait(log_flushed_watch(w.log), &w.waiter, 1));
    w.ended.deliver = end;
    atomic_store(&w.running, READERS + 1);
    for (int i = 0; i < READERS; i++) {
        struct looker *r = &w.readers[i];

        r->loop = loops_at(w.loops, (unsigned)(i + 1) % loops_count(w.loops));
        r->random = (uint64_t)i + 1;
        r->mail.deliver = reader_turn;
        mail_send(r->loop, &r->mail);
    }
    log_pin(w.log);
    must(pthread_create(&w.searcher, NULL, search, NULL) == 0);
    for (int i = 0; i < IN_FLIGHT; i++) {
        w.slots[i].batch = mem_alloc(w.batch.len);
        send(&w.slots[i]);
    }
}

static void make_batch(void)
{
    static char value[200];
    struct batch_options options = BATCH_OPTIONS;
    struct batch_builder builder;

    batch_builder_init(&builder, &w.arena, &options, 256);
    for (int i = 0; i < 4; i++) {
        struct batch_record record = {.timestamp = 1000,
                                      .value = str_sub(value, 200)};

        batch_builder_add(&builder, &record);
    }
    must(batch_builder_finish(&builder, &w.batch) == ERR_NONE);
}

/* disk: NULL: the real one. */
static void live(struct disk *disk)
{
    memset(&w, 0, sizeof(w));
    fixture_folder(w.folder);
    w.config = (struct log_config){.segment_bytes = 50000,
                                   .segment_ms = INT64_MAX / 4,
                                   .segment_index_bytes = 1 << 20,
                                   .index_interval_bytes = 1000,
                                   .retention_ms = -1,
                                   .retention_bytes = 200000,
                                   .file_delete_delay_ms = 1,
                                   .flush_messages = INT64_MAX,
                                   .flush_ms = INT64_MAX,
                                   .flush_commit = true,
                                   .retain = true};
    w.producers = log_producers_open(1000);
    make_batch();
    assert_int_equal(loops_open(READERS + 1, 2, &w.loops, NULL), ERR_NONE);
    loops_run(w.loops, start, disk);
    loops_close(w.loops);
    assert_int_equal(pthread_join(w.searcher, NULL), 0);
    for (int i = 0; i < READERS; i++) {
        assert_true(w.readers[i].batches > 0);
    }
    assert_true(w.found > 0);
    for (int i = 0; i < IN_FLIGHT; i++) {
        mem_free(w.slots[i].batch);
    }
    log_producers_close(w.producers);
    arena_reset(&w.arena);
    fixture_remove(w.folder);
}

static void log_is_read_from_everywhere_while_it_changes(void **state)
{
    live(NULL);
}

/* What a refused write left goes, and takes no open file from a reader or from
 * the sync that is under way. */
static void a_full_disk_beside_readers_takes_nothing_from_them(void **state)
{
    static struct disk_ops ops;
    static struct disk disk = {&ops};

    ops = *disk_real()->ops;
    ops.write = write_some;
    live(&disk);
    assert_true(w.refused > 0);
}

static _Atomic bool taken_enough;

static void *take(void *arg)
{
    while (!atomic_load(&taken_enough)) {
        for (int in_turn = 0; in_turn < 2; in_turn++) {
            struct lazy_handle *handle = NULL;

            must(!segment_take(arg, in_turn, &handle, NULL));
            must(handle->file->fd >= 0);
            lazy_handle_unref(handle);
        }
    }
    return NULL;
}

/* The same, without all else: the moment to be met is short. */
static void a_refused_write_closes_no_file_that_is_being_taken(void **state)
{
    struct segment *segment = NULL;
    pthread_t threads[4];

    fixture_folder(w.folder);
    atomic_store(&taken_enough, false);
    assert_int_equal(segment_create(disk_real(), w.folder, 0, &segment, NULL),
                     ERR_NONE);
    for (int i = 0; i < 4; i++) {
        must(pthread_create(&threads[i], NULL, take, segment) == 0);
    }
    for (int i = 0; i < 20000; i++) {
        assert_int_equal(segment_take_back(segment, NULL), ERR_NONE);
    }
    atomic_store(&taken_enough, true);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    segment_unref(segment);
    fixture_remove(w.folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(log_is_read_from_everywhere_while_it_changes),
        cmocka_unit_test(a_full_disk_beside_readers_takes_nothing_from_them),
        cmocka_unit_test(a_refused_write_closes_no_file_that_is_being_taken),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
