/* The simulated disk: what a crash may take, and what it must leave. */
#include "lib/simdisk.h"
#include "base/mem.h"

#include "lib/fault.h"
#include "lib/fixture.h"
#include <stdio.h>
#include <string.h>

static struct simdisk *sim;
static struct disk *disk;

static int each_begins(void **state)
{
    sim = simdisk_open();
    disk = simdisk_disk(sim);
    return 0;
}

static int each_ends(void **state)
{
    simdisk_close(sim);
    return 0;
}

static void write_at(struct file *file, uint64_t position, const void *bytes,
                     size_t count)
{
    struct iovec part = {(void *)(uintptr_t)bytes, count};

    assert_int_equal(file_write(file, position, &part, 1, NULL), ERR_NONE);
}

static struct file *opened(const char *path)
{
    struct file *file;

    assert_int_equal(file_open(disk, path, FILE_WRITE, &file, NULL), ERR_NONE);
    return file;
}

static void synced(struct file *file)
{
    assert_int_equal(file_sync(file, NULL), ERR_NONE);
}

static void folder_synced(const char *path)
{
    assert_int_equal(disk_sync_folder(disk, path, NULL), ERR_NONE);
}

/* A file with text, closed; synced or not. */
static void made(const char *path, const char *text, bool is_synced)
{
    struct file *file = opened(path);

    assert_int_equal(file_truncate(file, 0, NULL), ERR_NONE);
    write_at(file, 0, text, strlen(text));
    if (is_synced) {
        synced(file);
    }
    file_close(file);
}

/* The text of the file, in a static buffer; NULL when there is none. */
static const char *text_of(const char *path)
{
    static char text[64];
    char *bytes;
    size_t count;
    enum err err =
        disk_read_all(disk, path, sizeof(text) - 1, &bytes, &count, NULL);

    if (err == ERR_NOT_FOUND) {
        return NULL;
    }
    assert_int_equal(err, ERR_NONE);
    memcpy(text, bytes, count + 1);
    mem_free(bytes);
    return text;
}

static void what_was_synced_with_its_name_survives(void **state)
{
    made("/a", "safe", true);
    folder_synced("/");
    simdisk_crash_losing_all(sim);
    assert_string_equal(text_of("/a"), "safe");
    assert_int_equal(simdisk_sync_count(sim), 2);
}

static void a_synced_file_without_a_synced_name_is_lost(void **state)
{
    made("/a", "safe", true);
    simdisk_crash_losing_all(sim);
    assert_null(text_of("/a"));
}

static void a_synced_name_does_not_save_the_bytes(void **state)
{
    made("/a", "lost", false);
    folder_synced("/");
    simdisk_crash_losing_all(sim);
    assert_string_equal(text_of("/a"), "");
}

static void a_kind_crash_keeps_everything(void **state)
{
    assert_int_equal(disk_make_folder(disk, "/x/y", NULL), ERR_NONE);
    made("/x/y/a", "kept", false);
    simdisk_crash_keeping_all(sim);
    assert_string_equal(text_of("/x/y/a"), "kept");
}

static void a_folder_whose_name_is_lost_takes_its_files_along(void **state)
{
    assert_int_equal(disk_make_folder(disk, "/x", NULL), ERR_NONE);
    made("/x/a", "safe", true);
    folder_synced("/x");
    simdisk_crash_losing_all(sim);
    assert_false(disk_exists(disk, "/x"));
    assert_int_equal(disk_make_folder(disk, "/x", NULL), ERR_NONE);
    assert_null(text_of("/x/a"));
}

static void a_removed_file_comes_back_unless_the_folder_was_synced(void **state)
{
    made("/a", "first", true);
    made("/b", "second", true);
    folder_synced("/");
    assert_int_equal(disk_remove(disk, "/a", NULL), ERR_NONE);
    simdisk_crash_losing_all(sim);
    assert_string_equal(text_of("/a"), "first");
    assert_int_equal(disk_remove(disk, "/a", NULL), ERR_NONE);
    folder_synced("/");
    simdisk_crash_losing_all(sim);
    assert_null(text_of("/a"));
    assert_string_equal(text_of("/b"), "second");
}

static void a_lost_truncation_brings_the_bytes_back(void **state)
{
    struct file *file;

    made("/a", "abcdef", true);
    folder_synced("/");
    file = opened("/a");
    assert_int_equal(file_truncate(file, 2, NULL), ERR_NONE);
    write_at(file, 2, "XY", 2);
    simdisk_crash_losing_all(sim);
    file_close(file);
    assert_string_equal(text_of("/a"), "abcdef");
    file = opened("/a");
    assert_int_equal(file_truncate(file, 2, NULL), ERR_NONE);
    write_at(file, 2, "XY", 2);
    synced(file);
    file_close(file);
    simdisk_crash_losing_all(sim);
    assert_string_equal(text_of("/a"), "abXY");
}

static void handles_of_before_the_crash_are_dead(void **state)
{
    struct file *file = opened("/a");
    struct why why;
    char byte;
    size_t got;
    uint64_t size;

    folder_synced("/");
    simdisk_crash(sim, 1);
    assert_int_equal(file_read(file, 0, &byte, 1, &got, &why), ERR_DISK);
    assert_int_equal(file_write(file, 0, &(struct iovec){&byte, 1}, 1, &why),
                     ERR_DISK);
    assert_int_equal(file_sync(file, &why), ERR_DISK);
    assert_int_equal(file_truncate(file, 0, &why), ERR_DISK);
    assert_int_equal(file_size(file, &size, &why), ERR_DISK);
    assert_string_equal(why.text, "could not read the size of \"/a\": the "
                                  "power was cut");
    file_close(file);
    file_close(opened("/a"));
}

/* ---- random crashes ---- */

enum { SAFE = 3000, MORE = 5000 };

static void the_tail_is_torn_in_every_way_and_the_rest_is_whole(void **state)
{
    static char all[SAFE + MORE];
    static char back[SAFE + MORE];
    bool saw_none = false, saw_all = false, saw_part = false;
    bool saw_hole = false, saw_zeros_at_end = false;

    memset(all, 'x', sizeof(all));
    for (uint64_t seed = 0; seed < 300; seed++) {
        struct file *file = opened("/a");
        size_t got;
        size_t kept = SAFE;

        assert_int_equal(file_truncate(file, 0, NULL), ERR_NONE);
        write_at(file, 0, all, SAFE);
        synced(file);
        folder_synced("/");
        for (size_t at = SAFE; at < SAFE + MORE; at += 1000) {
            write_at(file, at, all + at, 1000);
        }
        simdisk_crash(sim, seed);
        file_close(file);
        file = opened("/a");
        memset(back, 0, sizeof(back));
        assert_int_equal(file_read(file, 0, back, sizeof(back), &got, NULL),
                         ERR_NONE);
        file_close(file);
        assert_true(got >= SAFE);
        assert_memory_equal(back, all, SAFE);
        while (kept < got && back[kept] == 'x') {
            kept++;
        }
        saw_none |= got == SAFE;
        saw_all |= kept == SAFE + MORE;
        saw_part |= kept > SAFE && kept < SAFE + MORE && kept == got;
        for (size_t at = kept; at < got; at++) {
            saw_hole |= back[at] == 'x';
        }
        saw_zeros_at_end |= got > SAFE && back[got - 1] == 0;
    }
    assert_true(saw_none && saw_all && saw_part);
    assert_true(saw_hole && saw_zeros_at_end);
}

static void names_of_a_folder_are_lost_from_some_point_on(void **state)
{
    bool saw[4] = {false};

    for (uint64_t seed = 0; seed < 200; seed++) {
        int count = 0;

        made("/a", "a", true);
        made("/b", "b", true);
        made("/c", "c", true);
        simdisk_crash(sim, seed);
        while (count < 3 &&
               text_of((const char *[]){"/a", "/b", "/c"}[count]) != NULL) {
            count++;
        }
        saw[count] = true;
        for (int i = count; i < 3; i++) {
            assert_null(text_of((const char *[]){"/a", "/b", "/c"}[i]));
        }
        for (int i = 0; i < count; i++) {
            assert_int_equal(
                disk_remove(disk, (const char *[]){"/a", "/b", "/c"}[i], NULL),
                ERR_NONE);
        }
        folder_synced("/");
    }
    assert_true(saw[0] && saw[1] && saw[2] && saw[3]);
}

static void a_rename_leaves_the_old_or_the_new(void **state)
{
    int news = 0;

    for (uint64_t seed = 0; seed < 100; seed++) {
        made("/a", "old", true);
        folder_synced("/");
        made("/b", "new", true);
        assert_int_equal(disk_rename(disk, "/b", "/a", NULL), ERR_NONE);
        simdisk_crash(sim, seed);
        if (strcmp(text_of("/a"), "new") == 0) {
            assert_null(text_of("/b"));
            news++;
        } else {
            assert_string_equal(text_of("/a"), "old");
        }
    }
    assert_in_range(news, 10, 90);
}

static void a_rename_between_folders_is_all_or_nothing(void **state)
{
    int moved = 0;

    assert_int_equal(disk_make_folder(disk, "/x", NULL), ERR_NONE);
    folder_synced("/");
    for (uint64_t seed = 0; seed < 100; seed++) {
        made("/a", "text", true);
        folder_synced("/");
        assert_int_equal(disk_rename(disk, "/a", "/x/a", NULL), ERR_NONE);
        made("/a", "other", true);
        simdisk_crash(sim, seed);
        if (text_of("/x/a") != NULL) {
            assert_string_equal(text_of("/x/a"), "text");
            assert_true(text_of("/a") == NULL ||
                        strcmp(text_of("/a"), "other") == 0);
            assert_int_equal(disk_remove(disk, "/x/a", NULL), ERR_NONE);
            folder_synced("/x");
            moved++;
        } else {
            assert_string_equal(text_of("/a"), "text");
        }
    }
    assert_in_range(moved, 10, 90);
    /* One folder synced is enough, and what came before in the other is safe
     * with it. */
    made("/x/before", "b", true);
    made("/m", "m", true);
    folder_synced("/");
    assert_int_equal(disk_rename(disk, "/m", "/x/m", NULL), ERR_NONE);
    folder_synced("/");
    simdisk_crash_losing_all(sim);
    assert_string_equal(text_of("/x/m"), "m");
    assert_string_equal(text_of("/x/before"), "b");
    assert_null(text_of("/m"));
}

static void the_same_seed_leaves_the_same_disk(void **state)
{
    static char big[20000];
    uint32_t sums[2] = {0, 0};

    memset(big, 'x', sizeof(big));
    for (int i = 0; i < 2; i++) {
        struct simdisk *one = simdisk_open();
        struct file *file;

        for (uint64_t seed = 0; seed < 20; seed++) {
            char *bytes;
            size_t count;

            assert_int_equal(
                file_open(simdisk_disk(one), "/f", FILE_WRITE, &file, NULL),
                ERR_NONE);
            write_at(file, seed * 100, big, sizeof(big));
            file_close(file);
            simdisk_crash(one, seed);
            if (disk_read_all(simdisk_disk(one), "/f", 1 << 20, &bytes, &count,
                              NULL) == ERR_NONE) {
                for (size_t at = 0; at < count; at++) {
                    sums[i] = sums[i] * 31 + (uint8_t)bytes[at];
                }
                mem_free(bytes);
            }
        }
        simdisk_close(one);
    }
    assert_int_equal(sums[0], sums[1]);
}

/* Cut the power at every call of a replace, and keep or lose as many seeds
 * say: the file is the old or the new one, and the new one once it returned. */
static void a_replace_survives_the_power_at_every_call(void **state)
{
    bool is_through = false;

    for (uint64_t at = 1; !is_through; at++) {
        for (uint64_t seed = 0; seed < 50; seed++) {
            struct fault fault;
            enum err err;

            assert_int_equal(disk_replace(disk, "/f", "old", 3, NULL),
                             ERR_NONE);
            fault_init(&fault, disk);
            fault.for_good = true;
            fault.tears = true;
            fault_arm(&fault, at);
            err = disk_replace(&fault.disk, "/f", "newer", 5, NULL);
            is_through = fault.failed == 0;
            simdisk_crash(sim, seed * 1000 + at);
            assert_true(strcmp(text_of("/f"), "newer") == 0 ||
                        (err != ERR_NONE && strcmp(text_of("/f"), "old") == 0));
        }
    }
}

/* ---- space and rot ---- */

static void a_full_disk_takes_what_fits_and_refuses_the_rest(void **state)
{
    struct file *file = opened("/a");
    char bytes[100] = "";
    uint64_t size;
    struct why why;

    simdisk_limit(sim, 150);
    write_at(file, 0, bytes, 100);
    assert_int_equal(disk_free_bytes(disk, "/"), 50);
    assert_int_equal(
        file_write(file, 100, &(struct iovec){bytes, 100}, 1, &why), ERR_FULL);
    assert_int_equal(file_size(file, &size, NULL), ERR_NONE);
    assert_int_equal(size, 150);
    write_at(file, 50, bytes, 100); /* nothing new */
    assert_int_equal(file_truncate(file, 120, NULL), ERR_NONE);
    assert_int_equal(simdisk_used_bytes(sim), 120);
    assert_int_equal(disk_free_bytes(disk, "/"), 30);
    write_at(file, 20, bytes, 100); /* nothing new, again */
    assert_int_equal(disk_remove(disk, "/a", NULL), ERR_NONE);
    assert_int_equal(disk_free_bytes(disk, "/"), 30); /* it is open */
    file_close(file);
    assert_int_equal(disk_free_bytes(disk, "/"), 150);
}

static void rot_changes_a_byte_that_was_safe(void **state)
{
    made("/a", "abc", true);
    folder_synced("/");
    assert_true(simdisk_rot(sim, "/a", 1, 'b' ^ 'X'));
    assert_string_equal(text_of("/a"), "aXc");
    simdisk_crash_losing_all(sim);
    assert_string_equal(text_of("/a"), "aXc");
    assert_false(simdisk_rot(sim, "/a", 3, 1));
    assert_false(simdisk_rot(sim, "/b", 0, 1));
}

static void files_are_stamped_with_the_time_they_are_given(void **state)
{
    int64_t wall_ms;

    simdisk_wall_ms(sim, 1234);
    made("/a", "x", false);
    simdisk_wall_ms(sim, 5678);
    assert_int_equal(disk_modified_ms(disk, "/a", &wall_ms, NULL), ERR_NONE);
    assert_int_equal(wall_ms, 1234);
    made("/a", "x", false);
    assert_int_equal(disk_modified_ms(disk, "/a", &wall_ms, NULL), ERR_NONE);
    assert_int_equal(wall_ms, 5678);
}

static void what_has_another_kind_is_not_replaced(void **state)
{
    struct why why;

    made("/f", "x", false);
    assert_int_equal(disk_make_folder(disk, "/d/e", NULL), ERR_NONE);
    assert_int_equal(disk_make_folder(disk, "/g", NULL), ERR_NONE);
    assert_int_equal(disk_rename(disk, "/f", "/g", &why), ERR_DISK);
    assert_int_equal(disk_rename(disk, "/g", "/f", &why), ERR_DISK);
    assert_int_equal(disk_rename(disk, "/g", "/d", &why), ERR_DISK);
    assert_int_equal(disk_rename(disk, "/f", "/f", NULL), ERR_NONE);
    assert_int_equal(disk_rename(disk, "/d", "/g", NULL), ERR_NONE);
    assert_true(disk_exists(disk, "/g/e"));
}

#define EACH(test) cmocka_unit_test_setup_teardown(test, each_begins, each_ends)

int main(void)
{
    const struct CMUnitTest tests[] = {
        EACH(what_was_synced_with_its_name_survives),
        EACH(a_synced_file_without_a_synced_name_is_lost),
        EACH(a_synced_name_does_not_save_the_bytes),
        EACH(a_kind_crash_keeps_everything),
        EACH(a_folder_whose_name_is_lost_takes_its_files_along),
        EACH(a_removed_file_comes_back_unless_the_folder_was_synced),
        EACH(a_lost_truncation_brings_the_bytes_back),
        EACH(handles_of_before_the_crash_are_dead),
        EACH(the_tail_is_torn_in_every_way_and_the_rest_is_whole),
        EACH(names_of_a_folder_are_lost_from_some_point_on),
        EACH(a_rename_leaves_the_old_or_the_new),
        EACH(a_rename_between_folders_is_all_or_nothing),
        EACH(the_same_seed_leaves_the_same_disk),
        EACH(a_replace_survives_the_power_at_every_call),
        EACH(a_full_disk_takes_what_fits_and_refuses_the_rest),
        EACH(rot_changes_a_byte_that_was_safe),
        EACH(files_are_stamped_with_the_time_they_are_given),
        EACH(what_has_another_kind_is_not_replaced),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
