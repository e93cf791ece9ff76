/* log_fault_test.c - each call to the disk fails, one after the other.
 *
 * Whatever fails: what was told to be on disk is there at the next start, each
 * sequence once; a log that cannot go on says so, and says nothing else. */
#include "lib/fault.h"
#include "unit/log/one_log.h"

struct life {
    struct one_log one;
    int64_t acknowledged; /* offsets below it were told to be on disk */
};

static void begin(struct life *life, struct fault *fault)
{
    *life = (struct life){0};
    one_init(&life->one, 1);
    fault->inner = simdisk_disk(life->one.sim);
    life->one.disk = &fault->disk;
    simenv_close(life->one.simenv);
    life->one.simenv = simenv_open(&life->one.clock, life->one.disk);
    life->one.config.segment_bytes = 2500;
    life->one.config.index_interval_bytes = 500;
}

/* A few batches; stops at the first that is refused. */
static void live(struct life *life)
{
    struct one_log *one = &life->one;

    if (one_try_open(one, false)) {
        one->log = NULL;
        return;
    }
    for (int i = 0; i < 6; i++) {
        struct one_append *a =
            one_append(one, (struct one_batch){.count = 5,
                                               .value_bytes = 150,
                                               .producer_id = 3,
                                               .sequence = i * 5});

        assert_true(a->done);
        if (a->err) {
            break;
        }
        simclock_run_for_ms(&one->clock, i == 3 ? 1500 : 60);
        life->acknowledged = log_flushed_end(one->log);
    }
    one_show(one);
    if (one->failures == 0 &&
        one_raise_start(one, MIN(3, log_visible_end(one->log))) == ERR_NONE) {
        simclock_run_for_ms(&one->clock, 300);
    }
}

/* Without the fault: all is there, and the producer goes on. */
static void check(struct life *life)
{
    struct one_log *one = &life->one;
    int32_t sequence;

    one_open(one, false);
    assert_true(one->report.end_offset >= life->acknowledged);
    assert_int_equal(one->report.damaged_offset, -1);
    assert_int_equal(one->report.end_offset % 5, 0);
    sequence = (int32_t)one->report.end_offset;
    assert_int_equal(one_put(one, (struct one_batch){.count = 5,
                                                     .producer_id = 3,
                                                     .sequence = sequence}),
                     sequence);
    one_show(one);
    assert_int_equal(one_count(one, log_start_offset(one->log), 3000),
                     sequence + 5 - log_start_offset(one->log) / 5 * 5);
    one_close(one);
}

static void finish(struct life *life, struct fault *fault)
{
    fault_arm(fault, 0);
    life->one.failures = 0;
    check(life);
    one_fini(&life->one);
}

static void scenario_killed(struct fault *fault, void *arg)
{
    struct life life;

    begin(&life, fault);
    live(&life);
    if (life.one.log != NULL) {
        one_kill(&life.one);
    } else {
        simenv_crash(life.one.simenv);
    }
    finish(&life, fault);
}

static void scenario_power_lost(struct fault *fault, void *arg)
{
    struct life life;

    begin(&life, fault);
    live(&life);
    if (life.one.log != NULL) {
        one_kill(&life.one);
    } else {
        simenv_crash(life.one.simenv);
    }
    if (arg == NULL) {
        simdisk_crash_losing_all(life.one.sim);
    } else {
        simdisk_crash(life.one.sim, 7);
    }
    finish(&life, fault);
}

static void scenario_stopped(struct fault *fault, void *arg)
{
    struct life life;

    begin(&life, fault);
    live(&life);
    if (life.one.log != NULL) {
        one_close(&life.one);
    }
    finish(&life, fault);
}

static void log_survives_each_fault_and_a_kill(void **state)
{
    struct fault fault;

    fault_init(&fault, NULL);
    fault_each(&fault, scenario_killed, NULL);
}

static void log_survives_each_fault_and_a_power_loss(void **state)
{
    struct fault fault;

    fault_init(&fault, NULL);
    fault_each(&fault, scenario_power_lost, NULL);
    fault_each(&fault, scenario_power_lost, &fault);
}

static void log_survives_each_fault_and_a_stop(void **state)
{
    struct fault fault;

    fault_init(&fault, NULL);
    fault_each(&fault, scenario_stopped, NULL);
}

/* An fsync that failed is never asked again: the process is to end. */
static void log_with_a_failed_sync_acknowledges_nothing_more(void **state)
{
    struct fault fault;
    struct life life;
    struct one_log *one = &life.one;
    struct one_append *a;

    fault_init(&fault, NULL);
    begin(&life, &fault);
    one_open(one, false);
    (void)one_put(one, (struct one_batch){.count = 1});
    simclock_run_for_ms(&one->clock, 3000);
    fault.kinds = FAULT_SYNC;
    fault_arm(&fault, 1);
    a = one_append(one, (struct one_batch){.count = 1});
    assert_int_equal(a->err, ERR_NONE); /* written */
    simclock_run_for_ms(&one->clock, 3000);
    assert_int_equal(one->failures, 1);
    assert_int_equal(log_flushed_end(one->log), 1);
    a = one_append(one, (struct one_batch){.count = 1});
    assert_int_equal(a->err, ERR_DISK);
    simclock_run_for_ms(&one->clock, 3000);
    assert_int_equal(one->failures, 1);
    assert_int_equal(log_flushed_end(one->log), 1);
    assert_int_equal(fault.failed, 1);
    one_kill(one);
    one_fini(one);
}

static void log_that_cannot_write_says_so(void **state)
{
    struct fault fault;
    struct life life;
    struct one_log *one = &life.one;
    struct one_append *a;

    fault_init(&fault, NULL);
    begin(&life, &fault);
    one_open(one, false);
    fault.kinds = FAULT_WRITE;
    fault_arm(&fault, 1);
    a = one_append(one, (struct one_batch){.count = 1});
    assert_int_equal(a->err, ERR_DISK);
    assert_int_equal(one->failures, 1);
    assert_int_equal(log_end_offset(one->log), 0);
    one_kill(one);
    one_fini(one);
}

/* No descriptor is left, for a while: nothing is lost, and the log goes on. */
static void log_waits_out_a_want_of_descriptors(void **state)
{
    for (int closes = 0; closes < 2; closes++) {
        struct fault fault;
        struct one_append *waits;
        struct one_append *refused;
        struct life life;
        struct one_log *one = &life.one;

        fault_init(&fault, NULL);
        fault_arm(&fault, 0);
        begin(&life, &fault);
        one_open(one, false);
        fault.err = ERR_LIMIT;
        fault.kinds = FAULT_OPEN;
        fault.for_good = true;
        waits = one_append(one, (struct one_batch){.count = 5,
                                                   .producer_id = 3,
                                                   .value_bytes = 10});
        fault_arm(&fault, 1);
        simclock_run_for_ms(&one->clock, 5000);
        /* It cannot begin a segment. */
        refused = one_append(one, (struct one_batch){.count = 5,
                                                     .producer_id = 3,
                                                     .sequence = 5,
                                                     .value_bytes = 450});
        simclock_run_for_ms(&one->clock, 5000);
        assert_int_equal(waits->err, ERR_NONE);
        assert_int_equal(refused->err, ERR_LIMIT);
        assert_int_equal(one->failures, 0);
        assert_int_equal(log_flushed_end(one->log), 0);
        if (closes == 1) {
            simenv_run(one->simenv, one_do_close, one);
            simclock_run_for_ms(&one->clock, 1000);
            assert_false(one->closed);
            fault_heal(&fault);
            assert_true(
                simclock_run_until_set(&one->clock, &one->closed, 100000));
        } else {
            fault_heal(&fault);
            assert_int_equal(
                one_put(one, (struct one_batch){.count = 5,
                                                .producer_id = 3,
                                                .sequence = 5,
                                                .value_bytes = 450}),
                5);
            one_close(one);
        }
        one_open(one, true);
        assert_int_equal(one->report.end_offset, closes == 1 ? 5 : 10);
        one_close(one);
        one_fini(one);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(log_waits_out_a_want_of_descriptors),
        cmocka_unit_test(log_survives_each_fault_and_a_kill),
        cmocka_unit_test(log_survives_each_fault_and_a_power_loss),
        cmocka_unit_test(log_survives_each_fault_and_a_stop),
        cmocka_unit_test(log_with_a_failed_sync_acknowledges_nothing_more),
        cmocka_unit_test(log_that_cannot_write_says_so),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
