/* pattern.c - Lua's patterns with an end.
 *
 * A backtracking matcher: pattern_at() tries what is left of the pattern at one
 * place of the text and gives where the match ends, or NULL. Backtracking can
 * take time exponential in the pattern, and a hook does not reach into C, so
 * every PATTERN_STEPS steps it asks whether the deadline has passed. Recursion
 * happens for captures and for what follows a repeated item, PATTERN_DEPTH deep
 * at most. */
#include "script/pattern.h"
#include "base/base.h"
#include "script/vm.h"
#include <ctype.h>
#include <lauxlib.h>
#include <string.h>

enum { PATTERN_CAPTURES = 32, PATTERN_DEPTH = 200, PATTERN_STEPS = 1024 };
enum { CAPTURE_OPEN = -1, CAPTURE_POSITION = -2 };

struct pattern_capture {
    const char *start;
    ptrdiff_t bytes; /* or CAPTURE_OPEN, CAPTURE_POSITION */
};

struct pattern {
    lua_State *lua;
    const char *text;
    const char *text_end;
    const char *end; /* of the pattern itself */
    int depth;
    unsigned steps;
    int count;
    struct pattern_capture captures[PATTERN_CAPTURES];
};

static const char *pattern_at(struct pattern *m, const char *s, const char *p);

static void pattern_step(struct pattern *m)
{
    if (++m->steps % PATTERN_STEPS == 0) {
        vm_check_deadline(m->lua);
    }
}

/* Behind the single item (a character, %x, [set]) that begins at p. */
static const char *pattern_item_end(struct pattern *m, const char *p)
{
    if (*p == '%') {
        if (p + 1 == m->end) {
            luaL_error(m->lua, "malformed pattern (ends with '%%')");
        }
        return p + 2;
    }
    if (*p != '[') {
        return p + 1;
    }
    p += p + 1 < m->end && p[1] == '^' ? 2 : 1;
    /* The first character of a set is itself, even if it is ']'. */
    for (bool first = true;; first = false) {
        if (p >= m->end) {
            luaL_error(m->lua, "malformed pattern (missing ']')");
        }
        if (*p == ']' && !first) {
            return p + 1;
        }
        p += *p == '%' && p + 1 < m->end ? 2 : 1;
    }
}

/* Whether character c is of class %k. An upper-case k means all others. */
static bool pattern_is_class(int c, int k)
{
    bool is;

    switch (tolower(k)) {
    case 'a':
        is = isalpha(c) != 0;
        break;
    case 'c':
        is = iscntrl(c) != 0;
        break;
    case 'd':
        is = isdigit(c) != 0;
        break;
    case 'g':
        is = isgraph(c) != 0;
        break;
    case 'l':
        is = islower(c) != 0;
        break;
    case 'p':
        is = ispunct(c) != 0;
        break;
    case 's':
        is = isspace(c) != 0;
        break;
    case 'u':
        is = isupper(c) != 0;
        break;
    case 'w':
        is = isalnum(c) != 0;
        break;
    case 'x':
        is = isxdigit(c) != 0;
        break;
    default:
        return k == c;
    }
    return isupper(k) ? !is : is;
}

/* Whether c is in the set [...] that begins at p; last: its ']'. */
static bool pattern_is_in_set(int c, const char *p, const char *last)
{
    bool inside = true;

    p++;
    if (*p == '^') {
        inside = false;
        p++;
    }
    while (p < last) {
        int low = (unsigned char)*p;

        if (low == '%') {
            if (pattern_is_class(c, (unsigned char)p[1])) {
                return inside;
            }
            p += 2;
        } else if (p + 2 < last && p[1] == '-') {
            if (low <= c && c <= (unsigned char)p[2]) {
                return inside;
            }
            p += 3;
        } else {
            if (low == c) {
                return inside;
            }
            p++;
        }
    }
    return !inside;
}

/* Whether the one character at s matches the item from p to item_end. */
static bool pattern_is_item(struct pattern *m, const char *s, const char *p,
                            const char *item_end)
{
    int c;

    pattern_step(m);
    if (s >= m->text_end) {
        return false;
    }
    c = (unsigned char)*s;
    switch (*p) {
    case '.':
        return true;
    case '%':
        return pattern_is_class(c, (unsigned char)p[1]);
    case '[':
        return pattern_is_in_set(c, p, item_end - 1);
    default:
        return (unsigned char)*p == c;
    }
}

/* As many as there are, then fewer, until the rest matches. */
static const char *pattern_longest(struct pattern *m, const char *s,
                                   const char *p, const char *item_end,
                                   ptrdiff_t at_least)
{
    ptrdiff_t count = 0;

    while (pattern_is_item(m, s + count, p, item_end)) {
        count++;
    }
    for (; count >= at_least; count--) {
        const char *end = pattern_at(m, s + count, item_end + 1);

        if (end != NULL) {
            return end;
        }
    }
    return NULL;
}

/* As few as will do. */
static const char *pattern_shortest(struct pattern *m, const char *s,
                                    const char *p, const char *item_end)
{
    for (;; s++) {
        const char *end = pattern_at(m, s, item_end + 1);

        if (end != NULL || !pattern_is_item(m, s, p, item_end)) {
            return end;
        }
    }
}

static const char *pattern_open(struct pattern *m, const char *s, const char *p,
                                ptrdiff_t kind)
{
    const char *end;

    if (m->count >= PATTERN_CAPTURES) {
        luaL_error(m->lua, "too many captures");
    }
    m->captures[m->count++] = (struct pattern_capture){s, kind};
    end = pattern_at(m, s, p);
    if (end == NULL) {
        m->count--;
    }
    return end;
}

/* The end of the capture that was opened last. */
static const char *pattern_close(struct pattern *m, const char *s,
                                 const char *p)
{
    const char *end;
    int i = m->count - 1;

    while (i >= 0 && m->captures[i].bytes != CAPTURE_OPEN) {
        i--;
    }
    if (i < 0) {
        luaL_error(m->lua, "invalid pattern capture");
    }
    m->captures[i].bytes = s - m->captures[i].start;
    end = pattern_at(m, s, p);
    if (end == NULL) {
        m->captures[i].bytes = CAPTURE_OPEN;
    }
    return end;
}

/* %bxy: behind the balanced text that begins at s, or NULL. */
static const char *pattern_balanced(struct pattern *m, const char *s,
                                    const char *p)
{
    int depth = 1;

    if (m->end - p < 2) {
        luaL_error(m->lua, "malformed pattern (missing arguments to '%%b')");
    }
    if (s >= m->text_end || *s != p[0]) {
        return NULL;
    }
    for (s++; s < m->text_end; s++) {
        pattern_step(m);
        if (*s == p[1]) {
            if (--depth == 0) {
                return s + 1;
            }
        } else if (*s == p[0]) {
            depth++;
        }
    }
    return NULL;
}

/* %f[set]: whether a stretch of the set begins at s. */
static bool pattern_is_frontier(struct pattern *m, const char *s, const char *p,
                                const char *item_end)
{
    int before = s == m->text ? 0 : (unsigned char)s[-1];
    int here = s == m->text_end ? 0 : (unsigned char)*s;

    return !pattern_is_in_set(before, p, item_end - 1) &&
           pattern_is_in_set(here, p, item_end - 1);
}

/* %1 to %9: behind another copy of what was captured, or NULL. */
static const char *pattern_again(struct pattern *m, const char *s, int digit)
{
    int i = digit - '1';
    size_t bytes;

    if (i < 0 || i >= m->count || m->captures[i].bytes == CAPTURE_OPEN) {
        luaL_error(m->lua, "invalid capture index %%%d", i + 1);
        return NULL; /* it has raised */
    }
    if (m->captures[i].bytes < 0) {
        return NULL;
    }
    bytes = (size_t)m->captures[i].bytes;
    if ((size_t)(m->text_end - s) < bytes ||
        memcmp(m->captures[i].start, s, bytes) != 0) {
        return NULL;
    }
    return s + bytes;
}

/* An item with its suffix: ? * + - or none. *s and *p move on past what needs
 * no recursion; true: the caller goes on there, false: *s is the answer. */
static bool pattern_repeat(struct pattern *m, const char **s, const char **p)
{
    const char *item_end = pattern_item_end(m, *p);
    char suffix = item_end < m->end ? *item_end : '\0';
    const char *end;

    switch (suffix) {
    case '*':
        *s = pattern_longest(m, *s, *p, item_end, 0);
        return false;
    case '+':
        *s = pattern_longest(m, *s, *p, item_end, 1);
        return false;
    case '-':
        *s = pattern_shortest(m, *s, *p, item_end);
        return false;
    case '?':
        if (pattern_is_item(m, *s, *p, item_end)) {
            end = pattern_at(m, *s + 1, item_end + 1);
            if (end != NULL) {
                *s = end;
                return false;
            }
        }
        *p = item_end + 1;
        return true;
    default:
        if (!pattern_is_item(m, *s, *p, item_end)) {
            *s = NULL;
            return false;
        }
        *s += 1;
        *p = item_end;
        return true;
    }
}

/* %b, %f and %1: true: *s and *p have moved on, or *s is NULL (no match);
 * false: it is none of these. */
static bool pattern_special(struct pattern *m, const char **s, const char **p)
{
    int kind = *p + 1 < m->end ? (unsigned char)(*p)[1] : 0;
    const char *set = *p + 2;

    if (kind == 'b') {
        *s = pattern_balanced(m, *s, set);
        *p += 4;
    } else if (kind == 'f') {
        if (set >= m->end || *set != '[') {
            luaL_error(m->lua, "missing '[' after '%%f' in pattern");
        }
        *p = pattern_item_end(m, set);
        if (!pattern_is_frontier(m, *s, set, *p)) {
            *s = NULL;
        }
    } else if (kind >= '0' && kind <= '9') {
        *s = pattern_again(m, *s, kind);
        *p += 2;
    } else {
        return false;
    }
    return true;
}

/* The matcher: p on s. Loops where it can, recurses where it must. */
static const char *pattern_at(struct pattern *m, const char *s, const char *p)
{
    if (++m->depth > PATTERN_DEPTH) {
        luaL_error(m->lua, "pattern too complex");
    }
    while (s != NULL && p < m->end) {
        pattern_step(m);
        if (*p == '(') {
            bool is_position = p + 1 < m->end && p[1] == ')';

            s = is_position ? pattern_open(m, s, p + 2, CAPTURE_POSITION)
                            : pattern_open(m, s, p + 1, CAPTURE_OPEN);
            break;
        }
        if (*p == ')') {
            s = pattern_close(m, s, p + 1);
            break;
        }
        if (*p == '$' && p + 1 == m->end) {
            s = s == m->text_end ? s : NULL;
            break;
        }
        if (*p == '%' && pattern_special(m, &s, &p)) {
            continue;
        }
        if (!pattern_repeat(m, &s, &p)) {
            break;
        }
    }
    m->depth--;
    return s;
}

/* Tries from s on, at one place only when the pattern is anchored. Gives where
 * it begins, or NULL; *end is where it ends. */
static const char *pattern_search(struct pattern *m, const char *s,
                                  const char *p, bool anchored,
                                  const char **end)
{
    for (; s <= m->text_end; s++) {
        m->count = 0;
        m->depth = 0;
        *end = pattern_at(m, s, p);
        if (*end != NULL) {
            return s;
        }
        if (anchored) {
            break;
        }
    }
    return NULL;
}

/* Capture i, or the whole match where the pattern has none. */
static void pattern_push(struct pattern *m, int i, const char *s,
                         const char *end)
{
    if (i >= m->count) {
        if (i != 0) {
            luaL_error(m->lua, "invalid capture index %%%d", i + 1);
        }
        lua_pushlstring(m->lua, s, (size_t)(end - s));
    } else if (m->captures[i].bytes == CAPTURE_POSITION) {
        lua_pushinteger(m->lua, m->captures[i].start - m->text + 1);
    } else if (m->captures[i].bytes == CAPTURE_OPEN) {
        luaL_error(m->lua, "unfinished capture");
    } else {
        lua_pushlstring(m->lua, m->captures[i].start,
                        (size_t)m->captures[i].bytes);
    }
}

/* All captures, or the whole match where there are none and whole says so. */
static int pattern_push_all(struct pattern *m, const char *s, const char *end,
                            bool whole)
{
    int count = m->count == 0 && whole ? 1 : m->count;

    luaL_checkstack(m->lua, count, "too many captures");
    for (int i = 0; i < count; i++) {
        pattern_push(m, i, s, end);
    }
    return count;
}

/* The text at argument 1 and the pattern at 2; gives where the latter begins
 * behind its anchor. */
static const char *pattern_init(struct pattern *m, lua_State *lua,
                                bool *anchored)
{
    size_t text_bytes;
    size_t bytes;
    const char *text = luaL_checklstring(lua, 1, &text_bytes);
    const char *p = luaL_checklstring(lua, 2, &bytes);

    *m = (struct pattern){.lua = lua,
                          .text = text,
                          .text_end = text + text_bytes,
                          .end = p + bytes};
    *anchored = bytes > 0 && *p == '^';
    return p + (*anchored ? 1 : 0);
}

/* Argument i, a place in the text that may count from the end; 0-based, and
 * text_bytes + 1 where it lies behind the end. */
static size_t pattern_begin(lua_State *lua, int i, size_t text_bytes)
{
    lua_Integer at = luaL_optinteger(lua, i, 1);

    if (at > 0) {
        return (lua_Unsigned)at - 1 > text_bytes ? text_bytes + 1
                                                 : (size_t)at - 1;
    }
    if (at == 0 || (lua_Unsigned)0 - (lua_Unsigned)at > text_bytes) {
        return 0;
    }
    return text_bytes - (size_t)-at;
}

/* find and match differ in what they give, and in `plain`. */
static int pattern_first(lua_State *lua, bool find)
{
    struct pattern m;
    bool anchored;
    const char *p = pattern_init(&m, lua, &anchored);
    size_t text_bytes = (size_t)(m.text_end - m.text);
    size_t begin = pattern_begin(lua, 3, text_bytes);
    const char *s;
    const char *end;

    if (begin > text_bytes) {
        lua_pushnil(lua);
        return 1;
    }
    if (find && lua_toboolean(lua, 4)) {
        size_t bytes;

        p = lua_tolstring(lua, 2, &bytes);
        s = memmem(m.text + begin, text_bytes - begin, p, bytes);
        end = s == NULL ? NULL : s + bytes;
    } else {
        s = pattern_search(&m, m.text + begin, p, anchored, &end);
    }
    if (s == NULL) {
        lua_pushnil(lua);
        return 1;
    }
    if (!find) {
        return pattern_push_all(&m, s, end, true);
    }
    lua_pushinteger(lua, s - m.text + 1);
    lua_pushinteger(lua, end - m.text);
    return 2 + pattern_push_all(&m, s, end, false);
}

int pattern_find(lua_State *lua)
{
    return pattern_first(lua, true);
}

int pattern_match(lua_State *lua)
{
    return pattern_first(lua, false);
}

/* Upvalues: the text, the pattern, where to go on, where the last match ended
 * (an empty match right there does not count again). */
static int pattern_gmatch_next(lua_State *lua)
{
    struct pattern m;
    bool anchored;
    const char *p;
    const char *s;
    const char *end;
    const char *last;

    lua_settop(lua, 0);
    lua_pushvalue(lua, lua_upvalueindex(1));
    lua_pushvalue(lua, lua_upvalueindex(2));
    p = pattern_init(&m, lua, &anchored) - (anchored ? 1 : 0);
    s = m.text + lua_tointeger(lua, lua_upvalueindex(3));
    last = m.text + lua_tointeger(lua, lua_upvalueindex(4));
    for (; s <= m.text_end; s++) {
        s = pattern_search(&m, s, p, false, &end);
        if (s == NULL) {
            break;
        }
        if (end != last) {
            lua_pushinteger(lua, end - m.text);
            lua_copy(lua, -1, lua_upvalueindex(3));
            lua_copy(lua, -1, lua_upvalueindex(4));
            return pattern_push_all(&m, s, end, true);
        }
    }
    return 0;
}

int pattern_gmatch(lua_State *lua)
{
    size_t text_bytes;
    size_t begin;

    luaL_checklstring(lua, 1, &text_bytes);
    luaL_checkstring(lua, 2);
    begin = pattern_begin(lua, 3, text_bytes);
    lua_settop(lua, 2);
    lua_pushinteger(lua, (lua_Integer)begin);
    lua_pushinteger(lua, -1);
    lua_pushcclosure(lua, pattern_gmatch_next, 4);
    return 1;
}

/* The replacement text at argument 3, with %0 to %9 and %% in it. */
static void pattern_expand(struct pattern *m, luaL_Buffer *out, const char *s,
                           const char *end)
{
    size_t bytes;
    const char *r = lua_tolstring(m->lua, 3, &bytes);

    for (const char *r_end = r + bytes; r < r_end; r++) {
        if (*r != '%') {
            luaL_addchar(out, *r);
            continue;
        }
        r++;
        if (r < r_end && *r == '%') {
            luaL_addchar(out, '%');
        } else if (r < r_end && *r == '0') {
            luaL_addlstring(out, s, (size_t)(end - s));
        } else if (r < r_end && isdigit((unsigned char)*r)) {
            pattern_push(m, *r - '1', s, end);
            luaL_tolstring(m->lua, -1, NULL);
            lua_remove(m->lua, -2);
            luaL_addvalue(out);
        } else {
            luaL_error(m->lua, "invalid use of '%%' in replacement text");
        }
    }
}

/* Adds what takes the place of the match from s to end. */
static void pattern_replace(struct pattern *m, luaL_Buffer *out, const char *s,
                            const char *end)
{
    lua_State *lua = m->lua;

    switch (lua_type(lua, 3)) {
    case LUA_TFUNCTION:
        lua_pushvalue(lua, 3);
        lua_call(lua, pattern_push_all(m, s, end, true), 1);
        break;
    case LUA_TTABLE:
        pattern_push(m, 0, s, end);
        lua_gettable(lua, 3);
        break;
    default:
        pattern_expand(m, out, s, end);
        return;
    }
    if (!lua_toboolean(lua, -1)) {
        lua_pop(lua, 1);
        luaL_addlstring(out, s, (size_t)(end - s));
    } else if (lua_isstring(lua, -1)) {
        luaL_addvalue(out);
    } else {
        luaL_error(lua, "invalid replacement value (%s)",
                   luaL_typename(lua, -1));
    }
}

int pattern_gsub(lua_State *lua)
{
    struct pattern m;
    bool anchored;
    const char *p = pattern_init(&m, lua, &anchored);
    const char *s = m.text;
    const char *last = NULL;
    const char *end;
    int type = lua_type(lua, 3);
    lua_Integer most = luaL_optinteger(lua, 4, m.text_end - m.text + 1);
    lua_Integer count = 0;
    luaL_Buffer out;

    luaL_argexpected(lua,
                     type == LUA_TNUMBER || type == LUA_TSTRING ||
                         type == LUA_TTABLE || type == LUA_TFUNCTION,
                     3, "text, table or function");
    lua_settop(lua, 3);
    luaL_buffinit(lua, &out);
    while (count < most) {
        m.count = 0;
        m.depth = 0;
        end = pattern_at(&m, s, p);
        if (end != NULL && end != last) {
            count++;
            pattern_replace(&m, &out, s, end);
            s = last = end;
        } else if (s < m.text_end) {
            luaL_addchar(&out, *s);
            s++;
        } else {
            break;
        }
        if (anchored) {
            break;
        }
    }
    luaL_addlstring(&out, s, (size_t)(m.text_end - s));
    luaL_pushresult(&out);
    lua_pushinteger(lua, count);
    return 2;
}
