/* complaint.h - everything that is wrong with a config, told at once.
 *
 * Complaints are collected in an arena and printed in the order of a reader:
 * first what was written wrong, by file and line, then what is missing (it may
 * be missing because its name was written wrong). */
#ifndef SCRIPT_COMPLAINT_H
#define SCRIPT_COMPLAINT_H

#include "script/value.h"

enum { COMPLAINTS_MAX = 100 }; /* told; the others are counted */

/* In the arena, with its texts. */
struct complaint {
    struct value_place place;
    const char *path; /* "topics.orders.partitions"; NULL: none */
    const char *text;
    bool missing; /* what is not there: told after the others */
    size_t order; /* in which they came */
    struct complaint *next;
};

struct complaints {
    struct arena *arena;     /* borrowed */
    struct complaint *items; /* private from here on; newest first */
    size_t count;
};

/* path: copied; NULL: none. */
void complaint_add(struct complaints *complaints, struct value_place place,
                   const char *path, const char *format, ...) PRINTF_LIKE(4, 5);
/* The same, for what is not there. */
void complaint_add_missing(struct complaints *complaints,
                           struct value_place place, const char *path,
                           const char *format, ...) PRINTF_LIKE(4, 5);
/* A line each, "FILE:LINE: path: text", from mem_; "" when there is none.
 * Control characters are escaped. */
char *complaint_report(const struct complaints *complaints);

/* The nearest of count names to name, or NULL when none is near: a third of
 * the letters may differ. */
const char *complaint_nearest(struct str name, const char *const *names,
                              size_t count);

#endif
