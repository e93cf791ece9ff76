/* db_load.c - the tables: how each is written, and read back at start.
 *
 * db_tables[] is the list of them, in the order in which they are read: one
 * function for each, called for every row, all in one transaction.
 * What cannot have been written by us (a topic without partitions, an offset
 * of no topic) is damage: the file is refused rather than half believed. */
#include "meta/db_private.h"

#include "base/mem.h"
#include "base/must.h"

struct db_loader {
    struct db *db;
    struct state *state;
    struct arena arena; /* of the row or the topic that is being read */
    sqlite3_stmt *children;
    sqlite3_stmt *more_children;
    struct why *why;
};

static struct str db_text(sqlite3_stmt *row, int column)
{
    const char *text = (const char *)sqlite3_column_text(row, column);

    return text == NULL
               ? STR_NULL
               : str_sub(text, (size_t)sqlite3_column_bytes(row, column));
}

/* Never null: an empty blob has no bytes in SQLite. */
static struct str db_blob(sqlite3_stmt *row, int column)
{
    const void *bytes = sqlite3_column_blob(row, column);

    return bytes == NULL
               ? STR_LIT("")
               : str_sub(bytes, (size_t)sqlite3_column_bytes(row, column));
}

static int32_t db_i32(sqlite3_stmt *row, int column)
{
    return sqlite3_column_int(row, column);
}

static enum err db_damaged(struct db_loader *loader, const char *table,
                           struct str key)
{
    return why_set(loader->why, ERR_DAMAGED,
                   "\"%s\" is damaged: table %s has a row \"%.*s\" that "
                   "cannot be",
                   loader->db->path, table, STR_ARG(key));
}

/* "[1,2]" as rows_numbers() writes it; false when it is anything else. */
static bool db_numbers(struct arena *arena, struct str text,
                       const int32_t **numbers, int32_t *count)
{
    int32_t *out = arena_array(arena, text.len / 2 + 1, sizeof(*out));
    size_t start = 1;

    *numbers = out;
    *count = 0;
    if (str_eq(text, STR_LIT("[]"))) {
        return true;
    }
    for (size_t i = 1; i < text.len; i++) {
        bool last = i + 1 == text.len;
        int64_t value;

        if (text.ptr[i] != ',' && !(last && text.ptr[i] == ']')) {
            continue;
        }
        if (!str_to_i64(str_sub(text.ptr + start, i - start), &value) ||
            value < INT32_MIN || value > INT32_MAX) {
            return false;
        }
        out[(*count)++] = (int32_t)value;
        start = i + 1;
    }
    return *count > 0 && start == text.len && text.ptr[0] == '[';
}

/* Calls each for every row of a statement. */
static enum err db_rows_of(struct db_loader *loader, sqlite3_stmt *statement,
                           enum err (*each)(struct db_loader *loader,
                                            sqlite3_stmt *row))
{
    enum err err = ERR_NONE;
    int rc = SQLITE_DONE;

    while (err == ERR_NONE && (rc = sqlite3_step(statement)) == SQLITE_ROW) {
        err = each(loader, statement);
    }
    if (err == ERR_NONE && rc != SQLITE_DONE) {
        err = db_error(loader->db, rc, "could not read", loader->why);
    }
    return err;
}

static enum err db_each(struct db_loader *loader, const char *sql,
                        enum err (*each)(struct db_loader *loader,
                                         sqlite3_stmt *row))
{
    sqlite3_stmt *statement = NULL;
    enum err err = db_prepare(loader->db, sql, false, &statement, loader->why);

    if (err == ERR_NONE) {
        err = db_rows_of(loader, statement, each);
    }
    sqlite3_finalize(statement);
    return err;
}

static enum err db_load_applied(struct db_loader *loader, sqlite3_stmt *row)
{
    loader->state->index = (uint64_t)sqlite3_column_int64(row, 0);
    loader->state->term = db_i32(row, 1);
    return ERR_NONE;
}

static enum err db_load_cluster(struct db_loader *loader, sqlite3_stmt *row)
{
    struct str id = db_text(row, 0);

    if (id.len != CLUSTER_ID_BYTES ||
        !str_copy(id, loader->state->cluster_id,
                  sizeof(loader->state->cluster_id))) {
        return db_damaged(loader, "cluster", id);
    }
    loader->state->cluster_created_at_ms = sqlite3_column_int64(row, 1);
    return ERR_NONE;
}

/* Gathers the listeners of one broker in the loader's arena. */
struct db_listeners {
    struct broker_listener *items;
    int32_t count;
};

static enum err db_load_listeners(struct db_loader *loader, int32_t broker_id,
                                  struct db_listeners *out)
{
    sqlite3_stmt *statement = loader->children;
    int32_t capacity = 0;
    int rc;

    sqlite3_reset(statement);
    sqlite3_bind_int(statement, 1, broker_id);
    while ((rc = sqlite3_step(statement)) == SQLITE_ROW) {
        if (out->count == capacity) {
            struct broker_listener *larger;

            capacity = MAX(4, capacity * 2);
            larger =
                arena_array(&loader->arena, (size_t)capacity, sizeof(*larger));
            if (out->count > 0) {
                memcpy(larger, out->items,
                       (size_t)out->count * sizeof(*larger));
            }
            out->items = larger;
        }
        out->items[out->count++] = (struct broker_listener){
            .name = arena_str(&loader->arena, db_text(statement, 0)),
            .host = arena_str(&loader->arena, db_text(statement, 1)),
            .port = db_i32(statement, 2),
        };
    }
    return rc == SQLITE_DONE
               ? ERR_NONE
               : db_error(loader->db, rc, "could not read", loader->why);
}

static enum err db_load_broker(struct db_loader *loader, sqlite3_stmt *row)
{
    struct db_listeners listeners = {0};
    struct brokers *before = loader->state->brokers;
    struct broker broker = {
        .id = db_i32(row, 0),
        .rack = db_text(row, 1),
        .epoch = sqlite3_column_int64(row, 3),
        .registered_at_ms = sqlite3_column_int64(row, 4),
    };
    enum err err;

    if (!uuid_parse(db_text(row, 2), &broker.incarnation)) {
        return db_damaged(loader, "brokers", db_text(row, 0));
    }
    err = db_load_listeners(loader, broker.id, &listeners);
    if (err == ERR_NONE) {
        broker.listeners = listeners.items;
        broker.listeners_count = listeners.count;
        loader->state->brokers = brokers_with(before, &broker);
        brokers_unref(before);
    }
    arena_reset(&loader->arena);
    return err;
}

/* topics, with their partitions and configs. */

static enum err db_load_partitions(struct db_loader *loader, struct str name,
                                   int32_t count,
                                   struct topic_partition *partitions)
{
    sqlite3_stmt *statement = loader->children;
    int32_t at = 0;
    int rc;

    sqlite3_reset(statement);
    sqlite3_bind_text64(statement, 1, name.ptr, name.len, SQLITE_STATIC,
                        SQLITE_UTF8);
    while ((rc = sqlite3_step(statement)) == SQLITE_ROW) {
        struct topic_partition *p;

        if (at == count || db_i32(statement, 0) != at) {
            return db_damaged(loader, "partitions", name);
        }
        p = &partitions[at++];
        p->leader = db_i32(statement, 1);
        p->leader_epoch = db_i32(statement, 2);
        p->partition_epoch = db_i32(statement, 3);
        if (!db_numbers(&loader->arena, db_text(statement, 4), &p->replicas,
                        &p->replicas_count) ||
            !db_numbers(&loader->arena, db_text(statement, 5), &p->isr,
                        &p->isr_count)) {
            return db_damaged(loader, "partitions", name);
        }
    }
    if (rc != SQLITE_DONE) {
        return db_error(loader->db, rc, "could not read", loader->why);
    }
    return at == count ? ERR_NONE : db_damaged(loader, "partitions", name);
}

static enum err db_load_configs(struct db_loader *loader,
                                struct topic_parts *parts)
{
    sqlite3_stmt *statement = loader->more_children;
    struct topic_override *items;
    int rc;

    items = arena_array(&loader->arena, TOPIC_OVERRIDES_MAX, sizeof(*items));
    sqlite3_reset(statement);
    sqlite3_bind_text64(statement, 1, parts->name.ptr, parts->name.len,
                        SQLITE_STATIC, SQLITE_UTF8);
    while ((rc = sqlite3_step(statement)) == SQLITE_ROW) {
        if (parts->overrides_count == TOPIC_OVERRIDES_MAX) {
            return db_damaged(loader, "topic_configs", parts->name);
        }
        items[parts->overrides_count++] = (struct topic_override){
            .name = arena_str(&loader->arena, db_text(statement, 0)),
            .value = arena_str(&loader->arena, db_text(statement, 1)),
        };
    }
    parts->overrides = items;
    return rc == SQLITE_DONE
               ? ERR_NONE
               : db_error(loader->db, rc, "could not read", loader->why);
}

static enum err db_load_topic(struct db_loader *loader, sqlite3_stmt *row)
{
    struct topic_partition *partitions;
    struct topic_parts parts = {
        .name = db_text(row, 0),
        .partitions_count = db_i32(row, 2),
        .created_at_ms = sqlite3_column_int64(row, 3),
        .source = db_text(row, 4),
        .defaults = &loader->state->topics.defaults,
    };
    enum err err;

    if (parts.partitions_count <= 0 || parts.partitions_count > 1000000 ||
        !uuid_parse(db_text(row, 1), &parts.id)) {
        return db_damaged(loader, "topics", parts.name);
    }
    partitions = arena_array(&loader->arena, (size_t)parts.partitions_count,
                             sizeof(*partitions));
    parts.partitions = partitions;
    err = db_load_partitions(loader, parts.name, parts.partitions_count,
                             partitions);
    if (err == ERR_NONE) {
        err = db_load_configs(loader, &parts);
    }
    if (err == ERR_NONE) {
        err = topics_load(&loader->state->topics, topic_new(&parts));
        if (err != ERR_NONE) {
            err = db_damaged(loader, "topics", parts.name);
        }
    }
    arena_reset(&loader->arena);
    return err;
}

static enum err db_load_producer_ids(struct db_loader *loader,
                                     sqlite3_stmt *row)
{
    loader->state->producer_id_next = sqlite3_column_int64(row, 0);
    return ERR_NONE;
}

static enum err db_load_coordinator(struct db_loader *loader, sqlite3_stmt *row)
{
    int32_t slot = db_i32(row, 0);

    if (slot < 0 || slot >= COORDINATOR_SLOTS) {
        return db_damaged(loader, "coordinators", db_text(row, 0));
    }
    loader->state->coordinators[slot] = (struct state_coordinator){
        .broker_id = db_i32(row, 1), .epoch = db_i32(row, 2)};
    return ERR_NONE;
}

static enum err db_load_members(struct db_loader *loader, int32_t count,
                                struct command_save_group *group)
{
    sqlite3_stmt *statement = loader->children;
    struct arena *arena = &loader->arena;
    int rc;

    group->members = arena_array(arena, (size_t)count, sizeof(*group->members));
    sqlite3_reset(statement);
    sqlite3_bind_text64(statement, 1, group->group_id.ptr, group->group_id.len,
                        SQLITE_STATIC, SQLITE_UTF8);
    while ((rc = sqlite3_step(statement)) == SQLITE_ROW &&
           group->members_count < count) {
        group->members[group->members_count++] =
            (struct command_save_group_member){
                .member_id = arena_str(arena, db_text(statement, 0)),
                .instance_id = arena_str(arena, db_text(statement, 1)),
                .client_id = arena_str(arena, db_text(statement, 2)),
                .client_host = arena_str(arena, db_text(statement, 3)),
                .session_timeout_ms = db_i32(statement, 4),
                .rebalance_timeout_ms = db_i32(statement, 5),
                .subscription = arena_str(arena, db_blob(statement, 6)),
                .assignment = arena_str(arena, db_blob(statement, 7)),
            };
    }
    return rc == SQLITE_DONE
               ? ERR_NONE
               : db_error(loader->db, rc, "could not read", loader->why);
}

static enum err db_load_group(struct db_loader *loader, sqlite3_stmt *row)
{
    struct command_save_group group = {
        .group_id = db_text(row, 0),
        .generation = db_i32(row, 1),
        .protocol_type = db_text(row, 2),
        .protocol = db_text(row, 3),
        .leader = db_text(row, 4),
        .at_ms = sqlite3_column_int64(row, 5),
    };
    enum err err = db_load_members(loader, db_i32(row, 6), &group);

    if (err == ERR_NONE) {
        groups_save(&loader->state->groups, &group, NULL);
    }
    arena_reset(&loader->arena);
    return err;
}

static enum err db_load_offset(struct db_loader *loader, sqlite3_stmt *row)
{
    const struct topic *topic =
        topics_find(&loader->state->topics, db_text(row, 1));
    struct offset_place place = {.group_id = db_text(row, 0),
                                 .partition = db_i32(row, 2)};
    struct offset value = {
        .offset = sqlite3_column_int64(row, 3),
        .leader_epoch = db_i32(row, 4),
        .committed_at_ms = sqlite3_column_int64(row, 6),
        .expire_at_ms = sqlite3_column_type(row, 7) == SQLITE_NULL
                            ? -1
                            : sqlite3_column_int64(row, 7),
    };

    if (topic == NULL) {
        return db_damaged(loader, "offsets", place.group_id);
    }
    place.topic_id = topic->id;
    offsets_put(&loader->state->offsets, &place, &value, db_text(row, 5), NULL);
    return ERR_NONE;
}

static enum err db_load_history(struct db_loader *loader, sqlite3_stmt *row)
{
    loader->state->topics.history_next = sqlite3_column_int64(row, 0);
    return ERR_NONE;
}

/* A table of schema/meta/: how its rows are written and how it is read back. */
struct db_table {
    /* Kinds of rows, each a statement; NULL: no more. */
    struct {
        const char *sql;
        enum row_kind kind;
    } writes[2];
    const char *read; /* NULL: read with another table, or never */
    /* Read for each row of it, by its first column; NULL: nothing. */
    const char *children;
    const char *more_children;
    enum err (*each)(struct db_loader *loader, sqlite3_stmt *row);
};

/* Read in this order: topics come before offsets, which ask for them. */
static const struct db_table db_tables[] = {
    /* applied: written by db.c with each transaction. */
    {.read = "select log_index, term from applied", .each = db_load_applied},

    /* migrations: for people; pragma user_version is what counts. */
    {.writes = {{"insert into migrations values (?, ?)", ROW_MIGRATE}}},

    /* cluster */
    {.writes = {{"insert or replace into cluster values (1, ?, ?)",
                 ROW_CLUSTER_PUT}},
     .read = "select cluster_id, created_at from cluster",
     .each = db_load_cluster},

    /* brokers */
    {.writes = {{"insert or replace into brokers values (?, ?, ?, ?, ?)",
                 ROW_BROKER_PUT}},
     .read = "select broker_id, rack, incarnation, epoch, registered_at "
             "from brokers",
     .children = "select name, host, port from broker_listeners "
                 "where broker_id = ? order by place",
     .each = db_load_broker},

    /* broker_listeners */
    {.writes = {{"insert or replace into broker_listeners "
                 "values (?, ?, ?, ?, ?)",
                 ROW_LISTENER_PUT},
                {"delete from broker_listeners where broker_id = ?",
                 ROW_LISTENERS_DELETE}}},

    /* topics */
    {.writes = {{"insert or replace into topics values (?, ?, ?, ?, ?)",
                 ROW_TOPIC_PUT},
                {"delete from topics where name = ?", ROW_TOPIC_DELETE}},
     .read = "select name, topic_id, partitions, created_at, source "
             "from topics",
     .children = "select partition, leader, leader_epoch, partition_epoch, "
                 "replicas, isr from partitions where topic = ? "
                 "order by partition",
     .more_children = "select name, value from topic_configs where topic = ?",
     .each = db_load_topic},

    /* partitions */
    {.writes = {{"insert or replace into partitions "
                 "values (?, ?, ?, ?, ?, ?, ?)",
                 ROW_PARTITION_PUT},
                {"delete from partitions where topic = ?",
                 ROW_PARTITIONS_DELETE}}},

    /* topic_configs */
    {.writes = {{"insert or replace into topic_configs values (?, ?, ?)",
                 ROW_CONFIG_PUT},
                {"delete from topic_configs where topic = ? and name = ?",
                 ROW_CONFIG_DELETE}}},

    /* producer_ids */
    {.writes = {{"insert or replace into producer_ids values (?, ?, ?, ?)",
                 ROW_PRODUCER_IDS_PUT}},
     .read = "select coalesce(max(first_id + id_count), 0) from producer_ids",
     .each = db_load_producer_ids},

    /* coordinators */
    {.writes = {{"insert or replace into coordinators values (?, ?, ?)",
                 ROW_COORDINATOR_PUT}},
     .read = "select slot, broker_id, epoch from coordinators",
     .each = db_load_coordinator},

    /* groups */
    {.writes = {{"insert or replace into groups values (?, ?, ?, ?, ?, ?)",
                 ROW_GROUP_PUT},
                {"delete from groups where group_id = ?", ROW_GROUP_DELETE}},
     .read = "select group_id, generation, protocol_type, protocol, leader, "
             "saved_at, (select count(*) from group_members m "
             "where m.group_id = g.group_id) from groups g",
     .children = "select member_id, instance_id, client_id, client_host, "
                 "session_timeout_ms, rebalance_timeout_ms, subscription, "
                 "assignment from group_members where group_id = ? "
                 "order by place",
     .each = db_load_group},

    /* group_members */
    {.writes = {{"insert or replace into group_members values "
                 "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                 ROW_MEMBER_PUT},
                {"delete from group_members where group_id = ?",
                 ROW_MEMBERS_DELETE}}},

    /* offsets */
    {.writes = {{"insert or replace into offsets "
                 "values (?, ?, ?, ?, ?, ?, ?, ?)",
                 ROW_OFFSET_PUT},
                {"delete from offsets where group_id = ? and topic = ? "
                 "and partition = ?",
                 ROW_OFFSET_DELETE}},
     .read = "select group_id, topic, partition, \"offset\", leader_epoch, "
             "metadata, committed_at, expire_at from offsets",
     .each = db_load_offset},

    /* config_history: of it only the next number is wanted back. */
    {.writes = {{"insert or replace into config_history "
                 "values (?, ?, ?, ?, ?, ?, ?, ?)",
                 ROW_HISTORY_PUT},
                {"delete from config_history where change = ?",
                 ROW_HISTORY_DELETE}},
     .read = "select coalesce(max(change), 0) + 1 from config_history",
     .each = db_load_history},
};

const char *db_statement(enum row_kind kind)
{
    for (size_t i = 0; i < ARRAY_COUNT(db_tables); i++) {
        const struct db_table *table = &db_tables[i];

        for (size_t j = 0; j < ARRAY_COUNT(table->writes); j++) {
            if (table->writes[j].sql != NULL && table->writes[j].kind == kind) {
                return table->writes[j].sql;
            }
        }
    }
    unreachable(); /* each kind is of a table */
}

static enum err db_load_table(struct db_loader *loader,
                              const struct db_table *table)
{
    enum err err = ERR_NONE;

    if (table->children != NULL) {
        err = db_prepare(loader->db, table->children, false, &loader->children,
                         loader->why);
    }
    if (err == ERR_NONE && table->more_children != NULL) {
        err = db_prepare(loader->db, table->more_children, false,
                         &loader->more_children, loader->why);
    }
    if (err == ERR_NONE) {
        err = db_each(loader, table->read, table->each);
    }
    sqlite3_finalize(loader->children);
    sqlite3_finalize(loader->more_children);
    loader->children = NULL;
    loader->more_children = NULL;
    arena_reset(&loader->arena);
    return err;
}

static enum err db_load_version(struct db_loader *loader, sqlite3_stmt *row)
{
    loader->state->schema_version = db_i32(row, 0);
    return ERR_NONE;
}

enum err db_load(struct db *db, struct state *state, struct why *why)
{
    struct db_loader loader = {.db = db, .state = state, .why = why};
    enum err err = db_exec(db, "begin", why);

    if (err != ERR_NONE) {
        return err;
    }
    must(state->index == 0 && db->queue.index == 0);
    err = db_each(&loader, "pragma user_version", db_load_version);
    for (size_t i = 0; i < ARRAY_COUNT(db_tables) && err == ERR_NONE &&
                       state->schema_version > 0;
         i++) {
        if (db_tables[i].read != NULL) {
            err = db_load_table(&loader, &db_tables[i]);
        }
    }
    sqlite3_exec(db->sql, "commit", NULL, NULL, NULL);
    db->committed = state->index;
    return err;
}
