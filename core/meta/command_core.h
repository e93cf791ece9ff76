/* command_core.h - a command of the metadata, as bytes and as a struct.
 *
 * schema/commands/commands.wire has the bodies and says what each is for. In
 * front stand an int16 type and an int16 version.
 * Pure; any thread. */
#ifndef META_COMMAND_CORE_H
#define META_COMMAND_CORE_H

#include "wire/commands.h"

/* Numbers are stored: never changed, never used again. */
enum command_type {
    COMMAND_MIGRATE = 1,
    COMMAND_INIT_CLUSTER = 2,
    COMMAND_REGISTER_BROKER = 3,
    COMMAND_CREATE_TOPIC = 4,
    COMMAND_DELETE_TOPIC = 5,
    COMMAND_ALLOCATE_PRODUCER_IDS = 6,
    COMMAND_SET_COORDINATORS = 7,
    COMMAND_COMMIT_OFFSETS = 8,
    COMMAND_DELETE_OFFSETS = 9,
    COMMAND_SAVE_GROUP = 10,
    COMMAND_DELETE_GROUP = 11,
};

struct command {
    enum command_type type;
    union {
        struct command_migrate migrate;
        struct command_init_cluster init_cluster;
        struct command_register_broker register_broker;
        struct command_create_topic create_topic;
        struct command_delete_topic delete_topic;
        struct command_allocate_producer_ids allocate_producer_ids;
        struct command_set_coordinators set_coordinators;
        struct command_commit_offsets commit_offsets;
        struct command_delete_offsets delete_offsets;
        struct command_save_group save_group;
        struct command_delete_group delete_group;
    };
};

/* The bytes to propose, in the arena, in the newest version.
 * Errors: ERR_TOO_LARGE (a text over 32,767 bytes, or all over INT32_MAX). */
MUST_USE enum err command_encode(const struct command *command,
                                 struct arena *arena, struct str *out);

/* Texts and bytes of *out are slices of bytes, arrays lie in the arena.
 * Errors: ERR_UNSUPPORTED (an unknown type or version), ERR_MALFORMED. */
MUST_USE enum err command_decode(struct str bytes, struct arena *arena,
                                 struct command *out, struct why *why);

/* "create_topic"; for traces. */
const char *command_name(enum command_type type);

#endif
