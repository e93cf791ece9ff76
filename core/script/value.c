/* value.c - plain data that came out of Lua, as messages show it. */
#include "script/value.h"
#include <inttypes.h>

enum { VALUE_SHOWN_CHARACTERS = 48 };

const char *value_kind_name(enum value_kind kind)
{
    static const char *const names[] = {
        [VALUE_BOOL] = "true or false", [VALUE_INT] = "an integer",
        [VALUE_NUMBER] = "a number",    [VALUE_TEXT] = "text",
        [VALUE_LIST] = "a list",        [VALUE_MAP] = "a table",
        [VALUE_SECRET] = "a secret",    [VALUE_INLINE] = "Lua source",
        [VALUE_MISSING] = "nothing",    [VALUE_OTHER] = "no data",
    };
    return names[kind];
}

/* Quoted, shortened, and with nothing in it that could move a terminal. */
static struct str value_show_text(struct arena *arena, struct str text)
{
    size_t count = MIN(text.len, (size_t)VALUE_SHOWN_CHARACTERS);
    char *out = arena_raw(arena, count * 4 + 8);
    size_t at = 0;

    out[at++] = '"';
    for (size_t i = 0; i < count; i++) {
        unsigned char c = (unsigned char)text.ptr[i];

        if (c < 0x20 || c == 0x7f) {
            static const char digits[] = "0123456789abcdef";

            out[at++] = '\\';
            out[at++] = 'x';
            out[at++] = digits[c >> 4];
            out[at++] = digits[c & 15];
        } else {
            out[at++] = (char)c;
        }
    }
    out[at++] = '"';
    if (count < text.len) {
        memcpy(out + at - 1, "...\"", 4);
        at += 3;
    }
    out[at] = '\0';
    return str_sub(out, at);
}

struct str value_show(struct arena *arena, const struct value *value)
{
    switch (value->kind) {
    case VALUE_BOOL:
        return value->flag ? STR_LIT("true") : STR_LIT("false");
    case VALUE_INT:
        return arena_printf(arena, "%" PRId64, value->integer);
    case VALUE_NUMBER:
        return arena_printf(arena, "%.14g", value->number);
    case VALUE_TEXT:
        return value_show_text(arena, value->text);
    case VALUE_OTHER:
        return value->text;
    default:
        return str_of(value_kind_name(value->kind));
    }
}
