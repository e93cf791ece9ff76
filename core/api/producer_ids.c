/* producer_ids.c - one block at a time, and who waits for the next. */
#include "api/producer_ids.h"

#include "base/mem.h"
#include "base/must.h"

struct producer_ids {
    struct controller *controller;
    int32_t node_id;
    int32_t block_count;
    int64_t next;
    int64_t end;
    bool fetching;
    struct list waiting;
    struct controller_change change;
};

struct producer_ids *producer_ids_open(struct controller *controller,
                                       int32_t node_id, uint32_t block_count)
{
    struct producer_ids *ids = MEM_NEW(struct producer_ids);

    must(block_count > 0 && block_count <= INT32_MAX);
    ids->controller = controller;
    ids->node_id = node_id;
    ids->block_count = (int32_t)block_count;
    list_init(&ids->waiting);
    return ids;
}

void producer_ids_close(struct producer_ids *ids)
{
    must(!ids->fetching);
    mem_free(ids);
}

static void producer_ids_finish(struct producer_ids_take *take, enum err err)
{
    take->err = err;
    take->producer_id = err == ERR_NONE ? take->ids->next++ : -1;
    call_return(&take->call);
}

/* Serves those who wait, as far as the block reaches; all of them get the error
 * when there was one. */
static void producer_ids_serve(struct producer_ids *ids, enum err err)
{
    while (!list_is_empty(&ids->waiting) &&
           (err != ERR_NONE || ids->next < ids->end)) {
        producer_ids_finish(container_of(list_pop(&ids->waiting),
                                         struct producer_ids_take, node),
                            err);
    }
}

static void producer_ids_fetch(struct producer_ids *ids);

static void producer_ids_fetched(struct controller_change *change)
{
    struct producer_ids *ids =
        container_of(change, struct producer_ids, change);
    enum err err = change->err;

    ids->fetching = false;
    if (err == ERR_NONE) {
        ids->next = change->first_producer_id;
        ids->end = ids->next + change->producer_id_count;
    }
    controller_change_end(change);
    producer_ids_serve(ids, err);
    if (!list_is_empty(&ids->waiting)) {
        producer_ids_fetch(ids);
    }
}

static void producer_ids_fetch(struct producer_ids *ids)
{
    struct env *env = loop_env(controller_loop(ids->controller));

    ids->fetching = true;
    ids->change = (struct controller_change){
        .controller = ids->controller,
        .done = producer_ids_fetched,
        .command = {.type = COMMAND_ALLOCATE_PRODUCER_IDS,
                    .allocate_producer_ids = {.broker_id = ids->node_id,
                                              .count = ids->block_count,
                                              .at_ms = env_wall_ms(env)}}};
    controller_change(&ids->change);
}

/* On the control loop. */
static void producer_ids_run(struct call *call)
{
    struct producer_ids_take *take =
        container_of(call, struct producer_ids_take, call);
    struct producer_ids *ids = take->ids;

    list_push(&ids->waiting, &take->node);
    producer_ids_serve(ids, ERR_NONE);
    if (!list_is_empty(&ids->waiting) && !ids->fetching) {
        producer_ids_fetch(ids);
    }
}

static void producer_ids_returned(struct call *call)
{
    struct producer_ids_take *take =
        container_of(call, struct producer_ids_take, call);

    take->done(take);
}

void producer_ids_take(struct producer_ids_take *take)
{
    take->call.run = producer_ids_run;
    take->call.done = producer_ids_returned;
    list_init(&take->node);
    call_start(&take->call, controller_loop(take->ids->controller));
}
