/* evaluate_convert.c - Lua's tables become a tree of values.
 *
 * Bounded in depth, number of values and bytes of text: a table may hold
 * itself, or one long text a million times. The tree is sorted: Lua's own order
 * differs from run to run. */
#include "base/must.h"
#include "script/evaluate_private.h"
#include <lauxlib.h>
#include <math.h>
#include <stdlib.h>

/* Where in the tree the value on top of Lua's stack belongs. */
struct evaluate_at {
    struct str names[EVALUATE_DEPTH_MAX + 1];
    size_t depth;
};

/* An entry, until it has its place. */
struct evaluate_entry {
    struct str key;
    int64_t number; /* of an integer key; else 0 */
    struct value value;
};

static void evaluate_value(lua_State *lua, struct evaluate_at *at,
                           struct value *out);

/* "topics.orders" for messages. */
static const char *evaluate_path(struct evaluate *e,
                                 const struct evaluate_at *at)
{
    struct arena *arena = e->complaints->arena;
    struct str path = STR_LIT("");

    for (size_t i = 0; i < at->depth; i++) {
        path = arena_printf(arena, "%.*s%s%.*s", STR_ARG(path),
                            i == 0 ? "" : ".", STR_ARG(at->names[i]));
    }
    return path.ptr;
}

static struct str evaluate_text(lua_State *lua, int index)
{
    struct evaluate *e = evaluate_of(lua);
    size_t bytes;
    const char *text = lua_tolstring(lua, index, &bytes);

    e->text_bytes += bytes;
    if (e->text_bytes > EVALUATE_TEXT_BYTES_MAX) {
        luaL_error(lua, "the values hold more than %d MiB of text",
                   EVALUATE_TEXT_BYTES_MAX >> 20);
    }
    return arena_str(e->complaints->arena, str_sub(text, bytes));
}

/* Integers first, in their order, then names. */
static int evaluate_compare_entries(const void *a, const void *b)
{
    const struct evaluate_entry *x = a;
    const struct evaluate_entry *y = b;

    if (x->number != y->number) {
        if (x->number == 0 || y->number == 0) {
            return x->number == 0 ? 1 : -1;
        }
        return x->number < y->number ? -1 : 1;
    }
    return str_cmp(x->key, y->key);
}

/* The key below the value on top of the stack. False, and a complaint, when it
 * can be no name. */
static bool evaluate_key(lua_State *lua, const struct evaluate_at *at,
                         const struct value *table,
                         struct evaluate_entry *entry)
{
    struct evaluate *e = evaluate_of(lua);

    if (lua_isinteger(lua, -2)) {
        entry->number = lua_tointeger(lua, -2);
        entry->key = arena_printf(e->complaints->arena, "%lld",
                                  (long long)entry->number);
        return true;
    }
    if (lua_type(lua, -2) == LUA_TSTRING) {
        entry->key = evaluate_text(lua, -2);
        return true;
    }
    complaint_add(e->complaints, table->place,
                  at->depth == 0 ? NULL : evaluate_path(e, at),
                  "a name must be text or a whole number, not a %s",
                  luaL_typename(lua, -2));
    return false;
}

static size_t evaluate_count(lua_State *lua, int table)
{
    size_t count = 0;

    lua_pushnil(lua);
    while (lua_next(lua, table) != 0) {
        lua_pop(lua, 1);
        count++;
    }
    return count;
}

/* Puts sorted entries into the value: a list when their keys are 1 to n. */
static void evaluate_settle(struct arena *arena, struct evaluate_entry *entries,
                            size_t count, struct value *out)
{
    bool list = count > 0;

    if (count > 0) {
        qsort(entries, count, sizeof(*entries), evaluate_compare_entries);
    }
    out->table.items = arena_array(arena, count, sizeof(struct value));
    out->table.keys = arena_array(arena, count, sizeof(struct str));
    out->table.count = count;
    for (size_t i = 0; i < count; i++) {
        out->table.items[i] = entries[i].value;
        out->table.keys[i] = entries[i].key;
        list = list && entries[i].number == (int64_t)i + 1;
    }
    out->kind = list ? VALUE_LIST : VALUE_MAP;
}

/* The table on top of the stack, with all below it; its keys become sorted. */
static void evaluate_table(lua_State *lua, struct evaluate_at *at,
                           struct value *out)
{
    struct evaluate *e = evaluate_of(lua);
    struct arena *arena = e->complaints->arena;
    int table = lua_gettop(lua);
    struct evaluate_entry *entries;
    size_t room;
    size_t count = 0;

    luaL_checkstack(lua, 8, NULL);
    if (at->depth >= EVALUATE_DEPTH_MAX) {
        complaint_add(e->complaints, out->place, evaluate_path(e, at),
                      "nested deeper than %d tables", EVALUATE_DEPTH_MAX);
        out->kind = VALUE_MISSING;
        return;
    }
    room = evaluate_count(lua, table);
    if (room > EVALUATE_VALUES_MAX - e->value_count) {
        luaL_error(lua, "more than %d values", EVALUATE_VALUES_MAX);
    }
    e->value_count += room;
    entries = arena_array(arena, room, sizeof(*entries));
    lua_pushnil(lua);
    while (lua_next(lua, table) != 0) {
        must(count < room);
        if (evaluate_key(lua, at, out, &entries[count])) {
            at->names[at->depth++] = entries[count].key;
            evaluate_value(lua, at, &entries[count].value);
            at->depth--;
            count++;
        }
        lua_pop(lua, 1);
    }
    evaluate_settle(arena, entries, count, out);
}

static void evaluate_number(lua_State *lua, struct value *out)
{
    double number = lua_tonumber(lua, -1);

    out->kind = VALUE_INT;
    if (lua_isinteger(lua, -1)) {
        out->integer = lua_tointeger(lua, -1);
    } else if (number == floor(number) && fabs(number) <= 0x1p53) {
        out->integer = (int64_t)number;
    } else {
        out->kind = VALUE_NUMBER;
        out->number = number;
    }
}

static void evaluate_opaque(lua_State *lua, struct value *out)
{
    struct evaluate_opaque *opaque = luaL_testudata(lua, -1, EVALUATE_OPAQUE);

    must(opaque != NULL); /* scripts can get no other */
    out->kind = opaque->kind;
    lua_getiuservalue(lua, -1, 1);
    out->text = evaluate_text(lua, -1);
    lua_pop(lua, 1);
}

/* The value on top of the stack, which stays. */
static void evaluate_value(lua_State *lua, struct evaluate_at *at,
                           struct value *out)
{
    struct evaluate *e = evaluate_of(lua);

    *out = (struct value){.place = lines_find(&e->lines, at->names, at->depth)};
    if (out->place.file == NULL) {
        out->place.file = e->input->path;
    }
    switch (lua_type(lua, -1)) {
    case LUA_TBOOLEAN:
        out->kind = VALUE_BOOL;
        out->flag = lua_toboolean(lua, -1) != 0;
        break;
    case LUA_TNUMBER:
        evaluate_number(lua, out);
        break;
    case LUA_TSTRING:
        out->kind = VALUE_TEXT;
        out->text = evaluate_text(lua, -1);
        break;
    case LUA_TTABLE:
        evaluate_table(lua, at, out);
        break;
    case LUA_TUSERDATA:
        evaluate_opaque(lua, out);
        break;
    default:
        out->kind = VALUE_OTHER;
        out->text = STR_LIT("a function");
        break;
    }
}

void evaluate_convert(lua_State *lua)
{
    struct evaluate_at at = {.depth = 0};

    lua_getfield(lua, LUA_REGISTRYINDEX, EVALUATE_ASSIGNED);
    evaluate_value(lua, &at, evaluate_of(lua)->root);
}
