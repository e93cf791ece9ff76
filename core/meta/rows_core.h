/* rows_core.h - changes of SQLite's tables, as a list of plain bytes.
 *
 * Applying a command changes the state in memory at once and notes here what
 * the tables will have to say; db.c carries it out later, many commands in one
 * transaction. Each row is a kind (one prepared statement each) and its cells,
 * in the order of that statement's parameters. Zero is a valid empty list.
 * Pure; belongs to one thread, moves as a whole. */
#ifndef META_ROWS_CORE_H
#define META_ROWS_CORE_H

#include "base/str.h"
#include "base/uuid.h"

/* Kind, its name in traces and tests, and how many cells it has. What each
 * cell is stands in schema/README.md, in the order of the columns. */
#define ROW_KINDS(KIND)                                                        \
    KIND(MIGRATE, "migrate", 2)                                                \
    KIND(CLUSTER_PUT, "cluster put", 2)                                        \
    KIND(BROKER_PUT, "brokers put", 5)                                         \
    KIND(LISTENERS_DELETE, "broker_listeners delete", 1)                       \
    KIND(LISTENER_PUT, "broker_listeners put", 5)                              \
    KIND(TOPIC_PUT, "topics put", 5)                                           \
    KIND(TOPIC_DELETE, "topics delete", 1)                                     \
    KIND(CONFIG_PUT, "topic_configs put", 3)                                   \
    KIND(CONFIG_DELETE, "topic_configs delete", 2)                             \
    KIND(PARTITION_PUT, "partitions put", 7)                                   \
    KIND(PARTITIONS_DELETE, "partitions delete", 1)                            \
    KIND(PRODUCER_IDS_PUT, "producer_ids put", 4)                              \
    KIND(COORDINATOR_PUT, "coordinators put", 3)                               \
    KIND(GROUP_PUT, "groups put", 6)                                           \
    KIND(GROUP_DELETE, "groups delete", 1)                                     \
    KIND(MEMBER_PUT, "group_members put", 10)                                  \
    KIND(MEMBERS_DELETE, "group_members delete", 1)                            \
    KIND(OFFSET_PUT, "offsets put", 8)                                         \
    KIND(OFFSET_DELETE, "offsets delete", 3)                                   \
    KIND(HISTORY_PUT, "config_history put", 8)                                 \
    KIND(HISTORY_DELETE, "config_history delete", 1)

enum row_kind {
#define ROW_KIND_ENUM(kind, name, cells) ROW_##kind,
    ROW_KINDS(ROW_KIND_ENUM)
#undef ROW_KIND_ENUM
        ROW_KIND_COUNT
};

enum { ROW_CELLS_MAX = 10 };

struct rows {
    uint8_t *bytes; /* private from here on */
    size_t used_bytes;
    size_t capacity_bytes;
    size_t row_count;
};

/* Begins a row; its cells follow, as many as its kind has. */
void rows_add(struct rows *rows, enum row_kind kind);
void rows_i64(struct rows *rows, int64_t value);
/* A null text becomes NULL. */
void rows_text(struct rows *rows, struct str text);
void rows_blob(struct rows *rows, struct str bytes);
void rows_null(struct rows *rows);
/* Its 22 characters. */
void rows_uuid(struct rows *rows, struct uuid uuid);
/* A JSON array of numbers: "[1,2]". */
void rows_numbers(struct rows *rows, const int32_t *numbers, int32_t count);

/* How many rows. */
size_t rows_count(const struct rows *rows);
/* What the list takes in memory: for whoever bounds it. */
size_t rows_bytes(const struct rows *rows);
/* Empties the list, keeps up to keep_bytes of its memory. */
void rows_clear(struct rows *rows, size_t keep_bytes);
void rows_fini(struct rows *rows);

enum row_cell_type {
    ROW_CELL_NULL,
    ROW_CELL_I64,
    ROW_CELL_TEXT,
    ROW_CELL_BLOB,
};

struct row_cell {
    enum row_cell_type type;
    int64_t i64;
    struct str text; /* borrowed from the list */
};

struct row {
    enum row_kind kind;
    int cell_count;
    struct row_cell cells[ROW_CELLS_MAX];
};

/* Walks: start with *at = 0; false at the end. */
MUST_USE bool rows_next(const struct rows *rows, size_t *at, struct row *out);
/* "offsets put"; for traces and tests. */
const char *row_kind_name(enum row_kind kind);
int row_kind_cells(enum row_kind kind);

#endif
