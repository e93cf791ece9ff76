/* db.c - rows to tables, in transactions, behind the loop's back.
 *
 * Happy path:
 *   1. state_apply() adds rows to `queue`; db_applied() asks for the end of
 *      the turn, so that all commands of a turn go together;
 *   2. db_turn() moves the queue to `writing` and starts one job;
 *   3. db_run(), on a disk thread: BEGIN IMMEDIATE, one prepared statement per
 *      row, the applied index, COMMIT. From here on readers see it. When the
 *      WAL has grown past DB_WAL_PAGES_MAX, or a checkpoint was asked for, its
 *      pages move into the database file, with two syncs;
 *   4. db_ran(), on the loop: answers the checkpoint; at the end of that turn,
 *      what has gathered goes to 2.
 *
 * Failures. Somebody else's write lock (a BEGIN IMMEDIATE in a sqlite3 shell)
 * and a full disk pass: the transaction is rolled back, said so, and tried
 * again; the rows wait in memory, nothing is lost, as the log has it all. A
 * checkpoint does not wait with them: it is refused, or a stop would wait for
 * the shell.
 * Anything else is final: a failed sync must not be repeated, and a
 * constraint that does not hold is a bug or damage. The loop is told, the node
 * ends.
 *
 * Checkpoints are PASSIVE: they never wait for a reader. One is complete when
 * all pages of the WAL are in the file, which SQLite then has synced; with a
 * reader on an old snapshot it is not, and the log stays uncut. */
#include "meta/db.h"

#include "base/mem.h"
#include "base/must.h"
#include "base/trace.h"
#include "meta/db_private.h"
#include "meta/schema.h"

enum {
    DB_APPLICATION_ID = 0x5469646d, /* "Tidm": file(1) can tell ours */
    DB_BUSY_MS = 1000,
    DB_RETRY_MS = 200,
    DB_WAL_PAGES_MAX = 1000,
    DB_KEEP_BYTES = 256 * 1024, /* of a list of rows, for the next ones */
};

static enum err db_code(int rc)
{
    switch (rc & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return ERR_BUSY;
    case SQLITE_FULL:
        return ERR_FULL;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return ERR_DAMAGED;
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
    case SQLITE_READONLY:
        return ERR_DENIED;
    default:
        return ERR_DISK;
    }
}

enum err db_error(struct db *db, int rc, const char *what, struct why *why)
{
    return why_set(why, db_code(rc), "%s \"%s\": %s", what, db->path,
                   db->sql == NULL ? sqlite3_errstr(rc)
                                   : sqlite3_errmsg(db->sql));
}

enum err db_prepare(struct db *db, const char *sql, bool keep,
                    sqlite3_stmt **out, struct why *why)
{
    int rc = sqlite3_prepare_v3(
        db->sql, sql, -1, keep ? SQLITE_PREPARE_PERSISTENT : 0, out, NULL);

    return rc == SQLITE_OK ? ERR_NONE : db_error(db, rc, "could not ask", why);
}

enum err db_exec(struct db *db, const char *sql, struct why *why)
{
    int rc = sqlite3_exec(db->sql, sql, NULL, NULL, NULL);

    return rc == SQLITE_OK ? ERR_NONE
                           : db_error(db, rc, "could not write to", why);
}

/* The pages that the WAL has after a commit. */
static int db_wal_hook(void *arg, sqlite3 *sql, const char *name, int pages)
{
    struct db *db = arg;

    (void)sql;
    (void)name;
    db->wal_pages = pages;
    return SQLITE_OK;
}

static enum err db_number(struct db *db, const char *sql, int64_t *out,
                          struct why *why)
{
    sqlite3_stmt *statement;
    enum err err = db_prepare(db, sql, false, &statement, why);
    int rc;

    if (err != ERR_NONE) {
        return err;
    }
    rc = sqlite3_step(statement);
    if (rc == SQLITE_ROW) {
        *out = sqlite3_column_int64(statement, 0);
    } else {
        err = db_error(db, rc, "could not read", why);
    }
    sqlite3_finalize(statement);
    return err;
}

/* Is this file ours, and not of the future? */
static enum err db_identify(struct db *db, struct why *why)
{
    int64_t id = 0;
    int64_t version = 0;
    int64_t tables = 0;
    enum err err;

    err = db_number(db, "pragma application_id", &id, why);
    if (err == ERR_NONE) {
        err = db_number(db, "pragma user_version", &version, why);
    }
    if (err == ERR_NONE) {
        err = db_number(db, "select count(*) from sqlite_schema", &tables, why);
    }
    if (err != ERR_NONE) {
        return err;
    }
    if (tables > 0 && id != DB_APPLICATION_ID) {
        return why_set(why, ERR_INVALID, "\"%s\" is another program's database",
                       db->path);
    }
    if (version > STATE_SCHEMA_VERSION) {
        return why_set(why, ERR_UNSUPPORTED,
                       "\"%s\" has schema %d, this version knows %d: use the "
                       "newer program",
                       db->path, (int)version, STATE_SCHEMA_VERSION);
    }
    return ERR_NONE;
}

/* locking_mode stays NORMAL and auto-checkpoints are off: db_run() makes them
 * between two transactions. The size limit is what a WAL is cut to that a
 * long reader has made grow. */
static enum err db_configure(struct db *db, struct why *why)
{
    enum err err;

    sqlite3_busy_timeout(db->sql, DB_BUSY_MS);
    sqlite3_extended_result_codes(db->sql, 1);
    err = db_identify(db, why);
    if (err == ERR_NONE) {
        err = db_exec(db,
                      "pragma journal_mode = wal;"
                      "pragma synchronous = normal;"
                      "pragma wal_autocheckpoint = 0;"
                      "pragma journal_size_limit = 16777216;"
                      "pragma temp_store = memory;"
                      "pragma trusted_schema = off",
                      why);
    }
    sqlite3_wal_hook(db->sql, db_wal_hook, db);
    return err;
}

static void db_free(struct db *db)
{
    for (size_t i = 0; i < ROW_KIND_COUNT; i++) {
        sqlite3_finalize(db->statements[i]);
    }
    sqlite3_finalize(db->applied);
    sqlite3_close(db->sql);
    rows_fini(&db->queue.rows);
    rows_fini(&db->writing.rows);
    mem_free(db->path);
    mem_free(db);
}

static void db_turn(struct env_task *task);
static void db_retry(struct env_timer *timer);
static void db_run(struct work *work);
static void db_ran(struct work *work);

enum err db_open(struct env *env, const struct db_options *options,
                 struct db **out, struct why *why)
{
    struct db *db = MEM_NEW(struct db);
    enum err err;
    int rc;

    db->env = env;
    db->options = *options;
    db->path = mem_dupz(options->path);
    db->options.path = db->path;
    db->wal_pages_limit = DB_WAL_PAGES_MAX;
    db->soon.run = db_turn;
    db->retry.fire = db_retry;
    db->work = (struct work){.run = db_run, .done = db_ran};
    db->work.key = (uint64_t)(uintptr_t)db;
    rc = sqlite3_open_v2(
        db->path, &db->sql,
        SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);
    err = rc == SQLITE_OK ? db_configure(db, why)
                          : db_error(db, rc, "could not open", why);
    if (err != ERR_NONE) {
        db_free(db);
        return err;
    }
    *out = db;
    return ERR_NONE;
}

void db_abandon(struct db *db)
{
    must(!db->working && db->queue.index == 0);
    db_free(db);
}

struct rows *db_rows(struct db *db)
{
    return &db->queue.rows;
}

void db_applied(struct db *db, uint64_t index, int32_t term)
{
    must(index > db->queue.index && db->closed == NULL);
    db->queue.index = index;
    db->queue.term = term;
    if (!db->working) {
        env_soon(db->env, &db->soon);
    }
}

size_t db_backlog_bytes(const struct db *db)
{
    return rows_bytes(&db->queue.rows) +
           (db->working ? rows_bytes(&db->writing.rows) : 0);
}

/* The disk thread: one row. */

static int db_bind(sqlite3_stmt *statement, const struct row *row)
{
    int rc = SQLITE_OK;

    for (int i = 0; i < row->cell_count && rc == SQLITE_OK; i++) {
        const struct row_cell *cell = &row->cells[i];

        switch (cell->type) {
        case ROW_CELL_NULL:
            rc = sqlite3_bind_null(statement, i + 1);
            break;
        case ROW_CELL_I64:
            rc = sqlite3_bind_int64(statement, i + 1, cell->i64);
            break;
        case ROW_CELL_TEXT:
            rc =
                sqlite3_bind_text64(statement, i + 1, cell->text.ptr,
                                    cell->text.len, SQLITE_STATIC, SQLITE_UTF8);
            break;
        case ROW_CELL_BLOB:
            rc = sqlite3_bind_blob64(statement, i + 1, cell->text.ptr,
                                     cell->text.len, SQLITE_STATIC);
            break;
        }
    }
    return rc;
}

/* A statement without rows to give; ready again afterwards. */
static enum err db_step(struct db *db, sqlite3_stmt *statement, int rc,
                        struct why *why)
{
    enum err err = ERR_NONE;

    if (rc == SQLITE_OK) {
        rc = sqlite3_step(statement);
    }
    if (rc != SQLITE_DONE) {
        err = db_error(db, rc, "could not write to", why);
    }
    sqlite3_reset(statement);
    return err;
}

/* Carries out a file of schema/meta/. The version stands where any program
 * can see it before it understands a table. */
static enum err db_migrate(struct db *db, int64_t version, struct why *why)
{
    char *mark = mem_printf("pragma application_id = %d;"
                            "pragma user_version = %d",
                            DB_APPLICATION_ID, (int)version);
    enum err err;

    must(version >= 1 && version <= STATE_SCHEMA_VERSION);
    err = db_exec(db, schema_migrations[version - 1], why);
    if (err == ERR_NONE) {
        err = db_exec(db, mark, why);
    }
    mem_free(mark);
    return err;
}

static enum err db_row(struct db *db, const struct row *row, struct why *why)
{
    sqlite3_stmt **statement = &db->statements[row->kind];
    enum err err = ERR_NONE;

    if (row->kind == ROW_MIGRATE) {
        err = db_migrate(db, row->cells[0].i64, why);
    }
    if (err == ERR_NONE && *statement == NULL) {
        err = db_prepare(db, db_statement(row->kind), true, statement, why);
    }
    return err != ERR_NONE
               ? err
               : db_step(db, *statement, db_bind(*statement, row), why);
}

/* The disk thread: one transaction. */

static enum err db_note_applied(struct db *db, struct why *why)
{
    enum err err = ERR_NONE;

    if (db->applied == NULL) {
        err = db_prepare(db, "insert or replace into applied values (1, ?, ?)",
                         true, &db->applied, why);
    }
    if (err != ERR_NONE) {
        return err;
    }
    sqlite3_bind_int64(db->applied, 1, (int64_t)db->writing.index);
    sqlite3_bind_int64(db->applied, 2, db->writing.term);
    return db_step(db, db->applied, SQLITE_OK, why);
}

static enum err db_write_rows(struct db *db, struct why *why)
{
    struct row row;
    size_t at = 0;
    enum err err;

    while (rows_next(&db->writing.rows, &at, &row)) {
        err = db_row(db, &row, why);
        if (err != ERR_NONE) {
            return err;
        }
    }
    return db_note_applied(db, why);
}

static enum err db_write(struct db *db, struct why *why)
{
    enum err err = db_exec(db, "begin immediate", why);

    if (err != ERR_NONE) {
        return err;
    }
    err = db_write_rows(db, why);
    if (err == ERR_NONE) {
        err = db_exec(db, "commit", why);
    }
    if (err != ERR_NONE && !sqlite3_get_autocommit(db->sql)) {
        sqlite3_exec(db->sql, "rollback", NULL, NULL, NULL);
    }
    return err;
}

/* Gives ERR_BUSY when a reader keeps pages in the WAL; other errors through
 * why. */
static enum err db_move_pages(struct db *db, struct why *why)
{
    int pages = 0;
    int moved = 0;
    int rc = sqlite3_wal_checkpoint_v2(db->sql, NULL, SQLITE_CHECKPOINT_PASSIVE,
                                       &pages, &moved);

    if (rc == SQLITE_BUSY) {
        return ERR_BUSY;
    }
    if (rc != SQLITE_OK) {
        return db_error(db, rc, "could not checkpoint", why);
    }
    return moved < pages ? ERR_BUSY : ERR_NONE;
}

/* Held back by a reader or a full disk, it is tried again when the WAL has
 * grown as much again: not at each transaction. */
static void db_tend_wal(struct db *db)
{
    enum err err;

    if (db->err != ERR_NONE ||
        (!db->want_checkpoint && db->wal_pages < db->wal_pages_limit)) {
        return;
    }
    err = db_move_pages(db, &db->why);
    db->checkpoint_err = err;
    db->wal_pages_limit = DB_WAL_PAGES_MAX;
    if (err == ERR_BUSY || err == ERR_FULL) {
        db->wal_pages_limit += db->wal_pages;
    } else {
        db->err = err;
    }
}

static void db_run(struct work *work)
{
    struct db *db = container_of(work, struct db, work);

    db->err = ERR_NONE;
    db->checkpoint_err = ERR_NONE;
    if (db->writing.index > 0) {
        db->err = db_write(db, &db->why);
    }
    db_tend_wal(db);
}

/* The loop. */

static bool db_has_work(const struct db *db)
{
    return db->queue.index > 0 || db->checkpoint != NULL;
}

/* The end of a turn that applied, asked, closed or saw a job end: the only
 * place where a job begins, and where the db ends. */
static void db_turn(struct env_task *task)
{
    struct db *db = container_of(task, struct db, soon);
    void (*closed)(void *arg) = db->closed;
    void *arg = db->closed_arg;

    if (db->working) {
        return;
    }
    if (!db->failed && db_has_work(db)) {
        struct rows empty = db->writing.rows;

        db->writing = db->queue;
        db->queue = (struct db_batch){.rows = empty};
        db->want_checkpoint = db->checkpoint != NULL;
        db->working = true;
        env_work(db->env, &db->work);
    } else if (closed != NULL) {
        env_timer_stop(db->env, &db->retry);
        db_free(db);
        closed(arg);
    }
}

static void db_retry(struct env_timer *timer)
{
    struct db *db = container_of(timer, struct db, retry);

    env_work(db->env, &db->work);
}

/* Also of one that was asked for while this job was under way. */
static void db_refuse_checkpoint(struct db *db)
{
    struct db_checkpoint *checkpoint = db->checkpoint;

    db->checkpoint = NULL;
    db->want_checkpoint = false;
    if (checkpoint != NULL) {
        checkpoint->done(checkpoint, db->err);
    }
}

/* Nothing is written any more. */
static void db_fail(struct db *db)
{
    db->failed = true;
    db_refuse_checkpoint(db);
    db->options.failed(db->options.failed_arg, &db->why);
}

/* The rows stay in memory, or, at a stop, in the quorum's log alone. */
static void db_postpone(struct db *db)
{
    db_refuse_checkpoint(db);
    if (db->closed != NULL) {
        trace(TRACE_WARN, "%s; the next start makes up for it", db->why.text);
        db->failed = true;
        db->working = false;
        env_soon(db->env, &db->soon);
        return;
    }
    if (!db->postponed) {
        trace(TRACE_WARN, "%s; trying again, nothing is lost", db->why.text);
        db->postponed = true;
    }
    env_timer_set(db->env, &db->retry, DB_RETRY_MS);
}

static void db_answer_checkpoint(struct db *db)
{
    struct db_checkpoint *checkpoint = db->checkpoint;

    if (!db->want_checkpoint) {
        return;
    }
    db->checkpoint = NULL;
    checkpoint->index = db->committed;
    checkpoint->done(checkpoint, db->checkpoint_err);
}

static void db_ran(struct work *work)
{
    struct db *db = container_of(work, struct db, work);

    if (db->err == ERR_BUSY || db->err == ERR_FULL) {
        db_postpone(db);
        return;
    }
    if (db->postponed) {
        trace(TRACE_INFO, "\"%s\" takes changes again", db->path);
        db->postponed = false;
    }
    db->working = false;
    if (db->err != ERR_NONE) {
        db_fail(db);
    } else {
        db->committed = MAX(db->committed, db->writing.index);
        rows_clear(&db->writing.rows, DB_KEEP_BYTES);
        db_answer_checkpoint(db);
    }
    env_soon(db->env, &db->soon);
}

void db_checkpoint(struct db *db, struct db_checkpoint *checkpoint)
{
    must(db->checkpoint == NULL && db->closed == NULL);
    db->checkpoint = checkpoint;
    if (!db->working) {
        env_soon(db->env, &db->soon);
    }
}

void db_close(struct db *db, void (*done)(void *arg), void *arg)
{
    must(db->closed == NULL && db->checkpoint == NULL);
    db->closed = done;
    db->closed_arg = arg;
    if (!db->working) {
        env_soon(db->env, &db->soon);
    }
}
