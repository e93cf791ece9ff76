/* log_world.c - one log under bad luck, from a seed.
 *
 *   log_world FIRST LAST     a line for each seed that fails
 *   log_world SEED SEED      the same, and what happened, as it happened
 *
 * The real log on a disk that loses what was not synced. Idempotent producers
 * with up to five batches in flight, plain ones, reservations that are filled
 * or given up, rolls, retention, deletion of the start, truncations; the disk
 * is full for a while, and producers hear late of what was refused; the process
 * is killed, the power goes, or it stops cleanly; then producers send again
 * what was not answered. At every start, and at the end:
 *
 *   - what was below the flushed end is there, where it was, as it was, unless
 *     retention or a truncation took it;
 *   - each sequence of a producer is there once, and none is missing, nor is
 *     one taken while one before it was refused;
 *   - nothing is reported as damaged, for nothing was;
 *   - after a mere kill little more is read than the last second wrote. */
#include "base/arena.h"
#include "base/mem.h"
#include "base/trace.h"
#include "lib/simdisk.h"
#include "lib/simenv.h"
#include "log/log.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define FOLDER "/log/orders-0"

enum {
    PRODUCERS = 4,
    IN_FLIGHT = 5,
    MESSAGES_MAX = 4096,
    OFFSETS_MAX = 1 << 16,
    RESERVATIONS_MAX = 3,
    STEPS = 400,
};

/* A batch on its way into the log. */
struct sending {
    struct log_append append;
    struct sending *next;
    int32_t count;
    int64_t id; /* its timestamp: tells it from all others */
    int32_t producer;
    int32_t message;
    bool written;
    uint8_t *bytes;
};

/* A batch of an idempotent producer; for ever. */
struct message {
    int32_t sequence;
    int32_t count;
    int64_t id;
    int64_t offset; /* -1: not known to be on disk */
};

struct producer {
    int64_t id;
    struct message messages[MESSAGES_MAX];
    int32_t made;
    int32_t sent;     /* the next one to send */
    int32_t acked;    /* all below are on disk */
    int32_t sequence; /* of the next one made */
    int32_t refused;  /* the first that was, and has not heard of it; -1 */
};

static struct world {
    struct simclock clock;
    struct simdisk *sim;
    struct simenv *simenv;
    struct log_producers *state;
    struct log_config config;
    struct log *log;
    struct sending *sendings;
    struct producer producers[PRODUCERS];
    int64_t ids[OFFSETS_MAX]; /* by offset, of what was flushed; 0: none */
    int64_t flushed;          /* the highest flushed end that we believe in */
    int64_t next_id;
    int64_t reserved[RESERVATIONS_MAX];
    int32_t reserved_count[RESERVATIONS_MAX];
    uint64_t written_bytes; /* since the last whole second but one */
    uint64_t bytes_at[2];
    int64_t bytes_since_ms;
    uint64_t seed;
    int32_t epoch; /* of the leader */
    int starts;
    bool loud;
    bool full; /* the disk is */
    bool closed;
} w;

__attribute__((noreturn)) static void wrong(const char *format, ...)
    PRINTF_LIKE(1, 2);

static void wrong(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fprintf(stdout, "seed %llu: at %lld ms: ", (unsigned long long)w.seed,
            (long long)w.clock.now_us / 1000);
    vfprintf(stdout, format, args);
    fprintf(stdout, "\n");
    va_end(args);
    fflush(stdout);
    _exit(1);
}

static void say(const char *format, ...) PRINTF_LIKE(1, 2);

static void say(const char *format, ...)
{
    va_list args;

    if (!w.loud) {
        return;
    }
    va_start(args, format);
    printf("%8lld ms ", (long long)w.clock.now_us / 1000);
    vprintf(format, args);
    printf("\n");
    va_end(args);
}

static uint64_t below(uint64_t limit)
{
    return simclock_random_below(&w.clock, limit);
}

static bool chance(uint64_t percent)
{
    return below(100) < percent;
}

static void failed(void *arg, const struct why *why)
{
    (void)arg;
    wrong("the log failed: %s", why->text);
}

/* ---- what is in the log ---- */

/* Calls each for every batch from offset on to the visible end. */
static void walk(int64_t offset, void (*each)(const struct batch_header *h))
{
    while (offset < log_visible_end(w.log)) {
        struct log_range range;
        struct batch_header h;
        uint8_t *bytes;
        size_t at = 0;
        enum err err =
            log_read(w.log, offset, (uint32_t)(1 + below(30000)), true, &range);

        if (err) {
            wrong("reading %lld: %s", (long long)offset, err_name(err));
        }
        if (range.bytes == 0) {
            return; /* a hole up to the end */
        }
        bytes = mem_alloc(range.bytes);
        err = log_range_read(&range, bytes, NULL);
        if (err) {
            wrong("reading bytes of %lld: %s", (long long)offset,
                  err_name(err));
        }
        while (batch_parse(bytes + at, range.bytes - at, &h) == ERR_NONE) {
            at += (uint32_t)h.bytes;
            if (batch_last_offset(&h) < offset) {
                wrong("reading %lld gave %lld", (long long)offset,
                      (long long)h.base_offset);
            }
            if (batch_last_offset(&h) >= log_visible_end(w.log)) {
                wrong("%lld is not visible yet", (long long)h.base_offset);
            }
            each(&h);
            offset = batch_last_offset(&h) + 1;
        }
        log_range_unpin(&range);
        mem_free(bytes);
        if (at == 0) {
            wrong("no whole batch at %lld", (long long)offset);
        }
    }
}

/* What walk() has found: ids by offset, and the sequences of producers. */
static int64_t found[OFFSETS_MAX];
static int32_t last_sequence[PRODUCERS];

static void found_batch(const struct batch_header *h)
{
    for (int64_t o = h->base_offset; o <= batch_last_offset(h); o++) {
        found[o] = h->base_timestamp;
    }
    if (h->producer_id > 0) {
        int32_t *last = &last_sequence[h->producer_id - 1];

        bool is_first = *last < 0;

        if (is_first && log_start_offset(w.log) == 0 && h->base_sequence != 0) {
            wrong("producer %lld begins with sequence %d at %lld",
                  (long long)h->producer_id, h->base_sequence,
                  (long long)h->base_offset);
        }
        if (!is_first && h->base_sequence != *last + 1) {
            wrong("producer %lld: sequence %d follows %d at %lld",
                  (long long)h->producer_id, h->base_sequence, *last,
                  (long long)h->base_offset);
        }
        *last = batch_last_sequence(h);
    }
}

static void check_all(void)
{
    int64_t start = log_start_offset(w.log);

    memset(found, 0, sizeof(found));
    for (int i = 0; i < PRODUCERS; i++) {
        last_sequence[i] = -1;
    }
    walk(start, found_batch);
    for (int64_t o = start; o < w.flushed; o++) {
        if (w.ids[o] != 0 && found[o] != w.ids[o]) {
            wrong("offset %lld held %lld and holds %lld", (long long)o,
                  (long long)w.ids[o], (long long)found[o]);
        }
    }
    for (int i = 0; i < PRODUCERS; i++) {
        struct producer *p = &w.producers[i];
        struct message *m;

        if (p->acked == 0) {
            continue;
        }
        m = &p->messages[p->acked - 1];
        if (m->offset >= start &&
            last_sequence[i] < m->sequence + m->count - 1) {
            wrong("producer %d: sequence %d is gone", i + 1, m->sequence);
        }
    }
}

/* ---- sending ---- */

static void done(struct log_append *append, enum err err);

static struct sending *make(int32_t count, int64_t id, int64_t producer_id,
                            int32_t sequence)
{
    struct batch_options options = BATCH_OPTIONS;
    struct batch_builder builder;
    struct arena arena = {0};
    struct sending *s = MEM_NEW(struct sending);
    static char value[2000];
    struct str out;

    if (producer_id > 0) {
        options.producer_id = producer_id;
        options.producer_epoch = 0;
        options.base_sequence = sequence;
    }
    batch_builder_init(&builder, &arena, &options, 256);
    for (int32_t i = 0; i < count; i++) {
        struct batch_record record = {.timestamp = id,
                                      .value = str_sub(value, below(700))};

        batch_builder_add(&builder, &record);
    }
    if (batch_builder_finish(&builder, &out)) {
        wrong("no batch was built");
    }
    s->bytes = (uint8_t *)mem_dup(out.ptr, out.len);
    s->append = (struct log_append){.batch = s->bytes,
                                    .bytes = (uint32_t)out.len,
                                    .leader_epoch = w.epoch,
                                    .from_client = producer_id > 0,
                                    .done = done};
    s->count = count;
    s->id = id;
    s->producer = -1;
    s->next = w.sendings;
    w.sendings = s;
    arena_reset(&arena);
    return s;
}

static void unlink_sending(struct sending *s)
{
    struct sending **at = &w.sendings;

    while (*at != s) {
        at = &(*at)->next;
    }
    *at = s->next;
    mem_free(s->bytes);
    mem_free(s);
}

static void done(struct log_append *append, enum err err)
{
    struct sending *s = container_of(append, struct sending, append);

    if (err == ERR_CANCELLED || err == ERR_CLOSED) {
        unlink_sending(s);
        return;
    }
    if (s->producer >= 0 && w.producers[s->producer].refused >= 0) {
        struct producer *p = &w.producers[s->producer];

        if (s->message < p->refused) {
            p->refused = s->message;
        } else if (err == ERR_NONE && s->message > p->refused) {
            wrong("producer %d: message %d was taken, %d was refused",
                  s->producer + 1, s->message, p->refused);
        } else if (err == ERR_OUT_OF_ORDER_SEQUENCE_NUMBER) {
            unlink_sending(s);
            return;
        }
    }
    if (err == ERR_FULL && w.full) {
        say("producer %d: message %d refused", s->producer + 1, s->message);
        if (s->producer >= 0 && w.producers[s->producer].refused < 0) {
            w.producers[s->producer].refused = s->message;
        }
        unlink_sending(s);
        return;
    }
    if (err) {
        wrong("append of %lld, producer %d, message %d: %s", (long long)s->id,
              s->producer + 1, s->message, err_name(err));
    }
    if (s->producer >= 0) {
        say("producer %d: message %d %s at %lld", s->producer + 1, s->message,
            append->duplicate ? "was there" : "written",
            (long long)append->base_offset);
    }
    s->written = true;
    w.written_bytes += append->bytes;
}

/* Takes note of what has been flushed. */
static void acknowledge(void)
{
    int64_t flushed = log_flushed_end(w.log);
    struct sending *next;

    if (flushed > OFFSETS_MAX - 1000) {
        return;
    }
    for (struct sending *s = w.sendings; s != NULL; s = next) {
        next = s->next;
        if (!s->written || s->append.last_offset >= flushed) {
            continue;
        }
        for (int64_t o = s->append.base_offset; o <= s->append.last_offset;
             o++) {
            if (w.ids[o] != 0 && w.ids[o] != s->id) {
                wrong("offset %lld was given twice", (long long)o);
            }
            w.ids[o] = s->id;
        }
        if (s->producer >= 0) {
            w.producers[s->producer].messages[s->message].offset =
                s->append.base_offset;
        }
        unlink_sending(s);
    }
    w.flushed = MAX(w.flushed, flushed);
    for (int i = 0; i < PRODUCERS; i++) {
        struct producer *p = &w.producers[i];

        while (p->acked < p->sent && p->messages[p->acked].offset >= 0) {
            p->acked++;
        }
    }
}

/* All that was not answered is to be sent again, from the first on. */
static void send_again(int64_t end)
{
    while (w.sendings != NULL) {
        unlink_sending(w.sendings);
    }
    for (int i = 0; i < PRODUCERS; i++) {
        struct producer *p = &w.producers[i];

        for (int32_t m = 0; m < p->made; m++) {
            if (p->messages[m].offset >= end) {
                p->messages[m].offset = -1;
            }
        }
        while (p->acked > 0 && p->messages[p->acked - 1].offset < 0) {
            p->acked--;
        }
        p->sent = p->acked;
        p->refused = -1;
    }
    memset(w.reserved_count, 0, sizeof(w.reserved_count));
}

/* Some learn now what was refused, and go back there. */
static void hear(void)
{
    for (int i = 0; i < PRODUCERS; i++) {
        struct producer *p = &w.producers[i];

        if (p->refused >= 0 && chance(30)) {
            say("producer %d hears that %d was refused", i + 1, p->refused);
            p->sent = p->refused;
            p->refused = -1;
        }
    }
}

static void do_send(void *arg)
{
    (void)arg;
    hear();
    for (int n = (int)below(6); n >= 0; n--) {
        int i = (int)below(PRODUCERS + 1);
        struct producer *p = &w.producers[i % PRODUCERS];
        struct message *m;
        struct sending *s;

        if (i == PRODUCERS) {
            s = make(1 + (int32_t)below(4), ++w.next_id, 0, 0);
            log_append(w.log, &s->append);
            continue;
        }
        if (p->sent - p->acked >= IN_FLIGHT || p->sent == MESSAGES_MAX) {
            continue;
        }
        m = &p->messages[p->sent];
        if (p->sent == p->made) {
            *m = (struct message){.sequence = p->sequence,
                                  .count = 1 + (int32_t)below(3),
                                  .id = ++w.next_id,
                                  .offset = -1};
            p->sequence += m->count;
            p->made++;
        }
        s = make(m->count, m->id, p->id, m->sequence);
        s->producer = i;
        s->message = p->sent++;
        log_append(w.log, &s->append);
        say("producer %d sends %d (%d)", i + 1, m->sequence, m->count);
    }
}

static void do_reserve(void *arg)
{
    uint64_t at = below(RESERVATIONS_MAX);

    (void)arg;
    if (w.reserved_count[at] == 0) {
        w.reserved_count[at] = 1 + (int32_t)below(5);
        w.reserved[at] = log_reserve(w.log, w.reserved_count[at]);
        say("reserve %d at %lld", w.reserved_count[at],
            (long long)w.reserved[at]);
    }
}

static void do_settle(void *arg)
{
    bool fill = chance(60);

    (void)arg;
    for (int i = 0; i < RESERVATIONS_MAX; i++) {
        if (w.reserved_count[i] == 0) {
            continue;
        }
        if (fill) {
            struct sending *s = make(w.reserved_count[i], ++w.next_id, 0, 0);

            log_fill(w.log, w.reserved[i], &s->append);
        } else {
            log_release(w.log, w.reserved[i]);
        }
        w.reserved_count[i] = 0;
    }
}

/* ---- other things that happen ---- */

static void do_show(void *arg)
{
    (void)arg;
    log_set_visible_end(w.log, log_flushed_end(w.log));
}

static void do_flush(void *arg)
{
    (void)arg;
    log_flush(w.log);
}

static void do_truncate(void *arg)
{
    int64_t start = log_start_offset(w.log);
    int64_t end = log_end_offset(w.log);
    int64_t to = start + (int64_t)below((uint64_t)(end - start) + 1);
    struct why why;

    (void)arg;
    if (log_truncate(w.log, to, &why)) {
        wrong("truncation: %s", why.text);
    }
    say("truncate %lld to %lld: %lld", (long long)end, (long long)to,
        (long long)log_end_offset(w.log));
    if (log_begin_epoch(w.log, w.epoch, NULL)) {
        wrong("no epoch goes on");
    }
    to = log_end_offset(w.log);
    for (int64_t o = to; o < w.flushed; o++) {
        w.ids[o] = 0;
    }
    w.flushed = MIN(w.flushed, to);
}

static void do_retain(void *arg)
{
    (void)arg;
    w.config.retention_bytes = chance(50) ? 30000 : -1;
    log_configure(w.log, &w.config);
    (void)log_retain(w.log, env_wall_ms(simenv_env(w.simenv)));
}

static void do_raise(void *arg)
{
    int64_t start = log_start_offset(w.log);
    int64_t visible = log_visible_end(w.log);
    int64_t to = start + (int64_t)below((uint64_t)(visible - start) + 1);
    struct why why;

    (void)arg;
    if (log_store_start(w.log, to, &why) || log_raise_start(w.log, to, &why)) {
        wrong("raising the start: %s", why.text);
    }
    say("start is %lld", (long long)log_start_offset(w.log));
}

static void do_epoch(void *arg)
{
    (void)arg;
    if (log_begin_epoch(w.log, ++w.epoch, NULL)) {
        wrong("no new epoch");
    }
    say("epoch %d", w.epoch);
}

static void closed(void *arg)
{
    *(bool *)arg = true;
}

static void do_close(void *arg)
{
    log_close(w.log, closed, arg);
}

/* ---- lives ---- */

static void start(bool clean, bool killed)
{
    struct log_options options = {.folder = FOLDER,
                                  .topic = STR_LIT("orders"),
                                  .topic_id = {{7}},
                                  .config = w.config,
                                  .producers = w.state,
                                  .clean = clean,
                                  .failed = failed};
    struct log_recovery report;
    struct why why;

    w.state->reset(w.state);
    if (log_open(simenv_env(w.simenv), &options, &w.log, &report, &why)) {
        wrong("could not open: %s", why.text);
    }
    say("start %d, clean %d: [%lld, %lld), read %llu, cut %llu from %lld",
        ++w.starts, clean, (long long)report.start_offset,
        (long long)report.end_offset, (unsigned long long)report.scanned_bytes,
        (unsigned long long)report.cut_bytes,
        (long long)report.cut_from_offset);
    if (log_last_epoch(w.log) < w.epoch &&
        log_begin_epoch(w.log, w.epoch, NULL)) {
        wrong("no epoch goes on");
    }
    if (report.damaged_offset >= 0) {
        wrong("damage at %lld", (long long)report.damaged_offset);
    }
    if (report.end_offset < w.flushed) {
        wrong("ends at %lld, was flushed up to %lld",
              (long long)report.end_offset, (long long)w.flushed);
    }
    if (clean && report.scanned_bytes > 0) {
        wrong("read %llu bytes after a clean stop",
              (unsigned long long)report.scanned_bytes);
    }
    /* Twice: for the batches, and for their producers. */
    if (killed &&
        report.scanned_bytes > 2 * (w.bytes_at[1] + w.written_bytes) + 20000) {
        wrong("read %llu bytes after a kill, of %llu written lately",
              (unsigned long long)report.scanned_bytes,
              (unsigned long long)(w.bytes_at[1] + w.written_bytes));
    }
    /* A log that got longer than was known to be flushed stays as it is. */
    log_set_visible_end(w.log, log_end_offset(w.log));
    check_all();
    memcpy(w.ids, found, sizeof(w.ids));
    w.flushed = report.end_offset;
}

static void end_life(void)
{
    bool clean = chance(30);
    bool killed = !clean && chance(40);

    acknowledge();
    if (clean) {
        w.closed = false;
        simenv_run(w.simenv, do_close, &w.closed);
        if (!simclock_run_until_set(&w.clock, &w.closed, 100000)) {
            wrong("does not close");
        }
        say("closed");
    } else {
        simenv_crash(w.simenv);
        log_abandon(w.log);
        say("%s", killed ? "killed" : "power lost");
        if (!killed) {
            simdisk_crash(w.sim, simclock_random(&w.clock));
        }
    }
    w.log = NULL;
    send_again(INT64_MAX);
    start(clean, killed);
}

/* There is no room for a while; then there is. */
static void fill_up(void)
{
    say("the disk is full");
    simdisk_limit(w.sim, simdisk_used_bytes(w.sim) + below(6000));
    w.full = true;
    for (uint64_t n = 1 + below(6); n > 0; n--) {
        simenv_run(w.simenv, do_send, NULL);
        simclock_run_for_ms(&w.clock, (int64_t)below(chance(10) ? 1500 : 20));
        acknowledge();
    }
    w.full = false;
    simdisk_limit(w.sim, UINT64_MAX);
    say("it has room again");
}

static void count_bytes(void)
{
    if (w.clock.now_us / 1000 - w.bytes_since_ms > 1100) {
        w.bytes_at[1] = w.written_bytes;
        w.written_bytes = 0;
        w.bytes_since_ms = w.clock.now_us / 1000;
    }
}

static void step(void)
{
    uint64_t what = below(100);

    count_bytes();
    if (what < 60) {
        simenv_run(w.simenv, do_send, NULL);
    } else if (what < 66) {
        simenv_run(w.simenv, do_reserve, NULL);
    } else if (what < 74) {
        simenv_run(w.simenv, do_settle, NULL);
    } else if (what < 84) {
        simenv_run(w.simenv, do_show, NULL);
        check_all();
    } else if (what < 88) {
        simenv_run(w.simenv, do_flush, NULL);
    } else if (what < 90) {
        simenv_run(w.simenv, do_retain, NULL);
    } else if (what < 92) {
        simenv_run(w.simenv, do_raise, NULL);
    } else if (what < 94) {
        simenv_run(w.simenv, do_truncate, NULL);
        /* What is left behind in memory was cancelled or cut. */
        acknowledge();
        send_again(log_end_offset(w.log));
    } else if (what < 95) {
        simenv_run(w.simenv, do_epoch, NULL);
    } else if (what < 97) {
        fill_up();
    } else {
        end_life();
    }
    simclock_run_for_ms(&w.clock, (int64_t)(chance(5) ? 1500 : below(30)));
    acknowledge();
}

static void finish(void)
{
    simenv_run(w.simenv, do_settle, NULL);
    for (int i = 0; i < 2000; i++) {
        bool all = true;

        for (int p = 0; p < PRODUCERS; p++) {
            all = all && w.producers[p].acked == w.producers[p].made;
        }
        if (all) {
            break;
        }
        simenv_run(w.simenv, do_send, NULL);
        simenv_run(w.simenv, do_flush, NULL);
        simclock_run_for_ms(&w.clock, 50);
        acknowledge();
    }
    simenv_run(w.simenv, do_show, NULL);
    check_all();
    w.closed = false;
    simenv_run(w.simenv, do_close, &w.closed);
    if (!simclock_run_until_set(&w.clock, &w.closed, 100000)) {
        wrong("does not close at the end");
    }
    send_again(INT64_MAX);
}

static void run(uint64_t seed, bool loud)
{
    w.seed = seed;
    w.loud = loud;
    trace_level_set(loud ? TRACE_DEBUG : TRACE_ERROR);
    simclock_init(&w.clock, seed);
    w.clock.wall_start_ms = 1000;
    w.sim = simdisk_open();
    w.simenv = simenv_open(&w.clock, simdisk_disk(w.sim));
    w.state = log_producers_open(INT64_MAX);
    w.config =
        (struct log_config){.segment_bytes = 4000 + (int64_t)below(20000),
                            .segment_ms = INT64_MAX / 4,
                            .segment_index_bytes = 10 << 20,
                            .index_interval_bytes = (int64_t)below(5000),
                            .retention_ms = -1,
                            .retention_bytes = -1,
                            .file_delete_delay_ms = (int64_t)below(500),
                            .flush_messages = 1 + (int64_t)below(50),
                            .flush_ms = 1 + (int64_t)below(300),
                            .flush_commit = chance(70),
                            .retain = true};
    for (int i = 0; i < PRODUCERS; i++) {
        w.producers[i].id = i + 1;
        w.producers[i].refused = -1;
    }
    if (disk_make_folder(simdisk_disk(w.sim), "/log", NULL) ||
        disk_sync_folder(simdisk_disk(w.sim), "/", NULL)) {
        wrong("no folder");
    }
    start(false, false);
    for (int i = 0; i < STEPS && w.flushed < OFFSETS_MAX / 2; i++) {
        step();
    }
    finish();
    log_producers_close(w.state);
    simenv_close(w.simenv);
    simdisk_close(w.sim);
    simclock_fini(&w.clock);
}

/* Each seed in a process of its own: one that crashes is one failure. */
int main(int argc, char **argv)
{
    uint64_t first = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
    uint64_t last = argc > 2 ? strtoull(argv[2], NULL, 10) : first;
    uint64_t bad = 0;

    for (uint64_t seed = first; seed <= last; seed++) {
        int status = 0;
        pid_t child = fork();

        if (child == 0) {
            run(seed, first == last);
            exit(0);
        }
        if (child < 0 || waitpid(child, &status, 0) != child) {
            return 2;
        }
        if (status != 0) {
            bad++;
            if (!WIFEXITED(status)) {
                printf("seed %llu: died of signal %d\n",
                       (unsigned long long)seed, WTERMSIG(status));
            }
        }
        fflush(stdout);
    }
    printf("log_world: %llu passed, %llu failed\n",
           (unsigned long long)(last - first + 1 - bad),
           (unsigned long long)bad);
    return bad != 0;
}
