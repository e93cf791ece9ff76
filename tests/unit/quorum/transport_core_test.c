/* transport_core_test.c - frames to bytes and back. */
#include "quorum/transport_core.h"
#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/mem.h"
#include "lib/fixture.h"

static struct raft_entry entries[2] = {
    {.term = 4, .type = RAFT_COMMAND, .buf = {(void *)"hello", 5}},
    {.term = 5, .type = RAFT_BARRIER, .buf = {(void *)"", 0}},
};

static const struct raft_message messages[] = {
    {.type = RAFT_APPEND_ENTRIES,
     .append_entries = {.version = 1,
                        .term = 5,
                        .prev_log_index = 10,
                        .prev_log_term = 3,
                        .leader_commit = 9,
                        .entries = entries,
                        .n_entries = 2}},
    {.type = RAFT_APPEND_ENTRIES_RESULT,
     .append_entries_result = {.version = 2,
                               .term = 6,
                               .rejected = 12,
                               .last_log_index = 10,
                               .features = 3,
                               .capacity = 4}},
    {.type = RAFT_REQUEST_VOTE,
     .request_vote = {.version = 2,
                      .term = 7,
                      .candidate_id = 2,
                      .last_log_index = 8,
                      .last_log_term = 6,
                      .disrupt_leader = true}},
    {.type = RAFT_REQUEST_VOTE,
     .request_vote =
         {.version = 2, .term = 7, .candidate_id = 2, .pre_vote = true}},
    {.type = RAFT_REQUEST_VOTE_RESULT,
     .request_vote_result = {.version = 2,
                             .term = 7,
                             .vote_granted = true,
                             .features = 1,
                             .capacity = 9}},
    {.type = RAFT_TIMEOUT_NOW,
     .timeout_now =
         {.version = 1, .term = 8, .last_log_index = 4, .last_log_term = 2}},
};

static struct str frame_of(const struct raft_message *m, struct arena *arena)
{
    struct str frame = STR_NULL;

    assert_int_equal(transport_encode(m, arena, &frame), ERR_NONE);
    return frame;
}

/* Encoding what was read gives the same bytes: nothing is lost on the way. */
static void every_message_comes_back(void **state)
{
    struct arena arena = {0};

    for (size_t i = 0; i < ARRAY_COUNT(messages); i++) {
        struct str frame = frame_of(&messages[i], &arena);
        struct raft_message read;

        assert_int_equal(transport_decode(frame, &arena, &read), ERR_NONE);
        assert_int_equal(read.type, messages[i].type);
        assert_true(str_eq(frame, frame_of(&read, &arena)));
    }
    arena_reset(&arena);
}

static void entries_come_back_byte_by_byte(void **state)
{
    struct arena arena = {0};
    struct str frame = frame_of(&messages[0], &arena);
    struct raft_message read;
    const struct raft_append_entries *a = &read.append_entries;

    assert_int_equal(frame.len,
                     TRANSPORT_APPEND_BYTES + 2 * TRANSPORT_ENTRY_BYTES + 5);
    assert_int_equal(transport_decode(frame, &arena, &read), ERR_NONE);
    assert_int_equal(a->version, 1);
    assert_int_equal(a->term, 5);
    assert_int_equal(a->prev_log_index, 10);
    assert_int_equal(a->prev_log_term, 3);
    assert_int_equal(a->leader_commit, 9);
    assert_int_equal(a->n_entries, 2);
    assert_int_equal(a->entries[0].term, 4);
    assert_int_equal(a->entries[0].buf.len, 5);
    assert_memory_equal(a->entries[0].buf.base, "hello", 5);
    assert_int_equal(a->entries[1].type, RAFT_BARRIER);
    arena_reset(&arena);
}

static void every_flipped_bit_and_every_cut_is_found(void **state)
{
    struct arena arena = {0};
    struct str frame = frame_of(&messages[0], &arena);
    struct raft_message read;

    for (size_t bit = 0; bit < frame.len * 8; bit++) {
        char *copy = mem_dup(frame.ptr, frame.len);

        copy[bit / 8] = (char)(copy[bit / 8] ^ (1 << bit % 8));
        assert_int_not_equal(
            transport_decode(str_sub(copy, frame.len), &arena, &read),
            ERR_NONE);
        mem_free(copy);
    }
    for (size_t bytes = 0; bytes < frame.len; bytes++) {
        char *copy = mem_alloc(bytes);

        memcpy(copy, frame.ptr, bytes);
        assert_int_not_equal(
            transport_decode(str_sub(copy, bytes), &arena, &read), ERR_NONE);
        mem_free(copy);
    }
    arena_reset(&arena);
}

/* A peer that lies with a right CRC. */
static enum err decode_sealed(struct str frame, struct arena *arena)
{
    uint8_t *at = (uint8_t *)(uintptr_t)frame.ptr;
    struct raft_message read;
    uint32_t crc = crc32c(0, at, 4);

    bytes_put_u32(at + 4, crc32c(crc, at + 8, frame.len - 8));
    return transport_decode(frame, arena, &read);
}

static void a_lie_with_a_right_crc_is_found(void **state)
{
    struct arena arena = {0};
    struct str frame = frame_of(&messages[0], &arena);
    uint8_t *at = (uint8_t *)(uintptr_t)frame.ptr;

    assert_int_equal(decode_sealed(frame, &arena), ERR_NONE);
    bytes_put_u32(at + 40, UINT32_MAX); /* count */
    assert_int_equal(decode_sealed(frame, &arena), ERR_MALFORMED);
    bytes_put_u32(at + 40, 1);
    assert_int_equal(decode_sealed(frame, &arena), ERR_MALFORMED);
    bytes_put_u32(at + 40, 2);
    bytes_put_u32(at + 53, UINT32_MAX); /* length of the first */
    assert_int_equal(decode_sealed(frame, &arena), ERR_MALFORMED);
    bytes_put_u32(at + 53, 5);
    assert_int_equal(decode_sealed(frame, &arena), ERR_NONE);
    at[0] = 2; /* version */
    assert_int_equal(decode_sealed(frame, &arena), ERR_UNSUPPORTED);
    at[0] = 1;
    at[1] = RAFT_INSTALL_SNAPSHOT;
    assert_int_equal(decode_sealed(frame, &arena), ERR_UNSUPPORTED);
    at[1] = 0;
    assert_int_equal(decode_sealed(frame, &arena), ERR_UNSUPPORTED);
    arena_reset(&arena);
}

static void a_frame_over_the_limit_is_not_made_and_not_read(void **state)
{
    struct arena arena = {0};
    struct raft_message m = messages[0];
    struct raft_entry large = entries[0];
    struct str frame;

    large.buf.base = mem_zalloc(TRANSPORT_FRAME_BYTES_MAX + 1);
    m.append_entries.entries = &large;
    m.append_entries.n_entries = 1;
    large.buf.len = TRANSPORT_FRAME_BYTES_MAX - TRANSPORT_APPEND_BYTES -
                    TRANSPORT_ENTRY_BYTES;
    assert_int_equal(transport_encode(&m, &arena, &frame), ERR_NONE);
    assert_int_equal(frame.len, TRANSPORT_FRAME_BYTES_MAX);
    large.buf.len++;
    assert_int_equal(transport_encode(&m, &arena, &frame), ERR_TOO_LARGE);
    assert_int_equal(
        transport_decode(str_sub(large.buf.base, TRANSPORT_FRAME_BYTES_MAX + 1),
                         &arena, &m),
        ERR_TOO_LARGE);
    mem_free(large.buf.base);
    arena_reset(&arena);
}

static void a_message_without_a_frame_is_refused(void **state)
{
    struct arena arena = {0};
    struct raft_message m = {.type = RAFT_INSTALL_SNAPSHOT};
    struct str frame;

    assert_int_equal(transport_encode(&m, &arena, &frame), ERR_UNSUPPORTED);
    arena_reset(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_message_comes_back),
        cmocka_unit_test(entries_come_back_byte_by_byte),
        cmocka_unit_test(every_flipped_bit_and_every_cut_is_found),
        cmocka_unit_test(a_lie_with_a_right_crc_is_found),
        cmocka_unit_test(a_frame_over_the_limit_is_not_made_and_not_read),
        cmocka_unit_test(a_message_without_a_frame_is_refused),
    };

    return cmocka_run_group_tests_name("quorum/transport_core", tests, NULL,
                                       NULL);
}
