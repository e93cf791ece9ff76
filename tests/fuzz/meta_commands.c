/* meta_commands.c - fuzzes commands and the state that they change.
 *
 * The input is commands one after the other, each with a byte of length in
 * front. What decodes encodes again; what is applied leaves a state whose
 * counts agree with what it holds, and rows that can be walked. */
#include "base/must.h"
#include "meta/state_core.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

/* Any negative length is null, and there are no other two ways to say the
 * same: from the second time on the bytes stay. */
static void same_again(struct str bytes)
{
    struct arena arena = {0};
    struct command command;
    struct str once;
    struct str again;

    if (command_decode(bytes, &arena, &command, NULL) == ERR_NONE) {
        must(command_encode(&command, &arena, &once) == ERR_NONE);
        must(once.len == bytes.len);
        must(command_decode(once, &arena, &command, NULL) == ERR_NONE);
        must(command_encode(&command, &arena, &again) == ERR_NONE);
        must(str_eq(once, again));
    }
    arena_reset(&arena);
}

static void check(const struct state *state)
{
    const struct offsets_group *group;
    int64_t offsets = 0;
    size_t at = 0;

    while (offsets_next(&state->offsets, &at, &group)) {
        must(group->count > 0);
        for (int32_t i = 0; i < group->count; i++) {
            must(group->topics[i].count > 0);
            must(topics_find_id(&state->topics, group->topics[i].topic_id) !=
                 NULL);
            offsets += group->topics[i].count;
        }
    }
    must(offsets == offsets_count(&state->offsets));
}

static void apply(struct state *state, struct rows *rows, struct str bytes)
{
    struct state_result result;
    struct row row;
    size_t at = 0;
    size_t count = 0;
    enum err err =
        state_apply(state, &(struct state_entry){state->index + 1, 1, bytes},
                    rows, &result, NULL);

    must(err == ERR_NONE || rows_count(rows) == 0);
    must(result.err == ERR_NONE || rows_count(rows) == 0);
    while (rows_next(rows, &at, &row)) {
        count++;
    }
    must(count == rows_count(rows));
    rows_clear(rows, 1 << 16);
    state_result_fini(&result);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static const char migrate[] = "\0\1\0\0\0\0\0\1\0\0\0\0\0\0\0\0";
    struct topic_settings defaults;
    struct state state;
    struct rows rows = {0};

    topic_settings_init(&defaults);
    state_init(&state, &defaults);
    apply(&state, &rows, str_sub(migrate, 16));
    must(state.schema_version == 1);
    while (bytes > 0) {
        size_t len = MIN((size_t)data[0], bytes - 1);

        same_again(str_sub(data + 1, len));
        apply(&state, &rows, str_sub(data + 1, len));
        data += 1 + len;
        bytes -= 1 + len;
    }
    check(&state);
    state_fini(&state);
    rows_fini(&rows);
    return 0;
}
