/* Ids, as Kafka prints them. */
#include "base/uuid.h"

#include "lib/fixture.h"

static void text_is_that_of_url_safe_base64(void **state)
{
    struct uuid uuid;
    char text[UUID_TEXT_BYTES];

    for (size_t i = 0; i < 16; i++) {
        uuid.bytes[i] = (uint8_t)(0xf0 + i);
    }
    uuid_text(uuid, text);
    assert_string_equal(text, "8PHy8_T19vf4-fr7_P3-_w");
    uuid_text((struct uuid){{0}}, text);
    assert_string_equal(text, "AAAAAAAAAAAAAAAAAAAAAA");
}

static void every_text_is_read_back(void **state)
{
    uint64_t seed = 3;

    for (int i = 0; i < 1000; i++) {
        struct uuid uuid, again;
        char text[UUID_TEXT_BYTES];

        for (size_t b = 0; b < 16; b++) {
            uuid.bytes[b] = (uint8_t)fixture_random(&seed);
        }
        uuid_text(uuid, text);
        assert_true(uuid_parse(str_of(text), &again));
        assert_true(uuid_eq(uuid, again));
    }
}

static void what_is_no_id_is_refused(void **state)
{
    static const char *const texts[] = {
        "",
        "AAAAAAAAAAAAAAAAAAAAA",   /* 21 */
        "AAAAAAAAAAAAAAAAAAAAAAA", /* 23 */
        "AAAAAAAAAAAAAAAAAAAAA=",
        "AAAAAAAAAA AAAAAAAAAAA",
        "AAAAAAAAAA+AAAAAAAAAAA",
        "AAAAAAAAAAAAAAAAAAAAAB", /* bits beyond the 128th */
    };
    struct uuid uuid;

    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        assert_false(uuid_parse(str_of(texts[i]), &uuid));
    }
    assert_false(uuid_parse(STR_NULL, &uuid));
    assert_false(uuid_parse(str_sub("AAAAAAAAAAAAAAAAAAAAA\0", 22), &uuid));
}

static void a_drawn_id_is_version_4(void **state)
{
    uint8_t random[16];
    struct uuid uuid;

    memset(random, 0xff, sizeof(random));
    uuid = uuid_v4(random);
    assert_int_equal(uuid.bytes[6], 0x4f);
    assert_int_equal(uuid.bytes[8], 0xbf);
    assert_true(uuid_is_usable(uuid));
}

/* A tool that takes "-abc" for an option must never meet such an id. */
static void
reserved_ids_and_those_that_begin_with_a_dash_are_not_usable(void **state)
{
    struct uuid uuid = {{0}};

    assert_true(uuid_is_zero(uuid));
    assert_false(uuid_is_usable(uuid));
    uuid.bytes[15] = 1;
    assert_false(uuid_is_usable(uuid));
    assert_false(uuid_is_zero(uuid));
    uuid.bytes[15] = 2;
    assert_true(uuid_is_usable(uuid));
    uuid.bytes[0] = 62 << 2;
    assert_false(uuid_is_usable(uuid));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_is_that_of_url_safe_base64),
        cmocka_unit_test(every_text_is_read_back),
        cmocka_unit_test(what_is_no_id_is_refused),
        cmocka_unit_test(a_drawn_id_is_version_4),
        cmocka_unit_test(
            reserved_ids_and_those_that_begin_with_a_dash_are_not_usable),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
