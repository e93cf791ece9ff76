/* small_files.c - reading and writing the small files. */
#include "log/small_files.h"

#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/mem.h"
#include "base/must.h"
#include "log/names.h"
#include <inttypes.h>
#include <stdio.h>

enum {
    SMALL_FILES_MAGIC = 0x544d4650, /* "TMFP" */
    SMALL_FILES_SLOT_BYTES = 64,
    SMALL_FILES_SLOT_STRIDE = 512,
    SMALL_FILES_NOTE_AT = 2 * SMALL_FILES_SLOT_STRIDE,
    SMALL_FILES_SLOT_CRC_AT = 60,
    SMALL_FILES_STATE_MAGIC = 0x544d5053, /* "TMPS" */
    SMALL_FILES_STATE_HEADER_BYTES = 20,
    SMALL_FILES_STATE_BYTES_MAX = 1 << 30,
    SMALL_FILES_TEXT_BYTES_MAX = 4096,
};

/* 0 magic, 4 flags: 1 unsealed, 8 number, 16 offset, 24 base, 32 position,
 * 40 first timestamp, 48 created, 56 hole, 60 CRC-32C of the bytes before. */
static void small_files_encode_point(const struct small_files_point *point,
                                     uint8_t slot[SMALL_FILES_SLOT_BYTES])
{
    memset(slot, 0, SMALL_FILES_SLOT_BYTES);
    bytes_put_u32(slot, SMALL_FILES_MAGIC);
    bytes_put_u32(slot + 4, point->unsealed);
    bytes_put_u64(slot + 8, point->number);
    bytes_put_i64(slot + 16, point->offset);
    bytes_put_i64(slot + 24, point->base);
    bytes_put_u64(slot + 32, point->position);
    bytes_put_i64(slot + 40, point->first_timestamp);
    bytes_put_i64(slot + 48, point->created_ms);
    bytes_put_u32(slot + 56, point->hole);
    bytes_put_u32(slot + SMALL_FILES_SLOT_CRC_AT,
                  crc32c(0, slot, SMALL_FILES_SLOT_CRC_AT));
}

static bool small_files_decode_point(const uint8_t *slot,
                                     struct small_files_point *out)
{
    if (bytes_get_u32(slot) != SMALL_FILES_MAGIC ||
        bytes_get_u32(slot + 4) > 1 ||
        bytes_get_u32(slot + SMALL_FILES_SLOT_CRC_AT) !=
            crc32c(0, slot, SMALL_FILES_SLOT_CRC_AT)) {
        return false;
    }
    out->unsealed = bytes_get_u32(slot + 4) == 1;
    out->number = bytes_get_u64(slot + 8);
    out->offset = bytes_get_i64(slot + 16);
    out->base = bytes_get_i64(slot + 24);
    out->position = bytes_get_u64(slot + 32);
    out->first_timestamp = bytes_get_i64(slot + 40);
    out->created_ms = bytes_get_i64(slot + 48);
    out->hole = bytes_get_u32(slot + 56);
    return out->offset >= 0 && out->base >= 0 &&
           out->base <= out->offset - (int64_t)out->hole;
}

enum err small_files_load_point(struct disk *disk, const char *folder,
                                struct small_files_point *out, struct why *why)
{
    uint8_t bytes[SMALL_FILES_NOTE_AT + SMALL_FILES_SLOT_BYTES] = {0};
    char path[NAMES_PATH_BYTES];
    struct file *file = NULL;
    size_t got = 0;
    enum err err;

    *out = (struct small_files_point){.offset = -1};
    names_join(path, folder, NAMES_POINT);
    err = file_open(disk, path, FILE_READ, &file, why);
    if (err == ERR_NOT_FOUND) {
        return ERR_NONE;
    }
    if (!err) {
        err = file_read(file, 0, bytes, sizeof(bytes), &got, why);
    }
    file_close(file);
    for (size_t at = 0; !err && at < sizeof(bytes);
         at += SMALL_FILES_SLOT_STRIDE) {
        struct small_files_point point = {0};

        if (small_files_decode_point(bytes + at, &point) &&
            (out->offset < 0 || point.number > out->number ||
             (at == SMALL_FILES_NOTE_AT && point.number == out->number))) {
            *out = point;
        }
    }
    return err;
}

/* Unless it is open. */
static enum err small_files_open_point(struct disk *disk, const char *folder,
                                       struct file **file, struct why *why)
{
    char path[NAMES_PATH_BYTES];

    if (*file != NULL) {
        return ERR_NONE;
    }
    names_join(path, folder, NAMES_POINT);
    return file_open(disk, path, FILE_WRITE, file, why);
}

enum err small_files_write_point(struct disk *disk, const char *folder,
                                 struct file **file,
                                 struct small_files_point *point,
                                 struct why *why)
{
    uint8_t slot[SMALL_FILES_SLOT_BYTES];
    struct iovec part = {slot, sizeof(slot)};
    enum err err = small_files_open_point(disk, folder, file, why);

    if (err) {
        return err;
    }
    point->number++;
    small_files_encode_point(point, slot);
    err = file_write(*file, point->number % 2 * SMALL_FILES_SLOT_STRIDE, &part,
                     1, why);
    point->number -= err != ERR_NONE;
    return err;
}

enum err small_files_sync_point(struct disk *disk, const char *folder,
                                struct file *file,
                                const struct small_files_point *point,
                                struct why *why)
{
    enum err err = file_sync(file, why);

    return err || point->number > 1 ? err : disk_sync_folder(disk, folder, why);
}

enum err small_files_save_point(struct disk *disk, const char *folder,
                                struct file **file,
                                struct small_files_point *point,
                                struct why *why)
{
    enum err err = small_files_write_point(disk, folder, file, point, why);

    if (!err) {
        err = small_files_sync_point(disk, folder, *file, point, why);
        point->number -= err != ERR_NONE;
    }
    return err;
}

enum err small_files_note_point(struct disk *disk, const char *folder,
                                struct file **file,
                                const struct small_files_point *point,
                                struct why *why)
{
    uint8_t slot[SMALL_FILES_SLOT_BYTES];
    struct iovec part = {slot, sizeof(slot)};
    enum err err = small_files_open_point(disk, folder, file, why);

    small_files_encode_point(point, slot);
    return err ? err : file_write(*file, SMALL_FILES_NOTE_AT, &part, 1, why);
}

enum err small_files_load_start(struct disk *disk, const char *folder,
                                int64_t *offset, struct why *why)
{
    char path[NAMES_PATH_BYTES];
    char *bytes = NULL;
    size_t count = 0;
    enum err err;

    *offset = -1;
    names_join(path, folder, NAMES_START);
    err = disk_read_all(disk, path, SMALL_FILES_TEXT_BYTES_MAX, &bytes, &count,
                        why);
    if (err == ERR_NOT_FOUND) {
        return ERR_NONE;
    }
    if (!err) {
        const char *head = "version: 0\nstart_offset: ";
        size_t n = strlen(head);

        if (count <= n + 1 || memcmp(bytes, head, n) != 0 ||
            bytes[count - 1] != '\n' ||
            !str_to_i64(str_sub(bytes + n, count - n - 1), offset) ||
            *offset < 0) {
            *offset = -1;
            err = why_set(why, ERR_CORRUPT, "cannot read \"%s\"", path);
        }
    }
    mem_free(bytes);
    return err;
}

enum err small_files_save_start(struct disk *disk, const char *folder,
                                int64_t offset, struct why *why)
{
    char path[NAMES_PATH_BYTES];
    char text[64];
    int n = snprintf(text, sizeof(text),
                     "version: 0\nstart_offset: %" PRId64 "\n", offset);

    names_join(path, folder, NAMES_START);
    return disk_replace(disk, path, text, (size_t)n, why);
}

/* The topic id in the text of a partition.metadata; false: not readable. */
static bool small_files_parse_claim(struct str text, struct uuid *out)
{
    struct str head = STR_LIT("version: 0\ntopic_id: ");
    size_t n = head.len;

    while (text.len > 0 && text.ptr[text.len - 1] == '\n') {
        text.len--;
    }
    return text.len > n && memcmp(text.ptr, head.ptr, n) == 0 &&
           uuid_parse(str_sub(text.ptr + n, text.len - n), out);
}

enum err small_files_claim(struct disk *disk, const char *folder,
                           struct uuid topic_id, bool *made, struct uuid *other,
                           struct why *why)
{
    char path[NAMES_PATH_BYTES];
    char id[UUID_TEXT_BYTES];
    char text[64];
    char *bytes = NULL;
    size_t count = 0;
    enum err err;
    int n;

    *made = false;
    *other = (struct uuid){0};
    uuid_text(topic_id, id);
    n = snprintf(text, sizeof(text), "version: 0\ntopic_id: %s\n", id);
    names_join(path, folder, NAMES_METADATA);
    err = disk_read_all(disk, path, SMALL_FILES_TEXT_BYTES_MAX, &bytes, &count,
                        why);
    if (err == ERR_NOT_FOUND ||
        (!err && !small_files_parse_claim(str_sub(bytes, count), other))) {
        *made = true;
        err = small_files_save_bytes(disk, path, str_sub(text, (size_t)n),
                                     false, why);
    } else if (!err && !uuid_eq(*other, topic_id)) {
        err = why_set(why, ERR_EXISTS, "\"%s\" is of another topic than %s",
                      path, id);
    }
    mem_free(bytes);
    return err;
}

enum err small_files_sync_claim(struct disk *disk, const char *folder,
                                struct why *why)
{
    char path[NAMES_PATH_BYTES];
    struct file *file = NULL;
    enum err err;

    names_join(path, folder, NAMES_METADATA);
    err = file_open(disk, path, FILE_READ, &file, why);
    if (err == ERR_NOT_FOUND) {
        return ERR_NONE;
    }
    if (!err) {
        err = file_sync(file, why);
    }
    file_close(file);
    return err;
}

/* 0 magic, 4 version = 0, 8 offset, 16 CRC-32C of bytes 0-15 and of those from
 * 20 on, 20 deep bytes. */
static uint32_t small_files_state_crc(const uint8_t *header, const char *bytes,
                                      size_t count)
{
    return crc32c(crc32c(0, header, 16), bytes, count);
}

enum err small_files_load_state(struct disk *disk, const char *path,
                                int64_t *offset, char **bytes, size_t *count,
                                struct why *why)
{
    char *all = NULL;
    size_t n = 0;
    const uint8_t *at;
    enum err err =
        disk_read_all(disk, path, SMALL_FILES_STATE_BYTES_MAX, &all, &n, why);

    if (err) {
        return err;
    }
    at = (const uint8_t *)all;
    if (n < SMALL_FILES_STATE_HEADER_BYTES ||
        bytes_get_u32(at) != SMALL_FILES_STATE_MAGIC ||
        bytes_get_u32(at + 4) != 0 ||
        bytes_get_u32(at + 16) !=
            small_files_state_crc(at, all + SMALL_FILES_STATE_HEADER_BYTES,
                                  n - SMALL_FILES_STATE_HEADER_BYTES)) {
        mem_free(all);
        return why_set(why, ERR_CORRUPT, "cannot read \"%s\"", path);
    }
    *offset = bytes_get_i64(at + 8);
    *count = n - SMALL_FILES_STATE_HEADER_BYTES;
    *bytes = mem_dup(all + SMALL_FILES_STATE_HEADER_BYTES, *count);
    mem_free(all);
    return ERR_NONE;
}

static enum err small_files_write(struct disk *disk, const char *path,
                                  const struct iovec *parts, int count,
                                  bool sync, struct why *why)
{
    char *beside = mem_printf("%s.tmp", path);
    struct file *file = NULL;
    enum err err = file_open(disk, beside, FILE_WRITE, &file, why);

    if (!err) {
        err = file_truncate(file, 0, why);
    }
    if (!err) {
        err = file_write(file, 0, parts, count, why);
    }
    if (!err && sync) {
        err = file_sync(file, why);
    }
    file_close(file);
    if (!err) {
        err = disk_rename(disk, beside, path, why);
    }
    mem_free(beside);
    return err;
}

/* struct iovec is not const, though it is only read from here. */
static struct iovec small_files_part(struct str bytes)
{
    union {
        const char *in;
        char *out;
    } bare = {.in = bytes.ptr};

    return (struct iovec){bare.out, bytes.len};
}

enum err small_files_save_state(struct disk *disk, const char *path,
                                int64_t offset, struct str deep, bool sync,
                                struct why *why)
{
    uint8_t header[SMALL_FILES_STATE_HEADER_BYTES] = {0};
    struct iovec parts[2] = {{header, sizeof(header)}, small_files_part(deep)};

    bytes_put_u32(header, SMALL_FILES_STATE_MAGIC);
    bytes_put_i64(header + 8, offset);
    bytes_put_u32(header + 16,
                  small_files_state_crc(header, deep.ptr, deep.len));
    return small_files_write(disk, path, parts, deep.len > 0 ? 2 : 1, sync,
                             why);
}

enum err small_files_save_bytes(struct disk *disk, const char *path,
                                struct str bytes, bool sync, struct why *why)
{
    struct iovec part = small_files_part(bytes);

    return small_files_write(disk, path, &part, 1, sync, why);
}
