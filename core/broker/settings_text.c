/* settings_text.c - sizes, durations and addresses as people write them. */
#include "broker/settings_private.h"
#include <inttypes.h>
#include <strings.h>

struct settings_unit {
    const char *name;
    int64_t factor;
};

/* From the largest to the smallest: that is how they are printed. */
static const struct settings_unit settings_sizes[] = {
    {"TiB", INT64_C(1) << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20},
    {"KiB", 1 << 10},          {"TB", INT64_C(1000000000000)},
    {"GB", 1000000000},        {"MB", 1000000},
    {"KB", 1000},              {"B", 1},
    {NULL, 0},
};

static const struct settings_unit settings_durations[] = {
    {"d", 86400000}, {"h", 3600000}, {"m", 60000},
    {"s", 1000},     {"ms", 1},      {NULL, 0},
};

/* A whole number and a unit behind it, blanks between them allowed. */
static bool settings_measure(struct str text, const struct settings_unit *units,
                             int64_t *out)
{
    size_t digits = 0;
    struct str unit;
    int64_t number;

    while (digits < text.len && text.ptr[digits] >= '0' &&
           text.ptr[digits] <= '9') {
        digits++;
    }
    unit = str_sub(text.ptr + digits, text.len - digits);
    while (unit.len > 0 && unit.ptr[0] == ' ') {
        unit = str_sub(unit.ptr + 1, unit.len - 1);
    }
    if (digits == 0 || !str_to_i64(str_sub(text.ptr, digits), &number)) {
        return false;
    }
    for (; units->name != NULL; units++) {
        if (unit.len == strlen(units->name) &&
            strncasecmp(unit.ptr, units->name, unit.len) == 0) {
            return !__builtin_mul_overflow(number, units->factor, out);
        }
    }
    return false;
}

bool settings_size(struct str text, int64_t *bytes)
{
    return str_to_i64(text, bytes) ||
           settings_measure(text, settings_sizes, bytes);
}

bool settings_duration(struct str text, int64_t *ms)
{
    if (str_eq(text, STR_LIT("0"))) {
        *ms = 0;
        return true;
    }
    return settings_measure(text, settings_durations, ms);
}

bool settings_percent(struct str text, int64_t *percent)
{
    return text.len > 1 && text.ptr[text.len - 1] == '%' &&
           str_to_i64(str_sub(text.ptr, text.len - 1), percent) &&
           *percent >= 1 && *percent <= 100;
}

bool settings_address(struct arena *arena, struct str text, const char **host,
                      uint16_t *port)
{
    const char *end = text.ptr + text.len;
    const char *colon = NULL;
    struct str name = text;
    int64_t number = 0;

    if (text.len > 0 && text.ptr[0] == '[') {
        const char *bracket = memchr(text.ptr, ']', text.len);

        if (bracket == NULL) {
            return false;
        }
        name = str_sub(text.ptr + 1, (size_t)(bracket - text.ptr) - 1);
        colon = bracket + 1 == end ? NULL : bracket + 1;
    } else {
        colon = memchr(text.ptr, ':', text.len);
        name.len = colon == NULL ? text.len : (size_t)(colon - text.ptr);
    }
    if (colon != NULL &&
        (*colon != ':' ||
         !str_to_i64(str_sub(colon + 1, (size_t)(end - colon) - 1), &number) ||
         number < 1 || number > UINT16_MAX)) {
        return false;
    }
    if (name.len == 0 || memchr(name.ptr, '\0', name.len) != NULL) {
        return false;
    }
    *host = arena_str(arena, name).ptr;
    *port = (uint16_t)number;
    return true;
}

static const char *settings_unit_text(struct arena *arena, int64_t number,
                                      const struct settings_unit *units)
{
    while (units->factor > 1 &&
           (number < units->factor || number % units->factor != 0)) {
        units++;
    }
    return arena_printf(arena, "%" PRId64 "%s", number / units->factor,
                        units->name)
        .ptr;
}

const char *settings_size_text(struct arena *arena, int64_t bytes)
{
    /* The odd top end of a 32-bit number reads better rounded. */
    if (bytes == INT32_MAX || bytes == INT64_MAX) {
        bytes = bytes == INT32_MAX ? INT64_C(1) << 31 : INT64_C(1) << 62;
    }
    return settings_unit_text(arena, bytes, settings_sizes);
}

const char *settings_duration_text(struct arena *arena, int64_t ms)
{
    return settings_unit_text(arena, ms, settings_durations);
}
