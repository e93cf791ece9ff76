/* db_private.h - what db.c and db_load.c share. */
#ifndef META_DB_PRIVATE_H
#define META_DB_PRIVATE_H

#include "meta/db.h"
#include <sqlite3.h>

/* Rows on their way, and the index that they come to. */
struct db_batch {
    struct rows rows;
    uint64_t index;
    int32_t term;
};

struct db {
    struct env *env;
    struct db_options options;
    char *path;
    sqlite3 *sql; /* the disk thread's while `working` */

    struct db_batch queue;   /* gathers, on the loop */
    struct db_batch writing; /* the disk thread's while `working` */
    uint64_t committed;
    struct db_checkpoint *checkpoint;

    struct env_task soon;
    struct env_timer retry;
    struct work work;
    bool working;
    bool failed;               /* nothing is written any more */
    bool postponed;            /* said so, trying again */
    void (*closed)(void *arg); /* NULL: not closing */
    void *closed_arg;

    /* The disk thread's while `working`. */
    sqlite3_stmt *statements[ROW_KIND_COUNT];
    sqlite3_stmt *applied;
    int wal_pages;       /* as of the last commit */
    int wal_pages_limit; /* move them from here on */
    bool want_checkpoint;
    enum err checkpoint_err;
    enum err err;
    struct why why;
};

/* rc: of SQLite, not SQLITE_OK. what: "could not ...". */
enum err db_error(struct db *db, int rc, const char *what, struct why *why);
MUST_USE enum err db_prepare(struct db *db, const char *sql, bool keep,
                             sqlite3_stmt **out, struct why *why);
MUST_USE enum err db_exec(struct db *db, const char *sql, struct why *why);

/* db_load.c: how a kind of row is written. Its parameters are the row's cells,
 * in their order. */
const char *db_statement(enum row_kind kind);

#endif
