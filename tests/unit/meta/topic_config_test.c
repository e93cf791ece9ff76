/* Topic configs and names: what is taken, and how a refusal reads. */
#include "lib/fixture.h"

#include "meta/topic_config_core.h"

static enum err set(struct topic_settings *s, const char *name,
                    const char *value, struct why *why)
{
    return topic_config_set(s, str_of(name), str_of(value), why);
}

static void a_topic_that_says_nothing_has_the_defaults(void **unused)
{
    struct topic_settings s;

    topic_settings_init(&s);
    assert_int_equal(s.segment_bytes, 1073741824);
    assert_int_equal(s.retention_ms, 604800000);
    assert_int_equal(s.retention_bytes, -1);
    assert_int_equal(s.max_message_bytes, 1048588);
    assert_int_equal(s.flush, TOPIC_FLUSH_COMMIT);
    assert_int_equal(s.flush_messages, INT64_MAX);
    assert_int_equal(s.cleanup_policy, TOPIC_CLEANUP_DELETE);
    assert_int_equal(s.timestamp_type, TOPIC_CREATE_TIME);
    assert_int_equal(s.timestamp_after_ms_max, 3600000);
    assert_int_equal(s.compression_type, TOPIC_COMPRESSION_PRODUCER);
    assert_int_equal(s.min_insync_replicas, 1);
}

static void the_table_is_sorted_and_finds_each(void **unused)
{
    for (size_t i = 0; i < topic_config_count(); i++) {
        const struct topic_config *c = topic_config_at(i);

        assert_ptr_equal(topic_config_find(str_of(c->name)), c);
        assert_true(i == 0 ||
                    strcmp(topic_config_at(i - 1)->name, c->name) < 0);
        assert_true(c->about != NULL && c->fixed == (c->fixed_text != NULL));
    }
    assert_null(topic_config_find(STR_LIT("")));
    assert_null(topic_config_find(STR_LIT("zzz")));
}

/* What DescribeConfigs shows can be given back to CreateTopics. */
static void every_default_is_accepted_as_it_is_shown(void **unused)
{
    struct topic_settings defaults;
    struct topic_settings again;
    struct arena arena = {0};
    struct why why;

    topic_settings_init(&defaults);
    topic_settings_init(&again);
    for (size_t i = 0; i < topic_config_count(); i++) {
        const struct topic_config *c = topic_config_at(i);
        struct str text = topic_config_text(c, &defaults, &arena);

        assert_int_equal(topic_config_set(&again, str_of(c->name), text, &why),
                         ERR_NONE);
    }
    assert_memory_equal(&defaults, &again, sizeof(defaults));
    arena_reset(&arena);
}

static void values_become_numbers(void **unused)
{
    struct topic_settings s;
    struct arena arena = {0};

    topic_settings_init(&s);
    assert_int_equal(set(&s, "segment.bytes", "1048576", NULL), ERR_NONE);
    assert_int_equal(set(&s, "retention.ms", " +5 ", NULL), ERR_NONE);
    assert_int_equal(set(&s, "retention.bytes", "-1", NULL), ERR_NONE);
    assert_int_equal(set(&s, "compression.type", "zstd", NULL), ERR_NONE);
    assert_int_equal(set(&s, "message.timestamp.type", "LogAppendTime", NULL),
                     ERR_NONE);
    assert_int_equal(set(&s, "tidemark.flush", "async", NULL), ERR_NONE);
    assert_int_equal(set(&s, "preallocate", "FALSE", NULL), ERR_NONE);
    assert_int_equal(set(&s, "cleanup.policy", "delete", NULL), ERR_NONE);
    assert_int_equal(s.segment_bytes, 1048576);
    assert_int_equal(s.retention_ms, 5);
    assert_int_equal(s.compression_type, TOPIC_COMPRESSION_ZSTD);
    assert_int_equal(s.timestamp_type, TOPIC_LOG_APPEND_TIME);
    assert_int_equal(s.flush, TOPIC_FLUSH_ASYNC);
    assert_true(
        str_eq(topic_config_text(topic_config_find(STR_LIT("compression.type")),
                                 &s, &arena),
               STR_LIT("zstd")));
    assert_int_equal(set(NULL, "retention.ms", "7", NULL), ERR_NONE);
    arena_reset(&arena);
}

static void a_refusal_names_the_config_and_the_reason(void **unused)
{
    static const struct {
        const char *name, *value, *text;
    } cases[] = {
        {"retention.mss", "5",
         "unknown topic config \"retention.mss\": did you mean "
         "\"retention.ms\"?"},
        {"colour", "5", "unknown topic config \"colour\""},
        {"retention.ms", "7d", "retention.ms=7d: must be a whole number"},
        {"retention.ms", "", "retention.ms=: must be a whole number"},
        {"retention.ms", "-2", "retention.ms=-2: must be at least -1"},
        {"retention.ms", "+-2", "retention.ms=+-2: must be a whole number"},
        {"segment.bytes", "1048575",
         "segment.bytes=1048575: must be at least 1048576"},
        {"segment.bytes", "2147483648",
         "segment.bytes=2147483648: must be at most 2147483647"},
        {"min.insync.replicas", "0",
         "min.insync.replicas=0: must be at least 1"},
        {"compression.gzip.level", "10",
         "compression.gzip.level=10: must be at most 9"},
        {"compression.type", "rar",
         "compression.type=rar: must be one of producer, uncompressed, gzip, "
         "snappy, lz4, zstd"},
        {"tidemark.flush", "never",
         "tidemark.flush=never: must be one of commit, async"},
        {"cleanup.policy", "compact",
         "cleanup.policy=compact is known, not in this version: only "
         "\"delete\" is"},
        {"cleanup.policy", "compact,delete",
         "cleanup.policy=compact,delete is known, not in this version: only "
         "\"delete\" is"},
        {"remote.storage.enable", "true",
         "remote.storage.enable=true is known, not in this version: only "
         "\"false\" is"},
        {"preallocate", "true",
         "preallocate=true is known, not in this version: only \"false\" is"},
    };

    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct topic_settings s;
        struct topic_settings before;
        struct why why;

        topic_settings_init(&s);
        before = s;
        assert_int_equal(set(&s, cases[i].name, cases[i].value, &why),
                         ERR_INVALID_CONFIG);
        assert_string_equal(why.text, cases[i].text);
        assert_memory_equal(&s, &before, sizeof(s));
    }
    assert_int_equal(
        topic_config_set(NULL, STR_LIT("retention.ms"), STR_NULL, NULL),
        ERR_INVALID_CONFIG);
}

static void names_of_topics_are_kafkas(void **unused)
{
    char name[TOPIC_NAME_BYTES_MAX + 1];
    static const char *const good[] = {"a", "A.b_c-9", "...", "__x"};
    static const char *const bad[] = {"",    ".",    "..",       "a b",
                                      "a/b", "a\tb", "\xc3\xa9", "a:b"};

    for (size_t i = 0; i < ARRAY_COUNT(good); i++) {
        assert_int_equal(topic_name_check(str_of(good[i]), NULL), ERR_NONE);
    }
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        assert_int_equal(topic_name_check(str_of(bad[i]), NULL),
                         ERR_INVALID_TOPIC_EXCEPTION);
    }
    memset(name, 'x', sizeof(name));
    assert_int_equal(topic_name_check(str_sub(name, 249), NULL), ERR_NONE);
    assert_int_equal(topic_name_check(str_sub(name, 250), NULL),
                     ERR_INVALID_TOPIC_EXCEPTION);
    assert_int_equal(topic_name_check(STR_LIT("a\0b"), NULL),
                     ERR_INVALID_TOPIC_EXCEPTION);
}

static void some_names_are_reserved(void **unused)
{
    assert_true(topic_name_is_reserved(STR_LIT("__consumer_offsets")));
    assert_true(topic_name_is_reserved(STR_LIT("__transaction_state")));
    assert_true(topic_name_is_reserved(STR_LIT("__share_group_state")));
    assert_true(topic_name_is_reserved(STR_LIT("__cluster_metadata")));
    assert_true(topic_name_is_reserved(STR_LIT("__lanes.orders")));
    assert_false(topic_name_is_reserved(STR_LIT("__lanes")));
    assert_false(topic_name_is_reserved(STR_LIT("orders")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_topic_that_says_nothing_has_the_defaults),
        cmocka_unit_test(the_table_is_sorted_and_finds_each),
        cmocka_unit_test(every_default_is_accepted_as_it_is_shown),
        cmocka_unit_test(values_become_numbers),
        cmocka_unit_test(a_refusal_names_the_config_and_the_reason),
        cmocka_unit_test(names_of_topics_are_kafkas),
        cmocka_unit_test(some_names_are_reserved),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
