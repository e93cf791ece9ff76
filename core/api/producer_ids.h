/* producer_ids.h - producer ids for InitProducerId, from blocks that the quorum
 * sets aside.
 *
 * A block is on disk before its first id is given out, and what is left of it
 * at a stop is lost: so no id is ever given twice. The control loop holds the
 * block; other loops ask there. */
#ifndef API_PRODUCER_IDS_H
#define API_PRODUCER_IDS_H

#include "cluster/controller.h"

struct producer_ids;

/* block_count: ids that one command sets aside. */
struct producer_ids *producer_ids_open(struct controller *controller,
                                       int32_t node_id, uint32_t block_count);
/* Nobody may wait for an id. */
void producer_ids_close(struct producer_ids *ids);

/* Caller's memory, in use until done. */
struct producer_ids_take {
    struct producer_ids *ids;
    void (*done)(struct producer_ids_take *take); /* on the asking loop */
    enum err err;
    int64_t producer_id;

    struct call call; /* private */
    struct list node;
};

/* Any loop. Answers by mail. Errors: those of controller_change(). */
void producer_ids_take(struct producer_ids_take *take);

#endif
