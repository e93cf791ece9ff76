/* topic_trie.c - four bits of the hash a level.
 *
 * A node is a branch of 16 children or a leaf of some topics. A leaf that is
 * full becomes a branch, but at the last level, where all bits are used up and
 * a leaf takes whatever has the same hash. Recursion is at most 16 deep. */
#include "meta/topic_trie.h"

#include "base/mem.h"
#include "base/must.h"

enum {
    TRIE_BITS = 4,
    TRIE_CHILDREN = 1 << TRIE_BITS,
    TRIE_DEPTH_MAX = 64 / TRIE_BITS,
    TRIE_LEAF_MAX = 8,
};

struct topic_trie_item {
    uint64_t hash;
    struct topic *topic;
};

struct topic_trie {
    _Atomic uint32_t refs;
    uint32_t count; /* of a leaf's items; 0: a branch */
};

struct topic_trie_branch {
    struct topic_trie node;
    struct topic_trie *children[TRIE_CHILDREN];
};

struct topic_trie_leaf {
    struct topic_trie node;
    struct topic_trie_item items[];
};

static const struct topic_trie_branch *
topic_trie_branch_of(const struct topic_trie *node)
{
    return (const struct topic_trie_branch *)(const void *)node;
}

static const struct topic_trie_leaf *
topic_trie_leaf_of(const struct topic_trie *node)
{
    return (const struct topic_trie_leaf *)(const void *)node;
}

static unsigned topic_trie_step(uint64_t hash, int depth)
{
    return (unsigned)(hash >> (64 - TRIE_BITS * (depth + 1))) &
           (TRIE_CHILDREN - 1);
}

static struct topic_trie_leaf *topic_trie_leaf_new(uint32_t count)
{
    struct topic_trie_leaf *leaf =
        mem_zalloc(sizeof(*leaf) + count * sizeof(struct topic_trie_item));

    atomic_init(&leaf->node.refs, 1);
    leaf->node.count = count;
    return leaf;
}

/* A copy that shares all children but one, which it takes. */
static struct topic_trie *
topic_trie_branch_with(const struct topic_trie_branch *from, unsigned place,
                       struct topic_trie *child)
{
    struct topic_trie_branch *branch = MEM_NEW(struct topic_trie_branch);

    atomic_init(&branch->node.refs, 1);
    for (unsigned i = 0; from != NULL && i < TRIE_CHILDREN; i++) {
        if (i != place) {
            branch->children[i] = topic_trie_ref(from->children[i]);
        }
    }
    branch->children[place] = child;
    return &branch->node;
}

static struct topic_trie *topic_trie_leaf_with(const struct topic_trie *node,
                                               uint64_t hash,
                                               struct topic *topic)
{
    uint32_t count = node == NULL ? 0 : node->count;
    struct topic_trie_leaf *leaf = topic_trie_leaf_new(count + 1);

    for (uint32_t i = 0; i < count; i++) {
        leaf->items[i] = topic_trie_leaf_of(node)->items[i];
        topic_ref(leaf->items[i].topic);
    }
    leaf->items[count] =
        (struct topic_trie_item){.hash = hash, .topic = topic_ref(topic)};
    return &leaf->node;
}

static struct topic_trie *topic_trie_put_at(const struct topic_trie *node,
                                            int depth, uint64_t hash,
                                            struct topic *topic);

/* A full leaf becomes a branch; its items find their places below. */
static struct topic_trie *topic_trie_split(const struct topic_trie_leaf *leaf,
                                           int depth)
{
    struct topic_trie_branch *branch = MEM_NEW(struct topic_trie_branch);

    atomic_init(&branch->node.refs, 1);
    for (uint32_t i = 0; i < leaf->node.count; i++) {
        const struct topic_trie_item *item = &leaf->items[i];
        struct topic_trie **child =
            &branch->children[topic_trie_step(item->hash, depth)];
        struct topic_trie *larger =
            topic_trie_put_at(*child, depth + 1, item->hash, item->topic);

        topic_trie_unref(*child);
        *child = larger;
    }
    return &branch->node;
}

static struct topic_trie *topic_trie_put_at(const struct topic_trie *node,
                                            int depth, uint64_t hash,
                                            struct topic *topic)
{
    const struct topic_trie_branch *branch;
    struct topic_trie *split;
    struct topic_trie *result;
    unsigned place;

    if (node == NULL || (node->count > 0 && (node->count < TRIE_LEAF_MAX ||
                                             depth == TRIE_DEPTH_MAX))) {
        return topic_trie_leaf_with(node, hash, topic);
    }
    if (node->count > 0) {
        split = topic_trie_split(topic_trie_leaf_of(node), depth);
        result = topic_trie_put_at(split, depth, hash, topic);
        topic_trie_unref(split);
        return result;
    }
    branch = topic_trie_branch_of(node);
    place = topic_trie_step(hash, depth);
    return topic_trie_branch_with(
        branch, place,
        topic_trie_put_at(branch->children[place], depth + 1, hash, topic));
}

struct topic_trie *topic_trie_put(const struct topic_trie *root, uint64_t hash,
                                  struct topic *topic)
{
    return topic_trie_put_at(root, 0, hash, topic);
}

static struct topic_trie *
topic_trie_leaf_without(const struct topic_trie_leaf *from,
                        const struct topic *topic)
{
    uint32_t count = from->node.count - 1;
    struct topic_trie_leaf *leaf;
    uint32_t at = 0;

    if (count == 0) {
        must(from->items[0].topic == topic);
        return NULL;
    }
    leaf = topic_trie_leaf_new(count);
    for (uint32_t i = 0; i < from->node.count; i++) {
        if (from->items[i].topic != topic) {
            must(at < count);
            leaf->items[at] = from->items[i];
            topic_ref(leaf->items[at++].topic);
        }
    }
    return &leaf->node;
}

static struct topic_trie *topic_trie_remove_at(const struct topic_trie *node,
                                               int depth, uint64_t hash,
                                               const struct topic *topic)
{
    const struct topic_trie_branch *branch;
    struct topic_trie *child;
    unsigned place;
    bool empty;

    must(node != NULL);
    if (node->count > 0) {
        return topic_trie_leaf_without(topic_trie_leaf_of(node), topic);
    }
    branch = topic_trie_branch_of(node);
    place = topic_trie_step(hash, depth);
    child =
        topic_trie_remove_at(branch->children[place], depth + 1, hash, topic);
    empty = child == NULL;
    for (unsigned i = 0; i < TRIE_CHILDREN && empty; i++) {
        empty = i == place || branch->children[i] == NULL;
    }
    return empty ? NULL : topic_trie_branch_with(branch, place, child);
}

struct topic_trie *topic_trie_remove(const struct topic_trie *root,
                                     uint64_t hash, const struct topic *topic)
{
    return topic_trie_remove_at(root, 0, hash, topic);
}

struct topic *topic_trie_find(const struct topic_trie *root, uint64_t hash,
                              bool (*match)(const struct topic *topic,
                                            const void *arg),
                              const void *arg)
{
    const struct topic_trie_leaf *leaf;

    for (int depth = 0; root != NULL && root->count == 0; depth++) {
        root =
            topic_trie_branch_of(root)->children[topic_trie_step(hash, depth)];
    }
    leaf = root == NULL ? NULL : topic_trie_leaf_of(root);
    for (uint32_t i = 0; leaf != NULL && i < leaf->node.count; i++) {
        if (leaf->items[i].hash == hash && match(leaf->items[i].topic, arg)) {
            return leaf->items[i].topic;
        }
    }
    return NULL;
}

void topic_trie_each(const struct topic_trie *root,
                     void (*each)(struct topic *topic, void *arg), void *arg)
{
    if (root == NULL) {
        return;
    }
    for (uint32_t i = 0; i < root->count; i++) {
        each(topic_trie_leaf_of(root)->items[i].topic, arg);
    }
    for (unsigned i = 0; root->count == 0 && i < TRIE_CHILDREN; i++) {
        topic_trie_each(topic_trie_branch_of(root)->children[i], each, arg);
    }
}

struct topic_trie *topic_trie_ref(struct topic_trie *root)
{
    if (root != NULL) {
        atomic_fetch_add_explicit(&root->refs, 1, memory_order_relaxed);
    }
    return root;
}

void topic_trie_unref(struct topic_trie *root)
{
    if (root == NULL ||
        atomic_fetch_sub_explicit(&root->refs, 1, memory_order_acq_rel) != 1) {
        return;
    }
    for (uint32_t i = 0; i < root->count; i++) {
        topic_unref(topic_trie_leaf_of(root)->items[i].topic);
    }
    for (unsigned i = 0; root->count == 0 && i < TRIE_CHILDREN; i++) {
        topic_trie_unref(topic_trie_branch_of(root)->children[i]);
    }
    mem_free(root);
}
