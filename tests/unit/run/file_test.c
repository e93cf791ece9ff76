/* Files and folders: the same promises on the real disk, on the simulated one,
 * and through the one that can fail. */
#include "run/file.h"
#include "base/mem.h"
#include "base/must.h"

#include "lib/fault.h"
#include "lib/fixture.h"
#include "lib/simdisk.h"
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A disk and a folder on it, for one test. */
struct place {
    struct disk *disk;
    char folder[FIXTURE_PATH_BYTES];
    struct simdisk *sim;
    struct fault fault;
    bool is_real;
    char path_of[FIXTURE_PATH_BYTES + 64];
};

static const char *in(struct place *place, const char *name)
{
    snprintf(place->path_of, sizeof(place->path_of), "%s/%s", place->folder,
             name);
    return place->path_of;
}

/* Runs the test on each kind of disk. */
static void on_each_disk(void (*test)(struct place *place))
{
    struct place place = {.disk = disk_real(), .is_real = true};

    fixture_folder(place.folder);
    test(&place);
    fixture_remove(place.folder);

    place = (struct place){.sim = simdisk_open(), .folder = "/n1"};
    place.disk = simdisk_disk(place.sim);
    assert_int_equal(disk_make_folder(place.disk, "/n1", NULL), ERR_NONE);
    test(&place);
    simdisk_close(place.sim);

    place = (struct place){.is_real = true};
    fault_init(&place.fault, disk_real());
    place.disk = &place.fault.disk;
    fixture_folder(place.folder);
    test(&place);
    fixture_remove(place.folder);
}

static void put(struct file *file, uint64_t position, const char *text)
{
    struct iovec part = {(void *)(uintptr_t)text, strlen(text)};

    assert_int_equal(file_write(file, position, &part, 1, NULL), ERR_NONE);
}

static void holds(struct disk *disk, const char *path, const char *text)
{
    char *bytes;
    size_t count;

    assert_int_equal(disk_read_all(disk, path, 1000, &bytes, &count, NULL),
                     ERR_NONE);
    assert_int_equal(count, strlen(text));
    assert_string_equal(bytes, text);
    mem_free(bytes);
}

static struct file *opened(struct disk *disk, const char *path,
                           enum file_mode mode)
{
    struct file *file;

    assert_int_equal(file_open(disk, path, mode, &file, NULL), ERR_NONE);
    return file;
}

static void test_modes(struct place *place)
{
    struct why why;
    struct file *file;
    const char *path = in(place, "a.log");

    assert_int_equal(file_open(place->disk, path, FILE_READ, &file, &why),
                     ERR_NOT_FOUND);
    assert_non_null(strstr(why.text, path));
    file_close(opened(place->disk, path, FILE_CREATE));
    assert_int_equal(file_open(place->disk, path, FILE_CREATE, &file, &why),
                     ERR_EXISTS);
    file = opened(place->disk, path, FILE_WRITE);
    put(file, 0, "abc");
    file_close(file);
    file = opened(place->disk, path, FILE_READ);
    assert_string_equal(file->path, path);
    assert_int_equal(file->fd >= 0, place->is_real);
    file_close(file);
    file_close(NULL);
    holds(place->disk, path, "abc");
}

static void a_file_is_opened_as_the_mode_says(void **state)
{
    on_each_disk(test_modes);
}

static void test_read(struct place *place)
{
    struct file *file = opened(place->disk, in(place, "a"), FILE_WRITE);
    struct why why;
    char text[8] = "";
    size_t got;

    put(file, 0, "hello");
    assert_int_equal(file_read(file, 1, text, 3, &got, NULL), ERR_NONE);
    assert_int_equal(got, 3);
    assert_memory_equal(text, "ell", 3);
    assert_int_equal(file_read(file, 3, text, 8, &got, NULL), ERR_NONE);
    assert_int_equal(got, 2);
    assert_int_equal(file_read(file, 99, text, 8, &got, NULL), ERR_NONE);
    assert_int_equal(got, 0);
    assert_int_equal(file_read_whole(file, 0, text, 5, &why), ERR_NONE);
    assert_int_equal(file_read_whole(file, 1, text, 5, &why), ERR_TORN);
    assert_non_null(strstr(why.text, "4 bytes behind position 1"));
    file_close(file);
}

static void reads_end_at_the_end_of_the_file(void **state)
{
    on_each_disk(test_read);
}

/* More parts than one call takes, some of them empty. */
static void test_many_parts(struct place *place)
{
    enum { PARTS = 3 * IOV_MAX + 7 };
    static struct iovec parts[PARTS];
    static char bytes[PARTS][4];
    static char all[PARTS * 4 + 1];
    struct file *file = opened(place->disk, in(place, "a"), FILE_WRITE);
    size_t total = 0;
    uint64_t size;

    for (int i = 0; i < PARTS; i++) {
        memset(bytes[i], 'a' + i % 26, 4);
        parts[i] = (struct iovec){bytes[i], (size_t)(i % 4)};
        memcpy(all + total, bytes[i], parts[i].iov_len);
        total += parts[i].iov_len;
    }
    assert_int_equal(file_write(file, 10, parts, PARTS, NULL), ERR_NONE);
    assert_int_equal(file_size(file, &size, NULL), ERR_NONE);
    assert_int_equal(size, 10 + total);
    char *back = mem_alloc(total);
    assert_int_equal(file_read_whole(file, 10, back, total, NULL), ERR_NONE);
    assert_memory_equal(back, all, total);
    mem_free(back);
    assert_int_equal(file_write(file, 0, parts, 0, NULL), ERR_NONE);
    file_close(file);
}

static void a_write_takes_any_number_of_parts(void **state)
{
    on_each_disk(test_many_parts);
}

static void test_holes(struct place *place)
{
    struct file *file = opened(place->disk, in(place, "a"), FILE_WRITE);
    char text[6];
    uint64_t size;

    put(file, 4, "xy");
    assert_int_equal(file_read_whole(file, 0, text, 6, NULL), ERR_NONE);
    assert_memory_equal(text, "\0\0\0\0xy", 6);
    assert_int_equal(file_truncate(file, 5, NULL), ERR_NONE);
    assert_int_equal(file_truncate(file, 6, NULL), ERR_NONE);
    assert_int_equal(file_read_whole(file, 4, text, 2, NULL), ERR_NONE);
    assert_memory_equal(text, "x\0", 2);
    assert_int_equal(file_size(file, &size, NULL), ERR_NONE);
    assert_int_equal(size, 6);
    assert_int_equal(file_sync(file, NULL), ERR_NONE);
    file_close(file);
}

static void holes_are_zeros_and_reserved_space_is_not_size(void **state)
{
    on_each_disk(test_holes);
}

static void test_names(struct place *place)
{
    struct disk *disk = place->disk;
    char a[FIXTURE_PATH_BYTES], b[FIXTURE_PATH_BYTES];
    struct file *file;
    struct why why;

    strcpy(a, in(place, "a"));
    strcpy(b, in(place, "b"));
    assert_false(disk_exists(disk, a));
    file = opened(disk, a, FILE_CREATE);
    put(file, 0, "A");
    assert_true(disk_exists(disk, a));
    assert_true(disk_exists(disk, place->folder));
    file_close(opened(disk, b, FILE_CREATE));
    assert_int_equal(disk_rename(disk, a, b, NULL), ERR_NONE);
    assert_false(disk_exists(disk, a));
    holds(disk, b, "A");
    assert_int_equal(disk_remove(disk, b, NULL), ERR_NONE);
    put(file, 1, "B"); /* still open, though it has no name */
    file_close(file);
    assert_int_equal(disk_rename(disk, a, b, &why), ERR_NOT_FOUND);
    assert_non_null(strstr(why.text, a));
    assert_int_equal(disk_remove(disk, a, &why), ERR_NOT_FOUND);
}

static void names_move_and_go(void **state)
{
    on_each_disk(test_names);
}

static void test_folders(struct place *place)
{
    struct disk *disk = place->disk;
    struct why why;

    assert_int_equal(disk_make_folder(disk, in(place, "x/y//z"), NULL),
                     ERR_NONE);
    assert_int_equal(disk_make_folder(disk, in(place, "x/y/z/"), NULL),
                     ERR_NONE);
    assert_int_equal(disk_make_folder(disk, in(place, "x"), NULL), ERR_NONE);
    assert_int_equal(disk_sync_folder(disk, in(place, "x/y"), NULL), ERR_NONE);
    assert_int_equal(disk_sync_folder(disk, in(place, "none"), &why),
                     ERR_NOT_FOUND);
    assert_int_equal(disk_remove_folder(disk, in(place, "x"), &why), ERR_DISK);
    assert_int_equal(disk_remove(disk, in(place, "x"), &why), ERR_DISK);
    assert_int_equal(disk_remove_folder(disk, in(place, "x/y/z"), NULL),
                     ERR_NONE);
    assert_int_equal(disk_remove_folder(disk, in(place, "x/y/z"), &why),
                     ERR_NOT_FOUND);
    file_close(opened(disk, in(place, "file"), FILE_CREATE));
    assert_int_equal(disk_make_folder(disk, in(place, "file"), &why),
                     ERR_EXISTS);
    assert_true(disk_make_folder(disk, in(place, "file/x"), &why) != ERR_NONE);
}

static void folders_are_made_with_their_parents(void **state)
{
    on_each_disk(test_folders);
}

struct listing {
    int files;
    int folders;
};

static void listed(void *arg, const char *name, bool is_folder)
{
    struct listing *listing = arg;

    assert_true(strcmp(name, is_folder ? "sub" : "a") == 0 ||
                strcmp(name, "b") == 0);
    *(is_folder ? &listing->folders : &listing->files) += 1;
}

static void test_list(struct place *place)
{
    struct listing listing = {0};
    struct why why;

    file_close(opened(place->disk, in(place, "a"), FILE_CREATE));
    file_close(opened(place->disk, in(place, "b"), FILE_CREATE));
    assert_int_equal(disk_make_folder(place->disk, in(place, "sub"), NULL),
                     ERR_NONE);
    assert_int_equal(
        disk_list(place->disk, place->folder, listed, &listing, NULL),
        ERR_NONE);
    assert_int_equal(listing.files, 2);
    assert_int_equal(listing.folders, 1);
    assert_int_equal(
        disk_list(place->disk, in(place, "none"), listed, &listing, &why),
        ERR_NOT_FOUND);
    assert_true(disk_list(place->disk, in(place, "a"), listed, &listing,
                          &why) != ERR_NONE);
}

static void a_folder_lists_what_is_in_it(void **state)
{
    on_each_disk(test_list);
}

static void test_times(struct place *place)
{
    int64_t wall_ms = 0;

    file_close(opened(place->disk, in(place, "a"), FILE_CREATE));
    assert_int_equal(
        disk_modified_ms(place->disk, in(place, "a"), &wall_ms, NULL),
        ERR_NONE);
    assert_true(wall_ms > 1700000000000);
    assert_int_equal(
        disk_modified_ms(place->disk, in(place, "b"), &wall_ms, NULL),
        ERR_NOT_FOUND);
    assert_true(disk_free_bytes(place->disk, place->folder) > 0);
}

static void files_have_times_and_disks_have_space(void **state)
{
    on_each_disk(test_times);
    assert_true(disk_free_bytes(disk_real(), "/no/such/folder") == UINT64_MAX);
}

static void test_replace(struct place *place)
{
    struct disk *disk = place->disk;
    struct why why;
    char *bytes;
    size_t count;

    assert_int_equal(disk_replace(disk, in(place, "c"), "one", 3, NULL),
                     ERR_NONE);
    holds(disk, in(place, "c"), "one");
    assert_int_equal(disk_replace(disk, in(place, "c"), "", 0, NULL), ERR_NONE);
    holds(disk, in(place, "c"), "");
    assert_false(disk_exists(disk, in(place, "c.tmp")));
    assert_int_equal(disk_replace(disk, in(place, "none/c"), "x", 1, &why),
                     ERR_NOT_FOUND);
    assert_int_equal(disk_replace(disk, in(place, "c"), "12345", 5, NULL),
                     ERR_NONE);
    assert_int_equal(
        disk_read_all(disk, in(place, "c"), 4, &bytes, &count, &why),
        ERR_TOO_LARGE);
    assert_int_equal(
        disk_read_all(disk, in(place, "none"), 4, &bytes, &count, &why),
        ERR_NOT_FOUND);
    assert_int_equal(
        disk_read_all(disk, in(place, "c"), 5, &bytes, &count, &why), ERR_NONE);
    assert_int_equal(bytes[5], 0);
    mem_free(bytes);
}

static void a_small_file_is_replaced_whole(void **state)
{
    on_each_disk(test_replace);
}

/* ---- faults ---- */

/* Whatever fails: the old bytes or the new ones, and nothing left beside. */
static void replace_under_faults(struct fault *fault, void *arg)
{
    char path[FIXTURE_PATH_BYTES];
    char beside[FIXTURE_PATH_BYTES + 8];
    enum err err;
    struct why why = {""};
    uint64_t calls;
    char *bytes;
    size_t count;

    snprintf(path, sizeof(path), "%.400s/file", (const char *)arg);
    snprintf(beside, sizeof(beside), "%s.tmp", path);
    calls = fault->at;
    fault_heal(fault);
    assert_int_equal(disk_replace(&fault->disk, path, "old", 3, NULL),
                     ERR_NONE);
    fault_arm(fault, calls);
    err = disk_replace(&fault->disk, path, "newer", 5, &why);
    fault_heal(fault);
    assert_int_equal(err == ERR_NONE, fault->failed == 0);
    if (err != ERR_NONE) {
        assert_int_equal(err, fault->err);
        assert_non_null(strstr(why.text, "could not"));
    }
    assert_int_equal(
        disk_read_all(&fault->disk, path, 100, &bytes, &count, NULL), ERR_NONE);
    assert_true(strcmp(bytes, "old") == 0 || strcmp(bytes, "newer") == 0);
    assert_true(err != ERR_NONE || strcmp(bytes, "newer") == 0);
    mem_free(bytes);
    /* A disk that stays broken cannot remove the rest; the next replace does.
     */
    if (!fault->for_good) {
        assert_false(disk_exists(&fault->disk, beside));
    }
}

static void replace_leaves_the_old_or_the_new_whatever_fails(void **state)
{
    struct fault fault;
    char folder[FIXTURE_PATH_BYTES];

    fixture_folder(folder);
    fault_init(&fault, disk_real());
    fault_each(&fault, replace_under_faults, folder);
    fixture_remove(folder);
}

static void a_fault_hits_the_kinds_it_was_told(void **state)
{
    struct fault fault;
    char folder[FIXTURE_PATH_BYTES];
    char path[FIXTURE_PATH_BYTES + 8];
    struct file *file;
    struct iovec part = {(char[]){"abcdef"}, 6};
    uint64_t size;

    fixture_folder(folder);
    snprintf(path, sizeof(path), "%s/f", folder);
    fault_init(&fault, disk_real());
    fault.kinds = FAULT_WRITE;
    fault.tears = true;
    fault_arm(&fault, 2);
    file = opened(&fault.disk, path, FILE_WRITE);
    assert_int_equal(file_write(file, 0, &part, 1, NULL), ERR_NONE);
    assert_int_equal(file_sync(file, NULL), ERR_NONE);
    assert_int_equal(file_write(file, 6, &part, 1, NULL), ERR_DISK);
    assert_int_equal(file_size(file, &size, NULL), ERR_NONE);
    assert_int_equal(size, 9);
    assert_int_equal(file_write(file, 6, &part, 1, NULL), ERR_NONE);
    assert_int_equal(fault.failed, 1);
    assert_int_equal(fault.calls, 3);
    file_close(file);
    fixture_remove(folder);
}

/* ---- the real one only ---- */

static void errors_of_the_system_carry_path_and_reason(void **state)
{
    struct file *file;
    struct why why;

    assert_int_equal(
        file_open(disk_real(), "/proc/none", FILE_CREATE, &file, &why),
        ERR_NOT_FOUND);
    assert_int_equal(
        file_open(disk_real(), "/dev/full", FILE_WRITE, &file, &why), ERR_NONE);
    assert_int_equal(
        file_write(file, 0, &(struct iovec){(char[]){"x"}, 1}, 1, &why),
        ERR_FULL);
    assert_string_equal(why.text,
                        "could not write \"/dev/full\": No space left on "
                        "device; free some space on its volume");
    assert_int_equal(file_truncate(file, 5, &why), ERR_DISK);
    file_close(file);
}

static void files_are_for_their_owner_only_and_not_inherited(void **state)
{
    char folder[FIXTURE_PATH_BYTES];
    char path[FIXTURE_PATH_BYTES + 8];
    struct file *file;
    struct stat info;

    fixture_folder(folder);
    snprintf(path, sizeof(path), "%s/d", folder);
    assert_int_equal(disk_make_folder(disk_real(), path, NULL), ERR_NONE);
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 07777, 0700);
    snprintf(path, sizeof(path), "%s/f", folder);
    file = opened(disk_real(), path, FILE_CREATE);
    assert_int_equal(fstat(file->fd, &info), 0);
    assert_int_equal(info.st_mode & 07777, 0600);
    assert_int_equal(fcntl(file->fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    file_close(file);
    fixture_remove(folder);
}

static void a_parent_is_the_folder_above(void **state)
{
    char *parent = disk_parent("/a/b");

    assert_string_equal(parent, "/a");
    mem_free(parent);
    parent = disk_parent("/a");
    assert_string_equal(parent, "/");
    mem_free(parent);
    parent = disk_parent("a");
    assert_string_equal(parent, ".");
    mem_free(parent);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_is_opened_as_the_mode_says),
        cmocka_unit_test(reads_end_at_the_end_of_the_file),
        cmocka_unit_test(a_write_takes_any_number_of_parts),
        cmocka_unit_test(holes_are_zeros_and_reserved_space_is_not_size),
        cmocka_unit_test(names_move_and_go),
        cmocka_unit_test(folders_are_made_with_their_parents),
        cmocka_unit_test(a_folder_lists_what_is_in_it),
        cmocka_unit_test(files_have_times_and_disks_have_space),
        cmocka_unit_test(a_small_file_is_replaced_whole),
        cmocka_unit_test(replace_leaves_the_old_or_the_new_whatever_fails),
        cmocka_unit_test(a_parent_is_the_folder_above),
        cmocka_unit_test(a_fault_hits_the_kinds_it_was_told),
        cmocka_unit_test(errors_of_the_system_carry_path_and_reason),
        cmocka_unit_test(files_are_for_their_owner_only_and_not_inherited),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
