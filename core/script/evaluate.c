/* evaluate.c - a config file, run once into plain data.
 *
 *  1. vm_open(): a state with the sandbox's globals.
 *  2. evaluate_furnish(): env, secret, inline, include, and an environment
 *     whose globals go into a table of their own (evaluate_globals.c).
 *  3. evaluate_chunk(): the file's lines are noted, the file is run; include()
 *     comes back here for other files.
 *  4. evaluate_convert(): the table of globals becomes a tree of values
 *     (evaluate_convert.c).
 *
 * Chunks are named "=#N", N the number of the file: Lua shortens names, and
 * "#N:LINE: " in front of its messages is turned back into a place. All memory
 * that outlives the state is in the arena, so Lua's longjmp loses nothing. */
#include "script/evaluate.h"
#include "base/mem.h"
#include "script/evaluate_private.h"
#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>

static int evaluate_body(lua_State *lua)
{
    struct evaluate *e = evaluate_of(lua);

    evaluate_furnish(lua);
    evaluate_chunk(lua, e->input->path);
    lua_settop(lua, 0);
    return 0;
}

static int evaluate_body_convert(lua_State *lua)
{
    evaluate_convert(lua);
    return 0;
}

/* Takes "#N:LINE: " off the front of a message. */
static struct value_place evaluate_split(const struct evaluate *e,
                                         const char **text)
{
    struct value_place place = {e->input->path, 0};
    long file;
    long line;
    char *end;

    if ((*text)[0] != '#') {
        return place;
    }
    file = strtol(*text + 1, &end, 10);
    if (*end != ':' || file < 0 || file >= e->file_count) {
        return place;
    }
    line = strtol(end + 1, &end, 10);
    if (end[0] != ':' || end[1] != ' ') {
        return place;
    }
    *text = end + 2;
    return (struct value_place){e->files[file].path, (int)line};
}

struct value_place evaluate_place(lua_State *lua, int level)
{
    const struct evaluate *e = evaluate_of(lua);
    struct value_place place = {e->input->path, 0};
    lua_Debug at;

    for (; lua_getstack(lua, level, &at); level++) {
        lua_getinfo(lua, "Sl", &at);
        if (at.currentline > 0) {
            place.file = e->files[strtol(at.short_src + 1, NULL, 10)].path;
            place.line = at.currentline;
            break;
        }
    }
    return place;
}

/* A file's text into the arena; raises where it cannot be read. The first file
 * has no line that could be blamed. */
static struct str evaluate_read(lua_State *lua, const char *path)
{
    struct evaluate *e = evaluate_of(lua);
    struct arena *arena = e->complaints->arena;
    const char *name = ""; /* the first file's is said anyhow */
    struct why why = {{0}};
    struct str source;
    char *bytes;
    size_t count;
    enum err err = disk_read_all(e->input->disk, path, EVALUATE_FILE_BYTES_MAX,
                                 &bytes, &count, &why);

    if (e->file_count > 0) {
        name = lua_pushfstring(lua, "%s: ", path);
    }
    if (err == ERR_NOT_FOUND) {
        luaL_error(lua, "%sno such file", name);
    }
    if (err == ERR_TOO_LARGE) {
        luaL_error(lua, "%slarger than %d KiB", name,
                   EVALUATE_FILE_BYTES_MAX >> 10);
    }
    if (err) {
        luaL_error(lua, "%s", why.text);
    }
    source = str_sub(arena_raw(arena, count + 1), count);
    memcpy((char *)(uintptr_t)source.ptr, bytes, count);
    mem_free(bytes);
    return source;
}

void evaluate_chunk(lua_State *lua, const char *path)
{
    struct evaluate *e = evaluate_of(lua);
    int number = e->file_count;
    struct str source = evaluate_read(lua, path);
    char chunk[16];

    if (number >= EVALUATE_FILES_MAX) {
        luaL_error(lua, "more than %d files", EVALUATE_FILES_MAX);
    }
    e->files[number].path = arena_str(e->complaints->arena, str_of(path)).ptr;
    e->files[number].running = true;
    e->file_count++;
    if (source.len >= 3 && memcmp(source.ptr, "\xef\xbb\xbf", 3) == 0) {
        source = str_sub(source.ptr + 3, source.len - 3);
    }
    lines_scan(&e->lines, source, e->files[number].path);
    snprintf(chunk, sizeof(chunk), "=#%d", number);
    vm_load_text(lua, source, chunk);
    lua_rawgeti(lua, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
    lua_setupvalue(lua, -2, 1);
    lua_call(lua, 0, 1);
    e->files[number].running = false;
}

enum err evaluate_file(const struct evaluate_input *input,
                       struct complaints *complaints, struct value *root)
{
    struct evaluate *e = MEM_NEW(struct evaluate);
    struct why why = {{0}};
    enum err err;

    e->input = input;
    e->complaints = complaints;
    e->root = root;
    *root = (struct value){.kind = VALUE_MAP};
    lines_init(&e->lines, complaints->arena);
    err = vm_open(&e->vm, EVALUATE_MEMORY_BYTES, EVALUATE_MS, &why);
    if (!err) {
        e->vm.host = e;
        err = vm_run(&e->vm, evaluate_body, NULL, &why);
    }
    if (!err) {
        err = vm_run(&e->vm, evaluate_body_convert, NULL, &why);
    }
    if (err) {
        const char *text = why.text;
        struct value_place place = evaluate_split(e, &text);

        complaint_add(complaints, place, NULL, "%s", text);
        *root = (struct value){.kind = VALUE_MAP};
        err = ERR_INVALID;
    }
    vm_close(&e->vm);
    lines_fini(&e->lines);
    mem_free(e);
    return err;
}
