/* loop.h - worker threads, each with one libuv loop.
 *
 * Loop 0 runs on the thread that calls loops_run() and owns the metadata (the
 * "control loop"); the others run on threads of their own. What belongs to a
 * loop is touched on its thread only; loop_is_current() is there for must().
 * Nothing here wakes a loop up that has nothing to do. */
#ifndef RUN_LOOP_H
#define RUN_LOOP_H

#include "run/env.h"

enum { LOOPS_MAX = 16 };

struct loop;
struct loops; /* all loops of the process, and its disk threads */

/* A message to another loop: the memory is the receiver's from the send to the
 * deliver. Embed it in what it carries. */
struct mail {
    void (*deliver)(struct mail *mail);
    struct mail *next; /* private */
};

/* 1 on up to two cores, else half the cores, at most LOOPS_MAX. */
unsigned loops_default_count(void);
/* count loops (1 to LOOPS_MAX) and work_threads disk threads (1 to 64). */
MUST_USE enum err loops_open(unsigned count, unsigned work_threads,
                             struct loops **out, struct why *why);
/* Calls start on loop 0 in its first turn, then runs until loops_stop(). */
void loops_run(struct loops *loops, void (*start)(void *arg), void *arg);
/* Any thread. Loops end once their handles are closed: stop things first. */
void loops_stop(struct loops *loops);
/* After loops_run() has returned. */
void loops_close(struct loops *loops);
unsigned loops_count(const struct loops *loops);
struct loop *loops_at(struct loops *loops, unsigned index);

unsigned loop_index(const struct loop *loop);
struct env *loop_env(struct loop *loop);
bool loop_is_current(const struct loop *loop);
/* The loop of this thread; NULL on a thread that has none. */
struct loop *loop_current(void);
/* The uv_loop_t, for net/ (which has libuv's door too). */
void *loop_uv(struct loop *loop);

/* Any thread, also the loop's own. Delivered in a later turn, in the order of
 * each sender; one wake-up a turn, however many are sent. */
void mail_send(struct loop *to, struct mail *mail);

/* Ctrl-C and SIGTERM: on loop 0, once each time. */
void loops_on_signal(struct loops *loops, void (*fire)(void *arg, int signal),
                     void *arg);

#endif
