/* loops_world.h - real loops on threads of their own, and errands for them from
 * the test's thread. */
#ifndef UNIT_CLUSTER_LOOPS_WORLD_H
#define UNIT_CLUSTER_LOOPS_WORLD_H

#include "base/must.h"
#include "lib/fixture.h"
#include "run/loop.h"
#include "wire/batch.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct loops_world {
    struct loops *loops;
    pthread_t thread;
    sem_t started;
    char folder[FIXTURE_PATH_BYTES];
};

static inline void loops_world_started(void *arg)
{
    sem_post(arg);
}

static inline void *loops_world_thread(void *arg)
{
    struct loops_world *w = arg;

    loops_run(w->loops, loops_world_started, &w->started);
    return NULL;
}

static inline void loops_world_open(struct loops_world *w, unsigned count)
{
    must(loops_open(count, 4, &w->loops, NULL) == ERR_NONE);
    fixture_folder(w->folder);
    sem_init(&w->started, 0, 0);
    must(pthread_create(&w->thread, NULL, loops_world_thread, w) == 0);
    sem_wait(&w->started);
}

static inline void loops_world_close(struct loops_world *w)
{
    loops_stop(w->loops);
    pthread_join(w->thread, NULL);
    loops_close(w->loops);
    sem_destroy(&w->started);
    fixture_remove(w->folder);
}

/* Something for a loop to do; the test waits until errand_end() was called,
 * from run() or later. */
struct errand {
    struct mail mail;
    void (*run)(struct errand *errand);
    void *arg;
    sem_t ended;
};

static inline void errand_deliver(struct mail *mail)
{
    struct errand *errand = container_of(mail, struct errand, mail);

    errand->run(errand);
}

static inline void errand_end(void *arg)
{
    struct errand *errand = arg;

    sem_post(&errand->ended);
}

static inline void errand_start(struct loops_world *w, unsigned loop,
                                struct errand *errand,
                                void (*run)(struct errand *errand), void *arg)
{
    *errand = (struct errand){
        .mail = {.deliver = errand_deliver}, .run = run, .arg = arg};
    sem_init(&errand->ended, 0, 0);
    mail_send(loops_at(w->loops, loop), &errand->mail);
}

static inline void errand_wait(struct errand *errand)
{
    sem_wait(&errand->ended);
    sem_destroy(&errand->ended);
}

/* Waits at most so long; false when it did not end. */
static inline bool errand_ends_within(struct errand *errand, int seconds)
{
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += seconds;
    return sem_timedwait(&errand->ended, &until) == 0;
}

static inline void loops_world_do(struct loops_world *w, unsigned loop,
                                  void (*run)(struct errand *errand), void *arg)
{
    struct errand errand;

    errand_start(w, loop, &errand, run, arg);
    errand_wait(&errand);
}

/* A batch of count records; sequence: of producer 7, -1: of no producer. */
static inline struct str loops_world_batch(struct arena *arena, int32_t count,
                                           int32_t sequence)
{
    struct batch_options options = BATCH_OPTIONS;
    struct batch_builder builder;
    struct str out;

    if (sequence >= 0) {
        options.producer_id = 7;
        options.producer_epoch = 0;
        options.base_sequence = sequence;
    }
    batch_builder_init(&builder, arena, &options, 256);
    for (int32_t i = 0; i < count; i++) {
        struct batch_record record = {.timestamp = 1800000000000 + i,
                                      .value = STR_LIT("value")};

        batch_builder_add(&builder, &record);
    }
    must(batch_builder_finish(&builder, &out) == ERR_NONE);
    return out;
}

#endif
