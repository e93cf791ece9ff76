/* storage_read.c - entries for followers, from memory or from the disk. */
#include "quorum/storage_private.h"

/* Entries of one range of the log, from first on. */
static enum err storage_read_range(struct storage *storage,
                                   struct storage_want want,
                                   struct arena *arena, struct entry *out,
                                   uint32_t *got, struct why *why)
{
    struct log_range range;
    struct str bytes;
    size_t payload = 0;
    void *into;
    enum err err = log_read(storage->log, (int64_t)want.first,
                            (uint32_t)MIN(want.bytes_max, STORAGE_READ_BYTES),
                            true, &range);

    if (err != ERR_NONE || range.bytes == 0) {
        return why_set(why, err == ERR_NONE ? ERR_NOT_FOUND : err,
                       "could not read entry %llu",
                       (unsigned long long)want.first);
    }
    into = arena_raw(arena, range.bytes);
    err = log_range_read(&range, into, why);
    log_range_unpin(&range);
    bytes = str_sub(into, range.bytes);
    while (err == ERR_NONE && bytes.len > 0) {
        struct entry_run run;
        size_t took = 0;

        err = entry_batch_parse(bytes, arena, &run, &took, why);
        if (err == ERR_TORN && *got > 0) {
            return ERR_NONE;
        }
        for (uint32_t i = 0; err == ERR_NONE && i < run.count; i++) {
            if (run.first + i != want.first + *got) {
                continue;
            }
            payload += run.entries[i].payload.len;
            if (*got == want.count || (*got > 0 && payload > want.bytes_max)) {
                return ERR_NONE;
            }
            out[(*got)++] = run.entries[i];
        }
        bytes = str_sub(bytes.ptr + took, bytes.len - took);
    }
    return err == ERR_NONE && *got == 0 ? ERR_DAMAGED : err;
}

enum err storage_read(struct storage *storage, struct storage_want want,
                      struct arena *arena, struct entry *out, uint32_t *got,
                      struct why *why)
{
    const struct tail *tail = &storage->tail;
    size_t bytes = 0;

    *got = 0;
    if (want.first < tail->first || want.first > tail->last ||
        want.count == 0) {
        return why_set(why, ERR_NOT_FOUND, "entry %llu is not in the log",
                       (unsigned long long)want.first);
    }
    if (want.first < tail->cached) {
        want.count = (uint32_t)MIN(want.count, tail->cached - want.first);
        return storage_read_range(storage, want, arena, out, got, why);
    }
    while (*got < want.count &&
           tail_find(tail, want.first + *got, &out[*got])) {
        bytes += out[*got].payload.len;
        if (*got > 0 && bytes > want.bytes_max) {
            break;
        }
        (*got)++;
    }
    return ERR_NONE;
}
