/* produce_verb.c - produce: values or lines to records.
 *
 * 1. A line is taken from the input, as soon as there is a whole one.
 * 2. It becomes a record; sender_add() batches it.
 * 3. While more input is waiting, batches grow; as soon as there is none, what
 *    there is is sent, so that a person who types, or a pipe that drips, sees
 *    each line arrive.
 * 4. At the end of the input (or Ctrl-C) the rest is sent and told.
 *
 * Failure modes: a line longer than PRODUCE_LINE_BYTES_MAX, one without the
 * separator, a broker that refuses: told; what was sent before stays. */
#include "base/mem.h"
#include "cli/cli_private.h"
#include "cli/print.h"
#include "cli/sender.h"
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum {
    PRODUCE_LINE_BYTES_MAX = 64 << 20,
    PRODUCE_READ_BYTES = 64 << 10,
    PRODUCE_LINGER_MS = 5,
};

/* The input, a line at a time. */
struct produce_input {
    char *bytes; /* from mem_ */
    size_t capacity;
    size_t begin; /* of what was not taken yet */
    size_t end;
    bool over;
};

struct produce_job {
    const struct args *args;
    struct client *client;
    struct sender *sender;
    struct str separator; /* null: lines have no keys */
    struct str key;       /* of every record; null: none */
    struct record_header headers[ARGS_MAX];
    size_t header_count;
    int64_t shown_ms;
};

static int64_t produce_now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return now.tv_sec * INT64_C(1000) + now.tv_nsec / 1000000;
}

/* Long work on a terminal says how far it is, once a second. */
static void produce_progress(struct produce_job *job, bool last)
{
    struct sender_totals totals = sender_totals(job->sender);
    struct arena arena = {0};
    int64_t now_ms = client_now_ms();

    if (!isatty(STDERR_FILENO) || isatty(STDIN_FILENO) ||
        (!last && now_ms - job->shown_ms < 1000) ||
        (last && job->shown_ms == 0)) {
        return;
    }
    job->shown_ms = now_ms;
    fprintf(stderr, "\r%s records, %s bytes%s",
            print_number(&arena, totals.records).ptr,
            print_number(&arena, totals.bytes).ptr, last ? "\n" : "");
    arena_reset(&arena);
}

/* A record of a line, or of a value; its key is before the separator. */
static enum err produce_one(struct produce_job *job, struct str line,
                            struct why *why)
{
    struct batch_record record = {
        .timestamp = produce_now_ms(),
        .key = job->key,
        .value = line,
        .headers = job->headers,
        .headers_count = (int32_t)job->header_count,
    };

    if (!str_is_null(job->separator)) {
        const char *at =
            memmem(line.ptr, line.len, job->separator.ptr, job->separator.len);

        if (at == NULL) {
            return why_set(
                why, ERR_INVALID, "a line has no separator \"%.*s\": %.*s",
                STR_ARG(job->separator), (int)MIN(line.len, 60u), line.ptr);
        }
        record.key = str_sub(line.ptr, (size_t)(at - line.ptr));
        at += job->separator.len;
        record.value = str_sub(at, line.len - (size_t)(at - line.ptr));
    }
    return sender_add(job->sender, &record, why);
}

/* Reads more input behind what there is. Waits for it. */
static enum err produce_read(struct produce_input *input, struct why *why)
{
    ssize_t count;

    if (input->begin > 0) {
        memmove(input->bytes, input->bytes + input->begin,
                input->end - input->begin);
        input->end -= input->begin;
        input->begin = 0;
    }
    if (input->capacity - input->end < PRODUCE_READ_BYTES) {
        input->capacity = MAX(input->capacity * 2, 2 * PRODUCE_READ_BYTES);
        input->bytes = mem_realloc(input->bytes, input->capacity);
    }
    if (input->end > PRODUCE_LINE_BYTES_MAX) {
        return why_set(why, ERR_TOO_LARGE, "a line is longer than %d MiB",
                       PRODUCE_LINE_BYTES_MAX >> 20);
    }
    count = read(STDIN_FILENO, input->bytes + input->end,
                 input->capacity - input->end);
    if (count < 0 && errno != EINTR) {
        return why_set(why, ERR_DISK, "could not read the input: %s",
                       strerror(errno));
    }
    input->over = count == 0 || cli_stop;
    input->end += (size_t)MAX(count, 0);
    return ERR_NONE;
}

/* The next line out of the buffer; false when there is no whole one. At the
 * end of the input what is left is a line, too. */
static bool produce_line(struct produce_input *input, struct str *line)
{
    size_t left = input->end - input->begin;
    const char *begin = input->bytes + input->begin;
    const char *end = left == 0 ? NULL : memchr(begin, '\n', left);

    if (end == NULL && (!input->over || left == 0)) {
        return false;
    }
    *line = str_sub(begin, end == NULL ? left : (size_t)(end - begin));
    input->begin += line->len + (end == NULL ? 0 : 1);
    return true;
}

static bool produce_is_waiting(void)
{
    struct pollfd poller = {.fd = STDIN_FILENO, .events = POLLIN};

    return poll(&poller, 1, PRODUCE_LINGER_MS) > 0;
}

/* All lines of the input; what there is is sent before it waits for more. */
static enum err produce_lines(struct produce_job *job, struct why *why)
{
    struct produce_input input = {0};
    enum err err = ERR_NONE;
    struct str line;

    while (!err) {
        if (input.bytes != NULL && produce_line(&input, &line)) {
            err = produce_one(job, line, why);
            produce_progress(job, false);
        } else if (input.over) {
            break;
        } else {
            if (!produce_is_waiting()) {
                err = sender_flush(job->sender, why);
            }
            if (!err) {
                err = produce_read(&input, why);
            }
        }
    }
    mem_free(input.bytes);
    return err;
}

/* How many records were sent, and with --json where they are. */
static void produce_summary(const struct produce_job *job)
{
    struct sender_totals totals = sender_totals(job->sender);
    struct sender_partition_totals part;
    const char *comma = "";

    if (!args_has(job->args, "json")) {
        printf("%" PRId64 " record%s to topic \"%s\"\n", totals.records,
               totals.records == 1 ? "" : "s", job->args->operands[0]);
        return;
    }
    fputs("{\"topic\":", stdout);
    print_json_text(stdout, str_of(job->args->operands[0]));
    printf(",\"records\":%" PRId64 ",\"partitions\":[", totals.records);
    for (int32_t i = 0; sender_partition_totals(job->sender, i, &part); i++) {
        if (part.records > 0) {
            printf("%s{\"partition\":%" PRId32 ",\"first_offset\":%" PRId64
                   ",\"records\":%" PRId64 "}",
                   comma, part.partition, part.first_offset, part.records);
            comma = ",";
        }
    }
    fputs("]}\n", stdout);
}

/* The lines of the input, or the values given; then all that is left. */
static enum err produce_run(struct produce_job *job, struct why *why)
{
    const struct args *args = job->args;
    enum err err = ERR_NONE;

    if (args->operand_count == 1) {
        err = produce_lines(job, why);
    }
    for (size_t i = 1; !err && i < args->operand_count; i++) {
        err = produce_one(job, str_of(args->operands[i]), why);
    }
    if (!err) {
        err = sender_flush(job->sender, why);
    }
    produce_progress(job, true);
    return err;
}

/* "\t" for a tab: shells make it hard to type one. */
static struct str produce_separator(const char *text)
{
    if (text == NULL) {
        return STR_NULL;
    }
    return strcmp(text, "\\t") == 0 ? STR_LIT("\t") : str_of(text);
}

/* Reads the options. False: misuse, which was said. */
static bool produce_options(struct produce_job *job,
                            struct sender_options *options)
{
    const struct args *args = job->args;
    const char *codec = args_value(args, "compression");
    const char *acks = args_value(args, "acks");
    const char *headers[ARGS_MAX];
    int64_t partition;

    *options = (struct sender_options){
        .topic = str_of(args->operands[0]), .codec = CODEC_NONE, .acks = -1};
    if (codec != NULL && !compress_find(str_of(codec), &options->codec)) {
        args_misused(args->command,
                     "--compression: expected none, gzip, snappy, lz4 or "
                     "zstd, got \"%s\"",
                     codec);
        return false;
    }
    if (acks != NULL && strcmp(acks, "all") != 0) {
        if (strcmp(acks, "0") != 0 && strcmp(acks, "1") != 0) {
            args_misused(args->command, "--acks: expected 0, 1 or all");
            return false;
        }
        options->acks = acks[0] == '0' ? 0 : 1;
    }
    if (!args_number(args, "partition", 0, INT32_MAX, -1, &partition)) {
        return false;
    }
    options->partition = (int32_t)partition;
    job->separator = produce_separator(args_value(args, "keys"));
    job->key = str_of(args_value(args, "key"));
    if (job->separator.ptr != NULL && job->separator.len == 0) {
        args_misused(args->command, "--keys wants a separator");
        return false;
    }
    job->header_count = args_values(args, "header", headers);
    for (size_t i = 0; i < job->header_count; i++) {
        const char *equal = strchr(headers[i], '=');

        if (equal == NULL) {
            args_misused(args->command, "--header wants NAME=VALUE, got \"%s\"",
                         headers[i]);
            return false;
        }
        job->headers[i] = (struct record_header){
            str_sub(headers[i], (size_t)(equal - headers[i])),
            str_of(equal + 1)};
    }
    return true;
}

int produce_verb(const struct args *args)
{
    struct produce_job job = {.args = args};
    struct sender_options options;
    struct why why = {{0}};
    int code = ARGS_DONE;
    enum err err;

    if (!produce_options(&job, &options)) {
        return ARGS_MISUSED;
    }
    if (!cli_connect(args, &job.client, &code)) {
        return code;
    }
    cli_catch_signals();
    err = sender_open(job.client, &options, &job.sender, &why);
    if (!err) {
        err = produce_run(&job, &why);
        produce_summary(&job);
        sender_close(job.sender);
    }
    client_close(job.client);
    return err ? cli_failed(&why) : ARGS_DONE;
}
