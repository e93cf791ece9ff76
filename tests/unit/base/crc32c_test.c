/* CRC-32C against a reference that works bit by bit. */
#include "base/crc32c.h"

#include "lib/fixture.h"

#include <string.h>

static uint32_t reference(uint32_t crc, const uint8_t *at, size_t bytes)
{
    crc = ~crc;
    for (size_t i = 0; i < bytes; i++) {
        crc ^= at[i];
        for (int bit = 0; bit < 8; bit++) {
            crc = crc >> 1 ^ ((crc & 1) != 0 ? 0x82f63b78u : 0);
        }
    }
    return ~crc;
}

static void fill(uint8_t *at, size_t bytes)
{
    uint64_t state = 0x9e3779b97f4a7c15u;

    for (size_t i = 0; i < bytes; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        at[i] = (uint8_t)(state >> 56);
    }
}

/* RFC 3720, appendix B.4. */
static void the_vectors_of_rfc_3720_are_met(void **state)
{
    uint8_t bytes[32];

    memset(bytes, 0, sizeof(bytes));
    assert_int_equal(crc32c(0, bytes, 32), 0x8a9136aa);
    memset(bytes, 0xff, sizeof(bytes));
    assert_int_equal(crc32c(0, bytes, 32), 0x62a8ab43);
    for (int i = 0; i < 32; i++) {
        bytes[i] = (uint8_t)i;
    }
    assert_int_equal(crc32c(0, bytes, 32), 0x46dd794e);
    assert_int_equal(crc32c_tables(0, bytes, 32), 0x46dd794e);
    assert_int_equal(crc32c(0, "123456789", 9), 0xe3069283);
}

static void no_bytes_leave_the_checksum_alone(void **state)
{
    assert_int_equal(crc32c(0, "", 0), 0);
    assert_int_equal(crc32c(1234, NULL, 0), 1234);
    assert_int_equal(crc32c_tables(1234, NULL, 0), 1234);
}

static void every_small_length_at_every_alignment_agrees(void **state)
{
    static uint8_t bytes[700 + 8];

    fill(bytes, sizeof(bytes));
    for (size_t shift = 0; shift < 8; shift++) {
        for (size_t len = 0; len <= 700; len++) {
            uint32_t expected = reference(7, bytes + shift, len);

            assert_int_equal(crc32c(7, bytes + shift, len), expected);
            assert_int_equal(crc32c_tables(7, bytes + shift, len), expected);
        }
    }
}

static void long_pieces_around_a_round_of_three_parts_agree(void **state)
{
    static uint8_t bytes[70000];
    static const size_t rounds[] = {1024, 3072, 6144, 9216, 16384, 65536};

    fill(bytes, sizeof(bytes));
    for (size_t i = 0; i < ARRAY_COUNT(rounds); i++) {
        for (size_t len = rounds[i] - 26; len <= rounds[i] + 26; len++) {
            uint32_t expected = reference(0, bytes + 3, len);

            assert_int_equal(crc32c(0, bytes + 3, len), expected);
            assert_int_equal(crc32c_tables(0, bytes + 3, len), expected);
        }
    }
}

static void
pieces_one_after_the_other_give_the_checksum_of_the_whole(void **state)
{
    static uint8_t bytes[5000];
    uint32_t whole;

    fill(bytes, sizeof(bytes));
    whole = crc32c(0, bytes, sizeof(bytes));
    for (size_t cut = 0; cut <= sizeof(bytes); cut += 37) {
        uint32_t crc = crc32c(0, bytes, cut);

        assert_int_equal(crc32c(crc, bytes + cut, sizeof(bytes) - cut), whole);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_vectors_of_rfc_3720_are_met),
        cmocka_unit_test(no_bytes_leave_the_checksum_alone),
        cmocka_unit_test(every_small_length_at_every_alignment_agrees),
        cmocka_unit_test(long_pieces_around_a_round_of_three_parts_agree),
        cmocka_unit_test(
            pieces_one_after_the_other_give_the_checksum_of_the_whole),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
