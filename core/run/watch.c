/* watch.c - waiters in the order of what they wait for.
 *
 * Those who come ask for more than those who are there, nearly always, so a
 * place is looked for from the end. */
#include "run/watch.h"
#include "base/must.h"

static struct waiter *waiter_of(struct list *node)
{
    return container_of(node, struct waiter, node);
}

void watch_init(struct watch *watch, int64_t value)
{
    list_init(&watch->waiters);
    watch->value = value;
}

bool watch_wait(struct watch *watch, struct waiter *waiter, int64_t at_least)
{
    struct list *before = watch->waiters.prev;

    must(waiter->wake != NULL);
    must(waiter->node.next == NULL || list_is_empty(&waiter->node));
    if (watch->value >= at_least) {
        return false;
    }
    while (before != &watch->waiters &&
           waiter_of(before)->at_least > at_least) {
        before = before->prev;
    }
    waiter->at_least = at_least;
    list_push_first(before, &waiter->node);
    return true;
}

void watch_cancel(struct waiter *waiter)
{
    if (waiter->node.next != NULL) {
        list_remove(&waiter->node);
    }
}

/* The woken may wait again, cancel others, or end the watch: who is to wake is
 * in a list of its own before the first is woken. */
static void watch_wake(struct list *woken)
{
    struct list *node;

    while ((node = list_pop(woken)) != NULL) {
        struct waiter *waiter = waiter_of(node);

        waiter->wake(waiter);
    }
}

void watch_advance(struct watch *watch, int64_t value)
{
    struct list woken;

    list_init(&woken);
    watch->value = value;
    while (!list_is_empty(&watch->waiters) &&
           waiter_of(watch->waiters.next)->at_least <= value) {
        list_push(&woken, list_pop(&watch->waiters));
    }
    watch_wake(&woken);
}

void watch_wake_all(struct watch *watch)
{
    struct list woken;

    list_init(&woken);
    list_move(&watch->waiters, &woken);
    watch_wake(&woken);
}
