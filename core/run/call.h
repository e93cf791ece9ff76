/* call.h - ask another loop, and get the answer back on one's own.
 *
 * A call is two pieces of mail: there, run() does the work or starts it; when
 * it is done, call_return() brings the call home to done(). On the same loop no
 * mail is sent: run() and done() are then called from inside call_start() and
 * call_return(). Caller's memory, in use until done. */
#ifndef RUN_CALL_H
#define RUN_CALL_H

#include "run/loop.h"

struct call {
    void (*run)(struct call *call);  /* on the loop that was asked */
    void (*done)(struct call *call); /* on the loop that asked */
    struct loop *home;               /* private from here on */
    struct mail mail;
};

/* Answers by mail. Calls of one loop to one other run in order. */
void call_start(struct call *call, struct loop *to);
/* On the loop that was asked, once, in run() or later. */
void call_return(struct call *call);

#endif
