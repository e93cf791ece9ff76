/* evaluate_globals.c - what a config file can say: its environment.
 *
 * The environment is an empty table with a metatable that nobody can take away:
 *
 * writing NAME   into the table of what was assigned, which becomes the
 *                result; a name of the language is refused
 * reading NAME   what was assigned, else a function of the language, else nil
 *                where the name has a meaning, else an error with the name that
 *                was probably meant: a typo stops instead of being nil
 *
 * What stands for itself only (a secret, Lua source, a missing env) is an
 * opaque userdata: it prints as "***" and joined with text stays what it is.
 *
 * Bounds: EVALUATE_FILES_MAX files, 16 includes inside each other, none of
 * itself. MAY_LJMP: all of this runs under vm_run(); nothing here owns more
 * than arena memory when it raises. */
#include "script/evaluate_private.h"
#include <lauxlib.h>
#include <stdlib.h>

enum { EVALUATE_NAMES_MAX = 64 };

/* Pushes an opaque value; the text on top of the stack goes into it. */
static void evaluate_push_opaque(lua_State *lua, enum value_kind kind)
{
    struct evaluate_opaque *opaque = lua_newuserdatauv(lua, sizeof(*opaque), 1);

    opaque->kind = kind;
    luaL_setmetatable(lua, EVALUATE_OPAQUE);
    lua_insert(lua, -2);
    lua_setiuservalue(lua, -2, 1);
}

/* Joining with an opaque value gives that value: what is missing or secret
 * stays so. */
static int evaluate_concat(lua_State *lua)
{
    int which = luaL_testudata(lua, 1, EVALUATE_OPAQUE) != NULL ? 1 : 2;

    lua_pushvalue(lua, which);
    return 1;
}

static int evaluate_tostring(lua_State *lua)
{
    lua_pushliteral(lua, "***");
    return 1;
}

/* env(name [, default]). What is not set goes on as a value that is missing:
 * all of them are told at once. */
static int evaluate_env(lua_State *lua)
{
    struct evaluate *e = evaluate_of(lua);
    const char *name = luaL_checkstring(lua, 1);
    const char *value = e->input->env == NULL ? NULL : e->input->env(name);

    if (value != NULL) {
        lua_pushstring(lua, value);
        return 1;
    }
    if (!lua_isnoneornil(lua, 2)) {
        lua_settop(lua, 2);
        return 1;
    }
    complaint_add(e->complaints, evaluate_place(lua, 1), NULL,
                  "env \"%s\" is not set and has no default", name);
    lua_pushliteral(lua, "");
    evaluate_push_opaque(lua, VALUE_MISSING);
    return 1;
}

static int evaluate_secret(lua_State *lua)
{
    const char *where = luaL_checkstring(lua, 1);

    if (strncmp(where, "env:", 4) != 0 && strncmp(where, "file:", 5) != 0) {
        return luaL_error(lua, "secret() wants \"env:NAME\" or "
                               "\"file:/path\", so that no secret stands in "
                               "this file");
    }
    lua_settop(lua, 1);
    evaluate_push_opaque(lua, VALUE_SECRET);
    return 1;
}

static int evaluate_inline(lua_State *lua)
{
    luaL_checkstring(lua, 1);
    lua_settop(lua, 1);
    evaluate_push_opaque(lua, VALUE_INLINE);
    return 1;
}

/* Whether name is what pattern means, where '*' is any text and '?' any
 * character. One place to come back to is enough: a later '*' can take over
 * all that an earlier one could. */
static bool evaluate_glob(const char *pattern, const char *name)
{
    const char *star = NULL;
    const char *again = NULL;

    while (*name != '\0') {
        if (*pattern == '*') {
            star = pattern++;
            again = name;
        } else if (*pattern == '?' || *pattern == *name) {
            pattern++;
            name++;
        } else if (star != NULL) {
            pattern = star + 1;
            name = ++again;
        } else {
            return false;
        }
    }
    while (*pattern == '*') {
        pattern++;
    }
    return *pattern == '\0';
}

/* The files of a folder that a pattern means. */
struct evaluate_matches {
    struct arena *arena;
    const char *pattern; /* of the name alone */
    const char *names[EVALUATE_FILES_MAX];
    size_t count;
    bool too_many;
};

static void evaluate_match(void *arg, const char *name, bool is_folder)
{
    struct evaluate_matches *matches = arg;

    if (is_folder || !evaluate_glob(matches->pattern, name) ||
        (name[0] == '.' && matches->pattern[0] != '.')) {
        return;
    }
    if (matches->count == EVALUATE_FILES_MAX) {
        matches->too_many = true;
        return;
    }
    matches->names[matches->count++] =
        arena_str(matches->arena, str_of(name)).ptr;
}

static int evaluate_compare(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The folder of the file that calls, with its '/', or "". */
static struct str evaluate_folder(lua_State *lua)
{
    const char *file = evaluate_place(lua, 1).file;
    const char *slash = strrchr(file, '/');

    return str_sub(file, slash == NULL ? 0 : (size_t)(slash - file) + 1);
}

/* Runs a file, that does not run already and is not too deep; leaves what it
 * returned. */
static void evaluate_include_one(lua_State *lua, const char *path)
{
    struct evaluate *e = evaluate_of(lua);
    int running = 0;

    for (int i = 0; i < e->file_count; i++) {
        if (e->files[i].running) {
            running++;
            if (strcmp(e->files[i].path, path) == 0) {
                luaL_error(lua, "%s includes itself", path);
            }
        }
    }
    if (running > 16) {
        luaL_error(lua, "%s: includes are nested too deeply", path);
    }
    luaL_checkstack(lua, 8, NULL);
    evaluate_chunk(lua, path);
}

/* Includes all files of a pattern with '*' or '?' in its last name; none is
 * fine. Gives nothing. */
static int evaluate_include_all(lua_State *lua, struct str folder,
                                const char *pattern)
{
    struct evaluate *e = evaluate_of(lua);
    struct arena *arena = e->complaints->arena;
    struct evaluate_matches *matches =
        ARENA_NEW(arena, struct evaluate_matches);
    const char *slash = strrchr(pattern, '/');
    struct str below =
        str_sub(pattern, slash == NULL ? 0 : (size_t)(slash - pattern) + 1);
    struct str all =
        arena_printf(arena, "%.*s%.*s", STR_ARG(folder), STR_ARG(below));
    const char *where = all.len == 0 ? "." : all.ptr;
    struct why why = {{0}};
    enum err err;

    matches->arena = arena;
    matches->pattern = pattern + below.len;
    if (strpbrk(below.ptr, "*?") != NULL &&
        strpbrk(below.ptr, "*?") < below.ptr + below.len) {
        return luaL_error(lua,
                          "include(): only the last name of \"%s\" may "
                          "hold * or ?",
                          pattern);
    }
    err = disk_list(e->input->disk, where, evaluate_match, matches, &why);
    if (err && err != ERR_NOT_FOUND) {
        return luaL_error(lua, "%s", why.text);
    }
    if (matches->too_many) {
        return luaL_error(lua, "more than %d files", EVALUATE_FILES_MAX);
    }
    if (matches->count > 0) {
        qsort(matches->names, matches->count, sizeof(matches->names[0]),
              evaluate_compare);
    }
    for (size_t i = 0; i < matches->count; i++) {
        evaluate_include_one(
            lua,
            arena_printf(arena, "%.*s%s", STR_ARG(all), matches->names[i]).ptr);
        lua_settop(lua, 1);
    }
    return 0;
}

static int evaluate_include(lua_State *lua)
{
    struct arena *arena = evaluate_of(lua)->complaints->arena;
    const char *pattern = luaL_checkstring(lua, 1);
    struct str folder = pattern[0] == '/' ? STR_LIT("") : evaluate_folder(lua);

    lua_settop(lua, 1);
    if (strpbrk(pattern, "*?") != NULL) {
        return evaluate_include_all(lua, folder, pattern);
    }
    evaluate_include_one(
        lua, arena_printf(arena, "%.*s%s", STR_ARG(folder), pattern).ptr);
    return 1;
}

/* Raises for a name that nobody has, with the nearest that somebody has. */
static int evaluate_unknown(lua_State *lua, const char *name)
{
    static const char *const own[] = {"env",    "secret", "inline", "include",
                                      "string", "table",  "math"};
    struct evaluate *e = evaluate_of(lua);
    const char *names[EVALUATE_NAMES_MAX];
    size_t count = 0;
    const char *nearest;

    for (size_t i = 0; i < ARRAY_COUNT(own); i++) {
        names[count++] = own[i];
    }
    for (size_t i = 0; i < e->input->name_count; i++) {
        if (count < EVALUATE_NAMES_MAX) {
            names[count++] = e->input->names[i];
        }
    }
    nearest = complaint_nearest(str_of(name), names, count);
    if (nearest != NULL) {
        return luaL_error(lua, "unknown name \"%s\"; did you mean \"%s\"?",
                          name, nearest);
    }
    return luaL_error(lua, "unknown name \"%s\"", name);
}

/* Upvalues: what was assigned, the functions. */
static int evaluate_index(lua_State *lua)
{
    struct evaluate *e = evaluate_of(lua);

    for (int i = 1; i <= 2; i++) {
        lua_pushvalue(lua, 2);
        if (lua_rawget(lua, lua_upvalueindex(i)) != LUA_TNIL) {
            return 1;
        }
        lua_pop(lua, 1);
    }
    if (lua_type(lua, 2) != LUA_TSTRING) {
        return 0;
    }
    for (size_t i = 0; i < e->input->name_count; i++) {
        if (strcmp(e->input->names[i], lua_tostring(lua, 2)) == 0) {
            return 0; /* has a meaning and was not assigned */
        }
    }
    return evaluate_unknown(lua, lua_tostring(lua, 2));
}

static int evaluate_newindex(lua_State *lua)
{
    lua_pushvalue(lua, 2);
    if (lua_rawget(lua, lua_upvalueindex(2)) != LUA_TNIL) {
        return luaL_error(lua,
                          "\"%s\" is a name of the language; give yours "
                          "another one",
                          luaL_tolstring(lua, 2, NULL));
    }
    lua_pop(lua, 1);
    lua_rawset(lua, lua_upvalueindex(1));
    return 0;
}

void evaluate_furnish(lua_State *lua)
{
    static const luaL_Reg functions[] = {
        {"env", evaluate_env},
        {"secret", evaluate_secret},
        {"inline", evaluate_inline},
        {"include", evaluate_include},
        {NULL, NULL},
    };
    static const luaL_Reg opaque[] = {
        {"__concat", evaluate_concat},
        {"__tostring", evaluate_tostring},
        {NULL, NULL},
    };
    static const luaL_Reg environment[] = {
        {"__index", evaluate_index},
        {"__newindex", evaluate_newindex},
        {NULL, NULL},
    };

    luaL_newmetatable(lua, EVALUATE_OPAQUE);
    luaL_setfuncs(lua, opaque, 0);
    lua_pushboolean(lua, 0);
    lua_setfield(lua, -2, "__metatable");
    lua_pop(lua, 1);

    lua_rawgeti(lua, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
    luaL_setfuncs(lua, functions, 0);

    lua_newtable(lua); /* the environment */
    lua_newtable(lua); /* its metatable */
    lua_newtable(lua); /* what is assigned */
    lua_pushvalue(lua, -1);
    lua_setfield(lua, LUA_REGISTRYINDEX, EVALUATE_ASSIGNED);
    lua_pushvalue(lua, -4); /* the functions */
    luaL_setfuncs(lua, environment, 2);
    lua_pushboolean(lua, 0);
    lua_setfield(lua, -2, "__metatable");
    lua_setmetatable(lua, -2);
    lua_rawseti(lua, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
    lua_pop(lua, 1);
}
