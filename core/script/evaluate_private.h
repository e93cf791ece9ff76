/* evaluate_private.h - what the parts of evaluate_*.c share. */
#ifndef SCRIPT_EVALUATE_PRIVATE_H
#define SCRIPT_EVALUATE_PRIVATE_H

#include "script/evaluate.h"
#include "script/lines.h"
#include "script/vm.h"

/* A file that is being run, or was. */
struct evaluate_file {
    const char *path;
    bool running;
};

/* A run, from its begin to the values. */
struct evaluate {
    const struct evaluate_input *input; /* borrowed, as are complaints, root */
    struct complaints *complaints;
    struct lines lines;
    struct vm vm;
    struct evaluate_file files[EVALUATE_FILES_MAX];
    int file_count;
    struct value *root;
    size_t value_count; /* so far; EVALUATE_VALUES_MAX at most */
    size_t text_bytes;  /* EVALUATE_TEXT_BYTES_MAX at most */
};

/* An opaque value in Lua: a full userdata with this metatable name. */
#define EVALUATE_OPAQUE "tidemark.opaque"

struct evaluate_opaque {
    enum value_kind kind; /* SECRET, INLINE or MISSING; text: user value 1 */
};

/* Registry key of the table that holds the globals that a file assigned. */
#define EVALUATE_ASSIGNED "tidemark.assigned"

/* Makes env, secret, inline, include and the table of globals. MAY_LJMP. */
void evaluate_furnish(lua_State *lua);
/* Reads, scans and runs a file in the environment; leaves what it returned on
 * the stack. MAY_LJMP. */
void evaluate_chunk(lua_State *lua, const char *path);
/* Turns the globals that were assigned into e->root. MAY_LJMP. */
void evaluate_convert(lua_State *lua);

/* Where the calling Lua function is; level as in lua_getstack(). */
struct value_place evaluate_place(lua_State *lua, int level);

/* Whose state it is. */
static inline struct evaluate *evaluate_of(lua_State *lua)
{
    return vm_of(lua)->host;
}

#endif
