/* point_test.c - what passes a point that is being stored, and what does not.
 */
#include "log/point.h"
#include "base/mem.h"
#include "base/must.h"
#include "lib/fixture.h"

#include <semaphore.h>
#include <stdio.h>

static sem_t in_sync, go_on;
static char folder[FIXTURE_PATH_BYTES];
static struct disk_ops ops;
static struct disk slow = {&ops};
static struct point point;
static struct small_files_point stored;
static uint32_t known_cuts;
static _Atomic bool syncing;
static enum err sync_err;

static enum err slow_sync(struct file *file, struct why *why)
{
    enum err err;

    atomic_store(&syncing, true);
    must(sem_post(&in_sync) == 0);
    must(sem_wait(&go_on) == 0);
    err = sync_err ? sync_err : disk_real()->ops->sync(file, why);
    atomic_store(&syncing, false);
    return err;
}

static int set_up(void **state)
{
    struct small_files_point none = {.offset = -1};

    ops = *disk_real()->ops;
    ops.sync = slow_sync;
    sync_err = ERR_NONE;
    known_cuts = 0;
    fixture_folder(folder);
    assert_int_equal(sem_init(&in_sync, 0, 0), 0);
    assert_int_equal(sem_init(&go_on, 0, 0), 0);
    point_init(&point, &slow, folder, &none);
    return 0;
}

static int tear_down(void **state)
{
    point_fini(&point);
    fixture_remove(folder);
    return 0;
}

static void *store(void *arg)
{
    enum err *err = arg;

    *err = point_store(&point, known_cuts, &stored, NULL);
    return NULL;
}

/* Gives the thread once its sync has begun: the disk takes its time. */
static pthread_t begin_to_store(int64_t offset, enum err *err)
{
    pthread_t thread;

    stored = (struct small_files_point){.offset = offset};
    must(pthread_create(&thread, NULL, store, err) == 0);
    must(sem_wait(&in_sync) == 0);
    return thread;
}

static void let_go(pthread_t thread)
{
    must(sem_post(&go_on) == 0);
    must(pthread_join(thread, NULL) == 0);
}

static int64_t on_disk(void)
{
    struct small_files_point loaded;

    assert_int_equal(small_files_load_point(disk_real(), folder, &loaded, NULL),
                     ERR_NONE);
    return loaded.offset;
}

/* With a lock over the sync this hangs: the loop asks at the begin of each
 * sync, a disk thread notes at its end. */
static void nobody_waits_for_the_sync_of_a_point(void **state)
{
    struct small_files_point note = {.offset = 12};
    enum err err = ERR_DISK;
    pthread_t storer = begin_to_store(10, &err);

    assert_int_equal(point_cuts(&point), 0);
    point_forget_idle(&point);
    assert_int_equal(point_note(&point, 0, &note, NULL), ERR_NONE);
    assert_true(atomic_load(&syncing));
    assert_int_equal(on_disk(), 12);
    let_go(storer);
    assert_int_equal(err, ERR_NONE);
    assert_int_equal(on_disk(), 12);
    storer = begin_to_store(11, &err); /* what was noted above stays */
    let_go(storer);
    assert_int_equal(on_disk(), 12);
}

static void *lower(void *arg)
{
    struct small_files_point it = {.offset = 5};
    bool lowered = false;

    must(!point_lower(&point, &it, 12, true, &lowered, NULL) && lowered);
    return NULL;
}

/* A truncation waits for what is being stored, and makes void what comes. */
static void a_cut_comes_after_what_is_being_stored(void **state)
{
    struct small_files_point late = {.offset = 20};
    enum err err = ERR_DISK;
    pthread_t storer = begin_to_store(10, &err);
    pthread_t cutter;

    must(pthread_create(&cutter, NULL, lower, NULL) == 0);
    let_go(storer);
    must(sem_wait(&in_sync) == 0);
    assert_int_equal(point_cuts(&point), 1);
    assert_int_equal(point_note(&point, 0, &late, NULL), ERR_NONE);
    let_go(cutter);
    assert_int_equal(on_disk(), 5);
    assert_int_equal(point_store(&point, 0, &late, NULL), ERR_NONE);
    assert_int_equal(on_disk(), 5);
}

/* One whose sync finds no room: the next is written over it, never over the
 * one before, which is on the disk. */
static void a_point_that_was_synced_is_not_written_over_by_the_next(void **s)
{
    struct small_files_point before;
    enum err err = ERR_DISK;
    char *bytes = NULL;
    size_t count = 0;
    char path[FIXTURE_PATH_BYTES + 20];

    let_go(begin_to_store(10, &err));
    assert_int_equal(err, ERR_NONE);
    assert_int_equal(small_files_load_point(disk_real(), folder, &before, NULL),
                     ERR_NONE);
    sync_err = ERR_FULL;
    for (int64_t offset = 11; offset < 14; offset++) {
        let_go(begin_to_store(offset, &err));
        assert_int_equal(err, ERR_FULL);
    }
    /* Slot 1 has number 1 still. */
    (void)snprintf(path, sizeof(path), "%s/flushed-point", folder);
    assert_int_equal(
        disk_read_all(disk_real(), path, 4096, &bytes, &count, NULL), ERR_NONE);
    assert_int_equal(before.number, 1);
    assert_int_equal(bytes[512 + 15], 1);
    assert_int_equal(bytes[15], 2);
    mem_free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nobody_waits_for_the_sync_of_a_point,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_cut_comes_after_what_is_being_stored,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            a_point_that_was_synced_is_not_written_over_by_the_next, set_up,
            tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
