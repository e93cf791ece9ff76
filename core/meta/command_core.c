/* command_core.c - the two numbers in front, and which body they mean. */
#include "meta/command_core.h"

/* Type, member, newest version. The oldest of each is 0 for ever: a log may
 * hold it. */
#define COMMANDS(COMMAND)                                                      \
    COMMAND(MIGRATE, migrate, 0)                                               \
    COMMAND(INIT_CLUSTER, init_cluster, 0)                                     \
    COMMAND(REGISTER_BROKER, register_broker, 0)                               \
    COMMAND(CREATE_TOPIC, create_topic, 0)                                     \
    COMMAND(DELETE_TOPIC, delete_topic, 0)                                     \
    COMMAND(ALLOCATE_PRODUCER_IDS, allocate_producer_ids, 0)                   \
    COMMAND(SET_COORDINATORS, set_coordinators, 0)                             \
    COMMAND(COMMIT_OFFSETS, commit_offsets, 0)                                 \
    COMMAND(DELETE_OFFSETS, delete_offsets, 0)                                 \
    COMMAND(SAVE_GROUP, save_group, 0)                                         \
    COMMAND(DELETE_GROUP, delete_group, 0)

static void command_write(struct writer *w, const struct command *command)
{
    switch (command->type) {
#define COMMAND_WRITE(TYPE, member, newest)                                    \
    case COMMAND_##TYPE:                                                       \
        writer_i16(w, COMMAND_##TYPE);                                         \
        writer_i16(w, newest);                                                 \
        command_##member##_encode(w, newest, &command->member);                \
        break;
        COMMANDS(COMMAND_WRITE)
#undef COMMAND_WRITE
    }
}

enum err command_encode(const struct command *command, struct arena *arena,
                        struct str *out)
{
    struct writer w;

    writer_init(&w, arena, 256);
    command_write(&w, command);
    *out = writer_output(&w);
    return w.failed ? ERR_TOO_LARGE : ERR_NONE;
}

/* False when nobody here knows this type in this version. */
static bool command_read(struct reader *r, struct arena *arena, int16_t type,
                         int16_t version, struct command *out)
{
    switch (type) {
#define COMMAND_READ(TYPE, member, newest)                                     \
    case COMMAND_##TYPE:                                                       \
        if (version < 0 || version > newest) {                                 \
            return false;                                                      \
        }                                                                      \
        out->type = COMMAND_##TYPE;                                            \
        command_##member##_decode(r, arena, version, &out->member);            \
        return true;
        COMMANDS(COMMAND_READ)
#undef COMMAND_READ
    default:
        return false;
    }
}

enum err command_decode(struct str bytes, struct arena *arena,
                        struct command *out, struct why *why)
{
    struct reader r;
    int16_t type;
    int16_t version;

    reader_init(&r, bytes.ptr, bytes.len);
    type = reader_i16(&r);
    version = reader_i16(&r);
    if (r.failed) {
        return why_set(why, ERR_MALFORMED,
                       "a command of %zu bytes has no type and version",
                       bytes.len);
    }
    if (!command_read(&r, arena, type, version, out)) {
        return why_set(why, ERR_UNSUPPORTED,
                       "this version does not know command %d in version %d: "
                       "it was written by a newer one",
                       type, version);
    }
    if (reader_finish(&r) != ERR_NONE) {
        return why_set(why, ERR_MALFORMED,
                       "the command \"%s\" of %zu bytes cannot be read",
                       command_name(out->type), bytes.len);
    }
    return ERR_NONE;
}

const char *command_name(enum command_type type)
{
    switch (type) {
#define COMMAND_NAME(TYPE, member, newest)                                     \
    case COMMAND_##TYPE:                                                       \
        return #member;
        COMMANDS(COMMAND_NAME)
#undef COMMAND_NAME
    }
    return "unknown";
}
