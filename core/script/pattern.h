/* pattern.h - Lua's patterns with an end: string.find and its kin, which look
 * at the deadline while they search. Only for files of script/.
 *
 * Same language and results as Lua 5.4's own; a pattern may recurse 200 deep.
 * Source: Lua 5.4 manual, 6.4.1. */
#ifndef SCRIPT_PATTERN_H
#define SCRIPT_PATTERN_H

#include <lua.h>

/* string.find(s, pattern [, init [, plain]]) */
int pattern_find(lua_State *lua);
/* string.match(s, pattern [, init]) */
int pattern_match(lua_State *lua);
/* string.gmatch(s, pattern [, init]) */
int pattern_gmatch(lua_State *lua);
/* string.gsub(s, pattern, replacement [, n]) */
int pattern_gsub(lua_State *lua);

#endif
