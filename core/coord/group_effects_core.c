/* group_effects_core.c - the list of what an event came to. */
#include "coord/group_private.h"

#include "base/mem.h"
#include "base/must.h"

struct group_answer *group_answer(struct group_effects *out, void *token,
                                  enum group_answer_kind kind, enum err err)
{
    struct group_answer *answer;

    must(token != NULL);
    if (out->answers_count == out->answers_capacity) {
        out->answers_capacity = MAX(8, 2 * out->answers_capacity);
        out->answers = mem_realloc(out->answers, out->answers_capacity *
                                                     sizeof(*out->answers));
    }
    answer = &out->answers[out->answers_count++];
    *answer = (struct group_answer){.token = token,
                                    .kind = kind,
                                    .err = err,
                                    .member_id = STR_LIT(""),
                                    .generation = -1,
                                    .leader_id = STR_LIT(""),
                                    .assignment = STR_LIT("")};
    return answer;
}

void group_effects_clear(struct group_effects *effects)
{
    effects->answers_count = 0;
    effects->save = false;
    effects->saved_wanted = false;
    effects->answers_after_save = false;
}

void group_effects_fini(struct group_effects *effects)
{
    mem_free(effects->answers);
    *effects = (struct group_effects){0};
}
