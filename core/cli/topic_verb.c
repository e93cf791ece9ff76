/* topic_verb.c - topic create, list, describe, delete.
 *
 * Each verb reads its options, connects, asks one thing at a time and prints
 * what comes. What fails for one topic is told, and the others go on; the exit
 * code says so in the end.
 *
 * create and delete give the broker EXCHANGE_TIMEOUT_MS, and wait for its
 * answer twice as long. describe asks three things for a topic: the metadata,
 * the first and last offsets of its partitions from their leaders, and the
 * configs that differ from the defaults, where the broker tells them. */
#include "base/units.h"
#include "cli/cli_private.h"
#include "cli/place.h"
#include "cli/print.h"
#include "wire/create_topics.h"
#include "wire/delete_topics.h"
#include "wire/describe_configs.h"
#include <inttypes.h>
#include <stdlib.h>

enum { TOPIC_VERB_RESOURCE = 2 }; /* DescribeConfigs' number for topics */

/* One --config KEY=VALUE, with "7d" and "16MiB" made numbers. */
static bool topic_verb_config(const struct args *args, const char *text,
                              struct arena *arena,
                              struct create_topics_request_config *out)
{
    const char *equal = strchr(text, '=');
    int64_t number;

    if (equal == NULL || equal == text) {
        args_misused(args->command, "--config wants KEY=VALUE, got \"%s\"",
                     text);
        return false;
    }
    create_topics_request_config_init(out);
    out->name = str_sub(text, (size_t)(equal - text));
    out->value = str_of(equal + 1);
    if (units_named(out->name, out->value, &number)) {
        out->value = arena_printf(arena, "%" PRId64, number);
    }
    return true;
}

/* Fills in what is asked for. False: misuse, which was said. */
static bool topic_verb_request(const struct args *args, struct arena *arena,
                               struct create_topics_request *request)
{
    const char *configs[ARGS_MAX];
    size_t config_count = args_values(args, "config", configs);
    struct create_topics_request_config *list =
        arena_array(arena, config_count, sizeof(*list));
    int64_t partitions;
    int64_t copies;

    if (!args_number(args, "partitions", 1, INT32_MAX, -1, &partitions) ||
        !args_number(args, "replication-factor", 1, INT16_MAX, -1, &copies)) {
        return false;
    }
    for (size_t i = 0; i < config_count; i++) {
        if (!topic_verb_config(args, configs[i], arena, &list[i])) {
            return false;
        }
    }
    create_topics_request_init(request);
    request->timeout_ms = EXCHANGE_TIMEOUT_MS;
    request->topics_count = (int32_t)args->operand_count;
    request->topics =
        arena_array(arena, args->operand_count, sizeof(*request->topics));
    for (size_t i = 0; i < args->operand_count; i++) {
        create_topics_request_topic_init(&request->topics[i]);
        request->topics[i].name = str_of(args->operands[i]);
        request->topics[i].num_partitions = (int32_t)partitions;
        request->topics[i].replication_factor = (int16_t)copies;
        request->topics[i].configs = list;
        request->topics[i].configs_count = (int32_t)config_count;
    }
    return true;
}

/* A name that comes from a broker, in quotes. */
static void topic_verb_name(const char *before, struct str name)
{
    fputs(before, stdout);
    print_text(stdout, name);
    fputc('"', stdout);
}

/* Old brokers do not tell how many partitions and copies it has got. */
static void topic_verb_created(const struct create_topics_response_topic *topic,
                               bool json)
{
    char id[UUID_TEXT_BYTES];

    if (json) {
        uuid_text(topic->topic_id, id);
        fputs("{\"topic\":", stdout);
        print_json_text(stdout, topic->name);
        printf(",\"topic_id\":\"%s\",\"partitions\":%" PRId32
               ",\"replication_factor\":%d}\n",
               id, topic->num_partitions, topic->replication_factor);
    } else if (topic->num_partitions > 0) {
        topic_verb_name("created topic \"", topic->name);
        printf(": %" PRId32 " partition%s, %d cop%s\n", topic->num_partitions,
               topic->num_partitions == 1 ? "" : "s", topic->replication_factor,
               topic->replication_factor == 1 ? "y" : "ies");
    } else {
        topic_verb_name("created topic \"", topic->name);
        fputc('\n', stdout);
    }
}

/* One request for all; each failure is told, and *code says so. */
static enum err topic_verb_create_run(const struct args *args,
                                      struct client *client,
                                      struct create_topics_request *request,
                                      struct arena *arena, int *code,
                                      struct why *why)
{
    struct create_topics_response response;
    struct exchange x = {.arena = arena};
    enum err err =
        client_exchange(client, CLIENT_ANY, &x, API_CREATE_TOPICS, 7, why);

    if (err) {
        return err;
    }
    x.timeout_ms += EXCHANGE_TIMEOUT_MS;
    err = EXCHANGE_ASK(create_topics, &x, request, &response, why);
    for (int32_t i = 0; !err && i < response.topics_count; i++) {
        const struct create_topics_response_topic *topic = &response.topics[i];
        enum err failed = client_error(topic->error_code);

        if (!failed) {
            topic_verb_created(topic, args_has(args, "json"));
        } else if (failed == ERR_TOPIC_ALREADY_EXISTS &&
                   args_has(args, "if-absent")) {
            continue;
        } else {
            (void)cli_topic_error(failed, topic->name, topic->error_message,
                                  why);
            *code = cli_failed(why);
        }
    }
    return err;
}

int topic_verb_create(const struct args *args)
{
    struct create_topics_request request;
    struct arena arena = {0};
    struct why why = {{0}};
    struct client *client;
    int code = ARGS_DONE;

    if (!topic_verb_request(args, &arena, &request)) {
        code = ARGS_MISUSED;
    } else if (cli_connect(args, &client, &code)) {
        if (topic_verb_create_run(args, client, &request, &arena, &code,
                                  &why)) {
            code = cli_failed(&why);
        }
        client_close(client);
    }
    arena_reset(&arena);
    return code;
}

static int topic_verb_compare(const void *a, const void *b)
{
    const struct metadata_response_topic *x = a;
    const struct metadata_response_topic *y = b;

    return str_cmp(x->name, y->name);
}

static int topic_verb_compare_parts(const void *a, const void *b)
{
    const struct metadata_response_partition *x = a;
    const struct metadata_response_partition *y = b;

    return x->partition_index < y->partition_index ? -1 : 1;
}

/* Internal topics only when asked for. */
static void topic_verb_print_list(const struct args *args, struct arena *arena,
                                  const struct metadata_response *response)
{
    struct print_table table = {.arena = arena,
                                .titles = {"TOPIC", "PARTITIONS", "COPIES"},
                                .columns = 3};

    for (int32_t i = 0; i < response->topics_count; i++) {
        const struct metadata_response_topic *topic = &response->topics[i];
        int32_t copies = topic->partitions_count > 0
                             ? topic->partitions[0].replica_nodes_count
                             : 0;
        struct str cells[] = {topic->name,
                              print_number(arena, topic->partitions_count),
                              print_number(arena, copies)};

        if (topic->is_internal && !args_has(args, "internal")) {
            continue;
        }
        if (args_has(args, "json")) {
            fputs("{\"topic\":", stdout);
            print_json_text(stdout, topic->name);
            printf(",\"partitions\":%" PRId32 ",\"replication_factor\":%" PRId32
                   ",\"internal\":%s}\n",
                   topic->partitions_count, copies,
                   topic->is_internal ? "true" : "false");
        } else {
            print_table_add(&table, cells);
        }
    }
    if (!args_has(args, "json")) {
        print_table_out(&table, stdout);
    }
}

int topic_verb_list(const struct args *args)
{
    static const struct client_topics all = {.count = -1};
    struct metadata_response response;
    struct arena arena = {0};
    struct why why = {{0}};
    struct client *client;
    int code = ARGS_DONE;

    if (!cli_connect(args, &client, &code)) {
        return code;
    }
    if (client_metadata(client, &all, &arena, &response, &why)) {
        code = cli_failed(&why);
    } else {
        if (response.topics_count > 0) {
            qsort(response.topics, (size_t)response.topics_count,
                  sizeof(*response.topics), topic_verb_compare);
        }
        topic_verb_print_list(args, &arena, &response);
    }
    client_close(client);
    arena_reset(&arena);
    return code;
}

/* The configs of a topic that differ from the defaults. A broker that does not
 * tell them leaves an empty list. */
static enum err topic_verb_configs(struct client *client, struct str name,
                                   struct arena *arena,
                                   struct describe_configs_response_result *out,
                                   struct why *why)
{
    struct describe_configs_request_resource resource;
    struct describe_configs_response response;
    struct describe_configs_request request;
    struct exchange x = {.arena = arena};
    enum err err =
        client_exchange(client, CLIENT_ANY, &x, API_DESCRIBE_CONFIGS, 4, why);

    describe_configs_response_result_init(out);
    if (err) {
        return err == ERR_UNSUPPORTED ? ERR_NONE : err;
    }
    describe_configs_request_resource_init(&resource);
    resource.resource_type = TOPIC_VERB_RESOURCE;
    resource.resource_name = name;
    resource.configuration_keys_count = -1;
    describe_configs_request_init(&request);
    request.resources = &resource;
    request.resources_count = 1;
    err = EXCHANGE_ASK(describe_configs, &x, &request, &response, why);
    if (!err && response.results_count == 1 &&
        response.results[0].error_code == 0) {
        *out = response.results[0];
    }
    return err;
}

/* "1,2,3" */
static struct str topic_verb_nodes(struct arena *arena, const int32_t *nodes,
                                   int32_t count)
{
    struct str text = STR_LIT("");

    for (int32_t i = 0; i < count; i++) {
        text = arena_printf(arena, "%.*s%s%" PRId32, STR_ARG(text),
                            i == 0 ? "" : ",", nodes[i]);
    }
    return text;
}

/* A partition as an object. */
static void topic_verb_json_part(const struct metadata_response_partition *part,
                                 int64_t first, int64_t end,
                                 struct arena *arena)
{
    struct str replicas =
        topic_verb_nodes(arena, part->replica_nodes, part->replica_nodes_count);
    struct str isr =
        topic_verb_nodes(arena, part->isr_nodes, part->isr_nodes_count);

    printf("{\"partition\":%" PRId32 ",\"leader\":%" PRId32
           ",\"leader_epoch\":%" PRId32
           ",\"replicas\":[%.*s],\"isr\":[%.*s],\"first_offset\":%" PRId64
           ",\"end_offset\":%" PRId64 "}",
           part->partition_index, part->leader_id, part->leader_epoch,
           STR_ARG(replicas), STR_ARG(isr), first, end);
}

/* A topic, its configs and its partitions, as one object. */
static void topic_verb_json(const struct metadata_response_topic *topic,
                            const struct describe_configs_response_result *set,
                            const int64_t *first, const int64_t *end,
                            struct arena *arena)
{
    char id[UUID_TEXT_BYTES];
    const char *comma = "";

    uuid_text(topic->topic_id, id);
    fputs("{\"topic\":", stdout);
    print_json_text(stdout, topic->name);
    printf(",\"topic_id\":\"%s\",\"configs\":{", id);
    for (int32_t i = 0; i < set->configs_count; i++) {
        if (set->configs[i].config_source == 1) {
            fputs(comma, stdout);
            print_json_text(stdout, set->configs[i].name);
            fputc(':', stdout);
            print_json_text(stdout, set->configs[i].value);
            comma = ",";
        }
    }
    fputs("},\"partitions\":[", stdout);
    for (int32_t i = 0; i < topic->partitions_count; i++) {
        fputs(i == 0 ? "" : ",", stdout);
        topic_verb_json_part(&topic->partitions[i], first[i], end[i], arena);
    }
    fputs("]}\n", stdout);
}

/* The same for people. Records are counted by offsets: an estimate where some
 * were compacted away. */
static void topic_verb_table(const struct metadata_response_topic *topic,
                             const struct describe_configs_response_result *set,
                             const int64_t *first, const int64_t *end,
                             struct arena *arena)
{
    struct print_table table = {.arena = arena,
                                .titles = {"PARTITION", "LEADER", "REPLICAS",
                                           "IN SYNC", "FIRST", "END",
                                           "RECORDS"},
                                .columns = 7};
    char id[UUID_TEXT_BYTES];

    uuid_text(topic->topic_id, id);
    topic_verb_name("topic \"", topic->name);
    printf(", id %s\n", id);
    for (int32_t i = 0; i < set->configs_count; i++) {
        if (set->configs[i].config_source == 1) {
            fputs("  ", stdout);
            print_text(stdout, set->configs[i].name);
            fputs(" = ", stdout);
            print_text(stdout, set->configs[i].value);
            fputc('\n', stdout);
        }
    }
    for (int32_t i = 0; i < topic->partitions_count; i++) {
        const struct metadata_response_partition *part = &topic->partitions[i];
        struct str cells[] = {
            print_number(arena, part->partition_index),
            print_number(arena, part->leader_id),
            topic_verb_nodes(arena, part->replica_nodes,
                             part->replica_nodes_count),
            topic_verb_nodes(arena, part->isr_nodes, part->isr_nodes_count),
            print_number(arena, first[i]),
            print_number(arena, end[i]),
            print_number(arena, end[i] - first[i]),
        };

        print_table_add(&table, cells);
    }
    print_table_out(&table, stdout);
}

/* Asks all there is to know of a topic, then prints it. */
static enum err topic_verb_describe_one(const struct args *args,
                                        struct client *client, struct str name,
                                        struct arena *arena, struct why *why)
{
    struct describe_configs_response_result set;
    struct metadata_response_topic *topic;
    int64_t *first;
    int64_t *end;
    enum err err = cli_topic(client, name, false, arena, &topic, why);

    if (err) {
        return err;
    }
    qsort(topic->partitions, (size_t)topic->partitions_count,
          sizeof(*topic->partitions), topic_verb_compare_parts);
    first = arena_array(arena, (size_t)topic->partitions_count, sizeof(*first));
    end = arena_array(arena, (size_t)topic->partitions_count, sizeof(*end));
    err = place_find(client, topic, PLACE_FIRST, first, arena, why);
    if (!err) {
        err = place_find(client, topic, PLACE_END, end, arena, why);
    }
    if (!err) {
        err = topic_verb_configs(client, name, arena, &set, why);
    }
    if (err) {
        return err;
    }
    if (args_has(args, "json")) {
        topic_verb_json(topic, &set, first, end, arena);
    } else {
        topic_verb_table(topic, &set, first, end, arena);
    }
    return ERR_NONE;
}

int topic_verb_describe(const struct args *args)
{
    struct arena arena = {0};
    struct why why = {{0}};
    struct client *client;
    int code = ARGS_DONE;

    if (!cli_connect(args, &client, &code)) {
        return code;
    }
    for (size_t i = 0; i < args->operand_count; i++) {
        if (topic_verb_describe_one(args, client, str_of(args->operands[i]),
                                    &arena, &why)) {
            code = cli_failed(&why);
        }
    }
    client_close(client);
    arena_reset(&arena);
    return code;
}

/* One request for all; each failure is told, and *code says so. */
static enum err topic_verb_delete_run(const struct args *args,
                                      struct client *client,
                                      struct arena *arena, int *code,
                                      struct why *why)
{
    struct delete_topics_response response;
    struct delete_topics_request request;
    struct exchange x = {.arena = arena};
    enum err err =
        client_exchange(client, CLIENT_ANY, &x, API_DELETE_TOPICS, 5, why);

    if (err) {
        return err;
    }
    delete_topics_request_init(&request);
    request.timeout_ms = EXCHANGE_TIMEOUT_MS;
    request.topic_names_count = (int32_t)args->operand_count;
    request.topic_names =
        arena_array(arena, args->operand_count, sizeof(*request.topic_names));
    for (size_t i = 0; i < args->operand_count; i++) {
        request.topic_names[i] = str_of(args->operands[i]);
    }
    x.timeout_ms += EXCHANGE_TIMEOUT_MS;
    err = EXCHANGE_ASK(delete_topics, &x, &request, &response, why);
    for (int32_t i = 0; !err && i < response.responses_count; i++) {
        const struct delete_topics_response_topic *topic =
            &response.responses[i];
        enum err failed = client_error(topic->error_code);

        if (failed == ERR_UNKNOWN_TOPIC_OR_PARTITION) {
            if (!args_has(args, "if-present")) {
                (void)why_set(why, failed, "topic \"%.*s\" does not exist",
                              STR_ARG(topic->name));
                *code = cli_failed(why);
            }
        } else if (failed) {
            (void)cli_topic_error(failed, topic->name, topic->error_message,
                                  why);
            *code = cli_failed(why);
        } else if (args_has(args, "json")) {
            fputs("{\"deleted\":", stdout);
            print_json_text(stdout, topic->name);
            fputs("}\n", stdout);
        } else {
            topic_verb_name("deleted topic \"", topic->name);
            fputc('\n', stdout);
        }
    }
    return err;
}

int topic_verb_delete(const struct args *args)
{
    struct arena arena = {0};
    struct why why = {{0}};
    struct client *client;
    int code = ARGS_DONE;
    struct str question =
        args->operand_count == 1
            ? arena_printf(&arena, "delete topic \"%s\" and all its records?",
                           args->operands[0])
            : arena_printf(&arena, "delete %zu topics and all their records?",
                           args->operand_count);

    if (!args_has(args, "yes") && !cli_can_ask()) {
        code = args_misused(args->command,
                            "deletes records for good, and there is no "
                            "terminal to ask on: say --yes");
    } else if (!args_has(args, "yes") && !cli_confirm(question.ptr)) {
        fputs("nothing was deleted\n", stderr);
        code = ARGS_FAILED;
    } else if (cli_connect(args, &client, &code)) {
        if (topic_verb_delete_run(args, client, &arena, &code, &why)) {
            code = cli_failed(&why);
        }
        client_close(client);
    }
    arena_reset(&arena);
    return code;
}
