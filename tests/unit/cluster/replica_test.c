/* A replica: appends from any loop, the high watermark, who waits for it, and
 * its end while all of that goes on. Each test runs with one loop and with
 * four. */
#include "unit/cluster/loops_world.h"

#include "base/mem.h"
#include "base/trace.h"
#include "cluster/replica.h"
#include "cluster/wall.h"
#include "lib/fault.h"

static const unsigned loop_counts[] = {1, 4};

struct partition {
    struct loops_world world;
    struct wall *wall;
    struct replica *replica;
    struct log_recovery report;
    struct why why;
    char path[FIXTURE_PATH_BYTES + 32];
    unsigned owner; /* the last loop */
    bool flush_commit;
    bool removing;
    int32_t timeout_ms; /* of appends */
    _Atomic int failures;
    _Atomic int asked; /* appends that are on their way */
    int64_t segment_bytes;
};

static void partition_failed(void *arg, const struct why *why)
{
    atomic_fetch_add(&((struct partition *)arg)->failures, 1);
}

static void partition_do_open(struct errand *errand)
{
    struct partition *p = errand->arg;
    struct replica_options options = {
        .loops = p->world.loops,
        .loop = loop_current(),
        .folder = p->path,
        .topic = STR_LIT("orders"),
        .topic_id = {{1, 2, 3}},
        .partition = 3,
        .leader_epoch = 5,
        .config = {.segment_bytes = p->segment_bytes,
                   .segment_ms = INT64_C(7) * 86400000,
                   .segment_index_bytes = 10 << 20,
                   .index_interval_bytes = 4096,
                   .retention_ms = -1,
                   .retention_bytes = -1,
                   .file_delete_delay_ms = 100,
                   .flush_messages = INT64_MAX,
                   .flush_ms = INT64_MAX,
                   .flush_commit = p->flush_commit},
        .retention_check_ms = 300000,
        .wall = p->wall,
        .failed = partition_failed,
        .failed_arg = p};

    must(replica_open(&options, &p->replica, &p->report, &p->why) == ERR_NONE);
    errand_end(errand);
}

static void partition_open_wall(struct errand *errand)
{
    struct partition *p = errand->arg;

    p->wall = wall_open(loop_env(loop_current()), p->world.folder);
    errand_end(errand);
}

static void partition_open(struct partition *p, unsigned loops, bool commit)
{
    *p = (struct partition){.owner = loops - 1,
                            .flush_commit = commit,
                            .timeout_ms = 30000,
                            .segment_bytes = 1 << 30};
    loops_world_open(&p->world, loops);
    snprintf(p->path, sizeof(p->path), "%s/orders-3", p->world.folder);
    loops_world_do(&p->world, 0, partition_open_wall, p);
    loops_world_do(&p->world, p->owner, partition_do_open, p);
}

static void partition_do_close(struct errand *errand)
{
    struct partition *p = errand->arg;

    replica_close(p->replica, p->removing, errand_end, errand);
}

static void partition_close(struct partition *p)
{
    loops_world_do(&p->world, p->owner, partition_do_close, p);
    assert_int_equal(atomic_load(&p->failures), 0);
}

static void partition_fini(struct partition *p)
{
    wall_close(p->wall);
    loops_world_close(&p->world);
}

/* ---- appends ---- */

struct one_append {
    struct replica_append append;
    struct errand errand;
    struct partition *partition;
    unsigned from;          /* the loop that asks */
    int64_t high_watermark; /* when it was answered */
    struct arena arena;
};

static void append_done(struct replica_append *append)
{
    struct one_append *a = container_of(append, struct one_append, append);

    must(loop_index(loop_current()) == a->from);
    a->high_watermark = replica_high_watermark(a->partition->replica);
    errand_end(&a->errand);
}

static void append_run(struct errand *errand)
{
    struct one_append *a = errand->arg;
    struct partition *p = a->partition; /* a may be over when this returns */

    replica_append(&a->append);
    atomic_fetch_add(&p->asked, 1);
}

static void append_start(struct partition *p, struct one_append *a,
                         unsigned from, int16_t acks, int32_t sequence)
{
    struct str batch;

    *a = (struct one_append){.partition = p, .from = from};
    batch = loops_world_batch(&a->arena, 2, sequence);
    a->append =
        (struct replica_append){.replica = p->replica,
                                .batch = (uint8_t *)(uintptr_t)batch.ptr,
                                .bytes = (uint32_t)batch.len,
                                .acks = acks,
                                .timeout_ms = p->timeout_ms,
                                .done = append_done};
    errand_start(&p->world, from, &a->errand, append_run, a);
}

static void append_end(struct one_append *a)
{
    if (!errand_ends_within(&a->errand, 20)) {
        fail_msg("an append was never answered");
    }
    sem_destroy(&a->errand.ended);
    arena_reset(&a->arena);
}

static void an_append_is_answered_where_it_was_asked(void **state)
{
    for (size_t c = 0; c < ARRAY_COUNT(loop_counts); c++) {
        struct partition p;
        struct one_append a;
        int64_t next = 0;

        partition_open(&p, loop_counts[c], true);
        for (unsigned from = 0; from < loop_counts[c]; from++) {
            for (int16_t acks = -1; acks <= 1; acks++) {
                append_start(&p, &a, from, acks, -1);
                append_end(&a);
                assert_int_equal(a.append.err, ERR_NONE);
                assert_int_equal(a.append.base_offset, next);
                assert_int_equal(a.append.log_start_offset, 0);
                next += 2;
                /* What waits for the disk may be read when it is answered. */
                assert_true(acks == 0 || a.high_watermark >= next);
            }
        }
        partition_close(&p);
        partition_fini(&p);
    }
}

static void async_answers_when_it_is_written(void **state)
{
    for (size_t c = 0; c < ARRAY_COUNT(loop_counts); c++) {
        struct partition p;
        struct one_append a;

        partition_open(&p, loop_counts[c], false);
        append_start(&p, &a, 0, -1, -1);
        append_end(&a);
        assert_int_equal(a.append.err, ERR_NONE);
        assert_true(a.high_watermark >= 2);
        partition_close(&p);
        partition_fini(&p);
    }
}

static void a_batch_that_comes_again_has_its_old_offset(void **state)
{
    struct partition p;
    struct one_append a;

    partition_open(&p, 1, true);
    append_start(&p, &a, 0, -1, 0);
    append_end(&a);
    append_start(&p, &a, 0, -1, 2);
    append_end(&a);
    assert_int_equal(a.append.base_offset, 2);
    append_start(&p, &a, 0, -1, 0);
    append_end(&a);
    assert_int_equal(a.append.err, ERR_NONE);
    assert_int_equal(a.append.base_offset, 0);
    append_start(&p, &a, 0, -1, 9);
    append_end(&a);
    assert_int_equal(a.append.err, ERR_OUT_OF_ORDER_SEQUENCE_NUMBER);
    partition_close(&p);
    partition_fini(&p);
}

static void what_was_answered_is_there_after_a_restart(void **state)
{
    struct partition p;
    struct one_append a;

    partition_open(&p, 1, true);
    append_start(&p, &a, 0, 1, -1);
    append_end(&a);
    partition_close(&p);
    loops_world_do(&p.world, p.owner, partition_do_open, &p);
    assert_int_equal(p.report.end_offset, 2);
    assert_int_equal(replica_high_watermark(p.replica), 2);
    assert_int_equal(replica_leader_epoch(p.replica), 5);
    assert_int_equal(log_last_epoch(replica_log(p.replica)), 5);
    partition_close(&p);
    partition_fini(&p);
}

/* ---- waiting ---- */

struct one_waiter {
    struct replica_waiter waiter;
    struct errand errand;
    struct partition *partition;
    int64_t at_least;
    bool waits; /* what replica_wait() said first */
    bool cancelled;
    _Atomic int woken;
};

static void waiter_ask(struct one_waiter *w)
{
    w->waits = replica_wait(w->partition->replica, &w->waiter, w->at_least);
}

/* Woken for less: asks again, as a fetch does. */
static void waiter_wake(struct replica_waiter *waiter)
{
    struct one_waiter *w = container_of(waiter, struct one_waiter, waiter);

    atomic_fetch_add(&w->woken, 1);
    if (replica_is_open(w->partition->replica)) {
        waiter_ask(w);
        if (w->waits) {
            return;
        }
    }
    errand_end(&w->errand);
}

static void waiter_run(struct errand *errand)
{
    struct one_waiter *w = errand->arg;

    w->waiter.wake = waiter_wake;
    waiter_ask(w);
    if (!w->waits) {
        errand_end(errand);
    }
}

static void waiter_start(struct partition *p, struct one_waiter *w,
                         unsigned loop, int64_t at_least)
{
    *w = (struct one_waiter){.partition = p, .at_least = at_least};
    errand_start(&p->world, loop, &w->errand, waiter_run, w);
}

static void waiter_end(struct one_waiter *w)
{
    if (!errand_ends_within(&w->errand, 20)) {
        fail_msg("a waiter was never woken");
    }
    sem_destroy(&w->errand.ended);
}

static void who_waits_is_woken_by_the_high_watermark(void **state)
{
    for (size_t c = 0; c < ARRAY_COUNT(loop_counts); c++) {
        struct partition p;
        struct one_waiter waiters[4];
        struct one_append a;

        partition_open(&p, loop_counts[c], true);
        for (unsigned i = 0; i < loop_counts[c]; i++) {
            waiter_start(&p, &waiters[i], i, 1);
        }
        append_start(&p, &a, 0, 0, -1);
        append_end(&a);
        for (unsigned i = 0; i < loop_counts[c]; i++) {
            waiter_end(&waiters[i]);
        }
        waiter_start(&p, &waiters[0], 0, 2); /* it is there: no wait */
        waiter_end(&waiters[0]);
        assert_int_equal(atomic_load(&waiters[0].woken), 0);
        partition_close(&p);
        partition_fini(&p);
    }
}

static void waiter_cancel(struct errand *errand)
{
    struct one_waiter *w = errand->arg;

    replica_wait_cancel(&w->waiter);
    replica_wait_cancel(&w->waiter); /* twice is once */
    errand_end(errand);
}

static void who_has_cancelled_is_not_woken(void **state)
{
    for (size_t c = 0; c < ARRAY_COUNT(loop_counts); c++) {
        struct partition p;
        struct one_waiter stays, goes;
        struct one_append a;

        partition_open(&p, loop_counts[c], true);
        waiter_start(&p, &goes, 0, 1);
        waiter_start(&p, &stays, 0, 1);
        loops_world_do(&p.world, 0, waiter_cancel, &goes);
        append_start(&p, &a, 0, 0, -1);
        append_end(&a);
        waiter_end(&stays);
        assert_int_equal(atomic_load(&goes.woken), 0);
        sem_destroy(&goes.errand.ended);
        partition_close(&p);
        partition_fini(&p);
    }
}

/* No wake-up is lost: every append must reach every loop's waiter. */
static void appends_and_waiters_race_and_none_sleeps_on(void **state)
{
    struct partition p;
    struct one_waiter waiters[4];
    struct one_append a;

    partition_open(&p, 4, true);
    for (int64_t round = 0; round < 300; round++) {
        for (unsigned i = 0; i < 4; i++) {
            waiter_start(&p, &waiters[i], i, 2 * round + 2);
        }
        append_start(&p, &a, (unsigned)round % 4, 0, -1);
        for (unsigned i = 0; i < 4; i++) {
            waiter_end(&waiters[i]);
        }
        append_end(&a);
    }
    partition_close(&p);
    partition_fini(&p);
}

/* ---- the end ---- */

static void close_with_appends_and_waiters(unsigned loops, bool removing)
{
    struct partition p;
    struct one_waiter waiters[4];
    struct one_append appends[64];
    struct errand closing;

    partition_open(&p, loops, true);
    p.removing = removing;
    for (unsigned i = 0; i < loops; i++) {
        waiter_start(&p, &waiters[i], i, 1000000);
    }
    for (unsigned i = 0; i < ARRAY_COUNT(appends); i++) {
        append_start(&p, &appends[i], i % loops, -1, -1);
    }
    /* Nobody finds a replica that closes: what comes has been sent before. */
    while (atomic_load(&p.asked) < (int)ARRAY_COUNT(appends)) {
        usleep(20);
    }
    errand_start(&p.world, p.owner, &closing, partition_do_close, &p);
    for (unsigned i = 0; i < ARRAY_COUNT(appends); i++) {
        append_end(&appends[i]);
        assert_true(
            appends[i].append.err == ERR_NONE ||
            appends[i].append.err ==
                (removing ? ERR_UNKNOWN_TOPIC_OR_PARTITION : ERR_STOPPING));
    }
    for (unsigned i = 0; i < loops; i++) {
        waiter_end(&waiters[i]);
    }
    assert_true(errand_ends_within(&closing, 20));
    sem_destroy(&closing.ended);
    assert_int_equal(access(p.path, F_OK), removing ? -1 : 0);
    assert_int_equal(atomic_load(&p.failures), 0);
    partition_fini(&p);
}

static void a_stop_answers_who_appends_and_wakes_who_waits(void **state)
{
    for (int round = 0; round < 10; round++) {
        close_with_appends_and_waiters(1, false);
        close_with_appends_and_waiters(4, false);
    }
}

static void a_removal_answers_who_appends_and_wakes_who_waits(void **state)
{
    for (int round = 0; round < 10; round++) {
        close_with_appends_and_waiters(1, true);
        close_with_appends_and_waiters(4, true);
    }
}

/* ---- a disk that does not answer ---- */

static struct fault disk;
static struct disk_ops slow_ops;
static enum err (*true_sync)(struct file *file, struct why *why);
static _Atomic bool stuck;

static enum err slow_sync(struct file *file, struct why *why)
{
    while (atomic_load(&stuck)) {
        usleep(1000);
    }
    return true_sync(file, why);
}

static void use_slow_disk(struct errand *errand)
{
    fault_init(&disk, disk_real());
    slow_ops = *disk.disk.ops;
    true_sync = slow_ops.sync;
    slow_ops.sync = slow_sync;
    disk.disk.ops = &slow_ops;
    loop_env(loop_current())->disk = &disk.disk;
    errand_end(errand);
}

static void an_append_gives_up_a_disk_that_does_not_answer(void **state)
{
    for (size_t c = 0; c < ARRAY_COUNT(loop_counts); c++) {
        struct partition p;
        struct one_append patient, hasty;

        partition_open(&p, loop_counts[c], true);
        partition_close(&p);
        loops_world_do(&p.world, p.owner, use_slow_disk, NULL);
        loops_world_do(&p.world, p.owner, partition_do_open, &p);
        atomic_store(&stuck, true);
        append_start(&p, &patient, 0, -1, -1);
        p.timeout_ms = 1; /* a second, at least */
        append_start(&p, &hasty, 0, 1, -1);
        append_end(&hasty);
        assert_int_equal(hasty.append.err, ERR_REQUEST_TIMED_OUT);
        atomic_store(&stuck, false);
        append_end(&patient);
        assert_int_equal(patient.append.err, ERR_NONE);
        assert_true(patient.high_watermark >= 4); /* it was written */
        partition_close(&p);
        partition_fini(&p);
    }
}

static void a_sync_that_fails_is_told_and_answers_nobody(void **state)
{
    struct partition p;
    struct one_append a;

    partition_open(&p, 1, true);
    partition_close(&p);
    loops_world_do(&p.world, p.owner, use_slow_disk, NULL);
    loops_world_do(&p.world, p.owner, partition_do_open, &p);
    disk.kinds = FAULT_SYNC;
    disk.for_good = true;
    fault_arm(&disk, 1);
    append_start(&p, &a, 0, -1, -1);
    for (int i = 0; i < 2000 && atomic_load(&p.failures) == 0; i++) {
        usleep(5000);
    }
    assert_int_equal(atomic_load(&p.failures), 1);
    assert_int_equal(sem_trywait(&a.errand.ended), -1);
    assert_int_equal(replica_high_watermark(p.replica), 0);
    loops_world_do(&p.world, p.owner, partition_do_close, &p);
    append_end(&a);
    assert_int_equal(a.append.err, ERR_STOPPING);
    partition_fini(&p);
}

/* No descriptor for the next segment: to a client that is the disk, which it
 * asks again; nothing has failed. */
static void a_want_of_descriptors_is_the_disk_to_a_client(void **state)
{
    struct partition p;
    struct one_append a;

    partition_open(&p, 1, true);
    partition_close(&p);
    p.segment_bytes = 160; /* of one batch */
    loops_world_do(&p.world, p.owner, use_slow_disk, NULL);
    disk.kinds = FAULT_OPEN; /* before any disk thread reads them */
    disk.for_good = true;
    disk.err = ERR_LIMIT;
    loops_world_do(&p.world, p.owner, partition_do_open, &p);
    for (int32_t sequence = 0; sequence < 6; sequence += 2) {
        fault_arm(&disk, sequence > 0 ? 1 : 0);
        append_start(&p, &a, 0, -1, sequence);
        append_end(&a);
        assert_int_equal(a.append.err, sequence > 0 ? ERR_DISK : ERR_NONE);
        fault_arm(&disk, 0);
        append_start(&p, &a, 0, -1, sequence);
        append_end(&a);
        assert_int_equal(a.append.err, ERR_NONE);
    }
    partition_close(&p);
    partition_fini(&p);
}

static int quiet(void **state)
{
    trace_level_set(TRACE_ERROR);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_append_is_answered_where_it_was_asked),
        cmocka_unit_test(async_answers_when_it_is_written),
        cmocka_unit_test(a_batch_that_comes_again_has_its_old_offset),
        cmocka_unit_test(what_was_answered_is_there_after_a_restart),
        cmocka_unit_test(who_waits_is_woken_by_the_high_watermark),
        cmocka_unit_test(who_has_cancelled_is_not_woken),
        cmocka_unit_test(appends_and_waiters_race_and_none_sleeps_on),
        cmocka_unit_test(a_stop_answers_who_appends_and_wakes_who_waits),
        cmocka_unit_test(a_removal_answers_who_appends_and_wakes_who_waits),
        cmocka_unit_test(an_append_gives_up_a_disk_that_does_not_answer),
        cmocka_unit_test(a_sync_that_fails_is_told_and_answers_nobody),
        cmocka_unit_test(a_want_of_descriptors_is_the_disk_to_a_client),
    };

    return cmocka_run_group_tests(tests, quiet, NULL);
}
