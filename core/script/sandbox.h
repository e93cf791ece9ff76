/* sandbox.h - what a script can reach. Only for files of script/. */
#ifndef SCRIPT_SANDBOX_H
#define SCRIPT_SANDBOX_H

#include <lua.h>

/* Makes the globals of a new state. MAY_LJMP. */
void sandbox_open(lua_State *lua);

#endif
