/* names.c - paths of a partition's files. */
#include "log/names.h"

#include "base/must.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { NAMES_DIGITS = 20 };

void names_path(char path[NAMES_PATH_BYTES], const char *folder, int64_t base,
                const char *suffix)
{
    int n = snprintf(path, NAMES_PATH_BYTES, "%s/%020" PRId64 "%s", folder,
                     base, suffix);

    must(n > 0 && n < NAMES_PATH_BYTES);
}

void names_join(char path[NAMES_PATH_BYTES], const char *folder,
                const char *name)
{
    int n = snprintf(path, NAMES_PATH_BYTES, "%s/%s", folder, name);

    must(n > 0 && n < NAMES_PATH_BYTES);
}

bool names_parse(const char *name, const char *suffix, int64_t *base)
{
    uint64_t value = 0;

    for (int i = 0; i < NAMES_DIGITS; i++) {
        if (name[i] < '0' || name[i] > '9') {
            return false;
        }
        if (value > (uint64_t)INT64_MAX / 10) {
            return false;
        }
        value = value * 10 + (uint64_t)(name[i] - '0');
    }
    if (value > (uint64_t)INT64_MAX ||
        strcmp(name + NAMES_DIGITS, suffix) != 0) {
        return false;
    }
    *base = (int64_t)value;
    return true;
}

bool names_ends_with(const char *name, const char *suffix)
{
    size_t n = strlen(name);
    size_t s = strlen(suffix);

    return n >= s && strcmp(name + n - s, suffix) == 0;
}
