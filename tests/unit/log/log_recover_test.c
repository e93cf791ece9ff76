/* log_recover_test.c - what a start makes of what a stop left. */
#include "log/names.h"
#include "unit/log/one_log.h"

static void change(struct one_log *one, const char *name, uint64_t at)
{
    char path[300];

    (void)snprintf(path, sizeof(path), ONE_FOLDER "/%s", name);
    assert_true(simdisk_rot(one->sim, path, at, 0x10));
}

static void cut_file(struct one_log *one, const char *name, uint64_t bytes)
{
    struct file *file = NULL;
    char path[300];

    (void)snprintf(path, sizeof(path), ONE_FOLDER "/%s", name);
    assert_int_equal(file_open(one->disk, path, FILE_WRITE, &file, NULL),
                     ERR_NONE);
    assert_int_equal(file_truncate(file, bytes, NULL), ERR_NONE);
    file_close(file);
}

static void drop_file(struct one_log *one, const char *name)
{
    char path[300];

    (void)snprintf(path, sizeof(path), ONE_FOLDER "/%s", name);
    assert_int_equal(disk_remove(one->disk, path, NULL), ERR_NONE);
}

#define LOG_0   "00000000000000000000.log"
#define INDEX_0 "00000000000000000000.index"
#define TIMES_0 "00000000000000000000.timeindex"

/* 20 batches of 10 records, 5 segments; then stopped. */
static void many(struct one_log *one, uint64_t seed)
{
    one_init(one, seed);
    one->config.segment_bytes = 6000;
    one->config.index_interval_bytes = 1000;
    one_open(one, false);
    for (int i = 0; i < 20; i++) {
        (void)one_put(one, (struct one_batch){.count = 10,
                                              .timestamp = 1000 + i * 10,
                                              .value_bytes = 120});
    }
}

/* Whatever of the last batch is missing, the ones before it stay. */
static void log_cuts_a_torn_tail_at_every_byte(void **state)
{
    struct one_log one;
    int64_t whole;
    int64_t before;

    one_init(&one, 1);
    one_open(&one, false);
    (void)one_put(&one, (struct one_batch){.count = 2});
    simclock_run_for_ms(&one.clock, 2000); /* the point is stored */
    before = one_file_bytes(&one, LOG_0);
    (void)one_put(&one, (struct one_batch){.count = 3, .value_bytes = 50});
    whole = one_file_bytes(&one, LOG_0);
    for (int64_t bytes = whole - 1; bytes > before; bytes--) {
        one_kill(&one);
        one_forget_note(&one);
        cut_file(&one, LOG_0, (uint64_t)bytes);
        one_open(&one, false);
        assert_int_equal(one.report.end_offset, 2);
        assert_int_equal(one.report.cut_from_offset, 2);
        assert_int_equal(one.report.cut_bytes, bytes - before);
        assert_int_equal(one.report.damaged_offset, -1);
        assert_int_equal(one_file_bytes(&one, LOG_0), before);
        one_show(&one);
        assert_int_equal(one_count(&one, 0, 1 << 20), 2);
        assert_int_equal(
            one_put(&one, (struct one_batch){.count = 3, .value_bytes = 50}),
            2);
    }
    /* Each cut went to a file of its own. */
    assert_int_equal(one_file_bytes(&one, "00000000000000000000.cut"),
                     whole - 1 - before);
    assert_int_equal(one_file_bytes(&one, "00000000000000000000.1.cut"),
                     whole - 2 - before);
    one_close(&one);
    one_fini(&one);
}

static void log_cuts_at_every_changed_byte_of_the_tail(void **state)
{
    struct one_log one;
    int64_t whole;
    int64_t before;

    one_init(&one, 2);
    one_open(&one, false);
    (void)one_put(&one, (struct one_batch){.count = 2});
    simclock_run_for_ms(&one.clock, 2000);
    before = one_file_bytes(&one, LOG_0);
    (void)one_put(&one, (struct one_batch){.count = 3});
    whole = one_file_bytes(&one, LOG_0);
    for (int64_t at = before; at < whole; at++) {
        /* The base offset and the leader epoch are outside the CRC: a changed
         * one is met only where it contradicts what came before. */
        int64_t in = at - before;
        bool unseen = in < 8 || (in >= 12 && in < 16);

        one_kill(&one);
        one_forget_note(&one);
        change(&one, LOG_0, (uint64_t)at);
        one_open(&one, false);
        assert_int_equal(one.report.damaged_offset, -1);
        if (!unseen) {
            assert_int_equal(one.report.end_offset, 2);
            assert_int_equal(one_put(&one, (struct one_batch){.count = 3}), 2);
            continue;
        }
        if (one.report.end_offset != 2) {
            assert_int_equal(log_truncate(one.log, 2, NULL), ERR_NONE);
        }
        (void)one_put(&one, (struct one_batch){.count = 3});
    }
    one_close(&one);
    one_fini(&one);
}

static void log_reports_damage_below_the_point_and_serves_the_rest(void **state)
{
    struct one_log one;

    one_init(&one, 3);
    one.config.index_interval_bytes = 1 << 20; /* read from the beginning */
    one_open(&one, false);
    for (int i = 0; i < 5; i++) {
        (void)one_put(&one,
                      (struct one_batch){.count = 10, .value_bytes = 100});
    }
    simclock_run_for_ms(&one.clock, 2000);
    one_kill(&one);
    change(&one, LOG_0, 1500); /* in the second batch */
    one_open(&one, false);
    assert_int_equal(one.report.damaged_offset, 10);
    assert_string_equal(one.report.damaged_file, LOG_0);
    assert_int_equal(one.report.damaged_count, 1);
    assert_int_equal(one.report.cut_from_offset, -1);
    assert_int_equal(one.report.end_offset, 50);
    one_show(&one);
    {
        struct log_range range;

        assert_int_equal(log_read(one.log, 10, 1 << 20, true, &range),
                         ERR_DAMAGED);
        assert_int_equal(log_read(one.log, 19, 1 << 20, true, &range),
                         ERR_DAMAGED);
        assert_int_equal(log_read(one.log, 3, 1 << 20, true, &range), ERR_NONE);
        assert_int_equal(range.bytes, one.report.damaged_position);
        log_range_unpin(&range);
    }
    assert_int_equal(one_count(&one, 20, 1 << 20), 30);
    assert_int_equal(one_put(&one, (struct one_batch){.count = 1}), 50);
    one_close(&one);
    one_fini(&one);
}

/* Nobody has read these bytes since the start: the first reader finds it, gets
 * nothing of it, and all the rest. */
static void log_finds_damage_when_it_is_read(void **state)
{
    struct one_log one;
    struct log_range range;
    int64_t batch;

    many(&one, 20);
    batch = (int64_t)log_bytes(one.log) / 20;
    one_close(&one);
    change(&one, LOG_0, (uint64_t)(batch * 2 + 300)); /* offsets 20 to 29 */
    one_open(&one, true);
    assert_int_equal(one.report.scanned_bytes, 0);
    one_show(&one);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(log_read(one.log, 0, 1 << 20, true, &range), ERR_NONE);
        assert_int_equal(range.bytes, batch * 2);
        log_range_unpin(&range);
        assert_int_equal(log_read(one.log, 20, 1 << 20, true, &range),
                         ERR_DAMAGED);
        assert_int_equal(log_read(one.log, 29, 1, true, &range), ERR_DAMAGED);
        assert_int_equal(one_count(&one, 30, 1 << 20), 170);
    }
    assert_int_equal(one_file_bytes(&one, LOG_0) % batch, 0);
    one_close(&one);
    one_fini(&one);
}

static void log_that_lost_flushed_bytes_goes_on_behind_them(void **state)
{
    struct one_log one;

    one_init(&one, 4);
    one_open(&one, false);
    for (int i = 0; i < 5; i++) {
        (void)one_put(&one, (struct one_batch){.count = 10});
    }
    simclock_run_for_ms(&one.clock, 2000);
    one_kill(&one);
    cut_file(&one, LOG_0, (uint64_t)one_file_bytes(&one, LOG_0) * 3 / 5);
    one_open(&one, false);
    assert_int_equal(one.report.damaged_offset, 30);
    assert_int_equal(one.report.end_offset, 50);
    one_show(&one);
    assert_int_equal(one_count(&one, 0, 1 << 20), 30);
    assert_int_equal(one_put(&one, (struct one_batch){.count = 1}), 50);
    one_show(&one);
    assert_int_equal(one_count(&one, 0, 1 << 20), 31);
    one_close(&one);
    one_open(&one, true);
    assert_int_equal(one.report.damaged_offset, -1);
    assert_int_equal(one.report.end_offset, 51);
    one_close(&one);
    one_fini(&one);
}

static void log_without_its_segments_goes_on_at_the_point(void **state)
{
    struct one_log one;

    one_init(&one, 5);
    one_open(&one, false);
    (void)one_put(&one, (struct one_batch){.count = 10});
    simclock_run_for_ms(&one.clock, 2000);
    one_kill(&one);
    drop_file(&one, LOG_0);
    one_open(&one, false);
    assert_int_equal(one.report.damaged_offset, 0);
    assert_int_equal(one.report.end_offset, 10);
    assert_int_equal(one_put(&one, (struct one_batch){.count = 1}), 10);
    one_close(&one);
    one_fini(&one);
}

/* After a kill, the tail and nothing else. */
static void log_reads_only_the_tail_after_a_kill(void **state)
{
    struct one_log one;

    many(&one, 6);
    simclock_run_for_ms(&one.clock, 2000);
    (void)one_put(&one, (struct one_batch){.count = 1});
    one_kill(&one);
    one_open(&one, false);
    assert_int_equal(one.report.end_offset, 201);
    /* From the last index entry, and the new batch for its producer. */
    assert_true(one.report.scanned_bytes < 6000);
    one_show(&one);
    assert_int_equal(one_count(&one, 0, 700), 201);
    one_close(&one);
    one_fini(&one);
}

static void log_makes_missing_and_broken_indexes_anew(void **state)
{
    static const char *const files[] = {INDEX_0, TIMES_0};
    struct one_log one;

    for (int how = 0; how < 3; how++) {
        for (int f = 0; f < 2; f++) {
            int64_t bytes;
            struct log_found found;

            many(&one, 7);
            one_close(&one);
            bytes = one_file_bytes(&one, files[f]);
            assert_true(bytes > 0);
            if (how == 0) {
                drop_file(&one, files[f]);
            } else if (how == 1) {
                cut_file(&one, files[f], (uint64_t)bytes - 1);
            } else {
                change(&one, files[f], 0); /* the first key: too large */
            }
            one_open(&one, true);
            assert_int_equal(one_file_bytes(&one, files[f]), bytes);
            assert_true(one.report.scanned_bytes > 0);
            assert_int_equal(one.report.damaged_offset, -1);
            one_show(&one);
            assert_int_equal(one_count(&one, 0, 700), 200);
            assert_int_equal(log_find_time(one.log, 1015, &found, NULL),
                             ERR_NONE);
            assert_int_equal(found.offset, 15);
            one_close(&one);
            one_fini(&one);
        }
    }
}

static void log_moves_later_segments_away_behind_a_cut(void **state)
{
    struct one_log one;

    many(&one, 8);
    one_close(&one);
    drop_file(&one, NAMES_POINT); /* now nothing is sure */
    change(&one, LOG_0, 2000);
    one_open(&one, false);
    assert_int_equal(one.report.cut_from_offset, 10);
    assert_int_equal(one.report.end_offset, 10);
    assert_true(one_file_bytes(&one, "00000000000000000000.cut") > 0);
    one_show(&one);
    assert_int_equal(one_count(&one, 0, 700), 10);
    assert_int_equal(one_put(&one, (struct one_batch){.count = 1}), 10);
    one_close(&one);
    one_open(&one, true);
    assert_int_equal(one.report.end_offset, 11);
    one_close(&one);
    one_fini(&one);
}

static void log_removes_what_a_crash_left_of_removals(void **state)
{
    static const char *const left[] = {
        "00000000000000000007.log.deleted",
        "producer-state.tmp",
        "00000000000000000007.index",
        "00000000000000000007.timeindex",
    };
    struct one_log one;

    many(&one, 9);
    one_close(&one);
    for (size_t i = 0; i < sizeof(left) / sizeof(left[0]); i++) {
        cut_file(&one, left[i], 8);
    }
    one_open(&one, true);
    for (size_t i = 0; i < sizeof(left) / sizeof(left[0]); i++) {
        assert_int_equal(one_file_bytes(&one, left[i]), -1);
    }
    one_close(&one);
    one_fini(&one);
}

/* A removal could not take the name away; a topic of the same name comes. */
static void log_sets_the_folder_of_another_topic_aside(void **state)
{
    static const char aside[] =
        ONE_FOLDER ".AQIDAAAAAAAAAAAAAAAAAA-stray/00000000000000000000.log";
    struct one_log one;
    struct log_options options = {.folder = ONE_FOLDER,
                                  .topic = STR_LIT("orders"),
                                  .topic_id = {{9, 9}},
                                  .config = one_config()};

    many(&one, 10);
    one_close(&one);
    assert_int_equal(log_open(simenv_env(one.simenv), &options, &one.log,
                              &one.report, &one.why),
                     ERR_NONE);
    assert_int_equal(log_end_offset(one.log), 0);
    assert_int_equal(one_put(&one, (struct one_batch){.count = 1}), 0);
    one_close(&one);
    assert_true(disk_exists(one.disk, aside));
    one_fini(&one);
}

static void log_with_a_path_that_is_too_long_is_not_opened(void **state)
{
    static char path[5000];
    struct one_log one;
    struct log_options options = {
        .folder = path, .topic = STR_LIT("orders"), .config = one_config()};

    memset(path, 'x', sizeof(path) - 1);
    one_init(&one, 11);
    assert_int_equal(log_open(simenv_env(one.simenv), &options, &one.log,
                              &one.report, &one.why),
                     ERR_TOO_LARGE);
    one_fini(&one);
}

/* What Kafka wrote has no flushed point and only one batch a producer. */
static void log_takes_over_a_folder_without_our_own_files(void **state)
{
    struct one_log one;
    struct one_append *again;

    one_init(&one, 12);
    one.config.segment_bytes = 4000;
    one_open(&one, false);
    for (int i = 0; i < 20; i++) {
        (void)one_put(&one, (struct one_batch){.count = 10,
                                               .value_bytes = 100,
                                               .producer_id = 5,
                                               .sequence = i * 10});
    }
    one_close(&one);
    drop_file(&one, NAMES_POINT);
    drop_file(&one, NAMES_STATE);
    drop_file(&one, "00000000000000000200.producers");
    one_open(&one, false);
    assert_int_equal(one.report.end_offset, 200);
    assert_int_equal(one.report.cut_from_offset, -1);
    again = one_append(
        &one,
        (struct one_batch){.count = 10, .producer_id = 5, .sequence = 190});
    assert_true(again->append.duplicate);
    assert_int_equal(again->append.base_offset, 190);
    one_close(&one);
    one_fini(&one);
}

static void log_knows_five_batches_again_after_each_kind_of_stop(void **state)
{
    for (int how = 0; how < 3; how++) {
        struct one_log one;

        one_init(&one, 13);
        one.config.segment_bytes = 4000;
        one_open(&one, false);
        for (int i = 0; i < 20; i++) {
            (void)one_put(&one, (struct one_batch){.count = 10,
                                                   .value_bytes = 100,
                                                   .producer_id = 5,
                                                   .sequence = i * 10});
        }
        if (how == 0) {
            one_close(&one);
        } else {
            one_kill(&one);
        }
        if (how == 2) {
            simdisk_crash_losing_all(one.sim);
        }
        one_open(&one, how == 0);
        for (int i = 15; i < 20; i++) {
            struct one_append *again = one_append(
                &one, (struct one_batch){
                          .count = 10, .producer_id = 5, .sequence = i * 10});

            assert_int_equal(again->err, ERR_NONE);
            assert_true(again->append.duplicate);
            assert_int_equal(again->append.base_offset, i * 10);
            assert_int_equal(again->append.last_offset, i * 10 + 9);
        }
        assert_int_equal(one_append(&one, (struct one_batch){.count = 1,
                                                             .producer_id = 5,
                                                             .sequence = 201})
                             ->err,
                         ERR_OUT_OF_ORDER_SEQUENCE_NUMBER);
        assert_int_equal(one_put(&one, (struct one_batch){.count = 1,
                                                          .producer_id = 5,
                                                          .sequence = 200}),
                         200);
        one_close(&one);
        one_fini(&one);
    }
}

/* The disk is full, to the last byte, and the process was killed; or the power
 * went, in the middle of a write. */
static void log_opens_on_a_full_disk(void **state)
{
    for (uint64_t torn = 0; torn < 100; torn += 33) {
        struct one_log one;

        one_init(&one, 41 + torn);
        one.config.segment_bytes = 10000;
        one_open(&one, false);
        for (int i = 0; i < 20; i++) {
            (void)one_put(&one, (struct one_batch){.count = 1,
                                                   .producer_id = 7,
                                                   .sequence = i,
                                                   .value_bytes = 3000});
        }
        one_kill(&one);
        one_forget_note(&one);
        if (torn > 0) {
            cut_file(
                &one, "00000000000000000018.log",
                (uint64_t)one_file_bytes(&one, "00000000000000000018.log") -
                    torn);
        }
        simdisk_limit(one.sim, simdisk_used_bytes(one.sim));
        one_open(&one, false);
        assert_int_equal(log_end_offset(one.log), torn > 0 ? 19 : 20);
        one_show(&one);
        simdisk_limit(one.sim, UINT64_MAX);
        assert_int_equal(one_put(&one, (struct one_batch){.count = 1}),
                         torn > 0 ? 19 : 20);
        one_kill(&one);
        one_open(&one, false);
        assert_int_equal(log_end_offset(one.log), torn > 0 ? 20 : 21);
        one_close(&one);
        one_fini(&one);
    }
}

/* Nothing is synced on the owner's loop: a topic may have a thousand
 * partitions. The first flush does it. */
static void whose_a_folder_is_survives_a_power_loss(void **state)
{
    struct one_log one;
    char *text = NULL;
    size_t bytes = 0;
    uint64_t syncs;

    one_init(&one, 42);
    syncs = simdisk_sync_count(one.sim);
    one_open(&one, false);
    assert_int_equal(simdisk_sync_count(one.sim), syncs);
    (void)one_put(&one, (struct one_batch){.count = 1});
    simenv_crash(one.simenv);
    log_abandon(one.log);
    simdisk_crash_losing_all(one.sim);
    assert_int_equal(disk_read_all(one.disk, ONE_FOLDER "/partition.metadata",
                                   4096, &text, &bytes, &one.why),
                     ERR_NONE);
    assert_true(bytes > 30 && memcmp(text, "version: 0", 10) == 0);
    mem_free(text);
    one_fini(&one);
}

static void
log_whose_indexes_a_start_made_anew_is_sealed_by_its_stop(void **state)
{
    struct one_log one;
    struct log_found found;

    (void)state;
    one_init(&one, 1);
    one.config.index_interval_bytes = 500;
    one_open(&one, false);
    for (int i = 0; i < 10; i++) {
        (void)one_put(&one, (struct one_batch){.count = 1,
                                               .timestamp = 1000 + i,
                                               .value_bytes = 300});
    }
    one_close(&one);
    assert_int_equal(
        disk_remove(one.disk, ONE_FOLDER "/00000000000000000000.index", NULL),
        ERR_NONE);
    for (int i = 0; i < 3; i++) {
        one_open(&one, true);
        one_show(&one);
        assert_int_equal(log_find_time(one.log, 1009, &found, NULL), ERR_NONE);
        assert_int_equal(found.offset, 9);
        one_close(&one);
    }
    one_fini(&one);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            log_whose_indexes_a_start_made_anew_is_sealed_by_its_stop),
        cmocka_unit_test(log_cuts_a_torn_tail_at_every_byte),
        cmocka_unit_test(log_cuts_at_every_changed_byte_of_the_tail),
        cmocka_unit_test(
            log_reports_damage_below_the_point_and_serves_the_rest),
        cmocka_unit_test(log_finds_damage_when_it_is_read),
        cmocka_unit_test(log_that_lost_flushed_bytes_goes_on_behind_them),
        cmocka_unit_test(log_without_its_segments_goes_on_at_the_point),
        cmocka_unit_test(log_reads_only_the_tail_after_a_kill),
        cmocka_unit_test(log_makes_missing_and_broken_indexes_anew),
        cmocka_unit_test(log_moves_later_segments_away_behind_a_cut),
        cmocka_unit_test(log_removes_what_a_crash_left_of_removals),
        cmocka_unit_test(log_sets_the_folder_of_another_topic_aside),
        cmocka_unit_test(log_opens_on_a_full_disk),
        cmocka_unit_test(whose_a_folder_is_survives_a_power_loss),
        cmocka_unit_test(log_with_a_path_that_is_too_long_is_not_opened),
        cmocka_unit_test(log_takes_over_a_folder_without_our_own_files),
        cmocka_unit_test(log_knows_five_batches_again_after_each_kind_of_stop),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
