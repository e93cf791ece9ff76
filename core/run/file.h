/* file.h - files and folders behind a table of functions, so that a test can
 * break them.
 *
 * A struct disk is the real one (disk_real()) or a simulated one that loses
 * what was not synced. All calls block: writes go to the page cache and may be
 * made on a loop; file_sync(), disk_sync_folder() and reads of cold bytes
 * belong on a disk thread (work.h), start and stop aside. Thread-safe on
 * different files. Errors of the operating system come as ERR_DISK (ERR_FULL
 * for ENOSPC and EDQUOT, ERR_NOT_FOUND for ENOENT, ERR_EXISTS for EEXIST) with
 * the path and strerror() in why. */
#ifndef RUN_FILE_H
#define RUN_FILE_H

#include "base/err.h"
#include <sys/uio.h>

struct disk;

/* An open file. Made by file_open(), given up by file_close(). */
struct file {
    struct disk *disk;
    int fd;     /* for sendfile(); -1 on a simulated disk */
    char *path; /* for messages */
};

enum file_mode {
    FILE_READ,   /* must exist */
    FILE_WRITE,  /* read and write, made when absent */
    FILE_CREATE, /* read and write, ERR_EXISTS when it is there */
};

/* One entry of a folder; name borrowed for the call. */
typedef void (*disk_list_cb)(void *arg, const char *name, bool is_folder);

struct disk_ops {
    enum err (*open)(struct disk *disk, const char *path, enum file_mode mode,
                     struct file **out, struct why *why);
    void (*close)(struct file *file);
    enum err (*read)(struct file *file, uint64_t position, void *into,
                     size_t bytes, size_t *got, struct why *why);
    enum err (*write)(struct file *file, uint64_t position,
                      const struct iovec *parts, int count, struct why *why);
    enum err (*sync)(struct file *file, struct why *why);
    enum err (*truncate)(struct file *file, uint64_t bytes, struct why *why);
    enum err (*size)(struct file *file, uint64_t *bytes, struct why *why);
    enum err (*rename)(struct disk *disk, const char *from, const char *to,
                       struct why *why);
    enum err (*remove)(struct disk *disk, const char *path, struct why *why);
    /* One folder; ERR_EXISTS when something is there. */
    enum err (*make_folder)(struct disk *disk, const char *path,
                            struct why *why);
    enum err (*remove_folder)(struct disk *disk, const char *path,
                              struct why *why);
    enum err (*sync_folder)(struct disk *disk, const char *path,
                            struct why *why);
    enum err (*list)(struct disk *disk, const char *path, disk_list_cb each,
                     void *arg, struct why *why);
    enum err (*modified_ms)(struct disk *disk, const char *path,
                            int64_t *wall_ms, struct why *why);
    uint64_t (*free_bytes)(struct disk *disk, const char *path);
};

/* Whether there is too little of something just now (ERR_FULL: space,
 * ERR_LIMIT: descriptors): nothing was lost, and it may work later. */
static inline bool file_err_passes(enum err err)
{
    return err == ERR_FULL || err == ERR_LIMIT;
}

struct disk {
    const struct disk_ops *ops;
};

/* The machine's own disk; one for the process, never freed. */
struct disk *disk_real(void);

/* out: the caller's, with file_close().
 * Errors: ERR_NOT_FOUND, ERR_EXISTS (by mode), ERR_LIMIT (no descriptor is
 * left), ERR_FULL, ERR_DISK (all else, the rights of the user too). */
MUST_USE enum err file_open(struct disk *disk, const char *path,
                            enum file_mode mode, struct file **out,
                            struct why *why);
/* file: NULL is accepted. */
void file_close(struct file *file);
/* Reads up to bytes; *got is less only at the end of the file. */
MUST_USE enum err file_read(struct file *file, uint64_t position, void *into,
                            size_t bytes, size_t *got, struct why *why);
/* The same, where fewer bytes are ERR_TORN. */
MUST_USE enum err file_read_whole(struct file *file, uint64_t position,
                                  void *into, size_t bytes, struct why *why);
/* Writes all parts at position with as few calls as it takes. */
MUST_USE enum err file_write(struct file *file, uint64_t position,
                             const struct iovec *parts, int count,
                             struct why *why);
/* fdatasync(). A failure is final: the caller ends the process. */
MUST_USE enum err file_sync(struct file *file, struct why *why);
/* Makes it shorter, or longer with zeroes. Not synced. */
MUST_USE enum err file_truncate(struct file *file, uint64_t bytes,
                                struct why *why);
/* What is there now, synced or not. */
MUST_USE enum err file_size(struct file *file, uint64_t *bytes,
                            struct why *why);
/* Replaces to, atomically. The folder still wants disk_sync_folder(). */
MUST_USE enum err disk_rename(struct disk *disk, const char *from,
                              const char *to, struct why *why);
/* Of a file. One that is open lives until it is closed. */
MUST_USE enum err disk_remove(struct disk *disk, const char *path,
                              struct why *why);
/* Makes the folder and its parents; ERR_NONE when it is there. Their names want
 * disk_sync_folder() of the parent. Folders are 0700, files 0600. */
MUST_USE enum err disk_make_folder(struct disk *disk, const char *path,
                                   struct why *why);
/* Removes an empty folder. */
MUST_USE enum err disk_remove_folder(struct disk *disk, const char *path,
                                     struct why *why);
/* Names that were made, renamed or removed in it are safe from here on. */
MUST_USE enum err disk_sync_folder(struct disk *disk, const char *path,
                                   struct why *why);
/* The folder that holds path; from mem_*(). */
char *disk_parent(const char *path);
/* The name of path is safe from here on. */
MUST_USE enum err disk_sync_parent(struct disk *disk, const char *path,
                                   struct why *why);
/* Calls each for every entry but "." and ".."; in no order. */
MUST_USE enum err disk_list(struct disk *disk, const char *path,
                            disk_list_cb each, void *arg, struct why *why);
/* When the file was last written, in milliseconds since 1970. */
MUST_USE enum err disk_modified_ms(struct disk *disk, const char *path,
                                   int64_t *wall_ms, struct why *why);
/* What a user may still write; UINT64_MAX where nobody knows. */
uint64_t disk_free_bytes(struct disk *disk, const char *path);
/* Of a file or a folder. A path that cannot be looked at is not there. */
bool disk_exists(struct disk *disk, const char *path);

/* Small files that are replaced whole: written beside (path + ".tmp"), synced,
 * renamed over, the folder synced. A crash leaves the old or the new. */
MUST_USE enum err disk_replace(struct disk *disk, const char *path,
                               const void *bytes, size_t count,
                               struct why *why);
/* The whole of a small file, from mem_, with a NUL behind it (not counted).
 * Errors: ERR_NOT_FOUND, ERR_TOO_LARGE (over limit), ERR_DISK. */
MUST_USE enum err disk_read_all(struct disk *disk, const char *path,
                                size_t limit, char **bytes, size_t *count,
                                struct why *why);

#endif
