/* consume_verb.c - consume: the records of a topic, alone or in a group.
 *
 * Alone: all partitions (or one) from --from to --to. In a group: what the
 * group assigns, from where the group has committed.
 *
 * The round of consume_run(), until --to, --count, Ctrl-C or a failure:
 * 1. receiver_poll() writes records to stdout.
 * 2. stdout is flushed.
 * 3. In a group: a heartbeat when it is due; every few seconds, and before a
 *    rebalance, the positions are committed.
 * In the end what was written is committed, and the group is left.
 *
 * Invariant: a position is committed only after its records were written out,
 * so a kill repeats some and loses none; an output that takes no more (a full
 * disk, head) stops committing. */
#include "base/mem.h"
#include "cli/cli_private.h"
#include "cli/member.h"
#include "cli/place.h"
#include "cli/print.h"
#include "cli/receiver.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum {
    CONSUME_WAIT_MS = 500,
    CONSUME_COMMIT_MS = 5000,
    CONSUME_PATIENCE_MS = 60000,
};

struct consume_job {
    const struct args *args;
    struct client *client;
    struct str topic;
    struct place from;
    struct place to;
    bool has_to;
    int64_t left;      /* records still wanted; -1: no limit */
    int64_t partition; /* -1: all */
    bool json;
    bool keys;
    bool headers;
    bool offsets;
    bool failed;           /* the output takes no more */
    int code;              /* the exit code, but for errors of the broker's */
    struct member *member; /* NULL: alone */
    struct receiver receiver;
    bool joined;
    int64_t away_since_ms; /* the coordinator; 0: it is there */
    struct arena arena;    /* of the partitions */
    int64_t commit_ms;     /* when the next commit is due */
    bool uncommitted;
};

/* A reader that has seen enough (head) is no failure; a full disk is. */
static void consume_output_failed(struct consume_job *job)
{
    if (!job->failed && errno != EPIPE) {
        fprintf(stderr, "tidemark: could not write the output: %s\n",
                strerror(errno));
        job->code = ARGS_FAILED;
    }
    job->failed = true;
}

/* A record as one object; the headers were checked with the batch. */
static void consume_json(const struct consume_job *job,
                         const struct receiver_record *in)
{
    struct record_header header;
    struct reader headers;
    const char *comma = "";

    fputs("{\"topic\":", stdout);
    print_json_text(stdout, job->topic);
    printf(",\"partition\":%" PRId32 ",\"offset\":%" PRId64
           ",\"timestamp\":%" PRId64 ",",
           in->partition, in->offset, in->timestamp_ms);
    print_json_bytes(stdout, "key", in->record->key);
    fputc(',', stdout);
    print_json_bytes(stdout, "value", in->record->value);
    fputs(",\"headers\":[", stdout);
    reader_init(&headers, in->record->headers.ptr, in->record->headers.len);
    for (int32_t i = 0; i < in->record->headers_count; i++) {
        if (!record_header_next(&headers, &header)) {
            break;
        }
        printf("%s{\"name\":", comma);
        print_json_text(stdout, header.key);
        fputc(',', stdout);
        print_json_bytes(stdout, "value", header.value);
        fputc('}', stdout);
        comma = ",";
    }
    fputs("]}\n", stdout);
}

/* A record as a line: what was asked for in front, separated by tabs. */
static void consume_line(const struct consume_job *job,
                         const struct receiver_record *in)
{
    struct record_header header;
    struct reader headers;

    if (job->offsets) {
        printf("%" PRId32 "\t%" PRId64 "\t", in->partition, in->offset);
    }
    if (job->headers) {
        reader_init(&headers, in->record->headers.ptr, in->record->headers.len);
        for (int32_t i = 0; i < in->record->headers_count; i++) {
            if (!record_header_next(&headers, &header)) {
                break;
            }
            fputs(i == 0 ? "" : ",", stdout);
            print_text(stdout, header.key);
            fputc('=', stdout);
            print_text(stdout, header.value);
        }
        fputc('\t', stdout);
    }
    if (job->keys) {
        print_text(stdout, in->record->key);
        fputc('\t', stdout);
    }
    print_text(stdout, in->record->value);
    fputc('\n', stdout);
}

/* receiver_cb: writes a record out; false when it is enough. */
static bool consume_take(void *arg, const struct receiver_record *in)
{
    struct consume_job *job = arg;

    if (job->json) {
        consume_json(job, in);
    } else {
        consume_line(job, in);
    }
    job->uncommitted = true;
    if (ferror(stdout)) {
        consume_output_failed(job);
        return false;
    }
    if (job->left > 0) {
        job->left--;
    }
    return job->left != 0 && !cli_stop;
}

/* Places to offsets, for the given partitions of the topic. */
static enum err consume_places(struct consume_job *job,
                               const struct metadata_response_topic *topic,
                               const struct place *place, int64_t *out,
                               struct arena *arena, struct why *why)
{
    if (!place->is_offset) {
        return place_find(job->client, topic, place->number, out, arena, why);
    }
    for (int32_t i = 0; i < topic->partitions_count; i++) {
        out[i] = place->number;
    }
    return ERR_NONE;
}

/* Leaves only those partitions in the topic that are ours. */
static void consume_select(struct metadata_response_topic *topic,
                           const int32_t *partitions, int32_t count)
{
    int32_t kept = 0;

    for (int32_t i = 0; i < topic->partitions_count; i++) {
        for (int32_t p = 0; p < count; p++) {
            if (topic->partitions[i].partition_index == partitions[p]) {
                topic->partitions[kept++] = topic->partitions[i];
                break;
            }
        }
    }
    topic->partitions_count = kept;
}

/* Makes the receiver's partitions from the topic's. */
static enum err consume_begin(struct consume_job *job,
                              const struct metadata_response_topic *topic,
                              struct arena *arena, struct why *why)
{
    size_t count = (size_t)topic->partitions_count;
    int64_t *from = arena_array(arena, count, sizeof(*from));
    int64_t *to = arena_array(arena, count, sizeof(*to));
    enum err err = consume_places(job, topic, &job->from, from, arena, why);

    if (!err && job->has_to) {
        err = consume_places(job, topic, &job->to, to, arena, why);
    }
    if (err) {
        return err;
    }
    job->receiver.partitions =
        arena_array(&job->arena, count, sizeof(*job->receiver.partitions));
    job->receiver.partition_count = (int32_t)count;
    for (size_t i = 0; i < count; i++) {
        job->receiver.partitions[i] = (struct receiver_partition){
            .index = topic->partitions[i].partition_index,
            .leader = topic->partitions[i].leader_id,
            .position = from[i],
            .end = job->has_to ? to[i] : RECEIVER_NO_END,
        };
    }
    return ERR_NONE;
}

/* All partitions of the topic, or the one of --partition. */
static enum err consume_begin_alone(struct consume_job *job, struct why *why)
{
    struct arena arena = {0};
    struct metadata_response_topic *topic;
    int32_t partition = (int32_t)job->partition;
    enum err err =
        cli_topic(job->client, job->topic, false, &arena, &topic, why);

    if (!err && partition >= 0) {
        consume_select(topic, &partition, 1);
        if (topic->partitions_count == 0) {
            err = why_set(why, ERR_INVALID,
                          "topic \"%.*s\" has no partition %" PRId32,
                          STR_ARG(job->topic), partition);
        }
    }
    if (!err) {
        err = consume_begin(job, topic, &arena, why);
    }
    arena_reset(&arena);
    return err;
}

/* Where the group has committed something, that is where we go on. */
static enum err consume_committed(struct consume_job *job, struct why *why)
{
    int32_t count = job->receiver.partition_count;
    struct arena arena = {0};
    struct member_offset *offsets =
        arena_array(&arena, (size_t)count, sizeof(*offsets));
    enum err err;

    for (int32_t i = 0; i < count; i++) {
        offsets[i].partition = job->receiver.partitions[i].index;
    }
    err = member_committed(job->member, offsets, count, why);
    for (int32_t i = 0; !err && i < count; i++) {
        if (offsets[i].offset >= 0) {
            job->receiver.partitions[i].position = offsets[i].offset;
        }
    }
    arena_reset(&arena);
    return err;
}

/* Joins the group, and takes up what it assigns. */
static enum err consume_begin_member(struct consume_job *job, struct why *why)
{
    struct arena arena = {0};
    struct metadata_response_topic *topic;
    const int32_t *partitions;
    int32_t count;
    enum err err;

    arena_reset(&job->arena);
    job->receiver.partition_count = 0;
    err = cli_topic(job->client, job->topic, false, &arena, &topic, why);
    if (!err) {
        err = member_join(job->member, &partitions, &count, why);
    }
    if (!err) {
        consume_select(topic, partitions, count);
        err = consume_begin(job, topic, &arena, why);
    }
    if (!err && job->receiver.partition_count > 0) {
        err = consume_committed(job, why);
    }
    job->commit_ms = client_now_ms() + CONSUME_COMMIT_MS;
    job->uncommitted = false;
    arena_reset(&arena);
    return err;
}

/* Writes out what was taken, then commits it. */
static enum err consume_commit(struct consume_job *job, struct why *why)
{
    int32_t count = job->receiver.partition_count;
    struct arena arena = {0};
    struct member_offset *offsets;
    enum err err = ERR_NONE;

    if (fflush(stdout) != 0) {
        consume_output_failed(job);
    }
    if (job->member != NULL && job->uncommitted && !job->failed && count > 0) {
        offsets = arena_array(&arena, (size_t)count, sizeof(*offsets));
        for (int32_t i = 0; i < count; i++) {
            offsets[i].partition = job->receiver.partitions[i].index;
            offsets[i].offset = job->receiver.partitions[i].position;
        }
        err = member_commit(job->member, offsets, count, why);
        job->uncommitted = err != ERR_NONE;
    }
    job->commit_ms = client_now_ms() + CONSUME_COMMIT_MS;
    arena_reset(&arena);
    return err;
}

/* Joins. A broker that is away is waited for, a minute long. */
static enum err consume_join(struct consume_job *job, struct why *why)
{
    enum err err = consume_begin_member(job, why);

    job->joined = err == ERR_NONE;
    if (job->joined) {
        job->away_since_ms = 0;
    } else if (member_is_passing(err)) {
        if (job->away_since_ms == 0) {
            job->away_since_ms = client_now_ms();
        }
        if (client_now_ms() - job->away_since_ms < CONSUME_PATIENCE_MS) {
            err = ERR_NONE;
        }
    }
    return err;
}

/* Between two polls: alive, committed, or joined anew. */
static enum err consume_attend(struct consume_job *job, struct why *why)
{
    enum err err = ERR_NONE;

    if (!job->joined) {
        return consume_join(job, why);
    }
    err = member_heartbeat(job->member, why);
    if (!err && client_now_ms() >= job->commit_ms) {
        err = consume_commit(job, why);
    }
    if (err == ERR_REBALANCE_IN_PROGRESS) {
        err = consume_commit(job, why);
        if (!err || member_is_passing(err)) {
            err = ERR_REBALANCE_IN_PROGRESS;
        }
    }
    if (member_must_join(err)) {
        return consume_join(job, why);
    }
    return member_is_passing(err) ? ERR_NONE : err;
}

/* A member without partitions waits for a rebalance. */
static bool consume_is_done(const struct consume_job *job)
{
    if (job->failed || job->left == 0 || cli_stop) {
        return true;
    }
    if (job->receiver.partition_count == 0) {
        return job->member == NULL;
    }
    return receiver_is_done(&job->receiver);
}

/* Rounds until it is done; then the last commit. Ctrl-C is no failure. */
static enum err consume_run(struct consume_job *job, struct why *why)
{
    enum err err = job->member == NULL ? consume_begin_alone(job, why)
                                       : consume_begin_member(job, why);

    job->joined = !err;

    while (!err && !consume_is_done(job)) {
        if (job->receiver.partition_count == 0) {
            client_sleep(job->client, CONSUME_WAIT_MS);
        } else {
            err = receiver_poll(&job->receiver, CONSUME_WAIT_MS, why);
        }
        if (!err && fflush(stdout) != 0) {
            consume_output_failed(job);
        }
        if (!err && job->member != NULL && !consume_is_done(job)) {
            err = consume_attend(job, why);
        }
    }
    if (err == ERR_CANCELLED || (err && cli_stop)) {
        err = ERR_NONE; /* Ctrl-C is how it is meant to end */
    }
    if (!err) {
        /* The last commit and the leaving are not to be interrupted. */
        client_set_stop(job->client, NULL);
        err = consume_commit(job, why);
        if (member_must_join(err)) {
            err = ERR_NONE; /* others have these partitions by now */
        }
    }
    return err;
}

/* Reads the options. False: misuse, which was said. */
static bool consume_options(struct consume_job *job)
{
    const struct args *args = job->args;
    const char *from = args_value(args, "from");
    const char *to = args_value(args, "to");
    int64_t now_ms = (int64_t)time(NULL) * 1000;
    struct why why = {{0}};

    job->topic = str_of(args->operands[0]);
    job->json = args_has(args, "json");
    job->keys = args_has(args, "keys");
    job->headers = args_has(args, "headers");
    job->offsets = args_has(args, "offsets");
    job->has_to = to != NULL;
    if (!args_number(args, "count", 0, INT64_MAX, -1, &job->left) ||
        !args_number(args, "partition", 0, INT32_MAX, -1, &job->partition)) {
        return false;
    }
    if (place_parse(from == NULL ? "first" : from, now_ms, &job->from, &why)) {
        args_misused(args->command, "--from: %s", why.text);
        return false;
    }
    if (to != NULL && place_parse(to, now_ms, &job->to, &why)) {
        args_misused(args->command, "--to: %s", why.text);
        return false;
    }
    if (args_has(args, "group") && job->partition >= 0) {
        args_misused(args->command, "--group assigns the partitions: leave "
                                    "--partition out");
        return false;
    }
    return true;
}

int consume_verb(const struct args *args)
{
    struct consume_job job = {.args = args};
    const char *group = args_value(args, "group");
    struct why why = {{0}};
    int code = ARGS_DONE;
    enum err err;

    if (!consume_options(&job)) {
        return ARGS_MISUSED;
    }
    if (!cli_connect(args, &job.client, &code)) {
        return code;
    }
    cli_catch_signals();
    job.receiver.client = job.client;
    job.receiver.topic = job.topic;
    job.receiver.take = consume_take;
    job.receiver.arg = &job;
    if (group != NULL) {
        job.member = member_open(job.client, str_of(group), job.topic);
    }
    err = consume_run(&job, &why);
    member_close(job.member);
    client_close(job.client);
    arena_reset(&job.arena);
    return err ? cli_failed(&why) : job.code;
}
