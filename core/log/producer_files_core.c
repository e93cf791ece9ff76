/* producer_files_core.c - the two files, byte by byte.
 *
 * .snapshot: int16 version = 1, uint32 CRC-32C of what follows, int32 count,
 * then of each: int64 id, int16 epoch, int32 last sequence, int64 last offset,
 * int32 offset delta, int64 timestamp, int32 coordinator epoch, int64 first
 * offset of the open transaction.
 *
 * Deep: int32 count, then of each: int64 id, int16 epoch, int64 seen at,
 * int32 coordinator epoch, int64 first offset of the open transaction, int8
 * count of batches, and of each of these, oldest first: int32 last sequence,
 * int64 last offset, int32 offset delta, int64 timestamp. */
#include "log/producer_files_core.h"

#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/mem.h"

enum {
    PRODUCER_FILES_VERSION = 1,
    PRODUCER_FILES_HEAD_BYTES = 10,
    PRODUCER_FILES_ENTRY_BYTES = 46,
    PRODUCER_FILES_DEEP_BYTES = 31,
    PRODUCER_FILES_BATCH_BYTES = 24,
};

/* What an entry says as of an offset. */
struct producer_view {
    const struct producer_entry *entry;
    uint8_t count; /* of its batches, the older ones */
    int64_t txn_first_offset;
};

/* Of entries one after the other; false: it says nothing as of before_offset.
 */
static bool producer_files_view(const struct list *node, int64_t before_offset,
                                struct producer_view *out)
{
    const struct producer_entry *entry =
        container_of(node, struct producer_entry, node);
    uint8_t count = entry->count;

    while (count > 0 &&
           entry->batches[count - 1].last_offset >= before_offset) {
        count--;
    }
    *out = (struct producer_view){.entry = entry,
                                  .count = count,
                                  .txn_first_offset =
                                      entry->txn_first_offset < before_offset
                                          ? entry->txn_first_offset
                                          : -1};
    return entry->count == 0 || count > 0;
}

char *producer_files_encode_kafka(const struct producer_state *state,
                                  int64_t before_offset, size_t *bytes)
{
    char *all = mem_zalloc(PRODUCER_FILES_HEAD_BYTES +
                           (size_t)state->count * PRODUCER_FILES_ENTRY_BYTES);
    uint8_t *at = (uint8_t *)all + PRODUCER_FILES_HEAD_BYTES;
    int32_t count = 0;

    list_each(node, &state->oldest)
    {
        struct producer_view it;
        struct producer_batch last = {-1, 0, -1, -1};

        if (!producer_files_view(node, before_offset, &it)) {
            continue;
        }
        last.timestamp = it.entry->seen_ms;
        if (it.count > 0) {
            last = it.entry->batches[it.count - 1];
        }
        bytes_put_i64(at, it.entry->producer_id);
        bytes_put_i16(at + 8, it.entry->epoch);
        bytes_put_i32(at + 10, last.last_sequence);
        bytes_put_i64(at + 14, last.last_offset);
        bytes_put_i32(at + 22, last.offset_delta);
        bytes_put_i64(at + 26, last.timestamp);
        bytes_put_i32(at + 34, it.entry->coordinator_epoch);
        bytes_put_i64(at + 38, it.txn_first_offset);
        at += PRODUCER_FILES_ENTRY_BYTES;
        count++;
    }
    *bytes = (size_t)(at - (uint8_t *)all);
    bytes_put_i16(all, PRODUCER_FILES_VERSION);
    bytes_put_i32(all + 6, count);
    bytes_put_u32(all + 2, crc32c(0, all + 6, *bytes - 6));
    return all;
}

char *producer_files_encode_deep(const struct producer_state *state,
                                 int64_t before_offset, size_t *bytes)
{
    size_t each = PRODUCER_FILES_DEEP_BYTES +
                  PRODUCER_STATE_DEPTH * PRODUCER_FILES_BATCH_BYTES;
    char *all = mem_zalloc(4 + (size_t)state->count * each);
    uint8_t *at = (uint8_t *)all + 4;
    int32_t count = 0;

    list_each(node, &state->oldest)
    {
        struct producer_view it;

        if (!producer_files_view(node, before_offset, &it)) {
            continue;
        }
        bytes_put_i64(at, it.entry->producer_id);
        bytes_put_i16(at + 8, it.entry->epoch);
        bytes_put_i64(at + 10, it.entry->seen_ms);
        bytes_put_i32(at + 18, it.entry->coordinator_epoch);
        bytes_put_i64(at + 22, it.txn_first_offset);
        at[30] = it.count;
        at += PRODUCER_FILES_DEEP_BYTES;
        for (uint8_t i = 0; i < it.count; i++) {
            const struct producer_batch *batch = &it.entry->batches[i];

            bytes_put_i32(at, batch->last_sequence);
            bytes_put_i64(at + 4, batch->last_offset);
            bytes_put_i32(at + 12, batch->offset_delta);
            bytes_put_i64(at + 16, batch->timestamp);
            at += PRODUCER_FILES_BATCH_BYTES;
        }
        count++;
    }
    *bytes = (size_t)(at - (uint8_t *)all);
    bytes_put_i32(all, count);
    return all;
}

enum err producer_files_decode_kafka(struct producer_state *state,
                                     struct str bytes, int64_t saved_ms)
{
    const uint8_t *at = (const uint8_t *)bytes.ptr;
    int32_t count = 0;

    if (bytes.len < PRODUCER_FILES_HEAD_BYTES ||
        bytes_get_i16(at) != PRODUCER_FILES_VERSION ||
        bytes_get_u32(at + 2) != crc32c(0, at + 6, bytes.len - 6)) {
        return ERR_CORRUPT;
    }
    count = bytes_get_i32(at + 6);
    if (count < 0 ||
        bytes.len != PRODUCER_FILES_HEAD_BYTES +
                         (size_t)count * PRODUCER_FILES_ENTRY_BYTES) {
        return ERR_CORRUPT;
    }
    producer_state_clear(state);
    at += PRODUCER_FILES_HEAD_BYTES;
    for (int32_t i = 0; i < count; i++, at += PRODUCER_FILES_ENTRY_BYTES) {
        struct producer_entry *entry =
            producer_state_put(state, bytes_get_i64(at));

        entry->epoch = bytes_get_i16(at + 8);
        entry->count = 0;
        if (bytes_get_i32(at + 10) >= 0) {
            entry->batches[entry->count++] =
                (struct producer_batch){.last_sequence = bytes_get_i32(at + 10),
                                        .last_offset = bytes_get_i64(at + 14),
                                        .offset_delta = bytes_get_i32(at + 22),
                                        .timestamp = bytes_get_i64(at + 26)};
        }
        entry->seen_ms = saved_ms;
        entry->coordinator_epoch = bytes_get_i32(at + 34);
        entry->txn_first_offset = bytes_get_i64(at + 38);
    }
    return ERR_NONE;
}

/* Whether count entries end where the bytes do. */
static bool producer_files_is_deep(const uint8_t *at, size_t left,
                                   int32_t count)
{
    for (int32_t i = 0; i < count; i++) {
        size_t batches;

        if (left < PRODUCER_FILES_DEEP_BYTES || at[30] > PRODUCER_STATE_DEPTH) {
            return false;
        }
        batches = (size_t)at[30] * PRODUCER_FILES_BATCH_BYTES;
        left -= PRODUCER_FILES_DEEP_BYTES;
        at += PRODUCER_FILES_DEEP_BYTES;
        if (left < batches) {
            return false;
        }
        left -= batches;
        at += batches;
    }
    return left == 0;
}

enum err producer_files_decode_deep(struct producer_state *state,
                                    struct str bytes)
{
    const uint8_t *at = (const uint8_t *)bytes.ptr;
    int32_t count = bytes.len < 4 ? -1 : bytes_get_i32(at);

    if (count < 0 || !producer_files_is_deep(at + 4, bytes.len - 4, count)) {
        return ERR_CORRUPT;
    }
    producer_state_clear(state);
    at += 4;
    for (int32_t i = 0; i < count; i++) {
        struct producer_entry *entry =
            producer_state_put(state, bytes_get_i64(at));

        entry->epoch = bytes_get_i16(at + 8);
        entry->seen_ms = bytes_get_i64(at + 10);
        entry->coordinator_epoch = bytes_get_i32(at + 18);
        entry->txn_first_offset = bytes_get_i64(at + 22);
        entry->count = at[30];
        at += PRODUCER_FILES_DEEP_BYTES;
        for (uint8_t b = 0; b < entry->count; b++) {
            entry->batches[b] =
                (struct producer_batch){.last_sequence = bytes_get_i32(at),
                                        .last_offset = bytes_get_i64(at + 4),
                                        .offset_delta = bytes_get_i32(at + 12),
                                        .timestamp = bytes_get_i64(at + 16)};
            at += PRODUCER_FILES_BATCH_BYTES;
        }
    }
    return ERR_NONE;
}
