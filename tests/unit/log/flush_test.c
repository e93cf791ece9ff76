/* flush_test.c - one sync at a time, and what each one promises. */
#include "base/mem.h"
#include "lib/fault.h"
#include "lib/fixture.h"
#include "lib/simdisk.h"
#include "lib/simenv.h"
#include "log/flush.h"
#include "log/names.h"

static struct simclock simclock;
static struct simdisk *sim;
static struct fault fault;
static struct simenv *simenv;
static struct segment *segment;
static struct flush flush;
static int advances;
static int failures;
static int states;

static void on_advanced(void *arg)
{
    advances++;
}

static void on_describe(void *arg, struct small_files_point *point)
{
    point->created_ms = 77;
}

static void on_spill(void *arg, int64_t base)
{
}

static struct point_file *on_state(void *arg, int64_t offset)
{
    struct point_file *file = MEM_NEW(struct point_file);

    states++;
    *file = (struct point_file){.path = mem_dupz("/t-0/producer-state"),
                                .bytes = mem_dupz("state"),
                                .count = 5,
                                .offset = offset};
    return file;
}

static void on_failed(void *arg, const struct why *why)
{
    failures++;
}

static void on_idle(void *arg)
{
}

static const struct flush_calls calls = {.advanced = on_advanced,
                                         .describe = on_describe,
                                         .spill = on_spill,
                                         .state = on_state,
                                         .failed = on_failed,
                                         .idle = on_idle};

static int set_up(void **state)
{
    struct small_files_point none = {.offset = -1};

    simclock_init(&simclock, 1);
    sim = simdisk_open();
    fault_init(&fault, simdisk_disk(sim));
    simenv = simenv_open(&simclock, &fault.disk);
    assert_int_equal(disk_make_folder(&fault.disk, "/t-0", NULL), ERR_NONE);
    assert_int_equal(disk_sync_folder(&fault.disk, "/", NULL), ERR_NONE);
    assert_int_equal(segment_create(&fault.disk, "/t-0", 0, &segment, NULL),
                     ERR_NONE);
    flush_init(&flush, &(struct flush_options){.env = simenv_env(simenv),
                                               .folder = "/t-0",
                                               .calls = &calls,
                                               .key = 2,
                                               .point = none});
    advances = failures = states = 0;
    return 0;
}

static int tear_down(void **state)
{
    simclock_run_for_ms(&simclock, 3000);
    flush_stop(&flush);
    flush_fini(&flush);
    segment_unref(segment);
    simenv_close(simenv);
    simdisk_close(sim);
    simclock_fini(&simclock);
    return 0;
}

static void wrote(int64_t end)
{
    flush_wrote(&flush, segment,
                (struct view_mark){.offset = end, .position = (uint64_t)end});
}

static struct small_files_point load_point(void)
{
    struct small_files_point point;

    assert_int_equal(small_files_load_point(&fault.disk, "/t-0", &point, NULL),
                     ERR_NONE);
    return point;
}

/* Stored or noted. */
static int64_t stored_point(void)
{
    return load_point().offset;
}

static void flush_runs_one_sync_at_a_time(void **state)
{
    wrote(10);
    flush_now(&flush);
    assert_false(flush_is_idle(&flush));
    for (int64_t end = 11; end < 30; end++) {
        wrote(end);
        flush_now(&flush); /* all of these are one */
    }
    assert_int_equal(flush.flushed.offset, 0);
    simclock_run_for_ms(&simclock, 100);
    assert_int_equal(flush.flushed.offset, 29);
    assert_int_equal(advances, 2);
    assert_true(flush_is_clean(&flush));
    flush_now(&flush); /* nothing to do */
    assert_true(flush_is_idle(&flush));
}

static void flush_stores_the_point_within_a_second_and_then_sleeps(void **state)
{
    wrote(10);
    flush_now(&flush);
    simclock_run_for_ms(&simclock, 100);
    assert_int_equal(stored_point(), 10);
    assert_int_equal(load_point().number, 0); /* it was noted */
    simclock_run_for_ms(&simclock, 1100);
    assert_int_equal(stored_point(), 10);
    assert_int_equal(load_point().number, 1);
    assert_int_equal(states, 1);
    assert_true(simenv_is_idle(simenv));
}

static void flush_stores_the_point_when_a_segment_is_sealed(void **state)
{
    wrote(10);
    flush_sealed(&flush, segment);
    flush_now(&flush);
    simclock_run_for_ms(&simclock, 100);
    assert_int_equal(stored_point(), 10);
}

/* Nothing but the point says that there is a hole at the end. */
static void flush_counts_a_hole_once_the_point_is_stored(void **state)
{
    wrote(10);
    flush_moved(&flush,
                (struct view_mark){.offset = 15, .position = 10, .hole = 5},
                true);
    flush_now(&flush);
    simclock_run_for_ms(&simclock, 100);
    assert_int_equal(flush.flushed.offset, 15);
    assert_int_equal(stored_point(), 15);
}

static void flush_in_flight_counts_only_up_to_a_cut(void **state)
{
    struct view_mark mark = {.offset = 4, .position = 4};

    wrote(10);
    flush_now(&flush);
    assert_int_equal(flush_lower(&flush, mark, NULL), ERR_NONE);
    flush_cut(&flush, mark);
    wrote(20); /* other batches, at offsets that were synced before */
    simclock_run_for_ms(&simclock, 100);
    assert_int_equal(flush.flushed.offset, 4);
    /* When it was cut, what is below 4 was not known to be on the disk. */
    assert_int_equal(stored_point(), -1);
    flush_now(&flush);
    simclock_run_for_ms(&simclock, 100);
    assert_int_equal(flush.flushed.offset, 20);
}

/* A point that was captured before a cut must not be stored after it. */
static void flush_point_in_flight_is_void_after_a_cut(void **state)
{
    struct view_mark mark = {.offset = 4, .position = 4};

    wrote(10);
    flush_now(&flush);
    simclock_run_for_ms(&simclock, 100);
    flush_point_now(&flush);
    assert_false(flush_is_idle(&flush));
    assert_int_equal(flush_lower(&flush, mark, NULL), ERR_NONE);
    flush_cut(&flush, mark);
    simclock_run_for_ms(&simclock, 3000);
    assert_int_equal(stored_point(), 4);
    assert_false(disk_exists(&fault.disk, "/t-0/producer-state"));
}

static void flush_that_fails_says_so_once_and_advances_no_more(void **state)
{
    wrote(10);
    fault.kinds = FAULT_SYNC;
    fault_arm(&fault, 1);
    flush_now(&flush);
    simclock_run_for_ms(&simclock, 100);
    assert_int_equal(failures, 1);
    assert_int_equal(advances, 0);
    assert_int_equal(flush.flushed.offset, 0);
    wrote(20);
    flush_now(&flush);
    simclock_run_for_ms(&simclock, 3000);
    assert_int_equal(failures, 1);
    assert_int_equal(flush.flushed.offset, 0);
    assert_int_equal(fault.failed, 1);
}

static void flush_files_are_on_disk_when_it_advances(void **state)
{
    struct point_file *file = MEM_NEW(struct point_file);
    char *bytes = NULL;
    size_t count = 0;

    *file = (struct point_file){.path = mem_dupz("/t-0/a"),
                                .bytes = mem_dupz("abc"),
                                .count = 3,
                                .is_kafka = true,
                                .is_synced = true};
    wrote(10);
    flush_renamed(&flush);
    flush_file(&flush, NULL);
    flush_file(&flush, file);
    flush_now(&flush);
    while (advances == 0) {
        assert_true(simclock_step(&simclock));
    }
    simenv_crash(simenv);
    flush_abandon(&flush);
    simdisk_crash_losing_all(sim);
    assert_int_equal(
        disk_read_all(&fault.disk, "/t-0/a", 100, &bytes, &count, NULL),
        ERR_NONE);
    assert_memory_equal(bytes, "abc", 3);
    mem_free(bytes);
}

/* No descriptor for the point, while the log closes. */
static void close_without_a_point(bool sealed)
{
    wrote(10);
    flush_now(&flush);
    fault.kinds = FAULT_OPEN;
    fault.err = ERR_LIMIT;
    fault.for_good = true;
    fault_arm(&fault, 1);
    simclock_run_for_ms(&simclock, 100);
    flush_close(&flush, sealed);
    flush_point_now(&flush);
    simclock_run_for_ms(&simclock, 1000);
}

static void flush_that_closes_gives_up_a_point_that_cannot_be_stored(void **s)
{
    close_without_a_point(true);
    assert_true(flush_is_idle(&flush));
    flush_point_now(&flush);
    assert_true(flush_is_idle(&flush));
    assert_int_equal(failures, 0);
    fault_heal(&fault);
    assert_int_equal(stored_point(), -1);
}

static void flush_that_closes_waits_for_a_point_that_says_unsealed(void **s)
{
    close_without_a_point(false);
    assert_false(flush_is_idle(&flush));
    assert_in_range(fault.failed, 2, 20); /* with pauses */
    fault_heal(&fault);
    simclock_run_for_ms(&simclock, 300);
    assert_true(flush_is_idle(&flush));
    assert_int_equal(stored_point(), 10);
    assert_true(load_point().unsealed);
}

/* A disk says once that it lost something: whoever asks again hears nothing. */
static void
flush_that_waits_for_room_takes_a_failed_sync_for_the_end(void **state)
{
    struct point_file *file = MEM_NEW(struct point_file);

    (void)state;
    *file =
        (struct point_file){.path = mem_dupz("/t-0/leader-epoch-checkpoint"),
                            .bytes = mem_dupz("0\n0\n"),
                            .count = 4,
                            .offset = 1,
                            .is_kafka = true,
                            .is_synced = true,
                            .is_needed = true};
    wrote(10);
    flush_file(&flush, file);
    flush_renamed(&flush);
    simdisk_limit(sim, simdisk_used_bytes(sim)); /* no room for the file */
    flush_now(&flush);
    simclock_run_for_ms(&simclock, 100);
    assert_int_equal(flush.flushed.offset, 0);
    assert_int_equal(failures, 0);
    fault.kinds = FAULT_SYNC;
    fault_arm(&fault, 1);
    simclock_run_for_ms(&simclock, 300);
    assert_int_equal(fault.failed, 1);
    fault_arm(&fault, 0);
    simdisk_limit(sim, UINT64_MAX);
    simclock_run_for_ms(&simclock, 1000);
    assert_int_equal(failures, 1);
    assert_int_equal(flush.flushed.offset, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(flush_runs_one_sync_at_a_time, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(
            flush_stores_the_point_within_a_second_and_then_sleeps, set_up,
            tear_down),
        cmocka_unit_test_setup_teardown(
            flush_stores_the_point_when_a_segment_is_sealed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            flush_counts_a_hole_once_the_point_is_stored, set_up, tear_down),
        cmocka_unit_test_setup_teardown(flush_in_flight_counts_only_up_to_a_cut,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            flush_point_in_flight_is_void_after_a_cut, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            flush_that_fails_says_so_once_and_advances_no_more, set_up,
            tear_down),
        cmocka_unit_test_setup_teardown(
            flush_files_are_on_disk_when_it_advances, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            flush_that_closes_gives_up_a_point_that_cannot_be_stored, set_up,
            tear_down),
        cmocka_unit_test_setup_teardown(
            flush_that_closes_waits_for_a_point_that_says_unsealed, set_up,
            tear_down),
        cmocka_unit_test_setup_teardown(
            flush_that_waits_for_room_takes_a_failed_sync_for_the_end, set_up,
            tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
