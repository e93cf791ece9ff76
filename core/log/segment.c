/* segment.c - appending to, indexing and searching one .log file. */
#include "log/segment.h"

#include "base/mem.h"
#include "base/must.h"
#include "log/names.h"
#include "log/scan.h"

enum { SEGMENT_WINDOW_BYTES = 8192, SEGMENT_DAMAGES_MAX = 16 };

/* Entries never change once count says that they are there. */
struct segment_damages {
    pthread_mutex_t lock; /* guards adding */
    _Atomic uint32_t count;
    struct segment_damage list[SEGMENT_DAMAGES_MAX];
};

static struct segment *segment_new(struct disk *disk, const char *folder,
                                   int64_t base)
{
    struct segment *segment = MEM_NEW(struct segment);

    segment->disk = disk;
    segment->folder = folder;
    segment->base = base;
    segment->first_timestamp = -1;
    atomic_init(&segment->refs, 1);
    atomic_init(&segment->max_timestamp, -1);
    atomic_init(&segment->max_timestamp_offset, -1);
    lazy_file_init(&segment->log, disk, folder, base, NAMES_LOG);
    index_init(&segment->offsets, INDEX_OFFSETS, disk, folder, base);
    index_init(&segment->times, INDEX_TIMES, disk, folder, base);
    return segment;
}

void segment_ref(struct segment *segment)
{
    (void)atomic_fetch_add_explicit(&segment->refs, 1, memory_order_relaxed);
}

void segment_unref(struct segment *segment)
{
    if (segment == NULL || atomic_fetch_sub_explicit(
                               &segment->refs, 1, memory_order_acq_rel) > 1) {
        return;
    }
    lazy_file_fini(&segment->log);
    index_fini(&segment->offsets);
    index_fini(&segment->times);
    if (atomic_load(&segment->damages) != NULL) {
        (void)pthread_mutex_destroy(&atomic_load(&segment->damages)->lock);
        mem_free(atomic_load(&segment->damages));
    }
    if (segment->checked != NULL) {
        checked_fini(segment->checked);
        mem_free(segment->checked);
    }
    mem_free(segment);
}

/* Opens the .log, which must be there (FILE_READ) or is made (FILE_WRITE), and
 * takes its size. The handle stays with the segment. */
static enum err segment_measure(struct segment *segment, enum file_mode mode,
                                struct why *why)
{
    struct lazy_handle *handle = NULL;
    uint64_t bytes = 0;
    enum err err = lazy_file_take(&segment->log, mode, false, &handle, why);

    if (!err) {
        err = file_size(handle->file, &bytes, why);
    }
    lazy_handle_unref(handle);
    atomic_store_explicit(&segment->bytes, bytes, memory_order_release);
    return err;
}

enum err segment_create(struct disk *disk, const char *folder, int64_t base,
                        struct segment **out, struct why *why)
{
    struct segment *segment = segment_new(disk, folder, base);
    enum err err;

    segment_activate(segment);
    err = segment_measure(segment, FILE_WRITE, why);
    if (!err && segment_bytes(segment) > 0) {
        err = why_set(why, ERR_EXISTS,
                      "cannot begin segment %lld: its file has bytes",
                      (long long)base);
    }
    if (err) {
        segment_unref(segment);
        return err;
    }
    *out = segment;
    return ERR_NONE;
}

enum err segment_open(struct disk *disk, const char *folder, int64_t base,
                      struct segment **out, struct why *why)
{
    struct segment *segment = segment_new(disk, folder, base);
    enum err err = segment_measure(segment, FILE_READ, why);

    if (err) {
        segment_unref(segment);
        return err;
    }
    *out = segment;
    return ERR_NONE;
}

enum err segment_take(struct segment *segment, bool in_turn,
                      struct lazy_handle **out, struct why *why)
{
    return lazy_file_take(&segment->log, FILE_READ, in_turn, out, why);
}

enum err segment_write(struct segment *segment, const struct iovec *parts,
                       int count, struct why *why)
{
    struct lazy_handle *handle = NULL;
    enum err err =
        lazy_file_take(&segment->log, FILE_WRITE, true, &handle, why);

    if (!err) {
        err =
            file_write(handle->file, segment_bytes(segment), parts, count, why);
    }
    lazy_handle_unref(handle);
    return err;
}

/* Kafka's rule: a time entry only where the time grew. */
static enum err segment_note_time(struct segment *segment, struct why *why)
{
    struct index_entry entry = {
        .key = atomic_load(&segment->max_timestamp),
        .value = atomic_load(&segment->max_timestamp_offset)};

    if (entry.key < 0 || (index_count(&segment->times) > 0 &&
                          (entry.key <= segment->times.last.key ||
                           entry.value <= segment->times.last.value))) {
        return ERR_NONE;
    }
    return index_append(&segment->times, entry, why);
}

/* Counts the batch at the end in everything but the offset index. */
static void segment_count_batch(struct segment *segment,
                                const struct batch_header *batch)
{
    if (segment_bytes(segment) == 0) {
        segment->first_timestamp = batch->max_timestamp;
    }
    if (batch->max_timestamp >
        atomic_load_explicit(&segment->max_timestamp, memory_order_relaxed)) {
        atomic_store(&segment->max_timestamp_offset, batch_last_offset(batch));
        atomic_store(&segment->max_timestamp, batch->max_timestamp);
    }
}

static void segment_grow(struct segment *segment,
                         const struct batch_header *batch)
{
    segment->unindexed_bytes += (uint32_t)batch->bytes;
    atomic_store_explicit(&segment->bytes,
                          segment_bytes(segment) + (uint32_t)batch->bytes,
                          memory_order_release);
}

enum err segment_note(struct segment *segment, const struct batch_header *batch,
                      int64_t interval_bytes, struct why *why)
{
    enum err err = ERR_NONE;

    segment_count_batch(segment, batch);
    if (segment->unindexed_bytes > (uint64_t)interval_bytes) {
        struct index_entry entry = {batch_last_offset(batch),
                                    (int64_t)segment_bytes(segment)};

        err = index_append(&segment->offsets, entry, why);
        if (!err) {
            err = segment_note_time(segment, why);
        }
        segment->unindexed_bytes = 0;
    }
    segment_grow(segment, batch);
    return err;
}

void segment_skip(struct segment *segment, const struct batch_header *batch)
{
    segment_count_batch(segment, batch);
    segment->unindexed_bytes = 0;
    segment_grow(segment, batch);
}

enum err segment_seal(struct segment *segment, struct why *why)
{
    enum err err = segment_note_time(segment, why);

    if (!err) {
        err = index_spill(&segment->offsets, why);
    }
    if (!err) {
        err = index_spill(&segment->times, why);
    }
    return err;
}

enum err segment_forget_indexes(struct segment *segment, struct why *why)
{
    enum err err = index_forget(&segment->offsets, why);

    return err ? err : index_forget(&segment->times, why);
}

enum err segment_spill(struct segment *segment, struct why *why)
{
    enum err err = ERR_NONE;

    if (index_is_ahead(&segment->offsets)) {
        err = index_spill(&segment->offsets, why);
    }
    if (!err && index_is_ahead(&segment->times)) {
        err = index_spill(&segment->times, why);
    }
    return err;
}

enum err segment_sync(struct segment *segment, bool indexes, struct why *why)
{
    struct lazy_handle *handle = NULL;
    enum err err = segment_take(segment, false, &handle, why);

    if (!err) {
        err = file_sync(handle->file, why);
    }
    lazy_handle_unref(handle);
    if (!err && indexes) {
        err = index_sync(&segment->offsets, why);
    }
    if (!err && indexes) {
        err = index_sync(&segment->times, why);
    }
    return err;
}

static enum err segment_cut(struct segment *segment, uint64_t bytes,
                            bool in_turn, struct why *why)
{
    struct lazy_handle *handle = NULL;
    enum err err =
        lazy_file_take(&segment->log, FILE_WRITE, in_turn, &handle, why);

    if (!err) {
        err = file_truncate(handle->file, bytes, why);
    }
    lazy_handle_unref(handle);
    if (!err) {
        atomic_store_explicit(&segment->bytes, bytes, memory_order_release);
    }
    return err;
}

enum err segment_truncate(struct segment *segment, uint64_t bytes,
                          struct why *why)
{
    must(!segment->log.writable);
    lazy_file_reset(&segment->log);
    return segment_cut(segment, bytes, false, why);
}

enum err segment_take_back(struct segment *segment, struct why *why)
{
    must(segment->log.writable);
    return segment_cut(segment, segment_bytes(segment), true, why);
}

void segment_activate(struct segment *segment)
{
    segment_rest(segment);
    segment->log.writable = true;
    segment->offsets.file.writable = true;
    segment->times.file.writable = true;
}

void segment_rest(struct segment *segment)
{
    lazy_file_reset(&segment->log);
    lazy_file_reset(&segment->offsets.file);
    lazy_file_reset(&segment->times.file);
}

void segment_load_times(struct segment *segment)
{
    bool any = index_count(&segment->times) > 0;

    atomic_store(&segment->max_timestamp, any ? segment->times.last.key : -1);
    atomic_store(&segment->max_timestamp_offset,
                 any ? segment->times.last.value : -1);
}

void segment_rewind(struct segment *segment, uint64_t position)
{
    atomic_store_explicit(&segment->bytes, position, memory_order_release);
}

void segment_set_checked(struct segment *segment, uint64_t from, uint64_t to)
{
    if (segment->checked == NULL) {
        segment->checked = MEM_NEW(struct checked);
        checked_init(segment->checked);
    }
    checked_add(segment->checked, from, to);
}

static struct segment_damages *segment_damages(struct segment *segment)
{
    struct segment_damages *damages =
        atomic_load_explicit(&segment->damages, memory_order_acquire);
    struct segment_damages *fresh;

    if (damages != NULL) {
        return damages;
    }
    fresh = MEM_NEW(struct segment_damages);
    must(pthread_mutex_init(&fresh->lock, NULL) == 0);
    if (atomic_compare_exchange_strong(&segment->damages, &damages, fresh)) {
        return fresh;
    }
    (void)pthread_mutex_destroy(&fresh->lock);
    mem_free(fresh);
    return damages;
}

bool segment_add_damage(struct segment *segment,
                        const struct segment_damage *damage)
{
    struct segment_damages *damages = segment_damages(segment);
    bool is_new = true;
    uint32_t count;

    must(pthread_mutex_lock(&damages->lock) == 0);
    count = atomic_load_explicit(&damages->count, memory_order_relaxed);
    for (uint32_t i = 0; i < count; i++) {
        is_new = is_new && damages->list[i].position != damage->position;
    }
    /* One too many is met again, at each read (segment_forgets_damage()). */
    if (is_new && count < SEGMENT_DAMAGES_MAX) {
        damages->list[count] = *damage;
        atomic_store_explicit(&damages->count, count + 1, memory_order_release);
    }
    must(pthread_mutex_unlock(&damages->lock) == 0);
    return is_new;
}

static uint32_t segment_damage_count(const struct segment_damages *damages)
{
    return damages == NULL
               ? 0
               : atomic_load_explicit(&damages->count, memory_order_acquire);
}

bool segment_forgets_damage(const struct segment *segment)
{
    return segment_damage_count(atomic_load_explicit(
               &segment->damages, memory_order_acquire)) == SEGMENT_DAMAGES_MAX;
}

bool segment_damage_at(const struct segment *segment, uint64_t position,
                       struct segment_damage *out)
{
    const struct segment_damages *damages =
        atomic_load_explicit(&segment->damages, memory_order_acquire);
    uint32_t count = segment_damage_count(damages);
    bool found = false;

    for (uint32_t i = 0; i < count; i++) {
        if (damages->list[i].end_position > position &&
            (!found || damages->list[i].position < out->position)) {
            *out = damages->list[i];
            found = true;
        }
    }
    return found;
}

bool segment_damage_of(const struct segment *segment, int64_t offset)
{
    struct segment_damage damage = {0};

    for (uint64_t position = 0; segment_damage_at(segment, position, &damage);
         position = damage.end_position) {
        if (offset >= damage.offset && offset < damage.end_offset) {
            return true;
        }
    }
    return false;
}

/* Bytes of a .log that a search walks through, header by header. */
struct segment_window {
    struct lazy_handle *handle;
    uint64_t limit; /* nothing behind it counts */
    uint64_t at;
    size_t bytes;
    uint8_t block[SEGMENT_WINDOW_BYTES];
};

/* The block is not cleared: it is large. */
static void segment_window_init(struct segment_window *window, uint64_t limit)
{
    window->handle = NULL;
    window->limit = limit;
    window->at = 0;
    window->bytes = 0;
}

/* Reads the header at spot->position. Errors: ERR_DAMAGED, ERR_DISK. */
static enum err segment_header(struct segment_window *window,
                               struct segment_spot *spot, struct why *why)
{
    struct batch_header h;
    uint64_t left = window->limit - spot->position;
    uint8_t *at;

    if (left < BATCH_HEADER_BYTES) {
        return ERR_DAMAGED;
    }
    if (spot->position < window->at ||
        spot->position + BATCH_HEADER_BYTES > window->at + window->bytes) {
        enum err err = file_read(
            window->handle->file, spot->position, window->block,
            MIN(left, (uint64_t)SEGMENT_WINDOW_BYTES), &window->bytes, why);

        if (err) {
            return err;
        }
        window->at = spot->position;
        if (window->bytes < BATCH_HEADER_BYTES) {
            return ERR_DAMAGED;
        }
    }
    at = window->block + (spot->position - window->at);
    if (batch_bytes(at) > left || batch_header_parse(at, left, &h) ||
        !scan_has_offsets(&h)) {
        return ERR_DAMAGED;
    }
    spot->bytes = (uint32_t)h.bytes;
    spot->base_offset = h.base_offset;
    spot->last_offset = batch_last_offset(&h);
    return ERR_NONE;
}

enum err segment_find(struct segment *segment, int64_t offset, uint64_t limit,
                      bool in_turn, struct segment_spot *spot, struct why *why)
{
    struct segment_window window;
    struct segment_damage damage = {0};
    struct index_entry entry;
    bool found = false;
    enum err err =
        index_floor(&segment->offsets, offset, in_turn, &entry, &found, why);

    segment_window_init(&window, limit);
    *spot = (struct segment_spot){
        .position = !err && found ? (uint64_t)entry.value : 0};
    if (!err) {
        err = segment_take(segment, in_turn, &window.handle, why);
    }
    while (!err) {
        if (segment_damage_at(segment, spot->position, &damage) &&
            damage.position <= spot->position) {
            spot->position = damage.end_position;
        }
        if (spot->position >= limit) {
            err = ERR_NOT_FOUND;
            break;
        }
        err = segment_header(&window, spot, why);
        if (err || spot->last_offset >= offset) {
            break;
        }
        spot->position += spot->bytes;
    }
    lazy_handle_unref(window.handle);
    return err;
}

enum err segment_end_before(struct segment *segment, uint64_t position,
                            int64_t *end_offset, struct why *why)
{
    struct segment_window window;
    struct segment_spot spot = {0};
    struct index_entry entry;
    bool found = false;
    enum err err = index_floor_value(&segment->offsets, (int64_t)position - 1,
                                     true, &entry, &found, why);

    segment_window_init(&window, position);
    *end_offset = segment->base;
    spot.position = !err && found ? (uint64_t)entry.value : 0;
    if (!err) {
        err = segment_take(segment, true, &window.handle, why);
    }
    while (!err && spot.position < position) {
        struct segment_damage damage = {0};

        if (segment_damage_at(segment, spot.position, &damage) &&
            damage.position <= spot.position) {
            spot.position = damage.end_position;
            continue;
        }
        err = segment_header(&window, &spot, why);
        spot.position += spot.bytes;
        *end_offset = spot.last_offset + 1;
    }
    lazy_handle_unref(window.handle);
    return err;
}

/* Whether the batch at the position ends at end or before. */
static bool segment_ends_by(struct segment *segment, uint64_t position,
                            uint64_t end, bool in_turn)
{
    uint8_t prefix[BATCH_PREFIX_BYTES];
    struct lazy_handle *handle = NULL;
    enum err err = segment_take(segment, in_turn, &handle, NULL);

    if (!err) {
        err = file_read_whole(handle->file, position, prefix, sizeof(prefix),
                              NULL);
    }
    lazy_handle_unref(handle);
    return err || batch_bytes(prefix) <= end - position;
}

uint64_t segment_trim(struct segment *segment, uint64_t position,
                      uint64_t bytes, bool in_turn)
{
    uint64_t end = position + bytes;
    struct index_entry entry;
    bool found = false;
    enum err err = index_floor_value(&segment->offsets, (int64_t)(end - 1),
                                     in_turn, &entry, &found, NULL);

    if (err || !found || (uint64_t)entry.value <= position ||
        end - (uint64_t)entry.value < BATCH_PREFIX_BYTES ||
        segment_ends_by(segment, (uint64_t)entry.value, end, in_turn)) {
        return bytes;
    }
    return (uint64_t)entry.value - position;
}

enum err segment_scan_next(const struct segment *segment, struct scan *scan,
                           int64_t *low, int64_t high, struct scan_batch *out,
                           struct why *why)
{
    for (;;) {
        struct segment_damage damage = {0};
        enum err err;

        if (segment_damage_at(segment, scan->position, &damage) &&
            damage.position <= scan->position) {
            scan->position = damage.end_position;
            continue;
        }
        scan->headers_only =
            segment->checked == NULL ||
            checked_has(segment->checked, scan->position, scan->position + 1);
        err = scan_next_in(scan, *low, high, out, why);
        if (!err) {
            *low = batch_last_offset(&out->header) + 1;
            return ERR_NONE;
        }
        if (err == ERR_CORRUPT || err == ERR_TORN) {
            err = scan_resync(scan, *low + 1, high, why);
        }
        if (err) {
            return err;
        }
    }
}
