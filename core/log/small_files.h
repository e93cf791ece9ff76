/* small_files.h - the small files of a partition.
 *
 *   flushed-point      two slots of 64 bytes, at 0 and 512, written in turn,
 *                      each synced; a third, at 1024, that is not
 *   log-start          "version: 0", "start_offset: N"
 *   partition.metadata Kafka's: "version: 0", "topic_id: <base64>"
 *   producer-state, <offset>.producers   ours: offset, CRC, the deep bytes
 *   <offset>.snapshot  Kafka's own, with its own CRC
 *
 * The flushed point (saved, not noted) and the start are durable on return. The
 * rest need not be: it carries a CRC or is made again, and where producers'
 * state is lost the log is read again. All calls block. log/README.md has the
 * bytes. */
#ifndef LOG_SMALL_FILES_H
#define LOG_SMALL_FILES_H

#include "base/uuid.h"
#include "run/file.h"

/* Everything below offset is on the disk. */
struct small_files_point {
    int64_t offset;          /* -1: unknown */
    int64_t base;            /* the segment that holds it ... */
    uint64_t position;       /* ... and where there */
    int64_t first_timestamp; /* of that segment; -1: none */
    int64_t created_ms;      /* of that segment */
    uint32_t hole;           /* offsets without a batch right below offset */
    bool unsealed;           /* a clean stop could not complete the indexes */
    uint64_t number;         /* of the last time that one was saved; 0: never */
};

/* offset -1 when there is no such file or neither slot is good.
 * Errors: ERR_DISK. */
MUST_USE enum err small_files_load_point(struct disk *disk, const char *folder,
                                         struct small_files_point *out,
                                         struct why *why);
/* Counts point->number up where it succeeds. *file: NULL, or open from the last
 * call; the caller closes it. */
MUST_USE enum err small_files_save_point(struct disk *disk, const char *folder,
                                         struct file **file,
                                         struct small_files_point *point,
                                         struct why *why);
/* Its two halves, of which the second one waits for the disk. Where that fails
 * the caller counts back: what was synced last is not to be written over. */
MUST_USE enum err small_files_write_point(struct disk *disk, const char *folder,
                                          struct file **file,
                                          struct small_files_point *point,
                                          struct why *why);
MUST_USE enum err small_files_sync_point(struct disk *disk, const char *folder,
                                         struct file *file,
                                         const struct small_files_point *point,
                                         struct why *why);
/* A later point, in a slot of its own that counts until another point is saved:
 * not synced, it outlives the process, and perhaps not the power. point->number
 * is that of the last one saved. file: as there. Does not wait for the disk.
 * Errors: ERR_DISK, ERR_FULL, ERR_LIMIT. */
MUST_USE enum err small_files_note_point(struct disk *disk, const char *folder,
                                         struct file **file,
                                         const struct small_files_point *point,
                                         struct why *why);

/* -1: no such file. Errors: ERR_CORRUPT, ERR_DISK. */
MUST_USE enum err small_files_load_start(struct disk *disk, const char *folder,
                                         int64_t *offset, struct why *why);
MUST_USE enum err small_files_save_start(struct disk *disk, const char *folder,
                                         int64_t offset, struct why *why);

/* Makes partition.metadata where there is none that can be read. *made: it was,
 * and wants small_files_sync_claim() before the first record counts as flushed:
 * a folder that lost it after a power failure would look like nobody's.
 * Errors: ERR_EXISTS (it names another topic: *other), ERR_DISK, ERR_FULL. */
MUST_USE enum err small_files_claim(struct disk *disk, const char *folder,
                                    struct uuid topic_id, bool *made,
                                    struct uuid *other, struct why *why);
/* Its bytes are on the disk; the folder is not synced. ERR_NONE when there is
 * no such file. */
MUST_USE enum err small_files_sync_claim(struct disk *disk, const char *folder,
                                         struct why *why);

/* Gives the deep bytes, from mem_, and the offset that they are as of.
 * Errors: ERR_NOT_FOUND, ERR_CORRUPT, ERR_DISK. */
MUST_USE enum err small_files_load_state(struct disk *disk, const char *path,
                                         int64_t *offset, char **bytes,
                                         size_t *count, struct why *why);
/* Written beside, synced if so, renamed over. */
MUST_USE enum err small_files_save_state(struct disk *disk, const char *path,
                                         int64_t offset, struct str deep,
                                         bool sync, struct why *why);
/* The same for bytes as they are. */
MUST_USE enum err small_files_save_bytes(struct disk *disk, const char *path,
                                         struct str bytes, bool sync,
                                         struct why *why);

#endif
