/* meta.db: what it says, when it says it, and what it survives. */
#include "unit/meta/state_text.h"

#include "lib/simenv.h"
#include "meta/db_private.h"
#include "meta/meta.h"
#include "run/loop.h"
#include <sqlite3.h>
#include <time.h>
#include <unistd.h>

/* One node's metadata on virtual time; the file is a real one. */
struct node {
    char folder[FIXTURE_PATH_BYTES];
    char path[FIXTURE_PATH_BYTES + 16];
    struct simclock clock;
    struct simenv *sim;
    struct meta *meta;
    struct arena arena;
    bool closed;
    bool failed;
    struct why why;
    struct db_checkpoint checkpoint;
    bool checkpointed;
    enum err checkpoint_err;
    const char *line; /* for node_apply() */
};

static void node_failed(void *arg, const struct why *why)
{
    struct node *n = arg;

    n->failed = true;
    n->why = *why;
}

static enum err node_try_open(struct node *n)
{
    struct topic_settings defaults;
    struct meta_options options = {.path = n->path,
                                   .defaults = &defaults,
                                   .failed = node_failed,
                                   .arg = n};

    topic_settings_init(&defaults);
    return meta_open(simenv_env(n->sim), &options, &n->meta, &n->why);
}

static void node_open(struct node *n)
{
    assert_int_equal(node_try_open(n), ERR_NONE);
}

static void node_init(struct node *n, uint64_t seed)
{
    *n = (struct node){0};
    fixture_folder(n->folder);
    snprintf(n->path, sizeof(n->path), "%s/meta.db", n->folder);
    simclock_init(&n->clock, seed);
    n->sim = simenv_open(&n->clock, disk_real());
}

static void node_closed(void *arg)
{
    struct node *n = arg;

    n->closed = true;
}

static void node_call_close(void *arg)
{
    struct node *n = arg;

    meta_close(n->meta, node_closed, n);
}

static void node_close(struct node *n)
{
    n->closed = false;
    simenv_run(n->sim, node_call_close, n);
    assert_true(simclock_run_until_set(&n->clock, &n->closed, 60000));
    n->meta = NULL;
}

static void node_fini(struct node *n)
{
    if (n->meta != NULL) {
        node_close(n);
    }
    simenv_close(n->sim);
    simclock_fini(&n->clock);
    fixture_remove(n->folder);
    arena_reset(&n->arena);
}

static void node_apply(void *arg)
{
    struct node *n = arg;
    uint64_t index = meta_applied(n->meta) + 1;

    meta_apply(n->meta, index, 3,
               script_encode(n->line, (int64_t)index * 1000, &n->arena));
}

static void node_say(struct node *n, const char *line)
{
    n->line = line;
    simenv_run(n->sim, node_apply, n);
}

static void node_rest(struct node *n)
{
    assert_true(simclock_run_until_idle(&n->clock, 60000));
}

static const char *const node_first[] = {
    "migrate 1",
    "cluster AAAAAAAAAAAAAAAAAAAAAA",
    "slots 1 1",
    "broker 1 - 127.0.0.1:9092 localhost:9093",
};

static void node_begin(struct node *n)
{
    for (size_t i = 0; i < ARRAY_COUNT(node_first); i++) {
        node_say(n, node_first[i]);
    }
}

static void node_checkpoint_done(struct db_checkpoint *checkpoint, enum err err)
{
    struct node *n = container_of(checkpoint, struct node, checkpoint);

    n->checkpointed = true;
    n->checkpoint_err = err;
}

static void node_call_checkpoint(void *arg)
{
    struct node *n = arg;

    meta_checkpoint(n->meta, &n->checkpoint);
}

static enum err node_checkpoint(struct node *n)
{
    n->checkpointed = false;
    n->checkpoint.done = node_checkpoint_done;
    simenv_run(n->sim, node_call_checkpoint, n);
    assert_true(simclock_run_until_set(&n->clock, &n->checkpointed, 60000));
    return n->checkpoint_err;
}

/* Somebody with the sqlite3 tool. */
static sqlite3 *reader_open(const char *path)
{
    sqlite3 *sql;

    assert_int_equal(sqlite3_open(path, &sql), SQLITE_OK);
    return sql;
}

static void reader_exec(sqlite3 *sql, const char *text)
{
    assert_int_equal(sqlite3_exec(sql, text, NULL, NULL, NULL), SQLITE_OK);
}

/* Rows as "a|b|c\n". */
static struct str reader_ask(sqlite3 *sql, const char *query,
                             struct arena *arena)
{
    struct str text = STR_LIT("");
    sqlite3_stmt *s;

    assert_int_equal(sqlite3_prepare_v2(sql, query, -1, &s, NULL), SQLITE_OK);
    while (sqlite3_step(s) == SQLITE_ROW) {
        for (int i = 0; i < sqlite3_column_count(s); i++) {
            const char *cell = (const char *)sqlite3_column_text(s, i);

            text = arena_printf(arena, "%.*s%s%s", STR_ARG(text),
                                i == 0 ? "" : "|", cell ? cell : "");
        }
        text = arena_printf(arena, "%.*s\n", STR_ARG(text));
    }
    sqlite3_finalize(s);
    return text;
}

static void node_expect(struct node *n, const char *query, const char *rows)
{
    sqlite3 *sql = reader_open(n->path);

    assert_string_equal(reader_ask(sql, query, &n->arena).ptr, rows);
    sqlite3_close(sql);
}

static void everybody_can_ask_while_it_runs(void **unused)
{
    struct node n;

    node_init(&n, 1);
    node_open(&n);
    node_say(&n, "migrate 1");
    node_say(&n, "cluster AAAAAAAAAAAAAAAAAAAAAA");
    node_say(&n, "broker 1 r1 127.0.0.1:9092 localhost:9093");
    node_say(&n, "slot 5 1 1");
    node_say(&n, "topic orders A 2 retention.ms=5000");
    node_say(&n, "commit g -1 A:0:42:note A:1:43");
    node_say(&n, "group g -1 3 m1:sub:asg m2");
    node_say(&n, "ids 1 1000");
    node_rest(&n);
    node_expect(&n, "select * from offsets",
                "g|orders|0|42|-1|note|6000|\ng|orders|1|43|-1||6000|\n");
    node_expect(&n, "select * from topics",
                "orders|QUFBQUFBQUFBQUFBQUFBQQ|2|5000|test\n");
    node_expect(&n, "select * from topic_configs",
                "orders|retention.ms|5000\n");
    node_expect(&n, "select * from partitions",
                "orders|0|1|0|0|[1]|[1]\norders|1|1|0|0|[1]|[1]\n");
    node_expect(&n, "select * from brokers",
                "1|r1|SUlJSUlJSUlJSUlJSUlJSQ|3|3000\n");
    node_expect(&n, "select * from broker_listeners",
                "1|0|PLAINTEXT|127.0.0.1|9092\n1|1|PLAINTEXT|localhost|9093\n");
    node_expect(&n, "select * from groups", "g|3|consumer|range|m1|7000\n");
    node_expect(&n, "select * from group_members",
                "g|m1||client|/127.0.0.1|6000|60000|sub|asg|0\n"
                "g|m2||client|/127.0.0.1|6000|60000|||1\n");
    node_expect(&n, "select * from producer_ids", "1|0|1000|8000\n");
    node_expect(&n, "select * from coordinators", "5|1|1\n");
    node_expect(&n, "select * from config_history",
                "1|5000|5|orders|retention.ms||5000|test\n");
    node_expect(&n, "select * from cluster", "1|AAAAAAAAAAAAAAAAAAAAAA|2000\n");
    node_expect(&n, "select * from migrations", "1|1000\n");
    node_expect(&n, "select * from applied", "1|8|3\n");
    node_expect(&n, "select * from readable_offsets limit 1",
                "g|orders|0|42|-1|note|1970-01-01T00:00:06.000Z|\n");
    node_expect(&n, "select * from readable_topics",
                "orders|QUFBQUFBQUFBQUFBQUFBQQ|2|1970-01-01T00:00:05.000Z|"
                "test\n");
    node_expect(&n, "select group_id, members from readable_groups", "g|2\n");
    node_expect(&n, "select at from readable_config_history",
                "1970-01-01T00:00:05.000Z\n");
    node_expect(&n, "pragma user_version", "1\n");
    node_fini(&n);
}

static void a_file_that_was_closed_opens_where_it_was(void **unused)
{
    struct node n;
    struct str before;

    node_init(&n, 2);
    node_open(&n);
    assert_int_equal(meta_applied(n.meta), 0);
    node_begin(&n);
    node_say(&n, "topic t A 2 retention.ms=5000");
    node_say(&n, "commit g -1 A:0:42:note");
    node_say(&n, "group g -1 3 m1:sub:asg m2");
    before = state_text(meta_state(n.meta), &n.arena);
    node_close(&n);
    node_open(&n);
    assert_int_equal(meta_applied(n.meta), 7);
    assert_int_equal(meta_state(n.meta)->term, 3);
    assert_string_equal(state_text(meta_state(n.meta), &n.arena).ptr,
                        before.ptr);
    assert_int_equal(image_find_topic(meta_image(n.meta), STR_LIT("t"))
                         ->settings.retention_ms,
                     5000);
    node_fini(&n);
}

/* All that a turn applies goes into one transaction, behind its back. */
static void node_apply_three(void *arg)
{
    struct node *n = arg;

    n->line = "topic t A 1";
    node_apply(n);
    n->line = "commit g -1 A:0:1";
    node_apply(n);
    n->line = "commit g -1 A:0:2";
    node_apply(n);
}

static void the_commands_of_a_turn_are_one_transaction(void **unused)
{
    struct node n;
    sqlite3 *sql;
    int64_t before;

    node_init(&n, 3);
    node_open(&n);
    node_begin(&n);
    node_rest(&n);
    sql = reader_open(n.path);
    assert_string_equal(
        reader_ask(sql, "select log_index from applied", &n.arena).ptr, "4\n");
    before = n.clock.now_us;
    simenv_run(n.sim, node_apply_three, &n);
    do {
        struct str seen =
            reader_ask(sql, "select log_index from applied", &n.arena);

        assert_true(str_eq(seen, STR_LIT("4\n")) ||
                    str_eq(seen, STR_LIT("7\n")));
    } while (simclock_step(&n.clock));
    assert_string_equal(
        reader_ask(sql, "select \"offset\" from offsets", &n.arena).ptr, "2\n");
    assert_true(n.clock.now_us - before <= 11000);
    sqlite3_close(sql);
    node_fini(&n);
}

/* A long reader sees its moment, delays nobody, and only holds back the
 * checkpoint, which says so. */
static void a_reader_that_stays_holds_back_only_the_checkpoint(void **unused)
{
    struct node n;
    sqlite3 *sql;

    node_init(&n, 4);
    node_open(&n);
    node_begin(&n);
    node_say(&n, "topic t A 1");
    node_rest(&n);
    assert_int_equal(node_checkpoint(&n), ERR_NONE);
    assert_int_equal(n.checkpoint.index, 5);
    sql = reader_open(n.path);
    reader_exec(sql, "begin");
    reader_ask(sql, "select * from offsets", &n.arena);
    for (int i = 0; i < 50; i++) {
        node_say(&n, "commit g -1 A:0:1");
        node_rest(&n);
    }
    assert_int_equal(node_checkpoint(&n), ERR_BUSY);
    assert_string_equal(
        reader_ask(sql, "select count(*) from offsets", &n.arena).ptr, "0\n");
    node_expect(&n, "select count(*) from offsets", "1\n");
    reader_exec(sql, "commit");
    assert_int_equal(node_checkpoint(&n), ERR_NONE);
    assert_int_equal(n.checkpoint.index, 55);
    sqlite3_close(sql);
    node_fini(&n);
}

static void a_writer_from_outside_only_delays(void **unused)
{
    struct node n;
    sqlite3 *sql;

    node_init(&n, 5);
    node_open(&n);
    node_begin(&n);
    node_rest(&n);
    sql = reader_open(n.path);
    reader_exec(sql, "begin immediate");
    node_say(&n, "topic t A 1");
    simclock_run_for_ms(&n.clock, 100);
    assert_false(n.failed);
    node_expect(&n, "select count(*) from topics", "0\n");
    assert_int_equal(node_checkpoint(&n), ERR_BUSY); /* says so, waits not */
    assert_false(n.failed);
    reader_exec(sql, "commit");
    node_rest(&n);
    node_expect(&n, "select count(*) from topics", "1\n");
    assert_int_equal(node_checkpoint(&n), ERR_NONE);
    assert_int_equal(n.checkpoint.index, 5);
    /* At a stop it is not waited for: the quorum's log has the command. */
    reader_exec(sql, "begin immediate");
    node_say(&n, "topic u B 1");
    node_close(&n);
    sqlite3_close(sql);
    node_open(&n);
    assert_int_equal(meta_applied(n.meta), 5);
    node_fini(&n);
}

static void a_table_that_fails_ends_the_node(void **unused)
{
    struct node n;
    sqlite3 *sql;

    node_init(&n, 6);
    node_open(&n);
    node_begin(&n);
    node_rest(&n);
    sql = reader_open(n.path);
    reader_exec(sql, "drop table topics");
    node_say(&n, "topic t A 1");
    n.checkpoint.done = node_checkpoint_done;
    simenv_run(n.sim, node_call_checkpoint, &n);
    node_rest(&n);
    assert_true(n.failed);
    assert_true(n.checkpointed);
    assert_int_not_equal(n.checkpoint_err, ERR_NONE);
    assert_non_null(strstr(n.why.text, "no such table: topics"));
    sqlite3_close(sql);
    node_fini(&n);
}

static void a_command_from_the_future_ends_the_node(void **unused)
{
    struct node n;

    node_init(&n, 7);
    node_open(&n);
    node_say(&n, "migrate 2");
    assert_true(n.failed);
    assert_string_equal(n.why.text,
                        "cannot apply the command at index 1: this version "
                        "knows schema 1, the cluster moves to 2");
    node_fini(&n);
}

static void write_file(const char *path, const char *bytes, size_t count)
{
    FILE *f = fopen(path, "wb");

    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, count, f), count);
    fclose(f);
}

static void files_that_are_not_ours_are_refused(void **unused)
{
    struct node n;
    sqlite3 *sql;
    char garbage[8192];

    node_init(&n, 8);
    memset(garbage, 'x', sizeof(garbage));
    write_file(n.path, garbage, sizeof(garbage));
    assert_int_equal(node_try_open(&n), ERR_DAMAGED);
    unlink(n.path);

    sql = reader_open(n.path);
    reader_exec(sql, "create table recipes(name)");
    assert_int_equal(node_try_open(&n), ERR_INVALID);
    assert_non_null(strstr(n.why.text, "is another program's database"));
    reader_exec(sql, "pragma application_id = 0x5469646d; "
                     "pragma user_version = 2");
    assert_int_equal(node_try_open(&n), ERR_UNSUPPORTED);
    assert_non_null(strstr(n.why.text, "has schema 2, this version knows 1"));
    reader_exec(sql, "begin exclusive");
    assert_int_equal(node_try_open(&n), ERR_BUSY);
    sqlite3_close(sql);

    snprintf(n.path, sizeof(n.path), "%s/no/meta.db", n.folder);
    assert_int_equal(node_try_open(&n), ERR_DENIED);
    node_fini(&n);
}

/* Rows that we never write: each is found, and the file refused. */
static void rows_that_cannot_be_are_damage(void **unused)
{
    static const char *const damages[] = {
        "update topics set topic_id = 'x'",
        "update topics set partitions = 0",
        "update topics set partitions = 3",
        "update topics set partitions = 1",
        "update topics set name = 'a/b'",
        "update partitions set partition = 7 where partition = 1",
        "update partitions set replicas = '[1,]'",
        "update partitions set replicas = '[]x'",
        "update partitions set isr = '1'",
        "update partitions set isr = '[99999999999]'",
        "delete from topics",
        "update brokers set incarnation = 'x'",
        "update cluster set cluster_id = 'x'",
        "update coordinators set slot = 64 where slot = 1",
        "insert into topics values ('t_t', 'QkJCQkJCQkJCQkJCQkJCQg', 1, 1, "
        "'s');"
        "insert into topics values ('t.t', 'Q0NDQ0NDQ0NDQ0NDQ0NDQw', 1, 1, "
        "'s');"
        "insert into partitions values ('t.t', 0, 1, 1, 1, '[1]', '[1]');"
        "insert into partitions values ('t_t', 0, 1, 1, 1, '[1]', '[1]');",
    };

    for (size_t i = 0; i < ARRAY_COUNT(damages); i++) {
        struct node n;
        sqlite3 *sql;

        node_init(&n, 9);
        node_open(&n);
        node_begin(&n);
        node_say(&n, "topic t A 2");
        node_say(&n, "commit g -1 A:0:1");
        node_close(&n);
        sql = reader_open(n.path);
        reader_exec(sql, damages[i]);
        sqlite3_close(sql);
        assert_int_equal(node_try_open(&n), ERR_DAMAGED);
        node_fini(&n);
    }
}

/* What a kill leaves: the file and its WAL; a power failure may take what was
 * not synced, which is the WAL. */
static void copy_file(const char *from, const char *to)
{
    FILE *in = fopen(from, "rb");
    FILE *out;
    char bytes[65536];
    size_t count;

    unlink(to);
    if (in == NULL) {
        return;
    }
    out = fopen(to, "wb");
    assert_non_null(out);
    while ((count = fread(bytes, 1, sizeof(bytes), in)) > 0) {
        assert_int_equal(fwrite(bytes, 1, count, out), count);
    }
    fclose(in);
    fclose(out);
}

static void node_copy(const struct node *from, struct node *to, bool lost_wal)
{
    char in[FIXTURE_PATH_BYTES + 32];
    char out[FIXTURE_PATH_BYTES + 32];

    copy_file(from->path, to->path);
    if (lost_wal) {
        return;
    }
    snprintf(in, sizeof(in), "%s-wal", from->path);
    snprintf(out, sizeof(out), "%s-wal", to->path);
    copy_file(in, out);
}

/* At any moment, the files are some prefix of the commands; the rest, applied
 * again from there, makes the same state. The prefix never ends before the
 * last checkpoint. */
static void killed_at_any_moment_it_makes_up_for_the_rest(void **unused)
{
    enum { LINES = 400 };
    static const char *lines[LINES];
    uint64_t seed = 11;

    for (int round = 0; round < 12; round++) {
        struct node n;
        struct node copy;
        struct str all;
        uint64_t safe = 0;
        int count = 4;
        int stop = (int)(fixture_random(&seed) % LINES);

        node_init(&n, seed);
        node_init(&copy, seed);
        node_open(&n);
        node_begin(&n);
        while (count < LINES) {
            lines[count] = script_random(&seed, &n.arena).ptr;
            node_say(&n, lines[count++]);
            for (uint64_t i = fixture_random(&seed) % 5; i > 0; i--) {
                (void)simclock_step(&n.clock);
            }
            if (count == stop) {
                node_copy(&n, &copy, round % 3 == 2);
            }
            if (count < stop && fixture_random(&seed) % 50 == 0 &&
                node_checkpoint(&n) == ERR_NONE) {
                safe = n.checkpoint.index;
            }
        }
        all = state_text(meta_state(n.meta), &n.arena);
        node_open(&copy);
        assert_true(meta_applied(copy.meta) >= safe);
        assert_true(meta_applied(copy.meta) <= (uint64_t)MAX(stop, 4));
        for (uint64_t i = meta_applied(copy.meta); i < LINES; i++) {
            node_say(&copy, i < 4 ? node_first[i] : lines[i]);
        }
        assert_string_equal(state_text(meta_state(copy.meta), &n.arena).ptr,
                            all.ptr);
        node_close(&copy);
        node_open(&copy);
        assert_string_equal(state_text(meta_state(copy.meta), &n.arena).ptr,
                            all.ptr);
        node_fini(&copy);
        node_fini(&n);
    }
}

/* A WAL that nobody asks to be moved is moved anyhow. */
static void the_wal_does_not_grow_without_end(void **unused)
{
    struct node n;
    char wal[FIXTURE_PATH_BYTES + 32];
    FILE *f;
    long bytes;

    node_init(&n, 12);
    node_open(&n);
    node_begin(&n);
    node_say(&n, "topic t A 1");
    for (int i = 0; i < 4000; i++) {
        node_say(&n, "commit g -1 A:0:1:text");
        node_rest(&n);
        arena_reset(&n.arena);
    }
    snprintf(wal, sizeof(wal), "%s-wal", n.path);
    f = fopen(wal, "rb");
    assert_non_null(f);
    fseek(f, 0, SEEK_END);
    bytes = ftell(f);
    fclose(f);
    assert_in_range(bytes, 1, 6 * 1024 * 1024);
    node_fini(&n);
}

static double milliseconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

/* How fast is printed; nothing depends on it. */
static void a_hundred_thousand_offsets_are_written_and_read_back(void **unused)
{
    struct node n;
    char line[256];
    double start;
    double written;
    double closed;

    node_init(&n, 14);
    node_open(&n);
    node_begin(&n);
    node_say(&n, "topic t A 10");
    start = milliseconds();
    for (int i = 0; i < 10000; i++) {
        snprintf(line, sizeof(line),
                 "commit group-%d -1 A:0:%d A:1:1 A:2:1 A:3:1 A:4:1 A:5:1 "
                 "A:6:1 A:7:1 A:8:1 A:9:1",
                 i, i);
        node_say(&n, line);
        arena_reset(&n.arena);
        (void)simclock_step(&n.clock);
    }
    node_rest(&n);
    written = milliseconds();
    assert_int_equal(meta_state(n.meta)->offsets.count, 100000);
    node_close(&n);
    closed = milliseconds();
    node_open(&n);
    print_message("100,000 offsets written in %.0f ms, read in %.0f ms\n",
                  written - start, milliseconds() - closed);
    assert_int_equal(meta_state(n.meta)->offsets.count, 100000);
    assert_int_equal(state_find_offset(meta_state(n.meta),
                                       STR_LIT("group-9999"), STR_LIT("t"), 0)
                         ->offset,
                     9999);
    node_fini(&n);
}

/* On real threads: commits of many turns, a reader on its own thread's
 * connection in between, a checkpoint, a stop. For the thread sanitizer. */
struct live {
    char path[FIXTURE_PATH_BYTES + 16];
    struct loops *loops;
    struct meta *meta;
    struct mail mail;
    struct db_checkpoint checkpoint;
    int said;
    bool failed;
};

static void live_failed(void *arg, const struct why *why)
{
    struct live *l = arg;

    l->failed = true;
}

static void live_closed(void *arg)
{
    struct live *l = arg;

    loops_stop(l->loops);
}

static void live_checkpointed(struct db_checkpoint *checkpoint, enum err err)
{
    struct live *l = container_of(checkpoint, struct live, checkpoint);

    assert_int_equal(err, ERR_NONE);
    assert_int_equal(checkpoint->index, l->said);
    meta_close(l->meta, live_closed, l);
}

static void live_say(struct live *l, const char *line)
{
    struct arena arena = {0};

    l->said++;
    meta_apply(l->meta, (uint64_t)l->said, 1,
               script_encode(line, l->said, &arena));
    assert_int_equal(meta_result(l->meta, (uint64_t)l->said)->err, ERR_NONE);
    arena_reset(&arena);
}

static void live_turn(struct mail *mail)
{
    struct live *l = container_of(mail, struct live, mail);

    for (int i = 0; i < 20; i++) {
        live_say(l, "commit g -1 A:0:1:text A:1:2");
    }
    if (l->said < 2000) {
        mail_send(loops_at(l->loops, 0), &l->mail);
    } else {
        l->checkpoint.done = live_checkpointed;
        meta_checkpoint(l->meta, &l->checkpoint);
    }
}

static void live_start(void *arg)
{
    struct live *l = arg;
    struct topic_settings defaults;
    struct meta_options options = {.path = l->path,
                                   .defaults = &defaults,
                                   .failed = live_failed,
                                   .arg = l};

    topic_settings_init(&defaults);
    assert_int_equal(
        meta_open(loop_env(loops_at(l->loops, 0)), &options, &l->meta, NULL),
        ERR_NONE);
    live_say(l, "migrate 1");
    live_say(l, "topic t A 2");
    l->mail.deliver = live_turn;
    mail_send(loops_at(l->loops, 0), &l->mail);
}

static void it_works_on_real_threads_too(void **unused)
{
    char folder[FIXTURE_PATH_BYTES];
    struct live l = {0};
    struct arena arena = {0};
    sqlite3 *sql;

    fixture_folder(folder);
    snprintf(l.path, sizeof(l.path), "%s/meta.db", folder);
    assert_int_equal(loops_open(2, 2, &l.loops, NULL), ERR_NONE);
    loops_run(l.loops, live_start, &l);
    loops_close(l.loops);
    assert_false(l.failed);
    sql = reader_open(l.path);
    assert_string_equal(
        reader_ask(sql,
                   "select count(*) from offsets, applied where log_index "
                   ">= 2000",
                   &arena)
            .ptr,
        "2\n");
    sqlite3_close(sql);
    arena_reset(&arena);
    fixture_remove(folder);
}

static char *read_text(const char *path, struct arena *arena)
{
    FILE *f = fopen(path, "rb");
    char *text = arena_alloc(arena, 1 << 18);

    assert_non_null(f);
    text[fread(text, 1, (1 << 18) - 1, f)] = '\0';
    fclose(f);
    return text;
}

/* schema/README.md: "## `table`", then a line "| `column` | ..." for each, in
 * the order of the table. */
static void every_column_is_documented(void **unused)
{
    struct node n;
    sqlite3 *sql;
    sqlite3_stmt *s;
    char *readme;

    node_init(&n, 13);
    node_open(&n);
    node_begin(&n);
    node_rest(&n);
    readme = read_text("schema/README.md", &n.arena);
    sql = reader_open(n.path);
    assert_int_equal(
        sqlite3_prepare_v2(sql,
                           "select m.name, c.name from sqlite_schema m, "
                           "pragma_table_info(m.name) c "
                           "where m.type in ('table', 'view') "
                           "order by m.name, c.cid",
                           -1, &s, NULL),
        SQLITE_OK);
    while (sqlite3_step(s) == SQLITE_ROW) {
        const char *table = (const char *)sqlite3_column_text(s, 0);
        const char *column = (const char *)sqlite3_column_text(s, 1);
        char *heading =
            strstr(readme, arena_printf(&n.arena, "\n### `%s`", table).ptr);
        char *line;
        char *next;

        if (heading == NULL) {
            fail_msg("schema/README.md says nothing of table %s", table);
        }
        next = strstr(heading + 1, "\n#");
        line =
            strstr(heading, arena_printf(&n.arena, "\n| `%s` | ", column).ptr);
        if (line == NULL || (next != NULL && line > next)) {
            fail_msg("schema/README.md says nothing of %s.%s", table, column);
        }
    }
    sqlite3_finalize(s);
    sqlite3_close(sql);
    node_fini(&n);
}

static void every_kind_of_row_has_a_statement_for_its_cells(void **state)
{
    for (int kind = 0; kind < ROW_KIND_COUNT; kind++) {
        int parameters = 0;

        for (const char *at = db_statement(kind); *at != '\0'; at++) {
            parameters += *at == '?' ? 1 : 0;
        }
        assert_int_equal(parameters, row_kind_cells(kind));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everybody_can_ask_while_it_runs),
        cmocka_unit_test(a_file_that_was_closed_opens_where_it_was),
        cmocka_unit_test(the_commands_of_a_turn_are_one_transaction),
        cmocka_unit_test(a_reader_that_stays_holds_back_only_the_checkpoint),
        cmocka_unit_test(a_writer_from_outside_only_delays),
        cmocka_unit_test(a_table_that_fails_ends_the_node),
        cmocka_unit_test(a_command_from_the_future_ends_the_node),
        cmocka_unit_test(files_that_are_not_ours_are_refused),
        cmocka_unit_test(rows_that_cannot_be_are_damage),
        cmocka_unit_test(killed_at_any_moment_it_makes_up_for_the_rest),
        cmocka_unit_test(the_wal_does_not_grow_without_end),
        cmocka_unit_test(a_hundred_thousand_offsets_are_written_and_read_back),
        cmocka_unit_test(it_works_on_real_threads_too),
        cmocka_unit_test(every_column_is_documented),
        cmocka_unit_test(every_kind_of_row_has_a_statement_for_its_cells),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
