/* index_test.c - the file, the ring, and the search over both. */
#include "base/mem.h"
#include "lib/fixture.h"
#include "lib/simdisk.h"
#include "log/index.h"

static struct simdisk *sim;
static struct disk *disk;

static int set_up(void **state)
{
    sim = simdisk_open();
    disk = simdisk_disk(sim);
    assert_int_equal(disk_make_folder(disk, "/t-0", NULL), ERR_NONE);
    return 0;
}

static int tear_down(void **state)
{
    simdisk_close(sim);
    return 0;
}

static void fill(struct index *index, enum index_kind kind, uint32_t count)
{
    index_init(index, kind, disk, "/t-0", 1000);
    for (uint32_t i = 0; i < count; i++) {
        struct index_entry entry = {1000 + i * 10, 1000 + i * 3};

        assert_int_equal(index_append(index, entry, NULL), ERR_NONE);
    }
}

static void expect(struct index *index, int64_t key, int64_t found_key)
{
    struct index_entry entry = {0};
    bool found = false;

    for (int in_turn = 0; in_turn < 2; in_turn++) {
        assert_int_equal(
            index_floor(index, key, in_turn == 1, &entry, &found, NULL),
            ERR_NONE);
        assert_int_equal(found, found_key >= 0);
        if (found) {
            assert_int_equal(entry.key, found_key);
            assert_int_equal(entry.value, 1000 + (found_key - 1000) / 10 * 3);
        }
    }
}

static void index_finds_in_file_and_memory(void **state)
{
    static const uint32_t counts[] = {0, 1, 2, 63, 64, 65, 200, 2000};

    for (size_t i = 0; i < ARRAY_COUNT(counts); i++) {
        struct index index;

        fill(&index, INDEX_OFFSETS, counts[i]);
        assert_int_equal(index_count(&index), counts[i]);
        expect(&index, 999, -1);
        for (uint32_t n = 0; n < counts[i]; n++) {
            expect(&index, 1000 + n * 10, 1000 + n * 10);
            expect(&index, 1009 + n * 10, 1000 + n * 10);
        }
        index_fini(&index);
    }
}

static void index_has_kafkas_bytes(void **state)
{
    static const uint8_t offsets[] = {0, 0, 0, 0,  0, 0, 3, 232,
                                      0, 0, 0, 10, 0, 0, 3, 235};
    static const uint8_t times[] = {0, 0, 0, 0, 0, 0, 3, 232, 0, 0, 0, 0,
                                    0, 0, 0, 0, 0, 0, 3, 242, 0, 0, 0, 3};
    struct index index;
    char *bytes = NULL;
    size_t count = 0;

    fill(&index, INDEX_OFFSETS, 2);
    assert_int_equal(index_spill(&index, NULL), ERR_NONE);
    index_fini(&index);
    assert_int_equal(disk_read_all(disk, "/t-0/00000000000000001000.index",
                                   1000, &bytes, &count, NULL),
                     ERR_NONE);
    assert_int_equal(count, sizeof(offsets));
    assert_memory_equal(bytes, offsets, count);
    mem_free(bytes);
    fill(&index, INDEX_TIMES, 2);
    assert_int_equal(index_spill(&index, NULL), ERR_NONE);
    index_fini(&index);
    assert_int_equal(disk_read_all(disk, "/t-0/00000000000000001000.timeindex",
                                   1000, &bytes, &count, NULL),
                     ERR_NONE);
    assert_int_equal(count, sizeof(times));
    assert_memory_equal(bytes, times, count);
    mem_free(bytes);
}

static void index_comes_back(void **state)
{
    struct index index;

    fill(&index, INDEX_OFFSETS, 500);
    assert_int_equal(index_spill(&index, NULL), ERR_NONE);
    assert_int_equal(index_sync(&index, NULL), ERR_NONE);
    index_fini(&index);
    index_init(&index, INDEX_OFFSETS, disk, "/t-0", 1000);
    assert_int_equal(index_load(&index, NULL), ERR_NONE);
    assert_int_equal(index_count(&index), 500);
    assert_int_equal(index.last.key, 1000 + 4990);
    expect(&index, 3333, 3330);
    index_fini(&index);
}

static void index_load_refuses_what_is_no_index(void **state)
{
    struct index index;
    struct file *file = NULL;

    fill(&index, INDEX_OFFSETS, 100);
    assert_int_equal(index_spill(&index, NULL), ERR_NONE);
    index_fini(&index);
    assert_int_equal(file_open(disk, "/t-0/00000000000000001000.index",
                               FILE_WRITE, &file, NULL),
                     ERR_NONE);
    assert_int_equal(file_truncate(file, 799, NULL), ERR_NONE);
    index_init(&index, INDEX_OFFSETS, disk, "/t-0", 1000);
    assert_int_equal(index_load(&index, NULL), ERR_CORRUPT);
    index_fini(&index);
    assert_int_equal(file_truncate(file, 792, NULL), ERR_NONE);
    assert_true(simdisk_rot(sim, "/t-0/00000000000000001000.index", 0, 0x40));
    index_init(&index, INDEX_OFFSETS, disk, "/t-0", 1000);
    assert_int_equal(index_load(&index, NULL), ERR_CORRUPT);
    index_fini(&index);
    file_close(file);
}

static void index_load_checked_keeps_what_grows(void **state)
{
    struct index index;

    fill(&index, INDEX_OFFSETS, 100);
    assert_int_equal(index_spill(&index, NULL), ERR_NONE);
    index_fini(&index);
    index_init(&index, INDEX_OFFSETS, disk, "/t-0", 1000);
    assert_int_equal(index_load_checked(&index, 1000 + 3 * 80, NULL), ERR_NONE);
    assert_int_equal(index_count(&index), 80); /* values below the limit */
    assert_int_equal(index.last.value, 1000 + 3 * 79);
    index_fini(&index);
    /* Entry 40 is made smaller than entry 39. */
    assert_true(
        simdisk_rot(sim, "/t-0/00000000000000001000.index", 40 * 8 + 2, 0x01));
    index_init(&index, INDEX_OFFSETS, disk, "/t-0", 1000);
    assert_int_equal(index_load_checked(&index, INT64_MAX, NULL), ERR_NONE);
    assert_int_equal(index_count(&index), 40);
    expect(&index, 9999, 1390);
    index_fini(&index);
}

static void index_get_knows_its_end(void **state)
{
    struct index index;
    struct index_entry entry;

    fill(&index, INDEX_OFFSETS, 3);
    assert_int_equal(index_get(&index, 2, true, &entry, NULL), ERR_NONE);
    assert_int_equal(entry.key, 1020);
    assert_int_equal(index_get(&index, 3, true, &entry, NULL), ERR_NOT_FOUND);
    assert_int_equal(index_spill(&index, NULL), ERR_NONE);
    assert_int_equal(index_truncate(&index, 1, NULL), ERR_NONE);
    assert_int_equal(index_get(&index, 1, true, &entry, NULL), ERR_NOT_FOUND);
    assert_int_equal(index.last.key, 1000);
    index_fini(&index);
}

static void index_append_says_when_the_disk_is_full(void **state)
{
    struct index index;
    enum err err = ERR_NONE;

    simdisk_limit(sim, 600);
    index_init(&index, INDEX_OFFSETS, disk, "/t-0", 1000);
    for (uint32_t i = 0; i < 300 && !err; i++) {
        struct index_entry entry = {1000 + i, 1000 + i};

        err = index_append(&index, entry, NULL);
    }
    assert_int_equal(err, ERR_FULL);
    simdisk_limit(sim, UINT64_MAX);
    index_fini(&index);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(index_finds_in_file_and_memory, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(index_has_kafkas_bytes, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(index_comes_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(index_load_refuses_what_is_no_index,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(index_load_checked_keeps_what_grows,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(index_get_knows_its_end, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(index_append_says_when_the_disk_is_full,
                                        set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
