/* retire.h - what readers may still look at is given up after a fence.
 *
 * The owner takes something out of what is published, then retires it; once
 * every loop has come through a turn, release runs on the owner's loop. */
#ifndef LOG_RETIRE_H
#define LOG_RETIRE_H

#include "run/env.h"

struct retire {
    struct env *env;
    struct list pending;
    void (*idle)(void *arg); /* nothing is pending any more; may be NULL */
    void *arg;
};

/* Embedded in what is retired. */
struct retired {
    struct env_fence fence; /* private */
    struct retire *retire;  /* private */
    struct list node;       /* private */
    void (*release)(struct retired *retired);
};

/* idle: may be NULL. */
void retire_init(struct retire *retire, struct env *env,
                 void (*idle)(void *arg), void *arg);
/* Whether no fence is waited for. */
bool retire_is_idle(const struct retire *retire);
/* After simenv_crash(): no fence will answer and nobody reads. */
void retire_abandon(struct retire *retire);
/* retired: embedded in what release gives up. */
void retire_put(struct retire *retire, struct retired *retired,
                void (*release)(struct retired *retired));

#endif
