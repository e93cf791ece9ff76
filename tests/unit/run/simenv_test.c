/* The simulated env: the order it keeps, the chance it takes, its death. */
#include "lib/simenv.h"
#include "base/mem.h"

#include "lib/fixture.h"
#include "lib/simdisk.h"
#include <stdio.h>
#include <string.h>

static struct simclock time_line;
static struct simenv *sim;
static struct env *env;
static char seen[8192];

static void begin(uint64_t seed)
{
    seen[0] = '\0';
    simclock_init(&time_line, seed);
    sim = simenv_open(&time_line, NULL);
    env = simenv_env(sim);
}

static void end(void)
{
    simenv_close(sim);
    simclock_fini(&time_line);
}

static void see(const char *what)
{
    assert_true(strlen(seen) + strlen(what) < sizeof(seen));
    strcat(seen, what);
}

/* ---- the clock ---- */

struct mark {
    struct simevent event;
    char text[2];
};

static void mark_fire(struct simevent *event)
{
    see(container_of(event, struct mark, event)->text);
}

static void events_come_in_order_of_time_then_of_being_put(void **state)
{
    struct mark marks[5];
    static const int64_t due_us[] = {300, 100, 100, 200, 100};

    begin(1);
    for (int i = 0; i < 5; i++) {
        marks[i] = (struct mark){{.fire = mark_fire}, {(char)('0' + i), '\0'}};
        simclock_put(&time_line, &marks[i].event, due_us[i]);
    }
    simclock_put(&time_line, &marks[3].event, 50); /* moved */
    simclock_remove(&time_line, &marks[4].event);
    simclock_remove(&time_line, &marks[4].event);
    assert_false(simclock_is_waiting(&marks[4].event));
    assert_true(simclock_step(&time_line));
    assert_int_equal(time_line.now_us, 50);
    assert_true(simclock_run_until_idle(&time_line, 1000));
    assert_string_equal(seen, "3120");
    assert_int_equal(time_line.now_us, 300);
    assert_int_equal(time_line.steps, 4);
    assert_false(simclock_step(&time_line));
    simclock_put(&time_line, &marks[0].event, 7); /* past is now */
    simclock_run_for_ms(&time_line, 5);
    assert_int_equal(time_line.now_us, 5000);
    end();
}

static void running_ends_at_the_flag_or_the_limit(void **state)
{
    struct mark mark = {{.fire = mark_fire}, "x"};
    bool flag = true;

    begin(1);
    assert_true(simclock_run_until_set(&time_line, &flag, 10));
    flag = false;
    assert_false(simclock_run_until_set(&time_line, &flag, 10));
    simclock_put(&time_line, &mark.event, 20000);
    assert_false(simclock_run_until_set(&time_line, &flag, 10));
    assert_false(simclock_run_until_idle(&time_line, 10));
    assert_string_equal(seen, "");
    simclock_remove(&time_line, &mark.event);
    end();
}

/* ---- timers and tasks ---- */

struct alarm_clock {
    struct env_timer timer;
    int64_t due_ms;
    int count;
};

static void alarm_rings(struct env_timer *timer)
{
    struct alarm_clock *a = container_of(timer, struct alarm_clock, timer);

    assert_true(env_now_ms(env) >= a->due_ms);
    assert_true(env_now_ms(env) <= a->due_ms + 2);
    a->count++;
}

static void timers_are_never_early_and_late_by_little(void **state)
{
    static struct alarm_clock alarms[200];
    uint64_t seed = 5;

    begin(2);
    memset(alarms, 0, sizeof(alarms));
    simclock_run_for_ms(&time_line, 7);
    for (int i = 0; i < 200; i++) {
        int64_t delay_ms = (int64_t)(fixture_random(&seed) % 500) - 5;

        alarms[i].timer.fire = alarm_rings;
        alarms[i].due_ms = env_now_ms(env) + MAX(delay_ms, 0);
        env_timer_set(env, &alarms[i].timer, delay_ms);
    }
    env_timer_stop(env, &alarms[17].timer);
    env_timer_stop(env, &alarms[17].timer);
    alarms[18].due_ms = env_now_ms(env) + 1000;
    env_timer_set(env, &alarms[18].timer, 1000);
    assert_true(simclock_run_until_idle(&time_line, 2000));
    for (int i = 0; i < 200; i++) {
        assert_int_equal(alarms[i].count, i == 17 ? 0 : 1);
    }
    assert_true(simenv_is_idle(sim));
    end();
}

static struct env_task first, second;

static void task_first(struct env_task *task)
{
    see("1");
    env_soon(env, &second);
}

static void task_second(struct env_task *task)
{
    see("2");
}

static void put_off(void *arg)
{
    env_soon(env, &first);
    env_soon(env, &first);
    see("0");
}

static void tasks_run_once_behind_the_event(void **state)
{
    begin(3);
    first = (struct env_task){.run = task_first};
    second = (struct env_task){.run = task_second};
    simenv_run(sim, put_off, NULL);
    assert_string_equal(seen, "012");
    simenv_post(sim, put_off, NULL, NULL);
    assert_string_equal(seen, "012");
    simclock_run_for_ms(&time_line, 2);
    assert_string_equal(seen, "012012");
    end();
}

/* ---- jobs ---- */

enum { JOBS = 60 };

struct job {
    struct work work;
    int number;
};

static struct job jobs[JOBS];

static void job_run(struct work *work)
{
    char text[16];

    snprintf(text, sizeof(text), "r%d ",
             container_of(work, struct job, work)->number);
    see(text);
}

static void job_done(struct work *work)
{
    char text[16];

    snprintf(text, sizeof(text), "d%d ",
             container_of(work, struct job, work)->number);
    see(text);
}

static void submit(void *arg)
{
    for (int i = 0; i < JOBS; i++) {
        jobs[i] = (struct job){
            .work = {.run = job_run, .done = job_done, .key = (uint64_t)i % 3},
            .number = i,
        };
        env_work(env, &jobs[i].work);
    }
    see("| ");
}

static const char *place_of(char kind, int number)
{
    char text[16];

    snprintf(text, sizeof(text), " %c%d ", kind, number);
    return strstr(seen, text);
}

static void jobs_of_a_key_keep_their_order_and_others_do_not(void **state)
{
    bool saw_mixed = false;

    for (uint64_t seed = 0; seed < 20; seed++) {
        begin(seed);
        simenv_run(sim, submit, NULL);
        assert_true(simclock_run_until_idle(&time_line, 10000));
        assert_memory_equal(seen, "| ", 2);
        for (int i = 0; i < JOBS; i++) {
            assert_non_null(place_of('r', i));
            assert_true(place_of('r', i) < place_of('d', i));
            if (i >= 3) {
                assert_true(place_of('r', i - 3) < place_of('r', i));
                assert_true(place_of('d', i - 3) < place_of('d', i));
            }
            saw_mixed |= i >= 1 && place_of('r', i) < place_of('r', i - 1);
        }
        end();
    }
    assert_true(saw_mixed);
}

static void the_same_seed_is_the_same_run_and_another_is_not(void **state)
{
    static char runs[3][sizeof(seen)];
    static const uint64_t seeds[] = {11, 11, 12};
    uint8_t random[3][16];

    for (int i = 0; i < 3; i++) {
        begin(seeds[i]);
        env_random(env, random[i], sizeof(random[i]));
        simenv_run(sim, submit, NULL);
        assert_true(simclock_run_until_idle(&time_line, 10000));
        memcpy(runs[i], seen, sizeof(seen));
        end();
    }
    assert_string_equal(runs[0], runs[1]);
    assert_string_not_equal(runs[0], runs[2]);
    assert_memory_equal(random[0], random[1], sizeof(random[0]));
    assert_memory_not_equal(random[0], random[2], sizeof(random[0]));
}

static void fence_done(struct env_fence *fence)
{
    see("f");
}

static void fence_start(void *arg)
{
    env_fence(env, arg);
    see("a");
}

static void a_fence_answers_in_a_later_event(void **state)
{
    struct env_fence fence = {.done = fence_done};

    begin(4);
    simenv_run(sim, fence_start, &fence);
    assert_string_equal(seen, "a");
    simclock_run_for_ms(&time_line, 2);
    assert_string_equal(seen, "af");
    end();
}

static void wall_time_goes_with_the_clock_and_may_be_wrong(void **state)
{
    int64_t before;

    begin(5);
    before = env_wall_ms(env);
    simclock_run_for_ms(&time_line, 1000);
    assert_int_equal(env_wall_ms(env), before + 1000);
    simenv_skew_wall_ms(sim, -3600000);
    assert_int_equal(env_wall_ms(env), before + 1000 - 3600000);
    assert_int_equal(env_now_ms(env), 1000);
    end();
}

/* ---- death ---- */

static void dropped(void *arg)
{
    see("x");
    mem_free(arg);
}

static void never(void *arg)
{
    see("!");
    mem_free(arg);
}

static void timer_never(struct env_timer *timer)
{
    see("!");
}

static void a_crash_drops_all_that_was_queued(void **state)
{
    struct env_timer timer = {.fire = timer_never};
    struct env_fence fence = {.done = fence_done};

    for (int64_t ms = 0; ms < 8; ms++) {
        size_t len;

        begin(6);
        env_timer_set(env, &timer, 20);
        simenv_run(sim, submit, NULL);
        simenv_post_in_us(sim, 10000, never, dropped, mem_alloc(8));
        simclock_run_for_ms(&time_line, ms);
        env_fence(env, &fence);
        env_soon(env, &first);
        simenv_crash(sim);
        assert_true(simenv_is_idle(sim));
        assert_int_equal(seen[strlen(seen) - 1], 'x');
        assert_int_equal(timer.node.place, 0);
        assert_false(first.queued);
        len = strlen(seen);
        assert_true(simclock_run_until_idle(&time_line, 100));
        assert_int_equal(strlen(seen), len);
        env_timer_set(env, &timer, 1); /* the next life */
        simclock_run_for_ms(&time_line, 5);
        assert_int_equal(strlen(seen), len + 1);
        end();
    }
}

static void nodes_share_a_clock_and_die_alone(void **state)
{
    struct simenv *other;
    struct env_timer mine = {.fire = timer_never};
    struct env_timer theirs = {.fire = timer_never};

    begin(7);
    other = simenv_open(&time_line, NULL);
    simenv_set_pace(other, (struct simenv_pace){0});
    env_timer_set(env, &mine, 5);
    env_timer_set(simenv_env(other), &theirs, 5);
    simenv_crash(sim);
    simclock_run_until_ms(&time_line, 5);
    assert_string_equal(seen, "!");
    simenv_close(other);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_come_in_order_of_time_then_of_being_put),
        cmocka_unit_test(running_ends_at_the_flag_or_the_limit),
        cmocka_unit_test(timers_are_never_early_and_late_by_little),
        cmocka_unit_test(tasks_run_once_behind_the_event),
        cmocka_unit_test(jobs_of_a_key_keep_their_order_and_others_do_not),
        cmocka_unit_test(the_same_seed_is_the_same_run_and_another_is_not),
        cmocka_unit_test(a_fence_answers_in_a_later_event),
        cmocka_unit_test(wall_time_goes_with_the_clock_and_may_be_wrong),
        cmocka_unit_test(a_crash_drops_all_that_was_queued),
        cmocka_unit_test(nodes_share_a_clock_and_die_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
