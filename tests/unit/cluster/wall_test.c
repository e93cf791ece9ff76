/* The clock of retention: what of it is kept, and when. The rules of trust are
 * tested in wall_core_test.c. */
#include "cluster/wall.h"

#include "base/mem.h"
#include "base/must.h"
#include "lib/fixture.h"
#include "lib/simenv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct world {
    char folder[FIXTURE_PATH_BYTES];
    struct simclock clock;
    struct simenv *sim;
    struct wall *wall;
};

static void world_open(struct world *w)
{
    *w = (struct world){0};
    fixture_folder(w->folder);
    simclock_init(&w->clock, 1);
    w->sim = simenv_open(&w->clock, disk_real());
    w->wall = wall_open(simenv_env(w->sim), w->folder);
}

static void world_close(struct world *w)
{
    wall_close(w->wall);
    simclock_run_for_ms(&w->clock, 1000);
    simenv_close(w->sim);
    simclock_fini(&w->clock);
    fixture_remove(w->folder);
}

static int64_t world_look(struct world *w)
{
    return wall_look(w->wall, simenv_env(w->sim));
}

/* What the file says; -1: there is none. */
static int64_t world_kept(const struct world *w)
{
    char path[FIXTURE_PATH_BYTES + 16];
    char text[64] = "";
    FILE *file;

    snprintf(path, sizeof(path), "%s/wall-clock", w->folder);
    file = fopen(path, "r");
    if (file == NULL) {
        return -1;
    }
    must(fread(text, 1, sizeof(text) - 1, file) > 0);
    fclose(file);
    return strtoll(text, NULL, 10);
}

/* Two syncs: a loop that looks must not wait for them. */
static void a_look_writes_nothing_itself_a_disk_thread_does(void **state)
{
    struct world w;
    int64_t seen;

    world_open(&w);
    seen = world_look(&w);
    assert_int_equal(world_kept(&w), -1);
    simclock_run_for_ms(&w.clock, 100);
    assert_int_equal(world_kept(&w), seen);
    world_close(&w);
}

static void it_is_kept_once_a_minute_however_often_somebody_looks(void **state)
{
    struct world w;
    int64_t first;

    world_open(&w);
    first = world_look(&w);
    for (int i = 0; i < 59; i++) {
        simclock_run_for_ms(&w.clock, 1000);
        (void)world_look(&w);
    }
    assert_int_equal(world_kept(&w), first);
    simclock_run_for_ms(&w.clock, 1100);
    (void)world_look(&w);
    simclock_run_for_ms(&w.clock, 100);
    assert_in_range(world_kept(&w) - first, 60000, 62000);
    world_close(&w);
}

/* The job has the wall's memory: the close leaves it to the job's end. */
static void a_close_while_it_is_kept_leaves_the_rest_to_the_job(void **state)
{
    struct world w;
    int64_t seen;

    world_open(&w);
    seen = world_look(&w);
    wall_close(w.wall);
    simclock_run_for_ms(&w.clock, 100);
    assert_int_equal(world_kept(&w), seen);
    w.wall = wall_open(simenv_env(w.sim), w.folder);
    world_close(&w);
}

/* A day ahead after a restart: retention goes by what was kept. */
static void a_clock_that_jumped_over_a_restart_is_not_believed(void **state)
{
    struct world w;
    int64_t seen;

    world_open(&w);
    seen = world_look(&w);
    simclock_run_for_ms(&w.clock, 100);
    wall_close(w.wall);
    simenv_skew_wall_ms(w.sim, 86400000);
    w.wall = wall_open(simenv_env(w.sim), w.folder);
    assert_in_range(world_look(&w) - seen, 0, 1000);
    world_close(&w);
}

static void a_file_of_rubbish_is_nothing_kept(void **state)
{
    struct world w;
    char path[FIXTURE_PATH_BYTES + 16];
    FILE *file;

    world_open(&w);
    wall_close(w.wall);
    snprintf(path, sizeof(path), "%s/wall-clock", w.folder);
    file = fopen(path, "w");
    must(file != NULL && fputs("-12 o'clock", file) >= 0);
    fclose(file);
    w.wall = wall_open(simenv_env(w.sim), w.folder);
    assert_int_equal(world_look(&w), env_wall_ms(simenv_env(w.sim)));
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_look_writes_nothing_itself_a_disk_thread_does),
        cmocka_unit_test(it_is_kept_once_a_minute_however_often_somebody_looks),
        cmocka_unit_test(a_close_while_it_is_kept_leaves_the_rest_to_the_job),
        cmocka_unit_test(a_clock_that_jumped_over_a_restart_is_not_believed),
        cmocka_unit_test(a_file_of_rubbish_is_nothing_kept),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
