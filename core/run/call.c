/* call.c - a message there, and the same memory back. */
#include "run/call.h"

#include "base/must.h"

static void call_deliver_run(struct mail *mail)
{
    struct call *call = container_of(mail, struct call, mail);

    call->run(call);
}

static void call_deliver_done(struct mail *mail)
{
    struct call *call = container_of(mail, struct call, mail);

    call->done(call);
}

void call_start(struct call *call, struct loop *to)
{
    call->home = loop_current();
    must(call->home != NULL);
    if (to == call->home) {
        call->run(call);
        return;
    }
    call->mail.deliver = call_deliver_run;
    mail_send(to, &call->mail);
}

void call_return(struct call *call)
{
    if (loop_is_current(call->home)) {
        call->done(call);
        return;
    }
    call->mail.deliver = call_deliver_done;
    mail_send(call->home, &call->mail);
}
