/* image.h - the metadata as every loop may read it: one moment, unchanging.
 *
 * After each command that changed topics, brokers, coordinators or the
 * controller, the control loop makes another image, which shares with the last
 * one all that is the same, and publishes it. A reader takes the current one
 * and has it until the end of its turn, without a lock or a count; whoever
 * needs it over several turns takes a reference. An image that is current no
 * more is let go when every loop has come through a turn (env_fence). */
#ifndef META_IMAGE_H
#define META_IMAGE_H

#include "meta/state_core.h"
#include "meta/topic_trie.h"
#include "run/env.h"

struct image {
    _Atomic uint32_t refs; /* private */
    uint64_t index;        /* of the last command that shows in it */
    char cluster_id[CLUSTER_ID_BYTES + 1]; /* "" : not yet */
    int32_t controller_id; /* the broker that leads the quorum; -1: unknown */
    const struct brokers *brokers; /* NULL: none yet */
    int64_t topics_count;
    int64_t partitions_count; /* of all topics */
    struct state_coordinator coordinators[COORDINATOR_SLOTS];
    struct topic_trie *topics_by_name; /* private from here on */
    struct topic_trie *topics_by_id;
    struct image *next; /* retired, waiting for a fence */
};

/* Borrowed as long as the image; NULL when there is none. Any loop. */
const struct topic *image_find_topic(const struct image *image,
                                     struct str name);
const struct topic *image_find_topic_id(const struct image *image,
                                        struct uuid id);
/* In no order that means anything. */
void image_each_topic(const struct image *image,
                      void (*each)(struct topic *topic, void *arg), void *arg);
/* Kept beyond the turn; given back on any loop. A topic or a list of brokers
 * can be kept by itself: topic_ref(), brokers_ref(). */
const struct image *image_ref(const struct image *image);
/* image: NULL is accepted. */
void image_unref(const struct image *image);

/* Where the current image is; the control loop's. */
struct images;

/* With an image of the state as it is. */
struct images *images_open(struct env *env, const struct state *state);
/* Any loop; until the end of the turn. */
const struct image *images_current(struct images *images);
/* Publishes what a command has changed; nothing when it was nothing that an
 * image shows. Before anybody hears of the command's success. */
void images_apply(struct images *images, const struct state *state,
                  const struct state_result *result);
/* broker_id: -1 when nobody leads. */
void images_set_controller(struct images *images, int32_t broker_id);
/* Readers must have stopped; done runs when all images are let go. */
void images_close(struct images *images, void (*done)(void *arg), void *arg);

#endif
