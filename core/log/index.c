/* index.c - file below, ring above, one binary search over both.
 *
 * Invariants:
 * 1. on_disk <= count <= on_disk + ring size.
 * 2. The slot of entry i is written over (by entry i + ring size) only after
 *    on_disk > i was published: a reader that got something from a slot and
 *    then still finds i >= on_disk has got entry i. Slots are stored with
 *    release and loaded with acquire, which makes "then" true. */
#include "log/index.h"

#include "base/bytes.h"
#include "base/mem.h"
#include "base/must.h"
#include "log/names.h"

enum {
    INDEX_RING = 64,
    INDEX_SPILL = INDEX_RING / 2,
    INDEX_OFFSET_BYTES = 8,
    INDEX_TIME_BYTES = 12,
    INDEX_BLOCK = 340, /* entries that are read at once: about 4 KiB */
    INDEX_CHUNK_BYTES = 98304,
};

struct index_slot {
    _Atomic int64_t key;
    _Atomic int64_t value;
};

uint32_t index_entry_bytes(enum index_kind kind)
{
    return kind == INDEX_OFFSETS ? INDEX_OFFSET_BYTES : INDEX_TIME_BYTES;
}

static void index_encode(const struct index *index, struct index_entry entry,
                         uint8_t *at)
{
    if (index->kind == INDEX_OFFSETS) {
        bytes_put_i32(at, (int32_t)(entry.key - index->base));
        bytes_put_i32(at + 4, (int32_t)entry.value);
    } else {
        bytes_put_i64(at, entry.key);
        bytes_put_i32(at + 8, (int32_t)(entry.value - index->base));
    }
}

static struct index_entry index_decode(const struct index *index,
                                       const uint8_t *at)
{
    struct index_entry entry;

    if (index->kind == INDEX_OFFSETS) {
        entry.key = index->base + bytes_get_i32(at);
        entry.value = bytes_get_i32(at + 4);
    } else {
        entry.key = bytes_get_i64(at);
        entry.value = index->base + bytes_get_i32(at + 8);
    }
    return entry;
}

void index_init(struct index *index, enum index_kind kind, struct disk *disk,
                const char *folder, int64_t base)
{
    *index = (struct index){.kind = kind, .base = base};
    lazy_file_init(&index->file, disk, folder, base,
                   kind == INDEX_OFFSETS ? NAMES_INDEX : NAMES_TIMES);
}

void index_fini(struct index *index)
{
    lazy_file_fini(&index->file);
    mem_free(atomic_load(&index->ring));
}

static void index_set_count(struct index *index, uint32_t count)
{
    atomic_store_explicit(&index->on_disk, count, memory_order_release);
    atomic_store_explicit(&index->count, count, memory_order_release);
}

/* Opens what is there and counts it; ERR_NONE with *handle NULL: no file. */
static enum err index_measure(struct index *index, uint64_t *bytes,
                              struct lazy_handle **handle, struct why *why)
{
    enum err err = lazy_file_take(&index->file, FILE_READ, false, handle, why);

    *bytes = 0;
    if (err == ERR_NOT_FOUND) {
        return ERR_NONE;
    }
    return err ? err : file_size((*handle)->file, bytes, why);
}

/* Forgets a handle that was opened for reading, so that the next writer opens
 * it for writing. Before the index is published. */
static void index_close(struct index *index)
{
    lazy_file_reset(&index->file);
}

enum err index_load(struct index *index, struct why *why)
{
    uint32_t each = index_entry_bytes(index->kind);
    struct lazy_handle *handle = NULL;
    struct index_entry first;
    uint64_t bytes = 0;
    enum err err = index_measure(index, &bytes, &handle, why);

    if (!err && bytes % each != 0) {
        err = why_set(why, ERR_CORRUPT, "index has %llu bytes",
                      (unsigned long long)bytes);
    }
    if (!err) {
        index_set_count(index, (uint32_t)(bytes / each));
    }
    if (!err && index_count(index) > 0) {
        err = index_get(index, 0, false, &first, why);
        if (!err) {
            err = index_get(index, index_count(index) - 1, false, &index->last,
                            why);
        }
        if (!err &&
            (index->last.key < first.key ||
             (index->kind == INDEX_OFFSETS && first.key < index->base))) {
            err = why_set(why, ERR_CORRUPT, "index is not sorted");
        }
    }
    lazy_handle_unref(handle);
    index_close(index);
    if (err) {
        index_set_count(index, 0);
    }
    return err;
}

/* How many of the entries in chunk go on from what index->last is. */
static uint32_t index_prefix(struct index *index, const uint8_t *chunk,
                             uint32_t count, uint32_t before, int64_t limit)
{
    uint32_t each = index_entry_bytes(index->kind);

    for (uint32_t i = 0; i < count; i++) {
        struct index_entry entry = index_decode(index, chunk + i * each);
        bool first = before + i == 0;

        if (entry.value < 0 || entry.value >= limit ||
            (index->kind == INDEX_OFFSETS && entry.key < index->base) ||
            (index->kind == INDEX_TIMES && entry.value < index->base)) {
            return i;
        }
        if (!first && (entry.key <= index->last.key ||
                       entry.value <= index->last.value)) {
            return i;
        }
        index->last = entry;
    }
    return count;
}

enum err index_load_checked(struct index *index, int64_t limit, struct why *why)
{
    uint32_t each = index_entry_bytes(index->kind);
    struct lazy_handle *handle = NULL;
    uint64_t bytes = 0;
    uint32_t good = 0;
    enum err err = index_measure(index, &bytes, &handle, why);
    uint8_t *chunk = mem_alloc(INDEX_CHUNK_BYTES);

    while (!err && (uint64_t)(good + 1) * each <= bytes) {
        uint64_t left = bytes / each - good;
        uint32_t count =
            (uint32_t)MIN(left, (uint64_t)(INDEX_CHUNK_BYTES / each));
        uint32_t kept = 0;

        err = file_read_whole(handle->file, (uint64_t)good * each, chunk,
                              (size_t)count * each, why);
        if (!err) {
            kept = index_prefix(index, chunk, count, good, limit);
            good += kept;
        }
        if (kept < count) {
            break;
        }
    }
    mem_free(chunk);
    lazy_handle_unref(handle);
    index_close(index);
    index_set_count(index, good);
    if (!err && (uint64_t)good * each != bytes) {
        err = index_truncate(index, good, why);
    }
    return err;
}

enum err index_truncate(struct index *index, uint32_t count, struct why *why)
{
    uint32_t each = index_entry_bytes(index->kind);
    struct lazy_handle *handle = NULL;
    enum err err;

    must(count <= index_count(index));
    index_close(index);
    err = lazy_file_take(&index->file, FILE_WRITE, false, &handle, why);
    if (!err) {
        err = file_truncate(handle->file, (uint64_t)count * each, why);
    }
    lazy_handle_unref(handle);
    if (!err) {
        index_set_count(index, count);
    }
    if (!err && count > 0) {
        err = index_get(index, count - 1, false, &index->last, why);
    }
    return err;
}

enum err index_forget(struct index *index, struct why *why)
{
    char path[NAMES_PATH_BYTES];
    enum err err;

    index_close(index);
    index_set_count(index, 0);
    names_path(path, index->file.folder, index->base, index->file.suffix);
    err = disk_remove(index->file.disk, path, why);
    return err == ERR_NOT_FOUND ? ERR_NONE : err;
}

enum err index_append(struct index *index, struct index_entry entry,
                      struct why *why)
{
    uint32_t count = atomic_load_explicit(&index->count, memory_order_relaxed);
    uint32_t on_disk =
        atomic_load_explicit(&index->on_disk, memory_order_relaxed);
    struct index_slot *ring =
        atomic_load_explicit(&index->ring, memory_order_relaxed);

    if (count - on_disk >= INDEX_SPILL) {
        enum err err = index_spill(index, why);

        if (err) {
            return err;
        }
    }
    if (ring == NULL) {
        ring = mem_zalloc(sizeof(*ring) * INDEX_RING);
        atomic_store_explicit(&index->ring, ring, memory_order_release);
    }
    must(count == 0 || entry.key > index->last.key);
    atomic_store_explicit(&ring[count % INDEX_RING].key, entry.key,
                          memory_order_release);
    atomic_store_explicit(&ring[count % INDEX_RING].value, entry.value,
                          memory_order_release);
    index->last = entry;
    atomic_store_explicit(&index->count, count + 1, memory_order_release);
    return ERR_NONE;
}

enum err index_spill(struct index *index, struct why *why)
{
    uint8_t bytes[INDEX_RING * INDEX_TIME_BYTES];
    uint32_t each = index_entry_bytes(index->kind);
    uint32_t count = index_count(index);
    uint32_t on_disk = atomic_load(&index->on_disk);
    struct index_slot *ring = atomic_load(&index->ring);
    struct lazy_handle *handle = NULL;
    enum err err;

    if (count == on_disk && lazy_file_find(&index->file) != NULL) {
        return ERR_NONE;
    }
    must(count - on_disk <= INDEX_RING);
    for (uint32_t i = on_disk; i < count; i++) {
        struct index_slot *slot = &ring[i % INDEX_RING];
        struct index_entry entry = {atomic_load(&slot->key),
                                    atomic_load(&slot->value)};

        index_encode(index, entry, bytes + (i - on_disk) * each);
    }
    err = lazy_file_take(&index->file, FILE_WRITE, true, &handle, why);
    if (!err && count > on_disk) {
        struct iovec part = {bytes, (size_t)(count - on_disk) * each};

        err = file_write(handle->file, (uint64_t)on_disk * each, &part, 1, why);
    }
    lazy_handle_unref(handle);
    if (!err) {
        atomic_store_explicit(&index->on_disk, count, memory_order_release);
    }
    return err;
}

enum err index_sync(struct index *index, struct why *why)
{
    struct lazy_handle *handle = NULL;
    enum err err = lazy_file_take(&index->file, FILE_READ, false, &handle, why);

    if (err == ERR_NOT_FOUND) {
        return ERR_NONE;
    }
    if (!err) {
        err = file_sync(handle->file, why);
    }
    lazy_handle_unref(handle);
    return err;
}

/* From the ring; false when the entry is in the file by now. */
static bool index_from_ring(struct index *index, uint32_t at,
                            struct index_entry *out)
{
    struct index_slot *ring =
        atomic_load_explicit(&index->ring, memory_order_acquire);

    if (ring == NULL ||
        at < atomic_load_explicit(&index->on_disk, memory_order_acquire)) {
        return false;
    }
    out->key =
        atomic_load_explicit(&ring[at % INDEX_RING].key, memory_order_acquire);
    out->value = atomic_load_explicit(&ring[at % INDEX_RING].value,
                                      memory_order_acquire);
    return at >= atomic_load_explicit(&index->on_disk, memory_order_acquire);
}

enum err index_get(struct index *index, uint32_t at, bool in_turn,
                   struct index_entry *out, struct why *why)
{
    uint32_t each = index_entry_bytes(index->kind);
    struct lazy_handle *handle = NULL;
    uint8_t bytes[INDEX_TIME_BYTES];
    enum err err;

    if (at >= index_count(index)) {
        return ERR_NOT_FOUND;
    }
    if (index_from_ring(index, at, out)) {
        return ERR_NONE;
    }
    err = lazy_file_take(&index->file, FILE_READ, in_turn, &handle, why);
    if (!err) {
        err = file_read_whole(handle->file, (uint64_t)at * each, bytes, each,
                              why);
    }
    lazy_handle_unref(handle);
    if (!err) {
        *out = index_decode(index, bytes);
    }
    return err;
}

/* For the last entry with a key, or a value, not above bound. */
struct index_search {
    int64_t bound;
    bool by_value;
    bool in_turn;
    bool found;
    struct index_entry *out;
};

/* Whether the entry is not above the bound: then it is the best so far. */
static bool index_is_below(struct index_search *search,
                           struct index_entry entry)
{
    if ((search->by_value ? entry.value : entry.key) > search->bound) {
        return false;
    }
    *search->out = entry;
    search->found = true;
    return true;
}

/* The last of the entries in [low, high) that is not above the bound, if there
 * is one. All of them are in the file, and few. */
static enum err index_search_block(struct index *index,
                                   struct index_search *search, uint32_t low,
                                   uint32_t high, struct why *why)
{
    uint8_t bytes[INDEX_BLOCK * INDEX_TIME_BYTES];
    uint32_t each = index_entry_bytes(index->kind);
    struct lazy_handle *handle = NULL;
    uint32_t first = 0;
    uint32_t last = high - low;
    enum err err =
        lazy_file_take(&index->file, FILE_READ, search->in_turn, &handle, why);

    if (!err) {
        err = file_read_whole(handle->file, (uint64_t)low * each, bytes,
                              (size_t)last * each, why);
    }
    lazy_handle_unref(handle);
    if (err) {
        return err;
    }
    while (first < last) {
        uint32_t middle = first + (last - first) / 2;
        struct index_entry entry = index_decode(index, bytes + middle * each);

        if (index_is_below(search, entry)) {
            first = middle + 1;
        } else {
            last = middle;
        }
    }
    return ERR_NONE;
}

/* Entries below low are not above bound, those from high on are. */
static enum err index_search(struct index *index, struct index_search *search,
                             struct why *why)
{
    uint32_t low = 0;
    uint32_t high = index_count(index);

    while (low < high) {
        uint32_t on_disk =
            atomic_load_explicit(&index->on_disk, memory_order_acquire);
        /* The ring first: most readers are near the end. */
        uint32_t middle =
            low < on_disk && high > on_disk ? on_disk : low + (high - low) / 2;
        struct index_entry entry;
        enum err err;

        if (high <= on_disk && high - low <= INDEX_BLOCK) {
            return index_search_block(index, search, low, high, why);
        }
        err = index_get(index, middle, search->in_turn, &entry, why);
        if (err) {
            return err;
        }
        if (index_is_below(search, entry)) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return ERR_NONE;
}

enum err index_floor(struct index *index, int64_t key, bool in_turn,
                     struct index_entry *out, bool *found, struct why *why)
{
    struct index_search search = {.bound = key, .in_turn = in_turn, .out = out};
    enum err err = index_search(index, &search, why);

    *found = search.found;
    return err;
}

enum err index_floor_value(struct index *index, int64_t value, bool in_turn,
                           struct index_entry *out, bool *found,
                           struct why *why)
{
    struct index_search search = {
        .bound = value, .by_value = true, .in_turn = in_turn, .out = out};
    enum err err = index_search(index, &search, why);

    *found = search.found;
    return err;
}
