/* settings.c - what config.lua and --set say, checked, as plain data.
 *
 *  1. The file is evaluated into a tree of values (script/evaluate.h).
 *  2. Its values, then those of each --set, are put into the slots of their
 *     settings (settings_take.c).
 *  3. Every slot, or its default, is checked and stored (settings_check.c,
 *     settings_configs.c, settings_listeners.c, settings_topics.c).
 *
 * Nothing stops at the first error: all of them are told at once. */
#include "broker/settings.h"
#include "base/mem.h"
#include "broker/settings_private.h"
#include "script/evaluate.h"
#include <stdlib.h>

static const char *settings_getenv(const char *name)
{
    return getenv(name);
}

/* False: the file could not be run, and has said nothing. */
static bool settings_read_file(struct settings_work *work)
{
    struct evaluate_input input = {
        .disk = disk_real(),
        .path = work->input->config_path,
        .env = work->input->env == NULL ? settings_getenv : work->input->env,
        .names = settings_roots,
        .name_count = settings_root_count,
    };
    struct value root;

    if (work->input->config_path == NULL) {
        return true;
    }
    work->out->config_path =
        arena_str(&work->out->arena, str_of(input.path)).ptr;
    if (evaluate_file(&input, &work->complaints, &root)) {
        return false;
    }
    settings_take_file(work, &root);
    return true;
}

/* A relative folder means: relative to the file that names it. */
static void settings_resolve_paths(struct settings_work *work)
{
    struct settings *out = work->out;
    const char *file = work->input->config_path;
    const char *slash = file == NULL ? NULL : strrchr(file, '/');

    for (size_t i = 0; i < settings_scalar_count; i++) {
        if (strcmp(settings_scalars[i].path, "node.data_dir") == 0 &&
            work->scalars[i].source == SETTING_FROM_SET) {
            return; /* relative to where the command was given */
        }
    }
    if (slash != NULL && out->node.data_dir[0] != '/') {
        struct str dir = str_of(out->node.data_dir);

        if (dir.len >= 2 && memcmp(dir.ptr, "./", 2) == 0) {
            dir = str_sub(dir.ptr + 2, dir.len - 2);
        }
        out->node.data_dir =
            arena_printf(&out->arena, "%.*s/%.*s", (int)(slash - file), file,
                         STR_ARG(dir))
                .ptr;
    }
}

enum err settings_load(const struct settings_input *input,
                       struct settings **out, char **report)
{
    struct settings_work *work = MEM_NEW(struct settings_work);
    struct settings *settings = MEM_NEW(struct settings);
    struct arena scratch = {0};
    enum err err = ERR_NONE;

    work->out = settings;
    work->input = input;
    work->complaints.arena = &scratch;
    if (settings_read_file(work)) {
        for (size_t i = 0; i < input->set_count; i++) {
            settings_take_set(work, input->sets[i]);
        }
        settings_check(work);
    }
    *report = complaint_report(&work->complaints);
    if (work->complaints.count > 0) {
        err = ERR_INVALID;
        settings_free(settings);
        settings = NULL;
    } else {
        settings_resolve_paths(work);
    }
    *out = settings;
    arena_reset(&scratch);
    mem_free(work);
    return err;
}

void settings_free(struct settings *settings)
{
    if (settings != NULL) {
        arena_reset(&settings->arena);
        mem_free(settings);
    }
}

/* The text so far, from mem_, with a line of the table behind it. */
static char *settings_describe_one(char *text, const char *prefix,
                                   const struct setting *setting)
{
    const char *initial = setting->initial;
    const char *kafka =
        setting->kafka == NULL ? setting->config : setting->kafka;
    char *longer = mem_printf(
        "%s%s%s = %s\n    %s%s%s%s\n", text, prefix, setting->path,
        initial == NULL || initial[0] == '\0' ? "-" : initial, setting->about,
        kafka == NULL ? "" : " Kafka: ", kafka == NULL ? "" : kafka,
        kafka == NULL ? "" : ".");

    mem_free(text);
    return longer;
}

char *settings_describe(void)
{
    char *text = mem_dupz("");

    for (size_t i = 0; i < settings_scalar_count; i++) {
        text = settings_describe_one(text, "", &settings_scalars[i]);
    }
    for (size_t i = 0; i < LISTENER_FIELDS; i++) {
        text = settings_describe_one(text, "listeners.N.",
                                     &settings_of_listener[i]);
    }
    for (size_t i = 0; i < TOPIC_FIELDS; i++) {
        text =
            settings_describe_one(text, "topics.NAME.", &settings_of_topic[i]);
    }
    return text;
}
