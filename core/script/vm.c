/* vm.c - one lua_State that cannot harm its host.
 *
 * Memory: every byte comes through vm_allocate(), which refuses above the cap;
 * Lua turns that into an error that unwinds to vm_run().
 *
 * Time: a count hook looks at the thread's processor time every so many
 * instructions, so a busy machine does not make a good script fail. Once the
 * deadline has passed the hook stays armed at every instruction: a pcall() in
 * the script cannot swallow the error and go on. C functions are not
 * interrupted by hooks; those that could run long are absent or ask
 * vm_check_deadline() themselves (sandbox.c, pattern.c). */
#include "script/vm.h"
#include "base/mem.h"
#include "base/must.h"
#include "script/sandbox.h"
#include <lauxlib.h>
#include <time.h>

enum { VM_HOOK_INSTRUCTIONS = 1000 };

/* How a script is called, apart from what it may say. */
struct vm_body {
    lua_CFunction run;
    void *arg;
};

static int64_t vm_cpu_ns(void)
{
    struct timespec now;

    must(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now) == 0);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static void *vm_allocate(void *ud, void *ptr, size_t old_bytes, size_t bytes)
{
    struct vm *vm = ud;
    size_t held = ptr == NULL ? 0 : old_bytes;

    if (bytes > held && bytes - held > vm->limit_bytes - vm->used_bytes) {
        return NULL;
    }
    vm->used_bytes = vm->used_bytes - held + bytes;
    if (bytes == 0) {
        mem_free(ptr);
        return NULL;
    }
    return mem_realloc(ptr, bytes);
}

struct vm *vm_of(lua_State *lua)
{
    return *(struct vm **)lua_getextraspace(lua);
}

/* Lua's hook: raises while the time is over, at every instruction. */
static void vm_hook(lua_State *lua, lua_Debug *unused)
{
    (void)unused;
    vm_check_deadline(lua);
}

/* Pushes "CHUNK:LINE: " of the innermost Lua function from level on, or "". */
static void vm_push_where(lua_State *lua, int level)
{
    lua_Debug at;

    for (; lua_getstack(lua, level, &at); level++) {
        lua_getinfo(lua, "Sl", &at);
        if (at.currentline > 0) {
            lua_pushfstring(lua, "%s:%d: ", at.short_src, at.currentline);
            return;
        }
    }
    lua_pushliteral(lua, "");
}

void vm_check_deadline(lua_State *lua)
{
    struct vm *vm = vm_of(lua);

    if (vm->deadline_ns != 0 && !vm->expired && vm_cpu_ns() > vm->deadline_ns) {
        vm->expired = true;
        lua_sethook(lua, vm_hook, LUA_MASKCOUNT, 1);
    }
    if (vm->expired) {
        vm_push_where(lua, 0);
        lua_pushfstring(lua, "took more than %d ms",
                        (int)(vm->limit_ns / 1000000));
        lua_concat(lua, 2);
        lua_error(lua);
    }
}

/* Lua's message handler: an error that is no text gets a text and a place. */
static int vm_explain(lua_State *lua)
{
    if (lua_type(lua, 1) != LUA_TSTRING) {
        vm_push_where(lua, 1);
        lua_pushliteral(lua, "an error that is no text");
        lua_concat(lua, 2);
    }
    return 1;
}

static int vm_enter(lua_State *lua)
{
    struct vm_body body = *(struct vm_body *)lua_touserdata(lua, 1);

    lua_settop(lua, 0);
    lua_pushlightuserdata(lua, body.arg);
    return body.run(lua);
}

/* Makes the globals; protected, because the cap may be too small for them. */
static int vm_furnish(lua_State *lua)
{
    sandbox_open(lua);
    return 0;
}

enum err vm_open(struct vm *vm, size_t limit_bytes, int limit_ms,
                 struct why *why)
{
    enum err err;

    *vm = (struct vm){.limit_bytes = limit_bytes,
                      .limit_ns = limit_ms * INT64_C(1000000)};
    vm->lua = lua_newstate(vm_allocate, vm);
    if (vm->lua == NULL) {
        return why_set(why, ERR_LIMIT, "no memory for a Lua state");
    }
    *(struct vm **)lua_getextraspace(vm->lua) = vm;
    err = vm_run(vm, vm_furnish, NULL, why);
    vm->deadline_ns = 0;
    if (err) {
        vm_close(vm);
    }
    return err;
}

void vm_close(struct vm *vm)
{
    if (vm->lua != NULL) {
        lua_close(vm->lua);
    }
    *vm = (struct vm){0};
}

/* What Lua says about a call that failed, in our words. */
static enum err vm_failed(struct vm *vm, int status, struct why *why)
{
    const char *text = "an error that is no text";

    if (vm->expired) {
        /* Where it was is in Lua's message; what it was is ours to know. */
        text = lua_type(vm->lua, -1) == LUA_TSTRING ? lua_tostring(vm->lua, -1)
                                                    : "took too long";
        return why_set(why, ERR_LIMIT, "%s", text);
    }
    if (status == LUA_ERRMEM) {
        return why_set(why, ERR_LIMIT, "needs more than %zu MiB of memory",
                       vm->limit_bytes >> 20);
    }
    if (lua_type(vm->lua, -1) == LUA_TSTRING) {
        text = lua_tostring(vm->lua, -1);
    }
    return why_set(why, ERR_INVALID, "%s", text);
}

enum err vm_run(struct vm *vm, lua_CFunction body, void *arg, struct why *why)
{
    struct vm_body call = {body, arg};
    enum err err = ERR_NONE;
    int status;

    must(lua_gettop(vm->lua) == 0);
    if (vm->deadline_ns == 0) {
        vm->deadline_ns = vm_cpu_ns() + vm->limit_ns;
        lua_sethook(vm->lua, vm_hook, LUA_MASKCOUNT, VM_HOOK_INSTRUCTIONS);
    }
    /* Light functions and light userdata: pushing them allocates nothing, so
     * nothing can be raised outside the protected call. */
    lua_pushcfunction(vm->lua, vm_explain);
    lua_pushcfunction(vm->lua, vm_enter);
    lua_pushlightuserdata(vm->lua, &call);
    status = lua_pcall(vm->lua, 1, 0, 1);
    if (status != LUA_OK || vm->expired) {
        err = vm_failed(vm, status, why);
    }
    lua_settop(vm->lua, 0);
    return err;
}

void vm_load_text(lua_State *lua, struct str source, const char *chunk)
{
    if (source.len > 0 && source.ptr[0] == LUA_SIGNATURE[0]) {
        luaL_error(lua, "is compiled Lua; only source text is accepted");
    }
    if (luaL_loadbufferx(lua, source.ptr, source.len, chunk, "t") != LUA_OK) {
        lua_error(lua);
    }
}
