/* log.c - opening, closing, and the small questions.
 *
 * Closing goes in steps, each of which log_close_step() finds done or waits
 * for: what is queued is written; it is synced, with the producers' state; the
 * point is stored; jobs on files end; pins are given back; the list of segments
 * is taken away and a fence passed. Then nobody knows the log any more. */
#include "log/log_private.h"

#include "base/mem.h"
#include "base/must.h"
#include "base/trace.h"
#include "log/names.h"
#include "log/producer_state_core.h"
#include <stdio.h>

enum {
    LOG_PIN_POLL_MS = 10,
    LOG_REMOVE_RETRY_MS = 200,
    LOG_REMOVE_TRIES = 5,
    LOG_NAME_BYTES = 300,
};

static void log_show_last_epoch(struct log *log);
static void log_advanced(void *arg);
static void log_describe(void *arg, struct small_files_point *point);
static void log_spill(void *arg, int64_t base);
static struct point_file *log_state(void *arg, int64_t offset);
static void log_flush_failed(void *arg, const struct why *why);
static void log_flush_idle(void *arg);

static const struct flush_calls log_flush_calls = {.advanced = log_advanced,
                                                   .describe = log_describe,
                                                   .spill = log_spill,
                                                   .state = log_state,
                                                   .failed = log_flush_failed,
                                                   .idle = log_flush_idle};

const char *log_name(const struct log *log, char text[LOG_NAME_BYTES])
{
    (void)snprintf(text, LOG_NAME_BYTES, "%s-%d", log->topic, log->partition);
    return text;
}

struct view_mark log_end_mark(const struct log *log)
{
    const struct segment *active = log_active(log);

    return (struct view_mark){
        .offset = log->end_offset,
        .base = active->base,
        .position = segment_bytes(active),
        .hole = (uint32_t)(log->end_offset - log->batches_end)};
}

void log_set_end(struct log *log, int64_t offset)
{
    log->end_offset = offset;
    log->unchanged = false;
    atomic_store_explicit(&log->view.end, offset, memory_order_release);
}

void log_check(const struct log *log)
{
    int64_t start = log_start_offset(log);
    int64_t visible = log_visible_end(log);

    must(start <= visible);
    must(visible <= log->end_offset);
    must(log->end_offset <= log->next_offset);
    must(log_flushed_end(log) <= log->end_offset);
    must(log->segment_count > 0);
    must(log_active(log)->base <= log->end_offset);
}

void log_fail(struct log *log, const struct why *why)
{
    if (!log->broken) {
        log->broken = true;
        log->flush.broken = true;
        log->failed(log->failed_arg, why);
    }
}

void log_push_segment(struct log *log, struct segment *segment)
{
    if (log->segment_count == log->segment_capacity) {
        log->segment_capacity = MAX(log->segment_capacity * 2, 2U);
        log->segments = mem_realloc(log->segments, sizeof(log->segments[0]) *
                                                       log->segment_capacity);
    }
    log->segments[log->segment_count++] = segment;
}

void log_publish(struct log *log)
{
    view_publish(&log->view, &log->retire, log->segments, log->segment_count);
}

enum err log_save_epochs(struct log *log, struct why *why)
{
    char path[NAMES_PATH_BYTES];
    size_t bytes = 0;
    char *text = epochs_encode(&log->epochs, &bytes);
    enum err err;

    names_join(path, log->folder, NAMES_EPOCHS);
    err = log->no_epochs ? ERR_NONE
                         : disk_replace(log->env->disk, path, text, bytes, why);
    log->epochs_changed = log->epochs_changed && err != ERR_NONE;
    mem_free(text);
    return err;
}

static void log_retired(void *arg)
{
    log_close_step(arg);
}

static void log_close_fire(struct env_timer *timer)
{
    log_close_step(container_of(timer, struct log, close_timer));
}

static void log_free(struct log *log)
{
    for (uint32_t i = 0; i < log->segment_count; i++) {
        segment_unref(log->segments[i]);
    }
    mem_free(log->segments);
    view_fini(&log->view);
    epochs_fini(&log->epochs);
    (void)pthread_mutex_destroy(&log->epochs_lock);
    mem_free(log->folder);
    mem_free(log->topic);
    mem_free(log);
}

enum err log_open(struct env *env, const struct log_options *options,
                  struct log **out, struct log_recovery *report,
                  struct why *why)
{
    struct log *log;
    enum err err;

    *report =
        (struct log_recovery){.cut_from_offset = -1, .damaged_offset = -1};
    if (strlen(options->folder) > NAMES_FOLDER_BYTES_MAX) {
        return why_set(why, ERR_TOO_LARGE, "path is too long: \"%.60s...\"",
                       options->folder);
    }
    log = MEM_NEW(struct log);
    log->env = env;
    log->folder = mem_dupz(options->folder);
    log->topic = str_dup(options->topic);
    log->partition = options->partition;
    log->config = options->config;
    log->producers = options->producers;
    log->no_epochs = options->no_epochs;
    log->failed = options->failed;
    log->failed_arg = options->failed_arg;
    retire_init(&log->retire, env, log_retired, log);
    log->close_timer.fire = log_close_fire;
    list_init(&log->doomed);
    must(pthread_mutex_init(&log->epochs_lock, NULL) == 0);
    view_init(&log->view);
    log_append_init(log);
    err = log_recover(log, options, report, why);
    if (err) {
        char name[LOG_NAME_BYTES];

        err = why_wrap(why, err, "could not open partition \"%s\"",
                       log_name(log, name));
        log_free(log);
        return err;
    }
    flush_init(&log->flush,
               &(struct flush_options){.env = env,
                                       .folder = log->folder,
                                       .calls = &log_flush_calls,
                                       .arg = log,
                                       .key = (uint64_t)(uintptr_t)log,
                                       .mark = log_end_mark(log),
                                       .point = log->loaded});
    if (log->loaded.offset < 0) {
        flush_created(&log->flush);
    }
    watch_init(&log->flushed_watch, log->end_offset);
    atomic_store(&log->view.flushed, log->end_offset);
    log_publish(log);
    log_show(log, log_start_offset(log));
    log_show_last_epoch(log);
    log_check(log);
    *out = log;
    return ERR_NONE;
}

static void log_advanced(void *arg)
{
    struct log *log = arg;

    atomic_store_explicit(&log->view.flushed, log->flush.flushed.offset,
                          memory_order_release);
    watch_advance(&log->flushed_watch, log->flush.flushed.offset);
}

/* NULL: it was cut. */
static struct segment *log_segment_of(struct log *log, int64_t base)
{
    for (uint32_t i = log->segment_count; i > 0; i--) {
        if (log->segments[i - 1]->base == base) {
            return log->segments[i - 1];
        }
    }
    return NULL;
}

static void log_describe(void *arg, struct small_files_point *point)
{
    struct segment *segment = log_segment_of(arg, point->base);

    if (segment != NULL) {
        point->first_timestamp = segment->first_timestamp;
        point->created_ms = segment->created_ms;
    }
}

static void log_spill(void *arg, int64_t base)
{
    struct log *log = arg;
    struct segment *segment = log_segment_of(log, base);
    struct why why;
    enum err err = segment == NULL ? ERR_NONE : segment_spill(segment, &why);

    if (err && !file_err_passes(err)) {
        log_fail(log, &why);
    }
}

/* Producers' state is stored with each point while it is small; a large one
 * less often, by its size in MiB. */
static struct point_file *log_state(void *arg, int64_t offset)
{
    struct log *log = arg;
    struct point_file *file = NULL;
    int64_t now_ms = env_now_ms(log->env);

    if (log->state != LOG_OPEN ||
        now_ms - log->state_saved_ms < (int64_t)(log->state_bytes >> 10)) {
        return NULL;
    }
    file = log_state_file(log, NAMES_STATE, offset, true);
    if (file != NULL) {
        log->state_bytes = file->count;
        log->state_saved_ms = now_ms;
    }
    return file;
}

static void log_flush_failed(void *arg, const struct why *why)
{
    log_fail(arg, why);
}

static void log_flush_idle(void *arg)
{
    log_close_step(arg);
}

void log_flush_epochs(struct log *log)
{
    char path[NAMES_PATH_BYTES];
    struct point_file *file;

    if (!log->epochs_changed) {
        return;
    }
    log->epochs_changed = false;
    names_join(path, log->folder, NAMES_EPOCHS);
    file = MEM_NEW(struct point_file);
    *file = (struct point_file){.path = mem_dupz(path),
                                .offset = epochs_last_start(&log->epochs) + 1,
                                .is_kafka = true,
                                .is_synced = true,
                                .is_needed = true};
    file->bytes = epochs_encode(&log->epochs, &file->count);
    flush_file(&log->flush, file);
    flush_renamed(&log->flush);
}

void log_flush(struct log *log)
{
    log->unflushed_records = 0;
    log->flush_timer_set = false;
    env_timer_stop(log->env, &log->flush_timer);
    log_flush_epochs(log);
    flush_now(&log->flush);
}

/* The last state of the producers, under the names that recovery looks for. */
static void log_close_state(struct log *log)
{
    flush_file(&log->flush, log_state_file(log, NULL, log->end_offset, true));
    flush_file(&log->flush, log_state_file(log, NULL, log->end_offset, false));
    flush_renamed(&log->flush);
}

void log_close(struct log *log, void (*done)(void *arg), void *arg)
{
    struct why why;

    must(log->state == LOG_OPEN);
    log_append_stop(log);
    log->state = LOG_CLOSING;
    log->closed = done;
    log->closed_arg = arg;
    log_doomed_stop(log);
    if (!log->broken && !log->unchanged) {
        enum err err = segment_seal(log_active(log), &why);

        if (err && !file_err_passes(err)) {
            log_fail(log, &why);
        }
        flush_close(&log->flush, err == ERR_NONE);
        flush_sealed(&log->flush, log_active(log));
        log_close_state(log);
        log_flush_epochs(log);
        flush_now(&log->flush);
    } else {
        flush_close(&log->flush, true); /* as sealed as it was */
    }
    /* Never from inside the call. */
    env_timer_set(log->env, &log->close_timer, 0);
}

static void log_free_done(struct log *log)
{
    void (*closed)(void *arg) = log->closed;
    void *arg = log->closed_arg;

    flush_fini(&log->flush);
    env_timer_stop(log->env, &log->close_timer);
    watch_wake_all(&log->flushed_watch);
    log_free(log);
    if (closed != NULL) {
        closed(arg);
    }
}

struct log_sweep {
    struct disk *disk;
    const char *folder;
};

void log_abandon(struct log *log)
{
    list_each_safe(node, &log->doomed)
    {
        list_remove(node);
        mem_free(container_of(node, struct log_doomed, node));
    }
    log_append_abandon(log);
    view_abandon(&log->view);
    retire_abandon(&log->retire);
    flush_abandon(&log->flush);
    flush_fini(&log->flush);
    log_free(log);
}

static void log_remove_one(void *arg, const char *name, bool is_folder)
{
    struct log_sweep *sweep = arg;
    char path[NAMES_PATH_BYTES];

    names_join(path, sweep->folder, name);
    if (!is_folder) {
        enum err err = disk_remove(sweep->disk, path, NULL);

        (void)err; /* what stays is swept at the next start */
    }
}

static enum err log_remove_folder(struct disk *disk, const char *folder,
                                  struct why *why)
{
    struct log_sweep sweep = {disk, folder};
    enum err err = disk_list(disk, folder, log_remove_one, &sweep, why);

    return err ? err : disk_remove_folder(disk, folder, why);
}

/* On a disk thread: under another name first, so that a crash does not leave
 * half a partition behind. */
static void log_remove_run(struct work *work)
{
    struct log *log = container_of(work, struct log, remove_work);
    struct disk *disk = log->env->disk;
    char *parent = disk_parent(log->folder);
    const char *slash = strrchr(log->folder, '/');
    char text[UUID_TEXT_BYTES];
    struct why why = {""};
    char *gone;
    enum err err;

    uuid_text(log->removed_as, text);
    gone = mem_printf("%s/%.*s.%s-delete", parent, NAMES_STEM_BYTES_MAX,
                      slash == NULL ? log->folder : slash + 1, text);
    err = disk_rename(disk, log->folder, gone, &why);
    log->remove_err = err;
    if (err && ++log->remove_tries == LOG_REMOVE_TRIES) {
        trace(TRACE_WARN,
              "the folder of a deleted partition stays, and is set aside when "
              "its name is used again: %s",
              why.text);
    }
    if (!err) {
        err = disk_sync_folder(disk, parent, NULL);
    }
    if (!err) {
        err = log_remove_folder(disk, gone, NULL);
    }
    (void)err; /* as above */
    mem_free(gone);
    mem_free(parent);
}

static void log_sweep_one(void *arg, const char *name, bool is_folder)
{
    struct log_sweep *sweep = arg;
    char path[NAMES_PATH_BYTES];

    if (is_folder && names_ends_with(name, "-delete")) {
        enum err err;

        names_join(path, sweep->folder, name);
        err = log_remove_folder(sweep->disk, path, NULL);
        (void)err; /* as above */
    }
}

enum err log_sweep(struct disk *disk, const char *folder, struct why *why)
{
    struct log_sweep sweep = {disk, folder};

    return disk_list(disk, folder, log_sweep_one, &sweep, why);
}

/* As long as the folder has its name, a topic of that name would find it. */
static void log_remove_done(struct work *work)
{
    struct log *log = container_of(work, struct log, remove_work);

    if (log->remove_err && log->remove_err != ERR_NOT_FOUND &&
        log->remove_tries < LOG_REMOVE_TRIES) {
        log->remove_work.run = NULL;
        env_timer_set(log->env, &log->close_timer, LOG_REMOVE_RETRY_MS);
        return;
    }
    log_free_done(log);
}

void log_close_step(struct log *log)
{
    if (log->state == LOG_OPEN || !flush_is_idle(&log->flush)) {
        return;
    }
    if (!log->broken && !log->removing) {
        flush_point_now(&log->flush);
        if (!flush_is_idle(&log->flush)) {
            return;
        }
    }
    list_each(node, &log->doomed)
    {
        if (container_of(node, struct log_doomed, node)->working) {
            return;
        }
    }
    if (atomic_load(&log->pins) > 0) {
        env_timer_set(log->env, &log->close_timer, LOG_PIN_POLL_MS);
        return;
    }
    if (log->state == LOG_CLOSING) {
        flush_stop(&log->flush);
        log_doomed_stop(log);
        log->state = LOG_FENCED;
        view_publish(&log->view, &log->retire, NULL, 0);
    }
    if (!retire_is_idle(&log->retire) || log->remove_work.run != NULL) {
        return;
    }
    if (log->removing) {
        log->remove_work.run = log_remove_run;
        log->remove_work.done = log_remove_done;
        log->remove_work.key = (uint64_t)(uintptr_t)log;
        env_work(log->env, &log->remove_work);
        return;
    }
    log_free_done(log);
}

void log_remove(struct log *log, void (*done)(void *arg), void *arg)
{
    uint8_t random[16];

    must(log->state == LOG_OPEN);
    log_append_stop(log);
    log->state = LOG_CLOSING;
    log->removing = true;
    log->closed = done;
    log->closed_arg = arg;
    log->flush.broken = true; /* nobody waits for what goes */
    log_doomed_stop(log);
    env_random(log->env, random, sizeof(random));
    log->removed_as = uuid_v4(random);
    env_timer_set(log->env, &log->close_timer, 0);
}

void log_configure(struct log *log, const struct log_config *config)
{
    log->config = *config;
}

struct watch *log_flushed_watch(struct log *log)
{
    return &log->flushed_watch;
}

int64_t log_end_offset(const struct log *log)
{
    return atomic_load_explicit(&log->view.end, memory_order_acquire);
}

int64_t log_visible_end(const struct log *log)
{
    return view_visible_offset(&log->view);
}

int64_t log_flushed_end(const struct log *log)
{
    return atomic_load_explicit(&log->view.flushed, memory_order_acquire);
}

int64_t log_start_offset(const struct log *log)
{
    return atomic_load_explicit(&log->view.start, memory_order_acquire);
}

void log_pin(struct log *log)
{
    (void)atomic_fetch_add_explicit(&log->pins, 1, memory_order_relaxed);
}

void log_unpin(struct log *log)
{
    must(atomic_fetch_sub_explicit(&log->pins, 1, memory_order_release) > 0);
}

uint64_t log_bytes(const struct log *log)
{
    uint64_t bytes = 0;

    for (uint32_t i = 0; i < log->segment_count; i++) {
        bytes += segment_bytes(log->segments[i]);
    }
    return bytes;
}

/* After each change of the epochs. */
static void log_show_last_epoch(struct log *log)
{
    atomic_store_explicit(&log->last_epoch, epochs_last(&log->epochs),
                          memory_order_release);
}

bool log_assign_epoch(struct log *log, int32_t epoch, int64_t offset)
{
    int32_t last = epochs_last(&log->epochs);
    bool changed;

    if (log->no_epochs || epoch == last ||
        (epoch < last && offset != epochs_last_start(&log->epochs))) {
        return false;
    }
    must(pthread_mutex_lock(&log->epochs_lock) == 0);
    changed = epochs_assign(&log->epochs, epoch, offset);
    log->epochs_changed = log->epochs_changed || changed;
    log_show_last_epoch(log);
    must(pthread_mutex_unlock(&log->epochs_lock) == 0);
    return changed;
}

bool log_cut_epochs(struct log *log, int64_t start, int64_t end)
{
    bool changed;

    must(pthread_mutex_lock(&log->epochs_lock) == 0);
    changed = epochs_cut_end(&log->epochs, end);
    changed = epochs_cut_start(&log->epochs, start) || changed;
    log_show_last_epoch(log);
    must(pthread_mutex_unlock(&log->epochs_lock) == 0);
    return changed;
}

enum err log_begin_epoch(struct log *log, int32_t leader_epoch, struct why *why)
{
    if (log->broken) {
        return why_set(why, ERR_DISK, "the log cannot go on");
    }
    (void)log_assign_epoch(log, leader_epoch, log->next_offset);
    return ERR_NONE;
}

int32_t log_last_epoch(const struct log *log)
{
    return epochs_last(&log->epochs);
}

void log_epoch_end(struct log *log, int32_t leader_epoch, int32_t *found_epoch,
                   int64_t *end_offset)
{
    int64_t end = atomic_load_explicit(&log->view.end, memory_order_acquire);

    /* Who reads at the end knows the last one: no fetch of theirs locks. The
     * end was read before: no later epoch had begun below it. */
    if (leader_epoch >= 0 &&
        leader_epoch ==
            atomic_load_explicit(&log->last_epoch, memory_order_acquire)) {
        *found_epoch = leader_epoch;
        *end_offset = end;
        return;
    }
    must(pthread_mutex_lock(&log->epochs_lock) == 0);
    epochs_end(&log->epochs, leader_epoch, end, found_epoch, end_offset);
    must(pthread_mutex_unlock(&log->epochs_lock) == 0);
}

int32_t log_epoch_of(struct log *log, int64_t offset)
{
    int32_t epoch;

    must(pthread_mutex_lock(&log->epochs_lock) == 0);
    epoch = epochs_of(&log->epochs, offset);
    must(pthread_mutex_unlock(&log->epochs_lock) == 0);
    return epoch;
}

static int32_t log_scan_epoch(void *arg, int64_t offset)
{
    return log_epoch_of(arg, offset);
}

void log_scan_init(struct log *log, struct scan *scan,
                   const struct lazy_handle *handle, uint64_t from,
                   uint64_t end)
{
    scan_init(scan, handle->file, from, end);
    scan->epoch_of = log_scan_epoch;
    scan->epoch_arg = log;
}

struct log_producers *log_producers_open(int64_t expiration_ms)
{
    struct producer_state *state = MEM_NEW(struct producer_state);

    producer_state_init(state, expiration_ms);
    return &state->producers;
}

void log_producers_close(struct log_producers *producers)
{
    struct producer_state *state;

    if (producers != NULL) {
        state = container_of(producers, struct producer_state, producers);
        producer_state_fini(state);
        mem_free(state);
    }
}
