/* settings_check.c - from slots to checked values.
 *
 * Each slot's value, or the default of its line in the table, is parsed by its
 * type, held against its limits and stored in its field. */
#include "broker/settings_private.h"
#include "base/units.h"
#include "base/must.h"
#include <inttypes.h>
#include <stdlib.h>

static void settings_put(const struct setting *setting, void *base,
                         int64_t number)
{
    void *field = (char *)base + setting->offset;

    switch (setting->bytes) {
    case 1:
        *(uint8_t *)field = (uint8_t)number;
        break;
    case 2:
        *(uint16_t *)field = (uint16_t)number;
        break;
    case 4:
        *(uint32_t *)field = (uint32_t)number;
        break;
    case 8:
        *(uint64_t *)field = (uint64_t)number;
        break;
    default:
        unreachable();
    }
}

static bool settings_ends_with(const char *text, const char *end)
{
    size_t bytes = strlen(text);
    size_t end_bytes = strlen(end);

    return bytes >= end_bytes && strcmp(text + bytes - end_bytes, end) == 0;
}

/* Whether a bare number may stand for a duration: under a name of Kafka's. */
static bool settings_says_ms(const char *path)
{
    return settings_ends_with(path, ".ms") ||
           settings_ends_with(path, ".ms\"]");
}

/* The number that a value is, by the setting's type. */
static bool settings_number(struct settings_work *work,
                            const struct setting *setting,
                            const struct setting_given *given, int64_t *out)
{
    const struct value *value = given->value;
    int64_t percent;

    if (value->kind == VALUE_INT) {
        *out = value->integer;
        return setting->type != SETTING_DURATION || *out == 0 ||
               settings_says_ms(given->path);
    }
    if (value->kind != VALUE_TEXT) {
        return false;
    }
    switch (setting->type) {
    case SETTING_MEMORY:
        if (settings_percent(value->text, &percent)) {
            uint64_t bytes = work->input->machine_bytes / 100;

            *out = (int64_t)(bytes * (uint64_t)percent);
            *out = MAX(*out, setting->min); /* a part cannot be too small */
            return true;
        }
        return units_size(value->text, out);
    case SETTING_SIZE:
        return units_size(value->text, out);
    case SETTING_DURATION:
        return units_duration(value->text, out) ||
               (settings_says_ms(given->path) && str_to_i64(value->text, out));
    default:
        return str_to_i64(value->text, out);
    }
}

/* The odd top end of a 32-bit number reads better rounded. */
static const char *settings_size_text(struct arena *arena, int64_t bytes)
{
    return units_size_text(arena, bytes == INT32_MAX ? bytes + 1 : bytes);
}

/* "from 1 to 64", or "of at least 1" where there is no upper end to speak
 * of. */
static const char *settings_range(struct arena *arena,
                                  const struct setting *setting)
{
    int64_t min = setting->min;
    int64_t max = setting->max;

    switch (setting->type) {
    case SETTING_SIZE:
    case SETTING_MEMORY:
        if (max == INT64_MAX) {
            return arena_printf(arena, "of at least %s",
                                settings_size_text(arena, min))
                .ptr;
        }
        return arena_printf(arena, "from %s to %s",
                            settings_size_text(arena, min),
                            settings_size_text(arena, max))
            .ptr;
    case SETTING_DURATION:
        return arena_printf(arena, "from %s to %s",
                            units_duration_text(arena, min),
                            units_duration_text(arena, max))
            .ptr;
    default:
        if (max >= INT16_MAX && (max == INT32_MAX || max == INT16_MAX)) {
            return arena_printf(arena, ">= %" PRId64, min).ptr;
        }
        return arena_printf(arena, "from %" PRId64 " to %" PRId64, min, max)
            .ptr;
    }
}

static const char *settings_expected(struct arena *arena,
                                     const struct setting *setting)
{
    const char *range = settings_range(arena, setting);

    switch (setting->type) {
    case SETTING_SIZE:
        return arena_printf(arena, "a size such as \"64MiB\", %s", range).ptr;
    case SETTING_MEMORY:
        return arena_printf(arena,
                            "a size such as \"1GiB\", %s, or a part of the "
                            "machine's memory such as \"25%%\"",
                            range)
            .ptr;
    case SETTING_DURATION:
        return arena_printf(arena, "a duration such as \"30s\", %s", range).ptr;
    default:
        return arena_printf(arena, "an integer %s", range).ptr;
    }
}

static void settings_wrong(struct settings_work *work,
                           const struct setting_given *given,
                           const char *expected)
{
    complaint_add(&work->complaints, given->value->place, given->path,
                  "expected %s, got %s", expected,
                  value_show(work->complaints.arena, given->value).ptr);
}

static bool settings_store_number(struct settings_work *work,
                                  const struct setting *setting,
                                  const struct setting_given *given, void *base)
{
    int64_t number;

    if (!settings_number(work, setting, given, &number) ||
        number < setting->min || number > setting->max) {
        settings_wrong(work, given,
                       settings_expected(work->complaints.arena, setting));
        return false;
    }
    settings_put(setting, base, number);
    return true;
}

static bool settings_store_text(struct settings_work *work,
                                const struct setting *setting,
                                const struct setting_given *given, void *base)
{
    struct arena *arena = work->complaints.arena;
    const struct value *value = given->value;
    struct str text;

    if (value->kind != VALUE_TEXT ||
        memchr(value->text.ptr, '\0', value->text.len) != NULL) {
        settings_wrong(work, given, "text");
        return false;
    }
    text = value->text;
    if (text.len < (size_t)setting->min || text.len > (size_t)setting->max) {
        settings_wrong(work, given,
                       arena_printf(arena,
                                    "text of %" PRId64 " to %" PRId64 " bytes",
                                    setting->min, setting->max)
                           .ptr);
        return false;
    }
    *(const char **)(void *)((char *)base + setting->offset) =
        arena_str(&work->out->arena, text).ptr;
    return true;
}

/* true and false stand for the words of the same name. */
static bool settings_store_word(struct settings_work *work,
                                const struct setting *setting,
                                const struct setting_given *given, void *base)
{
    static const char *const flags[] = {"false", "true", NULL};
    struct arena *arena = work->complaints.arena;
    const char *const *words =
        setting->type == SETTING_FLAG ? flags : setting->words;
    const struct value *value = given->value;
    struct str text = value->kind == VALUE_TEXT ? value->text : STR_NULL;
    const char *expected = "";

    if (value->kind == VALUE_BOOL) {
        text = str_of(flags[value->flag]);
    }
    for (int64_t i = 0; words[i] != NULL; i++) {
        bool bare =
            strcmp(words[i], "true") == 0 || strcmp(words[i], "false") == 0;

        if (str_eq(text, str_of(words[i]))) {
            settings_put(setting, base, i);
            return true;
        }
        expected = arena_printf(arena, bare ? "%s%s%s" : "%s%s\"%s\"", expected,
                                i == 0 ? "" : " or ", words[i])
                       .ptr;
    }
    settings_wrong(work, given, expected);
    return false;
}

static bool settings_parse(struct settings_work *work,
                           const struct setting *setting,
                           const struct setting_given *given, void *base)
{
    switch (setting->type) {
    case SETTING_TEXT:
        return settings_store_text(work, setting, given, base);
    case SETTING_FLAG:
    case SETTING_WORD:
        return settings_store_word(work, setting, given, base);
    case SETTING_CONFIG:
        unreachable();
    default:
        return settings_store_number(work, setting, given, base);
    }
}

/* The default, which is outside the limits where it means "not given". */
static void settings_store_initial(struct settings_work *work,
                                   const struct setting *setting, void *base)
{
    struct value value = {.kind = VALUE_TEXT, .text = str_of(setting->initial)};
    struct setting_given given = {&value, setting->path, SETTING_NOT_GIVEN};
    struct setting open = *setting;

    if (strcmp(setting->initial, "-1") == 0) {
        open.min = -1;
    }
    if (setting->type == SETTING_TEXT) {
        open.min = 0;
    }
    must(settings_parse(work, &open, &given, base));
}

bool settings_store(struct settings_work *work, const struct setting *setting,
                    const struct setting_given *given, void *base)
{
    if (setting->initial != NULL) {
        settings_store_initial(work, setting, base);
    }
    if (given->source == SETTING_NOT_GIVEN) {
        return setting->initial != NULL;
    }
    if (given->value->kind == VALUE_MISSING) {
        return false;
    }
    return settings_parse(work, setting, given, base);
}

/* The slot of a setting that is in the table. */
static const struct setting_given *
settings_given(const struct settings_work *work, const char *path)
{
    size_t i = 0;

    while (strcmp(settings_scalars[i].path, path) != 0) {
        must(++i < settings_scalar_count);
    }
    return &work->scalars[i];
}

/* A topic's copies need as many brokers; this version has one. */
static void settings_check_replication(struct settings_work *work)
{
    int16_t copies = work->out->defaults.replication_factor;
    const struct setting_given *given =
        settings_given(work, "defaults.replication_factor");

    if (copies > 1) {
        complaint_add(&work->complaints, given->value->place, given->path,
                      "%d needs %d brokers, the cluster has 1", copies, copies);
    } else if (copies == 0) {
        complaint_add(&work->complaints, given->value->place, given->path,
                      "expected -1, or 1 and above, got 0");
    }
}

void settings_check(struct settings_work *work)
{
    struct settings *out = work->out;

    for (size_t i = 0; i < settings_scalar_count; i++) {
        if (settings_scalars[i].type != SETTING_CONFIG) {
            settings_store(work, &settings_scalars[i], &work->scalars[i], out);
        }
    }
    if (out->coordinator.session_ms_min > out->coordinator.session_ms_max) {
        struct value_place place = {work->input->config_path, 0};

        complaint_add(&work->complaints, place, "coordinator",
                      "session_min (%s) is longer than session_max (%s)",
                      units_duration_text(work->complaints.arena,
                                          out->coordinator.session_ms_min),
                      units_duration_text(work->complaints.arena,
                                          out->coordinator.session_ms_max));
    }
    settings_check_replication(work);
    settings_check_configs(work);
    settings_check_listeners(work);
    settings_check_topics(work);
}
