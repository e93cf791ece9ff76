/* The command line: what is found, what is refused, what is printed. */
#include "base/args.h"

#include "lib/fixture.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct args *last;
static struct args last_copy;

static int remember(const struct args *args)
{
    last_copy = *args;
    last = &last_copy;
    return 7;
}

static const struct args_option options[] = {
    {"server", "HOST:PORT", "the broker"},
    {"json", NULL, "for programs"},
    {"set", "PATH=VALUE", "a setting"},
};

static const struct args_command commands[] = {
    {.name = "topic create",
     .operands = "TOPIC...",
     .operands_min = 1,
     .operands_max = 2,
     .about = "Creates topics. Or so.",
     .example = "tidemark topic create orders",
     .options = options,
     .option_count = ARRAY_COUNT(options),
     .run = remember},
    {.name = "serve",
     .about = "Starts a broker.",
     .example = "tidemark serve",
     .run = remember},
};

static const struct args_group groups[] = {{commands, ARRAY_COUNT(commands)}};

/* Runs a command line; *out: what was printed to fd (1 or 2). */
static int run(int fd, char out[4096], int argc, const char *const *argv)
{
    FILE *file = tmpfile();
    int saved = dup(fd);
    size_t bytes;
    int code;

    assert_non_null(file);
    fflush(NULL);
    dup2(fileno(file), fd);
    last = NULL;
    code =
        args_run(groups, 1, "what it is", "v1", argc, (char **)(uintptr_t)argv);
    fflush(NULL);
    dup2(saved, fd);
    close(saved);
    rewind(file);
    bytes = fread(out, 1, 4095, file);
    out[bytes] = '\0';
    fclose(file);
    return code;
}

#define RUN(fd, out, ...)                                                      \
    run(fd, out,                                                               \
        (int)ARRAY_COUNT(((const char *const[]){"tidemark", __VA_ARGS__})),    \
        (const char *const[]){"tidemark", __VA_ARGS__, NULL})

static void options_and_operands_come_in_any_order(void **state)
{
    char out[4096];
    const char *sets[ARGS_MAX];

    assert_int_equal(RUN(1, out, "topic", "create", "--set", "a=1", "x",
                         "--server=h:1", "--json", "--set=b=2", "--", "--y"),
                     7);
    assert_int_equal(last->operand_count, 2);
    assert_string_equal(last->operands[0], "x");
    assert_string_equal(last->operands[1], "--y");
    assert_string_equal(args_value(last, "server"), "h:1");
    assert_true(args_has(last, "json"));
    assert_int_equal(args_values(last, "set", sets), 2);
    assert_string_equal(sets[0], "a=1");
    assert_string_equal(sets[1], "b=2");
}

static void misuse_is_exit_2_and_says_what_to_do(void **state)
{
    char out[4096];

    assert_int_equal(RUN(2, out, "topic", "create"), 2);
    assert_string_equal(out, "tidemark topic create: wants TOPIC...\n"
                             "(see: tidemark topic create --help)\n");
    assert_int_equal(RUN(2, out, "topic", "create", "x", "--sever", "h"), 2);
    assert_string_equal(out,
                        "tidemark topic create: unknown option --sever; did "
                        "you mean --server?\n"
                        "(see: tidemark topic create --help)\n");
    assert_int_equal(RUN(2, out, "topic", "create", "x", "-v"), 2);
    assert_int_equal(RUN(2, out, "topic", "create", "x", "--json=1"), 2);
    assert_int_equal(RUN(2, out, "topic", "create", "x", "--server"), 2);
    assert_int_equal(RUN(2, out, "topic", "create", "x", "y", "z"), 2);
    assert_string_equal(out, "tidemark topic create: unexpected \"z\"\n"
                             "(see: tidemark topic create --help)\n");
    assert_int_equal(RUN(2, out, "sevre"), 2);
    assert_string_equal(out, "tidemark: no such command: sevre; did you mean: "
                             "tidemark serve?\n(see: tidemark --help)\n");
    assert_int_equal(RUN(2, out, "topic", "crate"), 2);
    assert_non_null(strstr(out, "did you mean: tidemark topic create?"));
    assert_null(last);
}

static void help_and_version_are_exit_0(void **state)
{
    char out[4096];

    assert_int_equal(RUN(1, out, "--help"), 0);
    assert_string_equal(out, "what it is\n\n"
                             "  tidemark topic create     Creates topics\n"
                             "  tidemark serve            Starts a broker\n\n"
                             "tidemark COMMAND --help shows its options and an "
                             "example.\n");
    assert_int_equal(RUN(1, out, "--version"), 0);
    assert_string_equal(out, "v1\n");
    assert_int_equal(RUN(1, out, "topic", "create", "--help"), 0);
    assert_string_equal(out,
                        "usage: tidemark topic create [OPTION]... TOPIC...\n\n"
                        "Creates topics. Or so.\n\n"
                        "options:\n"
                        "  --server HOST:PORT        the broker\n"
                        "  --json                    for programs\n"
                        "  --set PATH=VALUE          a setting\n\n"
                        "example:\n"
                        "  tidemark topic create orders\n");
    assert_null(last);
}

static void numbers_are_checked(void **state)
{
    char out[4096];
    int64_t number;

    assert_int_equal(RUN(1, out, "topic", "create", "x", "--server", "12"), 7);
    assert_true(args_number(last, "server", 1, 64, -1, &number));
    assert_int_equal(number, 12);
    assert_true(args_number(last, "set", 1, 64, -1, &number));
    assert_int_equal(number, -1);
    assert_false(args_number(last, "server", 13, 64, -1, &number));
    assert_false(args_number(last, "server", 1, 11, -1, &number));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_and_operands_come_in_any_order),
        cmocka_unit_test(misuse_is_exit_2_and_says_what_to_do),
        cmocka_unit_test(help_and_version_are_exit_0),
        cmocka_unit_test(numbers_are_checked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
