/* print.h - output for people (tables) and for programs (JSON).
 *
 * What comes from a broker is foreign: control characters never reach a
 * terminal as they are. */
#ifndef CLI_PRINT_H
#define CLI_PRINT_H

#include "base/arena.h"
#include <stdio.h>

enum { PRINT_COLUMNS_MAX = 10 };

struct print_row {
    struct str cells[PRINT_COLUMNS_MAX];
    struct print_row *next;
};

/* A table: columns as wide as they must be, numbers to the right. */
struct print_table {
    struct arena *arena; /* borrowed */
    const char *titles[PRINT_COLUMNS_MAX];
    size_t columns;
    struct print_row *first; /* private from here on */
    struct print_row *last;
};

/* cells: columns of them, borrowed until printed. */
void print_table_add(struct print_table *table, const struct str *cells);
void print_table_out(const struct print_table *table, FILE *out);

/* The text as it is, but where out is a terminal: control characters (other
 * than tab and newline) escaped. */
void print_text(FILE *out, struct str text);

/* JSON: a text in quotes; null for null. Bytes that are no UTF-8 become
 * U+FFFD. */
void print_json_text(FILE *out, struct str text);
/* "name":"text", or "name_base64":"..." where the bytes are no UTF-8. */
void print_json_bytes(FILE *out, const char *name, struct str bytes);
bool print_is_utf8(struct str text);

/* "12,345,678" */
struct str print_number(struct arena *arena, int64_t number);

#endif
