/* Settings: what a config file may say, and what is said about the rest.
 *
 * Transcripts: the file, the --sets, and the whole report, which is the text
 * that a user reads. */
#include "broker/settings.h"
#include "base/mem.h"

#include "lib/fixture.h"
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[FIXTURE_PATH_BYTES];

static int setup(void **state)
{
    fixture_folder(folder);
    return chdir(folder);
}

static int teardown(void **state)
{
    assert_int_equal(chdir("/"), 0);
    fixture_remove(folder);
    return 0;
}

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static const char *no_env(const char *name)
{
    return strcmp(name, "SET") == 0 ? "value" : NULL;
}

static enum err load(const char *config, const char *const *sets,
                     struct settings **out, char **report)
{
    struct settings_input input = {
        .config_path = config == NULL ? NULL : "config.lua",
        .sets = sets,
        .machine_bytes = UINT64_C(8) << 30,
        .env = no_env,
    };

    while (sets != NULL && sets[input.set_count] != NULL) {
        input.set_count++;
    }
    if (config != NULL) {
        write_file("config.lua", config);
    }
    return settings_load(&input, out, report);
}

#define SETS(...) ((const char *const[]){__VA_ARGS__, NULL})

static struct settings *accepted(const char *config, const char *const *sets)
{
    struct settings *settings;
    char *report;

    if (load(config, sets, &settings, &report) != ERR_NONE) {
        print_error("%s", report);
        fail();
    }
    assert_string_equal(report, "");
    mem_free(report);
    return settings;
}

static void refused(const char *config, const char *const *sets,
                    const char *expected)
{
    struct settings *settings;
    char *report;

    assert_int_equal(load(config, sets, &settings, &report), ERR_INVALID);
    assert_null(settings);
    assert_string_equal(report, expected);
    mem_free(report);
}

static const char *config_of(const struct settings_configs *configs,
                             const char *name)
{
    for (size_t i = 0; i < configs->count; i++) {
        if (strcmp(configs->items[i].name, name) == 0) {
            return configs->items[i].value;
        }
    }
    return NULL;
}

static void without_a_word_everything_has_its_default(void **state)
{
    struct settings *s = accepted(NULL, NULL);

    assert_null(s->config_path);
    assert_int_equal(s->node.id, 1);
    assert_string_equal(s->node.rack, "");
    assert_string_equal(s->node.data_dir, "./data");
    assert_int_equal(s->storage.retention_check_ms, 300000);
    assert_int_equal(s->defaults.partitions, 1);
    assert_int_equal(s->defaults.replication_factor, -1);
    assert_int_equal(s->defaults.configs.count, 0);
    assert_int_equal(s->limits.memory_bytes, (UINT64_C(8) << 30) / 100 * 25);
    assert_int_equal(s->limits.connections, 10000);
    assert_int_equal(s->limits.frame_bytes, 104857600);
    assert_int_equal(s->limits.idle_ms, 600000);
    assert_int_equal(s->limits.frame_ms, 30000);
    assert_int_equal(s->limits.loops, 0);
    assert_int_equal(s->limits.slow_request_ms, 0);
    assert_int_equal(s->coordinator.initial_rebalance_delay_ms, 3000);
    assert_int_equal(s->coordinator.session_ms_min, 6000);
    assert_int_equal(s->coordinator.session_ms_max, 1800000);
    assert_int_equal(s->coordinator.offset_metadata_bytes, 4096);
    assert_int_equal(s->auto_create, AUTO_CREATE_LOOPBACK);
    assert_int_equal(s->topic_count, 0);
    settings_free(s);
}

static void without_a_listener_both_loopbacks_are_bound(void **state)
{
    struct settings *s = accepted("node = { id = 7 }", NULL);

    assert_int_equal(s->listener_count, 2);
    assert_string_equal(s->listeners[0].bind_host, "127.0.0.1");
    assert_int_equal(s->listeners[0].bind_port, 9092);
    assert_false(s->listeners[0].optional);
    assert_string_equal(s->listeners[1].bind_host, "::1");
    assert_true(s->listeners[1].loopback && s->listeners[1].optional);
    assert_null(s->listeners[1].advertise_host);
    settings_free(s);
}

static void a_listener_that_is_set_takes_the_place_of_the_defaults(void **state)
{
    struct settings *s =
        accepted(NULL, SETS("listeners.1.bind=127.0.0.1:1234"));

    assert_int_equal(s->listener_count, 1);
    assert_int_equal(s->listeners[0].bind_port, 1234);
    settings_free(s);
    s = accepted(NULL, SETS("listeners.1.bind=[::1]:0"));
    assert_string_equal(s->listeners[0].bind_host, "::1");
    assert_int_equal(s->listeners[0].bind_port, 0);
    assert_false(s->listeners[0].optional);
    settings_free(s);
}

static void a_whole_config_is_read(void **state)
{
    struct settings *s = accepted(
        "local dev = env('TIDEMARK_ENV', 'dev') == 'dev'\n"
        "node = { id = tonumber(env('NODE_ID', '3')), rack = env('SET'),\n"
        "         data_dir = 'd', config = {\n"
        "           ['group.initial.rebalance.delay.ms'] = '1s',\n"
        "           ['num.partitions'] = 4,\n"
        "           ['log.retention.hours'] = 2 } }\n"
        "listeners = {\n"
        "  { name = 'A', bind = 'localhost:9092', advertise = 'b.example' },\n"
        "  { name = 'B', bind = '[::]:9093', allow_insecure = true,\n"
        "    advertise = '[2001:db8::1]:19093' },\n"
        "}\n"
        "storage = { segment = '256MiB', flush = 'async',\n"
        "            segment_age = '1h', retention_check = '1m' }\n"
        "defaults = { replication_factor = dev and 1 or 3,\n"
        "             config = { ['max.message.bytes'] = '2MiB' } }\n"
        "limits = { memory = '64MiB', connections = '50', idle = '90s' }\n"
        "auto_create = false\n"
        "topics = {\n"
        "  orders = { partitions = 12, config = {\n"
        "    ['retention.ms'] = '7d', ['cleanup.policy'] = { 'delete' } } },\n"
        "  clicks = {}, old = { state = 'absent' },\n"
        "}\n"
        "for _, region in ipairs { 'eu', 'us' } do\n"
        "  topics['events.' .. region] = { partitions = 6.0 }\n"
        "end\n",
        NULL);

    assert_string_equal(s->config_path, "config.lua");
    assert_int_equal(s->node.id, 3);
    assert_string_equal(s->node.rack, "value");
    assert_string_equal(s->node.data_dir, "d");
    assert_int_equal(s->coordinator.initial_rebalance_delay_ms, 1000);
    assert_int_equal(s->defaults.partitions, 4);
    assert_int_equal(s->defaults.replication_factor, 1);
    assert_string_equal(config_of(&s->defaults.configs, "retention.ms"),
                        "7200000");
    assert_string_equal(config_of(&s->defaults.configs, "segment.bytes"),
                        "268435456");
    assert_string_equal(config_of(&s->defaults.configs, "segment.ms"),
                        "3600000");
    assert_string_equal(config_of(&s->defaults.configs, "tidemark.flush"),
                        "async");
    assert_string_equal(config_of(&s->defaults.configs, "max.message.bytes"),
                        "2097152");
    assert_int_equal(s->limits.memory_bytes, 64 << 20);
    assert_int_equal(s->limits.connections, 50);
    assert_int_equal(s->limits.idle_ms, 90000);
    assert_int_equal(s->auto_create, AUTO_CREATE_OFF);

    assert_int_equal(s->listener_count, 2);
    assert_string_equal(s->listeners[0].bind_host, "127.0.0.1");
    assert_string_equal(s->listeners[0].advertise_host, "b.example");
    assert_int_equal(s->listeners[0].advertise_port, 9092);
    assert_string_equal(s->listeners[1].name, "B");
    assert_string_equal(s->listeners[1].bind_host, "::");
    assert_false(s->listeners[1].loopback);
    assert_string_equal(s->listeners[1].advertise_host, "2001:db8::1");
    assert_int_equal(s->listeners[1].advertise_port, 19093);

    assert_int_equal(s->topic_count, 5);
    assert_string_equal(s->topics[0].name, "clicks");
    assert_int_equal(s->topics[0].partitions, -1);
    assert_int_equal(s->topics[0].replication_factor, -1);
    assert_string_equal(s->topics[1].name, "events.eu");
    assert_int_equal(s->topics[1].partitions, 6);
    assert_string_equal(s->topics[3].name, "old");
    assert_true(s->topics[3].absent);
    assert_string_equal(s->topics[4].name, "orders");
    assert_string_equal(config_of(&s->topics[4].configs, "retention.ms"),
                        "604800000");
    assert_string_equal(config_of(&s->topics[4].configs, "cleanup.policy"),
                        "delete");
    settings_free(s);
}

static void all_errors_are_told_at_once_with_file_and_line(void **state)
{
    refused("node = { id = 1 }\n"
            "topics = {\n"
            "  orders = {\n"
            "    partitions = '12x',\n"
            "    config = {\n"
            "      retention = '7d',\n"
            "      ['segment.bytes'] = 3,\n"
            "    },\n"
            "  },\n"
            "  invoices = { replication_factor = 3 },\n"
            "}\n"
            "limits = { memroy = '1GiB', connections = 0 }\n",
            NULL,
            "config.lua:4: topics.orders.partitions: expected an integer from "
            "1 to 100000, got \"12x\"\n"
            "config.lua:6: topics.orders.config: unknown key \"retention\"; "
            "did you mean \"retention.ms\"?\n"
            "config.lua:7: topics.orders.config: segment.bytes=3: must be at "
            "least 1048576 (text such as \"64MiB\" will do, too)\n"
            "config.lua:10: topics.invoices.replication_factor: 3 needs 3 "
            "brokers, the cluster has 1\n"
            "config.lua:12: limits: unknown key \"memroy\"; did you mean "
            "\"memory\"?\n"
            "config.lua:12: limits.connections: expected an integer from 1 to "
            "1000000, got 0\n");
}

static void an_unknown_global_is_an_error_with_a_suggestion(void **state)
{
    refused("lisseners = { { bind = '127.0.0.1:9092' } }\n"
            "\n"
            "dev = true\n"
            "partitions = 3\n",
            NULL,
            "config.lua:1: unknown setting \"lisseners\"; did you mean "
            "\"listeners\"?\n"
            "config.lua:3: unknown setting \"dev\"; a name of your own needs "
            "\"local\" before it\n"
            "config.lua:4: unknown setting \"partitions\"; did you mean "
            "\"defaults.partitions\"?\n");
}

/* Who wrote bnid finds that first, and then that bind is missing. */
static void the_typo_comes_before_what_is_missing(void **state)
{
    refused("listeners = {\n"
            "  { name = 'A' },\n"
            "  { bnid = '127.0.0.1:9092' },\n"
            "}\n",
            NULL,
            "config.lua:3: listeners.2: unknown key \"bnid\"; did you mean "
            "\"bind\"?\n"
            "config.lua:2: listeners.1.bind: is missing; it could be "
            "\"127.0.0.1:9092\"\n"
            "config.lua:3: listeners.2.bind: is missing; it could be "
            "\"127.0.0.1:9092\"\n");
}

static void what_comes_later_is_known_and_not_in_this_version(void **state)
{
    refused("cluster = { name = 'x' }\n"
            "listeners = { { bind = '127.0.0.1:9092', tls = {} } }\n"
            "storage = { sqlite = { cache = '64MiB' } }\n"
            "limits = { plugin_memory = '16MiB' }\n"
            "topics = { orders = { partitioner = 'murmur2' } }\n"
            "groups = {}\n",
            SETS("security.users=x", "topics.a.b.views=x"),
            "--set: security.users: is known, not in this version\n"
            "--set: topics.a.b.views: is known, not in this version\n"
            "config.lua:1: cluster: is known, not in this version\n"
            "config.lua:2: listeners.1.tls: is known, not in this version\n"
            "config.lua:3: storage.sqlite: is known, not in this version\n"
            "config.lua:4: limits.plugin_memory: is known, not in this "
            "version\n"
            "config.lua:5: topics.orders.partitioner: is known, not in this "
            "version\n"
            "config.lua:6: groups: is known, not in this version\n");
}

static void both_names_of_a_setting_are_one_too_many(void **state)
{
    refused("node = { id = 1, config = { ['num.partitions'] = 3,\n"
            "  ['broker.id'] = 1,\n"
            "  ['log.segment.bytes'] = '16MiB' } }\n"
            "defaults = { partitions = 3 }\n"
            "storage = { segment = '16MiB' }\n",
            NULL,
            "config.lua:1: node.config[\"num.partitions\"]: is the same "
            "setting as defaults.partitions: give one of them\n"
            "config.lua:1: node.id: is the same setting as "
            "node.config[\"broker.id\"]: give one of them\n"
            "config.lua:5: storage.segment: is the same setting as "
            "node.config[\"log.segment.bytes\"]: give one of them\n");
}

static void a_name_of_kafkas_that_does_nothing_is_refused_by_name(void **state)
{
    refused("node = { config = {\n"
            "  ['zookeeper.connect'] = 'x',\n"
            "  ['num.partition'] = 3,\n"
            "  ['log.cleaner.threads'] = 2,\n"
            "  ['log.cleanup.policy'] = 'compact',\n"
            "  ['log.dirs'] = '/x',\n"
            "  ['group.min.session.timeout.ms'] = 'soon',\n"
            "} }\n",
            SETS("num.replica.fetchers=2"),
            "--set: num.replica.fetchers: is a setting of Kafka's that does "
            "nothing here: remove it\n"
            "config.lua:2: node.config: unknown key \"zookeeper.connect\"\n"
            "config.lua:3: node.config: unknown key \"num.partition\"; did "
            "you mean \"num.partitions\"?\n"
            "config.lua:4: node.config[\"log.cleaner.threads\"]: is a setting "
            "of Kafka's that does nothing here: remove it\n"
            "config.lua:5: node.config[\"log.cleanup.policy\"]: "
            "cleanup.policy=compact is known, not in this version: only "
            "\"delete\" is\n"
            "config.lua:6: node.config[\"log.dirs\"]: is not known here by "
            "Kafka's name: use node.data_dir\n"
            "config.lua:7: node.config[\"group.min.session.timeout.ms\"]: "
            "expected a duration such as \"30s\", from 1ms to 2147483647ms, "
            "got \"soon\"\n");
}

static void a_set_overrides_the_file_under_either_name(void **state)
{
    struct settings *s = accepted(
        "defaults = { partitions = 3 }\n"
        "storage = { flush = 'async' }\n"
        "listeners = { { bind = '127.0.0.1:1' }, { bind = '127.0.0.1:2' } }\n"
        "topics = { ['a.b'] = { partitions = 1 } }\n",
        SETS("num.partitions=5", "defaults.config.tidemark.flush=commit",
             "node.config.broker.rack=r", "listeners.2.bind=127.0.0.1:3",
             "topics.a.b.partitions=9", "topics.new.config.retention.ms=1d",
             "node.data_dir=/x", "node.data_dir=/y",
             "auto.create.topics.enable=true", "connections.max.idle.ms=5000"));

    assert_int_equal(s->defaults.partitions, 5);
    assert_string_equal(config_of(&s->defaults.configs, "tidemark.flush"),
                        "commit");
    assert_string_equal(s->node.rack, "r");
    assert_int_equal(s->listeners[0].bind_port, 1);
    assert_int_equal(s->listeners[1].bind_port, 3);
    assert_int_equal(s->topic_count, 2);
    assert_int_equal(s->topics[0].partitions, 9);
    assert_string_equal(config_of(&s->topics[1].configs, "retention.ms"),
                        "86400000");
    assert_string_equal(s->node.data_dir, "/y");
    assert_int_equal(s->auto_create, AUTO_CREATE_ON);
    assert_int_equal(s->limits.idle_ms, 5000);
    settings_free(s);
}

static void a_wrong_set_is_told_like_a_wrong_line(void **state)
{
    refused(NULL,
            SETS("nonsense", "node.di=1", "node.id=x", "listeners.3.bind=x",
                 "listeners.1.bnd=x", "topics.a.partition=1",
                 "limits.idle=5000", "xyzzy.plugh.thing.ms=1"),
            "--set: expected PATH=VALUE, got \"nonsense\"\n"
            "--set: unknown setting \"node.di\"; did you mean \"node.id\"?\n"
            "--set: listeners.3.bind: expected listeners.N.bind, with N from "
            "1 to 1\n"
            "--set: listeners: unknown key \"bnd\"; did you mean \"bind\"?\n"
            "--set: topics.a.partition: expected topics.NAME.partitions, "
            ".replication_factor, .state or .config.KEY\n"
            "--set: unknown setting \"xyzzy.plugh.thing.ms\"\n"
            "--set: node.id: expected an integer >= 0, got \"x\"\n"
            "--set: limits.idle: expected a duration such as \"30s\", from 1s "
            "to 365d, got \"5000\"\n");
}

static void beyond_loopback_somebody_must_say_that_it_is_meant(void **state)
{
    struct settings *s;

    refused("listeners = { { bind = '0.0.0.0:9092' } }\n", NULL,
            "config.lua:1: listeners.1.bind: listener 0.0.0.0:9092 has no "
            "authentication; whoever reaches it can read and write "
            "everything. Bind 127.0.0.1:9092, or say allow_insecure = true in "
            "this listener if that is meant\n");
    s = accepted("listeners = { { bind = '0.0.0.0:9092' } }\n"
                 "allow_insecure = true\n",
                 NULL);
    assert_false(s->listeners[0].loopback);
    settings_free(s);
    s = accepted(NULL, SETS("listeners.1.bind=10.0.0.1:9092",
                            "listeners.1.allow_insecure=true"));
    settings_free(s);
}

static void addresses_are_checked(void **state)
{
    refused("listeners = {\n"
            "  { bind = '127.0.0.1' },\n"
            "  { bind = 'example.org:9092' },\n"
            "  { bind = '127.0.0.1:70000' },\n"
            "  { bind = '::1:9092' },\n"
            "  { name = 'X', bind = '127.0.0.1:9093' },\n"
            "  { name = 'X', bind = '127.0.0.1:9093' },\n"
            "  { bind = '127.0.0.1:9094', advertise = '0.0.0.0:1' },\n"
            "  { bind = 9092 },\n"
            "  { bind = '127.0.0.1:0', advertise = 'b.example:0' },\n"
            "  { bind = '127.0.0.1:1:0' },\n"
            "  { bind = ':0' },\n"
            "}\n",
            NULL,
            "config.lua:2: listeners.1.bind: expected an address and port "
            "such as \"127.0.0.1:9092\" or \"[::1]:9092\", got "
            "\"127.0.0.1\"\n"
            "config.lua:3: listeners.2.bind: expected an address and port "
            "such as \"127.0.0.1:9092\" or \"[::1]:9092\", got "
            "\"example.org:9092\"\n"
            "config.lua:4: listeners.3.bind: expected an address and port "
            "such as \"127.0.0.1:9092\" or \"[::1]:9092\", got "
            "\"127.0.0.1:70000\"\n"
            "config.lua:5: listeners.4.bind: expected an address and port "
            "such as \"127.0.0.1:9092\" or \"[::1]:9092\", got "
            "\"::1:9092\"\n"
            "config.lua:7: listeners.6.name: listeners 5 and 6 are both "
            "called \"X\"\n"
            "config.lua:7: listeners.6.bind: listener 5 binds 127.0.0.1:9093 "
            "as well\n"
            "config.lua:8: listeners.7.advertise: no client can connect to "
            "0.0.0.0: give the address that they reach this machine by\n"
            "config.lua:9: listeners.8.bind: expected text, got 9092\n"
            "config.lua:10: listeners.9.advertise: expected a name and port "
            "such as \"broker1.example:9092\", got \"b.example:0\"\n"
            "config.lua:11: listeners.10.bind: expected an address and port "
            "such as \"127.0.0.1:9092\" or \"[::1]:9092\", got "
            "\"127.0.0.1:1:0\"\n"
            "config.lua:12: listeners.11.bind: expected an address and port "
            "such as \"127.0.0.1:9092\" or \"[::1]:9092\", got \":0\"\n");
}

static void tables_and_values_are_not_taken_for_each_other(void **state)
{
    refused("node = 3\n"
            "listeners = { bind = '127.0.0.1:9092' }\n"
            "topics = { 'orders' }\n"
            "defaults = { config = 'x', partitions = {} }\n"
            "storage = { flush = 'sometimes', retention_check = print }\n",
            NULL, "config.lua:5: unknown name \"print\"\n");
    refused("node = 3\n"
            "listeners = { bind = '127.0.0.1:9092' }\n"
            "topics = { 'orders' }\n"
            "defaults = { config = 'x', partitions = {} }\n"
            "storage = { flush = 'sometimes', retention_check = ipairs }\n"
            "auto_create = 'maybe'\n"
            "limits = { memory = '101%', frame = '1PB' }\n",
            NULL,
            "config.lua:1: node: expected a table such as { key = value }, "
            "got 3\n"
            "config.lua:2: listeners: expected a list of 1 to 16 tables such "
            "as { { bind = \"127.0.0.1:9092\" } }\n"
            "config.lua:3: topics: expected a table such as { orders = { "
            "partitions = 3 } }, got a list\n"
            "config.lua:4: defaults.config: expected a table such as { "
            "[\"retention.ms\"] = \"7d\" }, got \"x\"\n"
            "config.lua:4: defaults.partitions: expected an integer from 1 to "
            "100000, got a table\n"
            "config.lua:5: storage.retention_check: expected a duration such "
            "as \"30s\", from 10ms to 1d, got a function\n"
            "config.lua:5: storage.flush: tidemark.flush=sometimes: must be "
            "one of commit, async\n"
            "config.lua:6: auto_create: expected \"loopback\" or true or "
            "false, got \"maybe\"\n"
            "config.lua:7: limits.memory: expected a size such as \"1GiB\", "
            "of at least 16MiB, or a part of the machine's memory such as "
            "\"25%\", got \"101%\"\n"
            "config.lua:7: limits.frame: expected a size such as \"64MiB\", "
            "from 16KiB to 2GiB, got \"1PB\"\n");
}

static void topics_need_names_that_a_topic_may_have(void **state)
{
    refused("topics = { ['a b'] = {}, __consumer_offsets = {},\n"
            "  ok = { partitions = 20000, state = 'gone' } }\n",
            NULL,
            "config.lua:1: topics.__consumer_offsets: the name is reserved "
            "for the broker itself\n"
            "config.lua:1: topics.a b: a topic's name can have letters, "
            "digits, \".\", \"_\" and \"-\" only: \"a b\" has something "
            "else at position 1\n"
            "config.lua:2: topics.ok.state: expected \"present\" or "
            "\"absent\", got \"gone\"\n"
            "config.lua:2: topics.ok.partitions: 20000 is more than "
            "limits.partitions_per_topic allows (10000)\n");
}

static void values_made_in_a_loop_have_the_line_of_their_statement(void **state)
{
    refused("topics = {}\n"
            "for i = 1, 2 do\n"
            "  topics['t' .. i] = {\n"
            "    partitions = -i,\n"
            "  }\n"
            "end\n",
            NULL,
            "config.lua:4: topics.t1.partitions: expected an integer from 1 "
            "to 100000, got -1\n"
            "config.lua:4: topics.t2.partitions: expected an integer from 1 "
            "to 100000, got -2\n");
}

static void included_files_have_their_own_lines(void **state)
{
    assert_int_equal(mkdir("topics", 0777), 0);
    write_file("topics/a.lua", "topics.a = { partitions = 2 }\n");
    write_file("topics/b.lua", "topics.b = {\n  partitions = 0 }\n");
    write_file("one.lua", "return { partitions = 'x' }\n");
    refused("topics = {}\n"
            "include 'topics/*.lua'\n"
            "topics.c = include 'one.lua'\n"
            "include 'none/*.lua'\n",
            NULL,
            "config.lua:3: topics.c.partitions: expected an integer from 1 to "
            "100000, got \"x\"\n"
            "topics/b.lua:2: topics.b.partitions: expected an integer from 1 "
            "to 100000, got 0\n");
}

static void paths_are_relative_to_the_file_and_of_a_set_to_here(void **state)
{
    struct settings_input input = {.config_path = "sub/c.lua", .env = no_env};
    struct settings *s;
    char *report;
    const char *const sets[] = {"node.data_dir=here"};

    assert_int_equal(mkdir("sub", 0777), 0);
    write_file("sub/c.lua", "node = { data_dir = './d' }");
    assert_int_equal(settings_load(&input, &s, &report), ERR_NONE);
    assert_string_equal(s->node.data_dir, "sub/d");
    settings_free(s);
    mem_free(report);
    input.sets = sets;
    input.set_count = 1;
    assert_int_equal(settings_load(&input, &s, &report), ERR_NONE);
    assert_string_equal(s->node.data_dir, "here");
    settings_free(s);
    mem_free(report);
}

static void a_missing_file_or_variable_is_one_clear_line(void **state)
{
    struct settings_input input = {.config_path = "none.lua", .env = no_env};
    struct settings *s;
    char *report;

    assert_int_equal(settings_load(&input, &s, &report), ERR_INVALID);
    assert_string_equal(report, "none.lua: no such file\n");
    mem_free(report);
    refused("node = { rack = env 'UNSET' .. '-1',\n"
            "  id = env 'ALSO_UNSET' }\n"
            "limits = { idel = '1s' }\n",
            NULL,
            "config.lua:1: env \"UNSET\" is not set and has no default\n"
            "config.lua:2: env \"ALSO_UNSET\" is not set and has no default\n"
            "config.lua:3: limits: unknown key \"idel\"; did you mean "
            "\"idle\"?\n");
}

static void a_secret_is_never_shown(void **state)
{
    refused("node = { rack = secret 'env:PASSWORD' }\n", NULL,
            "config.lua:1: node.rack: expected text, got a secret\n");
}

static void a_hundred_errors_are_enough(void **state)
{
    struct settings *s;
    char *report;
    size_t lines = 0;

    assert_int_equal(load("topics = {}\n"
                          "for i = 1, 500 do topics['a b' .. i] = {} end\n",
                          NULL, &s, &report),
                     ERR_INVALID);
    for (const char *at = report; *at != '\0'; at++) {
        lines += *at == '\n';
    }
    assert_int_equal(lines, 101);
    assert_non_null(strstr(report, "\nand 400 more\n"));
    mem_free(report);
}

struct limit {
    const char *path;
    const char *lowest;
    const char *below;
    const char *highest;
    const char *above;
};

/* Every number has two ends, and both are where the table says. */
static void every_setting_keeps_its_limits(void **state)
{
    static const struct limit limits[] = {
        {"node.id", "0", "-1", "2147483647", "2147483648"},
        {"storage.retention_check", "10ms", "9ms", "1d", "25h"},
        {"storage.segment", "1MiB", "1023KiB", "2147483647", "2GiB"},
        {"storage.segment_age", "1ms", "0", "99d", "99999999999999d"},
        {"defaults.partitions", "1", "0", "100000", "100001"},
        {"defaults.replication_factor", "-1", "-2", "1", "2"},
        {"limits.memory", "16MiB", "16383KiB", "99TiB", "99999999TiB"},
        {"limits.connections", "1", "0", "1000000", "1000001"},
        {"limits.connections_per_ip", "1", "0", "1000000", "1000001"},
        {"limits.frame", "16KiB", "16383", "2147483647", "2GiB"},
        {"limits.idle", "1s", "999ms", "365d", "366d"},
        {"limits.frame_wait", "1s", "999ms", "1d", "25h"},
        {"limits.loops", "0", "-1", "16", "17"},
        {"limits.disk_threads", "1", "0", "64", "65"},
        {"limits.fetch_sessions", "0", "-1", "1000000", "1000001"},
        {"limits.partitions_per_topic", "1", "0", "100000", "100001"},
        {"limits.partitions", "1", "0", "1000000", "1000001"},
        {"limits.producers", "1", "0", "1000000", "1000001"},
        {"limits.groups", "1", "0", "1000000", "1000001"},
        {"limits.slow_request", "0", "-1ms", "1d", "25h"},
        {"coordinator.initial_rebalance_delay", "0", "-1ms", "1h", "61m"},
        {"coordinator.session_min", "1ms", "0", "30m", "31m"},
        {"coordinator.session_max", "6s", "5s", "2147483647ms", "25d"},
        {"coordinator.group_members", "1", "0", "1000000", "1000001"},
        {"coordinator.offset_metadata", "0", "-1", "1MiB", "1025KiB"},
        {"topics.t.partitions", "1", "0", "10000", "10001"},
        {"topics.t.replication_factor", "1", "0", "1", "2"},
    };

    for (size_t i = 0; i < ARRAY_COUNT(limits); i++) {
        const char *const good[] = {limits[i].lowest, limits[i].highest};
        const char *const bad[] = {limits[i].below, limits[i].above};
        struct settings *s;
        char *report;

        for (int j = 0; j < 2; j++) {
            char *set = mem_printf("%s=%s", limits[i].path, good[j]);

            settings_free(accepted(NULL, SETS(set)));
            mem_free(set);
            set = mem_printf("%s=%s", limits[i].path, bad[j]);
            if (load(NULL, SETS(set), &s, &report) == ERR_NONE) {
                fail_msg("%s is accepted", set);
            }
            mem_free(report);
            mem_free(set);
        }
    }
}

static void as_many_copies_as_there_are_brokers(void **state)
{
    struct settings *s = accepted(NULL, SETS("defaults.replication_factor=1"));

    assert_int_equal(s->defaults.replication_factor, 1);
    settings_free(s);
    refused(NULL, SETS("defaults.replication_factor=0"),
            "--set: defaults.replication_factor: expected -1, or 1 and above, "
            "got 0\n");
    refused(NULL, SETS("default.replication.factor=3"),
            "--set: default.replication.factor: 3 needs 3 brokers, the cluster "
            "has 1\n");
}

static void the_list_of_settings_names_every_one(void **state)
{
    char *text = settings_describe();

    assert_non_null(strstr(text, "limits.memory = 25%\n    Memory for"));
    assert_non_null(strstr(text, "defaults.partitions = 1\n"));
    assert_non_null(strstr(text, " Kafka: num.partitions."));
    assert_non_null(strstr(text, "listeners.N.bind = -\n"));
    mem_free(text);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(without_a_word_everything_has_its_default),
        TEST(without_a_listener_both_loopbacks_are_bound),
        TEST(a_listener_that_is_set_takes_the_place_of_the_defaults),
        TEST(a_whole_config_is_read),
        TEST(all_errors_are_told_at_once_with_file_and_line),
        TEST(an_unknown_global_is_an_error_with_a_suggestion),
        TEST(the_typo_comes_before_what_is_missing),
        TEST(what_comes_later_is_known_and_not_in_this_version),
        TEST(both_names_of_a_setting_are_one_too_many),
        TEST(a_name_of_kafkas_that_does_nothing_is_refused_by_name),
        TEST(a_set_overrides_the_file_under_either_name),
        TEST(a_wrong_set_is_told_like_a_wrong_line),
        TEST(beyond_loopback_somebody_must_say_that_it_is_meant),
        TEST(addresses_are_checked),
        TEST(tables_and_values_are_not_taken_for_each_other),
        TEST(topics_need_names_that_a_topic_may_have),
        TEST(values_made_in_a_loop_have_the_line_of_their_statement),
        TEST(included_files_have_their_own_lines),
        TEST(paths_are_relative_to_the_file_and_of_a_set_to_here),
        TEST(a_missing_file_or_variable_is_one_clear_line),
        TEST(a_secret_is_never_shown),
        TEST(a_hundred_errors_are_enough),
        TEST(every_setting_keeps_its_limits),
        TEST(as_many_copies_as_there_are_brokers),
        TEST(the_list_of_settings_names_every_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
