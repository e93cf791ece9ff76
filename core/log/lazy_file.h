/* lazy_file.h - a file of a segment, opened when somebody first needs it.
 *
 * A handle is counted: whoever took one reads on, though the file was renamed,
 * forgotten or its segment is gone. The pointer to the handle is published:
 * readers on loops take it without a lock, because the owner gives a handle up
 * only after a fence (view.h, struct retire); other threads take it under the
 * lock.
 *
 * Threads: init, fini, forget: the owner of the log. take: any. */
#ifndef LOG_LAZY_FILE_H
#define LOG_LAZY_FILE_H

#include "log/retire.h"
#include "run/file.h"
#include <pthread.h>
#include <stdatomic.h>

struct lazy_handle {
    struct file *file;
    _Atomic int refs;
    struct retired retired; /* private */
};

struct lazy_file {
    struct disk *disk;
    const char *folder; /* borrowed from the log; used to open only */
    const char *suffix;
    int64_t base;
    bool writable; /* set by the owner before readers know the file */
    _Atomic(struct lazy_handle *) handle;
    _Atomic bool touched; /* taken since lazy_file_forget_idle() looked */
    pthread_mutex_t lock; /* guards opening and giving up */
};

/* Opens nothing. folder, suffix: borrowed. */
void lazy_file_init(struct lazy_file *lazy, struct disk *disk,
                    const char *folder, int64_t base, const char *suffix);
/* Nobody may be in lazy_file_take(); handles that were taken live on. */
void lazy_file_fini(struct lazy_file *lazy);

/* Gives a handle: lazy_handle_unref() it.
 * mode: how to open it when it is not open; FILE_WRITE makes it. A file that is
 *       writable is opened for that by readers too, so that the owner finds a
 *       handle that it can use.
 * in_turn: the caller is on a loop and lets go of nothing but what it took. */
MUST_USE enum err lazy_file_take(struct lazy_file *lazy, enum file_mode mode,
                                 bool in_turn, struct lazy_handle **out,
                                 struct why *why);
/* Owner, before readers (and disk threads) know the file or once none is left:
 * gives the handle up at once, so that the next take opens anew. */
void lazy_file_reset(struct lazy_file *lazy);
/* Owner: borrows the open file; NULL when it is not open. */
struct file *lazy_file_find(struct lazy_file *lazy);
/* Owner: closes the file once readers have let go, if nobody took it since the
 * last call. */
void lazy_file_forget_idle(struct lazy_file *lazy, struct retire *retire);

/* Any thread; the last one closes the file. handle: NULL is accepted. */
void lazy_handle_unref(struct lazy_handle *handle);

#endif
