/* log_recover.c - fuzzes what a log finds in its folder.
 *
 * The input is a byte of choices, then files one after the other: a byte that
 * says which (bits 0-2) and of which segment (3-4), whether CRCs are put right
 * (7), two bytes of length, the bytes. The log opens on them, or says why not;
 * gives only batches that are whole, in order; takes another; and the second
 * time it opens it finds what it left. */
#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/mem.h"
#include "base/must.h"
#include "base/trace.h"
#include "lib/simdisk.h"
#include "lib/simenv.h"
#include "log/dump.h"
#include "log/log.h"
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

#define FOLDER "/t-0"

static struct {
    struct simclock clock;
    struct simdisk *sim;
    struct simenv *simenv;
    struct log_producers *producers;
    struct log *log;
    struct log_recovery report;
    struct log_append append;
    uint8_t batch[200];
    bool done;
} w;

/* Makes the CRC of each batch right, as far as lengths lead. */
static void seal_batches(uint8_t *at, size_t left)
{
    while (left >= BATCH_HEADER_BYTES) {
        uint32_t bytes = batch_bytes(at);

        if (bytes < BATCH_HEADER_BYTES || bytes > left) {
            return;
        }
        at[BATCH_MAGIC_AT] = BATCH_MAGIC;
        batch_seal(at);
        at += bytes;
        left -= bytes;
    }
}

static void seal(int kind, uint8_t *at, size_t bytes)
{
    if (kind == 0) {
        seal_batches(at, bytes);
    } else if (kind == 3 && bytes >= 64) {
        bytes_put_u32(at, 0x544d4650);
        bytes_put_u32(at + 4, 0);
        bytes_put_u32(at + 60, crc32c(0, at, 60));
    } else if ((kind == 4 || kind == 6) && bytes >= 20) {
        bytes_put_u32(at, 0x544d5053);
        bytes_put_u32(at + 4, 0);
        bytes_put_u32(at + 16, crc32c(crc32c(0, at, 16), at + 20, bytes - 20));
    } else if (kind == 7 && bytes >= 10) {
        bytes_put_u16(at, 1);
        bytes_put_u32(at + 2, crc32c(0, at + 6, bytes - 6));
    }
}

static void put_file(uint8_t what, const uint8_t *data, size_t bytes)
{
    static const char *const names[] = {
        "%020d.log",       "%020d.index",    "%020d.timeindex",
        "flushed-point",   "producer-state", "leader-epoch-checkpoint",
        "%020d.producers", "%020d.snapshot",
    };
    static const int bases[] = {0, 3, 10, 100};
    uint8_t *copy = mem_alloc(bytes + 1);
    struct iovec part = {copy, bytes};
    struct file *file = NULL;
    char path[200] = FOLDER "/";
    int kind = what & 7;
    enum err err;

    memcpy(copy, data, bytes);
    if ((what & 0x80) != 0) {
        seal(kind, copy, bytes);
    }
    if (strchr(names[kind], '%') != NULL) {
        (void)snprintf(path, sizeof(path), FOLDER "/%020d%s",
                       bases[what >> 3 & 3], names[kind] + 5);
    } else {
        (void)snprintf(path, sizeof(path), FOLDER "/%s", names[kind]);
    }
    err = file_open(simdisk_disk(w.sim), path, FILE_WRITE, &file, NULL);
    must(err == ERR_NONE);
    if (bytes > 0) {
        err = file_write(file, 0, &part, 1, NULL);
        must(err == ERR_NONE);
    }
    file_close(file);
    mem_free(copy);
}

static void failed(void *arg, const struct why *why)
{
    (void)arg;
    (void)fprintf(stderr, "failed: %s\n", why->text);
    must(false);
}

static enum err open_log(bool clean)
{
    struct log_options options = {.folder = FOLDER,
                                  .topic = STR_LIT("t"),
                                  .producers = w.producers,
                                  .clean = clean,
                                  .failed = failed,
                                  .config = {.segment_bytes = 1 << 20,
                                             .segment_ms = INT64_MAX / 4,
                                             .segment_index_bytes = 1 << 20,
                                             .index_interval_bytes = 100,
                                             .retention_ms = -1,
                                             .retention_bytes = -1,
                                             .flush_messages = INT64_MAX,
                                             .flush_ms = INT64_MAX,
                                             .flush_commit = true}};

    w.producers->reset(w.producers);
    return log_open(simenv_env(w.simenv), &options, &w.log, &w.report, NULL);
}

static void read_all(void)
{
    int64_t offset = log_start_offset(w.log);
    int64_t stride = 1; /* damage may be as wide as offsets go */

    log_set_visible_end(w.log, log_end_offset(w.log));
    while (offset < log_end_offset(w.log)) {
        struct log_range range;
        struct batch_header h;
        enum err err = log_read(w.log, offset, 1 << 20, true, &range);
        size_t at = 0;
        uint8_t *bytes;

        must(err == ERR_NONE || err == ERR_DAMAGED);
        if (err == ERR_NONE && range.bytes == 0) {
            return;
        }
        if (err) {
            offset += MIN(stride, log_end_offset(w.log) - offset);
            stride += stride < (INT64_MAX >> 2) ? stride : 0;
            continue;
        }
        bytes = mem_alloc(range.bytes);
        err = log_range_read(&range, bytes, NULL);
        must(err == ERR_NONE);
        while (batch_parse(bytes + at, range.bytes - at, &h) == ERR_NONE) {
            must(batch_last_offset(&h) >= offset);
            at += (uint32_t)h.bytes;
            offset = batch_last_offset(&h) + 1;
        }
        must(at > 0);
        log_range_unpin(&range);
        mem_free(bytes);
    }
}

static void on_done(struct log_append *append, enum err err)
{
    (void)append;
    must(err == ERR_NONE);
    w.done = true;
}

static void do_append(void *arg)
{
    (void)arg;
    memset(w.batch, 0, sizeof(w.batch));
    bytes_put_i32(w.batch + 8, (int32_t)sizeof(w.batch) - BATCH_PREFIX_BYTES);
    w.batch[BATCH_MAGIC_AT] = BATCH_MAGIC;
    bytes_put_i64(w.batch + 43, -1);
    bytes_put_i32(w.batch + 57, 1);
    batch_seal(w.batch);
    w.append = (struct log_append){.batch = w.batch,
                                   .bytes = sizeof(w.batch),
                                   .leader_epoch = INT32_MAX,
                                   .done = on_done};
    log_append(w.log, &w.append);
}

static void closed(void *arg)
{
    *(bool *)arg = true;
}

static void do_close(void *arg)
{
    log_close(w.log, closed, arg);
}

static void close_log(void)
{
    bool done = false;

    simenv_run(w.simenv, do_close, &done);
    must(simclock_run_until_set(&w.clock, &done, 100000));
}

static void look(void)
{
    struct dump_options options = {.records = true};
    struct dump_counts counts;
    enum err err =
        dump_folder(simdisk_disk(w.sim), FOLDER, &options, &counts, NULL);

    must(err == ERR_NONE || err == ERR_NOT_FOUND);
}

static void live(bool clean)
{
    struct log_found found;
    int64_t end;
    enum err err;

    look();
    err = open_log(clean);
    if (err) {
        return;
    }
    read_all();
    err = log_find_time(w.log, 0, &found, NULL);
    must(err == ERR_NONE);
    end = log_end_offset(w.log);
    if (end < INT64_MAX / 2) {
        w.done = false;
        simenv_run(w.simenv, do_append, NULL);
        must(w.done && w.append.base_offset == end);
    }
    close_log();
    err = open_log(true);
    must(err == ERR_NONE);
    must(log_end_offset(w.log) == (w.done ? end + 1 : end));
    read_all();
    close_log();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    bool clean;

    if (bytes < 1) {
        return 0;
    }
    /* LOUD=1 shows what an input makes the log say; else not even errors. */
    trace_level_set(getenv("LOUD") == NULL ? (enum trace_level) - 1
                                           : TRACE_DEBUG);
    simclock_init(&w.clock, 1);
    w.sim = simdisk_open();
    w.simenv = simenv_open(&w.clock, simdisk_disk(w.sim));
    w.producers = log_producers_open(INT64_MAX);
    w.done = false;
    must(disk_make_folder(simdisk_disk(w.sim), FOLDER, NULL) == ERR_NONE);
    clean = (*data++ & 1) != 0;
    bytes--;
    while (bytes >= 3) {
        size_t count = MIN((size_t)bytes_get_u16(data + 1), bytes - 3);

        put_file(data[0], data + 3, count);
        data += 3 + count;
        bytes -= 3 + count;
    }
    live(clean);
    log_producers_close(w.producers);
    simenv_close(w.simenv);
    simdisk_close(w.sim);
    simclock_fini(&w.clock);
    return 0;
}
