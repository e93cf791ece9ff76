/* flow.h - a request that waits is a table of named steps.
 *
 * The steps run in the order of the table; the last one always runs, exactly
 * once, and answers and frees. A step starts at most one kind of wait (a wait
 * for several is a counter in the struct) and never blocks. Belongs to the loop
 * on which it was started. Embed struct flow in the request's own struct. */
#ifndef RUN_FLOW_H
#define RUN_FLOW_H

#include "base/err.h"
#include "base/list.h"

struct flow;

enum flow_verdict {
    FLOW_NEXT,  /* this step is done: run the next one now */
    FLOW_WAIT,  /* something is in flight: run the next one when resumed */
    FLOW_AGAIN, /* something is in flight: run this one again when resumed */
    FLOW_FAIL,  /* flow->err says why: go to the last step */
};

struct flow_step {
    const char *name;
    enum flow_verdict (*run)(struct flow *flow);
    void (*cancel)(struct flow *flow); /* undoes the wait; NULL: cannot */
};

enum { FLOW_STEPS_MAX = 8 };

/* What the steps of one flow have taken so far. Zero before flow_measure(). */
struct flow_times {
    uint64_t us[FLOW_STEPS_MAX]; /* of each step: it ran, or it waited */
    int64_t begun_us;            /* private from here on */
    int64_t booked_us;           /* all until then is in us */
    uint8_t at;                  /* the step that goes on since */
};

struct flow {
    const struct flow_step *steps;
    enum err err;  /* of FLOW_FAIL, flow_resume() or flow_cancel() */
    uint8_t count; /* private from here on */
    uint8_t at;
    uint8_t state;
    bool again;
    struct flow_times *times; /* borrowed; NULL: nobody measures */
};

/* Measures this flow from here on: what comes before its first step is counted
 * with that. Without it no clock is read. times: zeroed; in use until the flow
 * is over. */
void flow_measure(struct flow *flow, struct flow_times *times);
/* Books the time until now on the step that waits or runs, and gives the sum;
 * 0 where nobody measures. */
int64_t flow_book_until_now(struct flow *flow);

/* Runs the first steps at once. The flow may be over when this returns. flow:
 * zero, but for flow_measure(). count: 1 to FLOW_STEPS_MAX. */
void flow_start(struct flow *flow, const struct flow_step *steps,
                uint8_t count);
/* Once for each WAIT or AGAIN, also from inside the step that waits: then the
 * step goes on when it has returned. err other than ERR_NONE goes to the last
 * step. Anything else (no wait, a second time, from the last step) aborts. */
void flow_resume(struct flow *flow, enum err err);
/* A deadline, a closed client: undoes the wait where the step can, and goes to
 * the last step; does nothing where it cannot, nor while a step runs. err: not
 * ERR_NONE. */
void flow_cancel(struct flow *flow, enum err err);
/* Of the step that waits or runs: for reports. NULL before flow_start(): a
 * request that is not a flow has one that never starts. */
const char *flow_step_name(const struct flow *flow);

#endif
