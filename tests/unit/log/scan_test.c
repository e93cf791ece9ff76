/* scan_test.c - batch by batch, and across what is damaged. */
#include "base/arena.h"
#include "base/mem.h"
#include "lib/fixture.h"
#include "lib/simdisk.h"
#include "log/scan.h"

enum { BATCHES = 6 };

static struct simdisk *sim;
static struct file *file;
static struct arena arena;
static uint64_t starts[BATCHES + 1];

/* Batches of 2 records; the third one larger than a block. */
static int set_up(void **state)
{
    struct disk *disk;
    uint64_t at = 0;
    static char value[400000];

    sim = simdisk_open();
    disk = simdisk_disk(sim);
    assert_int_equal(file_open(disk, "/f", FILE_WRITE, &file, NULL), ERR_NONE);
    for (int i = 0; i < BATCHES; i++) {
        struct batch_options options = BATCH_OPTIONS;
        struct batch_builder builder;
        struct str out;
        struct iovec part;

        options.base_offset = i * 2;
        batch_builder_init(&builder, &arena, &options, 256);
        for (int r = 0; r < 2; r++) {
            struct batch_record record = {
                .value = str_sub(value, i == 2 ? sizeof(value) : 50)};

            batch_builder_add(&builder, &record);
        }
        assert_int_equal(batch_builder_finish(&builder, &out), ERR_NONE);
        part = (struct iovec){(void *)(uintptr_t)out.ptr, out.len};
        assert_int_equal(file_write(file, at, &part, 1, NULL), ERR_NONE);
        starts[i] = at;
        at += out.len;
    }
    starts[BATCHES] = at;
    return 0;
}

static int tear_down(void **state)
{
    file_close(file);
    simdisk_close(sim);
    arena_reset(&arena);
    return 0;
}

static void scan_gives_every_batch(void **state)
{
    struct scan scan;
    struct scan_batch batch;
    uint8_t *bytes;

    scan_init(&scan, file, 0, starts[BATCHES]);
    for (int i = 0; i < BATCHES; i++) {
        assert_int_equal(scan_next(&scan, &batch, NULL), ERR_NONE);
        assert_int_equal(batch.header.base_offset, i * 2);
        assert_int_equal(batch.position, starts[i]);
        bytes = mem_alloc((size_t)batch.header.bytes);
        assert_int_equal(scan_load(&scan, &batch, bytes, NULL), ERR_NONE);
        assert_int_equal(
            batch_parse(bytes, (size_t)batch.header.bytes, &batch.header),
            ERR_NONE);
        mem_free(bytes);
    }
    assert_int_equal(scan_next(&scan, &batch, NULL), ERR_NOT_FOUND);
    scan_fini(&scan);
}

static void scan_tells_a_torn_end(void **state)
{
    for (uint64_t end = starts[5] + 1; end < starts[6]; end++) {
        struct scan scan;
        struct scan_batch batch;

        scan_init(&scan, file, starts[5], end);
        assert_int_equal(scan_next(&scan, &batch, NULL), ERR_TORN);
        assert_int_equal(scan.position, starts[5]);
        scan_fini(&scan);
    }
}

/* Any byte under the CRC, of a small and of the large batch. */
static void scan_sees_every_changed_byte(void **state)
{
    for (uint64_t at = starts[1] + 16; at < starts[2] + 3000; at += 7) {
        struct scan scan;
        struct scan_batch batch;
        enum err err;

        if (at >= starts[2] && at < starts[2] + 16) {
            continue;
        }
        assert_true(simdisk_rot(sim, "/f", at, 0x80));
        scan_init(&scan, file, 0, starts[BATCHES]);
        while ((err = scan_next(&scan, &batch, NULL)) == ERR_NONE) {
        }
        assert_true(err == ERR_CORRUPT || err == ERR_TORN);
        assert_int_equal(scan.position, at < starts[2] ? starts[1] : starts[2]);
        scan_fini(&scan);
        assert_true(simdisk_rot(sim, "/f", at, 0x80));
    }
}

static void scan_finds_the_next_good_batch(void **state)
{
    /* In the records; in the length; in the magic. */
    static const uint64_t places[] = {100, 9, 16};

    for (size_t i = 0; i < ARRAY_COUNT(places); i++) {
        struct scan scan;
        struct scan_batch batch;

        assert_true(simdisk_rot(sim, "/f", starts[1] + places[i], 0x11));
        scan_init(&scan, file, starts[1], starts[BATCHES]);
        assert_int_not_equal(scan_next(&scan, &batch, NULL), ERR_NONE);
        assert_int_equal(scan_resync(&scan, 2, 100, NULL), ERR_NONE);
        assert_int_equal(scan.position, starts[2]);
        assert_int_equal(scan_next(&scan, &batch, NULL), ERR_NONE);
        assert_int_equal(batch.header.base_offset, 4);
        scan_fini(&scan);
        assert_true(simdisk_rot(sim, "/f", starts[1] + places[i], 0x11));
    }
}

static void scan_resync_gives_up_at_the_end(void **state)
{
    struct scan scan;
    struct scan_batch batch;

    assert_true(simdisk_rot(sim, "/f", starts[5] + 30, 1));
    scan_init(&scan, file, starts[5], starts[BATCHES]);
    assert_int_equal(scan_next(&scan, &batch, NULL), ERR_CORRUPT);
    assert_int_equal(scan_resync(&scan, 0, 100, NULL), ERR_NOT_FOUND);
    assert_int_equal(scan.position, starts[BATCHES]);
    scan_fini(&scan);
    /* Batches of other offsets are none. */
    scan_init(&scan, file, starts[3], starts[BATCHES]);
    assert_int_equal(scan_resync(&scan, 50, 100, NULL), ERR_NOT_FOUND);
    scan_fini(&scan);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(scan_gives_every_batch, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(scan_tells_a_torn_end, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(scan_sees_every_changed_byte, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(scan_finds_the_next_good_batch, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(scan_resync_gives_up_at_the_end, set_up,
                                        tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
