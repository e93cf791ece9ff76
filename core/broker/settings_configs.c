/* settings_configs.c - configs of topics: what all get, and what one gets.
 *
 * A value is written as a person likes it (7d, 64MiB, a list), is turned into
 * Kafka's text and held against meta/topic_config_core.h, which alone knows
 * what a topic can be told. */
#include "broker/settings_private.h"

#include "base/units.h"
#include "meta/topic_config_core.h"

#include <inttypes.h>
#include <stdlib.h>

/* A list such as { "delete" } as Kafka writes it: "delete". */
static const char *settings_joined(struct settings_work *work,
                                   const struct value *list)
{
    struct arena *arena = work->complaints.arena;
    struct str joined = STR_LIT("");

    for (size_t i = 0; i < list->table.count; i++) {
        const struct value *item = &list->table.items[i];

        if (item->kind != VALUE_TEXT) {
            return NULL;
        }
        joined = arena_printf(arena, "%.*s%s%.*s", STR_ARG(joined),
                              i == 0 ? "" : ",", STR_ARG(item->text));
    }
    return joined.ptr;
}

/* A topic config's value as Kafka writes it; NULL when it can be none. */
static const char *settings_config_text(struct settings_work *work,
                                        const char *name,
                                        const struct value *value)
{
    struct arena *arena = work->complaints.arena;
    int64_t number;

    switch (value->kind) {
    case VALUE_BOOL:
        return value->flag ? "true" : "false";
    case VALUE_INT:
        return arena_printf(arena, "%" PRId64, value->integer).ptr;
    case VALUE_NUMBER:
        return arena_printf(arena, "%.17g", value->number).ptr;
    case VALUE_LIST:
        return settings_joined(work, value);
    case VALUE_TEXT:
        if (memchr(value->text.ptr, '\0', value->text.len) != NULL) {
            return NULL;
        }
        if (units_named(str_of(name), value->text, &number)) {
            return arena_printf(arena, "%" PRId64, number).ptr;
        }
        return value->text.ptr;
    default:
        return NULL;
    }
}

/* A name that is no topic config's; perhaps Kafka's broker has it. */
static void settings_config_unknown(struct settings_work *work,
                                    const struct setting_config_given *config)
{
    const char *names[128];
    size_t count = MIN(topic_config_count(), ARRAY_COUNT(names));
    const char *nearest = NULL;

    for (size_t i = 0; i < count; i++) {
        const struct topic_config *known = topic_config_at(i);

        names[i] = known->name;
        if (known->broker_name != NULL &&
            strcmp(known->broker_name, config->name) == 0) {
            nearest = known->name;
        }
    }
    if (nearest == NULL) {
        nearest = complaint_nearest(str_of(config->name), names, count);
    }
    complaint_add(&work->complaints, config->given.value->place,
                  config->given.path,
                  nearest == NULL ? "unknown key \"%s\"%s"
                                  : "unknown key \"%s\"; did you mean "
                                    "\"%s\"?",
                  config->name, nearest == NULL ? "" : nearest);
}

/* That a size or a duration may be text, for configs that are one. */
static const char *settings_units_hint(const char *name)
{
    int64_t unused;

    if (units_named(str_of(name), STR_LIT("1d"), &unused)) {
        return " (text such as \"7d\" will do, too)";
    }
    return units_named(str_of(name), STR_LIT("1B"), &unused)
               ? " (text such as \"64MiB\" will do, too)"
               : "";
}

static bool settings_store_config(struct settings_work *work,
                                  const struct setting_config_given *config,
                                  struct settings_config *out)
{
    struct arena *arena = &work->out->arena;
    const struct setting_given *given = &config->given;
    struct why why = {{0}};
    const char *text;

    if (given->value->kind == VALUE_MISSING) {
        return false;
    }
    if (topic_config_find(str_of(config->name)) == NULL) {
        settings_config_unknown(work, config);
        return false;
    }
    text = settings_config_text(work, config->name, given->value);
    if (text == NULL) {
        complaint_add(&work->complaints, given->value->place, given->path,
                      "%s: expected text or a number, got %s", config->name,
                      value_show(work->complaints.arena, given->value).ptr);
        return false;
    }
    if (topic_config_set(NULL, str_of(config->name), str_of(text), &why)) {
        complaint_add(&work->complaints, given->value->place, given->path,
                      "%s%s", why.text, settings_units_hint(config->name));
        return false;
    }
    out->name = arena_str(arena, str_of(config->name)).ptr;
    out->value = arena_str(arena, str_of(text)).ptr;
    return true;
}

static int settings_compare_configs(const void *a, const void *b)
{
    return strcmp(((const struct settings_config *)a)->name,
                  ((const struct settings_config *)b)->name);
}

void settings_store_configs(struct settings_work *work,
                            struct setting_config_given *given,
                            struct settings_configs *out)
{
    size_t count = 0;

    for (struct setting_config_given *c = given; c != NULL; c = c->next) {
        count++;
    }
    out->items = arena_array(&work->out->arena, count, sizeof(*out->items));
    out->count = 0;
    for (struct setting_config_given *c = given; c != NULL; c = c->next) {
        if (settings_store_config(work, c, &out->items[out->count])) {
            out->count++;
        }
    }
    if (out->count > 0) {
        qsort(out->items, out->count, sizeof(*out->items),
              settings_compare_configs);
    }
}

/* storage.segment and its kin join the topic configs that they stand for. */
void settings_check_configs(struct settings_work *work)
{
    struct arena *arena = work->complaints.arena;

    for (size_t i = 0; i < settings_scalar_count; i++) {
        struct setting_config_given *config;

        if (settings_scalars[i].type != SETTING_CONFIG ||
            work->scalars[i].source == SETTING_NOT_GIVEN) {
            continue;
        }
        config = ARENA_NEW(arena, struct setting_config_given);
        config->name = settings_scalars[i].config;
        config->given = work->scalars[i];
        config->next = work->configs;
        work->configs = config;
    }
    settings_store_configs(work, work->configs, &work->out->defaults.configs);
}
