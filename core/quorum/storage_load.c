/* storage_load.c - from files to a storage, and whether it may vote.
 *
 * 1. The small files: whose folder it is, term and vote, the last checkpoint.
 * 2. The log, recovered: a torn end is cut, damage below it is the end.
 * 3. The terms up to the checkpoint, or up to what the machine has, if that is
 *    less: known without reading. What lies above is read.
 * 4. Whether the log is what this node vouched for: storage_vouch(). */
#include "base/mem.h"
#include "quorum/storage_private.h"

static void storage_log_failed(void *arg, const struct why *why)
{
    storage_fail(arg, why);
}

static enum err storage_load_small(struct storage *storage, struct why *why)
{
    struct disk *disk = storage->env->disk;
    enum err err = stable_load_term(disk, storage->folder, &storage->slots,
                                    &storage->kept, why);

    if (err == ERR_NOT_FOUND) {
        storage->is_new = true;
        storage->kept.id = storage->options.id;
        err = disk_sync_parent(disk, storage->folder, why); /* its name */
    }
    if (err != ERR_NONE) {
        return err;
    }
    if (storage->kept.id != storage->options.id) {
        return why_set(why, ERR_INVALID,
                       "\"%s\" belongs to node %llu, this is node %llu",
                       storage->folder, (unsigned long long)storage->kept.id,
                       (unsigned long long)storage->options.id);
    }
    storage->clean = storage->options.clean_start != 0 &&
                     storage->options.clean_start == storage->kept.starts;
    err = stable_load_checkpoint(disk, storage->folder,
                                 &storage->checkpoint_arena,
                                 &storage->checkpoint, why);
    if (err == ERR_NONE && storage->is_new) {
        err = why_set(why, ERR_DAMAGED,
                      "\"%s\" has a checkpoint, but its term is missing",
                      storage->folder);
    }
    return err == ERR_NOT_FOUND ? ERR_NONE : err;
}

static enum err storage_open_log(struct storage *storage, struct why *why)
{
    char *folder = mem_printf("%s/log", storage->folder);
    struct log_recovery report;
    struct log_options options = {
        .folder = folder,
        .topic = STR_LIT("quorum"),
        .start_offset = 1,
        .config =
            {
                .segment_bytes = storage->options.segment_bytes,
                .segment_ms = INT64_MAX,
                .segment_index_bytes = 65536,
                .index_interval_bytes = 4096,
                .retention_ms = -1,
                .retention_bytes = -1,
                .flush_messages = INT64_MAX,
                .flush_ms = INT64_MAX,
                .flush_commit = true,
            },
        .clean = storage->clean,
        .no_epochs = true,
        .failed = storage_log_failed,
        .failed_arg = storage,
    };
    enum err err =
        log_open(storage->env, &options, &storage->log, &report, why);

    mem_free(folder);
    if (err != ERR_NONE) {
        return err;
    }
    if (report.damaged_offset >= 0) {
        return why_set(why, ERR_DAMAGED,
                       "entry %lld is damaged: file \"%s/log/%s\", position "
                       "%llu; restore the data folder from a backup",
                       (long long)report.damaged_offset, storage->folder,
                       report.damaged_file,
                       (unsigned long long)report.damaged_position);
    }
    if (report.end_offset < report.start_offset || report.start_offset < 1) {
        return why_set(why, ERR_DAMAGED, "the log of entries has no start");
    }
    log_set_visible_end(storage->log, report.end_offset);
    tail_init(&storage->tail, (uint64_t)report.start_offset);
    storage->durable = (uint64_t)report.end_offset - 1;
    return ERR_NONE;
}

/* A batch that was read. Payloads are kept of what the machine has not. */
static enum err storage_take_run(struct storage *storage,
                                 const struct entry_run *run,
                                 struct tail_block *block, struct why *why)
{
    struct tail *tail = &storage->tail;

    for (uint32_t i = 0; i < run->count; i++) {
        const struct entry *entry = &run->entries[i];
        uint64_t index = run->first + i;
        int32_t before = storage_term_of(storage, tail->last);

        if (index <= tail->last) {
            continue;
        }
        if (index != tail->last + 1 || entry->term < before) {
            return why_set(why, ERR_DAMAGED,
                           "entry %llu of term %d follows entry %llu of term "
                           "%d",
                           (unsigned long long)index, (int)entry->term,
                           (unsigned long long)tail->last, (int)before);
        }
        tail_put(tail, entry, index > storage->applied ? block : NULL);
    }
    return ERR_NONE;
}

/* Reads the batches from the one with the next entry on, as many as one range
 * of the log has. */
static enum err storage_scan_range(struct storage *storage,
                                   struct tail_block *block,
                                   struct arena *scratch, struct why *why)
{
    struct log_range range;
    struct str bytes;
    enum err err;
    uint64_t before = storage->tail.last;
    void *into;

    err = log_read(storage->log, (int64_t)before + 1, STORAGE_READ_BYTES, true,
                   &range);
    if (err != ERR_NONE || range.bytes == 0) {
        return why_set(
            why, err == ERR_NONE ? ERR_DAMAGED : err,
            "could not read entry %llu from \"%s/log\"%s",
            (unsigned long long)before + 1, storage->folder,
            err == ERR_DISK ? "" : "; restore the data folder from a backup");
    }
    into = arena_raw(&block->arena, range.bytes);
    err = log_range_read(&range, into, why);
    log_range_unpin(&range);
    bytes = str_sub(into, range.bytes);
    while (err == ERR_NONE && bytes.len > 0) {
        struct entry_run run;
        size_t took = 0;

        err = entry_batch_parse(bytes, scratch, &run, &took, why);
        if (err == ERR_TORN && storage->tail.last > before) {
            return ERR_NONE; /* the range ends inside of a batch */
        }
        if (err == ERR_NONE) {
            err = storage_take_run(storage, &run, block, why);
        }
        bytes = str_sub(bytes.ptr + took, bytes.len - took);
    }
    if (err == ERR_TORN || (err == ERR_NONE && storage->tail.last == before)) {
        return why_set(why, ERR_DAMAGED, "entry %llu cannot be read",
                       (unsigned long long)before + 1);
    }
    return err;
}

static enum err storage_scan(struct storage *storage, uint64_t last,
                             struct why *why)
{
    struct arena scratch = {0};
    enum err err = ERR_NONE;

    while (err == ERR_NONE && storage->tail.last < last) {
        struct tail_block *block = tail_block_new();

        err = storage_scan_range(storage, block, &scratch, why);
        tail_block_unref(block);
        arena_reset(&scratch);
    }
    return err;
}

/* What the terms of the log are, up to the checkpoint or the machine, whichever
 * is lower: known without reading. The rest is read. */
static enum err storage_load_entries(struct storage *storage, struct why *why)
{
    const struct stable_checkpoint *c = &storage->checkpoint;
    struct tail *tail = &storage->tail;
    uint64_t last = storage->durable;
    uint64_t machine = storage->options.machine_applied;
    uint64_t known;
    uint32_t runs = c->run_count;

    storage->last_command = machine;
    storage->applied =
        machine >= c->command_index ? MAX(machine, c->index) : machine;
    known = MIN(storage->applied, c->index);
    if (storage->applied > last) {
        return why_set(why, ERR_DAMAGED,
                       "the log of entries ends at %llu, but %llu was applied: "
                       "this node has lost what it vouched for",
                       (unsigned long long)last,
                       (unsigned long long)storage->applied);
    }
    if (known + 1 < tail->first) {
        return why_set(why, ERR_DAMAGED,
                       "the log of entries begins at %llu, but the machine is "
                       "at %llu: it was put back to an older state",
                       (unsigned long long)tail->first,
                       (unsigned long long)known);
    }
    while (runs > 0 && c->runs[runs - 1].first > known) {
        runs--;
    }
    if (known >= tail->first) {
        if (runs == 0 || c->runs[0].first > tail->first) {
            return why_set(why, ERR_DAMAGED,
                           "the checkpoint does not know the terms of the log");
        }
        tail_put_runs(tail, c->runs, runs, known);
    }
    return storage_scan(storage, last, why);
}

/* Whether the log is one that this node may vote with. */
static enum err storage_vouch(const struct storage *storage, struct why *why)
{
    const struct stable_term *kept = &storage->kept;
    const struct stable_checkpoint *c = &storage->checkpoint;
    const struct tail *tail = &storage->tail;
    int32_t last_term = storage_term_of(storage, tail->last);

    if (last_term < kept->mark_term ||
        (last_term == kept->mark_term && tail->last < kept->mark_index)) {
        return why_set(why, ERR_DAMAGED,
                       "the log of entries ends at %llu of term %d, but %llu "
                       "of term %d was on disk: this node must not vote; "
                       "restore the data folder from a backup",
                       (unsigned long long)tail->last, (int)last_term,
                       (unsigned long long)kept->mark_index,
                       (int)kept->mark_term);
    }
    if (kept->term < last_term) {
        return why_set(why, ERR_DAMAGED,
                       "the log of entries has term %d, the file \"term\" of "
                       "\"%s\" only %d",
                       (int)last_term, storage->folder, (int)kept->term);
    }
    if (c->index == 0 && tail->last > 0 &&
        (tail->change_count == 0 || tail->changes[0].index != 1)) {
        return why_set(why, ERR_DAMAGED,
                       "the log of entries does not begin with the voters");
    }
    return ERR_NONE;
}

enum err storage_load(struct storage *storage, struct why *why)
{
    enum err err = disk_make_folder(storage->env->disk, storage->folder, why);

    if (err == ERR_NONE) {
        err = storage_load_small(storage, why);
    }
    if (err == ERR_NONE) {
        err = storage_open_log(storage, why);
    }
    if (err == ERR_NONE) {
        err = storage_load_entries(storage, why);
    }
    if (err == ERR_NONE) {
        tail_forget_changes(&storage->tail, storage->checkpoint.index);
        err = storage_vouch(storage, why);
    }
    return err;
}
