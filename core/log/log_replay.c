/* log_replay.c - the producers' state, from what was stored of it and from the
 * batches that came after.
 *
 * Stored are: producer-state (at the flushed point, each second), and at rolls
 * and at a clean stop <offset>.producers (ours) and <offset>.snapshot (Kafka's,
 * less deep).
 *
 * Happy path:
 * 1. List what is there. What is from above the log's end is removed: the log
 *    will pass there again, with other batches.
 * 2. Load the newest that can be read.
 * 3. Note the batches behind it, segment by segment; store at each base what a
 *    roll would have stored there. */
#include "log/log_private.h"

#include "base/mem.h"
#include "base/trace.h"
#include "log/names.h"
#include "log/scan.h"
#include <stdlib.h>

enum { LOG_STATE_BYTES_MAX = 1 << 30 };

/* In the order in which they are tried: Kafka's knows one batch of each
 * producer where we need five, and is for logs that have nothing else. */
enum log_stored_kind {
    STORED_DEEP,    /* <offset>.producers */
    STORED_RUNNING, /* producer-state */
    STORED_KAFKA,   /* <offset>.snapshot */
};

struct log_stored {
    int64_t offset;
    enum log_stored_kind kind;
};

struct log_states {
    struct log *log;
    struct log_stored *list;
    uint32_t count;
    uint32_t capacity;
    char *running; /* the bytes of producer-state, if it is in the list */
    size_t running_bytes;
};

static void log_states_push(struct log_states *states, struct log_stored state)
{
    if (states->count == states->capacity) {
        states->capacity = MAX(states->capacity * 2, 8U);
        states->list = mem_realloc(states->list,
                                   sizeof(states->list[0]) * states->capacity);
    }
    states->list[states->count++] = state;
}

static void log_states_add(void *arg, const char *name, bool is_folder)
{
    struct log_stored state = {.kind = STORED_DEEP};

    if (is_folder) {
        return;
    }
    if (names_parse(name, NAMES_DEEP, &state.offset)) {
        log_states_push(arg, state);
    } else if (names_parse(name, NAMES_SNAPSHOT, &state.offset)) {
        state.kind = STORED_KAFKA;
        log_states_push(arg, state);
    }
}

static void log_state_path(const struct log *log,
                           const struct log_stored *state,
                           char path[NAMES_PATH_BYTES])
{
    names_path(path, log->folder, state->offset,
               state->kind == STORED_DEEP ? NAMES_DEEP : NAMES_SNAPSHOT);
}

static void log_state_remove(struct log *log, const char *path)
{
    enum err err = disk_remove(log->env->disk, path, NULL);

    if (err && err != ERR_NOT_FOUND) {
        trace(TRACE_WARN, "could not remove \"%s\"", path);
    }
    log->state_removed = true;
}

/* Whether the state belongs to a log of these ends. */
static bool log_state_is_usable(const struct log *log, int64_t offset)
{
    return offset >= log->segments[0]->base && offset <= log->end_offset;
}

/* When the file was last written; now, where that cannot be told. */
static int64_t log_written_ms(struct log *log, const char *path)
{
    int64_t now_ms = env_wall_ms(log->env);
    int64_t time = now_ms;

    return disk_modified_ms(log->env->disk, path, &time, NULL)
               ? now_ms
               : MIN(time, now_ms);
}

/* producer-state, if it is of this log. */
static void log_states_add_running(struct log_states *states)
{
    struct log *log = states->log;
    struct log_stored state = {.kind = STORED_RUNNING};
    char path[NAMES_PATH_BYTES];

    names_join(path, log->folder, NAMES_STATE);
    if (small_files_load_state(log->env->disk, path, &state.offset,
                               &states->running, &states->running_bytes,
                               NULL)) {
        return;
    }
    if (log_state_is_usable(log, state.offset)) {
        log_states_push(states, state);
    } else {
        log_state_remove(log, path);
    }
}

/* The bytes of a state with an offset in its name, from mem_. */
static enum err log_state_read(struct log *log, const struct log_stored *state,
                               const char *path, char **bytes, size_t *count)
{
    int64_t offset = state->offset;
    enum err err;

    if (state->kind == STORED_KAFKA) {
        return disk_read_all(log->env->disk, path, LOG_STATE_BYTES_MAX, bytes,
                             count, NULL);
    }
    err = small_files_load_state(log->env->disk, path, &offset, bytes, count,
                                 NULL);
    return !err && offset != state->offset ? ERR_CORRUPT : err;
}

static enum err log_state_load(struct log_states *states,
                               const struct log_stored *state)
{
    struct log *log = states->log;
    char path[NAMES_PATH_BYTES];
    char *bytes = NULL;
    size_t count = 0;
    struct str it;
    enum err err = ERR_NONE;

    if (state->kind == STORED_RUNNING) {
        names_join(path, log->folder, NAMES_STATE);
        it = str_sub(states->running, states->running_bytes);
    } else {
        log_state_path(log, state, path);
        err = log_state_read(log, state, path, &bytes, &count);
        it = str_sub(bytes, count);
    }
    if (!err) {
        bool is_kafka = state->kind == STORED_KAFKA;

        err = log->producers->load(log->producers, is_kafka ? it : STR_NULL,
                                   is_kafka ? STR_NULL : it,
                                   log_written_ms(log, path));
    }
    mem_free(bytes);
    return err;
}

/* Ours first, then the newest first. */
static int log_stored_compare(const void *a, const void *b)
{
    const struct log_stored *left = a;
    const struct log_stored *right = b;
    bool left_is_kafka = left->kind == STORED_KAFKA;
    bool right_is_kafka = right->kind == STORED_KAFKA;

    if (left_is_kafka != right_is_kafka) {
        return left_is_kafka ? 1 : -1;
    }
    return (left->offset < right->offset) - (left->offset > right->offset);
}

/* Loads the best stored state; gives the offset that it is as of. */
static int64_t log_states_load(struct log_states *states)
{
    struct log *log = states->log;

    log_states_add_running(states);
    if (states->count > 0) {
        qsort(states->list, states->count, sizeof(states->list[0]),
              log_stored_compare);
    }
    for (uint32_t i = 0; i < states->count; i++) {
        if (log_state_load(states, &states->list[i]) == ERR_NONE) {
            return states->list[i].offset;
        }
    }
    log->producers->reset(log->producers);
    return log->segments[0]->base;
}

/* Removes what the log has left behind or not reached, and what no segment
 * begins at, but for the newest of each kind. */
static void log_states_tidy(struct log_states *states)
{
    struct log *log = states->log;
    uint32_t kept = 0;
    int64_t newest[] = {[STORED_DEEP] = -1, [STORED_KAFKA] = -1};

    for (uint32_t i = 0; i < states->count; i++) {
        struct log_stored *state = &states->list[i];

        if (state->offset <= log->end_offset) {
            newest[state->kind] = MAX(newest[state->kind], state->offset);
        }
    }
    for (uint32_t i = 0; i < states->count; i++) {
        struct log_stored *state = &states->list[i];
        bool keep = log_state_is_usable(log, state->offset) &&
                    state->offset == newest[state->kind];

        for (uint32_t s = 0; !keep && s < log->segment_count; s++) {
            keep = log->segments[s]->base == state->offset &&
                   state->offset <= log->end_offset;
        }
        if (keep) {
            states->list[kept++] = *state;
        } else {
            char path[NAMES_PATH_BYTES];

            log_state_path(log, state, path);
            log_state_remove(log, path);
        }
    }
    states->count = kept;
}

/* Notes the batches of the at-th segment from offset on. */
static enum err log_replay_segment(struct log *log, uint32_t at, int64_t offset,
                                   uint64_t *read_bytes, struct why *why)
{
    struct segment *segment = log->segments[at];
    int64_t low = segment->base;
    int64_t high = log_segment_end(log, at);
    char path[NAMES_PATH_BYTES];
    int64_t now_ms = env_wall_ms(log->env);
    int64_t written_ms;
    struct lazy_handle *handle = NULL;
    struct segment_spot spot;
    struct scan scan;
    enum err err = segment_find(segment, offset, segment_bytes(segment), false,
                                &spot, why);

    if (err == ERR_NOT_FOUND || err == ERR_DAMAGED) {
        return ERR_NONE;
    }
    err = err ? err : segment_take(segment, false, &handle, why);
    if (err) {
        return err;
    }
    names_path(path, log->folder, segment->base, NAMES_LOG);
    written_ms = log_written_ms(log, path);
    log_scan_init(log, &scan, handle, spot.position, segment_bytes(segment));
    for (;;) {
        struct scan_batch batch;

        err = segment_scan_next(segment, &scan, &low, high, &batch, why);
        if (err == ERR_NOT_FOUND) {
            err = ERR_NONE;
            break;
        }
        if (err) {
            break;
        }
        if (batch.header.base_offset >= offset) {
            /* It was taken before its file was last written, and a client's
             * times may be of any year. */
            log->producers->note(
                log->producers, &batch.header,
                MIN(MAX(batch.header.max_timestamp, written_ms), now_ms));
        }
    }
    *read_bytes += scan.read_bytes;
    scan_fini(&scan);
    lazy_handle_unref(handle);
    return err;
}

static bool log_states_has(const struct log_states *states, int64_t offset)
{
    for (uint32_t i = 0; i < states->count; i++) {
        if (states->list[i].offset == offset &&
            states->list[i].kind == STORED_DEEP) {
            return true;
        }
    }
    return false;
}

/* A full disk is no error: what is not stored is read again. Takes the file,
 * which may be NULL. */
static enum err log_replay_save(struct log *log, struct point_file *file,
                                struct why *why)
{
    enum err err =
        file == NULL ? ERR_NONE : point_file_save(log->env->disk, file, why);

    point_files_free(file);
    return err == ERR_FULL ? ERR_NONE : err;
}

/* Stores what a roll stores, where a crash kept it from doing so: the state is
 * as of the segment's base just now. Synced as there: a file of ours that has
 * its name is whole. */
static enum err log_replay_save_roll(struct log_states *states, int64_t base,
                                     struct why *why)
{
    struct log *log = states->log;
    enum err err;

    if (log_states_has(states, base)) {
        return ERR_NONE;
    }
    err = log_replay_save(log, log_state_file(log, NULL, base, true), why);
    return err ? err
               : log_replay_save(log, log_state_file(log, NULL, base, false),
                                 why);
}

enum err log_replay(struct log *log, uint64_t *read_bytes, struct why *why)
{
    struct log_states states = {.log = log};
    uint64_t before = *read_bytes;
    int64_t from;
    enum err err;

    if (log->producers == NULL) {
        return ERR_NONE;
    }
    log->state_removed = false;
    err = disk_list(log->env->disk, log->folder, log_states_add, &states, why);
    if (!err) {
        log_states_tidy(&states);
        from = log_states_load(&states);
        for (uint32_t i = 0; !err && i < log->segment_count; i++) {
            if (log->segments[i]->base > from) {
                err =
                    log_replay_save_roll(&states, log->segments[i]->base, why);
            }
            if (!err && log_segment_end(log, i) > from) {
                err = log_replay_segment(log, i, from, read_bytes, why);
            }
        }
    }
    if (!err && *read_bytes > before) {
        /* So that the next start need not read these batches again. */
        err = log_replay_save(
            log, log_state_file(log, NAMES_STATE, log->end_offset, true), why);
    }
    mem_free(states.list);
    mem_free(states.running);
    return err;
}
