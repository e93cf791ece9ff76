/* db.h - data/meta.db: the metadata as SQLite's tables, for people to ask.
 *
 * Not the truth (that is the quorum's log) and not what the broker reads (that
 * is struct state): a copy on disk, at most some milliseconds behind, which
 * anybody can open with the sqlite3 tool while the broker runs, and from which
 * the state is read at start. Rows gather on the loop; at the end of its turn
 * they are written on a disk thread, as one transaction together with the
 * applied index; while one is written, the next gathers.
 *
 * WAL with synchronous=NORMAL: a power failure may take the newest
 * transactions, never the file's soundness, and the quorum's log gives them
 * back. So no sync is waited for but in db_checkpoint(), below whose index the
 * log may be cut. No exclusive lock is ever held: readers never wait and are
 * never waited for, and a writer from outside only delays us.
 *
 * Threads: one loop owns it. The only files with <sqlite3.h> are db*.c. */
#ifndef META_DB_H
#define META_DB_H

#include "meta/rows_core.h"
#include "meta/state_core.h"
#include "run/env.h"

struct db;

struct db_options {
    const char *path; /* copied */
    /* SQLite refused what it must not refuse: the node ends. On the loop. */
    void (*failed)(void *arg, const struct why *why);
    void *failed_arg;
};

/* Opens or makes the file. Blocks.
 * Errors: ERR_DISK, ERR_DENIED, ERR_FULL; ERR_DAMAGED (it is no sound
 *         database); ERR_INVALID (another program's database); ERR_UNSUPPORTED
 *         (a newer version wrote it); ERR_BUSY (another program has locked
 *         it). */
MUST_USE enum err db_open(struct env *env, const struct db_options *options,
                          struct db **out, struct why *why);

/* Reads all tables into a state that is fresh from state_init(). Blocks; once,
 * before the first row. state->index is then what the tables have applied, 0
 * for an empty file.
 * Errors: ERR_DISK, ERR_DAMAGED. */
MUST_USE enum err db_load(struct db *db, struct state *state, struct why *why);

/* For a load that failed: closes at once. Nothing was applied. */
void db_abandon(struct db *db);

/* Where state_apply() adds its rows; until db_applied(). */
struct rows *db_rows(struct db *db);
/* The rows of a command are complete. Written from the end of this turn on. */
void db_applied(struct db *db, uint64_t index, int32_t term);
/* What waits in memory to be written: who proposes holds back when it grows. */
size_t db_backlog_bytes(const struct db *db);

/* Caller's memory, in use until done. */
struct db_checkpoint {
    /* Later, on the loop, once. ERR_NONE: everything up to index is in the
     * database file itself and synced: the log may be cut below it. ERR_BUSY:
     * a reader's old snapshot or a writer's lock holds it back: try again.
     * ERR_FULL. Another error comes with failed(). */
    void (*done)(struct db_checkpoint *checkpoint, enum err err);
    uint64_t index; /* out */
};

/* One at a time. After everything that was applied before the call. */
void db_checkpoint(struct db *db, struct db_checkpoint *checkpoint);

/* Writes what waits, closes the file, frees; done runs when it is over. A
 * checkpoint must not be under way. After failed() nothing more is written. */
void db_close(struct db *db, void (*done)(void *arg), void *arg);

#endif
