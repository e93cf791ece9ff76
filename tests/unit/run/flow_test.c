/* A request as a table of steps: every way through it, and every way to misuse
 * it. */
#include "run/flow.h"

#include "lib/fixture.h"
#include <string.h>
#include <unistd.h>

struct request {
    struct flow flow;
    char log[64];
    enum err end;
    int again;
    enum flow_verdict wait; /* what "wait" answers */
    bool resumes_inside;
    enum err inside;
};

static struct request *request_of(struct flow *flow)
{
    return container_of(flow, struct request, flow);
}

static void note(struct flow *flow, char what)
{
    struct request *request = request_of(flow);

    request->log[strlen(request->log)] = what;
}

static enum flow_verdict step_next(struct flow *flow)
{
    assert_string_equal(flow_step_name(flow), "next");
    note(flow, 'n');
    return FLOW_NEXT;
}

static enum flow_verdict step_wait(struct flow *flow)
{
    struct request *request = request_of(flow);

    note(flow, 'w');
    if (request->resumes_inside) {
        flow_resume(flow, request->inside);
    }
    if (request->wait == FLOW_AGAIN && request->again-- == 0) {
        request->wait = FLOW_WAIT;
    }
    return request->wait;
}

static void undo_wait(struct flow *flow)
{
    note(flow, 'u');
}

static enum flow_verdict step_fail(struct flow *flow)
{
    note(flow, 'f');
    flow->err = ERR_CORRUPT;
    return FLOW_FAIL;
}

static enum flow_verdict step_last(struct flow *flow)
{
    note(flow, 'l');
    request_of(flow)->end = flow->err;
    /* As if it were freed: nothing may look at it any more. */
    memset(flow, 0xa5, sizeof(*flow));
    return FLOW_NEXT;
}

static const struct flow_step waiting[] = {
    {"next", step_next, NULL},
    {"wait", step_wait, undo_wait},
    {"next", step_next, NULL},
    {"last", step_last, NULL},
};

static const struct flow_step stubborn[] = {
    {"wait", step_wait, NULL},
    {"last", step_last, NULL},
};

static const struct flow_step failing[] = {
    {"next", step_next, NULL},
    {"fail", step_fail, NULL},
    {"next", step_next, NULL},
    {"last", step_last, NULL},
};

static void steps_run_in_order_and_the_last_one_ends_it(void **state)
{
    static const struct flow_step steps[] = {
        {"next", step_next, NULL},
        {"next", step_next, NULL},
        {"last", step_last, NULL},
    };
    struct request request = {.end = ERR_DISK};

    flow_start(&request.flow, steps, 3);
    assert_string_equal(request.log, "nnl");
    assert_int_equal(request.end, ERR_NONE);
}

static void a_flow_of_only_the_last_step_runs_it(void **state)
{
    struct request request = {.end = ERR_DISK};

    flow_start(&request.flow, &waiting[3], 1);
    assert_string_equal(request.log, "l");
    assert_int_equal(request.end, ERR_NONE);
}

static void a_step_that_fails_leads_to_the_last(void **state)
{
    struct request request = {0};

    flow_start(&request.flow, failing, 4);
    assert_string_equal(request.log, "nfl");
    assert_int_equal(request.end, ERR_CORRUPT);
}

static void a_wait_goes_on_with_the_next_step_when_resumed(void **state)
{
    struct request request = {.wait = FLOW_WAIT};

    flow_start(&request.flow, waiting, 4);
    assert_string_equal(request.log, "nw");
    assert_string_equal(flow_step_name(&request.flow), "wait");
    flow_resume(&request.flow, ERR_NONE);
    assert_string_equal(request.log, "nwnl");
    assert_int_equal(request.end, ERR_NONE);
}

static void again_runs_the_same_step_when_resumed(void **state)
{
    struct request request = {.wait = FLOW_AGAIN, .again = 2};

    flow_start(&request.flow, waiting, 4);
    flow_resume(&request.flow, ERR_NONE);
    flow_resume(&request.flow, ERR_NONE);
    assert_string_equal(request.log, "nwww");
    flow_resume(&request.flow, ERR_NONE);
    assert_string_equal(request.log, "nwwwnl");
}

static void a_resume_with_an_error_leads_to_the_last_step(void **state)
{
    struct request request = {.wait = FLOW_AGAIN, .again = 5};

    flow_start(&request.flow, waiting, 4);
    flow_resume(&request.flow, ERR_TIMEOUT);
    assert_string_equal(request.log, "nwl");
    assert_int_equal(request.end, ERR_TIMEOUT);
}

static void a_step_may_be_resumed_from_inside(void **state)
{
    struct request request = {.wait = FLOW_WAIT, .resumes_inside = true};

    flow_start(&request.flow, waiting, 4);
    assert_string_equal(request.log, "nwnl");
    assert_int_equal(request.end, ERR_NONE);
    request = (struct request){
        .wait = FLOW_WAIT, .resumes_inside = true, .inside = ERR_DISK};
    flow_start(&request.flow, waiting, 4);
    assert_string_equal(request.log, "nwl");
    assert_int_equal(request.end, ERR_DISK);
}

static enum flow_verdict step_many(struct flow *flow)
{
    flow_resume(flow, ERR_NONE);
    return request_of(flow)->again-- == 0 ? FLOW_WAIT : FLOW_AGAIN;
}

/* A million waits that end at once must not be a million frames deep. */
static void resumes_from_inside_do_not_grow_the_stack(void **state)
{
    static const struct flow_step steps[] = {
        {"many", step_many, NULL},
        {"last", step_last, NULL},
    };
    struct request request = {.again = 1000000};

    flow_start(&request.flow, steps, 2);
    assert_string_equal(request.log, "l");
}

/* ---- measured ---- */

static struct flow_times times;
static uint64_t times_at_last[4];
static int64_t total_at_last;

static void pass_ms(int ms)
{
    usleep((useconds_t)ms * 1000);
}

static enum flow_verdict step_slow(struct flow *flow)
{
    pass_ms(3);
    return FLOW_NEXT;
}

static enum flow_verdict step_parked(struct flow *flow)
{
    return request_of(flow)->again-- > 0 ? FLOW_AGAIN : FLOW_NEXT;
}

static enum flow_verdict step_report(struct flow *flow)
{
    pass_ms(2);
    total_at_last = flow_book_until_now(flow);
    memcpy(times_at_last, times.us, sizeof(times_at_last));
    return FLOW_NEXT;
}

static const struct flow_step measured[] = {
    {"slow", step_slow, NULL},
    {"parked", step_parked, NULL},
    {"report", step_report, NULL},
};

/* A wait belongs to the step that waits, however often it runs again. */
static void each_step_is_told_with_what_it_ran_and_waited(void **state)
{
    struct request request = {.again = 2};

    times = (struct flow_times){.at = 0};
    flow_measure(&request.flow, &times);
    pass_ms(4); /* what comes before the first step counts with that */
    flow_start(&request.flow, measured, 3);
    pass_ms(5);
    flow_resume(&request.flow, ERR_NONE);
    pass_ms(5);
    assert_true(flow_book_until_now(&request.flow) >= 17000);
    flow_resume(&request.flow, ERR_NONE);
    assert_true(times_at_last[0] >= 7000);
    assert_true(times_at_last[1] >= 10000);
    assert_true(times_at_last[2] >= 2000);
    assert_int_equal(times_at_last[0] + times_at_last[1] + times_at_last[2],
                     total_at_last);
}

static void who_is_cancelled_is_told_of_too(void **state)
{
    struct request request = {.wait = FLOW_WAIT};

    times = (struct flow_times){.at = 0};
    flow_measure(&request.flow, &times);
    flow_start(&request.flow, waiting, 4);
    pass_ms(2);
    flow_cancel(&request.flow, ERR_CANCELLED);
    assert_true(times.us[1] >= 2000);
    assert_int_equal(times.us[2], 0);
}

static void what_is_not_measured_took_no_time(void **state)
{
    struct request request = {.wait = FLOW_WAIT};

    assert_null(flow_step_name(&request.flow)); /* not started */
    assert_int_equal(flow_book_until_now(&request.flow), 0);
    flow_start(&request.flow, waiting, 4);
    assert_int_equal(flow_book_until_now(&request.flow), 0);
    flow_resume(&request.flow, ERR_NONE);
}

static void cancel_undoes_the_wait_and_leads_to_the_last_step(void **state)
{
    struct request request = {.wait = FLOW_WAIT};

    flow_start(&request.flow, waiting, 4);
    flow_cancel(&request.flow, ERR_CANCELLED);
    assert_string_equal(request.log, "nwul");
    assert_int_equal(request.end, ERR_CANCELLED);
}

static void cancel_does_nothing_where_the_step_cannot(void **state)
{
    struct request request = {.wait = FLOW_WAIT};

    flow_start(&request.flow, stubborn, 2);
    flow_cancel(&request.flow, ERR_CANCELLED);
    assert_string_equal(request.log, "w");
    flow_resume(&request.flow, ERR_NONE);
    assert_string_equal(request.log, "wl");
    assert_int_equal(request.end, ERR_NONE);
}

static enum flow_verdict step_cancels_itself(struct flow *flow)
{
    flow_cancel(flow, ERR_CANCELLED);
    return FLOW_NEXT;
}

static void cancel_does_nothing_while_a_step_runs(void **state)
{
    static const struct flow_step steps[] = {
        {"self", step_cancels_itself, undo_wait},
        {"last", step_last, NULL},
    };
    struct request request = {.end = ERR_DISK};

    flow_start(&request.flow, steps, 2);
    assert_string_equal(request.log, "l");
    assert_int_equal(request.end, ERR_NONE);
}

/* ---- bugs ---- */

static enum flow_verdict step_resumes_without_wait(struct flow *flow)
{
    flow_resume(flow, ERR_NONE);
    return FLOW_NEXT;
}

static enum flow_verdict step_resumes_twice(struct flow *flow)
{
    flow_resume(flow, ERR_NONE);
    flow_resume(flow, ERR_NONE);
    return FLOW_WAIT;
}

static enum flow_verdict step_fails_without_error(struct flow *flow)
{
    return FLOW_FAIL;
}

static enum flow_verdict step_last_waits(struct flow *flow)
{
    return FLOW_WAIT;
}

static enum flow_verdict step_last_resumes(struct flow *flow)
{
    flow_resume(flow, ERR_NONE);
    return FLOW_NEXT;
}

static void run_one(enum flow_verdict (*run)(struct flow *flow))
{
    struct flow_step steps[] = {{"bad", run, NULL}, {"last", step_last, NULL}};
    struct request request = {0};

    flow_start(&request.flow, steps, 2);
}

static void resumes_without_wait(void *arg)
{
    run_one(step_resumes_without_wait);
}

static void resumes_twice(void *arg)
{
    run_one(step_resumes_twice);
}

static void fails_without_error(void *arg)
{
    run_one(step_fails_without_error);
}

static void run_last(enum flow_verdict (*run)(struct flow *flow))
{
    struct flow_step steps[] = {{"last", run, NULL}};
    struct request request = {0};

    flow_start(&request.flow, steps, 1);
}

static void last_waits(void *arg)
{
    run_last(step_last_waits);
}

static void last_resumes(void *arg)
{
    run_last(step_last_resumes);
}

static void resume_before_start(void *arg)
{
    struct request request = {0};

    flow_resume(&request.flow, ERR_NONE);
}

static void undo_resumes(struct flow *flow)
{
    flow_resume(flow, ERR_NONE);
}

static void cancel_that_resumes(void *arg)
{
    static const struct flow_step steps[] = {
        {"wait", step_wait, undo_resumes},
        {"last", step_last, NULL},
    };
    struct request request = {.wait = FLOW_WAIT};

    flow_start(&request.flow, steps, 2);
    flow_cancel(&request.flow, ERR_CANCELLED);
}

static void cancel_without_error(void *arg)
{
    struct request request = {.wait = FLOW_WAIT};

    flow_start(&request.flow, waiting, 4);
    flow_cancel(&request.flow, ERR_NONE);
}

static void every_illegal_call_aborts(void **state)
{
    static void (*const bugs[])(void *arg) = {
        resumes_without_wait, resumes_twice,        fails_without_error,
        last_waits,           last_resumes,         resume_before_start,
        cancel_that_resumes,  cancel_without_error,
    };

    for (size_t i = 0; i < ARRAY_COUNT(bugs); i++) {
        assert_true(fixture_aborts(bugs[i], NULL));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(steps_run_in_order_and_the_last_one_ends_it),
        cmocka_unit_test(a_flow_of_only_the_last_step_runs_it),
        cmocka_unit_test(a_step_that_fails_leads_to_the_last),
        cmocka_unit_test(a_wait_goes_on_with_the_next_step_when_resumed),
        cmocka_unit_test(again_runs_the_same_step_when_resumed),
        cmocka_unit_test(a_resume_with_an_error_leads_to_the_last_step),
        cmocka_unit_test(a_step_may_be_resumed_from_inside),
        cmocka_unit_test(resumes_from_inside_do_not_grow_the_stack),
        cmocka_unit_test(each_step_is_told_with_what_it_ran_and_waited),
        cmocka_unit_test(who_is_cancelled_is_told_of_too),
        cmocka_unit_test(what_is_not_measured_took_no_time),
        cmocka_unit_test(cancel_undoes_the_wait_and_leads_to_the_last_step),
        cmocka_unit_test(cancel_does_nothing_where_the_step_cannot),
        cmocka_unit_test(cancel_does_nothing_while_a_step_runs),
        cmocka_unit_test(every_illegal_call_aborts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
