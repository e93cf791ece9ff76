/* lazy_file.c - opened at the first take, counted, given up by fence. */
#include "log/lazy_file.h"

#include "base/mem.h"
#include "base/must.h"
#include "log/names.h"

void lazy_file_init(struct lazy_file *lazy, struct disk *disk,
                    const char *folder, int64_t base, const char *suffix)
{
    *lazy = (struct lazy_file){
        .disk = disk, .folder = folder, .suffix = suffix, .base = base};
    must(pthread_mutex_init(&lazy->lock, NULL) == 0);
}

void lazy_file_reset(struct lazy_file *lazy)
{
    lazy_handle_unref(atomic_exchange(&lazy->handle, NULL));
}

void lazy_file_fini(struct lazy_file *lazy)
{
    lazy_file_reset(lazy);
    (void)pthread_mutex_destroy(&lazy->lock);
}

static struct lazy_handle *lazy_handle_ref(struct lazy_handle *handle)
{
    (void)atomic_fetch_add_explicit(&handle->refs, 1, memory_order_relaxed);
    return handle;
}

void lazy_handle_unref(struct lazy_handle *handle)
{
    if (handle != NULL && atomic_fetch_sub_explicit(
                              &handle->refs, 1, memory_order_acq_rel) == 1) {
        file_close(handle->file);
        mem_free(handle);
    }
}

static enum err lazy_file_open(struct lazy_file *lazy, enum file_mode mode,
                               struct lazy_handle **out, struct why *why)
{
    char path[NAMES_PATH_BYTES];
    struct file *file = NULL;
    enum err err;

    names_path(path, lazy->folder, lazy->base, lazy->suffix);
    err = file_open(lazy->disk, path, lazy->writable ? FILE_WRITE : mode, &file,
                    why);
    if (err) {
        return err;
    }
    *out = MEM_NEW(struct lazy_handle);
    (*out)->file = file;
    atomic_init(&(*out)->refs, 1);
    atomic_store_explicit(&lazy->handle, *out, memory_order_release);
    return ERR_NONE;
}

enum err lazy_file_take(struct lazy_file *lazy, enum file_mode mode,
                        bool in_turn, struct lazy_handle **out, struct why *why)
{
    struct lazy_handle *handle = NULL;
    enum err err = ERR_NONE;

    *out = NULL;
    if (!atomic_load_explicit(&lazy->touched, memory_order_relaxed)) {
        atomic_store_explicit(&lazy->touched, true, memory_order_relaxed);
    }
    if (in_turn) {
        handle = atomic_load_explicit(&lazy->handle, memory_order_acquire);
        if (handle != NULL) {
            *out = lazy_handle_ref(handle);
            return ERR_NONE;
        }
    }
    must(pthread_mutex_lock(&lazy->lock) == 0);
    handle = atomic_load_explicit(&lazy->handle, memory_order_acquire);
    if (handle == NULL) {
        err = lazy_file_open(lazy, mode, &handle, why);
    }
    if (!err) {
        *out = lazy_handle_ref(handle);
    }
    must(pthread_mutex_unlock(&lazy->lock) == 0);
    return err;
}

struct file *lazy_file_find(struct lazy_file *lazy)
{
    struct lazy_handle *handle =
        atomic_load_explicit(&lazy->handle, memory_order_acquire);

    return handle == NULL ? NULL : handle->file;
}

static void lazy_handle_release(struct retired *retired)
{
    lazy_handle_unref(container_of(retired, struct lazy_handle, retired));
}

void lazy_file_forget_idle(struct lazy_file *lazy, struct retire *retire)
{
    struct lazy_handle *handle = NULL;

    if (atomic_exchange_explicit(&lazy->touched, false, memory_order_relaxed)) {
        return;
    }
    must(pthread_mutex_lock(&lazy->lock) == 0);
    handle = atomic_exchange(&lazy->handle, NULL);
    must(pthread_mutex_unlock(&lazy->lock) == 0);
    if (handle != NULL) {
        retire_put(retire, &handle->retired, lazy_handle_release);
    }
}
