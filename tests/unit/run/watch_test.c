/* Those who wait for a number. */
#include "run/watch.h"

#include "lib/fixture.h"

struct follower {
    struct waiter waiter;
    struct watch *watch;
    int *order; /* counts up; each takes one */
    int woken;  /* its place in the order, 0: not woken */
    int64_t again_at;
    struct follower *cancels;
};

static void follower_wake(struct waiter *waiter)
{
    struct follower *f = container_of(waiter, struct follower, waiter);

    f->woken = ++*f->order;
    if (f->cancels != NULL) {
        watch_cancel(&f->cancels->waiter);
    }
    if (f->again_at > 0) {
        int64_t at = f->again_at;

        f->again_at = 0;
        assert_true(watch_wait(f->watch, waiter, at));
    }
}

static struct follower follower(struct watch *watch, int *order)
{
    return (struct follower){
        .waiter = {.wake = follower_wake}, .watch = watch, .order = order};
}

static void what_is_there_already_is_not_waited_for(void **state)
{
    struct watch watch;
    int order = 0;
    struct follower f = follower(&watch, &order);

    watch_init(&watch, 5);
    assert_false(watch_wait(&watch, &f.waiter, 5));
    assert_false(watch_wait(&watch, &f.waiter, -1));
    assert_true(list_is_empty(&watch.waiters));
    assert_true(watch_wait(&watch, &f.waiter, 6));
    watch_cancel(&f.waiter);
    watch_cancel(&f.waiter);
}

static void the_lowest_wakes_first_and_the_rest_waits_on(void **state)
{
    struct watch watch;
    int order = 0;
    struct follower f[4];
    static const int64_t at[] = {30, 10, 20, 20};

    watch_init(&watch, 0);
    for (int i = 0; i < 4; i++) {
        f[i] = follower(&watch, &order);
        assert_true(watch_wait(&watch, &f[i].waiter, at[i]));
    }
    watch_advance(&watch, 9);
    assert_int_equal(order, 0);
    watch_advance(&watch, 29);
    assert_int_equal(f[1].woken, 1);
    assert_int_equal(f[2].woken, 2);
    assert_int_equal(f[3].woken, 3);
    assert_int_equal(f[0].woken, 0);
    watch_advance(&watch, 30);
    assert_int_equal(f[0].woken, 4);
}

static void a_value_that_goes_back_wakes_nobody(void **state)
{
    struct watch watch;
    int order = 0;
    struct follower f = follower(&watch, &order);

    watch_init(&watch, 10);
    assert_true(watch_wait(&watch, &f.waiter, 11));
    watch_advance(&watch, 3);
    assert_int_equal(order, 0);
    assert_int_equal(watch.value, 3);
    watch_advance(&watch, 11);
    assert_int_equal(order, 1);
}

static void the_woken_may_cancel_others_and_wait_again(void **state)
{
    struct watch watch;
    int order = 0;
    struct follower a = follower(&watch, &order);
    struct follower b = follower(&watch, &order);

    watch_init(&watch, 0);
    a.cancels = &b;
    a.again_at = 7;
    assert_true(watch_wait(&watch, &a.waiter, 1));
    assert_true(watch_wait(&watch, &b.waiter, 2));
    watch_advance(&watch, 2);
    assert_int_equal(a.woken, 1);
    assert_int_equal(b.woken, 0);
    watch_advance(&watch, 7);
    assert_int_equal(a.woken, 2);
}

static void everybody_wakes_when_the_thing_goes_away(void **state)
{
    struct watch watch;
    int order = 0;
    struct follower a = follower(&watch, &order);
    struct follower b = follower(&watch, &order);

    watch_init(&watch, 0);
    assert_true(watch_wait(&watch, &a.waiter, 100));
    assert_true(watch_wait(&watch, &b.waiter, INT64_MAX));
    watch_wake_all(&watch);
    assert_int_equal(order, 2);
    assert_true(list_is_empty(&watch.waiters));
    watch_cancel(&a.waiter);
}

static void cancelling_who_never_waited_is_accepted(void **state)
{
    struct waiter waiter = {0};

    watch_cancel(&waiter);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_there_already_is_not_waited_for),
        cmocka_unit_test(the_lowest_wakes_first_and_the_rest_waits_on),
        cmocka_unit_test(a_value_that_goes_back_wakes_nobody),
        cmocka_unit_test(the_woken_may_cancel_others_and_wait_again),
        cmocka_unit_test(everybody_wakes_when_the_thing_goes_away),
        cmocka_unit_test(cancelling_who_never_waited_is_accepted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
