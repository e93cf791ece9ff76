/* sandbox.c - what a script can reach: a list of what is known to be harmless.
 *
 * Absent, and why:
 *   load loadfile dofile require package io os debug   reach the machine
 *   string.dump, bytecode                 unverified code crashes the host
 *   collectgarbage                        stops the collector
 *   setmetatable getmetatable rawset rawget rawequal rawlen
 *                                         __gc and __close run with hooks off;
 *                                         __len lets table.insert loop in C
 *   xpcall coroutine                      hooks do not reach inside
 *   string.pack string.unpack             a history of overflows; not needed
 *   table.move table.pack utf8            table.move loops in C for 2^63 steps
 *   math.random math.randomseed           the result must not vary
 *   print warn                            a script has no output
 * In place of the library's: string.find match gmatch gsub (pattern.c), which
 * look at the deadline, and string.rep, which loops 2^63 times on an empty
 * text. What is left is bounded by the memory cap. */
#include "script/sandbox.h"
#include "base/base.h"
#include "script/pattern.h"
#include <lauxlib.h>
#include <lualib.h>
#include <string.h>

static const char *const sandbox_base[] = {
    "assert", "error",  "ipairs",   "next",     "pairs",
    "pcall",  "select", "tonumber", "tostring", "type",
};

static const char *const sandbox_string[] = {
    "byte", "char", "format", "len", "lower", "reverse", "sub", "upper",
};

static const char *const sandbox_table[] = {
    "concat", "insert", "remove", "sort", "unpack",
};

static const char *const sandbox_math[] = {
    "abs", "acos",       "asin", "atan", "ceil", "cos", "deg",
    "exp", "floor",      "fmod", "huge", "log",  "max", "maxinteger",
    "min", "mininteger", "modf", "pi",   "rad",  "sin", "sqrt",
    "tan", "tointeger",  "type", "ult",
};

/* string.rep(s, n [, sep]), bounded by the memory cap. */
static int sandbox_rep(lua_State *lua)
{
    size_t bytes;
    size_t between;
    const char *s = luaL_checklstring(lua, 1, &bytes);
    lua_Integer count = luaL_checkinteger(lua, 2);
    const char *separator = luaL_optlstring(lua, 3, "", &between);
    luaL_Buffer out;
    char *at;
    size_t total;

    if (count <= 0 || bytes + between == 0) {
        lua_pushliteral(lua, "");
        return 1;
    }
    if ((lua_Unsigned)count > (SIZE_MAX / 2) / (bytes + between)) {
        return luaL_error(lua, "resulting text is too large");
    }
    total = (size_t)count * (bytes + between) - between;
    at = luaL_buffinitsize(lua, &out, total);
    for (lua_Integer i = 0; i < count; i++) {
        if (i > 0) {
            memcpy(at, separator, between);
            at += between;
        }
        memcpy(at, s, bytes);
        at += bytes;
    }
    luaL_pushresultsize(&out, total);
    return 1;
}

/* Opens a library and copies the named of its functions into the table below
 * it on the stack. */
static void sandbox_copy(lua_State *lua, lua_CFunction open,
                         const char *const *names, size_t count)
{
    int into = lua_gettop(lua);

    lua_pushcfunction(lua, open);
    lua_call(lua, 0, 1);
    for (size_t i = 0; i < count; i++) {
        lua_getfield(lua, -1, names[i]);
        lua_setfield(lua, into, names[i]);
    }
    lua_pop(lua, 1);
}

void sandbox_open(lua_State *lua)
{
    static const luaL_Reg own[] = {
        {"find", pattern_find},     {"match", pattern_match},
        {"gmatch", pattern_gmatch}, {"gsub", pattern_gsub},
        {"rep", sandbox_rep},       {NULL, NULL},
    };

    lua_newtable(lua);
    sandbox_copy(lua, luaopen_base, sandbox_base, ARRAY_COUNT(sandbox_base));

    lua_newtable(lua);
    sandbox_copy(lua, luaopen_string, sandbox_string,
                 ARRAY_COUNT(sandbox_string));
    luaL_setfuncs(lua, own, 0);
    /* ("x"):rep(2) goes through the metatable that luaopen_string() made. */
    lua_pushliteral(lua, "");
    lua_getmetatable(lua, -1);
    lua_pushvalue(lua, -3);
    lua_setfield(lua, -2, "__index");
    lua_pushboolean(lua, 0);
    lua_setfield(lua, -2, "__metatable");
    lua_pop(lua, 2);
    lua_setfield(lua, -2, "string");

    lua_newtable(lua);
    sandbox_copy(lua, luaopen_table, sandbox_table, ARRAY_COUNT(sandbox_table));
    lua_setfield(lua, -2, "table");
    lua_newtable(lua);
    sandbox_copy(lua, luaopen_math, sandbox_math, ARRAY_COUNT(sandbox_math));
    lua_setfield(lua, -2, "math");

    lua_rawseti(lua, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
}
