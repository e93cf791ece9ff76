/* Sizes and durations as people write them; the hash of Kafka's clients. */
#include "base/units.h"
#include "base/murmur2.h"

#include "lib/fixture.h"

static int64_t size(const char *text)
{
    int64_t bytes;

    return units_size(str_of(text), &bytes) ? bytes : -1;
}

static int64_t duration(const char *text)
{
    int64_t ms;

    return units_duration(str_of(text), &ms) ? ms : -1;
}

static void sizes_have_units_of_both_kinds_or_none(void **state)
{
    assert_int_equal(size("0"), 0);
    assert_int_equal(size("12"), 12);
    assert_int_equal(size("12B"), 12);
    assert_int_equal(size("1KiB"), 1024);
    assert_int_equal(size("256 mib"), 256 << 20);
    assert_int_equal(size("2GiB"), INT64_C(2) << 30);
    assert_int_equal(size("1TiB"), INT64_C(1) << 40);
    assert_int_equal(size("3KB"), 3000);
    assert_int_equal(size("1TB"), INT64_C(1000000000000));
    assert_int_equal(size(""), -1);
    assert_int_equal(size("MiB"), -1);
    assert_int_equal(size("1.5MiB"), -1);
    assert_int_equal(size("1MiBB"), -1);
    assert_int_equal(size("9999999TiB"), -1);
    assert_int_equal(size("99999999999999999999B"), -1);
}

static void durations_need_a_unit(void **state)
{
    assert_int_equal(duration("0"), 0);
    assert_int_equal(duration("5ms"), 5);
    assert_int_equal(duration("3s"), 3000);
    assert_int_equal(duration("2m"), 120000);
    assert_int_equal(duration("1h"), 3600000);
    assert_int_equal(duration("7d"), 604800000);
    assert_int_equal(duration("12"), -1);
    assert_int_equal(duration("-1s"), -1);
    assert_int_equal(duration("1w"), -1);
}

static void the_end_of_a_name_says_what_its_value_measures(void **state)
{
    int64_t out;

    assert_true(units_named(STR_LIT("retention.ms"), STR_LIT("7d"), &out));
    assert_int_equal(out, 604800000);
    assert_true(units_named(STR_LIT("segment.bytes"), STR_LIT("1MiB"), &out));
    assert_int_equal(out, 1 << 20);
    assert_false(units_named(STR_LIT("retention.ms"), STR_LIT("7"), &out));
    assert_false(units_named(STR_LIT("cleanup.policy"), STR_LIT("7d"), &out));
}

static void they_are_shown_in_the_largest_whole_unit(void **state)
{
    struct arena arena = {0};

    assert_string_equal(units_size_text(&arena, 256 << 20), "256MiB");
    assert_string_equal(units_size_text(&arena, 1025), "1025B");
    assert_string_equal(units_size_text(&arena, 0), "0B");
    assert_string_equal(units_duration_text(&arena, 90000), "90s");
    assert_string_equal(units_duration_text(&arena, 86400000), "1d");
    assert_string_equal(units_duration_text(&arena, 0), "0ms");
    arena_reset(&arena);
}

/* The values of the tests of Kafka's own client. */
static void keys_hash_as_in_kafkas_java_client(void **state)
{
    static const struct {
        const char *key;
        int32_t hash;
    } known[] = {
        {"21", -973932308},
        {"foobar", -790332482},
        {"a-little-bit-long-string", -985981536},
        {"a-little-bit-longer-string", -1486304829},
        {"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971},
        {"abc", 479470107},
    };

    for (size_t i = 0; i < ARRAY_COUNT(known); i++) {
        assert_int_equal((int32_t)murmur2(str_of(known[i].key)), known[i].hash);
    }
    assert_int_equal(murmur2_partition(STR_LIT("21"), 7),
                     (-973932308 & 0x7fffffff) % 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_have_units_of_both_kinds_or_none),
        cmocka_unit_test(durations_need_a_unit),
        cmocka_unit_test(the_end_of_a_name_says_what_its_value_measures),
        cmocka_unit_test(they_are_shown_in_the_largest_whole_unit),
        cmocka_unit_test(keys_hash_as_in_kafkas_java_client),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
