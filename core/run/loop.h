/* loop.h - worker threads, each with one libuv loop.
 *
 * Loop 0 runs on the thread that calls loops_run() and owns the metadata (the
 * "control loop"); the others run on threads of their own. What belongs to a
 * loop is touched on its thread only; loop_is_current() is there for must().
 * Nothing here wakes a loop up that has nothing to do. */
#ifndef RUN_LOOP_H
#define RUN_LOOP_H

#include "run/env.h"
#include "run/mail.h"

enum { LOOPS_MAX = 16 };

struct loop;
struct loops; /* all loops of the process, and its disk threads */

/* 1 on up to two cores, else half the cores, at most LOOPS_MAX. */
unsigned loops_default_count(void);
/* count loops (1 to LOOPS_MAX) and at most work_threads disk threads (1 to 64):
 * they are started when there is work for them. SIGPIPE is ignored from here
 * on. Errors: ERR_SYSTEM (no descriptors, no threads). */
MUST_USE enum err loops_open(unsigned count, unsigned work_threads,
                             struct loops **out, struct why *why);
/* Calls start on loop 0 in its first turn, then runs until loops_stop(). */
void loops_run(struct loops *loops, void (*start)(void *arg), void *arg);
/* Any thread. Each loop delivers the mail it has, waits for the jobs it has
 * submitted, and ends once the handles of net/ are closed: timers, fences and
 * mail between loops are not waited for, so stop things first. */
void loops_stop(struct loops *loops);
/* After loops_run() has returned, or in its place. loops: NULL is accepted. */
void loops_close(struct loops *loops);
/* What loops_open() was given. */
unsigned loops_count(const struct loops *loops);
/* index: below loops_count(). */
struct loop *loops_at(struct loops *loops, unsigned index);

/* From 0 on. */
unsigned loop_index(const struct loop *loop);
/* What the floors above see of it; lives as long as the loop. */
struct env *loop_env(struct loop *loop);
/* Whether this is its thread. */
bool loop_is_current(const struct loop *loop);
/* The loop of this thread; NULL on a thread that has none. */
struct loop *loop_current(void);
/* The uv_loop_t, for net/ (which has libuv's door too). */
void *loop_uv(struct loop *loop);

/* Ctrl-C, SIGTERM and SIGUSR1: on loop 0, once each time. Call it before
 * loops_run() or on loop 0, once. */
void loops_on_signal(struct loops *loops, void (*fire)(void *arg, int signal),
                     void *arg);

#endif
