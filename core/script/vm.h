/* vm.h - one lua_State that cannot harm its host.
 *
 * Memory is counted and capped; processor time has a deadline; only source text
 * is loaded, never bytecode; what a script can reach is a list of what is known
 * to be harmless (sandbox.c), not Lua's libraries less a few. A state belongs
 * to one thread.
 *
 * Only files of script/ may include this header: it shows lua_State. */
#ifndef SCRIPT_VM_H
#define SCRIPT_VM_H

#include "base/err.h"
#include "base/str.h"
#include <lua.h>

struct vm {
    lua_State *lua;
    void *host; /* the owner's, for its C functions; vm_of(lua)->host */
    /* private from here on */
    size_t used_bytes;
    size_t limit_bytes;
    int64_t limit_ns;
    int64_t deadline_ns; /* 0: no call is running */
    bool expired;        /* the deadline has passed: nothing runs any more */
};

/* Opens a state with the sandbox's globals in it, and nothing else.
 *
 * vm: the caller's memory, must stay where it is until vm_close().
 * Errors: ERR_LIMIT (the sandbox itself does not fit in limit_bytes). */
MUST_USE enum err vm_open(struct vm *vm, size_t limit_bytes, int limit_ms,
                          struct why *why);
/* vm: zero is accepted. */
void vm_close(struct vm *vm);

/* Runs body(lua) with arg as its light userdata at index 1, protected: this is
 * the only way in. The first call sets the deadline, for all calls.
 * Errors: ERR_LIMIT (memory or time), ERR_INVALID (an error of the script; why
 *         has its message, with Lua's "FILE:LINE: " before it). */
MUST_USE enum err vm_run(struct vm *vm, lua_CFunction body, void *arg,
                         struct why *why);

/* Pushes the source as a function, or raises its syntax error; bytecode is
 * refused. chunk: Lua's name for it, "=name" or "@file". MAY_LJMP. */
void vm_load_text(lua_State *lua, struct str source, const char *chunk);

/* The vm whose state it is. */
struct vm *vm_of(lua_State *lua);
/* For C functions that can run long: raises once the deadline has passed.
 * MAY_LJMP. */
void vm_check_deadline(lua_State *lua);

#endif
