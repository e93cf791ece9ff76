/* simenv.h - a struct env on virtual time, for code that knows only that.
 *
 * Each simulated node has one; all nodes share a simclock. What the real loop
 * does in a turn, it does in an event: the callback, then all that was put off
 * with env_soon(). Timers fire late by a little, jobs run and end after random
 * delays, those of one key in order; a fence answers in a later event. */
#ifndef LIB_SIMENV_H
#define LIB_SIMENV_H

#include "lib/simclock.h"
#include "run/env.h"

struct simenv;

/* How slow things are: each delay is random, up to this. */
struct simenv_pace {
    int64_t timer_us; /* how late a timer fires */
    int64_t work_us;  /* until a job runs, and again until it is done */
    int64_t mail_us;  /* simenv_post(), fences */
};

/* clock, disk: borrowed until simenv_close(). Pace: 1 ms, 5 ms, 1 ms. */
struct simenv *simenv_open(struct simclock *clock, struct disk *disk);
/* Drops what is queued, as simenv_crash() does. */
void simenv_close(struct simenv *sim);
struct env *simenv_env(struct simenv *sim);
void simenv_set_pace(struct simenv *sim, struct simenv_pace pace);
/* Added to the wall clock: a wrong clock, a jump. */
void simenv_skew_wall_ms(struct simenv *sim, int64_t skew_ms);

/* Calls fire(arg) in an event of this node, after a random delay of up to
 * mail_us, or in exactly delay_us. What of it a crash drops is not called: arg
 * must not own memory, or drop (may be NULL) frees it. */
void simenv_post(struct simenv *sim, void (*fire)(void *arg),
                 void (*drop)(void *arg), void *arg);
void simenv_post_in_us(struct simenv *sim, int64_t delay_us,
                       void (*fire)(void *arg), void (*drop)(void *arg),
                       void *arg);
/* Calls fire(arg) at once, as an event of this node: with what is put off
 * "soon" behind it. For a test that calls the code from outside. */
void simenv_run(struct simenv *sim, void (*fire)(void *arg), void *arg);

/* The process dies: timers, jobs that have not run, ends of jobs that have,
 * fences and what was put off are dropped; their memory is the caller's again.
 * The env goes on, empty, for the node's next life. Not from inside a callback
 * of this node: put it as an event of the clock. */
void simenv_crash(struct simenv *sim);
/* Whether nothing of this node waits. */
bool simenv_is_idle(const struct simenv *sim);

#endif
