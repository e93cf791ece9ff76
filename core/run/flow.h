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

struct flow {
    const struct flow_step *steps;
    enum err err; /* of FLOW_FAIL, flow_resume() or flow_cancel() */
    uint8_t count; /* private from here on */
    uint8_t at;
    uint8_t state;
    bool again;
};

/* Runs the first steps at once. The flow may be over when this returns. */
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
/* Of the step that waits or runs: for traces. */
const char *flow_step_name(const struct flow *flow);

#endif
