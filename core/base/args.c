/* args.c - the command line: nouns, verbs, options, operands.
 *
 * tidemark NOUN VERB [--OPTION[=VALUE] | --OPTION VALUE | OPERAND]... [-- ...]
 *
 * 1. args_find(): the command whose name the first words are.
 * 2. --help anywhere before "--" prints its options and an example.
 * 3. args_take_all(): each option is one of the command's, with a value exactly
 *    when it wants one; operands are as many as it says.
 * 4. The command runs; its code is the program's.
 *
 * What is wrong is one line that names the command, and what was probably
 * meant; the exit code is then ARGS_MISUSED and nothing was done. */
#include "base/args.h"
#include "base/must.h"
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

int args_misused(const struct args_command *command, const char *format, ...)
{
    va_list args;

    fprintf(stderr, "tidemark %s: ", command->name);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fprintf(stderr, "\n(see: tidemark %s --help)\n", command->name);
    return ARGS_MISUSED;
}

/* What --help says of one command. */
static void args_print_usage(const struct args_command *command)
{
    printf("usage: tidemark %s%s%s%s\n\n%s\n", command->name,
           command->option_count > 0 ? " [OPTION]..." : "",
           command->operands == NULL ? "" : " ",
           command->operands == NULL ? "" : command->operands, command->about);
    if (command->option_count > 0) {
        printf("\noptions:\n");
    }
    for (size_t i = 0; i < command->option_count; i++) {
        const struct args_option *option = &command->options[i];
        const char *value = option->value == NULL ? "" : option->value;
        int width = 22 - (int)strlen(option->name);

        printf("  --%s %-*s %s\n", option->name, MAX(width, 1), value,
               option->about);
    }
    printf("\nexample:\n  %s\n", command->example);
}

/* A command and the first sentence of what it does. */
static void args_print_line(FILE *to, const struct args_command *command)
{
    const char *end = strchr(command->about, '.');
    int bytes =
        end == NULL ? (int)strlen(command->about) : (int)(end - command->about);

    fprintf(to, "  tidemark %-16s %.*s\n", command->name, bytes,
            command->about);
}

static void args_print_all(const struct args_group *groups, size_t count,
                           const char *about)
{
    printf("%s\n\n", about);
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < groups[i].count; j++) {
            args_print_line(stdout, &groups[i].commands[j]);
        }
    }
    printf("\ntidemark COMMAND --help shows its options and an example.\n");
}

/* How many of argv the command's name takes; 0: it is another command. */
static int args_match(const struct args_command *command, int argc, char **argv)
{
    const char *at = command->name;
    int words = 0;

    while (*at != '\0') {
        size_t bytes = strcspn(at, " ");

        if (words >= argc || strlen(argv[words]) != bytes ||
            memcmp(at, argv[words], bytes) != 0) {
            return 0;
        }
        words++;
        at += bytes + strspn(at + bytes, " ");
    }
    return words;
}

static const struct args_command *args_find(const struct args_group *groups,
                                            size_t count, int argc, char **argv,
                                            int *words)
{
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < groups[i].count; j++) {
            *words = args_match(&groups[i].commands[j], argc, argv);
            if (*words > 0) {
                return &groups[i].commands[j];
            }
        }
    }
    return NULL;
}

static bool args_is_help(const char *text)
{
    return strcmp(text, "--help") == 0 || strcmp(text, "-h") == 0 ||
           strcmp(text, "help") == 0;
}

/* Prints the commands that begin with this noun; false when there are none. */
static bool args_print_verbs(FILE *to, const struct args_group *groups,
                             size_t count, const char *noun)
{
    size_t bytes = strlen(noun);
    bool found = false;

    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < groups[i].count; j++) {
            const struct args_command *command = &groups[i].commands[j];

            if (strncmp(command->name, noun, bytes) == 0 &&
                command->name[bytes] == ' ') {
                args_print_line(to, command);
                found = true;
            }
        }
    }
    return found;
}

/* A noun without one of its verbs: lists them; false when it is no noun. */
static bool args_noun(const struct args_group *groups, size_t count, int argc,
                      char **argv, int *code)
{
    bool asked = argc > 1 && args_is_help(argv[1]);
    FILE *to = asked ? stdout : stderr;

    if (argc > 1 && !asked) {
        return false;
    }
    *code = asked ? ARGS_DONE : ARGS_MISUSED;
    return args_print_verbs(to, groups, count, argv[0]);
}

/* "no such command", with the nearest one. */
static int args_unknown(const struct args_group *groups, size_t count, int argc,
                        char **argv)
{
    const char *nearest = NULL;
    unsigned best = 4;
    size_t bytes = strlen(argv[0]);

    fprintf(stderr, "tidemark: no such command: %s%s%s", argv[0],
            argc > 1 && argv[1][0] != '-' ? " " : "",
            argc > 1 && argv[1][0] != '-' ? argv[1] : "");
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < groups[i].count; j++) {
            const char *name = groups[i].commands[j].name;
            size_t noun = strcspn(name, " ");
            unsigned distance =
                str_distance(str_of(argv[0]), str_sub(name, noun), best);

            if (distance < best || (noun == bytes && nearest == NULL &&
                                    memcmp(name, argv[0], noun) == 0)) {
                best = distance;
                nearest = name;
            }
        }
    }
    if (nearest != NULL) {
        fprintf(stderr, "; did you mean: tidemark %s?", nearest);
    }
    fprintf(stderr, "\n(see: tidemark --help)\n");
    return ARGS_MISUSED;
}

static const struct args_option *
args_option_find(const struct args_command *command, struct str name)
{
    for (size_t i = 0; i < command->option_count; i++) {
        if (str_eq(name, str_of(command->options[i].name))) {
            return &command->options[i];
        }
    }
    return NULL;
}

/* Misuse, with the nearest option of this command. */
static int args_unknown_option(const struct args_command *command,
                               struct str name)
{
    const char *nearest = NULL;
    unsigned best = 3;

    for (size_t i = 0; i < command->option_count; i++) {
        const char *option = command->options[i].name;
        unsigned distance = str_distance(name, str_of(option), best);

        if (distance < best) {
            best = distance;
            nearest = option;
        }
    }
    if (nearest != NULL) {
        return args_misused(command,
                            "unknown option --%.*s; did you mean --%s?",
                            STR_ARG(name), nearest);
    }
    return args_misused(command, "unknown option --%.*s", STR_ARG(name));
}

/* One "--name", "--name=value" or "--name value" at argv[*at]. */
static int args_take_option(struct args *args, int argc, char **argv, int *at)
{
    const struct args_command *command = args->command;
    const char *text = argv[*at] + 2;
    const char *equal = strchr(text, '=');
    struct str name =
        equal == NULL ? str_of(text) : str_sub(text, (size_t)(equal - text));
    const struct args_option *option = args_option_find(command, name);
    const char *value = equal == NULL ? NULL : equal + 1;

    if (option == NULL) {
        return args_unknown_option(command, name);
    }
    if (option->value == NULL && value != NULL) {
        return args_misused(command, "--%s takes no value", option->name);
    }
    if (option->value != NULL && value == NULL) {
        if (*at + 1 >= argc) {
            return args_misused(command, "--%s wants %s", option->name,
                                option->value);
        }
        value = argv[++*at];
    }
    if (args->given_count == ARGS_MAX) {
        return args_misused(command, "more than %d options", ARGS_MAX);
    }
    args->given[args->given_count++] = (struct args_given){option, value};
    return ARGS_DONE;
}

/* argv without the command's own words; "--" ends the options. */
static int args_take_all(struct args *args, int argc, char **argv)
{
    bool options = true;
    int code;

    for (int i = 0; i < argc; i++) {
        if (options && strcmp(argv[i], "--") == 0) {
            options = false;
        } else if (options && strncmp(argv[i], "--", 2) == 0) {
            code = args_take_option(args, argc, argv, &i);
            if (code != ARGS_DONE) {
                return code;
            }
        } else if (options && argv[i][0] == '-' && argv[i][1] != '\0') {
            return args_misused(args->command, "unknown option %s", argv[i]);
        } else if (args->operand_count >= args->command->operands_max ||
                   args->operand_count == ARGS_MAX) {
            return args_misused(args->command, "unexpected \"%s\"", argv[i]);
        } else {
            args->operands[args->operand_count++] = argv[i];
        }
    }
    if (args->operand_count < args->command->operands_min) {
        return args_misused(args->command, "wants %s", args->command->operands);
    }
    return ARGS_DONE;
}

int args_run(const struct args_group *groups, size_t count, const char *about,
             const char *version, int argc, char **argv)
{
    struct args args = {.operand_count = 0};
    int words = 0;
    int code;

    if (argc < 2 || args_is_help(argv[1])) {
        args_print_all(groups, count, about);
        return argc < 2 ? ARGS_MISUSED : ARGS_DONE;
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("%s\n", version);
        return ARGS_DONE;
    }
    args.command = args_find(groups, count, argc - 1, argv + 1, &words);
    if (args.command == NULL &&
        args_noun(groups, count, argc - 1, argv + 1, &code)) {
        return code;
    }
    if (args.command == NULL) {
        return args_unknown(groups, count, argc - 1, argv + 1);
    }
    for (int i = 1 + words; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            args_print_usage(args.command);
            return ARGS_DONE;
        }
    }
    code = args_take_all(&args, argc - 1 - words, argv + 1 + words);
    return code == ARGS_DONE ? args.command->run(&args) : code;
}

const char *args_value(const struct args *args, const char *name)
{
    const char *value = NULL;

    must(args_option_find(args->command, str_of(name)) != NULL);
    for (size_t i = 0; i < args->given_count; i++) {
        if (strcmp(args->given[i].option->name, name) == 0) {
            value = args->given[i].value;
        }
    }
    return value;
}

bool args_has(const struct args *args, const char *name)
{
    must(args_option_find(args->command, str_of(name)) != NULL);
    for (size_t i = 0; i < args->given_count; i++) {
        if (strcmp(args->given[i].option->name, name) == 0) {
            return true;
        }
    }
    return false;
}

size_t args_values(const struct args *args, const char *name,
                   const char *out[ARGS_MAX])
{
    size_t count = 0;

    must(args_option_find(args->command, str_of(name)) != NULL);
    for (size_t i = 0; i < args->given_count; i++) {
        if (strcmp(args->given[i].option->name, name) == 0) {
            out[count++] = args->given[i].value;
        }
    }
    return count;
}

bool args_number(const struct args *args, const char *name, int64_t min,
                 int64_t max, int64_t otherwise, int64_t *out)
{
    const char *text = args_value(args, name);

    *out = otherwise;
    if (text == NULL ||
        (str_to_i64(str_of(text), out) && *out >= min && *out <= max)) {
        return true;
    }
    if (max == INT32_MAX || max == INT64_MAX) {
        args_misused(args->command,
                     "--%s: expected a whole number >= %" PRId64 ", got \"%s\"",
                     name, min, text);
    } else {
        args_misused(args->command,
                     "--%s: expected a whole number from %" PRId64
                     " to %" PRId64 ", got \"%s\"",
                     name, min, max, text);
    }
    return false;
}
