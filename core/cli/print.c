/* print.c - output for people and for programs.
 *
 * Tables: columns as wide as their widest cell, numbers to the right; counted
 * in characters, not bytes. JSON: one object a line; what is no UTF-8 becomes
 * U+FFFD in a text, and "..._base64" where every byte counts.
 *
 * What comes from a broker may hold anything. On a terminal its control
 * characters (U+0000 to U+001F but tab and newline, U+007F to U+009F) are shown
 * as \xNN: none moves the cursor. */
#include "cli/print.h"
#include <ctype.h>
#include <inttypes.h>
#include <unistd.h>

/* How many bytes the UTF-8 sequence at text has; 0 when it is none. */
static size_t print_utf8(struct str text)
{
    static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    uint8_t first = (uint8_t)text.ptr[0];
    size_t bytes = first < 0x80             ? 1
                   : (first & 0xe0) == 0xc0 ? 2
                   : (first & 0xf0) == 0xe0 ? 3
                   : (first & 0xf8) == 0xf0 ? 4
                                            : 0;
    uint32_t code = bytes < 2 ? first : first & (0x7fu >> bytes);

    if (bytes == 0 || bytes > text.len) {
        return 0;
    }
    for (size_t i = 1; i < bytes; i++) {
        uint8_t c = (uint8_t)text.ptr[i];

        if ((c & 0xc0) != 0x80) {
            return 0;
        }
        code = code << 6 | (c & 0x3f);
    }
    if (bytes > 1 && (code < smallest[bytes] || code > 0x10ffff ||
                      (code >= 0xd800 && code < 0xe000))) {
        return 0;
    }
    return bytes;
}

bool print_is_utf8(struct str text)
{
    for (size_t i = 0; i < text.len;) {
        size_t bytes = print_utf8(str_sub(text.ptr + i, text.len - i));

        if (bytes == 0) {
            return false;
        }
        i += bytes;
    }
    return true;
}

/* Columns that the text takes: one for each character. */
static size_t print_width(struct str text)
{
    size_t width = 0;

    for (size_t i = 0; i < text.len; i++) {
        width += ((uint8_t)text.ptr[i] & 0xc0) != 0x80 ? 1 : 0;
    }
    return width;
}

void print_table_add(struct print_table *table, const struct str *cells)
{
    struct print_row *row = ARENA_NEW(table->arena, struct print_row);

    for (size_t i = 0; i < table->columns; i++) {
        row->cells[i] = cells[i];
    }
    if (table->last == NULL) {
        table->first = row;
    } else {
        table->last->next = row;
    }
    table->last = row;
}

static bool print_is_number(struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (!isdigit((unsigned char)text.ptr[i]) && text.ptr[i] != ',' &&
            text.ptr[i] != '-') {
            return false;
        }
    }
    return true;
}

static void print_cell(FILE *out, struct str text, size_t width, bool right,
                       bool last)
{
    size_t blanks = width - MIN(width, print_width(text));

    if (right) {
        fprintf(out, "%*s", (int)blanks, "");
    }
    print_text(out, text);
    if (!right && !last) {
        fprintf(out, "%*s", (int)blanks, "");
    }
    fputs(last ? "\n" : "  ", out);
}

void print_table_out(const struct print_table *table, FILE *out)
{
    size_t widths[PRINT_COLUMNS_MAX];
    bool right[PRINT_COLUMNS_MAX];

    for (size_t i = 0; i < table->columns; i++) {
        widths[i] = strlen(table->titles[i]);
        right[i] = table->first != NULL;
        for (struct print_row *row = table->first; row; row = row->next) {
            widths[i] = MAX(widths[i], print_width(row->cells[i]));
            right[i] = right[i] && print_is_number(row->cells[i]);
        }
    }
    for (size_t i = 0; i < table->columns; i++) {
        print_cell(out, str_of(table->titles[i]), widths[i], right[i],
                   i + 1 == table->columns);
    }
    for (struct print_row *row = table->first; row != NULL; row = row->next) {
        for (size_t i = 0; i < table->columns; i++) {
            print_cell(out, row->cells[i], widths[i], right[i],
                       i + 1 == table->columns);
        }
    }
}

void print_text(FILE *out, struct str text)
{
    if (!isatty(fileno(out))) {
        fwrite(text.ptr, 1, text.len, out);
        return;
    }
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];

        if ((c < 0x20 && c != '\t' && c != '\n') || c == 0x7f) {
            fprintf(out, "\\x%02x", c);
        } else if (c == 0xc2 && i + 1 < text.len &&
                   ((unsigned char)text.ptr[i + 1] & 0xe0) == 0x80) {
            /* U+0080 to U+009F are control characters, too. */
            fprintf(out, "\\x%02x", (unsigned char)text.ptr[++i]);
        } else {
            fputc(c, out);
        }
    }
}

void print_json_text(FILE *out, struct str text)
{
    if (str_is_null(text)) {
        fputs("null", out);
        return;
    }
    fputc('"', out);
    for (size_t i = 0; i < text.len;) {
        size_t bytes = print_utf8(str_sub(text.ptr + i, text.len - i));
        unsigned char c = (unsigned char)text.ptr[i];

        if (bytes == 0) {
            fputs("\\ufffd", out);
            bytes = 1;
        } else if (c == '"' || c == '\\') {
            fprintf(out, "\\%c", c);
        } else if (c == '\n') {
            fputs("\\n", out);
        } else if (c == '\t') {
            fputs("\\t", out);
        } else if (c < 0x20 || c == 0x7f) {
            fprintf(out, "\\u%04x", c);
        } else {
            fwrite(text.ptr + i, 1, bytes, out);
        }
        i += bytes;
    }
    fputc('"', out);
}

/* With padding; the standard's digits. */
static void print_base64(FILE *out, struct str bytes)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                 "abcdefghijklmnopqrstuvwxyz0123456789+/";

    for (size_t i = 0; i < bytes.len; i += 3) {
        size_t left = MIN(bytes.len - i, (size_t)3);
        uint32_t word = (uint32_t)(uint8_t)bytes.ptr[i] << 16;

        word |= left > 1 ? (uint32_t)(uint8_t)bytes.ptr[i + 1] << 8 : 0;
        word |= left > 2 ? (uint32_t)(uint8_t)bytes.ptr[i + 2] : 0;
        for (size_t j = 0; j < 4; j++) {
            fputc(j <= left ? digits[word >> (18 - 6 * j) & 63] : '=', out);
        }
    }
}

void print_json_bytes(FILE *out, const char *name, struct str bytes)
{
    if (str_is_null(bytes) || print_is_utf8(bytes)) {
        fprintf(out, "\"%s\":", name);
        print_json_text(out, bytes);
        return;
    }
    fprintf(out, "\"%s_base64\":\"", name);
    print_base64(out, bytes);
    fputc('"', out);
}

struct str print_number(struct arena *arena, int64_t number)
{
    struct str plain = arena_printf(arena, "%" PRId64, number);
    size_t sign = number < 0 ? 1 : 0;
    size_t digits = plain.len - sign;
    char *out = arena_raw(arena, plain.len + digits / 3 + 1);
    size_t at = 0;

    for (size_t i = 0; i < plain.len; i++) {
        if (i > sign && (plain.len - i) % 3 == 0) {
            out[at++] = ',';
        }
        out[at++] = plain.ptr[i];
    }
    out[at] = '\0';
    return str_sub(out, at);
}
