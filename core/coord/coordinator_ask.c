/* coordinator_ask.c - a question to the control loop, and the way home.
 *
 * A question has one leg that is under way: its call. When its connection goes
 * away meanwhile, a second leg follows the first to the control loop and takes
 * the question out of the hands of whoever keeps it. done comes when all legs
 * are home. Calls of one loop to another run in order, so the second leg never
 * overtakes the first. */
#include "coord/coordinator_private.h"

#include "base/mem.h"
#include "base/must.h"

static void coordinator_ask_home(struct coordinator_ask *ask)
{
    must(ask->legs > 0);
    if (--ask->legs == 0) {
        ask->done(ask);
    }
}

static void coordinator_ask_run(struct call *call)
{
    struct coordinator_ask *ask =
        container_of(call, struct coordinator_ask, call);

    ask->run(ask);
}

static void coordinator_ask_returned(struct call *call)
{
    coordinator_ask_home(container_of(call, struct coordinator_ask, call));
}

void coordinator_ask_start(struct coordinator_ask *ask,
                           void (*run)(struct coordinator_ask *ask))
{
    ask->run = run;
    ask->waiter = NULL;
    ask->legs = 1;
    ask->call.run = coordinator_ask_run;
    ask->call.done = coordinator_ask_returned;
    list_init(&ask->node);
    call_start(&ask->call,
               controller_loop(ask->coordinator->options.controller));
}

void coordinator_ask_answer(struct coordinator_ask *ask, enum err err)
{
    must(ask->waiter == NULL);
    ask->err = err;
    call_return(&ask->call);
}

struct coordinator_waiter *coordinator_token(struct coordinator_ask *ask)
{
    ask->waiter = MEM_NEW(struct coordinator_waiter);
    ask->waiter->ask = ask;
    return ask->waiter;
}

static void coordinator_gone_run(struct call *call)
{
    struct coordinator_ask *ask =
        container_of(call, struct coordinator_ask, gone);

    if (ask->waiter != NULL) {
        ask->waiter->ask = NULL;
        ask->waiter = NULL;
        coordinator_ask_answer(ask, ERR_REBALANCE_IN_PROGRESS);
    }
    call_return(&ask->gone);
}

static void coordinator_gone_returned(struct call *call)
{
    coordinator_ask_home(container_of(call, struct coordinator_ask, gone));
}

void coordinator_gone(struct coordinator_ask *ask)
{
    must(ask->legs == 1);
    ask->legs++;
    ask->gone.run = coordinator_gone_run;
    ask->gone.done = coordinator_gone_returned;
    call_start(&ask->gone,
               controller_loop(ask->coordinator->options.controller));
}
