/* args.h - the command line: nouns, verbs, options, operands.
 *
 * A command is a line in a table: its name ("topic create"), what it takes, a
 * sentence, an example, and the function that does it. Usage, --help and the
 * complaints about what is wrong come from the same table. Exit codes of every
 * command: 0 done, 1 failed, 2 misused. */
#ifndef BASE_ARGS_H
#define BASE_ARGS_H

#include "base/str.h"

enum { ARGS_DONE = 0, ARGS_FAILED = 1, ARGS_MISUSED = 2, ARGS_MAX = 128 };

struct args;

struct args_option {
    const char *name;  /* "server", for --server */
    const char *value; /* "HOST:PORT"; NULL: a flag */
    const char *about;
};

struct args_command {
    const char *name;
    const char *operands; /* "TOPIC..."; NULL: none */
    size_t operands_min;
    size_t operands_max;
    const char *about;
    const char *example;
    const struct args_option *options;
    size_t option_count;
    int (*run)(const struct args *args); /* gives the exit code */
};

/* Commands of one module. */
struct args_group {
    const struct args_command *commands;
    size_t count;
};

struct args_given {
    const struct args_option *option;
    const char *value;
};

/* What was given; texts are borrowed from argv. */
struct args {
    const struct args_command *command;
    const char *operands[ARGS_MAX];
    size_t operand_count;
    struct args_given given[ARGS_MAX];
    size_t given_count;
};

/* Finds the command, checks the rest and runs it; gives the exit code. about:
 * the program in a sentence. version: what --version prints. */
int args_run(const struct args_group *groups, size_t count, const char *about,
             const char *version, int argc, char **argv);

/* The value of an option, the last one where it was given twice; NULL when it
 * was not given. name: one of the command's. */
const char *args_value(const struct args *args, const char *name);
bool args_has(const struct args *args, const char *name);
/* All values of an option, in their order, into out; gives their number. */
size_t args_values(const struct args *args, const char *name,
                   const char *out[ARGS_MAX]);
/* The value as a number from min to max; otherwise where it was not given.
 * False, and a line on stderr, when it is none. */
MUST_USE bool args_number(const struct args *args, const char *name,
                          int64_t min, int64_t max, int64_t otherwise,
                          int64_t *out);
/* "tidemark topic create: text; see ..." on stderr; gives ARGS_MISUSED. */
int args_misused(const struct args_command *command, const char *format, ...)
    PRINTF_LIKE(2, 3);

#endif
