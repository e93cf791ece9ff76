/* Our pattern matcher against Lua's own manual, by asking it in Lua. */
#include "base/arena.h"
#include "script/vm.h"

#include "lib/fixture.h"
#include <string.h>

/* Runs the source; the script asserts what it wants to be true. */
static int run(lua_State *lua)
{
    struct str *source = lua_touserdata(lua, 1);

    vm_load_text(lua, *source, "=test");
    lua_call(lua, 0, 0);
    return 0;
}

static enum err lua(const char *source, struct why *why)
{
    struct str text = str_of(source);
    struct vm vm;
    enum err err;

    assert_int_equal(vm_open(&vm, 8 << 20, 300, why), ERR_NONE);
    err = vm_run(&vm, run, &text, why);
    vm_close(&vm);
    return err;
}

static void holds(const char *source)
{
    struct why why = {{0}};

    if (lua(source, &why) != ERR_NONE) {
        fail_msg("%s", why.text);
    }
}

static void fails(const char *source, const char *expected)
{
    struct why why = {{0}};

    assert_int_equal(lua(source, &why), ERR_INVALID);
    assert_string_equal(why.text, expected);
}

#define SAME                                                                   \
    "local function same(a, ...)\n"                                            \
    "  local b = { ... }\n"                                                    \
    "  for i = 1, select('#', ...) do\n"                                       \
    "    if a[i] ~= b[i] then error(tostring(a[i]) .. ' is not ' ..\n"         \
    "      tostring(b[i]), 2) end\n"                                           \
    "  end\n"                                                                  \
    "end\n"

static void find_gives_where_it_begins_and_ends(void **state)
{
    holds(SAME "same({('hello'):find('l+')}, 3, 4)\n"
               "same({('hello'):find('xyz')}, nil)\n"
               "same({('hello'):find('')}, 1, 0)\n"
               "same({('hello'):find('', 6)}, 6, 5)\n"
               "same({('hello'):find('', 7)}, nil)\n"
               "same({('hello'):find('h', -5)}, 1, 1)\n"
               "same({('hello'):find('h', -99)}, 1, 1)\n"
               "same({('hello'):find('h', 2)}, nil)\n"
               "same({('a.b'):find('.', 2, true)}, 2, 2)\n"
               "same({('a.b'):find('', 9, true)}, nil)\n"
               "same({('hello'):find('(l)(l)')}, 3, 4, 'l', 'l')\n"
               "same({('hello'):find('()ll()')}, 3, 4, 3, 5)\n"
               "same({('a\\0b'):find('\\0')}, 2, 2)\n"
               "same({('a\\0b'):find('%z')}, nil)\n");
}

static void items_and_their_suffixes_match_as_the_manual_says(void **state)
{
    holds(SAME "same({('aaa'):match('a*')}, 'aaa')\n"
               "same({('aaa'):match('a-')}, '')\n"
               "same({('aaab'):match('a-b')}, 'aaab')\n"
               "same({('b'):match('a?b')}, 'b')\n"
               "same({('ab'):match('a?b')}, 'ab')\n"
               "same({('b'):match('a+b')}, nil)\n"
               "same({(''):match('a*')}, '')\n"
               "same({('x=12'):match('(%a+)=(%d+)')}, 'x', '12')\n"
               "same({('abc'):match('^b')}, nil)\n"
               "same({('abc'):match('c$')}, 'c')\n"
               "same({('a$c'):match('$c')}, '$c')\n"
               "same({('THE (quick) fox'):find('%((%a+)%)')}, 5, 11, "
               "'quick')\n"
               "same({('f(a(b)c)d'):match('%b()')}, '(a(b)c)')\n"
               "same({('f(a'):match('%b()')}, nil)\n"
               "same({('THE fox'):gsub('%f[%a]%a+', 'w')}, 'w w', 2)\n"
               "same({('xyxy'):match('(..)%1')}, 'xy')\n"
               "same({('say \"it\"'):match('([\"\\'])(.-)%1')}, '\"', 'it')\n");
}

static void sets_hold_ranges_classes_and_their_complements(void **state)
{
    holds(SAME "same({('a-z'):match('[a-]+')}, 'a-')\n"
               "same({(']x'):match('[]]')}, ']')\n"
               "same({('x]'):match('[^]]')}, 'x')\n"
               "same({('09af'):match('[%da-f]+')}, '09af')\n"
               "same({('a^b'):match('[b^]+')}, '^b')\n"
               "same({('a%b'):match('[%%]')}, '%')\n"
               "same({('K9'):match('[^%l%d]')}, 'K')\n"
               "same({(' \\t\\n'):match('%s+')}, ' \\t\\n')\n"
               "same({('aB1_'):match('%w+')}, 'aB1')\n"
               "same({('\\1\\2'):match('%c+')}, '\\1\\2')\n"
               "same({('fF0g'):match('%x+')}, 'fF0')\n"
               "same({('a b'):match('%S+')}, 'a')\n"
               "same({('!?a'):match('%p+')}, '!?')\n"
               "same({('aB'):match('%u')}, 'B')\n"
               "same({('a b'):match('%g+')}, 'a')\n");
}

static void gsub_replaces_by_text_table_and_function(void **state)
{
    holds(SAME "same({('hello world'):gsub('o', '0')}, 'hell0 w0rld', 2)\n"
               "same({('hello'):gsub('l', 'L', 1)}, 'heLlo', 1)\n"
               "same({('abc'):gsub('%w', '%0%0')}, 'aabbcc', 3)\n"
               "same({('a b'):gsub('(%w) (%w)', '%2 %1')}, 'b a', 1)\n"
               "same({('abc'):gsub('', '-')}, '-a-b-c-', 4)\n"
               "same({('abc'):gsub('b*', 'x')}, 'xaxcx', 3)\n"
               "same({('$x $y'):gsub('%$(%w)', { x = 1, y = false })}, "
               "'1 $y', 2)\n"
               "same({('ab'):gsub('%w', function(c) return c:upper() end)}, "
               "'AB', 2)\n"
               "same({('ab'):gsub('%w', function() end)}, 'ab', 2)\n"
               "same({('5%'):gsub('%%', '%%%%')}, '5%%', 1)\n"
               "same({('abab'):gsub('^a', 'x')}, 'xbab', 1)\n"
               "same({('abc'):gsub('()', '%1')}, '1a2b3c4', 4)\n");
}

static void gmatch_walks_all_matches_once(void **state)
{
    holds(SAME "local out = {}\n"
               "for w in ('one two  three'):gmatch('%a+') do "
               "out[#out + 1] = w end\n"
               "same(out, 'one', 'two', 'three', nil)\n"
               "out = {}\n"
               "for k, v in ('a=1,b=2'):gmatch('(%w)=(%w)') do "
               "out[#out + 1] = k .. v end\n"
               "same(out, 'a1', 'b2')\n"
               "out = {}\n"
               "for at in ('abc'):gmatch('()') do out[#out + 1] = at end\n"
               "same(out, 1, 2, 3, 4, nil)\n"
               "out = {}\n"
               "for c in ('abc'):gmatch('.', -1) do out[#out + 1] = c end\n"
               "same(out, 'c', nil)\n");
}

static void a_malformed_pattern_is_an_error_that_says_so(void **state)
{
    fails("('a'):find('%')", "test:1: malformed pattern (ends with '%')");
    fails("('a'):find('[a')", "test:1: malformed pattern (missing ']')");
    fails("('a'):find('[')", "test:1: malformed pattern (missing ']')");
    fails("('a'):find('[^')", "test:1: malformed pattern (missing ']')");
    fails("('a'):find('[%')", "test:1: malformed pattern (missing ']')");
    fails("('a'):find('(a')", "test:1: unfinished capture");
    fails("('a'):find('a)')", "test:1: invalid pattern capture");
    fails("('a'):find('%1')", "test:1: invalid capture index %1");
    fails("('a'):find('%b(')",
          "test:1: malformed pattern (missing arguments to '%b')");
    fails("('a'):find('%f')", "test:1: missing '[' after '%f' in pattern");
    fails("('a'):gsub('a', '%2')", "test:1: invalid capture index %2");
    fails("('a'):gsub('a', '%x')",
          "test:1: invalid use of '%' in replacement text");
    fails("('a'):gsub('a', '%')",
          "test:1: invalid use of '%' in replacement text");
    fails("('a'):gsub('a', function() return {} end)",
          "test:1: invalid replacement value (table)");
    fails("('a'):find(('()'):rep(33))", "test:1: too many captures");
    fails("('a'):rep(300):find(('a?'):rep(300))",
          "test:1: pattern too complex");
}

/* Lua's own matcher would be busy for longer than the universe is old. */
static void backtracking_ends_with_the_deadline(void **state)
{
    struct why why = {{0}};

    assert_int_equal(
        lua("return ('a'):rep(60):find(('a*'):rep(30) .. 'b')", &why),
        ERR_LIMIT);
    assert_string_equal(why.text, "test:1: took more than 300 ms");
    assert_int_equal(lua("return ('a'):rep(1e6):gsub('.-b', '')", &why),
                     ERR_LIMIT);
    assert_int_equal(
        lua("pcall(string.find, ('a'):rep(60), ('a*'):rep(30) .. 'b')", &why),
        ERR_LIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(find_gives_where_it_begins_and_ends),
        cmocka_unit_test(items_and_their_suffixes_match_as_the_manual_says),
        cmocka_unit_test(sets_hold_ranges_classes_and_their_complements),
        cmocka_unit_test(gsub_replaces_by_text_table_and_function),
        cmocka_unit_test(gmatch_walks_all_matches_once),
        cmocka_unit_test(a_malformed_pattern_is_an_error_that_says_so),
        cmocka_unit_test(backtracking_ends_with_the_deadline),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
