/* serve.c - serve, config check, config list.
 *
 * A config is read whole and checked whole before anything is opened: the same
 * code that serves says what is wrong, so that what "config check" accepts also
 * starts. */
#include "broker/serve.h"
#include "base/mem.h"
#include "broker/broker.h"
#include "broker/settings.h"
#include <stdio.h>
#include <unistd.h>

/* What the machine, or the container that we are in, gives us. */
static uint64_t serve_machine_bytes(void)
{
    long pages = sysconf(_SC_PHYS_PAGES);
    long page_bytes = sysconf(_SC_PAGESIZE);
    uint64_t bytes = (uint64_t)pages * (uint64_t)page_bytes;
    FILE *file = fopen("/sys/fs/cgroup/memory.max", "r");
    unsigned long long limit;

    if (file != NULL) {
        if (fscanf(file, "%llu", &limit) == 1 && limit < bytes) {
            bytes = limit;
        }
        fclose(file);
    }
    return bytes;
}

/* --config FILE, or ./config.lua where there is one, or none. */
static const char *serve_config_path(const struct args *args)
{
    const char *path = args_value(args, "config");

    if (path == NULL && access("config.lua", F_OK) == 0) {
        path = "config.lua";
    }
    return path;
}

/* Reads the settings; says on stderr what is wrong with them. */
static enum err serve_settings(const struct args *args, const char *outcome,
                               struct settings **out)
{
    const char *sets[ARGS_MAX];
    struct settings_input input = {
        .config_path = serve_config_path(args),
        .sets = sets,
        .set_count = args_values(args, "set", sets),
        .machine_bytes = serve_machine_bytes(),
    };
    char *report;
    enum err err = settings_load(&input, out, &report);

    if (err) {
        size_t errors = 0;

        for (const char *at = report; *at != '\0'; at++) {
            errors += *at == '\n' ? 1 : 0;
        }
        fprintf(stderr, "%s%zu error%s, %s\n", report, errors,
                errors == 1 ? "" : "s", outcome);
    }
    mem_free(report);
    return err;
}

static int serve_run(const struct args *args)
{
    struct settings *settings;
    int code;

    if (serve_settings(args, "nothing was started", &settings)) {
        return ARGS_FAILED;
    }
    code = broker_serve(settings);
    settings_free(settings);
    return code;
}

static int serve_check(const struct args *args)
{
    struct settings *settings;

    if (serve_settings(args, "it would not start", &settings)) {
        return ARGS_FAILED;
    }
    printf("%s: good: %zu listener%s, %zu topic%s, data in %s\n",
           settings->config_path == NULL ? "no config.lua"
                                         : settings->config_path,
           settings->listener_count, settings->listener_count == 1 ? "" : "s",
           settings->topic_count, settings->topic_count == 1 ? "" : "s",
           settings->node.data_dir);
    settings_free(settings);
    return ARGS_DONE;
}

static int serve_list(const struct args *args)
{
    char *text = settings_describe();

    (void)args;
    fputs(text, stdout);
    mem_free(text);
    return ARGS_DONE;
}

static const struct args_option serve_options[] = {
    {"config", "FILE", "the config; by default ./config.lua if it is there"},
    {"set", "PATH=VALUE", "a setting, over the file; may be repeated"},
};

static const struct args_command serve_table[] = {
    {.name = "serve",
     .about = "Starts a broker. Without options it listens on "
              "127.0.0.1:9092\nand keeps its data in ./data.",
     .example = "tidemark serve --set node.data_dir=/srv/tidemark "
                "--set defaults.partitions=3",
     .options = serve_options,
     .option_count = ARRAY_COUNT(serve_options),
     .run = serve_run},
    {.name = "config check",
     .about = "Says what is wrong with a config. Opens no port and no folder; "
              "exits\nwith 0 when serve would accept it.",
     .example = "tidemark config check --config /etc/tidemark/config.lua",
     .options = serve_options,
     .option_count = ARRAY_COUNT(serve_options),
     .run = serve_check},
    {.name = "config list",
     .about = "Prints every setting with its default and what it is for.",
     .example = "tidemark config list | grep -A 1 limits",
     .run = serve_list},
};

const struct args_group serve_commands = {serve_table,
                                          ARRAY_COUNT(serve_table)};
