/* dump_test.c - what "log dump" and "log check" see. */
#include "log/dump.h"
#include "log/names.h"
#include "unit/log/one_log.h"

struct seen {
    uint64_t kinds[DUMP_PROBLEM + 1];
    int64_t problem_offset;
    char problem_file[64];
    char text[200];
};

static void see(void *arg, const struct dump_event *event)
{
    struct seen *seen = arg;

    seen->kinds[event->kind]++;
    assert_string_equal(event->partition, "orders-3");
    if (event->kind == DUMP_PROBLEM && seen->kinds[DUMP_PROBLEM] == 1) {
        seen->problem_offset = event->offset;
        (void)snprintf(seen->problem_file, sizeof(seen->problem_file), "%s",
                       event->file == NULL ? "" : event->file);
        (void)snprintf(seen->text, sizeof(seen->text), "%s", event->text);
    }
}

static struct dump_counts look(struct one_log *one, const char *path,
                               struct seen *seen)
{
    struct dump_options options = {.records = true, .each = see, .arg = seen};
    struct dump_counts counts;

    *seen = (struct seen){0};
    assert_int_equal(dump_folder(one->disk, path, &options, &counts, NULL),
                     ERR_NONE);
    return counts;
}

static void fill(struct one_log *one)
{
    one_init(one, 1);
    one->config.segment_bytes = 6000;
    one->config.index_interval_bytes = 500;
    one_open(one, false);
    for (int i = 0; i < 20; i++) {
        (void)one_put(one, (struct one_batch){.count = 10,
                                              .timestamp = 1000 + i * 100,
                                              .producer_id = 4,
                                              .sequence = i * 10,
                                              .value_bytes = 120});
    }
    assert_int_equal(log_begin_epoch(one->log, 3, NULL), ERR_NONE);
}

static void dump_tells_all_there_is(void **state)
{
    static const char *const paths[] = {ONE_FOLDER, ONE_FOLDER "/", "/log",
                                        "/"};
    struct one_log one;
    struct seen seen;

    fill(&one);
    one_close(&one);
    for (size_t i = 0; i < ARRAY_COUNT(paths); i++) {
        struct dump_counts counts = look(&one, paths[i], &seen);

        assert_int_equal(counts.partitions, 1);
        assert_int_equal(counts.segments, 5);
        assert_int_equal(counts.batches, 20);
        assert_int_equal(counts.records, 200);
        assert_int_equal(counts.problems, 0);
        assert_int_equal(counts.tails, 0);
        assert_int_equal(seen.kinds[DUMP_RECORD], 200);
        assert_int_equal(seen.kinds[DUMP_SEGMENT], 5);
    }
    one_fini(&one);
}

static void dump_has_no_problem_with_a_log_that_is_open(void **state)
{
    struct one_log one;
    struct seen seen;

    fill(&one);
    (void)one_append(&one, (struct one_batch){.count = 1});
    assert_int_equal(look(&one, ONE_FOLDER, &seen).problems, 0);
    one_close(&one);
    one_fini(&one);
}

static void dump_finds_a_flipped_byte_anywhere(void **state)
{
    static const char *const files[] = {
        "00000000000000000000.log",      "00000000000000000080.log",
        "00000000000000000080.index",    "00000000000000000080.timeindex",
        "00000000000000000080.snapshot", "00000000000000000080.producers",
        "00000000000000000200.snapshot", "00000000000000000200.producers",
    };
    struct one_log one;
    struct seen seen;

    fill(&one);
    one_close(&one);
    for (size_t i = 0; i < ARRAY_COUNT(files); i++) {
        int64_t bytes = one_file_bytes(&one, files[i]);
        char path[300];

        assert_true(bytes > 0);
        (void)snprintf(path, sizeof(path), ONE_FOLDER "/%s", files[i]);
        for (int64_t at = 0; at < bytes; at += 1 + bytes / 150) {
            /* The leader epoch lies outside all checks. */
            bool epoch =
                i < 2 && at % (bytes / 4) >= 12 && at % (bytes / 4) < 16;

            if (epoch) {
                continue;
            }
            assert_true(simdisk_rot(one.sim, path, (uint64_t)at, 0x20));
            assert_true(look(&one, ONE_FOLDER, &seen).problems > 0);
            assert_true(simdisk_rot(one.sim, path, (uint64_t)at, 0x20));
        }
    }
    assert_int_equal(look(&one, ONE_FOLDER, &seen).problems, 0);
    one_fini(&one);
}

static void dump_says_where_the_damage_is(void **state)
{
    struct one_log one;
    struct seen seen;

    fill(&one);
    one_close(&one);
    assert_true(
        simdisk_rot(one.sim, ONE_FOLDER "/00000000000000000080.log", 2000, 1));
    (void)look(&one, ONE_FOLDER, &seen);
    assert_int_equal(seen.problem_offset, 90);
    assert_string_equal(seen.problem_file, "00000000000000000080.log");
    assert_string_equal(seen.text, "checksum does not match");
    one_fini(&one);
}

static void dump_tells_a_tail_from_damage(void **state)
{
    struct one_log one;
    struct seen seen;
    struct dump_counts counts;
    struct file *file = NULL;
    uint64_t bytes = 0;

    fill(&one);
    simclock_run_for_ms(&one.clock, 2000);
    (void)one_put(&one, (struct one_batch){.count = 1});
    one_kill(&one);
    one_forget_note(&one);
    assert_int_equal(file_open(one.disk, ONE_FOLDER "/00000000000000000160.log",
                               FILE_WRITE, &file, NULL),
                     ERR_NONE);
    assert_int_equal(file_size(file, &bytes, NULL), ERR_NONE);
    assert_int_equal(file_truncate(file, bytes - 1, NULL), ERR_NONE);
    file_close(file);
    counts = look(&one, ONE_FOLDER, &seen);
    assert_int_equal(counts.tails, 1);
    assert_int_equal(counts.problems, 0);
    one_fini(&one);
}

/* As Apache Kafka has them while it runs; in an older segment it has not. */
static void dump_takes_an_index_that_was_made_larger(void **state)
{
    static const char *const names[] = {
        "/00000000000000000160.index", "/00000000000000000160.timeindex",
        "/00000000000000000080.index", "/00000000000000000080.timeindex"};
    struct one_log one;
    struct seen seen;

    fill(&one);
    one_close(&one);
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        char *path = mem_printf(ONE_FOLDER "%s", names[i]);
        struct file *file = NULL;

        assert_int_equal(file_open(one.disk, path, FILE_WRITE, &file, NULL),
                         ERR_NONE);
        assert_int_equal(file_truncate(file, 24000, NULL), ERR_NONE);
        file_close(file);
        mem_free(path);
        assert_int_equal(look(&one, ONE_FOLDER, &seen).problems > 0, i >= 2);
    }
    one_fini(&one);
}

static void dump_finds_no_partition_where_none_is(void **state)
{
    struct one_log one;
    struct dump_options options = {0};
    struct dump_counts counts;

    one_init(&one, 1);
    assert_int_equal(dump_folder(one.disk, "/log", &options, &counts, NULL),
                     ERR_NOT_FOUND);
    assert_int_equal(dump_folder(one.disk, "/nowhere", &options, &counts, NULL),
                     ERR_NOT_FOUND);
    one_fini(&one);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dump_tells_all_there_is),
        cmocka_unit_test(dump_has_no_problem_with_a_log_that_is_open),
        cmocka_unit_test(dump_finds_a_flipped_byte_anywhere),
        cmocka_unit_test(dump_says_where_the_damage_is),
        cmocka_unit_test(dump_tells_a_tail_from_damage),
        cmocka_unit_test(dump_takes_an_index_that_was_made_larger),
        cmocka_unit_test(dump_finds_no_partition_where_none_is),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
