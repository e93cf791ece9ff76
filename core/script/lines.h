/* lines.h - where in a file each value of a table was written.
 *
 * Lua keeps no lines for the fields of tables. So the tokens of the same source
 * are read once more, and for each value that is written out in a constructor
 * or assigned by name, its path and place are kept: topics.orders.partitions is
 * at config.lua:31. What is made in a loop has an unknown name in its path; it
 * is found as the statement that makes it. Only for messages: a wrong guess
 * costs a wrong line. */
#ifndef SCRIPT_LINES_H
#define SCRIPT_LINES_H

#include "base/map.h"
#include "script/value.h"

enum { LINES_DEPTH_MAX = 32 };

struct lines {
    struct arena *arena; /* borrowed */
    struct map places;   /* private: joined path to struct value_place */
};

/* arena: borrowed until the places found are no longer needed. */
void lines_init(struct lines *lines, struct arena *arena);
/* What was found stays in the arena. */
void lines_fini(struct lines *lines);
/* source: valid Lua (anything is survived). file: kept, not copied. Later
 * places of a path replace earlier ones. */
void lines_scan(struct lines *lines, struct str source, const char *file);
/* The place of the value at path, or of the nearest table around it. */
struct value_place lines_find(const struct lines *lines, const struct str *path,
                              size_t depth);

#endif
