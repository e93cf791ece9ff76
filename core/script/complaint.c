/* complaint.c - everything that is wrong with a config, told at once.
 *
 * 1. complaint_add() keeps each with its place, path and text, in the arena;
 *    beyond COMPLAINTS_MAX they are only counted.
 * 2. complaint_report() sorts them: what was written wrong, by file and line,
 *    then what is missing, for its name may be what was written wrong.
 * 3. Each becomes a line, control characters escaped: names and texts of a
 *    config may hold anything.
 * 4. "and N more" says what was only counted. */
#include "script/complaint.h"
#include "base/mem.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { COMPLAINT_BYTES_MAX = 1024 };

static void complaint_add_va(struct complaints *complaints,
                             struct value_place place, const char *path,
                             bool missing, const char *format, va_list args)
    __attribute__((format(printf, 5, 0)));

/* Kept, or only counted when there are enough. */
static void complaint_add_va(struct complaints *complaints,
                             struct value_place place, const char *path,
                             bool missing, const char *format, va_list args)
{
    struct complaint *complaint;
    char text[COMPLAINT_BYTES_MAX];

    complaints->count++;
    if (complaints->count > COMPLAINTS_MAX) {
        return;
    }
    vsnprintf(text, sizeof(text), format, args);
    complaint = ARENA_NEW(complaints->arena, struct complaint);
    complaint->place = place;
    complaint->path =
        path == NULL ? NULL : arena_str(complaints->arena, str_of(path)).ptr;
    complaint->text = arena_str(complaints->arena, str_of(text)).ptr;
    complaint->missing = missing;
    complaint->order = complaints->count;
    complaint->next = complaints->items;
    complaints->items = complaint;
}

void complaint_add(struct complaints *complaints, struct value_place place,
                   const char *path, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    complaint_add_va(complaints, place, path, false, format, args);
    va_end(args);
}

void complaint_add_missing(struct complaints *complaints,
                           struct value_place place, const char *path,
                           const char *format, ...)
{
    va_list args;

    va_start(args, format);
    complaint_add_va(complaints, place, path, true, format, args);
    va_end(args);
}

/* The reader's order: by file, by line, then as they came. */
static int complaint_compare(const void *a, const void *b)
{
    const struct complaint *x = *(const struct complaint *const *)a;
    const struct complaint *y = *(const struct complaint *const *)b;
    const char *x_file = x->place.file == NULL ? "" : x->place.file;
    const char *y_file = y->place.file == NULL ? "" : y->place.file;
    int files = strcmp(x_file, y_file);

    if (x->missing != y->missing) {
        return x->missing ? 1 : -1;
    }
    if (files != 0) {
        return files;
    }
    if (x->place.line != y->place.line) {
        return x->place.line < y->place.line ? -1 : 1;
    }
    return x->order < y->order ? -1 : 1;
}

/* The text with its control characters escaped. */
static struct str complaint_shown(struct arena *arena, const char *text)
{
    static const char digits[] = "0123456789abcdef";
    char *out = arena_raw(arena, strlen(text) * 4 + 1);
    size_t at = 0;

    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;

        if (c < 0x20 || c == 0x7f) {
            out[at++] = '\\';
            out[at++] = 'x';
            out[at++] = digits[c >> 4];
            out[at++] = digits[c & 15];
        } else {
            out[at++] = (char)c;
        }
    }
    out[at] = '\0';
    return str_sub(out, at);
}

/* "FILE:LINE: path: text", without the newline. */
static struct str complaint_line(struct arena *arena,
                                 const struct complaint *complaint)
{
    struct str text = complaint_shown(arena, complaint->text);
    int line = complaint->place.line;

    if (complaint->path != NULL) {
        text = arena_printf(arena, "%s: %.*s",
                            complaint_shown(arena, complaint->path).ptr,
                            STR_ARG(text));
    }
    if (complaint->place.file == NULL) {
        return text;
    }
    return arena_printf(arena, line > 0 ? "%s:%d: %.*s" : "%s%.0d: %.*s",
                        complaint_shown(arena, complaint->place.file).ptr,
                        MAX(line, 0), STR_ARG(text));
}

char *complaint_report(const struct complaints *complaints)
{
    const struct complaint *sorted[COMPLAINTS_MAX];
    struct arena arena = {0};
    char *report = mem_dupz("");
    size_t count = 0;

    for (struct complaint *c = complaints->items; c != NULL; c = c->next) {
        sorted[count++] = c;
    }
    if (count > 0) {
        qsort(sorted, count, sizeof(sorted[0]), complaint_compare);
    }
    for (size_t i = 0; i < count; i++) {
        struct str line = complaint_line(&arena, sorted[i]);
        char *longer = mem_printf("%s%.*s\n", report, STR_ARG(line));

        mem_free(report);
        report = longer;
    }
    if (complaints->count > count) {
        char *longer =
            mem_printf("%sand %zu more\n", report, complaints->count - count);

        mem_free(report);
        report = longer;
    }
    arena_reset(&arena);
    return report;
}

const char *complaint_nearest(struct str name, const char *const *names,
                              size_t count)
{
    unsigned limit = (unsigned)MIN(name.len / 3 + 1, (size_t)8);
    const char *nearest = NULL;
    unsigned best = limit + 1;

    for (size_t i = 0; i < count; i++) {
        unsigned distance = str_distance(name, str_of(names[i]), limit + 1);

        if (distance < best) {
            best = distance;
            nearest = names[i];
        }
    }
    return nearest;
}
