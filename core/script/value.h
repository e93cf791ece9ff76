/* value.h - plain data that came out of Lua.
 *
 * A tree in an arena, with the file and line where each value was written, so
 * that whoever checks it can say where it is wrong. No lua_State behind it. */
#ifndef SCRIPT_VALUE_H
#define SCRIPT_VALUE_H

#include "base/arena.h"

enum value_kind {
    VALUE_BOOL,
    VALUE_INT,
    VALUE_NUMBER, /* a float that is not a whole number */
    VALUE_TEXT,
    VALUE_LIST,    /* keys 1 to n */
    VALUE_MAP,     /* any keys, sorted; an empty table is an empty map */
    VALUE_SECRET,  /* secret(): text is where it is, never what it is */
    VALUE_INLINE,  /* inline(): text is Lua source */
    VALUE_MISSING, /* an error that was reported already */
    VALUE_OTHER,   /* what is no data; text says what: "a function" */
};

struct value_place {
    const char *file; /* as it was named; NULL: nowhere */
    int line;         /* 0: unknown */
};

struct value {
    enum value_kind kind;
    struct value_place place;
    union {
        bool flag;
        int64_t integer;
        double number;
        struct str text; /* NUL-terminated, but may hold NULs as well */
        struct {
            struct value *items;
            struct str *keys; /* one for each item; "1", "2" in a list */
            size_t count;
        } table;
    };
};

/* Whether it has entries: a list or a map. */
static inline bool value_is_table(const struct value *value)
{
    return value->kind == VALUE_LIST || value->kind == VALUE_MAP;
}

/* "a number", "text", "a list": for messages. */
const char *value_kind_name(enum value_kind kind);
/* As a message shows it: 12, "12x", true, a list. At most some 60 characters;
 * control characters are escaped. */
struct str value_show(struct arena *arena, const struct value *value);

#endif
