/* simdisk.c - two pictures of a disk: as programs see it, and as it would be
 * found after the power went.
 *
 * A file has its bytes (live), the bytes that are safe (safe), and the changes
 * between them, in order. A sync applies the changes to the safe bytes. A
 * folder has two maps of names in the same way; its changes stand in one list
 * of the whole disk, for a rename may concern two folders. A crash chooses
 * among the changes, then the live picture becomes the safe one. */
#include "lib/simdisk.h"
#include "base/list.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/must.h"
#include "base/str.h"

#include <pthread.h>
#include <string.h>

enum { SECTOR_BYTES = 512 };

struct simbytes {
    uint8_t *ptr;
    size_t len;
    size_t capacity;
};

/* A write, or with data == NULL a truncation to position. */
struct simchange {
    struct list node;
    uint64_t position;
    size_t bytes;
    uint8_t *data;
};

struct siminode {
    struct list node; /* in the disk's list of all */
    unsigned refs;    /* names in both pictures, changes, handles */
    unsigned names;   /* in the live picture */
    unsigned handles;
    bool is_folder;
    struct simbytes live;
    struct simbytes safe;
    struct list changes;
    int64_t modified_ms;
    struct map live_names; /* of a folder: name to inode */
    struct map safe_names;
    bool is_marked;      /* while a folder is synced, or a crash chooses */
    uint64_t left_count; /* how many changes of its names a crash keeps */
};

struct simbinding {
    struct siminode *folder;
    char *name;
    struct siminode *inode; /* NULL: the name goes */
};

/* A change of names: one binding, or two for a rename. All or nothing. */
struct simnaming {
    struct list node;
    struct simbinding bindings[2];
    int count;
    bool is_marked;
};

struct simfile {
    struct file file;
    struct siminode *inode;
    uint64_t life;
};

struct simdisk {
    struct disk disk;
    pthread_mutex_t lock;
    struct list inodes;
    struct list namings; /* oldest first */
    struct siminode *root;
    uint64_t life; /* how often the power went */
    uint64_t limit_bytes;
    int64_t wall_ms;
    uint64_t sync_count;
    uint64_t seed;
};

/* ---- bytes ---- */

static void simbytes_resize(struct simbytes *bytes, uint64_t len)
{
    if (len > bytes->capacity) {
        bytes->capacity = MAX((size_t)len, 2 * bytes->capacity);
        bytes->ptr = mem_realloc(bytes->ptr, bytes->capacity);
    }
    if (len > bytes->len) {
        memset(bytes->ptr + bytes->len, 0, (size_t)len - bytes->len);
    }
    bytes->len = (size_t)len;
}

static void simbytes_write(struct simbytes *bytes, uint64_t position,
                           const void *data, size_t count)
{
    if (count == 0) {
        return;
    }
    if (position + count > bytes->len) {
        simbytes_resize(bytes, position + count);
    }
    memcpy(bytes->ptr + position, data, count);
}

static void simbytes_copy(struct simbytes *into, const struct simbytes *from)
{
    simbytes_resize(into, 0);
    simbytes_resize(into, from->len);
    if (from->len > 0) {
        memcpy(into->ptr, from->ptr, from->len);
    }
}

static void simbytes_apply(struct simbytes *bytes,
                           const struct simchange *change)
{
    if (change->data == NULL) {
        simbytes_resize(bytes, change->position);
    } else {
        simbytes_write(bytes, change->position, change->data, change->bytes);
    }
}

/* ---- inodes and names ---- */

static struct simdisk *simdisk_of(struct disk *disk)
{
    return container_of(disk, struct simdisk, disk);
}

static struct siminode *siminode_new(struct simdisk *sim, bool is_folder)
{
    struct siminode *inode = MEM_NEW(struct siminode);

    inode->is_folder = is_folder;
    inode->modified_ms = sim->wall_ms;
    list_init(&inode->changes);
    list_push(&sim->inodes, &inode->node);
    return inode;
}

static void siminode_drop_changes(struct siminode *inode)
{
    struct list *node;

    while ((node = list_pop(&inode->changes)) != NULL) {
        struct simchange *change = container_of(node, struct simchange, node);

        mem_free(change->data);
        mem_free(change);
    }
}

static void siminode_unref(struct siminode *inode);

static void simnames_clear(struct map *names, bool is_live)
{
    struct str name;
    void *value;
    size_t at = 0;

    while (map_next(names, &at, &name, &value)) {
        struct siminode *inode = value;

        if (is_live) {
            inode->names--;
        }
        siminode_unref(inode);
    }
    map_fini(names);
}

/* As deep as folders are nested. */
static void siminode_unref(struct siminode *inode)
{
    must(inode->refs > 0);
    if (--inode->refs > 0) {
        return;
    }
    list_remove(&inode->node);
    simnames_clear(&inode->live_names, true);
    simnames_clear(&inode->safe_names, false);
    siminode_drop_changes(inode);
    mem_free(inode->live.ptr);
    mem_free(inode->safe.ptr);
    mem_free(inode);
}

static void simnames_bind(struct map *names, const char *name,
                          struct siminode *inode, bool is_live)
{
    struct siminode *old = inode == NULL ? map_remove(names, str_of(name))
                                         : map_put(names, str_of(name), inode);

    if (inode != NULL) {
        inode->refs++;
        inode->names += is_live ? 1 : 0;
    }
    if (old != NULL) {
        old->names -= is_live ? 1 : 0;
        siminode_unref(old);
    }
}

static void simnaming_free(struct simnaming *naming)
{
    list_remove(&naming->node);
    for (int i = 0; i < naming->count; i++) {
        struct simbinding *binding = &naming->bindings[i];

        siminode_unref(binding->folder);
        if (binding->inode != NULL) {
            siminode_unref(binding->inode);
        }
        mem_free(binding->name);
    }
    mem_free(naming);
}

static void simnaming_save(struct simnaming *naming)
{
    for (int i = 0; i < naming->count; i++) {
        struct simbinding *binding = &naming->bindings[i];

        simnames_bind(&binding->folder->safe_names, binding->name,
                      binding->inode, false);
    }
}

/* Changes the live names now; the safe ones later. Names: taken. */
static void simdisk_name(struct simdisk *sim, struct simbinding first,
                         struct simbinding second)
{
    struct simnaming *naming = MEM_NEW(struct simnaming);

    naming->bindings[0] = first;
    naming->bindings[1] = second;
    naming->count = second.folder == NULL ? 1 : 2;
    for (int i = 0; i < naming->count; i++) {
        struct simbinding *binding = &naming->bindings[i];

        binding->folder->refs++;
        if (binding->inode != NULL) {
            binding->inode->refs++;
        }
    }
    list_push(&sim->namings, &naming->node);
    for (int i = 0; i < naming->count; i++) {
        struct simbinding *binding = &naming->bindings[i];

        binding->folder->modified_ms = sim->wall_ms;
        simnames_bind(&binding->folder->live_names, binding->name,
                      binding->inode, true);
    }
}

/* Walks to the folder that holds the last name of the path, and gives the name,
 * from mem_ ("" for the root). NULL when a folder on the way is missing. */
static struct siminode *simdisk_walk(struct simdisk *sim, const char *path,
                                     char **last)
{
    struct siminode *folder = sim->root;
    struct str name = STR_LIT("");

    while (*path != '\0') {
        size_t len = strcspn(path, "/");

        if (len > 0 && !(len == 1 && *path == '.')) {
            if (name.len > 0) {
                folder = map_find(&folder->live_names, name);
                if (folder == NULL || !folder->is_folder) {
                    return NULL;
                }
            }
            name = str_sub(path, len);
        }
        path += len;
        path += strspn(path, "/");
    }
    *last = str_dup(name);
    return folder;
}

static struct siminode *simdisk_find(struct simdisk *sim, const char *path)
{
    char *name;
    struct siminode *folder = simdisk_walk(sim, path, &name);
    struct siminode *inode;

    if (folder == NULL) {
        return NULL;
    }
    inode =
        *name == '\0' ? folder : map_find(&folder->live_names, str_of(name));
    mem_free(name);
    return inode;
}

static enum err simdisk_fail(enum err err, const char *verb, const char *path,
                             const char *reason, struct why *why)
{
    return why_set(why, err, "could not %s \"%s\": %s", verb, path, reason);
}

static enum err simdisk_missing(const char *verb, const char *path,
                                struct why *why)
{
    return simdisk_fail(ERR_NOT_FOUND, verb, path, "no such file or folder",
                        why);
}

static uint64_t siminode_used(const struct siminode *inode)
{
    bool is_there = inode->names > 0 || inode->handles > 0;

    return is_there ? (uint64_t)inode->live.len : 0;
}

static uint64_t simdisk_used(struct simdisk *sim)
{
    uint64_t used = 0;

    list_each(node, &sim->inodes)
    {
        used += siminode_used(container_of(node, struct siminode, node));
    }
    return used;
}

/* How far the file may reach if it wants to reach to end. */
static uint64_t simdisk_reach(struct simdisk *sim, const struct siminode *inode,
                              uint64_t end)
{
    uint64_t has = siminode_used(inode);
    uint64_t used;

    if (end <= has || sim->limit_bytes == UINT64_MAX) {
        return end;
    }
    used = simdisk_used(sim);
    if (used >= sim->limit_bytes) {
        return MIN(end, has);
    }
    return MIN(end, has + sim->limit_bytes - used);
}

/* ---- the operations: each _locked one runs under the lock ---- */

static enum err sim_open_locked(struct simdisk *sim, const char *path,
                                enum file_mode mode, struct siminode **inode,
                                struct why *why)
{
    char *name;
    struct siminode *folder = simdisk_walk(sim, path, &name);

    if (folder == NULL) {
        return simdisk_missing("open", path, why);
    }
    *inode = map_find(&folder->live_names, str_of(name));
    if (*inode != NULL || mode == FILE_READ || *name == '\0') {
        bool is_root = *name == '\0';

        mem_free(name);
        if (*inode == NULL && !is_root) {
            return simdisk_missing("open", path, why);
        }
        if (mode == FILE_CREATE) {
            return simdisk_fail(ERR_EXISTS, "open", path, "it exists", why);
        }
        if (is_root || (*inode)->is_folder) {
            return simdisk_fail(ERR_DISK, "open", path, "it is a folder", why);
        }
        return ERR_NONE;
    }
    *inode = siminode_new(sim, false);
    simdisk_name(sim, (struct simbinding){folder, name, *inode},
                 (struct simbinding){0});
    return ERR_NONE;
}

static enum err sim_open(struct disk *disk, const char *path,
                         enum file_mode mode, struct file **out,
                         struct why *why)
{
    struct simdisk *sim = simdisk_of(disk);
    struct siminode *inode = NULL;
    struct simfile *file;
    enum err err;

    pthread_mutex_lock(&sim->lock);
    err = sim_open_locked(sim, path, mode, &inode, why);
    if (err == ERR_NONE) {
        file = MEM_NEW(struct simfile);
        file->file = (struct file){disk, -1, mem_dupz(path)};
        file->inode = inode;
        file->life = sim->life;
        inode->refs++;
        inode->handles++;
        *out = &file->file;
    }
    pthread_mutex_unlock(&sim->lock);
    return err;
}

static void sim_close(struct file *file)
{
    struct simfile *handle = container_of(file, struct simfile, file);
    struct simdisk *sim = simdisk_of(file->disk);

    pthread_mutex_lock(&sim->lock);
    handle->inode->handles--;
    siminode_unref(handle->inode);
    pthread_mutex_unlock(&sim->lock);
    mem_free(file->path);
    mem_free(handle);
}

/* Locks, and gives the inode; NULL, unlocked, when the handle is of a life
 * before the crash. */
static struct siminode *sim_enter(struct file *file, const char *verb,
                                  struct why *why)
{
    struct simfile *handle = container_of(file, struct simfile, file);
    struct simdisk *sim = simdisk_of(file->disk);

    pthread_mutex_lock(&sim->lock);
    if (handle->life == sim->life) {
        return handle->inode;
    }
    pthread_mutex_unlock(&sim->lock);
    simdisk_fail(ERR_DISK, verb, file->path, "the power was cut", why);
    return NULL;
}

static enum err sim_leave(struct file *file, enum err err)
{
    pthread_mutex_unlock(&simdisk_of(file->disk)->lock);
    return err;
}

static enum err sim_read(struct file *file, uint64_t position, void *into,
                         size_t bytes, size_t *got, struct why *why)
{
    struct siminode *inode = sim_enter(file, "read", why);

    *got = 0;
    if (inode == NULL) {
        return ERR_DISK;
    }
    if (position < inode->live.len) {
        *got = MIN(bytes, inode->live.len - (size_t)position);
    }
    if (*got > 0) {
        memcpy(into, inode->live.ptr + position, *got);
    }
    return sim_leave(file, ERR_NONE);
}

static void siminode_change(struct simdisk *sim, struct siminode *inode,
                            uint64_t position, const void *data, size_t bytes)
{
    struct simchange *change = MEM_NEW(struct simchange);

    change->position = position;
    change->bytes = bytes;
    change->data = data == NULL ? NULL : (uint8_t *)mem_dup(data, bytes);
    list_push(&inode->changes, &change->node);
    simbytes_apply(&inode->live, change);
    inode->modified_ms = sim->wall_ms;
}

/* A full disk takes what fits of a write, as a real one does. */
static enum err sim_write(struct file *file, uint64_t position,
                          const struct iovec *parts, int count, struct why *why)
{
    struct simdisk *sim = simdisk_of(file->disk);
    struct siminode *inode = sim_enter(file, "write", why);

    if (inode == NULL) {
        return ERR_DISK;
    }
    for (int i = 0; i < count; i++) {
        uint64_t end = position + parts[i].iov_len;
        uint64_t reach = simdisk_reach(sim, inode, end);
        size_t fits = reach > position ? (size_t)(reach - position) : 0;

        if (fits > 0) {
            siminode_change(sim, inode, position, parts[i].iov_base, fits);
        }
        if (reach < end) {
            return sim_leave(file, simdisk_fail(ERR_FULL, "write", file->path,
                                                "the disk is full", why));
        }
        position = end;
    }
    return sim_leave(file, ERR_NONE);
}

static enum err sim_sync(struct file *file, struct why *why)
{
    struct siminode *inode = sim_enter(file, "sync", why);

    if (inode == NULL) {
        return ERR_DISK;
    }
    list_each(node, &inode->changes)
    {
        simbytes_apply(&inode->safe,
                       container_of(node, struct simchange, node));
    }
    siminode_drop_changes(inode);
    simdisk_of(file->disk)->sync_count++;
    return sim_leave(file, ERR_NONE);
}

static enum err sim_truncate(struct file *file, uint64_t bytes, struct why *why)
{
    struct siminode *inode = sim_enter(file, "truncate", why);

    if (inode == NULL) {
        return ERR_DISK;
    }
    if (bytes != inode->live.len) {
        siminode_change(simdisk_of(file->disk), inode, bytes, NULL, 0);
    }
    return sim_leave(file, ERR_NONE);
}

static enum err sim_size(struct file *file, uint64_t *bytes, struct why *why)
{
    struct siminode *inode = sim_enter(file, "read the size of", why);

    if (inode == NULL) {
        return ERR_DISK;
    }
    *bytes = inode->live.len;
    return sim_leave(file, ERR_NONE);
}

/* Whether inode may take the place of old: a file that of a file, a folder that
 * of an empty folder. */
static bool sim_can_replace(const struct siminode *inode,
                            const struct siminode *old)
{
    return old == NULL || (inode->is_folder == old->is_folder &&
                           map_count(&old->live_names) == 0);
}

static enum err sim_rename_locked(struct simdisk *sim, const char *from,
                                  const char *to, struct why *why)
{
    char *from_name = NULL;
    char *to_name = NULL;
    struct siminode *from_folder = simdisk_walk(sim, from, &from_name);
    struct siminode *to_folder = simdisk_walk(sim, to, &to_name);
    struct siminode *inode = NULL;
    enum err err = ERR_NONE;

    if (from_folder != NULL && to_folder != NULL) {
        inode = map_find(&from_folder->live_names, str_of(from_name));
    }
    if (inode == NULL) {
        err = simdisk_missing("rename", from, why);
    } else if (!sim_can_replace(inode, simdisk_find(sim, to))) {
        err = simdisk_fail(ERR_DISK, "rename", from, "something else is there",
                           why);
    } else if (simdisk_find(sim, to) != inode) {
        simdisk_name(sim, (struct simbinding){to_folder, to_name, inode},
                     (struct simbinding){from_folder, from_name, NULL});
        return ERR_NONE;
    }
    mem_free(from_name);
    mem_free(to_name);
    return err;
}

static enum err sim_rename(struct disk *disk, const char *from, const char *to,
                           struct why *why)
{
    struct simdisk *sim = simdisk_of(disk);
    enum err err;

    pthread_mutex_lock(&sim->lock);
    err = sim_rename_locked(sim, from, to, why);
    pthread_mutex_unlock(&sim->lock);
    return err;
}

static enum err sim_remove_kind(struct disk *disk, const char *path,
                                bool is_folder, struct why *why)
{
    struct simdisk *sim = simdisk_of(disk);
    struct siminode *inode;
    enum err err = ERR_NONE;

    pthread_mutex_lock(&sim->lock);
    inode = simdisk_find(sim, path);
    if (inode == NULL) {
        err = simdisk_missing("remove", path, why);
    } else if (inode == sim->root || inode->is_folder != is_folder ||
               map_count(&inode->live_names) > 0) {
        err = simdisk_fail(ERR_DISK, "remove", path,
                           "it is of another kind, or not empty", why);
    } else {
        char *name;
        struct siminode *folder = simdisk_walk(sim, path, &name);

        simdisk_name(sim, (struct simbinding){folder, name, NULL},
                     (struct simbinding){0});
    }
    pthread_mutex_unlock(&sim->lock);
    return err;
}

static enum err sim_remove(struct disk *disk, const char *path, struct why *why)
{
    return sim_remove_kind(disk, path, false, why);
}

static enum err sim_remove_folder(struct disk *disk, const char *path,
                                  struct why *why)
{
    return sim_remove_kind(disk, path, true, why);
}

static enum err sim_make_folder(struct disk *disk, const char *path,
                                struct why *why)
{
    struct simdisk *sim = simdisk_of(disk);
    char *name;
    struct siminode *folder;
    enum err err = ERR_NONE;

    pthread_mutex_lock(&sim->lock);
    folder = simdisk_walk(sim, path, &name);
    if (folder == NULL) {
        err = simdisk_missing("make the folder", path, why);
    } else if (simdisk_find(sim, path) != NULL) {
        mem_free(name);
        err =
            simdisk_fail(ERR_EXISTS, "make the folder", path, "it exists", why);
    } else {
        simdisk_name(sim,
                     (struct simbinding){folder, name, siminode_new(sim, true)},
                     (struct simbinding){0});
    }
    pthread_mutex_unlock(&sim->lock);
    return err;
}

/* A rename between two folders saves what came before it in the other one
 * too: its names must not be older than the rename. So the changes are walked
 * from the newest back, and folders are marked on the way. */
static void simdisk_save_names(struct simdisk *sim, struct siminode *folder)
{
    folder->is_marked = true;
    for (struct list *node = sim->namings.prev; node != &sim->namings;
         node = node->prev) {
        struct simnaming *naming = container_of(node, struct simnaming, node);

        for (int i = 0; i < naming->count; i++) {
            naming->is_marked |= naming->bindings[i].folder->is_marked;
        }
        for (int i = 0; i < naming->count && naming->is_marked; i++) {
            naming->bindings[i].folder->is_marked = true;
        }
    }
    list_each(node, &sim->inodes)
    {
        container_of(node, struct siminode, node)->is_marked = false;
    }
    list_each_safe(node, &sim->namings)
    {
        struct simnaming *naming = container_of(node, struct simnaming, node);

        if (naming->is_marked) {
            simnaming_save(naming);
            simnaming_free(naming);
        }
    }
}

static enum err sim_sync_folder(struct disk *disk, const char *path,
                                struct why *why)
{
    struct simdisk *sim = simdisk_of(disk);
    struct siminode *folder;
    enum err err = ERR_NONE;

    pthread_mutex_lock(&sim->lock);
    folder = simdisk_find(sim, path);
    if (folder == NULL || !folder->is_folder) {
        err = simdisk_missing("sync the folder", path, why);
    } else {
        simdisk_save_names(sim, folder);
        sim->sync_count++;
    }
    pthread_mutex_unlock(&sim->lock);
    return err;
}

struct sim_entry {
    char *name;
    bool is_folder;
};

/* The names are copied first: the callback may change the folder. */
static enum err sim_list(struct disk *disk, const char *path, disk_list_cb each,
                         void *arg, struct why *why)
{
    struct simdisk *sim = simdisk_of(disk);
    struct sim_entry *entries;
    struct siminode *folder;
    size_t count = 0;
    size_t at = 0;
    struct str name;
    void *value;

    pthread_mutex_lock(&sim->lock);
    folder = simdisk_find(sim, path);
    if (folder == NULL || !folder->is_folder) {
        pthread_mutex_unlock(&sim->lock);
        return folder == NULL ? simdisk_missing("read the folder", path, why)
                              : simdisk_fail(ERR_DISK, "read the folder", path,
                                             "it is a file", why);
    }
    entries = mem_alloc(map_count(&folder->live_names) * sizeof(*entries));
    while (map_next(&folder->live_names, &at, &name, &value)) {
        entries[count].name = str_dup(name);
        entries[count++].is_folder = ((struct siminode *)value)->is_folder;
    }
    pthread_mutex_unlock(&sim->lock);
    for (size_t i = 0; i < count; i++) {
        each(arg, entries[i].name, entries[i].is_folder);
        mem_free(entries[i].name);
    }
    mem_free(entries);
    return ERR_NONE;
}

static enum err sim_modified_ms(struct disk *disk, const char *path,
                                int64_t *wall_ms, struct why *why)
{
    struct simdisk *sim = simdisk_of(disk);
    struct siminode *inode;
    enum err err = ERR_NONE;

    pthread_mutex_lock(&sim->lock);
    inode = simdisk_find(sim, path);
    if (inode == NULL) {
        err = simdisk_missing("read the times of", path, why);
    } else {
        *wall_ms = inode->modified_ms;
    }
    pthread_mutex_unlock(&sim->lock);
    return err;
}

static uint64_t sim_free_bytes(struct disk *disk, const char *path)
{
    struct simdisk *sim = simdisk_of(disk);
    uint64_t left = 0;
    uint64_t used;

    (void)path;
    pthread_mutex_lock(&sim->lock);
    used = simdisk_used(sim);
    if (sim->limit_bytes == UINT64_MAX) {
        left = UINT64_MAX;
    } else if (used < sim->limit_bytes) {
        left = sim->limit_bytes - used;
    }
    pthread_mutex_unlock(&sim->lock);
    return left;
}

static const struct disk_ops sim_ops = {
    .open = sim_open,
    .close = sim_close,
    .read = sim_read,
    .write = sim_write,
    .sync = sim_sync,
    .truncate = sim_truncate,
    .size = sim_size,
    .rename = sim_rename,
    .remove = sim_remove,
    .make_folder = sim_make_folder,
    .remove_folder = sim_remove_folder,
    .sync_folder = sim_sync_folder,
    .list = sim_list,
    .modified_ms = sim_modified_ms,
    .free_bytes = sim_free_bytes,
};

/* ---- the crash ---- */

enum crash { CRASH_LOSES, CRASH_KEEPS, CRASH_PREFIX, CRASH_SECTORS };

/* SplitMix64. */
static uint64_t crash_below(struct simdisk *sim, uint64_t limit)
{
    uint64_t z = sim->seed += 0x9e3779b97f4a7c15;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return (z ^ z >> 31) % limit;
}

/* Of a write, the sectors that the coin keeps. */
static void crash_sectors(struct simdisk *sim, struct siminode *inode,
                          const struct simchange *change)
{
    size_t at = 0;

    while (at < change->bytes) {
        uint64_t position = change->position + at;
        size_t count = SECTOR_BYTES - (size_t)(position % SECTOR_BYTES);

        count = MIN(count, change->bytes - at);
        if (crash_below(sim, 2) == 0) {
            simbytes_write(&inode->safe, position, change->data + at, count);
        }
        at += count;
    }
}

/* Of a write, all up to the end of some sector. */
static void crash_tear(struct simdisk *sim, struct siminode *inode,
                       const struct simchange *change)
{
    uint64_t end = change->position + crash_below(sim, change->bytes + 1);

    end -= end % SECTOR_BYTES;
    if (end > change->position) {
        simbytes_write(&inode->safe, change->position, change->data,
                       (size_t)(end - change->position));
    }
}

/* What is left of the unsynced changes of one file. In CRASH_SECTORS the size
 * may be saved though the bytes were not: then zeros are at the end. */
static void crash_file(struct simdisk *sim, struct siminode *inode,
                       enum crash how)
{
    uint64_t count = 0;
    uint64_t kept;
    bool is_cut = false;

    if (list_is_empty(&inode->changes)) {
        return;
    }
    list_each(node, &inode->changes)
    {
        count++;
    }
    kept = how == CRASH_PREFIX ? crash_below(sim, count + 1) : count;
    list_each(node, &inode->changes)
    {
        struct simchange *change = container_of(node, struct simchange, node);

        if (how == CRASH_LOSES || is_cut) {
            break;
        }
        if (how == CRASH_PREFIX && kept == 0) {
            is_cut = true;
            if (change->data != NULL) {
                crash_tear(sim, inode, change);
            }
        } else if (how == CRASH_SECTORS && change->data == NULL) {
            is_cut = crash_below(sim, 2) == 0;
        } else if (how == CRASH_SECTORS) {
            crash_sectors(sim, inode, change);
        }
        if (!is_cut && (how != CRASH_SECTORS || change->data == NULL)) {
            simbytes_apply(&inode->safe, change);
        }
        kept--;
    }
    if (how == CRASH_SECTORS && !is_cut && inode->live.len > inode->safe.len &&
        crash_below(sim, 2) == 0) {
        simbytes_resize(&inode->safe, inode->live.len);
    }
    siminode_drop_changes(inode);
    simbytes_copy(&inode->live, &inode->safe);
}

/* A folder is marked once a change of its names was lost: no later one may be
 * kept. */
static void crash_names(struct simdisk *sim, enum crash how)
{
    list_each(node, &sim->namings)
    {
        struct simnaming *naming = container_of(node, struct simnaming, node);

        for (int i = 0; i < naming->count; i++) {
            naming->bindings[i].folder->left_count++;
        }
    }
    list_each(node, &sim->inodes)
    {
        struct siminode *inode = container_of(node, struct siminode, node);

        if (how == CRASH_LOSES) {
            inode->left_count = 0;
        } else if (how != CRASH_KEEPS) {
            inode->left_count = crash_below(sim, inode->left_count + 1);
        }
    }
    list_each_safe(node, &sim->namings)
    {
        struct simnaming *naming = container_of(node, struct simnaming, node);
        bool is_lost = false;

        for (int i = 0; i < naming->count; i++) {
            struct siminode *folder = naming->bindings[i].folder;

            is_lost |= folder->is_marked || folder->left_count == 0;
            folder->left_count -= folder->left_count > 0 ? 1 : 0;
        }
        for (int i = 0; i < naming->count && is_lost; i++) {
            naming->bindings[i].folder->is_marked = true;
        }
        if (!is_lost) {
            simnaming_save(naming);
        }
    }
}

static void crash_live_names(struct siminode *folder)
{
    struct str name;
    void *value;
    size_t at = 0;

    simnames_clear(&folder->live_names, true);
    while (map_next(&folder->safe_names, &at, &name, &value)) {
        struct siminode *inode = value;

        map_put(&folder->live_names, name, inode);
        inode->refs++;
        inode->names++;
    }
}

/* seed NULL: how says it for all. While names are exchanged, inodes are held,
 * so that the list of them stays. */
static void simdisk_crash_how(struct simdisk *sim, const uint64_t *seed,
                              enum crash how)
{
    struct list *node;

    pthread_mutex_lock(&sim->lock);
    sim->life++;
    sim->seed = seed == NULL ? 0 : *seed;
    list_each(held, &sim->inodes)
    {
        container_of(held, struct siminode, node)->refs++;
    }
    crash_names(sim, seed == NULL ? how : (enum crash)crash_below(sim, 4));
    list_each(each, &sim->inodes)
    {
        struct siminode *inode = container_of(each, struct siminode, node);

        crash_file(sim, inode,
                   seed == NULL ? how : (enum crash)crash_below(sim, 4));
        crash_live_names(inode);
        inode->is_marked = false;
        inode->left_count = 0;
    }
    while (!list_is_empty(&sim->namings)) {
        simnaming_free(container_of(sim->namings.next, struct simnaming, node));
    }
    /* An inode that goes may take others with it; they are held until their
     * turn, and the list is walked by taking from its front. */
    struct list all;

    list_init(&all);
    list_move(&sim->inodes, &all);
    while ((node = list_pop(&all)) != NULL) {
        list_push(&sim->inodes, node);
        siminode_unref(container_of(node, struct siminode, node));
    }
    pthread_mutex_unlock(&sim->lock);
}

void simdisk_crash(struct simdisk *sim, uint64_t seed)
{
    simdisk_crash_how(sim, &seed, CRASH_LOSES);
}

void simdisk_crash_losing_all(struct simdisk *sim)
{
    simdisk_crash_how(sim, NULL, CRASH_LOSES);
}

void simdisk_crash_keeping_all(struct simdisk *sim)
{
    simdisk_crash_how(sim, NULL, CRASH_KEEPS);
}

/* ---- the disk itself ---- */

struct simdisk *simdisk_open(void)
{
    struct simdisk *sim = MEM_NEW(struct simdisk);

    sim->disk.ops = &sim_ops;
    sim->limit_bytes = UINT64_MAX;
    sim->wall_ms = 1767225600000; /* 2026 */
    list_init(&sim->inodes);
    list_init(&sim->namings);
    pthread_mutex_init(&sim->lock, NULL);
    sim->root = siminode_new(sim, true);
    sim->root->refs = 1;
    sim->root->names = 1;
    return sim;
}

void simdisk_close(struct simdisk *sim)
{
    while (!list_is_empty(&sim->namings)) {
        simnaming_free(container_of(sim->namings.next, struct simnaming, node));
    }
    siminode_unref(sim->root);
    must(list_is_empty(&sim->inodes)); /* else a file is open */
    pthread_mutex_destroy(&sim->lock);
    mem_free(sim);
}

struct disk *simdisk_disk(struct simdisk *sim)
{
    return &sim->disk;
}

void simdisk_limit(struct simdisk *sim, uint64_t bytes)
{
    pthread_mutex_lock(&sim->lock);
    sim->limit_bytes = bytes;
    pthread_mutex_unlock(&sim->lock);
}

uint64_t simdisk_used_bytes(struct simdisk *sim)
{
    uint64_t used;

    pthread_mutex_lock(&sim->lock);
    used = simdisk_used(sim);
    pthread_mutex_unlock(&sim->lock);
    return used;
}

void simdisk_wall_ms(struct simdisk *sim, int64_t wall_ms)
{
    pthread_mutex_lock(&sim->lock);
    sim->wall_ms = wall_ms;
    pthread_mutex_unlock(&sim->lock);
}

bool simdisk_rot(struct simdisk *sim, const char *path, uint64_t position,
                 uint8_t mask)
{
    struct siminode *inode;
    bool is_there;

    pthread_mutex_lock(&sim->lock);
    inode = simdisk_find(sim, path);
    is_there = inode != NULL && position < inode->live.len;
    if (is_there) {
        inode->live.ptr[position] ^= mask;
        if (position < inode->safe.len) {
            inode->safe.ptr[position] ^= mask;
        }
    }
    pthread_mutex_unlock(&sim->lock);
    return is_there;
}

uint64_t simdisk_sync_count(struct simdisk *sim)
{
    uint64_t count;

    pthread_mutex_lock(&sim->lock);
    count = sim->sync_count;
    pthread_mutex_unlock(&sim->lock);
    return count;
}
