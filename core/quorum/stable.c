/* stable.c - see stable.h. */
#include "quorum/stable.h"
#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/mem.h"
#include "base/must.h"
#include "quorum/voters_core.h"
#include "wire/reader.h"
#include "wire/writer.h"

enum {
    STABLE_SLOT_BYTES = 4096, /* of the file `term`; there are two */
    STABLE_RECORD_BYTES = 56,
    STABLE_TERM_BYTES = 40,       /* of the old file */
    STABLE_CHECKPOINT_BYTES = 44, /* without membership and runs */
    STABLE_RUN_BYTES = 12,
    STABLE_BYTES_MAX = 64 * 1024 * 1024,
};

static const char STABLE_SLOT_MAGIC[4] = {'T', 'Q', 'S', '1'};
static const char STABLE_TERM_MAGIC[4] = {'T', 'Q', 'T', '1'};
static const char STABLE_CHECKPOINT_MAGIC[4] = {'T', 'Q', 'C', '1'};

static char *stable_path(const char *folder, const char *name)
{
    return mem_printf("%s/%s", folder, name);
}

static enum err stable_damaged(const char *path, struct why *why)
{
    return why_set(why, ERR_DAMAGED,
                   "\"%s\" is damaged; restore the data folder from a backup",
                   path);
}

static void stable_encode_term(const struct stable_term *term, uint64_t number,
                               uint8_t slot[STABLE_SLOT_BYTES])
{
    memset(slot, 0, STABLE_SLOT_BYTES);
    memcpy(slot, STABLE_SLOT_MAGIC, 4);
    bytes_put_u64(slot + 8, number);
    bytes_put_u64(slot + 16, term->id);
    bytes_put_u64(slot + 24, term->starts);
    bytes_put_i32(slot + 32, term->term);
    bytes_put_i32(slot + 36, term->mark_term);
    bytes_put_u64(slot + 40, term->vote);
    bytes_put_u64(slot + 48, term->mark_index);
    bytes_put_u32(slot + 4, crc32c(0, slot + 8, STABLE_RECORD_BYTES - 8));
    memcpy(slot + STABLE_SLOT_BYTES / 2, slot, STABLE_RECORD_BYTES);
}

/* Gives the number of the write, 0: this is no record. */
static uint64_t stable_decode_term(const uint8_t *at, struct stable_term *out)
{
    if (memcmp(at, STABLE_SLOT_MAGIC, 4) != 0 ||
        bytes_get_u32(at + 4) != crc32c(0, at + 8, STABLE_RECORD_BYTES - 8)) {
        return 0;
    }
    *out = (struct stable_term){
        .id = bytes_get_u64(at + 16),
        .starts = bytes_get_u64(at + 24),
        .term = bytes_get_i32(at + 32),
        .mark_term = bytes_get_i32(at + 36),
        .vote = bytes_get_u64(at + 40),
        .mark_index = bytes_get_u64(at + 48),
    };
    return bytes_get_u64(at + 8);
}

/* The file is made whole, or of the old one; a crash leaves the old or the new.
 */
static enum err stable_make_term(struct disk *disk, const char *folder,
                                 struct stable_slots *slots,
                                 const struct stable_term *term,
                                 struct why *why)
{
    uint8_t bytes[2 * STABLE_SLOT_BYTES] = {0};
    char *path = stable_path(folder, "term");
    enum err err;

    stable_encode_term(term, 1, bytes + STABLE_SLOT_BYTES);
    err = disk_replace(disk, path, bytes, sizeof(bytes), why);
    if (err == ERR_NONE) {
        err = file_open(disk, path, FILE_WRITE, &slots->file, why);
    }
    if (err == ERR_NONE) {
        slots->number = 1;
    }
    mem_free(path);
    return err;
}

enum err stable_keep_term(struct disk *disk, const char *folder,
                          struct stable_slots *slots,
                          const struct stable_term *term, struct why *why)
{
    uint8_t slot[STABLE_SLOT_BYTES];
    struct iovec part = {slot, sizeof(slot)};
    uint64_t number = slots->number + 1;
    enum err err;

    if (slots->file == NULL) {
        return stable_make_term(disk, folder, slots, term, why);
    }
    stable_encode_term(term, number, slot);
    err =
        file_write(slots->file, number % 2 * STABLE_SLOT_BYTES, &part, 1, why);
    if (err == ERR_NONE) {
        err = file_sync(slots->file, why);
    }
    if (err == ERR_NONE) {
        slots->number = number;
    }
    return err;
}

static bool stable_parse_slots(const uint8_t *bytes, struct stable_slots *slots,
                               struct stable_term *out)
{
    slots->number = 0;
    for (size_t at = 0; at < 2 * STABLE_SLOT_BYTES;
         at += STABLE_SLOT_BYTES / 2) {
        struct stable_term term;
        uint64_t number = stable_decode_term(bytes + at, &term);

        if (number > slots->number) {
            slots->number = number;
            *out = term;
        }
    }
    return slots->number > 0;
}

/* As it was in older folders. */
static bool stable_parse_old_term(const uint8_t *bytes, struct stable_term *out)
{
    if (memcmp(bytes, STABLE_TERM_MAGIC, 4) != 0 ||
        bytes_get_u32(bytes + 36) != crc32c(0, bytes, 36)) {
        return false;
    }
    *out = (struct stable_term){
        .id = bytes_get_u64(bytes + 4),
        .term = bytes_get_i32(bytes + 12),
        .vote = bytes_get_u64(bytes + 16),
        .mark_term = bytes_get_i32(bytes + 24),
        .mark_index = bytes_get_u64(bytes + 28),
    };
    return true;
}

enum err stable_load_term(struct disk *disk, const char *folder,
                          struct stable_slots *slots, struct stable_term *out,
                          struct why *why)
{
    char *path = stable_path(folder, "term");
    char *bytes = NULL;
    size_t count = 0;
    enum err err;

    must(slots->file == NULL);
    err = disk_read_all(disk, path, STABLE_BYTES_MAX, &bytes, &count, why);
    if (err == ERR_NONE && count == 2 * STABLE_SLOT_BYTES &&
        stable_parse_slots((const uint8_t *)bytes, slots, out)) {
        err = file_open(disk, path, FILE_WRITE, &slots->file, why);
    } else if (err == ERR_NONE &&
               (count != STABLE_TERM_BYTES ||
                !stable_parse_old_term((const uint8_t *)bytes, out))) {
        err = stable_damaged(path, why);
    }
    mem_free(bytes);
    mem_free(path);
    return err;
}

void stable_close_term(struct stable_slots *slots)
{
    file_close(slots->file);
    *slots = (struct stable_slots){0};
}

enum err stable_keep_checkpoint(struct disk *disk, const char *folder,
                                const struct stable_checkpoint *c,
                                struct why *why)
{
    char *path = stable_path(folder, "checkpoint");
    struct arena arena = {0};
    struct writer w;
    enum err err;

    writer_init(&w, &arena,
                STABLE_CHECKPOINT_BYTES + c->voters.len +
                    (size_t)c->run_count * STABLE_RUN_BYTES);
    writer_raw(&w, STABLE_CHECKPOINT_MAGIC, 4);
    writer_u32(&w, 0);
    writer_i64(&w, (int64_t)c->index);
    writer_i32(&w, c->term);
    writer_i64(&w, (int64_t)c->command_index);
    writer_i64(&w, (int64_t)c->voters_index);
    writer_u32(&w, (uint32_t)c->voters.len);
    writer_raw(&w, c->voters.ptr, c->voters.len);
    writer_u32(&w, c->run_count);
    for (uint32_t i = 0; i < c->run_count; i++) {
        writer_i64(&w, (int64_t)c->runs[i].first);
        writer_i32(&w, c->runs[i].term);
    }
    bytes_put_u32(w.start + 4,
                  crc32c(0, w.start + 8, (size_t)(w.at - w.start) - 8));
    err = disk_replace(disk, path, w.start, (size_t)(w.at - w.start), why);
    arena_reset(&arena);
    mem_free(path);
    return err;
}

/* Behind magic and CRC. False when it contradicts itself. */
static bool stable_parse_checkpoint(struct str bytes, struct arena *arena,
                                    struct stable_checkpoint *out)
{
    struct voters voters;
    struct reader r;
    const uint8_t *conf;
    uint64_t above = 0;
    uint32_t length;

    reader_init(&r, bytes.ptr + 8, bytes.len - 8);
    out->index = (uint64_t)reader_i64(&r);
    out->term = reader_i32(&r);
    out->command_index = (uint64_t)reader_i64(&r);
    out->voters_index = (uint64_t)reader_i64(&r);
    length = reader_u32(&r);
    conf = reader_take(&r, length);
    if (conf == NULL) {
        return false;
    }
    out->voters = arena_str(arena, str_sub(conf, length));
    out->run_count = reader_u32(&r);
    if (out->run_count > reader_left(&r) / STABLE_RUN_BYTES) {
        return false;
    }
    out->runs = arena_array(arena, out->run_count, sizeof(*out->runs));
    for (uint32_t i = 0; i < out->run_count; i++) {
        out->runs[i].first = (uint64_t)reader_i64(&r);
        out->runs[i].term = reader_i32(&r);
        if (out->runs[i].first <= above || out->runs[i].term < 1) {
            return false;
        }
        above = out->runs[i].first;
    }
    return reader_finish(&r) == ERR_NONE && out->index > 0 &&
           out->index < INT64_MAX && out->term > 0 && above <= out->index &&
           out->command_index <= out->index && out->voters_index > 0 &&
           out->voters_index <= out->index &&
           voters_parse(out->voters, &voters) == ERR_NONE;
}

enum err stable_load_checkpoint(struct disk *disk, const char *folder,
                                struct arena *arena,
                                struct stable_checkpoint *out, struct why *why)
{
    char *path = stable_path(folder, "checkpoint");
    char *bytes = NULL;
    size_t count = 0;
    enum err err;

    err = disk_read_all(disk, path, STABLE_BYTES_MAX, &bytes, &count, why);
    if (err == ERR_NONE &&
        (count < STABLE_CHECKPOINT_BYTES ||
         memcmp(bytes, STABLE_CHECKPOINT_MAGIC, 4) != 0 ||
         bytes_get_u32(bytes + 4) != crc32c(0, bytes + 8, count - 8) ||
         !stable_parse_checkpoint(str_sub(bytes, count), arena, out))) {
        err = stable_damaged(path, why);
    }
    mem_free(bytes);
    mem_free(path);
    return err;
}
