/* envelope_test.c - headers, and the list of requests. */
#include "lib/fixture.h"
#include "wire/envelope.h"

static struct arena arena;

static int teardown(void **state)
{
    arena_reset(&arena);
    return 0;
}

static void requests_have_header_1_or_2(void **state)
{
    const struct {
        struct str bytes;
        int16_t key;
        int16_t version;
    } cases[] = {
        {STR_LIT("\0\3\0\1\0\0\0\7\0\2me"), API_METADATA, 1},
        {STR_LIT("\0\3\0\x0c\0\0\0\7\0\2me\0"), API_METADATA, 12},
        {STR_LIT("\0\x12\0\3\0\0\0\7\0\2me\0"), API_API_VERSIONS, 3},
        {STR_LIT("\0\x12\0\x63\0\0\0\7\0\2me\1\0\0"), API_API_VERSIONS, 99},
    };

    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct request_header header;
        struct reader r;

        reader_init(&r, cases[i].bytes.ptr, cases[i].bytes.len);
        assert_int_equal(envelope_read_request(&r, &header), ERR_NONE);
        assert_int_equal(reader_finish(&r), ERR_NONE);
        assert_int_equal(header.request_api_key, cases[i].key);
        assert_int_equal(header.request_api_version, cases[i].version);
        assert_int_equal(header.correlation_id, 7);
        assert_true(str_eq(header.client_id, STR_LIT("me")));
    }
}

static void a_header_of_an_unknown_request_still_has_its_number(void **state)
{
    struct request_header header;
    struct reader r;

    reader_init(&r, "\x03\xe8\0\0\0\0\0\x09", 8);
    assert_int_equal(envelope_read_request(&r, &header), ERR_UNSUPPORTED);
    assert_int_equal(header.request_api_key, 1000);
    assert_int_equal(header.correlation_id, 9);
    reader_init(&r, "\0\3\xff\xff\0\0\0\x09\xff\xff", 10);
    assert_int_equal(envelope_read_request(&r, &header), ERR_UNSUPPORTED);
}

static void a_header_that_ends_early_is_malformed(void **state)
{
    struct request_header header;
    struct reader r;

    for (size_t bytes = 0; bytes < 13; bytes++) {
        reader_init(&r, "\0\3\0\x0c\0\0\0\7\0\2me\0", bytes);
        assert_int_equal(envelope_read_request(&r, &header), ERR_MALFORMED);
    }
}

static void answers_have_header_0_or_1_and_api_versions_always_0(void **state)
{
    static const struct {
        int16_t key;
        int16_t version;
        size_t bytes;
    } cases[] = {
        {API_METADATA, 8, 4},       {API_METADATA, 9, 5},
        {API_API_VERSIONS, 0, 4},   {API_API_VERSIONS, 4, 4},
        {API_SASL_HANDSHAKE, 1, 4},
    };

    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        const struct api_info *api = api_find(cases[i].key);
        struct writer w;
        struct reader r;
        int32_t correlation_id;

        writer_init(&w, &arena, 0);
        envelope_write_response(&w, api, cases[i].version, 77);
        assert_int_equal(writer_total(&w), cases[i].bytes);
        reader_init(&r, w.start, writer_total(&w));
        assert_int_equal(
            envelope_read_response(&r, api, cases[i].version, &correlation_id),
            ERR_NONE);
        assert_int_equal(reader_finish(&r), ERR_NONE);
        assert_int_equal(correlation_id, 77);
        reader_init(&r, w.start, 3);
        assert_int_equal(
            envelope_read_response(&r, api, cases[i].version, &correlation_id),
            ERR_MALFORMED);
    }
}

static void the_client_s_header_is_read_back(void **state)
{
    struct request_header in = {.request_api_key = API_FETCH,
                                .request_api_version = 12,
                                .correlation_id = 5};
    struct request_header out;
    struct writer w;
    struct reader r;

    writer_init(&w, &arena, 0);
    envelope_write_request(&w, &in);
    reader_init(&r, w.start, writer_total(&w));
    assert_int_equal(envelope_read_request(&r, &out), ERR_NONE);
    assert_int_equal(reader_finish(&r), ERR_NONE);
    assert_int_equal(out.request_api_version, 12);
    assert_null(out.client_id.ptr);
}

static void ranges_are_those_of_kafka_4_3_without_unstable_ones(void **state)
{
    static const struct api_info cases[] = {
        {0, 3, 13, 0, 9, "Produce"},
        {1, 4, 18, 4, 12, "Fetch"},
        {2, 1, 11, 1, 6, "ListOffsets"},
        {3, 0, 13, 0, 9, "Metadata"},
        {9, 1, 10, 1, 6, "OffsetFetch"},
        {17, 0, 1, 0, 32767, "SaslHandshake"},
        {18, 0, 4, 0, 3, "ApiVersions"},
        {22, 0, 5, 0, 2, "InitProducerId"},
        {23, 2, 4, 2, 4, "OffsetForLeaderEpoch"},
        {94, 0, -1, 0, 0, "UnregisterController"},
    };

    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        const struct api_info *api = api_find(cases[i].key);

        assert_non_null(api);
        assert_string_equal(api->name, cases[i].name);
        assert_int_equal(api->version_min, cases[i].version_min);
        assert_int_equal(api->version_max, cases[i].version_max);
        assert_int_equal(api->advertised_min, cases[i].advertised_min);
        assert_int_equal(api->flexible_min, cases[i].flexible_min);
    }
    assert_null(api_find(4));
    assert_null(api_find(-1));
    assert_null(api_find(API_KEY_MAX + 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_have_header_1_or_2),
        cmocka_unit_test(a_header_of_an_unknown_request_still_has_its_number),
        cmocka_unit_test(a_header_that_ends_early_is_malformed),
        cmocka_unit_test_teardown(
            answers_have_header_0_or_1_and_api_versions_always_0, teardown),
        cmocka_unit_test_teardown(the_client_s_header_is_read_back, teardown),
        cmocka_unit_test(ranges_are_those_of_kafka_4_3_without_unstable_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
