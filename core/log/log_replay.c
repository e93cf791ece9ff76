/* log_replay.c - the producers' state, from what was stored of it and from the
 * batches that came after.
 *
 * Stored are: producer-state (at the flushed point, each second), and at rolls
 * and at a clean stop <offset>.producers (ours) and <offset>.snapshot (Kafka's,
 * less deep). The newest that can be read and is not from above the log's end
 * is loaded; those from above are removed, for the log will pass there again
 * with other batches. */
#include "log/log_private.h"

#include "base/mem.h"
#include "base/trace.h"
#include "log/names.h"
#include "log/scan.h"

enum { LOG_STATE_BYTES_MAX = 1 << 30 };

struct log_stored {
    int64_t offset;
    bool is_deep;
};

struct log_states {
    struct log *log;
    struct log_stored *list;
    uint32_t count;
    uint32_t capacity;
};

static void log_states_add(void *arg, const char *name, bool is_folder)
{
    struct log_states *states = arg;
    struct log_stored state = {0};

    state.is_deep = names_parse(name, NAMES_DEEP, &state.offset);
    if (is_folder ||
        (!state.is_deep && !names_parse(name, NAMES_SNAPSHOT, &state.offset))) {
        return;
    }
    if (states->count == states->capacity) {
        states->capacity = MAX(states->capacity * 2, 8U);
        states->list = mem_realloc(states->list,
                                   sizeof(states->list[0]) * states->capacity);
    }
    states->list[states->count++] = state;
}

static void log_state_path(const struct log *log,
                           const struct log_stored *state,
                           char path[NAMES_PATH_BYTES])
{
    names_path(path, log->folder, state->offset,
               state->is_deep ? NAMES_DEEP : NAMES_SNAPSHOT);
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

/* The newest of the kind whose offset is below this one. */
static struct log_stored *log_states_newest(struct log_states *states,
                                            bool is_deep, int64_t below)
{
    struct log_stored *newest = NULL;

    for (uint32_t i = 0; i < states->count; i++) {
        struct log_stored *state = &states->list[i];

        if (state->is_deep == is_deep && state->offset < below &&
            (newest == NULL || state->offset > newest->offset)) {
            newest = state;
        }
    }
    return newest;
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

static enum err log_state_load(struct log *log, const struct log_stored *state)
{
    char path[NAMES_PATH_BYTES];
    char *bytes = NULL;
    size_t count = 0;
    int64_t offset = state->offset;
    enum err err;

    log_state_path(log, state, path);
    if (state->is_deep) {
        err = small_files_load_state(log->env->disk, path, &offset, &bytes,
                                     &count, NULL);
    } else {
        err = disk_read_all(log->env->disk, path, LOG_STATE_BYTES_MAX, &bytes,
                            &count, NULL);
    }
    if (!err && offset != state->offset) {
        err = ERR_CORRUPT;
    }
    if (!err) {
        struct str it = str_sub(bytes, count);

        err = log->producers->load(
            log->producers, state->is_deep ? STR_NULL : it,
            state->is_deep ? it : STR_NULL, log_written_ms(log, path));
    }
    mem_free(bytes);
    return err;
}

/* producer-state, if it is of this log; gives its offset, -1: not loaded. */
static int64_t log_state_load_running(struct log *log, int64_t newer_than)
{
    char path[NAMES_PATH_BYTES];
    char *bytes = NULL;
    size_t count = 0;
    int64_t offset = -1;
    enum err err;

    names_join(path, log->folder, NAMES_STATE);
    err = small_files_load_state(log->env->disk, path, &offset, &bytes, &count,
                                 NULL);
    if (!err && !log_state_is_usable(log, offset)) {
        log_state_remove(log, path);
        offset = -1;
    }
    if (err || offset <= newer_than ||
        log->producers->load(log->producers, STR_NULL, str_sub(bytes, count),
                             log_written_ms(log, path))) {
        offset = -1;
    }
    mem_free(bytes);
    return offset;
}

/* Loads the newest stored state; gives the offset that it is as of. Kafka's
 * knows one batch of each producer where we need five: it is for logs that
 * have nothing else. */
static int64_t log_states_load(struct log_states *states)
{
    struct log *log = states->log;
    int64_t running = -1;

    for (int deep = 1; deep >= 0; deep--) {
        struct log_stored *state;
        int64_t below = INT64_MAX;

        do {
            state = log_states_newest(states, deep == 1, below);
            below = state == NULL ? -1 : state->offset;
            if (deep == 1 && running < 0) {
                running = log_state_load_running(log, below - 1);
                if (running >= 0) {
                    return running;
                }
            }
            if (state != NULL && log_state_load(log, state) == ERR_NONE) {
                return state->offset;
            }
        } while (state != NULL);
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
    int64_t newest[2] = {-1, -1}; /* Kafka's, ours */

    for (uint32_t i = 0; i < states->count; i++) {
        struct log_stored *state = &states->list[i];

        if (state->offset <= log->end_offset) {
            newest[state->is_deep] = MAX(newest[state->is_deep], state->offset);
        }
    }
    for (uint32_t i = 0; i < states->count; i++) {
        struct log_stored *state = &states->list[i];
        bool keep = log_state_is_usable(log, state->offset) &&
                    state->offset == newest[state->is_deep];

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
        if (states->list[i].offset == offset && states->list[i].is_deep) {
            return true;
        }
    }
    return false;
}

/* Stores what a roll stores, where a crash kept it from doing so: the state is
 * as of the segment's base just now. Synced as there: a file of ours that has
 * its name is whole. */
static enum err log_replay_save(struct log_states *states, int64_t base,
                                struct why *why)
{
    struct log *log = states->log;
    enum err err = ERR_NONE;

    if (log_states_has(states, base)) {
        return ERR_NONE;
    }
    for (int deep = 1; !err && deep >= 0; deep--) {
        struct point_file *file = log_state_file(log, NULL, base, deep == 1);

        if (file != NULL) {
            struct str bytes = str_sub(file->bytes, file->count);

            err = deep == 1 ? small_files_save_state(log->env->disk, file->path,
                                                     base, bytes, true, why)
                            : small_files_save_bytes(log->env->disk, file->path,
                                                     bytes, false, why);
        }
        point_files_free(file);
    }
    return err == ERR_FULL ? ERR_NONE : err;
}

/* So that the next start need not read these batches again. */
static enum err log_replay_store(struct log *log, struct why *why)
{
    struct point_file *file =
        log_state_file(log, NAMES_STATE, log->end_offset, true);
    enum err err = ERR_NONE;

    if (file != NULL) {
        err = small_files_save_state(log->env->disk, file->path, file->offset,
                                     str_sub(file->bytes, file->count), false,
                                     why);
    }
    point_files_free(file);
    return err == ERR_FULL ? ERR_NONE : err;
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
                err = log_replay_save(&states, log->segments[i]->base, why);
            }
            if (!err && log_segment_end(log, i) > from) {
                err = log_replay_segment(log, i, from, read_bytes, why);
            }
        }
    }
    if (!err && *read_bytes > before) {
        err = log_replay_store(log, why);
    }
    mem_free(states.list);
    return err;
}
