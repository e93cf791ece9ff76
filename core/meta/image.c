/* image.c - made by sharing, published by one pointer, retired by a fence.
 *
 * Invariant 1: the current image has a reference of its own (the images').
 * Invariant 2: an image's references reach zero only after a fence that began
 * when it was current no more: so a loop that read the pointer in its turn can
 * still take a reference.
 * One fence is out at a time; what is retired meanwhile waits for the next. */
#include "meta/image.h"

#include "base/mem.h"
#include "base/must.h"

struct images {
    struct env *env;
    struct image *_Atomic current;
    struct image *retired; /* since the fence that is out began */
    struct image *fenced;  /* let go when it ends */
    struct env_fence fence;
    bool fencing;
    void (*closed)(void *arg);
    void *closed_arg;
};

static uint64_t image_name_hash(struct str name)
{
    return map_hash(name);
}

static uint64_t image_id_hash(const struct uuid *id)
{
    return map_hash(str_sub(id->bytes, sizeof(id->bytes)));
}

static bool image_name_matches(const struct topic *topic, const void *arg)
{
    const struct str *name = arg;

    return str_eq(topic->name, *name);
}

static bool image_id_matches(const struct topic *topic, const void *arg)
{
    const struct uuid *id = arg;

    return uuid_eq(topic->id, *id);
}

const struct topic *image_find_topic(const struct image *image, struct str name)
{
    if (name.len == 0) {
        return NULL;
    }
    return topic_trie_find(image->topics_by_name, image_name_hash(name),
                           image_name_matches, &name);
}

const struct topic *image_find_topic_id(const struct image *image,
                                        struct uuid id)
{
    return topic_trie_find(image->topics_by_id, image_id_hash(&id),
                           image_id_matches, &id);
}

void image_each_topic(const struct image *image,
                      void (*each)(struct topic *topic, void *arg), void *arg)
{
    topic_trie_each(image->topics_by_name, each, arg);
}

static struct image *image_own(const struct image *image)
{
    return (struct image *)(uintptr_t)image;
}

const struct image *image_ref(const struct image *image)
{
    uint32_t before = atomic_fetch_add_explicit(&image_own(image)->refs, 1,
                                                memory_order_relaxed);

    must(before > 0);
    return image;
}

void image_unref(const struct image *image)
{
    struct image *own = image_own(image);

    if (own == NULL ||
        atomic_fetch_sub_explicit(&own->refs, 1, memory_order_acq_rel) != 1) {
        return;
    }
    topic_trie_unref(own->topics_by_name);
    topic_trie_unref(own->topics_by_id);
    brokers_unref((struct brokers *)(uintptr_t)own->brokers);
    mem_free(own);
}

/* What is not topics, as the state has it now. */
static void image_take_facts(struct image *image, const struct state *state)
{
    image->index = state->index;
    memcpy(image->cluster_id, state->cluster_id, sizeof(image->cluster_id));
    memcpy(image->coordinators, state->coordinators,
           sizeof(image->coordinators));
    image->brokers =
        state->brokers == NULL ? NULL : brokers_ref(state->brokers);
    image->topics_count = (int64_t)topics_count(&state->topics);
    image->partitions_count = topics_partitions_count(&state->topics);
}

static void image_put(struct image *image, struct topic *topic)
{
    struct topic_trie *by_name = image->topics_by_name;
    struct topic_trie *by_id = image->topics_by_id;

    image->topics_by_name =
        topic_trie_put(by_name, image_name_hash(topic->name), topic);
    image->topics_by_id =
        topic_trie_put(by_id, image_id_hash(&topic->id), topic);
    topic_trie_unref(by_name);
    topic_trie_unref(by_id);
}

static void image_remove(struct image *image, const struct topic *topic)
{
    struct topic_trie *by_name = image->topics_by_name;
    struct topic_trie *by_id = image->topics_by_id;

    image->topics_by_name =
        topic_trie_remove(by_name, image_name_hash(topic->name), topic);
    image->topics_by_id =
        topic_trie_remove(by_id, image_id_hash(&topic->id), topic);
    topic_trie_unref(by_name);
    topic_trie_unref(by_id);
}

/* All topics of before, nothing else. */
static struct image *image_next(const struct image *before)
{
    struct image *image = MEM_NEW(struct image);

    atomic_init(&image->refs, 1);
    image->controller_id = before->controller_id;
    image->topics_by_name = topic_trie_ref(before->topics_by_name);
    image->topics_by_id = topic_trie_ref(before->topics_by_id);
    return image;
}

struct images *images_open(struct env *env, const struct state *state)
{
    struct images *images = MEM_NEW(struct images);
    struct image *image = MEM_NEW(struct image);
    struct topic *topic;
    size_t at = 0;

    atomic_init(&image->refs, 1);
    image->controller_id = -1;
    image_take_facts(image, state);
    while (topics_next(&state->topics, &at, &topic)) {
        image_put(image, topic);
    }
    images->env = env;
    atomic_init(&images->current, image);
    return images;
}

const struct image *images_current(struct images *images)
{
    return atomic_load_explicit(&images->current, memory_order_acquire);
}

static void images_fenced(struct env_fence *fence);

static void images_fence(struct images *images)
{
    images->fencing = true;
    images->fenced = images->retired;
    images->retired = NULL;
    images->fence.done = images_fenced;
    env_fence(images->env, &images->fence);
}

static void images_fenced(struct env_fence *fence)
{
    struct images *images = container_of(fence, struct images, fence);
    struct image *image = images->fenced;

    images->fencing = false;
    images->fenced = NULL;
    while (image != NULL) {
        struct image *next = image->next;

        image_unref(image);
        image = next;
    }
    if (images->retired != NULL) {
        images_fence(images);
    } else if (images->closed != NULL) {
        void (*closed)(void *arg) = images->closed;
        void *arg = images->closed_arg;

        mem_free(images);
        closed(arg);
    }
}

static void images_retire(struct images *images, struct image *image)
{
    image->next = images->retired;
    images->retired = image;
    if (!images->fencing) {
        images_fence(images);
    }
}

static void images_publish(struct images *images, struct image *image)
{
    struct image *before =
        atomic_exchange_explicit(&images->current, image, memory_order_acq_rel);

    images_retire(images, before);
}

void images_apply(struct images *images, const struct state *state,
                  const struct state_result *result)
{
    struct image *image;

    if (result->err != ERR_NONE ||
        (result->topic_before == NULL && result->topic_after == NULL &&
         !result->brokers_changed && !result->coordinators_changed &&
         result->type != COMMAND_INIT_CLUSTER)) {
        return;
    }
    image = image_next(images_current(images));
    image_take_facts(image, state);
    if (result->topic_before != NULL) {
        image_remove(image, result->topic_before);
    }
    if (result->topic_after != NULL) {
        image_put(image, result->topic_after);
    }
    images_publish(images, image);
}

void images_set_controller(struct images *images, int32_t broker_id)
{
    const struct image *before = images_current(images);
    struct image *image;

    if (before->controller_id == broker_id) {
        return;
    }
    image = image_next(before);
    image->index = before->index;
    memcpy(image->cluster_id, before->cluster_id, sizeof(image->cluster_id));
    memcpy(image->coordinators, before->coordinators,
           sizeof(image->coordinators));
    image->brokers =
        before->brokers == NULL
            ? NULL
            : brokers_ref((struct brokers *)(uintptr_t)before->brokers);
    image->topics_count = before->topics_count;
    image->partitions_count = before->partitions_count;
    image->controller_id = broker_id;
    images_publish(images, image);
}

void images_close(struct images *images, void (*done)(void *arg), void *arg)
{
    images->closed = done;
    images->closed_arg = arg;
    images_retire(images, atomic_exchange_explicit(&images->current, NULL,
                                                   memory_order_acq_rel));
}
