/* small_files_test.c - the small files, whole, torn and changed. */
#include "base/mem.h"
#include "lib/fixture.h"
#include "lib/simdisk.h"
#include "log/small_files.h"
#include "log/names.h"

static struct simdisk *sim;
static struct disk *disk;

static int set_up(void **state)
{
    sim = simdisk_open();
    disk = simdisk_disk(sim);
    assert_int_equal(disk_make_folder(disk, "/t-0", NULL), ERR_NONE);
    assert_int_equal(disk_sync_folder(disk, "/", NULL), ERR_NONE);
    return 0;
}

static int tear_down(void **state)
{
    simdisk_close(sim);
    return 0;
}

static int64_t load_point(void)
{
    struct small_files_point point;

    assert_int_equal(small_files_load_point(disk, "/t-0", &point, NULL),
                     ERR_NONE);
    return point.offset;
}

static void save_point(struct small_files_point *point, int64_t offset)
{
    struct file *file = NULL;

    point->offset = offset;
    assert_int_equal(small_files_save_point(disk, "/t-0", &file, point, NULL),
                     ERR_NONE);
    file_close(file);
}

static void small_files_point_is_the_last_one_stored(void **state)
{
    struct small_files_point point = {
        .base = 7, .position = 99, .first_timestamp = 5, .created_ms = 6};
    struct small_files_point back;

    assert_int_equal(load_point(), -1);
    for (int i = 0; i < 5; i++) {
        save_point(&point, 10 + i);
        assert_int_equal(load_point(), 10 + i);
    }
    assert_int_equal(small_files_load_point(disk, "/t-0", &back, NULL),
                     ERR_NONE);
    assert_memory_equal(&back, &point, sizeof(back));
}

static void small_files_point_is_durable(void **state)
{
    struct small_files_point point = {0};

    for (int i = 0; i < 5; i++) {
        save_point(&point, 10 + i);
        simdisk_crash_losing_all(sim);
        assert_int_equal(load_point(), 10 + i);
    }
}

/* Each byte of the slot that was written last: the other slot answers. */
static void small_files_point_falls_back_to_the_one_before(void **state)
{
    struct small_files_point point = {0};

    save_point(&point, 10);
    save_point(&point, 11);
    for (uint64_t at = 0; at < 64; at++) {
        assert_true(simdisk_rot(sim, "/t-0/" NAMES_POINT, at, 1));
        assert_int_equal(load_point(), 10);
        assert_true(simdisk_rot(sim, "/t-0/" NAMES_POINT, at, 1));
    }
    assert_true(simdisk_rot(sim, "/t-0/" NAMES_POINT, 16, 1));
    assert_true(simdisk_rot(sim, "/t-0/" NAMES_POINT, 512 + 16, 1));
    assert_int_equal(load_point(), -1);
}

static void note_point(const struct small_files_point *point, int64_t offset)
{
    struct small_files_point note = *point;
    struct file *file = NULL;

    note.offset = offset;
    assert_int_equal(small_files_note_point(disk, "/t-0", &file, &note, NULL),
                     ERR_NONE);
    file_close(file);
}

/* It is later than the one that was saved before it, and no other. */
static void small_files_point_that_was_noted_counts_until_the_next(void **state)
{
    struct small_files_point point = {0};

    save_point(&point, 10);
    note_point(&point, 15);
    note_point(&point, 16);
    assert_int_equal(load_point(), 16);
    save_point(&point, 12); /* a truncation */
    assert_int_equal(load_point(), 12);
    note_point(&point, 13);
    assert_int_equal(load_point(), 13);
    simdisk_crash_losing_all(sim);
    assert_int_equal(load_point(), 12);
    save_point(&point, 20);
    assert_int_equal(load_point(), 20);
    note_point(&point, 21);
    for (uint64_t at = 0; at < 64; at++) {
        assert_true(simdisk_rot(sim, "/t-0/" NAMES_POINT, 1024 + at, 1));
        assert_int_equal(load_point(), 20);
        assert_true(simdisk_rot(sim, "/t-0/" NAMES_POINT, 1024 + at, 1));
    }
}

static void small_files_start_comes_back(void **state)
{
    int64_t start = 0;

    assert_int_equal(small_files_load_start(disk, "/t-0", &start, NULL),
                     ERR_NONE);
    assert_int_equal(start, -1);
    assert_int_equal(small_files_save_start(disk, "/t-0", 1234, NULL),
                     ERR_NONE);
    simdisk_crash_losing_all(sim);
    assert_int_equal(small_files_load_start(disk, "/t-0", &start, NULL),
                     ERR_NONE);
    assert_int_equal(start, 1234);
    assert_true(simdisk_rot(sim, "/t-0/" NAMES_START, 0, 1));
    assert_int_equal(small_files_load_start(disk, "/t-0", &start, NULL),
                     ERR_CORRUPT);
}

static void small_files_claim_is_kafkas_partition_metadata(void **state)
{
    struct uuid id = {{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}};
    struct uuid other = {{9}};
    struct uuid whose;
    char *bytes = NULL;
    size_t count = 0;
    bool made = false;

    assert_int_equal(small_files_sync_claim(disk, "/t-0", NULL), ERR_NONE);
    assert_int_equal(small_files_claim(disk, "/t-0", id, &made, &whose, NULL),
                     ERR_NONE);
    assert_true(made);
    assert_int_equal(small_files_sync_claim(disk, "/t-0", NULL), ERR_NONE);
    assert_int_equal(disk_read_all(disk, "/t-0/partition.metadata", 1000,
                                   &bytes, &count, NULL),
                     ERR_NONE);
    assert_string_equal(bytes,
                        "version: 0\ntopic_id: AQIDBAUGBwgJCgsMDQ4PEA\n");
    mem_free(bytes);
    assert_int_equal(small_files_claim(disk, "/t-0", id, &made, &whose, NULL),
                     ERR_NONE);
    assert_false(made);
    assert_int_equal(
        small_files_claim(disk, "/t-0", other, &made, &whose, NULL),
        ERR_EXISTS);
    assert_true(uuid_eq(whose, id));
    /* A torn one is made anew: nothing hangs on it. */
    assert_true(simdisk_rot(sim, "/t-0/partition.metadata", 0, 1));
    assert_int_equal(
        small_files_claim(disk, "/t-0", other, &made, &whose, NULL), ERR_NONE);
    assert_int_equal(small_files_claim(disk, "/t-0", id, &made, &whose, NULL),
                     ERR_EXISTS);
}

static void small_files_state_comes_back_or_is_refused(void **state)
{
    static const char path[] = "/t-0/producer-state";
    struct str deep = STR_LIT("some bytes");
    char *bytes = NULL;
    size_t count = 0;
    int64_t offset = 0;

    assert_int_equal(
        small_files_load_state(disk, path, &offset, &bytes, &count, NULL),
        ERR_NOT_FOUND);
    assert_int_equal(small_files_save_state(disk, path, 77, deep, true, NULL),
                     ERR_NONE);
    assert_int_equal(
        small_files_load_state(disk, path, &offset, &bytes, &count, NULL),
        ERR_NONE);
    assert_int_equal(offset, 77);
    assert_int_equal(count, deep.len);
    assert_memory_equal(bytes, deep.ptr, count);
    mem_free(bytes);
    for (uint64_t at = 0; at < 20 + deep.len; at++) {
        assert_true(simdisk_rot(sim, path, at, 4));
        assert_int_equal(
            small_files_load_state(disk, path, &offset, &bytes, &count, NULL),
            ERR_CORRUPT);
        assert_true(simdisk_rot(sim, path, at, 4));
    }
    assert_int_equal(
        small_files_save_state(disk, path, 78, STR_LIT(""), false, NULL),
        ERR_NONE);
    assert_int_equal(
        small_files_load_state(disk, path, &offset, &bytes, &count, NULL),
        ERR_NONE);
    assert_int_equal(offset, 78);
    assert_int_equal(count, 0);
    mem_free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            small_files_point_is_the_last_one_stored, set_up, tear_down),
        cmocka_unit_test_setup_teardown(small_files_point_is_durable, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(
            small_files_point_falls_back_to_the_one_before, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            small_files_point_that_was_noted_counts_until_the_next, set_up,
            tear_down),
        cmocka_unit_test_setup_teardown(small_files_start_comes_back, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(
            small_files_claim_is_kafkas_partition_metadata, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            small_files_state_comes_back_or_is_refused, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
