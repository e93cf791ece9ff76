/* The data folder: one process at a time, and how the last one stopped. */
#include "broker/folder.h"

#include "base/mem.h"
#include "lib/fixture.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static void a_new_folder_is_made_and_is_not_clean(void **state)
{
    char base[FIXTURE_PATH_BYTES];
    char path[FIXTURE_PATH_BYTES + 16];
    struct folder *folder;
    uint64_t clean = 1;

    fixture_folder(base);
    snprintf(path, sizeof(path), "%s/a/b", base);
    assert_int_equal(folder_open(path, &folder, &clean, NULL), ERR_NONE);
    assert_int_equal(clean, 0);
    assert_int_equal(access(path, F_OK), 0);
    folder_close(folder);
    fixture_remove(base);
}

static void a_clean_stop_is_known_by_its_number(void **state)
{
    char path[FIXTURE_PATH_BYTES];
    struct folder *folder;
    uint64_t clean;

    fixture_folder(path);
    assert_int_equal(folder_open(path, &folder, &clean, NULL), ERR_NONE);
    assert_int_equal(folder_mark_clean(folder, 1234567890123, NULL), ERR_NONE);
    folder_close(folder);
    assert_int_equal(folder_open(path, &folder, &clean, NULL), ERR_NONE);
    assert_true(clean == 1234567890123);
    folder_take_mark(folder);
    folder_close(folder); /* as after a kill: no mark */
    assert_int_equal(folder_open(path, &folder, &clean, NULL), ERR_NONE);
    assert_int_equal(clean, 0);
    folder_take_mark(folder); /* none: nothing is wrong */
    folder_close(folder);
    fixture_remove(path);
}

/* An older version's, or something else. */
static void a_mark_without_a_number_is_none(void **state)
{
    static const char *const texts[] = {"", "\n", "clean", "-"};
    char path[FIXTURE_PATH_BYTES];
    char mark[FIXTURE_PATH_BYTES + 16];
    struct folder *folder;
    uint64_t clean;

    fixture_folder(path);
    snprintf(mark, sizeof(mark), "%s/.clean", path);
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        FILE *file = fopen(mark, "w");

        assert_non_null(file);
        fputs(texts[i], file);
        fclose(file);
        assert_int_equal(folder_open(path, &folder, &clean, NULL), ERR_NONE);
        assert_int_equal(clean, 0);
        folder_close(folder);
    }
    fixture_remove(path);
}

static void a_folder_in_use_is_refused_and_its_user_named(void **state)
{
    char path[FIXTURE_PATH_BYTES];
    char text[64];
    struct folder *folder, *other;
    struct why why = {""};
    uint64_t clean;

    fixture_folder(path);
    assert_int_equal(folder_open(path, &folder, &clean, NULL), ERR_NONE);
    assert_int_equal(folder_open(path, &other, &clean, &why), ERR_IN_USE);
    snprintf(text, sizeof(text), "in use by process %ld;", (long)getpid());
    assert_non_null(strstr(why.text, text));
    folder_close(folder);
    assert_int_equal(folder_open(path, &folder, &clean, NULL), ERR_NONE);
    folder_close(folder);
    fixture_remove(path);
}

/* The lock goes with the process, however that ends. */
static void a_killed_process_holds_no_lock(void **state)
{
    char path[FIXTURE_PATH_BYTES];
    struct folder *folder;
    uint64_t clean;
    pid_t child;
    int status;

    fixture_folder(path);
    child = fork();
    if (child == 0) {
        _exit(folder_open(path, &folder, &clean, NULL) == ERR_NONE ? 7 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(WEXITSTATUS(status), 7);
    assert_int_equal(folder_open(path, &folder, &clean, NULL), ERR_NONE);
    folder_close(folder);
    fixture_remove(path);
}

static void a_folder_that_cannot_be_written_is_refused(void **state)
{
    char base[FIXTURE_PATH_BYTES];
    char path[FIXTURE_PATH_BYTES + 16];
    struct folder *folder;
    struct why why = {""};
    uint64_t clean;
    int fd;

    fixture_folder(base);
    snprintf(path, sizeof(path), "%s/file", base);
    fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    close(fd);
    assert_int_not_equal(folder_open(path, &folder, &clean, &why), ERR_NONE);
    assert_non_null(strstr(why.text, "data folder"));
    fixture_remove(base);
}

static void readonly_child(const char *path)
{
    struct folder *folder;
    struct why why = {""};
    uint64_t clean;

    if (setuid(65534) != 0) {
        _exit(9);
    }
    if (folder_open(path, &folder, &clean, &why) != ERR_DENIED) {
        _exit(1);
    }
    _exit(strstr(why.text, "belongs to root and this process runs as nobody") !=
                      NULL &&
                  strstr(why.text, "--set node.data_dir=PATH") != NULL
              ? 0
              : 2);
}

/* Below /tmp, which everybody may look into. */
static void a_folder_of_somebody_else_is_denied_with_a_remedy(void **state)
{
    char path[] = "/tmp/tidemark-folder.XXXXXX";
    pid_t child;
    int status;

    assert_non_null(mkdtemp(path));
    chmod(path, 0755);
    child = fork();
    if (child == 0) {
        if (geteuid() == 0) {
            readonly_child(path);
        }
        _exit(0); /* without root there is nobody else to be */
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(WEXITSTATUS(status), 0);
    fixture_remove(path);
}

static void the_reserve_is_a_twentieth_at_most_256_mib(void **state)
{
    char path[FIXTURE_PATH_BYTES];
    struct folder *folder;
    uint64_t clean;

    fixture_folder(path);
    assert_int_equal(folder_open(path, &folder, &clean, NULL), ERR_NONE);
    assert_true(folder_reserve_bytes(folder) > 0);
    assert_true(folder_reserve_bytes(folder) <= 256 << 20);
    folder_close(folder);
    fixture_remove(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_folder_is_made_and_is_not_clean),
        cmocka_unit_test(a_clean_stop_is_known_by_its_number),
        cmocka_unit_test(a_mark_without_a_number_is_none),
        cmocka_unit_test(a_folder_in_use_is_refused_and_its_user_named),
        cmocka_unit_test(a_killed_process_holds_no_lock),
        cmocka_unit_test(a_folder_that_cannot_be_written_is_refused),
        cmocka_unit_test(a_folder_of_somebody_else_is_denied_with_a_remedy),
        cmocka_unit_test(the_reserve_is_a_twentieth_at_most_256_mib),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
