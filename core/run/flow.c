/* flow.c - runs the steps of a request.
 *
 *    start                        resume
 *      |   +--------------------------------------------+
 *      v   v                                            |
 *   FLOW_STEP -- the step returns WAIT or AGAIN --> FLOW_WAITING
 *      |  ^  \                                       |       ^
 *      |  |   resume from inside --> FLOW_RESUMED    | cancel
 *      |  +-- WAIT or AGAIN ------------+            v
 *      |                                      FLOW_CANCELLING
 *      |  the last step is next                      |
 *      +-----------------------> FLOW_LAST <---------+
 *
 * Invariants, each a must():
 * 1. A resume is legal in FLOW_STEP (if the step then waits) and FLOW_WAITING
 *    only: a callback that comes twice, or late, is found where it happens.
 * 2. A step that resumed itself waits, one that fails says why.
 * 3. Steps are run from one loop, never from each other: a chain of waits that
 *    end at once does not grow the stack.
 * 4. The last step runs once. It may free the flow: nothing of it is touched
 *    afterwards.
 * 5. A flow that nobody measures reads no clock; one that is measured books
 *    every microsecond on exactly one step. */
#include "run/flow.h"
#include "base/must.h"

#include <time.h>

enum flow_state {
    FLOW_IDLE,
    FLOW_STEP,
    FLOW_RESUMED,
    FLOW_WAITING,
    FLOW_CANCELLING,
    FLOW_LAST,
};

static int64_t flow_clock_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

void flow_measure(struct flow *flow, struct flow_times *times)
{
    must(flow->state == FLOW_IDLE);
    flow->times = times;
    times->begun_us = times->booked_us = flow_clock_us();
}

int64_t flow_book_until_now(struct flow *flow)
{
    struct flow_times *times = flow->times;
    int64_t now;

    if (times == NULL) {
        return 0;
    }
    now = flow_clock_us();
    times->us[times->at] += (uint64_t)(now - times->booked_us);
    times->booked_us = now;
    return now - times->begun_us;
}

/* A step begins: what has passed belongs to the one before it. */
static void flow_book(struct flow *flow)
{
    if (flow->times != NULL) {
        flow_book_until_now(flow);
        flow->times->at = flow->at;
    }
}

static bool flow_is_at_last(const struct flow *flow)
{
    return flow->at == flow->count - 1;
}

/* The wait is over: where does it go on? */
static void flow_go_on(struct flow *flow)
{
    if (flow->err != ERR_NONE) {
        flow->at = (uint8_t)(flow->count - 1);
    } else if (!flow->again) {
        flow->at++;
    }
}

/* Runs one step that is not the last; false when it waits. */
static bool flow_step(struct flow *flow)
{
    enum flow_verdict verdict;
    bool is_resumed;

    flow_book(flow);
    flow->state = FLOW_STEP;
    verdict = flow->steps[flow->at].run(flow);
    is_resumed = flow->state == FLOW_RESUMED;
    switch (verdict) {
    case FLOW_NEXT:
        must(!is_resumed);
        flow->at++;
        return true;
    case FLOW_FAIL:
        must(!is_resumed && flow->err != ERR_NONE);
        flow->at = (uint8_t)(flow->count - 1);
        return true;
    case FLOW_WAIT:
    case FLOW_AGAIN:
        flow->again = verdict == FLOW_AGAIN;
        if (is_resumed) {
            flow_go_on(flow);
            return true;
        }
        flow->state = FLOW_WAITING;
        return false;
    }
    unreachable();
}

static void flow_run(struct flow *flow)
{
    while (!flow_is_at_last(flow)) {
        if (!flow_step(flow)) {
            return;
        }
    }
    flow_book(flow);
    flow->state = FLOW_LAST;
    must(flow->steps[flow->at].run(flow) == FLOW_NEXT);
}

void flow_start(struct flow *flow, const struct flow_step *steps, uint8_t count)
{
    struct flow_times *times = flow->times;

    must(count >= 1 && count <= FLOW_STEPS_MAX);
    *flow = (struct flow){.steps = steps, .count = count, .times = times};
    flow_run(flow);
}

void flow_resume(struct flow *flow, enum err err)
{
    switch ((enum flow_state)flow->state) {
    case FLOW_STEP:
        flow->err = err;
        flow->state = FLOW_RESUMED;
        return;
    case FLOW_WAITING:
        flow->err = err;
        flow_go_on(flow);
        flow_run(flow);
        return;
    case FLOW_IDLE:
    case FLOW_RESUMED:
    case FLOW_CANCELLING:
    case FLOW_LAST:
        break;
    }
    unreachable();
}

void flow_cancel(struct flow *flow, enum err err)
{
    void (*undo)(struct flow * flow);

    must(err != ERR_NONE);
    if (flow->state != FLOW_WAITING) {
        return;
    }
    undo = flow->steps[flow->at].cancel;
    if (undo == NULL) {
        return;
    }
    flow->state = FLOW_CANCELLING;
    undo(flow);
    flow->err = err;
    flow_go_on(flow);
    flow_run(flow);
}

const char *flow_step_name(const struct flow *flow)
{
    return flow->steps == NULL ? NULL : flow->steps[flow->at].name;
}
