/* complaint.c - everything that is wrong with a config, told at once. */
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
    complaint->path = path == NULL
                          ? NULL
                          : arena_str(complaints->arena, str_of(path)).ptr;
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

/* The reader's order. Files come in the order in which they first complained:
 * their names say nothing. */
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

static void complaint_write(FILE *out, const char *text)
{
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;

        if (c < 0x20 || c == 0x7f) {
            fprintf(out, "\\x%02x", c);
        } else {
            fputc(c, out);
        }
    }
}

static void complaint_write_line(FILE *out, const struct complaint *complaint)
{
    if (complaint->place.file != NULL) {
        complaint_write(out, complaint->place.file);
        if (complaint->place.line > 0) {
            fprintf(out, ":%d", complaint->place.line);
        }
        fputs(": ", out);
    }
    if (complaint->path != NULL) {
        complaint_write(out, complaint->path);
        fputs(": ", out);
    }
    complaint_write(out, complaint->text);
    fputc('\n', out);
}

char *complaint_report(const struct complaints *complaints)
{
    const struct complaint *sorted[COMPLAINTS_MAX];
    size_t count = 0;
    char *text = NULL;
    size_t bytes = 0;
    char *report;
    FILE *out = open_memstream(&text, &bytes);

    for (struct complaint *c = complaints->items; c != NULL; c = c->next) {
        sorted[count++] = c;
    }
    if (count > 0) {
        qsort(sorted, count, sizeof(sorted[0]), complaint_compare);
    }
    for (size_t i = 0; i < count; i++) {
        complaint_write_line(out, sorted[i]);
    }
    if (complaints->count > count) {
        fprintf(out, "and %zu more\n", complaints->count - count);
    }
    fclose(out);
    report = mem_dup(text, bytes);
    free(text);
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
