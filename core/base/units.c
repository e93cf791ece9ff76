/* units.c - sizes and durations as people write them. */
#include "base/units.h"
#include <inttypes.h>
#include <strings.h>

struct unit {
    const char *name;
    int64_t factor;
};

/* From the largest to the smallest: that is how they are printed. */
static const struct unit units_sizes[] = {
    {"TiB", INT64_C(1) << 40},
    {"GiB", 1 << 30},
    {"MiB", 1 << 20},
    {"KiB", 1 << 10},
    {"TB", INT64_C(1000000000000)},
    {"GB", 1000000000},
    {"MB", 1000000},
    {"KB", 1000},
    {"B", 1},
    {NULL, 0},
};

static const struct unit units_durations[] = {
    {"d", 86400000}, {"h", 3600000}, {"m", 60000},
    {"s", 1000},     {"ms", 1},      {NULL, 0},
};

/* A whole number and one of the units; false for all else, overflow too. */
static bool units_parse(struct str text, const struct unit *units, int64_t *out)
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

bool units_size(struct str text, int64_t *bytes)
{
    return str_to_i64(text, bytes) || units_parse(text, units_sizes, bytes);
}

bool units_duration(struct str text, int64_t *ms)
{
    if (str_eq(text, STR_LIT("0"))) {
        *ms = 0;
        return true;
    }
    return units_parse(text, units_durations, ms);
}

static bool units_ends_with(struct str text, struct str end)
{
    return text.len >= end.len &&
           memcmp(text.ptr + text.len - end.len, end.ptr, end.len) == 0;
}

bool units_named(struct str name, struct str text, int64_t *out)
{
    return (units_ends_with(name, STR_LIT(".ms")) &&
            units_duration(text, out)) ||
           (units_ends_with(name, STR_LIT(".bytes")) && units_size(text, out));
}

static const char *units_text(struct arena *arena, int64_t number,
                              const struct unit *units)
{
    while (units->factor > 1 &&
           (number < units->factor || number % units->factor != 0)) {
        units++;
    }
    return arena_printf(arena, "%" PRId64 "%s", number / units->factor,
                        units->name)
        .ptr;
}

const char *units_size_text(struct arena *arena, int64_t bytes)
{
    return units_text(arena, bytes, units_sizes);
}

const char *units_duration_text(struct arena *arena, int64_t ms)
{
    return units_text(arena, ms, units_durations);
}
