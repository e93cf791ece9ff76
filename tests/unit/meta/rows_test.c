/* Rows: what goes in comes out. */
#include "unit/meta/script.h"

#include "base/mem.h"

static void every_cell_comes_back_as_it_was(void **unused)
{
    struct rows rows = {0};
    struct arena arena = {0};
    int32_t numbers[] = {0, -1, 10, INT32_MAX, INT32_MIN};
    struct row row;
    size_t at = 0;

    rows_add(&rows, ROW_MEMBER_PUT);
    rows_text(&rows, STR_LIT(""));
    rows_text(&rows, STR_NULL);
    rows_text(&rows, STR_LIT("a\0b"));
    rows_blob(&rows, STR_LIT("\xff\0"));
    rows_i64(&rows, INT64_MIN);
    rows_i64(&rows, INT64_MAX);
    rows_null(&rows);
    rows_numbers(&rows, numbers, 5);
    rows_numbers(&rows, numbers, 0);
    rows_uuid(&rows, script_uuid(STR_LIT("A")));
    rows_add(&rows, ROW_TOPIC_DELETE);
    rows_text(&rows, STR_LIT("t"));
    assert_int_equal(rows_count(&rows), 2);
    assert_true(rows_next(&rows, &at, &row));
    assert_int_equal(row.kind, ROW_MEMBER_PUT);
    assert_int_equal(row.cell_count, 10);
    assert_int_equal(row.cells[0].type, ROW_CELL_TEXT);
    assert_int_equal(row.cells[0].text.len, 0);
    assert_int_equal(row.cells[1].type, ROW_CELL_NULL);
    assert_true(str_eq(row.cells[2].text, STR_LIT("a\0b")));
    assert_int_equal(row.cells[3].type, ROW_CELL_BLOB);
    assert_int_equal(row.cells[3].text.len, 2);
    assert_true(row.cells[4].i64 == INT64_MIN);
    assert_true(row.cells[5].i64 == INT64_MAX);
    assert_int_equal(row.cells[6].type, ROW_CELL_NULL);
    assert_true(
        str_eq(row.cells[7].text, STR_LIT("[0,-1,10,2147483647,-2147483648]")));
    assert_true(str_eq(row.cells[8].text, STR_LIT("[]")));
    assert_true(str_eq(row.cells[9].text, STR_LIT("QUFBQUFBQUFBQUFBQUFBQQ")));
    assert_true(rows_next(&rows, &at, &row));
    assert_string_equal(script_rows_text(&rows, &arena).ptr +
                            strlen(script_rows_text(&rows, &arena).ptr) -
                            strlen("  topics delete 't'\n"),
                        "  topics delete 't'\n");
    assert_false(rows_next(&rows, &at, &row));
    rows_fini(&rows);
    arena_reset(&arena);
}

static void a_list_keeps_some_memory_but_not_all(void **unused)
{
    struct rows rows = {0};
    char *large = mem_zalloc(100000);

    rows_add(&rows, ROW_TOPIC_DELETE);
    rows_text(&rows, STR_LIT("t"));
    rows_clear(&rows, 4096);
    assert_int_equal(rows_count(&rows), 0);
    assert_in_range(rows_bytes(&rows), 1, 4096);
    rows_add(&rows, ROW_TOPIC_DELETE);
    rows_text(&rows, str_sub(large, 100000));
    rows_clear(&rows, 4096);
    assert_int_equal(rows_bytes(&rows), 0);
    mem_free(large);
    rows_fini(&rows);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_cell_comes_back_as_it_was),
        cmocka_unit_test(a_list_keeps_some_memory_but_not_all),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
