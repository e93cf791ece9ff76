/* The small ones: must, err, mem, budget, list, trace. */
#include "base/base.h"
#include "base/budget.h"
#include "base/err.h"
#include "base/list.h"
#include "base/mem.h"
#include "base/must.h"
#include "base/trace.h"

#include "lib/fixture.h"
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void break_a_promise(void *arg)
{
    must(*(int *)arg == 1);
}

static void must_aborts_when_it_does_not_hold_and_only_then(void **state)
{
    int zero = 0, one = 1;

    assert_true(fixture_aborts(break_a_promise, &zero));
    assert_false(fixture_aborts(break_a_promise, &one));
}

static void detail_is_set_and_wrapped_outwards(void **state)
{
    struct why why;

    assert_int_equal(why_set(&why, ERR_CORRUPT, "position %d", 8192),
                     ERR_CORRUPT);
    assert_int_equal(why_wrap(&why, ERR_CORRUPT, "could not read \"%s\"", "a"),
                     ERR_CORRUPT);
    assert_string_equal(why.text, "could not read \"a\": position 8192");
    assert_int_equal(why_set(NULL, ERR_FULL, "x"), ERR_FULL);
    assert_int_equal(why_wrap(NULL, ERR_FULL, "x"), ERR_FULL);
}

static void detail_that_is_too_long_is_cut(void **state)
{
    struct why why;
    char text[1000];

    memset(text, 'x', sizeof(text));
    text[999] = '\0';
    why_set(&why, ERR_DISK, "%s", text);
    assert_int_equal(strlen(why.text), sizeof(why.text) - 1);
    why_wrap(&why, ERR_DISK, "%s", text);
    why_wrap(&why, ERR_DISK, "outermost");
    assert_memory_equal(why.text, "outermost: xxx", 14);
    assert_int_equal(strlen(why.text), sizeof(why.text) - 1);
}

static void errors_have_names_and_codes_for_the_wire(void **state)
{
    assert_string_equal(err_name(ERR_NONE), "NONE");
    assert_string_equal(err_name(ERR_DISK), "DISK");
    assert_int_equal(err_wire(ERR_DISK), ERR_KAFKA_STORAGE_ERROR);
    assert_int_equal(err_wire(ERR_NOT_CONTROLLER), ERR_NOT_CONTROLLER);
    assert_true(err_is_retriable(ERR_NOT_LEADER_OR_FOLLOWER));
    assert_true(strlen(err_text(ERR_TORN)) > 0);
    assert_string_equal(err_name((enum err)31000), "UNKNOWN_SERVER_ERROR");
}

static void memory_of_no_bytes_is_memory(void **state)
{
    char *ptr = mem_alloc(0);

    assert_non_null(ptr);
    ptr = mem_realloc(ptr, 0);
    assert_non_null(ptr);
    mem_free(ptr);
    mem_free(NULL);
    ptr = mem_dup("abc", 2);
    assert_string_equal(ptr, "ab");
    mem_free(ptr);
    ptr = mem_dup(NULL, 0);
    assert_string_equal(ptr, "");
    mem_free(ptr);
    ptr = mem_dupz("abc");
    assert_string_equal(ptr, "abc");
    mem_free(ptr);
    ptr = mem_printf("%d-%s", 7, "x");
    assert_string_equal(ptr, "7-x");
    mem_free(ptr);
}

static void take_it_all(void *arg)
{
    /* Volatile, or the compiler sees what is coming. */
    volatile size_t bytes = SIZE_MAX / 4;

    mem_free(mem_alloc(bytes));
}

static void no_memory_is_an_abort(void **state)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    (void)take_it_all; /* sanitizers refuse such sizes in their own way */
#else
    assert_true(fixture_aborts(take_it_all, NULL));
#endif
}

static void a_budget_refuses_what_does_not_fit_and_takes_nothing(void **state)
{
    struct budget budget;

    budget_init(&budget, 100);
    assert_true(budget_take(&budget, 60));
    assert_false(budget_take(&budget, 41));
    assert_false(budget_take(&budget, UINT64_MAX));
    assert_true(budget_take(&budget, 40));
    assert_true(budget_take(&budget, 0));
    budget_give(&budget, 100);
    assert_true(budget_take(&budget, 100));
    budget_give(&budget, 100);
}

static void give_too_much(void *arg)
{
    budget_give(arg, 1);
}

static void a_budget_that_is_given_more_than_was_taken_is_a_bug(void **state)
{
    struct budget budget;

    budget_init(&budget, 100);
    assert_true(fixture_aborts(give_too_much, &budget));
}

static void *take_and_give(void *arg)
{
    struct budget *budget = arg;

    for (int i = 0; i < 20000; i++) {
        if (budget_take(budget, 3)) {
            budget_give(budget, 3);
        }
    }
    return NULL;
}

static void a_budget_is_shared_by_threads(void **state)
{
    struct budget budget;
    pthread_t threads[4];

    budget_init(&budget, 8);
    for (int i = 0; i < 4; i++) {
        pthread_create(&threads[i], NULL, take_and_give, &budget);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
    }
    assert_int_equal(budget.used_bytes, 0);
}

struct item {
    struct list node;
    int number;
};

static int number_of(struct list *node)
{
    return container_of(node, struct item, node)->number;
}

static void a_list_keeps_order_and_moves_whole(void **state)
{
    struct list a, b;
    struct item items[4];
    int sum = 0;

    list_init(&a);
    list_init(&b);
    for (int i = 0; i < 4; i++) {
        items[i].number = i;
        list_push(i < 2 ? &a : &b, &items[i].node);
    }
    list_move(&b, &a);
    assert_true(list_is_empty(&b));
    list_move(&b, &a);
    list_each_safe(node, &a)
    {
        sum = sum * 10 + number_of(node);
        if (number_of(node) == 1) {
            list_remove(node);
            list_remove(node);
        }
    }
    assert_int_equal(sum, 123);
    list_push_first(&a, &items[1].node);
    for (int i = 0; i < 4; i++) {
        static const int order[] = {1, 0, 2, 3};

        assert_int_equal(number_of(list_pop(&a)), order[i]);
    }
    assert_null(list_pop(&a));
}

/* What the call writes to stderr: trace(), or trace_gated(). */
static size_t capture_gated(char *into, size_t capacity, enum trace_level level,
                            const char *text, struct trace_gate *gate)
{
    int ends[2];
    int saved = dup(STDERR_FILENO);
    ssize_t got;

    assert_int_equal(pipe(ends), 0);
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    dup2(ends[1], STDERR_FILENO);
    if (gate == NULL) {
        trace(level, "%s", text);
    } else {
        trace_gated(gate, 5000, 1, "%s", text);
    }
    dup2(saved, STDERR_FILENO);
    close(saved);
    close(ends[1]);
    got = read(ends[0], into, capacity - 1);
    close(ends[0]);
    into[MAX(got, 0)] = '\0';
    return (size_t)MAX(got, 0);
}

static size_t capture(char *into, size_t capacity, enum trace_level level,
                      const char *text)
{
    return capture_gated(into, capacity, level, text, NULL);
}

static void a_trace_is_one_line_that_nobody_can_break(void **state)
{
    char line[8192];
    char text[6000];

    capture(line, sizeof(line), TRACE_WARN, "a\nb\x1b[31m");
    assert_string_equal(line + 24, " warn  a?b?[31m\n");
    capture(line, sizeof(line), TRACE_WARN,
            "\xc3\xa9 \xc2\x9b"
            "31m \xc2\xb5");
    assert_string_equal(line + 24, " warn  \xc3\xa9 ??31m \xc2\xb5\n");
    assert_int_equal(line[10], 'T');
    assert_int_equal(line[23], 'Z');
    memset(text, 'x', sizeof(text));
    text[sizeof(text) - 1] = '\0';
    assert_int_equal(capture(line, sizeof(line), TRACE_ERROR, text), 4096);
    assert_int_equal(line[4095], '\n');
}

static void levels_below_the_one_set_are_silent(void **state)
{
    char line[256];

    assert_int_equal(capture(line, sizeof(line), TRACE_DEBUG, "x"), 0);
    trace_level_set(TRACE_DEBUG);
    assert_true(capture(line, sizeof(line), TRACE_DEBUG, "x") > 0);
    trace_level_set(TRACE_ERROR);
    assert_int_equal(capture(line, sizeof(line), TRACE_WARN, "x"), 0);
    trace_level_set(TRACE_INFO);
}

static void a_gate_lets_so_many_lines_through_in_a_second(void **state)
{
    struct trace_gate gate = {0};
    uint32_t held = 9;

    assert_true(trace_gate_pass(&gate, 0, 2, &held));
    assert_int_equal(held, 0);
    assert_true(trace_gate_pass(&gate, 999, 2, &held));
    for (int i = 0; i < 5; i++) {
        assert_false(trace_gate_pass(&gate, 999, 2, &held));
    }
    assert_true(trace_gate_pass(&gate, 1000, 2, &held));
    assert_int_equal(held, 5);
    assert_true(trace_gate_pass(&gate, 60000, 2, &held));
    assert_int_equal(held, 0);
}

static void a_gated_line_says_how_many_were_held(void **state)
{
    struct trace_gate gate = {0};
    char line[256];
    uint32_t held;

    assert_true(capture_gated(line, sizeof(line), 0, "x", &gate) > 0);
    assert_string_equal(line + 24, " warn  x\n");
    assert_int_equal(capture_gated(line, sizeof(line), 0, "x", &gate), 0);
    assert_true(trace_gate_pass(&gate, 1000, 1, &held));
    assert_false(trace_gate_pass(&gate, 1000, 1, &held));
    assert_true(capture_gated(line, sizeof(line), 0, "y", &gate) > 0);
    assert_string_equal(line + 24,
                        " warn  y; and 1 like it since the last such line\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(must_aborts_when_it_does_not_hold_and_only_then),
        cmocka_unit_test(detail_is_set_and_wrapped_outwards),
        cmocka_unit_test(detail_that_is_too_long_is_cut),
        cmocka_unit_test(errors_have_names_and_codes_for_the_wire),
        cmocka_unit_test(memory_of_no_bytes_is_memory),
        cmocka_unit_test(no_memory_is_an_abort),
        cmocka_unit_test(a_budget_refuses_what_does_not_fit_and_takes_nothing),
        cmocka_unit_test(a_budget_that_is_given_more_than_was_taken_is_a_bug),
        cmocka_unit_test(a_budget_is_shared_by_threads),
        cmocka_unit_test(a_list_keeps_order_and_moves_whole),
        cmocka_unit_test(a_trace_is_one_line_that_nobody_can_break),
        cmocka_unit_test(a_gate_lets_so_many_lines_through_in_a_second),
        cmocka_unit_test(a_gated_line_says_how_many_were_held),
        cmocka_unit_test(levels_below_the_one_set_are_silent),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
