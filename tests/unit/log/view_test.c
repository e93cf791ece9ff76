/* view_test.c - lists that are swapped, marks that are read whole, files that
 * are given up. */
#include "base/must.h"
#include "lib/fixture.h"
#include "lib/simdisk.h"
#include "lib/simenv.h"
#include "log/view.h"
#include <stdatomic.h>

static struct simclock simclock;
static struct simdisk *sim;
static struct simenv *simenv;
static struct retire retire;
static int idles;

static void on_idle(void *arg)
{
    idles++;
}

static int set_up(void **state)
{
    simclock_init(&simclock, 1);
    sim = simdisk_open();
    simenv = simenv_open(&simclock, simdisk_disk(sim));
    assert_int_equal(disk_make_folder(simdisk_disk(sim), "/t-0", NULL),
                     ERR_NONE);
    retire_init(&retire, simenv_env(simenv), on_idle, NULL);
    idles = 0;
    return 0;
}

static int tear_down(void **state)
{
    simenv_close(simenv);
    simdisk_close(sim);
    simclock_fini(&simclock);
    return 0;
}

static struct segment *make(int64_t base)
{
    struct segment *segment = NULL;

    assert_int_equal(
        segment_create(simdisk_disk(sim), "/t-0", base, &segment, NULL),
        ERR_NONE);
    return segment;
}

/* A reader that has seen a list may use it until its turn ends. */
static void view_keeps_an_old_list_until_the_fence(void **state)
{
    struct segment *segments[2] = {make(0), make(10)};
    struct view view;
    struct view_list *seen;

    view_init(&view);
    view_publish(&view, &retire, segments, 2);
    seen = view_list(&view);
    assert_int_equal(seen->count, 2);
    view_publish(&view, &retire, segments + 1, 1);
    segment_unref(segments[0]);
    assert_int_equal(view_list(&view)->count, 1);
    assert_int_equal(seen->segments[0]->base, 0);
    assert_false(retire_is_idle(&retire));
    simclock_run_for_ms(&simclock, 100);
    assert_true(retire_is_idle(&retire));
    assert_int_equal(idles, 1);
    view_publish(&view, &retire, NULL, 0);
    assert_null(view_list(&view));
    simclock_run_for_ms(&simclock, 100);
    segment_unref(segments[1]);
    view_fini(&view);
}

/* Another thread has no turn: it holds a reference, past the fence. */
static void view_list_that_was_taken_outlives_the_fence(void **state)
{
    struct segment *segment = make(0);
    struct view view;
    struct view_list *taken;

    view_init(&view);
    assert_null(view_take(&view));
    view_publish(&view, &retire, &segment, 1);
    taken = view_take(&view);
    view_publish(&view, &retire, NULL, 0);
    segment_unref(segment);
    simclock_run_for_ms(&simclock, 100);
    assert_int_equal(taken->segments[0]->base, 0);
    view_list_unref(taken);
    view_fini(&view);
}

static void view_finds_the_segment_of_an_offset(void **state)
{
    struct segment *segments[3] = {make(5), make(10), make(20)};
    struct view view;

    view_init(&view);
    view_publish(&view, &retire, segments, 3);
    assert_int_equal(view_list_floor(view_list(&view), 0), 0);
    assert_int_equal(view_list_floor(view_list(&view), 9), 0);
    assert_int_equal(view_list_floor(view_list(&view), 10), 1);
    assert_int_equal(view_list_floor(view_list(&view), 19), 1);
    assert_int_equal(view_list_floor(view_list(&view), 99), 2);
    view_publish(&view, &retire, NULL, 0);
    simclock_run_for_ms(&simclock, 100);
    for (int i = 0; i < 3; i++) {
        segment_unref(segments[i]);
    }
    view_fini(&view);
}

static void view_remembers_the_last_visible_ends(void **state)
{
    struct view view;
    struct view_mark mark = {0};

    view_init(&view);
    for (int64_t i = 1; i <= 6; i++) {
        view_set_visible(&view,
                         (struct view_mark){.offset = i * 10,
                                            .base = 7,
                                            .position = (uint64_t)i * 100});
    }
    assert_int_equal(view_visible(&view).offset, 60);
    assert_int_equal(view_visible_offset(&view), 60);
    assert_true(view_hint(&view, 50, &mark));
    assert_int_equal(mark.position, 500);
    assert_true(view_hint(&view, 20, &mark));
    assert_false(view_hint(&view, 10, &mark)); /* too long ago */
    assert_false(view_hint(&view, 55, &mark));
    /* A truncation: what lay above is no more. */
    view_set_visible(&view, (struct view_mark){.offset = 30, .base = 7});
    assert_false(view_hint(&view, 50, &mark));
    view_fini(&view);
}

/* ---- marks under fire ---- */

static struct view busy;
static _Atomic bool stop;
static _Atomic uint64_t looked;

static void *look(void *arg)
{
    while (!atomic_load(&stop)) {
        struct view_mark mark = view_visible(&busy);
        struct view_mark hint;

        must(mark.base == mark.offset * 2);
        must(mark.position == (uint64_t)mark.offset * 3);
        if (mark.offset > 0 && view_hint(&busy, mark.offset - 1, &hint)) {
            must(hint.position == (uint64_t)hint.offset * 3);
        }
        atomic_fetch_add(&looked, 1);
    }
    return NULL;
}

static void view_mark_is_read_whole(void **state)
{
    pthread_t thread;

    view_init(&busy);
    atomic_store(&stop, false);
    assert_int_equal(pthread_create(&thread, NULL, look, NULL), 0);
    for (int64_t i = 1; i < 200000 || atomic_load(&looked) < 100; i++) {
        view_set_visible(&busy,
                         (struct view_mark){.offset = i,
                                            .base = i * 2,
                                            .position = (uint64_t)i * 3});
    }
    atomic_store(&stop, true);
    assert_int_equal(pthread_join(thread, NULL), 0);
    view_fini(&busy);
}

/* ---- files ---- */

static void lazy_file_is_given_up_when_nobody_uses_it(void **state)
{
    struct lazy_file lazy;
    struct lazy_handle *handle = NULL;
    char byte;
    size_t got = 0;

    lazy_file_init(&lazy, simdisk_disk(sim), "/t-0", 3, ".x");
    assert_int_equal(lazy_file_take(&lazy, FILE_READ, true, &handle, NULL),
                     ERR_NOT_FOUND);
    assert_int_equal(lazy_file_take(&lazy, FILE_WRITE, true, &handle, NULL),
                     ERR_NONE);
    assert_non_null(lazy_file_find(&lazy));
    lazy_file_forget_idle(&lazy, &retire); /* it was just taken */
    assert_non_null(lazy_file_find(&lazy));
    lazy_file_forget_idle(&lazy, &retire);
    assert_null(lazy_file_find(&lazy));
    simclock_run_for_ms(&simclock, 100);
    /* Who has it reads on. */
    assert_int_equal(file_read(handle->file, 0, &byte, 1, &got, NULL),
                     ERR_NONE);
    lazy_handle_unref(handle);
    assert_int_equal(lazy_file_take(&lazy, FILE_READ, false, &handle, NULL),
                     ERR_NONE);
    lazy_handle_unref(handle);
    lazy_file_fini(&lazy);
}

/* A reader must not leave the owner with a file that it cannot write. */
static void lazy_file_that_is_writable_is_opened_so_by_readers(void **state)
{
    struct lazy_file lazy;
    struct lazy_handle *handle = NULL;
    struct iovec part = {"x", 1};

    lazy_file_init(&lazy, simdisk_disk(sim), "/t-0", 3, ".x");
    lazy.writable = true;
    assert_int_equal(lazy_file_take(&lazy, FILE_READ, true, &handle, NULL),
                     ERR_NONE);
    assert_int_equal(file_write(handle->file, 0, &part, 1, NULL), ERR_NONE);
    lazy_handle_unref(handle);
    lazy_file_fini(&lazy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(view_keeps_an_old_list_until_the_fence,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            view_list_that_was_taken_outlives_the_fence, set_up, tear_down),
        cmocka_unit_test_setup_teardown(view_finds_the_segment_of_an_offset,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(view_remembers_the_last_visible_ends,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(view_mark_is_read_whole, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(
            lazy_file_is_given_up_when_nobody_uses_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            lazy_file_that_is_writable_is_opened_so_by_readers, set_up,
            tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
