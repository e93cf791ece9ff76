/* meta.c - one call to each of the three. */
#include "meta/meta.h"

#include "base/mem.h"
#include "base/must.h"

struct meta {
    struct meta_options options;
    struct state state;
    struct state_result result; /* of the last command */
    struct db *db;
    struct images *images;
    bool failed;
    void (*closed)(void *arg);
    void *closed_arg;
};

static void meta_db_failed(void *arg, const struct why *why)
{
    struct meta *meta = arg;

    meta->failed = true;
    meta->options.failed(meta->options.arg, why);
}

enum err meta_open(struct env *env, const struct meta_options *options,
                   struct meta **out, struct why *why)
{
    struct meta *meta = MEM_NEW(struct meta);
    struct db_options db_options = {
        .path = options->path, .failed = meta_db_failed, .failed_arg = meta};
    enum err err = db_open(env, &db_options, &meta->db, why);

    if (err != ERR_NONE) {
        mem_free(meta);
        return err;
    }
    meta->options = *options;
    state_init(&meta->state, options->defaults);
    err = db_load(meta->db, &meta->state, why);
    if (err != ERR_NONE) {
        db_abandon(meta->db);
        state_fini(&meta->state);
        mem_free(meta);
        return err;
    }
    meta->images = images_open(env, &meta->state);
    *out = meta;
    return ERR_NONE;
}

uint64_t meta_applied(const struct meta *meta)
{
    return meta->state.index;
}

void meta_apply(struct meta *meta, uint64_t index, int32_t term,
                struct str command)
{
    struct state_entry entry = {
        .index = index, .term = term, .command = command};
    struct why why;
    enum err err;

    if (index <= meta->state.index || meta->failed) {
        return;
    }
    state_result_fini(&meta->result);
    err = state_apply(&meta->state, &entry, db_rows(meta->db), &meta->result,
                      &why);
    if (err != ERR_NONE) {
        why_wrap(&why, err, "cannot apply the command at index %llu",
                 (unsigned long long)index);
        meta_db_failed(meta, &why);
        return;
    }
    db_applied(meta->db, index, term);
    images_apply(meta->images, &meta->state, &meta->result);
    if (meta->options.on_apply != NULL) {
        meta->options.on_apply(meta->options.arg, &meta->result);
    }
}

const struct state_result *meta_result(const struct meta *meta, uint64_t index)
{
    must(meta->result.index == index);
    return &meta->result;
}

const struct state *meta_state(const struct meta *meta)
{
    return &meta->state;
}

const struct image *meta_image(struct meta *meta)
{
    return images_current(meta->images);
}

void meta_set_controller(struct meta *meta, int32_t broker_id)
{
    images_set_controller(meta->images, broker_id);
}

size_t meta_backlog_bytes(const struct meta *meta)
{
    return db_backlog_bytes(meta->db);
}

void meta_checkpoint(struct meta *meta, struct db_checkpoint *checkpoint)
{
    db_checkpoint(meta->db, checkpoint);
}

static void meta_images_closed(void *arg)
{
    struct meta *meta = arg;
    void (*closed)(void *arg) = meta->closed;
    void *closed_arg = meta->closed_arg;

    state_result_fini(&meta->result);
    state_fini(&meta->state);
    mem_free(meta);
    closed(closed_arg);
}

static void meta_db_closed(void *arg)
{
    struct meta *meta = arg;

    images_close(meta->images, meta_images_closed, meta);
}

void meta_close(struct meta *meta, void (*done)(void *arg), void *arg)
{
    meta->closed = done;
    meta->closed_arg = arg;
    db_close(meta->db, meta_db_closed, meta);
}
