/* log_epochs_test.c - the leader epoch of a batch is in no CRC: the list of
 * epochs says what it must be, and what may be believed of a batch where the
 * list is older, or younger, than it. */
#include "base/must.h"
#include "log/log_private.h"
#include "unit/log/one_log.h"

#define LOG_0 ONE_FOLDER "/00000000000000000000.log"
#define LIST  ONE_FOLDER "/leader-epoch-checkpoint"

enum { EPOCH_AT = 12 };

static void begin(struct one_log *one, int32_t epoch)
{
    assert_int_equal(log_begin_epoch(one->log, epoch, NULL), ERR_NONE);
}

static int64_t put(struct one_log *one)
{
    return one_put(one, (struct one_batch){.count = 1});
}

/* The size of each batch that put() makes. */
static uint64_t each(struct one_log *one)
{
    return (uint64_t)one_file_bytes(one, "00000000000000000000.log") /
           (uint64_t)log_end_offset(one->log);
}

static enum err read_at(struct one_log *one, int64_t offset)
{
    struct log_range range;
    enum err err = log_read(one->log, offset, 1, true, &range);

    if (err == ERR_NONE) {
        log_range_unpin(&range);
    }
    return err;
}

static char *load(struct one_log *one, size_t *bytes)
{
    char *text = NULL;

    assert_int_equal(disk_read_all(one->disk, LIST, 1000, &text, bytes, NULL),
                     ERR_NONE);
    return text;
}

static void store(struct one_log *one, const char *text, size_t bytes)
{
    assert_int_equal(disk_replace(one->disk, LIST, text, bytes, NULL),
                     ERR_NONE);
}

/* Ten batches of epoch 1; the point is stored behind the first count. */
static void ten(struct one_log *one, uint64_t seed, int count)
{
    one_init(one, seed);
    one_open(one, false);
    begin(one, 1);
    for (int i = 0; i < 10; i++) {
        (void)put(one);
        if (i + 1 == count) {
            simclock_run_for_ms(&one->clock, 3000);
        }
    }
}

/* Above the point all is read, and the list may be older than it. */
static void log_takes_no_epoch_from_a_damaged_batch(void **state)
{
    for (uint64_t bad = 2; bad < 10; bad++) {
        for (uint64_t byte = 0; byte < 4; byte++) {
            struct one_log one;
            uint64_t bytes;

            ten(&one, 1, 2);
            bytes = each(&one);
            one_kill(&one);
            one_forget_note(&one);
            assert_true(simdisk_rot(one.sim, LOG_0,
                                    bad * bytes + EPOCH_AT + byte, 0x40));
            one_open(&one, false);
            one_show(&one);
            assert_int_equal(log_end_offset(one.log), 10);
            assert_int_equal(one.report.cut_bytes, 0);
            if (bad < 9) {
                assert_int_equal(one.report.damaged_offset, bad);
                assert_int_equal(log_last_epoch(one.log), 1);
                assert_int_equal(read_at(&one, (int64_t)bad), ERR_DAMAGED);
            }
            for (int64_t o = 0; o < 10; o++) {
                if (o != (int64_t)bad) {
                    assert_int_equal(read_at(&one, o), ERR_NONE);
                }
            }
            /* What was believed of the last one keeps nothing from being
             * believed later. */
            assert_int_equal(put(&one), 10);
            one_close(&one);
            one_open(&one, true);
            one_show(&one);
            assert_int_equal(read_at(&one, 10), ERR_NONE);
            assert_int_equal(read_at(&one, 8),
                             bad == 8 ? ERR_DAMAGED : ERR_NONE);
            one_close(&one);
            one_fini(&one);
        }
    }
}

/* Killed before the list was saved. */
static void log_takes_epochs_from_batches_that_the_list_does_not_know(void **s)
{
    struct one_log one;
    size_t bytes = 0;
    char *text;

    ten(&one, 2, 10);
    text = load(&one, &bytes);
    begin(&one, 4);
    (void)put(&one);
    begin(&one, 6);
    (void)put(&one);
    (void)put(&one);
    begin(&one, 7);
    (void)put(&one);
    one_kill(&one);
    one_forget_note(&one);
    store(&one, text, bytes);
    mem_free(text);
    for (int i = 0; i < 3; i++) {
        one_open(&one, false);
        one_show(&one);
        assert_int_equal(one.report.damaged_offset, -1);
        assert_int_equal(log_epoch_of(one.log, 9), 1);
        assert_int_equal(log_epoch_of(one.log, 10), 4);
        assert_int_equal(log_epoch_of(one.log, 11), 6);
        assert_int_equal(log_epoch_of(one.log, 12), 6);
        assert_int_equal(log_epoch_of(one.log, 13), 7);
        assert_int_equal(one_count(&one, 0, 1 << 20), 14);
        one_kill(&one);
    }
    one_fini(&one);
}

/* The list knows epochs whose batches are not there: they were cut, or lost
 * with the power. Others come in their place, of an epoch between. */
static void log_forgets_epochs_that_the_list_knows_too_early(void **state)
{
    static const char late[] = "0\n3\n1 0\n5 10\n9 12\n";
    static const char last[] = "0\n2\n1 0\n5 10\n";

    for (int saved = 0; saved < 2; saved++) {
        struct one_log one;
        struct one_append *a;

        ten(&one, 3, 10);
        one_kill(&one);
        store(&one, late, strlen(late));
        one_open(&one, false);
        assert_int_equal(log_last_epoch(one.log), 1);
        a = one_start(&one, (struct one_batch){.count = 1});
        a->append.leader_epoch = 3;
        simenv_run(one.simenv, one_do_append, a);
        assert_int_equal(a->err, ERR_NONE);
        one_settle(&one);
        one_kill(&one);
        one_forget_note(&one);
        if (saved == 0) {
            store(&one, last, strlen(last)); /* there was no room for it */
        }
        one_open(&one, false);
        one_show(&one);
        assert_int_equal(one.report.damaged_offset, -1);
        assert_int_equal(log_last_epoch(one.log), 3);
        assert_int_equal(log_epoch_of(one.log, 10), 3);
        assert_int_equal(read_at(&one, 10), ERR_NONE);
        one_kill(&one);
        one_fini(&one);
    }
}

/* The list has no room: a batch of the new epoch is not flushed before it has,
 * and a stop in between loses nothing that was. */
static void log_flushes_no_batch_before_its_epoch_is_listed(void **state)
{
    for (int stops = 0; stops < 2; stops++) {
        struct one_append *a;
        struct one_log one;

        ten(&one, 4, 10);
        begin(&one, 2);
        a = one_start(&one, (struct one_batch){.count = 1});
        simdisk_limit(one.sim, simdisk_used_bytes(one.sim) + each(&one));
        simenv_run(one.simenv, one_do_append, a);
        simclock_run_for_ms(&one.clock, 5000);
        assert_int_equal(a->err, ERR_NONE);
        assert_int_equal(log_flushed_end(one.log), 10);
        if (stops == 0) {
            simdisk_limit(one.sim, UINT64_MAX);
            simclock_run_for_ms(&one.clock, 5000);
            assert_int_equal(log_flushed_end(one.log), 11);
        }
        one_close(&one);
        simdisk_limit(one.sim, UINT64_MAX);
        assert_int_equal(one.failures, 0);
        one_open(&one, true);
        one_show(&one);
        assert_int_equal(log_epoch_of(one.log, 10), 2);
        assert_int_equal(one.report.damaged_offset, -1);
        assert_int_equal(one_count(&one, 0, 1 << 20), 11);
        one_close(&one);
        one_fini(&one);
    }
}

/* A folder that another cluster wrote: its epochs are higher than ours. */
static void log_goes_on_in_the_epoch_that_it_has(void **state)
{
    struct one_log one;
    struct one_append *a;

    ten(&one, 5, 10);
    begin(&one, 12);
    (void)put(&one);
    a = one_start(&one, (struct one_batch){.count = 1});
    a->append.leader_epoch = 0;
    simenv_run(one.simenv, one_do_append, a);
    one_settle(&one);
    one_close(&one);
    one_open(&one, true);
    one_show(&one);
    assert_int_equal(log_epoch_of(one.log, 11), 12);
    assert_int_equal(one_count(&one, 0, 1 << 20), 12);
    one_close(&one);
    one_fini(&one);
}

/* Nothing of the list can be read, or it is not there: the batches are. */
static void log_without_its_list_is_served(void **state)
{
    for (int there = 0; there < 2; there++) {
        struct one_log one;

        ten(&one, 6, 10);
        begin(&one, 2);
        (void)put(&one);
        one_close(&one);
        if (there == 1) {
            store(&one, "nothing", 7);
        } else {
            assert_int_equal(disk_remove(one.disk, LIST, NULL), ERR_NONE);
        }
        one_open(&one, true);
        one_show(&one);
        assert_int_equal(one_count(&one, 0, 1 << 20), 11);
        begin(&one, 2);
        assert_int_equal(put(&one), 11);
        one_close(&one);
        one_open(&one, true);
        one_show(&one);
        assert_int_equal(one_count(&one, 0, 1 << 20), 12);
        one_close(&one);
        one_fini(&one);
    }
}

/* With thousands of partitions that nobody has written to, a start after a
 * crash takes as long as the syncs that it makes: those of the list, once. */
static void log_stores_the_list_alone_for_an_epoch_without_a_batch(void **state)
{
    struct one_log one;
    uint64_t syncs;

    one_init(&one, 9);
    one_open(&one, false);
    begin(&one, 0);
    one_close(&one);
    syncs = simdisk_sync_count(one.sim);
    for (int life = 0; life < 3; life++) { /* each ends in a crash */
        one_open(&one, false);
        assert_int_equal(simdisk_sync_count(one.sim), syncs + 2);
        begin(&one, life);
        one_kill(&one);
    }
    one_open(&one, false);
    begin(&one, 3);
    (void)put(&one);
    one_kill(&one);
    one_open(&one, false);
    assert_int_equal(log_last_epoch(one.log), 3);
    one_close(&one);
    one_fini(&one);
}

/* Consumers at the end ask it with each fetch, on any loop. */
static void expect_last(struct one_log *one, int32_t last)
{
    int32_t epoch = 0;
    int64_t end = 0;

    must(pthread_mutex_lock(&one->log->epochs_lock) == 0);
    log_epoch_end(one->log, last, &epoch, &end);
    must(pthread_mutex_unlock(&one->log->epochs_lock) == 0);
    assert_int_equal(epoch, last);
    assert_int_equal(end, log_end_offset(one->log));
}

static void log_asks_no_lock_of_who_knows_the_last_epoch(void **state)
{
    struct one_log one;

    one_init(&one, 7);
    one_open(&one, false);
    for (int32_t epoch = 0; epoch < 3; epoch++) {
        begin(&one, epoch);
        (void)put(&one);
        expect_last(&one, epoch);
    }
    one_close(&one);
    one_open(&one, true);
    expect_last(&one, 2);
    assert_int_equal(log_truncate(one.log, 1, NULL), ERR_NONE);
    expect_last(&one, 0);
    one_close(&one);
    one_fini(&one);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(log_takes_no_epoch_from_a_damaged_batch),
        cmocka_unit_test(
            log_takes_epochs_from_batches_that_the_list_does_not_know),
        cmocka_unit_test(log_forgets_epochs_that_the_list_knows_too_early),
        cmocka_unit_test(log_flushes_no_batch_before_its_epoch_is_listed),
        cmocka_unit_test(log_goes_on_in_the_epoch_that_it_has),
        cmocka_unit_test(log_without_its_list_is_served),
        cmocka_unit_test(
            log_stores_the_list_alone_for_an_epoch_without_a_batch),
        cmocka_unit_test(log_asks_no_lock_of_who_knows_the_last_epoch),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
