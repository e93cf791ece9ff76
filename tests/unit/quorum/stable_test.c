/* stable_test.c - the files `term` and `checkpoint`. */
#include "quorum/stable.h"
#include "lib/fault.h"
#include "lib/fixture.h"
#include "lib/simdisk.h"

static const char voters[24] = "\1\1\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0a\0\1";

static const struct stable_term some_term = {
    .id = 3, .term = 9, .vote = 2, .mark_term = 8, .mark_index = 1000};

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

static void a_term_comes_back(void **state)
{
    struct disk *disk = simdisk_disk(*state);
    struct stable_term out;
    struct why why;

    assert_int_equal(stable_load_term(disk, "/q", &out, &why), ERR_NOT_FOUND);
    assert_int_equal(stable_keep_term(disk, "/q", &some_term, &why), ERR_NONE);
    simdisk_crash_losing_all(*state);
    assert_int_equal(stable_load_term(disk, "/q", &out, &why), ERR_NONE);
    assert_int_equal(out.id, 3);
    assert_int_equal(out.term, 9);
    assert_int_equal(out.vote, 2);
    assert_int_equal(out.mark_term, 8);
    assert_int_equal(out.mark_index, 1000);
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

static void every_flipped_bit_is_damage(void **state)
{
    struct disk *disk = simdisk_disk(*state);
    struct arena arena = {0};
    struct stable_term term;
    struct stable_checkpoint checkpoint;
    struct why why;

    assert_int_equal(stable_keep_term(disk, "/q", &some_term, &why), ERR_NONE);
    assert_int_equal(stable_keep_checkpoint(disk, "/q", &some_checkpoint, &why),
                     ERR_NONE);
    for (uint64_t at = 0; simdisk_rot(*state, "/q/term", at, 4); at++) {
        assert_int_equal(stable_load_term(disk, "/q", &term, &why),
                         ERR_DAMAGED);
        assert_true(simdisk_rot(*state, "/q/term", at, 4));
    }
    for (uint64_t at = 0; simdisk_rot(*state, "/q/checkpoint", at, 1); at++) {
        assert_int_equal(
            stable_load_checkpoint(disk, "/q", &arena, &checkpoint, &why),
            ERR_DAMAGED);
        assert_true(simdisk_rot(*state, "/q/checkpoint", at, 1));
    }
    assert_int_equal(stable_load_term(disk, "/q", &term, &why), ERR_NONE);
    arena_reset(&arena);
}

/* Whatever fails: an error is told, and the old file or the new one is there.
 */
static void change_with_a_fault(struct fault *fault, void *arg)
{
    struct disk *disk = simdisk_disk(arg);
    struct stable_term next = some_term;
    struct stable_term out;
    struct why why;
    enum err err;

    assert_int_equal(stable_keep_term(disk, "/q", &some_term, &why), ERR_NONE);
    next.term = 10;
    err = stable_keep_term(&fault->disk, "/q", &next, &why);
    simdisk_crash(arg, 5);
    assert_int_equal(stable_load_term(disk, "/q", &out, &why), ERR_NONE);
    assert_true(out.term == 10 || (err != ERR_NONE && out.term == 9));
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
        cmocka_unit_test_setup_teardown(a_checkpoint_comes_back, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(every_flipped_bit_is_damage, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(
            a_failing_disk_leaves_the_old_or_the_new, setup, teardown),
    };

    return cmocka_run_group_tests_name("quorum/stable", tests, NULL, NULL);
}
