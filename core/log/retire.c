/* retire.c - one fence for each retired thing. */
#include "log/retire.h"

void retire_init(struct retire *retire, struct env *env,
                 void (*idle)(void *arg), void *arg)
{
    *retire = (struct retire){.env = env, .idle = idle, .arg = arg};
    list_init(&retire->pending);
}

bool retire_is_idle(const struct retire *retire)
{
    return list_is_empty(&retire->pending);
}

static void retire_done(struct env_fence *fence)
{
    struct retired *retired = container_of(fence, struct retired, fence);
    struct retire *retire = retired->retire;

    list_remove(&retired->node);
    retired->release(retired);
    if (retire_is_idle(retire) && retire->idle != NULL) {
        retire->idle(retire->arg);
    }
}

void retire_put(struct retire *retire, struct retired *retired,
                void (*release)(struct retired *retired))
{
    retired->retire = retire;
    retired->release = release;
    retired->fence = (struct env_fence){.done = retire_done};
    list_push(&retire->pending, &retired->node);
    env_fence(retire->env, &retired->fence);
}

void retire_abandon(struct retire *retire)
{
    struct list *node;

    while ((node = list_pop(&retire->pending)) != NULL) {
        struct retired *retired = container_of(node, struct retired, node);

        retired->release(retired);
    }
}
