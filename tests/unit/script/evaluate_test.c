/* Config files as data: what they may do, and what hostile ones cannot. */
#include "script/evaluate.h"
#include "base/mem.h"

#include "lib/fixture.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char folder[FIXTURE_PATH_BYTES];
static struct arena arena;

static int setup(void **state)
{
    fixture_folder(folder);
    return chdir(folder);
}

static int teardown(void **state)
{
    arena_reset(&arena);
    assert_int_equal(chdir("/"), 0);
    fixture_remove(folder);
    return 0;
}

static void write_bytes(const char *path, const void *bytes, size_t count)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, count, file), count);
    assert_int_equal(fclose(file), 0);
}

static const char *env(const char *name)
{
    return strcmp(name, "SET") == 0 ? "value" : NULL;
}

static enum err evaluate(struct value *root, char **report)
{
    static const char *const names[] = {"node", "topics"};
    struct evaluate_input input = {.disk = disk_real(),
                                   .path = "config.lua",
                                   .env = env,
                                   .names = names,
                                   .name_count = ARRAY_COUNT(names)};
    struct complaints complaints = {.arena = &arena};
    enum err err = evaluate_file(&input, &complaints, root);

    *report = complaint_report(&complaints);
    return err;
}

/* One value as text, tables with their keys. */
static void show(FILE *out, const struct value *value)
{
    if (!value_is_table(value)) {
        struct str text = value_show(&arena, value);

        fprintf(out, "%.*s", STR_ARG(text));
        return;
    }
    fputc(value->kind == VALUE_LIST ? '[' : '{', out);
    for (size_t i = 0; i < value->table.count; i++) {
        fprintf(out, "%s%.*s@%d=", i == 0 ? "" : " ",
                STR_ARG(value->table.keys[i]),
                value->table.items[i].place.line);
        show(out, &value->table.items[i]);
    }
    fputc(value->kind == VALUE_LIST ? ']' : '}', out);
}

static void gives(const char *source, const char *expected)
{
    struct value root;
    char *report;
    char *text = NULL;
    size_t bytes = 0;
    FILE *out;

    write_bytes("config.lua", source, strlen(source));
    if (evaluate(&root, &report) != ERR_NONE || report[0] != '\0') {
        fail_msg("%s", report);
    }
    mem_free(report);
    out = open_memstream(&text, &bytes);
    show(out, &root);
    fclose(out);
    assert_string_equal(text, expected);
    free(text);
}

static void refuses_bytes(const void *source, size_t bytes,
                          const char *expected)
{
    struct value root;
    char *report;

    write_bytes("config.lua", source, bytes);
    assert_int_equal(evaluate(&root, &report), ERR_INVALID);
    assert_int_equal(root.table.count, 0);
    assert_string_equal(report, expected);
    mem_free(report);
}

static void refuses(const char *source, const char *expected)
{
    refuses_bytes(source, strlen(source), expected);
}

static void globals_become_a_tree_with_lines(void **state)
{
    gives("-- a comment\n"
          "node = { id = 1, rack = \"r\",\n"
          "  [\"x.y\"] = true, 5.5,\n"
          "  sub = {\n"
          "    1,\n"
          "    \"two\" } }\n"
          "topics = {}\n"
          "topics.orders = { partitions = 3 }\n"
          "topics[\"a.b\"] = {\n"
          "  n = 2 }\n",
          "{node@2={1@3=5.5 id@2=1 rack@2=\"r\" sub@4=[1@5=1 2@6=\"two\"] "
          "x.y@3=true} topics@7={a.b@9={n@10=2} orders@8={partitions@8=3}}}");
}

static void lines_survive_all_that_lua_can_write(void **state)
{
    gives("local helper, other <const> = { node = 1 }, 2\n"
          "local function f(t) return t end --[==[ long\n"
          "]] comment ]==]\n"
          "local s = [[ { } ' \" \n"
          "]]\n"
          "node = f { id = 1 }\n"
          "topics = {\n"
          "  a = true and { n = 1 } or {\n"
          "    n = 2 },\n"
          "  b = f({ n = 3 }),\n"
          "  ['c\\x41'] = (function(x) if x then return { 4 } end end)(1);\n"
          "  d = #\"}\", e = 1 == 2,\n"
          "  f = { g = 1 } }\n"
          "if node.id == 1 then node.x = 5 end\n"
          "for i = 1, 2 do\n"
          "  topics['t' .. i] = { n = i }\n"
          "end\n",
          "{node@6={id@6=1 x@14=5} topics@7={a@8={n@9=1} b@10={n@10=3} "
          "cA@16=[1@16=4] d@12=1 e@12=false f@13={g@13=1} t1@16={n@16=1} "
          "t2@16={n@16=2}}}");
}

static void env_secret_and_inline_give_values(void **state)
{
    gives("node = { a = env 'SET', b = env('NOT', 5), c = secret 'env:P',\n"
          "  d = inline [[return 1]], e = secret 'file:/p' .. 'x',\n"
          "  f = tostring(secret 'env:P') }\n",
          "{node@1={a@1=\"value\" b@1=5 c@1=a secret d@2=Lua source e@2=a "
          "secret f@3=\"***\"}}");
}

static void the_sandbox_has_what_a_config_needs(void **state)
{
    gives("local t = {}\n"
          "for i, v in ipairs { 3, 1, 2 } do t[i] = v end\n"
          "table.sort(t)\n"
          "node = { table.concat(t, ','), ('x'):rep(3), math.max(1, 2),\n"
          "  ('a,b'):match('%w'), select('#', 1, 2), type(nil),\n"
          "  pcall(error, 'x') and 1 or 2, string.format('%d', 3),\n"
          "  (''):rep(1 << 62), next({}) == nil, ('ab'):rep(2, '-') }\n",
          "{node@4=[1@4=\"1,2,3\" 2@4=\"xxx\" 3@4=2 4@5=\"a\" 5@5=2 "
          "6@5=\"nil\" 7@6=2 8@6=\"3\" 9@7=\"\" 10@7=true 11@7=\"ab-ab\"]}");
}

static void the_sandbox_lacks_what_reaches_further(void **state)
{
    static const char *const names[] = {
        "io",           "os",           "debug",
        "package",      "require",      "load",
        "loadfile",     "dofile",       "collectgarbage",
        "setmetatable", "getmetatable", "rawset",
        "rawget",       "rawequal",     "rawlen",
        "xpcall",       "coroutine",    "utf8",
        "print",        "warn",         "_G",
        "_VERSION",     "loadstring",
    };
    static const char *const members[] = {
        "string.dump", "string.pack", "string.unpack",   "table.move",
        "table.pack",  "math.random", "math.randomseed",
    };

    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        char *source = mem_printf("node = { %s }", names[i]);
        struct value root;
        char *report;

        write_bytes("config.lua", source, strlen(source));
        assert_int_equal(evaluate(&root, &report), ERR_INVALID);
        assert_non_null(strstr(report, "config.lua:1: unknown name \""));
        mem_free(report);
        mem_free(source);
    }
    for (size_t i = 0; i < ARRAY_COUNT(members); i++) {
        char *source = mem_printf("node = { %s == nil }", members[i]);

        gives(source, "{node@1=[1@1=true]}");
        mem_free(source);
    }
    refuses("node = {}\n('x').rep.y = 1",
            "config.lua:2: attempt to index a function value (field 'rep')\n");
    refuses("env = 1", "config.lua:1: \"env\" is a name of the language; give "
                       "yours another one\n");
}

static void loops_without_end_are_stopped(void **state)
{
    refuses("\nwhile true do end", "config.lua:2: took more than 1000 ms\n");
    refuses("while true do pcall(function() while true do end end) end",
            "config.lua:1: took more than 1000 ms\n");
    refuses("local function f() return f() end f()",
            "config.lua:1: took more than 1000 ms\n");
    refuses("local t = {} repeat table.insert(t, 1, t) until false",
            "config.lua:1: took more than 1000 ms\n");
    refuses("node = ('a'):rep(60):find(('a*'):rep(30) .. 'b')",
            "config.lua:1: took more than 1000 ms\n");
}

static void memory_has_an_end(void **state)
{
    refuses("local s = 'x' while true do s = s .. s end",
            "config.lua: needs more than 32 MiB of memory\n");
    refuses("local t = {} while true do t[#t + 1] = {} end",
            "config.lua: needs more than 32 MiB of memory\n");
    refuses("node = ('x'):rep(1 << 40)",
            "config.lua: needs more than 32 MiB of memory\n");
    refuses("node = ('x'):rep(1 << 62, 'yy')",
            "config.lua:1: resulting text is too large\n");
    refuses("local function f(n) return 1 + f(n + 1) end f(1)",
            "config.lua: needs more than 32 MiB of memory\n");
}

static void only_source_text_is_run(void **state)
{
    refuses_bytes("\033Lua\x54\0\x19\x93\r\n\x1a\n", 12,
                  "config.lua: is compiled Lua; only source text is "
                  "accepted\n");
    refuses("node = {", "config.lua:1: unexpected symbol near <eof>\n");
    refuses("x = = 1\n", "config.lua:1: unexpected symbol near '='\n");
    refuses("a = '\x1b[2J\n", "config.lua:1: unfinished string near "
                              "''\\x1b[2J'\n");
}

static void deep_nesting_is_refused_by_parser_and_by_result(void **state)
{
    char *source = mem_zalloc(4000);
    struct value root;
    char *report;

    memcpy(source, "node = ", 7);
    memset(source + 7, '{', 1000);
    memset(source + 1007, '}', 1000);
    write_bytes("config.lua", source, strlen(source));
    mem_free(source);
    assert_int_equal(evaluate(&root, &report), ERR_INVALID);
    assert_non_null(strstr(report, "config.lua")); /* the rest is Lua's */
    mem_free(report);

    write_bytes("config.lua", "local t = {} t.t = t\nnode = t", 29);
    assert_int_equal(evaluate(&root, &report), ERR_NONE);
    assert_non_null(strstr(report, "config.lua:2: node.t.t.t."));
    assert_non_null(strstr(report, ": nested deeper than 24 tables\n"));
    mem_free(report);
}

/* A few lines whose result would fill any memory. */
static void a_result_that_multiplies_is_refused(void **state)
{
    refuses("local t = { 1 }\n"
            "for i = 1, 20 do t = { t, t, t, t } end\nnode = t",
            "config.lua: more than 200000 values\n");
    refuses("local s, t = ('x'):rep(1 << 20), {}\n"
            "for i = 1, 1000 do t[i] = s end\nnode = t",
            "config.lua: the values hold more than 16 MiB of text\n");
    refuses("node = {} for i = 1, 300000 do node[i] = i end",
            "config.lua: more than 200000 values\n");
}

static void a_key_that_is_no_name_is_told(void **state)
{
    struct value root;
    char *report;

    write_bytes("config.lua", "\nnode = { [1.5] = 1, [true] = 2, ok = 3 }", 41);
    assert_int_equal(evaluate(&root, &report), ERR_NONE);
    assert_string_equal(report,
                        "config.lua:2: node: a name must be text or a whole "
                        "number, not a number\n"
                        "config.lua:2: node: a name must be text or a whole "
                        "number, not a boolean\n");
    mem_free(report);
    assert_int_equal(root.table.count, 1);
    assert_int_equal(root.table.items[0].table.count, 1);
    assert_true(str_eq(root.table.items[0].table.keys[0], STR_LIT("ok")));
}

static void errors_of_the_script_have_their_line(void **state)
{
    refuses("\nerror('no such region')", "config.lua:2: no such region\n");
    refuses("\n\nerror({})", "config.lua:3: an error that is no text\n");
    refuses("node = { id = nod.id }",
            "config.lua:1: unknown name \"nod\"; did you mean \"node\"?\n");
    refuses("node = enf('X')",
            "config.lua:1: unknown name \"enf\"; did you mean \"env\"?\n");
    refuses("topics.x = 1",
            "config.lua:1: attempt to index a nil value (global 'topics')\n");
    refuses("node = secret('hunter2')",
            "config.lua:1: secret() wants \"env:NAME\" or \"file:/path\", so "
            "that no secret stands in this file\n");
    refuses("error('\\27[2J\\n', 0)", "config.lua: \\x1b[2J\\x0a\n");
}

static void includes_run_in_order_and_never_in_a_circle(void **state)
{
    write_bytes("b.lua", "node = node .. 'b'", 18);
    write_bytes("a.lua", "node = node .. 'a'", 18);
    write_bytes("one.inc", "return { 1 }", 12);
    write_bytes("me.inc", "include 'you.inc'", 17);
    write_bytes("you.inc", "\ninclude 'me.inc'", 17);
    gives("node = 'x'\ninclude '?.lua'\ntopics = include 'one.inc'",
          "{node@1=\"xab\" topics@3=[1@3=1]}");
    refuses("include 'me.inc'", "you.inc:2: me.inc includes itself\n");
    refuses("include 'none.inc'", "config.lua:1: none.inc: no such file\n");
    refuses("include '*/x.lua'",
            "config.lua:1: include(): only the last name of \"*/x.lua\" may "
            "hold * or ?\n");
    write_bytes("bad.inc", "\nx = (", 6);
    refuses("include 'bad.inc'", "bad.inc:2: unexpected symbol near <eof>\n");
}

static void a_file_too_large_or_absent_is_told(void **state)
{
    char *big = mem_alloc((1 << 20) + 1);
    struct value root;
    char *report;

    memset(big, ' ', (1 << 20) + 1);
    refuses_bytes(big, (1 << 20) + 1, "config.lua: larger than 1024 KiB\n");
    mem_free(big);
    assert_int_equal(unlink("config.lua"), 0);
    assert_int_equal(evaluate(&root, &report), ERR_INVALID);
    assert_string_equal(report, "config.lua: no such file\n");
    mem_free(report);
}

static void a_byte_order_mark_is_stepped_over(void **state)
{
    gives("\xef\xbb\xbfnode = 1", "{node@1=1}");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(globals_become_a_tree_with_lines),
        TEST(lines_survive_all_that_lua_can_write),
        TEST(env_secret_and_inline_give_values),
        TEST(the_sandbox_has_what_a_config_needs),
        TEST(the_sandbox_lacks_what_reaches_further),
        TEST(loops_without_end_are_stopped),
        TEST(memory_has_an_end),
        TEST(only_source_text_is_run),
        TEST(deep_nesting_is_refused_by_parser_and_by_result),
        TEST(a_result_that_multiplies_is_refused),
        TEST(a_key_that_is_no_name_is_told),
        TEST(errors_of_the_script_have_their_line),
        TEST(includes_run_in_order_and_never_in_a_circle),
        TEST(a_file_too_large_or_absent_is_told),
        TEST(a_byte_order_mark_is_stepped_over),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
