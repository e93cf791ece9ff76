/* log_damage_test.c - a byte of a batch's header goes bad on the disk, below
 * the flushed end: that batch is lost and said to be, and nothing else. */
#include "log/dump.h"
#include "unit/log/one_log.h"

enum { BATCHES = 20, RECORDS = 3 };

#define LOG_0 ONE_FOLDER "/00000000000000000000.log"

struct flip {
    bool clean; /* the log was closed, not killed */
    int batch;
    uint64_t at; /* of its bytes */
    uint8_t bits;
    int64_t index_interval_bytes;
};

static void see_nothing(void *arg, const struct dump_event *event)
{
    (void)arg;
    (void)event;
}

static uint64_t problems(struct one_log *one)
{
    struct dump_options options = {.each = see_nothing};
    struct dump_counts counts;

    assert_int_equal(
        dump_folder(one->disk, ONE_FOLDER, &options, &counts, NULL), ERR_NONE);
    return counts.problems;
}

static void stop(struct one_log *one, bool clean)
{
    if (clean) {
        one_close(one);
    } else {
        simclock_run_for_ms(&one->clock, 2500); /* the point is stored */
        one_kill(one);
    }
}

/* What a client gets that asks for offset. */
static void expect(struct one_log *one, const struct flip *flip, int64_t offset)
{
    struct log_range range;
    struct batch_header h;
    uint8_t *bytes;
    enum err err = log_read(one->log, offset, 1, true, &range);

    if (offset / RECORDS == flip->batch) {
        assert_int_equal(err, ERR_DAMAGED);
        return;
    }
    assert_int_equal(err, ERR_NONE);
    assert_true(range.bytes > 0);
    bytes = mem_alloc(range.bytes);
    assert_int_equal(log_range_read(&range, bytes, NULL), ERR_NONE);
    assert_int_equal(batch_parse(bytes, range.bytes, &h), ERR_NONE);
    assert_int_equal(h.base_offset, offset - offset % RECORDS);
    log_range_unpin(&range);
    mem_free(bytes);
}

/* The record of each time is where it was, before anything else was read. */
static void expect_times(struct one_log *one, const struct flip *flip)
{
    for (int i = 0; i < BATCHES; i++) {
        struct log_found found;

        if (i == flip->batch) {
            continue; /* a header is enough for a search */
        }
        assert_int_equal(log_find_time(one->log, 1000 + i * 10, &found, NULL),
                         ERR_NONE);
        assert_int_equal(found.offset, i * RECORDS);
    }
}

static void check_flip(const struct flip *flip)
{
    uint64_t each;
    int32_t epoch;
    struct one_log one;

    one_init(&one, 1 + flip->at);
    one.config.index_interval_bytes = flip->index_interval_bytes;
    one_open(&one, false);
    for (int i = 0; i < BATCHES; i++) {
        if (i == 5) {
            assert_int_equal(log_begin_epoch(one.log, 1, NULL), ERR_NONE);
        }
        (void)one_put(&one, (struct one_batch){.count = RECORDS,
                                               .timestamp = 1000 + i * 10,
                                               .value_bytes = 10});
    }
    each = (uint64_t)one_file_bytes(&one, "00000000000000000000.log") / BATCHES;
    epoch = log_last_epoch(one.log);
    stop(&one, flip->clean);
    assert_int_equal(problems(&one), 0);
    assert_true(simdisk_rot(
        one.sim, LOG_0, each * (uint64_t)flip->batch + flip->at, flip->bits));
    assert_true(problems(&one) > 0);
    one_open(&one, flip->clean);
    assert_int_equal(log_end_offset(one.log), BATCHES * RECORDS);
    assert_int_equal(one.report.cut_bytes, 0);
    assert_int_equal(log_last_epoch(one.log), epoch);
    one_show(&one);
    expect_times(&one, flip);
    for (int64_t o = BATCHES * RECORDS - 1; o >= 0; o--) {
        expect(&one, flip, o);
    }
    for (int64_t o = 0; o < BATCHES * RECORDS; o++) {
        expect(&one, flip, o);
    }
    assert_int_equal(one_put(&one, (struct one_batch){.count = 1}),
                     BATCHES * RECORDS);
    assert_int_equal(one_file_bytes(&one, "00000000000000000000.cut"), -1);
    one_close(&one);
    one_fini(&one);
}

/* All header bytes, of a batch in the middle and of the last one. */
static void check_all(bool clean, int64_t index_interval_bytes)
{
    static const int batches[] = {0, 10, BATCHES - 1};
    static const uint8_t bits[] = {0x01, 0x40, 0x80};

    for (size_t b = 0; b < ARRAY_COUNT(batches); b++) {
        for (uint64_t at = 0; at < BATCH_HEADER_BYTES; at++) {
            for (size_t i = 0; i < ARRAY_COUNT(bits); i++) {
                struct flip flip = {.clean = clean,
                                    .batch = batches[b],
                                    .at = at,
                                    .bits = bits[i],
                                    .index_interval_bytes =
                                        index_interval_bytes};

                check_flip(&flip);
            }
        }
    }
}

static void a_bad_header_byte_costs_its_batch_after_a_stop(void **state)
{
    (void)state;
    check_all(true, 4096);
}

static void a_bad_header_byte_costs_its_batch_after_a_kill(void **state)
{
    (void)state;
    check_all(false, 4096);
}

static void a_bad_header_byte_of_an_indexed_batch_costs_no_other(void **state)
{
    (void)state;
    check_all(true, 100);
    check_all(false, 100);
}

/* Killed at once: whatever was acknowledged is known to be, a bad batch among
 * it is damage and no torn tail, and nothing behind it is lost. */
static void a_bad_batch_is_damage_as_soon_as_it_was_acknowledged(void **state)
{
    for (int batch = 0; batch < BATCHES; batch++) {
        uint64_t each;
        struct one_log one;

        (void)state;
        one_init(&one, 1);
        one_open(&one, false);
        for (int i = 0; i < BATCHES; i++) {
            (void)one_put(&one, (struct one_batch){.count = 1});
        }
        each = (uint64_t)one_file_bytes(&one, "00000000000000000000.log") /
               BATCHES;
        one_kill(&one);
        assert_true(simdisk_rot(
            one.sim, LOG_0, each * (uint64_t)batch + BATCH_HEADER_BYTES, 1));
        one_open(&one, false);
        assert_int_equal(one.report.damaged_offset, batch);
        assert_int_equal(one.report.cut_from_offset, -1);
        assert_int_equal(log_end_offset(one.log), BATCHES);
        one_close(&one);
        one_fini(&one);
    }
}

static void log_sends_no_bad_batch_however_many_there_are(void **state)
{
    enum { COUNT = 60, BYTES = 370 };
    struct one_log one;

    (void)state;
    one_init(&one, 1);
    one_open(&one, false);
    for (int i = 0; i < COUNT; i++) {
        (void)one_put(&one, (struct one_batch){.count = 1, .value_bytes = 300});
    }
    one_close(&one);
    for (int i = 1; i < COUNT; i += 2) {
        assert_true(simdisk_rot(one.sim, ONE_FOLDER "/00000000000000000000.log",
                                (uint64_t)i * BYTES + 100, 0x55));
    }
    one_open(&one, true);
    one_show(&one);
    for (int i = 0; i < 2 * COUNT; i++) {
        struct log_range range;
        struct batch_header header;
        uint8_t bytes[BYTES];

        if (log_read(one.log, i % COUNT, BYTES, true, &range) != ERR_NONE ||
            range.bytes == 0) {
            continue;
        }
        assert_int_equal(range.bytes, BYTES);
        assert_int_equal(log_range_read(&range, bytes, NULL), ERR_NONE);
        log_range_unpin(&range);
        assert_int_equal(batch_parse(bytes, BYTES, &header), ERR_NONE);
    }
    one_close(&one);
    one_fini(&one);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(log_sends_no_bad_batch_however_many_there_are),
        cmocka_unit_test(a_bad_header_byte_costs_its_batch_after_a_stop),
        cmocka_unit_test(a_bad_header_byte_costs_its_batch_after_a_kill),
        cmocka_unit_test(a_bad_header_byte_of_an_indexed_batch_costs_no_other),
        cmocka_unit_test(a_bad_batch_is_damage_as_soon_as_it_was_acknowledged),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
