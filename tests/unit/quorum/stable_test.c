/* stable_test.c - the files `term` and `checkpoint`. */
#include "quorum/stable.h"
#include "base/bytes.h"
#include "base/crc32c.h"
#include "lib/fault.h"
#include "lib/fixture.h"
#include "lib/simdisk.h"

static const char voters[24] = "\1\1\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0a\0\1";

static const struct stable_term some_term = {.id = 3,
                                             .starts = 5,
                                             .term = 9,
                                             .vote = 2,
                                             .mark_term = 8,
                                             .mark_index = 1000};

static struct stable_run runs[] = {{5, 2}, {9, 4}};

static const struct stable_checkpoint some_checkpoint = {
    .index = 12,
    .term = 4,
    .command_index = 11,
    .voters_index = 1,
    .voters = {voters, sizeof(voters)},
    .runs = runs,
    .run_count = 2,
};

static int setup(void **state)
{
    struct simdisk *sim = simdisk_open();
    struct why why;

    assert_int_equal(disk_make_folder(simdisk_disk(sim), "/q", &why), ERR_NONE);
    assert_int_equal(disk_sync_folder(simdisk_disk(sim), "/", &why), ERR_NONE);
    *state = sim;
    return 0;
}

static int teardown(void **state)
{
    simdisk_close(*state);
    return 0;
}

static struct stable_term term_of(int32_t term)
{
    struct stable_term out = some_term;

    out.term = term;
    return out;
}

/* Keeps the terms from first to last, as one run does. */
static void keep(struct disk *disk, int32_t first, int32_t last)
{
    struct stable_slots slots = {0};
    struct stable_term before;
    struct why why;
    enum err err = stable_load_term(disk, "/q", &slots, &before, &why);

    assert_true(err == ERR_NONE || err == ERR_NOT_FOUND);
    for (; first <= last; first++) {
        struct stable_term next = term_of(first);

        assert_int_equal(stable_keep_term(disk, "/q", &slots, &next, &why),
                         ERR_NONE);
    }
    stable_close_term(&slots);
}

/* Gives the error of a load; 0 for the term of none. */
static enum err load(struct disk *disk, struct stable_term *out)
{
    struct stable_slots slots = {0};
    struct why why;
    enum err err = stable_load_term(disk, "/q", &slots, out, &why);

    stable_close_term(&slots);
    return err;
}

static int32_t loaded(struct disk *disk)
{
    struct stable_term out;

    assert_int_equal(load(disk, &out), ERR_NONE);
    return out.term;
}

static void a_term_comes_back(void **state)
{
    struct disk *disk = simdisk_disk(*state);
    struct stable_term out;

    assert_int_equal(load(disk, &out), ERR_NOT_FOUND);
    keep(disk, 9, 9);
    simdisk_crash_losing_all(*state);
    assert_int_equal(load(disk, &out), ERR_NONE);
    assert_int_equal(out.id, 3);
    assert_int_equal(out.starts, 5);
    assert_int_equal(out.term, 9);
    assert_int_equal(out.vote, 2);
    assert_int_equal(out.mark_term, 8);
    assert_int_equal(out.mark_index, 1000);
}

static void the_last_of_many_terms_counts(void **state)
{
    struct disk *disk = simdisk_disk(*state);

    for (int32_t last = 1; last < 30; last += 3) {
        keep(disk, last, last + 2);
        assert_int_equal(loaded(disk), last + 2);
        simdisk_crash_losing_all(*state);
        assert_int_equal(loaded(disk), last + 2);
    }
}

/* What a start waits for. */
static void a_term_costs_one_sync_and_no_space(void **state)
{
    struct disk *disk = simdisk_disk(*state);
    uint64_t syncs;

    keep(disk, 1, 1);
    syncs = simdisk_sync_count(*state);
    simdisk_limit(*state, 0);
    keep(disk, 2, 5);
    assert_int_equal(simdisk_sync_count(*state), syncs + 4);
    assert_int_equal(loaded(disk), 5);
}

/* The bytes that versions before wrote. */
static void put_old_term(struct disk *disk, int32_t term)
{
    uint8_t bytes[40] = {'T', 'Q', 'T', '1'};
    struct why why;

    bytes_put_u64(bytes + 4, 3);
    bytes_put_i32(bytes + 12, term);
    bytes_put_u64(bytes + 16, 2);
    bytes_put_i32(bytes + 24, 8);
    bytes_put_u64(bytes + 28, 1000);
    bytes_put_u32(bytes + 36, crc32c(0, bytes, 36));
    assert_int_equal(disk_replace(disk, "/q/term", bytes, sizeof(bytes), &why),
                     ERR_NONE);
}

static void an_old_term_is_read_and_made_new(void **state)
{
    struct disk *disk = simdisk_disk(*state);
    struct stable_term out;

    put_old_term(disk, 7);
    assert_int_equal(load(disk, &out), ERR_NONE);
    assert_int_equal(out.id, 3);
    assert_int_equal(out.starts, 0);
    assert_int_equal(out.term, 7);
    assert_int_equal(out.vote, 2);
    assert_int_equal(out.mark_term, 8);
    assert_int_equal(out.mark_index, 1000);
    keep(disk, 8, 8);
    simdisk_crash_losing_all(*state);
    assert_int_equal(loaded(disk), 8);
    keep(disk, 9, 10);
    assert_int_equal(loaded(disk), 10);
    for (uint64_t at = 0; at < 40; at++) {
        put_old_term(disk, 7);
        assert_true(simdisk_rot(*state, "/q/term", at, 4));
        assert_int_equal(load(disk, &out), ERR_DAMAGED);
    }
}

static void a_checkpoint_comes_back(void **state)
{
    struct disk *disk = simdisk_disk(*state);
    struct arena arena = {0};
    struct stable_checkpoint out;
    struct why why;

    assert_int_equal(stable_load_checkpoint(disk, "/q", &arena, &out, &why),
                     ERR_NOT_FOUND);
    assert_int_equal(stable_keep_checkpoint(disk, "/q", &some_checkpoint, &why),
                     ERR_NONE);
    simdisk_crash_losing_all(*state);
    assert_int_equal(stable_load_checkpoint(disk, "/q", &arena, &out, &why),
                     ERR_NONE);
    assert_int_equal(out.index, 12);
    assert_int_equal(out.term, 4);
    assert_int_equal(out.command_index, 11);
    assert_int_equal(out.voters_index, 1);
    assert_true(str_eq(out.voters, some_checkpoint.voters));
    assert_int_equal(out.run_count, 2);
    assert_int_equal(out.runs[1].first, 9);
    assert_int_equal(out.runs[1].term, 4);
    arena_reset(&arena);
}

static void every_flipped_bit_of_a_checkpoint_is_damage(void **state)
{
    struct disk *disk = simdisk_disk(*state);
    struct arena arena = {0};
    struct stable_checkpoint checkpoint;
    struct why why;

    assert_int_equal(stable_keep_checkpoint(disk, "/q", &some_checkpoint, &why),
                     ERR_NONE);
    for (uint64_t at = 0; simdisk_rot(*state, "/q/checkpoint", at, 1); at++) {
        assert_int_equal(
            stable_load_checkpoint(disk, "/q", &arena, &checkpoint, &why),
            ERR_DAMAGED);
        assert_true(simdisk_rot(*state, "/q/checkpoint", at, 1));
    }
    arena_reset(&arena);
}

enum { SLOT = 4096, RECORD = 56 };

/* A vote that was given is not forgotten for a bit that turned. */
static void a_flipped_bit_of_a_term_changes_nothing(void **state)
{
    struct disk *disk = simdisk_disk(*state);

    keep(disk, 1, 2);
    for (uint64_t at = 0; simdisk_rot(*state, "/q/term", at, 4); at++) {
        assert_int_equal(loaded(disk), 2);
        assert_true(simdisk_rot(*state, "/q/term", at, 4));
    }
}

static void rot_slot(struct simdisk *sim, uint64_t number)
{
    for (uint64_t half = 0; half < 2; half++) {
        assert_true(simdisk_rot(sim, "/q/term",
                                number % 2 * SLOT + half * SLOT / 2 + 32, 4));
    }
}

static void a_torn_slot_gives_the_one_before_and_two_give_nothing(void **state)
{
    struct disk *disk = simdisk_disk(*state);
    struct stable_term out;

    for (int32_t last = 2; last <= 5; last++) {
        keep(disk, last, last);
    }
    rot_slot(*state, 4); /* the fourth write */
    assert_int_equal(loaded(disk), 4);
    keep(disk, 6, 6); /* over the torn one */
    assert_int_equal(loaded(disk), 6);
    rot_slot(*state, 3);
    assert_int_equal(loaded(disk), 6);
    rot_slot(*state, 4);
    assert_int_equal(load(disk, &out), ERR_DAMAGED);
}

static void a_term_of_another_size_is_damaged(void **state)
{
    struct disk *disk = simdisk_disk(*state);
    struct file *file;
    struct stable_term out;
    struct why why;

    keep(disk, 1, 1);
    for (uint64_t bytes = 2 * SLOT - 1; bytes > 0; bytes /= 2) {
        assert_int_equal(file_open(disk, "/q/term", FILE_WRITE, &file, &why),
                         ERR_NONE);
        assert_int_equal(file_truncate(file, bytes, &why), ERR_NONE);
        file_close(file);
        assert_int_equal(load(disk, &out), ERR_DAMAGED);
    }
}

/* Whatever fails, and whatever of it the disk keeps: an error is told, and the
 * term before or the new one is there. Five writes: of an old file, of the
 * first slot of a new one, of each slot in turn. */
static void change_with_a_fault(struct fault *fault, void *arg)
{
    for (int32_t before = 0; before < 5; before++) {
        struct disk *disk = simdisk_disk(arg);
        struct stable_slots slots = {0};
        struct stable_term next = term_of(100);
        struct stable_term out;
        struct why why;
        enum err err;

        put_old_term(disk, 7);
        keep(disk, 1, before);
        err = stable_load_term(&fault->disk, "/q", &slots, &out, &why);
        if (err == ERR_NONE) {
            err = stable_keep_term(&fault->disk, "/q", &slots, &next, &why);
        }
        simdisk_crash(arg, 5 + fault->calls);
        stable_close_term(&slots);
        assert_true(
            loaded(disk) == 100 ||
            (err != ERR_NONE && loaded(disk) == (before == 0 ? 7 : before)));
    }
}

static void a_failing_disk_leaves_the_old_or_the_new(void **state)
{
    struct fault fault;

    fault_init(&fault, simdisk_disk(*state));
    fault_each(&fault, change_with_a_fault, *state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_term_comes_back, setup, teardown),
        cmocka_unit_test_setup_teardown(the_last_of_many_terms_counts, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_term_costs_one_sync_and_no_space,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(an_old_term_is_read_and_made_new, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_flipped_bit_of_a_term_changes_nothing,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(
            a_torn_slot_gives_the_one_before_and_two_give_nothing, setup,
            teardown),
        cmocka_unit_test_setup_teardown(a_term_of_another_size_is_damaged,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(a_checkpoint_comes_back, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(
            every_flipped_bit_of_a_checkpoint_is_damage, setup, teardown),
        cmocka_unit_test_setup_teardown(
            a_failing_disk_leaves_the_old_or_the_new, setup, teardown),
    };

    return cmocka_run_group_tests_name("quorum/stable", tests, NULL, NULL);
}
