/* cli.c - the commands that talk to a broker: their table, and what they share.
 *
 * A verb reads its options (misuse: 2), connects, works, and ends with
 * cli_failed() (1) or ARGS_DONE (0). Adding one: its file, its line in the
 * table below, in cli_private.h, and in README.md. */
#include "cli/cli.h"
#include "cli/cli_private.h"
#include "cli/print.h"
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

volatile bool cli_stop;

static void cli_signal(int number)
{
    (void)number;
    cli_stop = true;
}

void cli_catch_signals(void)
{
    struct sigaction action = {.sa_handler = cli_signal};

    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    signal(SIGPIPE, SIG_IGN); /* a write says so */
}

bool cli_connect(const struct args *args, struct client **out, int *code)
{
    const char *server = args_value(args, "server");
    struct why why = {{0}};

    if (client_open(server == NULL ? "127.0.0.1:9092" : server, out, &why)) {
        *code = args_misused(args->command, "--server: %s", why.text);
        return false;
    }
    client_set_stop(*out, &cli_stop);
    return true;
}

int cli_failed(const struct why *why)
{
    fputs("tidemark: ", stderr);
    print_text(stderr, str_of(why->text)); /* a broker's words may be in it */
    fputc('\n', stderr);
    return ARGS_FAILED;
}

bool cli_can_ask(void)
{
    return isatty(STDIN_FILENO);
}

bool cli_confirm(const char *question)
{
    int c;
    int first;

    fprintf(stderr, "%s [y/N] ", question);
    first = getchar();
    for (c = first; c != '\n' && c != EOF;) {
        c = getchar();
    }
    return first == 'y' || first == 'Y';
}

enum err cli_topic_error(enum err err, struct str topic, struct str detail,
                         struct why *why)
{
    if (err == ERR_UNKNOWN_TOPIC_OR_PARTITION) {
        return why_set(why, err,
                       "topic \"%.*s\" does not exist; create it with "
                       "`tidemark topic create %.*s`",
                       STR_ARG(topic), STR_ARG(topic));
    }
    if (err == ERR_TOPIC_ALREADY_EXISTS) {
        return why_set(why, err, "topic \"%.*s\" exists already",
                       STR_ARG(topic));
    }
    if (detail.len > 0) {
        return why_set(why, err, "topic \"%.*s\": %.*s", STR_ARG(topic),
                       STR_ARG(detail));
    }
    return why_set(why, err, "topic \"%.*s\": %s (%s)", STR_ARG(topic),
                   err_text(err), err_name(err));
}

/* Whether all is there to begin with: the topic and a leader for each part. */
static enum err cli_topic_ready(const struct metadata_response_topic *topic)
{
    if (topic->error_code != 0) {
        return client_error(topic->error_code);
    }
    for (int32_t i = 0; i < topic->partitions_count; i++) {
        if (topic->partitions[i].leader_id < 0) {
            return ERR_LEADER_NOT_AVAILABLE;
        }
    }
    return topic->partitions_count > 0 ? ERR_NONE : ERR_LEADER_NOT_AVAILABLE;
}

enum err cli_topic(struct client *client, struct str name, bool create,
                   struct arena *arena, struct metadata_response_topic **topic,
                   struct why *why)
{
    struct client_topics wanted = {
        .names = &name, .count = 1, .create = create};
    int64_t deadline_ms = client_now_ms() + 10000;
    enum err err;

    for (;;) {
        struct metadata_response response;

        err = client_metadata(client, &wanted, arena, &response, why);
        if (err) {
            return err;
        }
        if (response.topics_count != 1) {
            return why_set(why, ERR_MALFORMED,
                           "topic \"%.*s\": the broker answered for %" PRId32
                           " topics instead of this one",
                           STR_ARG(name), response.topics_count);
        }
        *topic = response.topics; /* the arena's */
        err = cli_topic_ready(*topic);
        if (!err) {
            return ERR_NONE;
        }
        /* A topic that is just being created is unknown for a moment. */
        if (!(err == ERR_LEADER_NOT_AVAILABLE ||
              (create && err == ERR_UNKNOWN_TOPIC_OR_PARTITION)) ||
            client_now_ms() > deadline_ms || cli_stop) {
            return cli_topic_error(err, name, STR_NULL, why);
        }
        client_sleep(client, 100);
    }
}

#define CLI_SERVER                                                             \
    {                                                                          \
        "server", "HOST:PORT", "the broker; by default 127.0.0.1:9092"         \
    }
#define CLI_JSON                                                               \
    {                                                                          \
        "json", NULL, "for programs"                                           \
    }

static const struct args_option cli_create_options[] = {
    {"partitions", "N", "how many; by default what the broker says"},
    {"replication-factor", "N", "copies; by default what the broker says"},
    {"config", "KEY=VALUE", "a topic config, e.g. retention.ms=7d; repeated"},
    {"if-absent", NULL, "a topic that is there already is fine"},
    CLI_JSON,
    CLI_SERVER,
};

static const struct args_option cli_list_options[] = {
    {"internal", NULL, "also the broker's own topics"},
    CLI_JSON,
    CLI_SERVER,
};

static const struct args_option cli_describe_options[] = {
    CLI_JSON,
    CLI_SERVER,
};

static const struct args_option cli_delete_options[] = {
    {"yes", NULL, "do not ask; a must where there is no terminal"},
    {"if-present", NULL, "a topic that is not there is fine"},
    CLI_JSON,
    CLI_SERVER,
};

static const struct args_option cli_produce_options[] = {
    {"keys", "SEPARATOR", "lines are KEY SEPARATOR VALUE; tab: '\\t'"},
    {"key", "TEXT", "the key of every record"},
    {"header", "NAME=VALUE", "a header of every record; repeated"},
    {"partition", "N", "to this one; by default by key, else by turns"},
    {"compression", "CODEC", "none, gzip, snappy, lz4 or zstd; none"},
    {"acks", "0|1|all", "whose word to wait for; all"},
    CLI_JSON,
    CLI_SERVER,
};

static const struct args_option cli_consume_options[] = {
    {"from", "WHERE", "first, end, an offset, 10m (ago), a time; first"},
    {"to", "WHERE", "the same; stops there. By default never"},
    {"count", "N", "stops after so many records"},
    {"partition", "N", "only this one"},
    {"group", "NAME", "as a member of a group: shares, commits"},
    {"keys", NULL, "print KEY, tab, VALUE"},
    {"headers", NULL, "print the headers before that"},
    {"offsets", NULL, "print partition and offset before that"},
    CLI_JSON,
    CLI_SERVER,
};

static const struct args_option cli_dump_options[] = {
    {"records", NULL, "also each record"},
    CLI_JSON,
};

static const struct args_option cli_check_options[] = {
    CLI_JSON,
};

#define OPTIONS(list) .options = (list), .option_count = ARRAY_COUNT(list)

static const struct args_command cli_table[] = {
    {.name = "topic create",
     .operands = "TOPIC...",
     .operands_min = 1,
     .operands_max = ARGS_MAX,
     .about = "Creates topics.",
     .example = "tidemark topic create orders --partitions 6 "
                "--config retention.ms=7d",
     OPTIONS(cli_create_options),
     .run = topic_verb_create},
    {.name = "topic list",
     .about = "Lists the topics.",
     .example = "tidemark topic list --server broker1:9092",
     OPTIONS(cli_list_options),
     .run = topic_verb_list},
    {.name = "topic describe",
     .operands = "TOPIC...",
     .operands_min = 1,
     .operands_max = ARGS_MAX,
     .about = "Shows the partitions of topics: who leads, what is in them.",
     .example = "tidemark topic describe orders",
     OPTIONS(cli_describe_options),
     .run = topic_verb_describe},
    {.name = "topic delete",
     .operands = "TOPIC...",
     .operands_min = 1,
     .operands_max = ARGS_MAX,
     .about = "Deletes topics and all that is in them.",
     .example = "tidemark topic delete orders --yes",
     OPTIONS(cli_delete_options),
     .run = topic_verb_delete},
    {.name = "produce",
     .operands = "TOPIC [VALUE...]",
     .operands_min = 1,
     .operands_max = ARGS_MAX,
     .about = "Writes records to a topic. They are the values given, or each "
              "line of\nthe input.",
     .example = "printf 'ada\\t1\\nbob\\t2\\n' | tidemark produce orders "
                "--keys '\\t'",
     OPTIONS(cli_produce_options),
     .run = produce_verb},
    {.name = "consume",
     .operands = "TOPIC",
     .operands_min = 1,
     .operands_max = 1,
     .about = "Reads the records of a topic, and waits for more.",
     .example = "tidemark consume orders --from 10m --to end --json",
     OPTIONS(cli_consume_options),
     .run = consume_verb},
    {.name = "log dump",
     .operands = "FOLDER",
     .operands_min = 1,
     .operands_max = 1,
     .about = "Shows the batches in the files of a partition. FOLDER is one "
              "partition's,\nor a data folder for all of them.",
     .example = "tidemark log dump data/log/orders-0 --records",
     OPTIONS(cli_dump_options),
     .run = log_verb_dump},
    {.name = "log check",
     .operands = "FOLDER",
     .operands_min = 1,
     .operands_max = 1,
     .about = "Checks every byte of partitions. Each batch, record, index and "
              "state file\nis held against the others; a broker may be "
              "running. Exits with 1 when\nanything is wrong.",
     .example = "tidemark log check data",
     OPTIONS(cli_check_options),
     .run = log_verb_check},
};

const struct args_group cli_commands = {cli_table, ARRAY_COUNT(cli_table)};
