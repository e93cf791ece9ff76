/* entry_core.c - see entry_core.h. */
#include "quorum/entry_core.h"
#include "base/bytes.h"
#include "base/must.h"
#include "quorum/voters_core.h"
#include "wire/batch.h"

enum {
    ENTRY_KEY_VERSION = 1,
    ENTRY_KEY_BYTES = 14,
};

_Static_assert((int)ENTRY_BATCH_BYTES == (int)BATCH_HEADER_BYTES, "one header");

static void entry_key_put(uint8_t *key, uint64_t index,
                          const struct entry *entry)
{
    key[0] = ENTRY_KEY_VERSION;
    key[1] = (uint8_t)entry->type;
    bytes_put_u64(key + 2, index);
    bytes_put_i32(key + 10, entry->term);
}

/* The payloads of the run, one by one, as the finished batch has them. */
static void entry_point_into(struct entry_run *run, struct str batch)
{
    struct batch_header header;
    struct record_iter iter;
    struct record record;
    enum err err = batch_header_parse(batch.ptr, batch.len, &header);

    must(err == ERR_NONE);
    record_iter_init(&iter, &header,
                     str_sub(batch.ptr + BATCH_HEADER_BYTES,
                             batch.len - BATCH_HEADER_BYTES));
    for (uint32_t i = 0; i < run->count; i++) {
        must(record_iter_next(&iter, &record));
        run->entries[i].payload = record.value;
    }
    must(record_iter_finish(&iter) == ERR_NONE);
}

enum err entry_batch_build(struct entry_run *run, int64_t timestamp_ms,
                           struct arena *arena, struct str *batch)
{
    struct batch_options options = BATCH_OPTIONS;
    struct batch_builder builder;
    size_t bytes = BATCH_HEADER_BYTES;
    enum err err;

    must(run->count > 0);
    for (uint32_t i = 0; i < run->count; i++) {
        bytes += ENTRY_BYTES + run->entries[i].payload.len;
    }
    options.base_offset = (int64_t)run->first;
    options.leader_epoch = run->entries[0].term;
    batch_builder_init(&builder, arena, &options, bytes);
    for (uint32_t i = 0; i < run->count; i++) {
        const struct entry *entry = &run->entries[i];
        uint8_t key[ENTRY_KEY_BYTES];
        struct batch_record record = {
            .timestamp = timestamp_ms,
            .key = str_sub(key, sizeof(key)),
            .value = str_sub(entry->payload.len == 0 ? "" : entry->payload.ptr,
                             entry->payload.len),
        };

        must(entry->term == run->entries[0].term);
        entry_key_put(key, run->first + i, entry);
        batch_builder_add(&builder, &record);
    }
    err = batch_builder_finish(&builder, batch);
    if (err != ERR_NONE) {
        return err;
    }
    entry_point_into(run, *batch);
    return ERR_NONE;
}

/* One record: what its key says is what its place says. */
static bool entry_parse(const struct record *record, int32_t place,
                        const struct batch_header *header, struct entry *out)
{
    const uint8_t *key = (const uint8_t *)record->key.ptr;
    struct voters voters;

    if (key == NULL || record->key.len != ENTRY_KEY_BYTES ||
        key[0] != ENTRY_KEY_VERSION || record->offset_delta != place ||
        bytes_get_i64(key + 2) != header->base_offset + place ||
        bytes_get_i32(key + 10) != header->leader_epoch ||
        str_is_null(record->value)) {
        return false;
    }
    out->term = header->leader_epoch;
    out->type = (enum entry_type)key[1];
    out->payload = record->value;
    switch (out->type) {
    case ENTRY_COMMAND:
    case ENTRY_BARRIER:
        return true;
    case ENTRY_CHANGE:
        return voters_parse(out->payload, &voters) == ERR_NONE;
    default:
        return false;
    }
}

enum err entry_batch_parse(struct str bytes, struct arena *arena,
                           struct entry_run *run, size_t *took, struct why *why)
{
    struct batch_header header;
    struct record_iter iter;
    struct record record;
    enum err err = batch_parse(bytes.ptr, bytes.len, &header);

    if (err == ERR_TORN) {
        return err;
    }
    if (err != ERR_NONE || header.base_offset < 1 || header.leader_epoch < 1 ||
        header.record_count < 1 || header.attributes != 0 ||
        header.last_offset_delta != header.record_count - 1) {
        return why_set(why, ERR_DAMAGED, "a batch of entries is damaged");
    }
    *took = (size_t)header.bytes;
    run->first = (uint64_t)header.base_offset;
    run->count = (uint32_t)header.record_count;
    record_iter_init(
        &iter, &header,
        str_sub(bytes.ptr + BATCH_HEADER_BYTES, *took - BATCH_HEADER_BYTES));
    if (run->count > *took) {
        return why_set(why, ERR_DAMAGED, "a batch counts too many entries");
    }
    run->entries = arena_array(arena, run->count, sizeof(struct entry));
    for (uint32_t i = 0; i < run->count; i++) {
        if (!record_iter_next(&iter, &record) ||
            !entry_parse(&record, (int32_t)i, &header, &run->entries[i])) {
            return why_set(why, ERR_DAMAGED, "entry %llu is damaged",
                           (unsigned long long)run->first + i);
        }
    }
    if (record_iter_finish(&iter) != ERR_NONE) {
        return why_set(why, ERR_DAMAGED, "bytes are left behind entry %llu",
                       (unsigned long long)(run->first + run->count - 1));
    }
    return ERR_NONE;
}
