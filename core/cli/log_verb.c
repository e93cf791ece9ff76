/* log_verb.c - log dump, log check: the files of partitions, as they lie there.
 *
 * Asks no broker: reads the folder, also while a broker writes to it
 * (log/dump.h). */
#include "base/arena.h"
#include "cli/cli_private.h"
#include "cli/print.h"
#include "log/dump.h"
#include <inttypes.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum { LOG_VERB_TIME_BYTES = 40, LOG_VERB_PROGRESS_MS = 1000 };

struct log_verb {
    bool json;
    bool dump; /* false: only what is wrong */
    struct dump_counts counts;
    struct arena arena; /* of one event */
    int64_t shown_ms;   /* when progress was last told */
    bool shown;
};

/* "2026-11-25T10:00:00.123Z"; "-" for none. */
static const char *log_verb_time(int64_t ms, char text[LOG_VERB_TIME_BYTES])
{
    time_t seconds = ms / 1000;
    struct tm tm;
    size_t bytes;

    if (ms < 0 || gmtime_r(&seconds, &tm) == NULL) {
        return "-";
    }
    bytes = strftime(text, LOG_VERB_TIME_BYTES, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(text + bytes, LOG_VERB_TIME_BYTES - bytes, ".%03uZ",
             (unsigned)(ms % 1000));
    return text;
}

/* Long work on a terminal says how far it is, once a second. */
static void log_verb_progress(struct log_verb *verb, bool last)
{
    int64_t now_ms = client_now_ms();

    if (verb->dump || !isatty(STDERR_FILENO) || (last && !verb->shown) ||
        (!last && now_ms - verb->shown_ms < LOG_VERB_PROGRESS_MS)) {
        return;
    }
    verb->shown_ms = now_ms;
    verb->shown = true;
    fprintf(stderr, "\r%s bytes checked%s",
            print_number(&verb->arena, (int64_t)verb->counts.bytes).ptr,
            last ? "\n" : "");
}

static const char *log_verb_flags(const struct batch_header *batch)
{
    if ((batch->attributes & BATCH_CONTROL) != 0) {
        return " control";
    }
    return (batch->attributes & BATCH_TRANSACTIONAL) != 0 ? " transactional"
                                                          : "";
}

/* A line of `log dump`. */
static void log_verb_batch(const struct dump_event *event)
{
    const struct batch_header *batch = event->batch;
    char time[LOG_VERB_TIME_BYTES];

    printf("  offsets %" PRId64 "-%" PRId64 ", %" PRId32 " record%s, %" PRId32
           " bytes at %" PRIu64 ", %s, epoch %" PRId32 ", %s%s",
           batch->base_offset, batch_last_offset(batch), batch->record_count,
           batch->record_count == 1 ? "" : "s", batch->bytes, event->position,
           compress_name(batch->attributes & BATCH_CODEC_MASK),
           batch->leader_epoch, log_verb_time(batch->max_timestamp, time),
           log_verb_flags(batch));
    if (batch->producer_id >= 0) {
        printf(", producer %" PRId64 " epoch %d sequence %" PRId32,
               batch->producer_id, batch->producer_epoch, batch->base_sequence);
    }
    fputc('\n', stdout);
}

static void log_verb_record(const struct dump_event *event)
{
    char time[LOG_VERB_TIME_BYTES];

    printf("    %" PRId64 "  %s  ", event->offset,
           log_verb_time(event->timestamp, time));
    print_text(stdout, str_is_null(event->record->key) ? STR_LIT("-")
                                                       : event->record->key);
    fputs("  ", stdout);
    print_text(stdout, str_is_null(event->record->value)
                           ? STR_LIT("-")
                           : event->record->value);
    fputc('\n', stdout);
}

/* "orders-3/0042.log at 8192, offset 17: text" */
static void log_verb_trouble(const struct dump_event *event, const char *what)
{
    printf("%s: %s", what, event->partition);
    if (event->file != NULL) {
        printf("/%s at %" PRIu64, event->file, event->position);
    }
    if (event->offset >= 0) {
        printf(", offset %" PRId64, event->offset);
    }
    fputs(": ", stdout);
    print_text(stdout, str_of(event->text));
    fputc('\n', stdout);
}

/* One event of the walk, for people. */
static void log_verb_people(const struct log_verb *verb,
                            const struct dump_event *event)
{
    switch (event->kind) {
    case DUMP_PARTITION:
        break;
    case DUMP_SEGMENT:
        if (verb->dump) {
            printf("%s/%s\n", event->partition, event->file);
        }
        break;
    case DUMP_BATCH:
        if (verb->dump) {
            log_verb_batch(event);
        }
        break;
    case DUMP_RECORD:
        log_verb_record(event);
        break;
    case DUMP_TAIL:
        log_verb_trouble(event, "unfinished");
        break;
    case DUMP_PROBLEM:
        log_verb_trouble(event, "problem");
        break;
    }
}

/* A batch as fields of an object. */
static void log_verb_json_batch(const struct batch_header *batch)
{
    printf(",\"last_offset\":%" PRId64 ",\"records\":%" PRId32
           ",\"bytes\":%" PRId32 ",\"leader_epoch\":%" PRId32
           ",\"crc\":%" PRIu32 ",\"codec\":\"%s\",\"control\":%s"
           ",\"transactional\":%s,\"log_append_time\":%s"
           ",\"base_timestamp\":%" PRId64 ",\"max_timestamp\":%" PRId64
           ",\"producer_id\":%" PRId64 ",\"producer_epoch\":%d"
           ",\"base_sequence\":%" PRId32,
           batch_last_offset(batch), batch->record_count, batch->bytes,
           batch->leader_epoch, batch->crc,
           compress_name(batch->attributes & BATCH_CODEC_MASK),
           (batch->attributes & BATCH_CONTROL) != 0 ? "true" : "false",
           (batch->attributes & BATCH_TRANSACTIONAL) != 0 ? "true" : "false",
           (batch->attributes & BATCH_LOG_APPEND_TIME) != 0 ? "true" : "false",
           batch->base_timestamp, batch->max_timestamp, batch->producer_id,
           batch->producer_epoch, batch->base_sequence);
}

/* One event of the walk, as an object. */
static void log_verb_json(const struct log_verb *verb,
                          const struct dump_event *event)
{
    static const char *const kinds[] = {
        [DUMP_PARTITION] = "partition", [DUMP_SEGMENT] = "segment",
        [DUMP_BATCH] = "batch",         [DUMP_RECORD] = "record",
        [DUMP_TAIL] = "unfinished",     [DUMP_PROBLEM] = "problem",
    };
    bool trouble = event->kind == DUMP_TAIL || event->kind == DUMP_PROBLEM;

    if (!verb->dump && !trouble) {
        return;
    }
    printf("{\"kind\":\"%s\",\"partition\":", kinds[event->kind]);
    print_json_text(stdout, str_of(event->partition));
    fputs(",\"file\":", stdout);
    print_json_text(stdout, str_of(event->file));
    printf(",\"position\":%" PRIu64 ",\"offset\":%" PRId64, event->position,
           event->offset);
    if (event->kind == DUMP_BATCH) {
        log_verb_json_batch(event->batch);
    } else if (event->kind == DUMP_RECORD) {
        printf(",\"timestamp\":%" PRId64 ",", event->timestamp);
        print_json_bytes(stdout, "key", event->record->key);
        fputc(',', stdout);
        print_json_bytes(stdout, "value", event->record->value);
    } else if (trouble) {
        fputs(",\"text\":", stdout);
        print_json_text(stdout, str_of(event->text));
    }
    fputs("}\n", stdout);
}

static void log_verb_each(void *arg, const struct dump_event *event)
{
    struct log_verb *verb = arg;

    if (verb->json) {
        log_verb_json(verb, event);
    } else {
        log_verb_people(verb, event);
    }
    log_verb_progress(verb, false);
    arena_reset(&verb->arena);
}

static struct str log_verb_count(struct log_verb *verb, uint64_t count,
                                 const char *what)
{
    return arena_printf(&verb->arena, "%s %s%s",
                        print_number(&verb->arena, (int64_t)count).ptr, what,
                        count == 1                      ? ""
                        : what[strlen(what) - 1] == 'h' ? "es"
                                                        : "s");
}

/* The last line: what was read, and how much of it is wrong. */
static void log_verb_summary(struct log_verb *verb)
{
    const struct dump_counts *c = &verb->counts;

    if (verb->json) {
        printf("{\"kind\":\"summary\",\"partitions\":%" PRIu64
               ",\"segments\":%" PRIu64 ",\"batches\":%" PRIu64
               ",\"records\":%" PRIu64 ",\"bytes\":%" PRIu64
               ",\"unfinished\":%" PRIu64 ",\"problems\":%" PRIu64 "}\n",
               c->partitions, c->segments, c->batches, c->records, c->bytes,
               c->tails, c->problems);
        return;
    }
    printf("%s, %s, %s, %s, %s: %s\n",
           log_verb_count(verb, c->partitions, "partition").ptr,
           log_verb_count(verb, c->segments, "segment").ptr,
           log_verb_count(verb, c->batches, "batch").ptr,
           log_verb_count(verb, c->records, "record").ptr,
           log_verb_count(verb, c->bytes, "byte").ptr,
           c->problems == 0 ? "all is well"
                            : log_verb_count(verb, c->problems, "problem").ptr);
}

/* Exit code 1 where anything is wrong: scripts need no more. */
static int log_verb_run(const struct args *args, bool dump, bool records)
{
    struct log_verb verb = {.json = args_has(args, "json"), .dump = dump};
    struct dump_options options = {
        .records = records, .each = log_verb_each, .arg = &verb};
    struct why why = {{0}};
    enum err err = dump_folder(disk_real(), args->operands[0], &options,
                               &verb.counts, &why);

    log_verb_progress(&verb, true);
    if (!err) {
        log_verb_summary(&verb);
    }
    arena_reset(&verb.arena);
    if (err) {
        return cli_failed(&why);
    }
    return verb.counts.problems == 0 ? ARGS_DONE : ARGS_FAILED;
}

int log_verb_dump(const struct args *args)
{
    return log_verb_run(args, true, args_has(args, "records"));
}

int log_verb_check(const struct args *args)
{
    return log_verb_run(args, false, false);
}
