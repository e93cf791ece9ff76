/* mail.h - messages between loops.
 *
 * One queue a loop, many writers, one wake-up a turn. Ownership moves with the
 * message: nothing of it is locked. */
#ifndef RUN_MAIL_H
#define RUN_MAIL_H

#include "base/base.h"

struct loop;

/* A message to another loop: the memory is the receiver's from the send to the
 * deliver. Embed it in what it carries. */
struct mail {
    void (*deliver)(struct mail *mail);
    struct mail *next; /* private */
};

/* Any thread, also the loop's own. Delivered later, never from within this
 * call: in the loop's next round of mail, which may still be this turn's. The
 * order of each sender is kept; one wake-up a turn, however many are sent. */
void mail_send(struct loop *to, struct mail *mail);

#endif
