/* segment_test.c - one .log and its indexes. */
#include "base/arena.h"
#include "base/mem.h"
#include "lib/fixture.h"
#include "lib/simdisk.h"
#include "log/segment.h"

static struct simdisk *sim;
static struct disk *disk;
static struct arena arena;

static int set_up(void **state)
{
    sim = simdisk_open();
    disk = simdisk_disk(sim);
    assert_int_equal(disk_make_folder(disk, "/t-0", NULL), ERR_NONE);
    return 0;
}

static int tear_down(void **state)
{
    arena_reset(&arena);
    simdisk_close(sim);
    return 0;
}

/* Writes a batch of 2 records at offset and notes it. Gives its size. */
static uint32_t put(struct segment *segment, int64_t offset, int64_t time)
{
    static const char value[300];
    struct batch_options options = BATCH_OPTIONS;
    struct batch_builder builder;
    struct batch_header h;
    struct iovec part;
    struct str out;

    options.base_offset = offset;
    batch_builder_init(&builder, &arena, &options, 256);
    for (int i = 0; i < 2; i++) {
        struct batch_record record = {.timestamp = time,
                                      .value = str_sub(value, 300)};

        batch_builder_add(&builder, &record);
    }
    assert_int_equal(batch_builder_finish(&builder, &out), ERR_NONE);
    assert_int_equal(batch_parse(out.ptr, out.len, &h), ERR_NONE);
    part = (struct iovec){(void *)(uintptr_t)out.ptr, out.len};
    assert_int_equal(segment_write(segment, &part, 1, NULL), ERR_NONE);
    assert_int_equal(segment_note(segment, &h, 1000, NULL), ERR_NONE);
    return (uint32_t)out.len;
}

static struct segment *fill(int count, uint32_t *each)
{
    struct segment *segment = NULL;

    assert_int_equal(segment_create(disk, "/t-0", 100, &segment, NULL),
                     ERR_NONE);
    for (int i = 0; i < count; i++) {
        *each = put(segment, 100 + i * 3, 5000 - i % 4); /* holes of one */
    }
    return segment;
}

static void segment_finds_the_batch_of_every_offset(void **state)
{
    uint32_t each = 0;
    struct segment *segment = fill(50, &each);

    for (int64_t o = 100; o < 250; o++) {
        struct segment_spot spot;
        /* A hole is answered with what follows it. */
        int64_t batch = (o - 100) / 3 + ((o - 100) % 3 == 2);
        enum err err =
            segment_find(segment, o, segment_bytes(segment), true, &spot, NULL);

        if (batch == 50) {
            assert_int_equal(err, ERR_NOT_FOUND);
            continue;
        }
        assert_int_equal(err, ERR_NONE);
        assert_int_equal(spot.position, (uint64_t)batch * each);
        assert_int_equal(spot.bytes, each);
        assert_int_equal(spot.base_offset, 100 + batch * 3);
        assert_int_equal(spot.last_offset, 101 + batch * 3);
    }
    segment_unref(segment);
}

static void segment_find_obeys_its_limit(void **state)
{
    uint32_t each = 0;
    struct segment *segment = fill(10, &each);
    struct segment_spot spot;

    assert_int_equal(segment_find(segment, 115, each * 5, true, &spot, NULL),
                     ERR_NOT_FOUND);
    assert_int_equal(
        segment_find(segment, 115, each * 6 - 1, true, &spot, NULL),
        ERR_DAMAGED);
    assert_int_equal(segment_find(segment, 115, each * 6, true, &spot, NULL),
                     ERR_NONE);
    segment_unref(segment);
}

static void segment_knows_where_a_batch_before_a_position_ends(void **state)
{
    uint32_t each = 0;
    struct segment *segment = fill(20, &each);
    int64_t end = 0;

    assert_int_equal(segment_end_before(segment, 0, &end, NULL), ERR_NONE);
    assert_int_equal(end, 100);
    for (uint64_t i = 1; i <= 20; i++) {
        assert_int_equal(segment_end_before(segment, i * each, &end, NULL),
                         ERR_NONE);
        assert_int_equal(end, 100 + (int64_t)i * 3 - 1);
    }
    segment_unref(segment);
}

static void segment_is_created_only_where_nothing_is(void **state)
{
    uint32_t each = 0;
    struct segment *segment = fill(1, &each);
    struct segment *again = NULL;

    assert_int_equal(segment_create(disk, "/t-0", 100, &again, NULL),
                     ERR_EXISTS);
    assert_int_equal(segment_open(disk, "/t-0", 101, &again, NULL),
                     ERR_NOT_FOUND);
    assert_int_equal(segment_open(disk, "/t-0", 100, &again, NULL), ERR_NONE);
    assert_int_equal(segment_bytes(again), each);
    segment_unref(again);
    segment_unref(segment);
}

static void segment_knows_its_largest_time(void **state)
{
    uint32_t each = 0;
    struct segment *segment = fill(50, &each);
    struct segment *again = NULL;

    assert_int_equal(atomic_load(&segment->max_timestamp), 5000);
    assert_int_equal(atomic_load(&segment->max_timestamp_offset), 101);
    assert_int_equal(segment->first_timestamp, 5000);
    assert_int_equal(segment_seal(segment, NULL), ERR_NONE);
    assert_int_equal(segment_sync(segment, true, NULL), ERR_NONE);
    segment_unref(segment);
    assert_int_equal(segment_open(disk, "/t-0", 100, &again, NULL), ERR_NONE);
    assert_int_equal(index_load(&again->offsets, NULL), ERR_NONE);
    assert_int_equal(index_load(&again->times, NULL), ERR_NONE);
    segment_load_times(again);
    assert_int_equal(atomic_load(&again->max_timestamp), 5000);
    assert_int_equal(index_count(&again->times), 1);
    segment_unref(again);
}

static void segment_steps_over_damage(void **state)
{
    uint32_t each = 0;
    struct segment *segment = fill(10, &each);
    struct segment_damage damage = {.position = each * 2,
                                    .end_position = each * 4,
                                    .offset = 106,
                                    .end_offset = 112};
    struct segment_damage found;
    struct segment_spot spot;

    assert_false(segment_damage_at(segment, 0, &found));
    assert_true(segment_add_damage(segment, &damage));
    assert_false(segment_add_damage(segment, &damage)); /* known */
    assert_true(segment_damage_of(segment, 106));
    assert_true(segment_damage_of(segment, 111));
    assert_false(segment_damage_of(segment, 112));
    assert_true(segment_damage_at(segment, 0, &found));
    assert_int_equal(found.position, each * 2);
    assert_false(segment_damage_at(segment, each * 4, &found));
    assert_int_equal(
        segment_find(segment, 107, segment_bytes(segment), true, &spot, NULL),
        ERR_NONE);
    assert_int_equal(spot.base_offset, 112);
    segment_unref(segment);
}

/* What is open stays so: readers and a sync have taken it. */
static void
segment_takes_back_what_found_no_room_under_its_readers(void **state)
{
    uint32_t each = 0;
    struct segment *segment = fill(10, &each);
    uint64_t bytes = segment_bytes(segment);
    struct iovec part = {(char[]){"half a batch"}, 12};
    struct lazy_handle *reader = NULL;
    struct lazy_handle *later = NULL;
    uint64_t size = 0;

    assert_int_equal(segment_take(segment, true, &reader, NULL), ERR_NONE);
    assert_int_equal(segment_write(segment, &part, 1, NULL), ERR_NONE);
    assert_int_equal(segment_take_back(segment, NULL), ERR_NONE);
    assert_int_equal(segment_take(segment, true, &later, NULL), ERR_NONE);
    assert_ptr_equal(later, reader);
    assert_int_equal(file_size(reader->file, &size, NULL), ERR_NONE);
    assert_int_equal(size, bytes);
    assert_int_equal(segment_bytes(segment), bytes);
    lazy_handle_unref(reader);
    lazy_handle_unref(later);
    segment_unref(segment);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(segment_finds_the_batch_of_every_offset,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(segment_find_obeys_its_limit, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(
            segment_knows_where_a_batch_before_a_position_ends, set_up,
            tear_down),
        cmocka_unit_test_setup_teardown(
            segment_is_created_only_where_nothing_is, set_up, tear_down),
        cmocka_unit_test_setup_teardown(segment_knows_its_largest_time, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(segment_steps_over_damage, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(
            segment_takes_back_what_found_no_room_under_its_readers, set_up,
            tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
