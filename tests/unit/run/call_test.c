/* A question to another loop, and the answer at home. */
#include "run/call.h"
#include "base/must.h"

#include "lib/fixture.h"
#include <string.h>

static struct loops *loops;
static struct call calls[3];
static char seen[16];
static int left;

static void see(char what)
{
    seen[strlen(seen)] = what;
}

static void call_run(struct call *call)
{
    must(loop_is_current(loops_at(loops, 1)));
    call_return(call);
}

static void call_done(struct call *call)
{
    must(loop_is_current(loops_at(loops, 0)));
    see((char)('0' + (call - calls)));
    if (--left == 0) {
        loops_stop(loops);
    }
}

static void start_calls(void *arg)
{
    left = 3;
    for (int i = 0; i < 3; i++) {
        calls[i] = (struct call){.run = call_run, .done = call_done};
        call_start(&calls[i], loops_at(loops, 1));
    }
    see('s');
}

static void calls_run_there_and_are_done_at_home_in_order(void **state)
{
    memset(seen, 0, sizeof(seen));
    assert_int_equal(loops_open(2, 1, &loops, NULL), ERR_NONE);
    loops_run(loops, start_calls, NULL);
    loops_close(loops);
    assert_string_equal(seen, "s012");
}

static void here_run(struct call *call)
{
    see('r');
    call_return(call);
}

static void here_done(struct call *call)
{
    see('d');
    loops_stop(loops);
}

static void start_here(void *arg)
{
    calls[0] = (struct call){.run = here_run, .done = here_done};
    call_start(&calls[0], loops_at(loops, 0));
    see('s');
}

static void a_call_to_oneself_is_done_at_once(void **state)
{
    memset(seen, 0, sizeof(seen));
    assert_int_equal(loops_open(1, 1, &loops, NULL), ERR_NONE);
    loops_run(loops, start_here, NULL);
    loops_close(loops);
    assert_string_equal(seen, "rds");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls_run_there_and_are_done_at_home_in_order),
        cmocka_unit_test(a_call_to_oneself_is_done_at_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
