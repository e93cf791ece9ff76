/* producer_state_core_test.c - Kafka's rules of idempotence, by transcript. */
#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/mem.h"
#include "lib/fixture.h"
#include "log/producer_files_core.h"

struct one {
    int64_t id;
    int16_t epoch;
    int32_t sequence;
    int32_t count;
    int64_t offset;
    int16_t attributes;
};

static struct batch_header header(struct one it)
{
    return (struct batch_header){.base_offset = it.offset,
                                 .bytes = 100,
                                 .attributes = it.attributes,
                                 .last_offset_delta = it.count - 1,
                                 .max_timestamp = 1000 + it.offset,
                                 .producer_id = it.id,
                                 .producer_epoch = it.epoch,
                                 .base_sequence = it.sequence,
                                 .record_count = it.count};
}

static void note(struct producer_state *s, struct one it)
{
    struct batch_header h = header(it);

    producer_state_note(s, &h, 1000 + it.offset);
}

static enum err check(struct producer_state *s, struct one it, bool *duplicate,
                      int64_t *offset)
{
    struct batch_header h = header(it);

    return producer_state_check(s, &h, duplicate, offset);
}

/* What a batch meets: ERR_NONE, or the error; a duplicate gives its offset. */
static void expect(struct producer_state *s, struct one it, enum err err,
                   int64_t duplicate_of)
{
    bool duplicate = false;
    int64_t offset = -1;

    assert_int_equal(check(s, it, &duplicate, &offset), err);
    assert_int_equal(duplicate, duplicate_of >= 0);
    assert_int_equal(duplicate ? offset : -1, duplicate_of);
}

static void
producer_state_takes_an_unknown_producer_at_any_sequence(void **state)
{
    struct producer_state s;

    producer_state_init(&s, 1000);
    expect(&s, (struct one){7, 0, 500, 1, 0, 0}, ERR_NONE, -1);
    expect(&s, (struct one){-1, -1, -1, 1, 0, 0}, ERR_NONE, -1);
    producer_state_fini(&s);
}

static void producer_state_wants_sequences_without_a_gap(void **state)
{
    struct producer_state s;

    producer_state_init(&s, 1000);
    note(&s, (struct one){7, 0, 0, 3, 100, 0});
    expect(&s, (struct one){7, 0, 3, 1, 0, 0}, ERR_NONE, -1);
    expect(&s, (struct one){7, 0, 4, 1, 0, 0}, ERR_OUT_OF_ORDER_SEQUENCE_NUMBER,
           -1);
    expect(&s, (struct one){7, 0, 2, 1, 0, 0}, ERR_OUT_OF_ORDER_SEQUENCE_NUMBER,
           -1);
    /* The same first, another last: no duplicate. */
    expect(&s, (struct one){7, 0, 0, 2, 0, 0}, ERR_OUT_OF_ORDER_SEQUENCE_NUMBER,
           -1);
    producer_state_fini(&s);
}

static void producer_state_knows_the_last_five_batches_again(void **state)
{
    struct producer_state s;

    producer_state_init(&s, 1000);
    for (int i = 0; i < 6; i++) {
        note(&s, (struct one){7, 0, i * 2, 2, 100 + i * 10, 0});
    }
    expect(&s, (struct one){7, 0, 0, 2, 0, 0}, ERR_OUT_OF_ORDER_SEQUENCE_NUMBER,
           -1);
    for (int i = 1; i < 6; i++) {
        expect(&s, (struct one){7, 0, i * 2, 2, 0, 0}, ERR_NONE, 100 + i * 10);
    }
    producer_state_fini(&s);
}

static void producer_state_wraps_sequences(void **state)
{
    struct producer_state s;

    producer_state_init(&s, 1000);
    note(&s, (struct one){7, 0, INT32_MAX - 1, 2, 100, 0});
    expect(&s, (struct one){7, 0, 0, 1, 0, 0}, ERR_NONE, -1);
    note(&s, (struct one){7, 0, INT32_MAX, 3, 102, 0}); /* ends at 1 */
    expect(&s, (struct one){7, 0, 2, 1, 0, 0}, ERR_NONE, -1);
    expect(&s, (struct one){7, 0, INT32_MAX, 3, 0, 0}, ERR_NONE, 102);
    producer_state_fini(&s);
}

static void
producer_state_fences_old_epochs_and_starts_new_ones_at_zero(void **state)
{
    struct producer_state s;

    producer_state_init(&s, 1000);
    note(&s, (struct one){7, 3, 0, 5, 100, 0});
    expect(&s, (struct one){7, 2, 5, 1, 0, 0}, ERR_INVALID_PRODUCER_EPOCH, -1);
    expect(&s, (struct one){7, 4, 5, 1, 0, 0}, ERR_OUT_OF_ORDER_SEQUENCE_NUMBER,
           -1);
    expect(&s, (struct one){7, 4, 0, 1, 0, 0}, ERR_NONE, -1);
    note(&s, (struct one){7, 4, 0, 1, 105, 0});
    /* The batches of the old epoch are forgotten. */
    expect(&s, (struct one){7, 3, 0, 5, 0, 0}, ERR_INVALID_PRODUCER_EPOCH, -1);
    expect(&s, (struct one){7, 4, 0, 1, 0, 0}, ERR_NONE, 105);
    producer_state_fini(&s);
}

static void producer_state_refuses_plain_batches_in_a_transaction(void **state)
{
    struct producer_state s;

    producer_state_init(&s, 1000);
    note(&s, (struct one){7, 0, 0, 1, 100, BATCH_TRANSACTIONAL});
    expect(&s, (struct one){7, 0, 1, 1, 0, 0}, ERR_INVALID_TXN_STATE, -1);
    expect(&s, (struct one){7, 0, 1, 1, 0, BATCH_TRANSACTIONAL}, ERR_NONE, -1);
    assert_int_equal(producer_state_find(&s, 7)->txn_first_offset, 100);
    note(&s,
         (struct one){7, 0, -1, 1, 101, BATCH_TRANSACTIONAL | BATCH_CONTROL});
    assert_int_equal(producer_state_find(&s, 7)->txn_first_offset, -1);
    expect(&s, (struct one){7, 0, 1, 1, 0, 0}, ERR_NONE, -1);
    producer_state_fini(&s);
}

/* Recovery replays from a state that may know some of the batches. */
static void producer_state_notes_a_batch_twice_as_once(void **state)
{
    struct producer_state s;

    producer_state_init(&s, 1000);
    note(&s, (struct one){7, 0, 0, 1, 100, 0});
    note(&s, (struct one){7, 0, 1, 1, 101, 0});
    note(&s, (struct one){7, 0, 0, 1, 100, 0});
    note(&s, (struct one){7, 0, 1, 1, 101, 0});
    assert_int_equal(producer_state_find(&s, 7)->count, 2);
    producer_state_fini(&s);
}

static void producer_state_forgets_who_is_silent(void **state)
{
    struct producer_state s;

    producer_state_init(&s, 500);
    for (int i = 0; i < 100; i++) {
        note(&s, (struct one){i, 0, 0, 1, i, 0}); /* heard at 1000 + i */
    }
    note(&s, (struct one){1000, 0, 0, 1, 0, BATCH_TRANSACTIONAL});
    producer_state_expire(&s, 1550);
    assert_null(producer_state_find(&s, 50));
    assert_non_null(producer_state_find(&s, 51));
    assert_non_null(producer_state_find(&s, 1000));
    assert_int_equal(s.count, 50);
    producer_state_fini(&s);
}

static void
producer_state_forgets_the_longest_silent_beyond_its_limit(void **state)
{
    struct producer_state s;

    producer_state_init(&s, 1000);
    s.limit = 3;
    for (int64_t id = 1; id <= 3; id++) {
        note(&s, (struct one){.id = id, .offset = id, .count = 1});
    }
    note(&s, (struct one){.id = 1, .offset = 10, .sequence = 1, .count = 1});
    note(&s, (struct one){.id = 4, .offset = 11, .count = 1});
    assert_int_equal(s.count, 3);
    assert_non_null(producer_state_find(&s, 1));
    assert_null(producer_state_find(&s, 2));
    assert_non_null(producer_state_find(&s, 3));
    for (int64_t id = 100; id < 5000; id++) {
        note(&s, (struct one){.id = id, .offset = id, .count = 1});
    }
    assert_int_equal(s.count, 3);
    assert_non_null(producer_state_find(&s, 4999));
    producer_state_fini(&s);
}

static void fill(struct producer_state *s)
{
    producer_state_init(s, 1000);
    for (int id = 1; id <= 40; id++) {
        for (int i = 0; i < id % 8; i++) {
            note(s, (struct one){id, (int16_t)id, i, 1, id * 10 + i, 0});
        }
    }
    note(s, (struct one){99, 1, 0, 1, 500, BATCH_TRANSACTIONAL});
}

/* They know the same of the producers that fill() makes. */
static void expect_same(const struct producer_state *left,
                        const struct producer_state *right)
{
    assert_int_equal(left->count, right->count);
    for (int id = 1; id <= 99; id++) {
        const struct producer_entry *a = producer_state_find(left, id);
        const struct producer_entry *b = producer_state_find(right, id);

        assert_int_equal(a == NULL, b == NULL);
        if (a != NULL) {
            assert_int_equal(a->count, b->count);
            assert_int_equal(a->epoch, b->epoch);
            assert_int_equal(a->txn_first_offset, b->txn_first_offset);
            assert_int_equal(a->seen_ms, b->seen_ms);
            assert_memory_equal(a->batches, b->batches,
                                sizeof(a->batches[0]) * a->count);
        }
    }
}

static void producer_state_comes_back_from_its_deep_bytes(void **state)
{
    struct producer_state s;
    struct producer_state back;
    size_t bytes = 0;
    char *text;

    fill(&s);
    producer_state_init(&back, 1000);
    note(&back, (struct one){12345, 0, 0, 1, 0, 0}); /* goes */
    text = producer_files_encode_deep(&s, INT64_MAX, &bytes);
    assert_int_equal(producer_files_decode_deep(&back, str_sub(text, bytes)),
                     ERR_NONE);
    expect_same(&s, &back);
    /* Who was silent longest still is. */
    back.limit = back.count;
    note(&back, (struct one){5000, 0, 0, 1, 600, 0});
    assert_null(producer_state_find(&back, 1));
    assert_non_null(producer_state_find(&back, 2));
    mem_free(text);
    producer_state_fini(&s);
    producer_state_fini(&back);
}

static void producer_state_snapshot_is_kafkas_byte_for_byte(void **state)
{
    static const uint8_t expected[] = {
        0,   1,                                 /* version */
        0,   0,   0,   0,                       /* CRC, filled in below */
        0,   0,   0,   1,                       /* count */
        0,   0,   0,   0,   0,   0,   0,   7,   /* producer id */
        0,   3,                                 /* epoch */
        0,   0,   0,   4,                       /* last sequence */
        0,   0,   0,   0,   0,   0,   0,   104, /* last offset */
        0,   0,   0,   4,                       /* offset delta */
        0,   0,   0,   0,   0,   0,   4,   76,  /* timestamp 1100 */
        255, 255, 255, 255,                     /* coordinator epoch */
        255, 255, 255, 255, 255, 255, 255, 255, /* no transaction */
    };
    struct producer_state s;
    struct producer_state back;
    size_t bytes = 0;
    char *text;

    producer_state_init(&s, 1000);
    producer_state_init(&back, 1000);
    note(&s, (struct one){7, 3, 0, 5, 100, 0});
    text = producer_files_encode_kafka(&s, INT64_MAX, &bytes);
    assert_int_equal(bytes, sizeof(expected));
    assert_memory_equal(text, expected, 2);
    assert_memory_equal(text + 6, expected + 6, sizeof(expected) - 6);
    assert_int_equal(bytes_get_u32(text + 2), crc32c(0, text + 6, bytes - 6));
    assert_int_equal(
        producer_files_decode_kafka(&back, str_sub(text, bytes), 5), ERR_NONE);
    expect(&back, (struct one){7, 3, 0, 5, 0, 0}, ERR_NONE, 100);
    expect(&back, (struct one){7, 3, 5, 1, 0, 0}, ERR_NONE, -1);
    mem_free(text);
    producer_state_fini(&s);
    producer_state_fini(&back);
}

/* A roll stores the state of its base while batches beyond it are noted. */
static void producer_state_leaves_out_what_lies_above(void **state)
{
    struct producer_state s;
    struct producer_state back;
    size_t bytes = 0;
    char *text;

    producer_state_init(&s, 1000);
    producer_state_init(&back, 1000);
    note(&s, (struct one){7, 0, 0, 1, 100, 0});
    note(&s, (struct one){7, 0, 1, 1, 101, 0});
    note(&s, (struct one){8, 0, 0, 1, 102, 0});
    text = producer_files_encode_deep(&s, 101, &bytes);
    assert_int_equal(producer_files_decode_deep(&back, str_sub(text, bytes)),
                     ERR_NONE);
    mem_free(text);
    assert_int_equal(back.count, 1);
    expect(&back, (struct one){7, 0, 1, 1, 0, 0}, ERR_NONE, -1);
    text = producer_files_encode_kafka(&s, 101, &bytes);
    assert_int_equal(
        producer_files_decode_kafka(&back, str_sub(text, bytes), 5), ERR_NONE);
    mem_free(text);
    assert_int_equal(back.count, 1);
    expect(&back, (struct one){7, 0, 0, 1, 0, 0}, ERR_NONE, 100);
    producer_state_fini(&s);
    producer_state_fini(&back);
}

static void producer_state_refuses_bytes_that_were_changed(void **state)
{
    struct producer_state s;
    struct producer_state back;
    size_t bytes = 0;
    char *text;

    fill(&s);
    producer_state_init(&back, 1000);
    note(&back, (struct one){5, 0, 0, 1, 0, 0});
    text = producer_files_encode_kafka(&s, INT64_MAX, &bytes);
    for (size_t i = 0; i < bytes; i++) {
        text[i] = (char)(text[i] ^ 1);
        assert_int_equal(
            producer_files_decode_kafka(&back, str_sub(text, bytes), 5),
            ERR_CORRUPT);
        assert_int_equal(
            producer_files_decode_kafka(&back, str_sub(text, i), 5),
            ERR_CORRUPT);
        text[i] = (char)(text[i] ^ 1);
    }
    mem_free(text);
    text = producer_files_encode_deep(&s, INT64_MAX, &bytes);
    for (size_t i = 0; i < bytes; i++) {
        assert_int_equal(producer_files_decode_deep(&back, str_sub(text, i)),
                         ERR_CORRUPT);
    }
    assert_int_equal(back.count, 1);
    mem_free(text);
    producer_state_fini(&s);
    producer_state_fini(&back);
}

static void take(struct producer_state *s, struct one it)
{
    struct batch_header h = header(it);

    producer_state_take(s, &h, 1000 + it.offset);
}

static void refuse(struct producer_state *s, struct one it)
{
    struct batch_header h = header(it);

    producer_state_refuse(s, &h, 1000);
}

/* Five refused ones have pushed out all five of before. */
static void producer_state_gives_back_what_was_not_written(void **state)
{
    struct producer_state s;
    struct producer_state before;

    fill(&s);
    fill(&before);
    for (int i = 0; i < 7; i++) {
        take(&s, (struct one){7, 7, 7 + i, 1, 1000 + i, 0});
    }
    take(&s, (struct one){6, 9, 0, 1, 1007, 0}); /* a new epoch */
    take(&s, (struct one){99, 1, 1, 1, 1008, BATCH_TRANSACTIONAL});
    expect(&s, (struct one){7, 7, 14, 1, 0, 0}, ERR_NONE, -1);
    expect(&s, (struct one){7, 7, 13, 1, 0, 0}, ERR_NONE, 1006);
    producer_state_give_back(&s);
    expect(&s, (struct one){7, 7, 13, 1, 0, 0},
           ERR_OUT_OF_ORDER_SEQUENCE_NUMBER, -1);
    for (int i = 2; i < 7; i++) {
        expect(&s, (struct one){7, 7, i, 1, 0, 0}, ERR_NONE, 70 + i);
    }
    expect(&s, (struct one){7, 7, 7, 1, 0, 0}, ERR_NONE, -1);
    expect(&s, (struct one){6, 6, 6, 1, 0, 0}, ERR_NONE, -1);
    expect_same(&s, &before);
    producer_state_fini(&s);
    producer_state_fini(&before);
}

static void producer_state_keeps_what_was_written_before_the_refusal(void **t)
{
    struct producer_state s;

    producer_state_init(&s, 1000);
    take(&s, (struct one){7, 0, 0, 1, 100, 0});
    take(&s, (struct one){8, 0, 0, 1, 101, 0});
    take(&s, (struct one){7, 0, 1, 1, 102, 0});
    producer_state_settle(&s, 101);
    producer_state_give_back(&s);
    expect(&s, (struct one){7, 0, 0, 1, 0, 0}, ERR_NONE, 100);
    expect(&s, (struct one){7, 0, 1, 1, 0, 0}, ERR_NONE, -1);
    expect(&s, (struct one){8, 0, 0, 1, 0, 0}, ERR_NONE, -1);
    /* A reserved range below is taken later, and written first. */
    take(&s, (struct one){7, 0, 9, 1, 110, 0});
    take(&s, (struct one){8, 0, 0, 1, 105, 0});
    producer_state_settle(&s, 106);
    producer_state_give_back(&s);
    expect(&s, (struct one){7, 0, 1, 1, 0, 0}, ERR_NONE, -1);
    expect(&s, (struct one){8, 0, 0, 1, 0, 0}, ERR_NONE, 105);
    assert_null(s.taken);
    producer_state_fini(&s);
}

static void producer_state_waits_for_the_first_that_was_refused(void **state)
{
    for (int taken = 0; taken < 2; taken++) {
        struct producer_state s;
        struct one first = {7, 3, 500, 2, 100, 0};

        producer_state_init(&s, 1000);
        if (taken == 1) {
            take(&s, first);
            take(&s, (struct one){7, 3, 502, 1, 102, 0});
            producer_state_give_back(&s);
        } else {
            refuse(&s, first);
            refuse(&s, (struct one){7, 3, 503, 1, 0, 0});
        }
        expect(&s, (struct one){7, 3, 502, 1, 0, 0},
               ERR_OUT_OF_ORDER_SEQUENCE_NUMBER, -1);
        expect(&s, (struct one){7, 3, 0, 1, 0, 0},
               ERR_OUT_OF_ORDER_SEQUENCE_NUMBER, -1);
        expect(&s, (struct one){7, 2, 0, 1, 0, 0}, ERR_INVALID_PRODUCER_EPOCH,
               -1);
        expect(&s, (struct one){7, 4, 0, 1, 0, 0}, ERR_NONE, -1);
        expect(&s, first, ERR_NONE, -1);
        take(&s, first);
        producer_state_settle(&s, 102);
        expect(&s, first, ERR_NONE, 100);
        expect(&s, (struct one){7, 3, 502, 1, 0, 0}, ERR_NONE, -1);
        producer_state_fini(&s);
    }
}

static void producer_state_stores_nothing_of_who_was_refused(void **state)
{
    struct producer_state s;
    struct producer_state back;
    size_t bytes = 0;
    char *text;

    producer_state_init(&s, 500);
    producer_state_init(&back, 500);
    note(&s, (struct one){8, 0, 0, 1, 100, 0});
    refuse(&s, (struct one){7, 0, 5, 1, 0, 0});
    text = producer_files_encode_kafka(&s, INT64_MAX, &bytes);
    assert_int_equal(
        producer_files_decode_kafka(&back, str_sub(text, bytes), 5), ERR_NONE);
    mem_free(text);
    assert_int_equal(back.count, 1);
    text = producer_files_encode_deep(&s, INT64_MAX, &bytes);
    assert_int_equal(producer_files_decode_deep(&back, str_sub(text, bytes)),
                     ERR_NONE);
    mem_free(text);
    assert_int_equal(back.count, 1);
    /* And it is forgotten as others are. */
    producer_state_expire(&s, 1500);
    assert_null(producer_state_find(&s, 7));
    s.limit = 2;
    for (int64_t id = 20; id < 40; id++) {
        refuse(&s, (struct one){id, 0, 0, 1, 0, 0});
    }
    assert_int_equal(s.count, 2);
    producer_state_fini(&s);
    producer_state_fini(&back);
}

/* Clients that begin anew, each with a new id, while the disk is full. */
static void producer_state_forgets_who_was_refused_before_who_was_not(void **s_)
{
    struct producer_state s;

    producer_state_init(&s, 1000);
    s.limit = 10;
    for (int id = 1; id <= 9; id++) {
        note(&s, (struct one){.id = id, .offset = id, .count = 1});
    }
    for (int64_t id = 100; id < 200; id++) {
        refuse(&s, (struct one){id, 0, 0, 1, 0, 0});
    }
    note(&s, (struct one){.id = 10, .offset = 20, .count = 1});
    assert_int_equal(s.count, 10);
    for (int64_t id = 1; id <= 10; id++) {
        assert_non_null(producer_state_find(&s, id));
    }
    /* One that came to the log is not refused any more. */
    note(&s, (struct one){.id = 300, .offset = 21, .count = 1});
    assert_null(producer_state_find(&s, 1));
    assert_non_null(producer_state_find(&s, 2));
    producer_state_fini(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            producer_state_takes_an_unknown_producer_at_any_sequence),
        cmocka_unit_test(producer_state_wants_sequences_without_a_gap),
        cmocka_unit_test(producer_state_knows_the_last_five_batches_again),
        cmocka_unit_test(producer_state_wraps_sequences),
        cmocka_unit_test(
            producer_state_fences_old_epochs_and_starts_new_ones_at_zero),
        cmocka_unit_test(producer_state_refuses_plain_batches_in_a_transaction),
        cmocka_unit_test(producer_state_notes_a_batch_twice_as_once),
        cmocka_unit_test(producer_state_forgets_who_is_silent),
        cmocka_unit_test(
            producer_state_forgets_the_longest_silent_beyond_its_limit),
        cmocka_unit_test(producer_state_comes_back_from_its_deep_bytes),
        cmocka_unit_test(producer_state_snapshot_is_kafkas_byte_for_byte),
        cmocka_unit_test(producer_state_leaves_out_what_lies_above),
        cmocka_unit_test(producer_state_refuses_bytes_that_were_changed),
        cmocka_unit_test(producer_state_gives_back_what_was_not_written),
        cmocka_unit_test(
            producer_state_keeps_what_was_written_before_the_refusal),
        cmocka_unit_test(producer_state_waits_for_the_first_that_was_refused),
        cmocka_unit_test(producer_state_stores_nothing_of_who_was_refused),
        cmocka_unit_test(
            producer_state_forgets_who_was_refused_before_who_was_not),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
