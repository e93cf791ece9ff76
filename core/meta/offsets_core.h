/* offsets_core.h - what groups have committed: a part of the state.
 *
 * group -> topic id -> partition. A topic that is made again has another id,
 * so an offset of the old one is never taken for one of the new. Arrays that
 * are sorted, as a group reads few topics and commits all their partitions:
 * 48 bytes an offset and its text. Pure; belongs to the control loop. */
#ifndef META_OFFSETS_CORE_H
#define META_OFFSETS_CORE_H

#include "base/map.h"
#include "base/uuid.h"
#include "meta/rows_core.h"

struct offset {
    int32_t partition;
    int32_t leader_epoch; /* -1: unknown */
    int64_t offset;
    int64_t committed_at_ms;
    int64_t expire_at_ms; /* -1: never */
    char *metadata;       /* owned; NULL: empty */
    uint32_t metadata_bytes;
};

struct offsets_topic {
    struct uuid topic_id;
    struct offset *items; /* sorted by partition */
    int32_t count;
    int32_t capacity; /* private */
};

struct offsets_group {
    char *group_id; /* owned; group_id_bytes long */
    uint32_t group_id_bytes;
    int32_t count;
    int32_t capacity;             /* private */
    struct offsets_topic *topics; /* sorted by id */
};

/* Zero is a valid empty one. */
struct offsets {
    struct map groups; /* private from here on */
    int64_t count;
};

/* Which offset is meant. name: the topic's, for the tables. */
struct offset_place {
    struct str group_id;
    struct uuid topic_id;
    struct str topic_name;
    int32_t partition;
};

/* Frees all. */
void offsets_fini(struct offsets *offsets);
/* Offsets of all groups together. */
int64_t offsets_count(const struct offsets *offsets);
/* Groups that have any. */
size_t offsets_group_count(const struct offsets *offsets);

/* Borrowed until the next command; NULL when nothing was committed. */
const struct offset *offsets_find(const struct offsets *offsets,
                                  struct str group_id, struct uuid topic_id,
                                  int32_t partition);
/* To walk through: NULL when the group has none. */
const struct offsets_group *offsets_find_group(const struct offsets *offsets,
                                               struct str group_id);
MUST_USE bool offsets_next(const struct offsets *offsets, size_t *at,
                           const struct offsets_group **out);

/* The text beside an offset; never null. */
static inline struct str offset_metadata(const struct offset *offset)
{
    return offset->metadata == NULL
               ? STR_LIT("")
               : str_sub(offset->metadata, offset->metadata_bytes);
}

/* value: its metadata is not looked at; metadata is copied. rows: NULL at
 * start, when the row is there. */
void offsets_put(struct offsets *offsets, const struct offset_place *place,
                 const struct offset *value, struct str metadata,
                 struct rows *rows);
/* False when there was none, or it was committed at another time than
 * only_if_at_ms (-1: whenever). */
bool offsets_remove(struct offsets *offsets, const struct offset_place *place,
                    int64_t only_if_at_ms, struct rows *rows);
/* All groups' offsets in a topic that goes away. */
void offsets_remove_topic(struct offsets *offsets, struct uuid topic_id,
                          struct str topic_name, struct rows *rows);
/* One topic's offsets of a group; its id decides, its name is for the rows. */
void offsets_remove_group_topic(struct offsets *offsets, struct str group_id,
                                struct uuid topic_id, struct str topic_name,
                                struct rows *rows);

#endif
