/* mail.c - a stack that many push onto and one takes whole.
 *
 * A sender pushes with one compare-and-exchange and learns from it whether the
 * stack was empty: only then it wakes the loop. The loop takes the whole stack
 * with one exchange and turns it round, so that the mail of each sender is in
 * its order again. What is sent while mail is delivered finds an empty stack,
 * and so wakes the loop for its next turn. */
#include "run/mail.h"
#include "base/must.h"
#include "run/loop_private.h"

void mail_send(struct loop *to, struct mail *mail)
{
    struct mail *newest = atomic_load_explicit(&to->in, memory_order_relaxed);

    must(mail->deliver != NULL);
    do {
        mail->next = newest;
    } while (!atomic_compare_exchange_weak_explicit(
        &to->in, &newest, mail, memory_order_release, memory_order_relaxed));
    if (newest == NULL) {
        uv_async_send(&to->wake);
    }
}

void mail_deliver(struct loop *loop)
{
    struct mail *newest =
        atomic_exchange_explicit(&loop->in, NULL, memory_order_acquire);
    struct mail *oldest = NULL;

    while (newest != NULL) {
        struct mail *next = newest->next;

        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    while (oldest != NULL) {
        struct mail *mail = oldest;

        oldest = mail->next;
        mail->deliver(mail);
    }
}
