/* log_append_test.c - the queue, reservations, another lane, a full disk. */
#include "log/names.h"
#include "unit/log/one_log.h"

struct two {
    struct one_append *a;
    struct one_append *b;
};

static void append_two(void *arg)
{
    struct two *two = arg;

    log_append(two->a->one->log, &two->a->append);
    log_append(two->b->one->log, &two->b->append);
}

static void log_answers_all_appends_of_a_turn_at_its_end(void **state)
{
    struct one_log one;
    struct two two;

    one_init(&one, 1);
    one_open(&one, false);
    two.a = one_start(&one, (struct one_batch){.count = 2});
    two.b = one_start(&one, (struct one_batch){.count = 3});
    append_two(&two);
    assert_false(two.a->done);
    assert_int_equal(log_end_offset(one.log), 0);
    simenv_run(one.simenv, one_do_show, &one); /* any event ends the turn */
    assert_true(two.a->done && two.b->done);
    assert_int_equal(two.a->append.base_offset, 0);
    assert_int_equal(two.b->append.base_offset, 2);
    assert_int_equal(two.b->append.last_offset, 4);
    assert_int_equal(log_end_offset(one.log), 5);
    assert_int_equal(log_flushed_end(one.log), 0);
    one_settle(&one);
    assert_int_equal(log_flushed_end(one.log), 5);
    one_close(&one);
    one_fini(&one);
}

/* While one sync runs the next appends gather; no clock is involved. */
static void log_commits_groups(void **state)
{
    struct one_log one;
    uint64_t before;

    one_init(&one, 2);
    one_open(&one, false);
    before = simdisk_sync_count(one.sim);
    for (int i = 0; i < 100; i++) {
        (void)one_append(&one, (struct one_batch){.count = 1});
    }
    one_settle(&one);
    assert_int_equal(log_flushed_end(one.log), 100);
    /* Two of the .log; the first time also the folder and its parent, and the
     * epoch's file and its folder. */
    assert_true(simdisk_sync_count(one.sim) - before <= 6);
    one_close(&one);
    one_fini(&one);
}

static void log_sets_no_timer_when_idle(void **state)
{
    struct one_log one;

    one_init(&one, 3);
    one_open(&one, false);
    (void)one_put(&one, (struct one_batch){.count = 1});
    simclock_run_for_ms(&one.clock, 3000);
    assert_true(simenv_is_idle(one.simenv));
    one_close(&one);
    one_fini(&one);
}

static void log_async_syncs_by_count_and_by_time_only(void **state)
{
    struct one_log one;
    uint64_t before;

    one_init(&one, 4);
    one.config.flush_commit = false;
    one_open(&one, false);
    (void)one_append(&one, (struct one_batch){.count = 50});
    simclock_run_for_ms(&one.clock, 100000);
    assert_int_equal(log_flushed_end(one.log), 0);
    assert_int_equal(log_end_offset(one.log), 50);
    log_flush(one.log);
    one_settle(&one);
    assert_int_equal(log_flushed_end(one.log), 50);
    one.config.flush_messages = 10;
    log_configure(one.log, &one.config);
    (void)one_append(&one, (struct one_batch){.count = 9});
    one_settle(&one);
    assert_int_equal(log_flushed_end(one.log), 50);
    (void)one_append(&one, (struct one_batch){.count = 1});
    one_settle(&one);
    assert_int_equal(log_flushed_end(one.log), 60);
    one.config.flush_messages = INT64_MAX;
    one.config.flush_ms = 500;
    log_configure(one.log, &one.config);
    (void)one_append(&one, (struct one_batch){.count = 1});
    simclock_run_for_ms(&one.clock, 400);
    assert_int_equal(log_flushed_end(one.log), 60);
    simclock_run_for_ms(&one.clock, 300);
    assert_int_equal(log_flushed_end(one.log), 61);
    before = simdisk_sync_count(one.sim);
    simclock_run_for_ms(&one.clock, 100000);
    assert_true(simdisk_sync_count(one.sim) - before <= 2); /* the point */
    one_close(&one);
    one_fini(&one);
}

static void log_rolls_by_size_and_stores_state(void **state)
{
    struct one_log one;

    one_init(&one, 5);
    one.config.segment_bytes = 2000;
    one_open(&one, false);
    for (int i = 0; i < 3; i++) {
        (void)one_put(&one, (struct one_batch){.count = 10,
                                               .value_bytes = 100,
                                               .producer_id = 3,
                                               .sequence = i * 10});
    }
    one_settle(&one);
    assert_true(one_file_bytes(&one, "00000000000000000010.log") > 0);
    assert_true(one_file_bytes(&one, "00000000000000000020.log") > 0);
    assert_int_equal(one_file_bytes(&one, "00000000000000000010.snapshot"),
                     10 + 46);
    assert_true(one_file_bytes(&one, "00000000000000000010.producers") > 0);
    assert_int_equal(one_file_bytes(&one, "00000000000000000000.timeindex"),
                     12);
    one_close(&one);
    one_fini(&one);
}

static void log_refuses_a_batch_over_the_segments_size(void **state)
{
    struct one_log one;
    struct one_append *a;

    one_init(&one, 6);
    one.config.segment_bytes = 1000;
    one_open(&one, false);
    a = one_append(&one, (struct one_batch){.count = 1, .value_bytes = 2000});
    assert_true(a->done);
    assert_int_equal(a->err, ERR_RECORD_LIST_TOO_LARGE);
    assert_int_equal(log_end_offset(one.log), 0);
    one_close(&one);
    one_fini(&one);
}

static void log_answers_a_duplicate_with_where_it_is(void **state)
{
    struct one_log one;
    struct one_batch it = {.count = 4, .producer_id = 9};
    struct one_append *again;
    uint64_t bytes;

    one_init(&one, 7);
    one_open(&one, false);
    (void)one_put(&one, (struct one_batch){.count = 5});
    assert_int_equal(one_put(&one, it), 5);
    bytes = log_bytes(one.log);
    again = one_append(&one, it);
    assert_int_equal(again->err, ERR_NONE);
    assert_true(again->append.duplicate);
    assert_int_equal(again->append.base_offset, 5);
    assert_int_equal(again->append.last_offset, 8);
    assert_int_equal(log_bytes(one.log), bytes);
    it.sequence = 5;
    assert_int_equal(one_append(&one, it)->err,
                     ERR_OUT_OF_ORDER_SEQUENCE_NUMBER);
    one_close(&one);
    one_fini(&one);
}

/* ---- a follower ---- */

static void log_takes_a_leaders_offsets_as_given(void **state)
{
    struct one_log one;
    struct one_append *a;

    one_init(&one, 8);
    one_open(&one, false);
    a = one_start(&one, (struct one_batch){.count = 2});
    a->append.as_given = true;
    batch_set_base_offset(a->append.batch, 100);
    batch_set_leader_epoch(a->append.batch, 7);
    simenv_run(one.simenv, one_do_append, a);
    assert_int_equal(a->err, ERR_NONE);
    assert_int_equal(log_end_offset(one.log), 102);
    assert_int_equal(log_last_epoch(one.log), 7);
    assert_int_equal(log_epoch_of(one.log, 101), 7);
    a = one_start(&one, (struct one_batch){.count = 2});
    a->append.as_given = true;
    batch_set_base_offset(a->append.batch, 101);
    simenv_run(one.simenv, one_do_append, a);
    assert_int_equal(a->err, ERR_OFFSET_OUT_OF_RANGE);
    one_close(&one);
    one_fini(&one);
}

/* ---- reservations ---- */

struct reserve {
    struct one_log *one;
    int64_t count;
    int64_t base;
    struct one_append *fill;
};

static void do_reserve(void *arg)
{
    struct reserve *r = arg;

    r->base = log_reserve(r->one->log, r->count);
}

static void do_fill(void *arg)
{
    struct reserve *r = arg;

    log_fill(r->one->log, r->base, &r->fill->append);
}

static void do_release(void *arg)
{
    struct reserve *r = arg;

    log_release(r->one->log, r->base);
}

static void log_appends_queue_behind_a_reservation(void **state)
{
    struct one_log one;
    struct reserve r = {.one = &one, .count = 3};
    struct one_append *behind;

    one_init(&one, 9);
    one_open(&one, false);
    (void)one_put(&one, (struct one_batch){.count = 2});
    simenv_run(one.simenv, do_reserve, &r);
    assert_int_equal(r.base, 2);
    behind = one_append(&one, (struct one_batch){.count = 4});
    one_settle(&one);
    assert_false(behind->done);
    assert_int_equal(log_end_offset(one.log), 2);
    r.fill = one_start(&one, (struct one_batch){.count = 3});
    simenv_run(one.simenv, do_fill, &r);
    assert_true(r.fill->done && behind->done);
    assert_int_equal(r.fill->append.base_offset, 2);
    assert_int_equal(behind->append.base_offset, 5);
    one_settle(&one);
    assert_int_equal(log_flushed_end(one.log), 9);
    one_show(&one);
    assert_int_equal(one_count(&one, 0, 1 << 20), 9);
    one_close(&one);
    one_fini(&one);
}

static void log_released_reservation_leaves_a_hole_that_stays(void **state)
{
    struct one_log one;
    struct reserve r = {.one = &one, .count = 3};

    one_init(&one, 10);
    one_open(&one, false);
    (void)one_put(&one, (struct one_batch){.count = 2});
    simenv_run(one.simenv, do_reserve, &r);
    simenv_run(one.simenv, do_release, &r);
    one_settle(&one);
    assert_int_equal(log_flushed_end(one.log), 5);
    one_show(&one);
    assert_int_equal(one_count(&one, 0, 1 << 20), 2);
    assert_int_equal(one_count(&one, 3, 1 << 20), 0);
    /* Consumers may have been told that they are at 5. */
    one_kill(&one);
    simdisk_crash_losing_all(one.sim);
    one_open(&one, false);
    assert_int_equal(one.report.end_offset, 5);
    assert_int_equal(one.report.damaged_offset, -1);
    assert_int_equal(one_put(&one, (struct one_batch){.count = 1}), 5);
    one_show(&one);
    assert_int_equal(one_count(&one, 2, 1 << 20), 1);
    one_close(&one);
    one_fini(&one);
}

static void log_reservations_may_be_filled_in_any_order(void **state)
{
    struct one_log one;
    struct reserve a = {.one = &one, .count = 1};
    struct reserve b = {.one = &one, .count = 2};
    struct reserve c = {.one = &one, .count = 1};

    one_init(&one, 11);
    one_open(&one, false);
    simenv_run(one.simenv, do_reserve, &a);
    simenv_run(one.simenv, do_reserve, &b);
    simenv_run(one.simenv, do_reserve, &c);
    c.fill = one_start(&one, (struct one_batch){.count = 1});
    simenv_run(one.simenv, do_fill, &c);
    simenv_run(one.simenv, do_release, &b);
    assert_false(c.fill->done);
    a.fill = one_start(&one, (struct one_batch){.count = 1});
    simenv_run(one.simenv, do_fill, &a);
    assert_true(a.fill->done && c.fill->done);
    one_settle(&one);
    one_show(&one);
    assert_int_equal(log_end_offset(one.log), 4);
    assert_int_equal(one_count(&one, 0, 1 << 20), 2);
    assert_int_equal(one_count(&one, 1, 1 << 20), 1);
    one_close(&one);
    one_fini(&one);
}

/* With no room for it in the end, or in a log that closes. */
static void log_duplicate_waits_with_what_a_reservation_holds_up(void **state)
{
    for (int way = 0; way < 3; way++) {
        struct one_log one;
        struct reserve r = {.one = &one, .count = 3};
        struct one_batch it = {.count = 4, .producer_id = 7};
        struct one_append *behind;
        struct one_append *again;

        one_init(&one, 13);
        one_open(&one, false);
        (void)one_put(&one, (struct one_batch){.count = 2});
        simenv_run(one.simenv, do_reserve, &r);
        behind = one_append(&one, it);
        again = one_append(&one, it);
        one_settle(&one);
        assert_false(behind->done);
        assert_false(again->done);
        if (way == 1) {
            simdisk_limit(one.sim, simdisk_used_bytes(one.sim));
        }
        if (way == 2) {
            one_close(&one);
        } else {
            simenv_run(one.simenv, do_release, &r);
        }
        assert_true(behind->done && again->done);
        assert_int_equal(behind->err, way == 1 ? ERR_FULL : ERR_NONE);
        assert_int_equal(again->err, behind->err);
        assert_int_equal(again->append.duplicate, way != 1);
        if (way != 1) {
            assert_int_equal(again->append.base_offset, 5);
        }
        simdisk_limit(one.sim, UINT64_MAX);
        if (way != 2) {
            one_close(&one);
        }
        one_fini(&one);
    }
}

static void log_close_gives_reservations_up(void **state)
{
    struct one_log one;
    struct reserve r = {.one = &one, .count = 3};
    struct one_append *behind;

    one_init(&one, 12);
    one_open(&one, false);
    simenv_run(one.simenv, do_reserve, &r);
    behind = one_append(&one, (struct one_batch){.count = 4});
    one_close(&one);
    assert_true(behind->done);
    assert_int_equal(behind->err, ERR_NONE);
    one_open(&one, true);
    assert_int_equal(one.report.end_offset, 7);
    one_close(&one);
    one_fini(&one);
}

static void fill_with_another_count(void *arg)
{
    struct reserve *r = arg;

    r->fill = one_start(r->one, (struct one_batch){.count = 9});
    log_fill(r->one->log, r->base, &r->fill->append);
}

static void log_fill_must_have_the_reserved_count(void **state)
{
    struct one_log one;
    struct reserve r = {.one = &one, .count = 3};

    one_init(&one, 13);
    one_open(&one, false);
    simenv_run(one.simenv, do_reserve, &r);
    assert_true(fixture_aborts(fill_with_another_count, &r));
    one_close(&one);
    one_fini(&one);
}

/* ---- a made-up lane ----
 *
 * The lane checks a producer's sequences; what it lets through goes into two
 * homes, which are logs without producers of their own, in reserved ranges.
 * The lane itself is a log whose batches (receipts) say where. */

struct lane {
    struct log_producers producers;
    int32_t next_sequence;
    int32_t last_sequence;
    int64_t last_base; /* of the last receipt */
    int saved;
};

static struct lane *lane_of(struct log_producers *producers)
{
    return (struct lane *)(void *)producers;
}

static enum err lane_check(struct log_producers *producers,
                           const struct batch_header *batch, bool *duplicate,
                           int64_t *base_offset)
{
    struct lane *lane = lane_of(producers);

    *duplicate = batch->base_sequence == lane->last_sequence;
    *base_offset = lane->last_base;
    return *duplicate || batch->base_sequence == lane->next_sequence
               ? ERR_NONE
               : ERR_OUT_OF_ORDER_SEQUENCE_NUMBER;
}

static void lane_note(struct log_producers *producers,
                      const struct batch_header *batch, int64_t seen_ms)
{
    struct lane *lane = lane_of(producers);

    lane->last_sequence = batch->base_sequence;
    lane->next_sequence = batch_last_sequence(batch) + 1;
    lane->last_base = batch->base_offset;
}

static void lane_refuse(struct log_producers *producers,
                        const struct batch_header *batch, int64_t seen_ms)
{
}

static void lane_settle(struct log_producers *producers, int64_t end_offset)
{
}

static void lane_give_back(struct log_producers *producers)
{
}

static void lane_reset(struct log_producers *producers)
{
    struct lane *lane = lane_of(producers);

    lane->next_sequence = 0;
    lane->last_sequence = -1;
}

static void lane_save(struct log_producers *producers, int64_t before_offset,
                      char **kafka, size_t *kafka_bytes, char **deep,
                      size_t *deep_bytes)
{
    lane_of(producers)->saved++;
}

static enum err lane_load(struct log_producers *producers, struct str kafka,
                          struct str deep, int64_t saved_ms)
{
    return ERR_CORRUPT;
}

/* Producer state by interface: the log that has the records is not the one
 * that checks their sequences, and recovery rebuilds the lane from its own. */
static void log_works_for_a_lane_that_is_not_the_log(void **state)
{
    struct lane lane = {.producers = {.check = lane_check,
                                      .refuse = lane_refuse,
                                      .take = lane_note,
                                      .settle = lane_settle,
                                      .give_back = lane_give_back,
                                      .note = lane_note,
                                      .reset = lane_reset,
                                      .save = lane_save,
                                      .load = lane_load}};
    struct one_log journal;
    struct one_log home;
    struct reserve r = {.one = &home, .count = 2};
    struct one_batch receipt = {.count = 1, .producer_id = 4};
    struct one_append *again;

    one_init(&journal, 14);
    one_init(&home, 15);
    log_producers_close(journal.producers);
    log_producers_close(home.producers);
    journal.producers = &lane.producers;
    home.producers = NULL;
    one_open(&journal, false);
    one_open(&home, false);
    (void)one_put(&home, (struct one_batch){.count = 5});

    simenv_run(home.simenv, do_reserve, &r);
    (void)one_put(&journal, receipt); /* the commit point */
    r.fill = one_start(&home, (struct one_batch){.count = 2});
    simenv_run(home.simenv, do_fill, &r);
    assert_int_equal(r.fill->append.base_offset, 5);

    /* A retry is answered from the receipt; nothing is written. */
    again = one_append(&journal, receipt);
    assert_true(again->append.duplicate);
    assert_int_equal(again->append.base_offset, 0);

    one_kill(&journal);
    one_open(&journal, false);
    again = one_append(&journal, receipt);
    assert_true(again->append.duplicate);
    receipt.sequence = 7;
    assert_int_equal(one_append(&journal, receipt)->err,
                     ERR_OUT_OF_ORDER_SEQUENCE_NUMBER);
    one_close(&journal);
    one_close(&home);
    assert_true(lane.saved > 0);
    journal.producers = NULL;
    one_fini(&journal);
    one_fini(&home);
}

/* ---- a full disk ---- */

static void log_keeps_the_reserve_free_of_clients(void **state)
{
    struct one_log one;
    struct one_batch it = {.count = 1, .value_bytes = 3000, .producer_id = 2};
    struct one_append *a;

    one_init(&one, 16);
    simdisk_limit(one.sim, 100000);
    one.config.reserve_bytes = 50000;
    one_open(&one, false);
    while ((a = one_append(&one, it))->err == ERR_NONE) {
        it.sequence++;
        one_settle(&one);
        assert_true(it.sequence < 100);
    }
    assert_int_equal(a->err, ERR_FULL);
    assert_true(it.sequence >= 13);
    /* Others may use it: elections, replication, the quorum. */
    assert_int_equal(
        one_append(&one, (struct one_batch){.count = 1, .value_bytes = 3000})
            ->err,
        ERR_NONE);
    /* It ends by itself, within a second, and the producer goes on. */
    simdisk_limit(one.sim, 300000);
    simclock_run_for_ms(&one.clock, 1100);
    assert_int_equal(one_append(&one, it)->err, ERR_NONE);
    one_close(&one);
    one_fini(&one);
}

static void
log_refuses_on_a_full_disk_and_goes_on_when_there_is_room(void **state)
{
    struct one_log one;
    struct one_batch it = {.count = 1, .value_bytes = 3000, .producer_id = 2};
    struct one_append *a;
    int32_t full_at;

    one_init(&one, 17);
    one.config.segment_bytes = 20000;
    simdisk_limit(one.sim, 50000);
    one_open(&one, false);
    while ((a = one_append(&one, it))->err == ERR_NONE) {
        it.sequence++;
        one_settle(&one);
        assert_true(it.sequence < 100);
    }
    full_at = it.sequence;
    assert_int_equal(a->err, ERR_FULL);
    assert_int_equal(log_end_offset(one.log), full_at);
    assert_int_equal(one_append(&one, it)->err, ERR_FULL);
    simclock_run_for_ms(&one.clock, 3000);
    assert_int_equal(one.failures, 0);
    simdisk_limit(one.sim, UINT64_MAX);
    for (int i = 0; i < 5; i++, it.sequence++) {
        assert_int_equal(one_put(&one, it), it.sequence);
    }
    one_show(&one);
    assert_int_equal(one_count(&one, 0, 1 << 20), full_at + 5);
    one_kill(&one);
    one_open(&one, false);
    assert_int_equal(one.report.end_offset, full_at + 5);
    assert_int_equal(one.report.cut_from_offset, -1);
    one_close(&one);
    one_fini(&one);
}

/* Two appends of the same batch in one turn. */
struct twice {
    struct one_append *first;
    struct one_append *again;
};

static void append_twice(void *arg)
{
    struct twice *twice = arg;

    log_append(twice->first->one->log, &twice->first->append);
    log_append(twice->again->one->log, &twice->again->append);
}

static void log_refuses_a_duplicate_of_what_a_full_disk_refuses(void **state)
{
    struct one_batch batch = {.count = 1,
                              .timestamp = 900000,
                              .producer_id = 7,
                              .sequence = 1,
                              .value_bytes = 5000};
    struct one_batch before = {.count = 1, .producer_id = 7};
    struct one_log one;
    struct twice twice;

    one_init(&one, 31);
    one_open(&one, false);
    (void)one_put(&one, before);
    twice.first = one_start(&one, batch);
    twice.again = one_start(&one, batch);
    simdisk_limit(one.sim, simdisk_used_bytes(one.sim) + 100);
    simenv_run(one.simenv, append_twice, &twice);
    one_settle(&one);
    assert_int_equal(twice.first->err, ERR_FULL);
    assert_int_equal(twice.again->err, ERR_FULL);
    assert_false(twice.again->append.duplicate);
    simdisk_limit(one.sim, UINT64_MAX);
    one_close(&one);
    one_fini(&one);
}

/* A client may send the records of years ago. */
static void log_remembers_a_producer_with_old_timestamps(void **state)
{
    struct one_batch batch = {
        .count = 1, .timestamp = 5, .producer_id = 7, .value_bytes = 10};
    struct one_log one;

    one_init(&one, 32);
    one.clock.wall_start_ms = 1000000000;
    simdisk_wall_ms(one.sim, 1000000000);
    one_open(&one, false);
    (void)one_put(&one, batch);
    for (int stop = 0; stop < 3; stop++) {
        struct one_append *again;

        (void)log_retain(one.log, 1000000000);
        again = one_append(&one, batch);
        one_settle(&one);
        assert_int_equal(again->err, ERR_NONE);
        assert_true(again->append.duplicate);
        assert_int_equal(again->append.base_offset, 0);
        if (stop == 0) {
            one_close(&one);
        } else {
            one_kill(&one);
        }
        one_open(&one, stop == 0);
    }
    (void)log_retain(one.log, 1000000000 + INT64_C(2) * 86400000);
    assert_false(one_append(&one, batch)->append.duplicate);
    one_close(&one);
    one_fini(&one);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(log_answers_all_appends_of_a_turn_at_its_end),
        cmocka_unit_test(log_refuses_a_duplicate_of_what_a_full_disk_refuses),
        cmocka_unit_test(log_remembers_a_producer_with_old_timestamps),
        cmocka_unit_test(log_commits_groups),
        cmocka_unit_test(log_sets_no_timer_when_idle),
        cmocka_unit_test(log_async_syncs_by_count_and_by_time_only),
        cmocka_unit_test(log_rolls_by_size_and_stores_state),
        cmocka_unit_test(log_refuses_a_batch_over_the_segments_size),
        cmocka_unit_test(log_answers_a_duplicate_with_where_it_is),
        cmocka_unit_test(log_takes_a_leaders_offsets_as_given),
        cmocka_unit_test(log_appends_queue_behind_a_reservation),
        cmocka_unit_test(log_released_reservation_leaves_a_hole_that_stays),
        cmocka_unit_test(log_reservations_may_be_filled_in_any_order),
        cmocka_unit_test(log_duplicate_waits_with_what_a_reservation_holds_up),
        cmocka_unit_test(log_close_gives_reservations_up),
        cmocka_unit_test(log_fill_must_have_the_reserved_count),
        cmocka_unit_test(log_works_for_a_lane_that_is_not_the_log),
        cmocka_unit_test(log_keeps_the_reserve_free_of_clients),
        cmocka_unit_test(
            log_refuses_on_a_full_disk_and_goes_on_when_there_is_room),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
