/* tail.c - see tail.h. */
#include "quorum/tail.h"
#include "base/mem.h"
#include "base/must.h"

struct tail_slot {
    struct entry entry;
    struct tail_block *block;
};

enum {
    TAIL_SLOTS_MIN = 64,
};

struct tail_block *tail_block_new(void)
{
    struct tail_block *block = MEM_NEW(struct tail_block);

    block->refs = 1;
    return block;
}

void tail_block_unref(struct tail_block *block)
{
    must(block->refs > 0);
    if (--block->refs == 0) {
        arena_reset(&block->arena);
        mem_free(block);
    }
}

void tail_init(struct tail *tail, uint64_t first)
{
    *tail = (struct tail){
        .first = first,
        .last = first - 1,
        .cached = first,
    };
}

static struct tail_slot *tail_slot_of(const struct tail *tail, uint64_t index)
{
    return &tail->slots[index & (tail->capacity - 1)];
}

static void tail_slot_clear(struct tail *tail, uint64_t index)
{
    struct tail_slot *slot = tail_slot_of(tail, index);

    tail->cached_bytes -= slot->entry.payload.len;
    tail_block_unref(slot->block);
    *slot = (struct tail_slot){0};
}

void tail_fini(struct tail *tail)
{
    tail_cut(tail, tail->first);
    mem_free(tail->slots);
    mem_free(tail->runs);
    mem_free(tail->changes);
}

/* Room for one more slot; a ring that is nearly empty shrinks to its least
 * size, so that one burst does not stay for ever. */
static void tail_make_room(struct tail *tail)
{
    size_t count = (size_t)(tail->last + 1 - tail->cached);
    size_t capacity = tail->capacity;
    struct tail_slot *slots;

    if (count < capacity && (count > 0 || capacity <= TAIL_SLOTS_MIN)) {
        return;
    }
    capacity = count == 0 ? TAIL_SLOTS_MIN : capacity * 2;
    slots = mem_zalloc(capacity * sizeof(*slots));
    for (uint64_t i = tail->cached; i <= tail->last; i++) {
        slots[i & (capacity - 1)] = *tail_slot_of(tail, i);
    }
    mem_free(tail->slots);
    tail->slots = slots;
    tail->capacity = capacity;
}

static void tail_put_run(struct tail *tail, uint64_t first, int32_t term)
{
    if (tail->run_count > 0 && tail->runs[tail->run_count - 1].term == term) {
        return;
    }
    if (tail->run_count == tail->run_capacity) {
        tail->run_capacity = MAX(8, tail->run_capacity * 2);
        tail->runs =
            mem_realloc(tail->runs, tail->run_capacity * sizeof(*tail->runs));
    }
    tail->runs[tail->run_count++] =
        (struct stable_run){.first = first, .term = term};
}

static void tail_put_change(struct tail *tail, uint64_t index,
                            struct str voters)
{
    if (tail->change_count == tail->change_capacity) {
        tail->change_capacity = MAX(2, tail->change_capacity * 2);
        tail->changes = mem_realloc(tail->changes, tail->change_capacity *
                                                       sizeof(*tail->changes));
    }
    tail->changes[tail->change_count++] = (struct tail_change){
        .index = index,
        .voters = mem_dup(voters.ptr, voters.len),
        .bytes = voters.len,
    };
}

void tail_put(struct tail *tail, const struct entry *entry,
              struct tail_block *block)
{
    must(entry->term > 0);
    must(block != NULL || tail->cached == tail->last + 1);
    tail_put_run(tail, tail->last + 1, entry->term);
    if (entry->type == ENTRY_CHANGE) {
        tail_put_change(tail, tail->last + 1, entry->payload);
    }
    if (block == NULL) {
        tail->last++;
        tail->cached = tail->last + 1;
        return;
    }
    tail_make_room(tail);
    tail->last++;
    block->refs++;
    *tail_slot_of(tail, tail->last) =
        (struct tail_slot){.entry = *entry, .block = block};
    tail->cached_bytes += entry->payload.len;
}

void tail_put_runs(struct tail *tail, const struct stable_run *runs,
                   uint32_t count, uint64_t index)
{
    must(tail->last + 1 == tail->first && index + 1 >= tail->first);
    for (uint32_t i = 0; i < count; i++) {
        if (i + 1 < count && runs[i + 1].first <= tail->first) {
            continue;
        }
        tail_put_run(tail, MAX(runs[i].first, tail->first), runs[i].term);
    }
    tail->last = index;
    tail->cached = index + 1;
}

void tail_cut(struct tail *tail, uint64_t index)
{
    must(index >= tail->first);
    for (; tail->last >= index; tail->last--) {
        if (tail->last >= tail->cached) {
            tail_slot_clear(tail, tail->last);
        }
    }
    tail->cached = MIN(tail->cached, tail->last + 1);
    while (tail->run_count > 0 &&
           tail->runs[tail->run_count - 1].first >= index) {
        tail->run_count--;
    }
    while (tail->change_count > 0 &&
           tail->changes[tail->change_count - 1].index >= index) {
        mem_free(tail->changes[--tail->change_count].voters);
    }
}

void tail_cut_head(struct tail *tail, uint64_t first)
{
    uint32_t gone = 0;

    must(first <= tail->last + 1);
    if (first <= tail->first) {
        return;
    }
    tail_forget(tail, first - 1, 0);
    while (gone + 1 < tail->run_count && tail->runs[gone + 1].first <= first) {
        gone++;
    }
    if (tail->run_count > 0) {
        tail->run_count -= gone;
        memmove(tail->runs, tail->runs + gone,
                tail->run_count * sizeof(*tail->runs));
        tail->runs[0].first = first;
        if (first > tail->last) {
            tail->run_count = 0;
        }
    }
    tail->first = first;
}

void tail_forget(struct tail *tail, uint64_t index, uint64_t keep_bytes)
{
    while (tail->cached <= index && tail->cached <= tail->last &&
           (keep_bytes == 0 || tail->cached_bytes > keep_bytes)) {
        tail_slot_clear(tail, tail->cached);
        tail->cached++;
    }
}

void tail_forget_changes(struct tail *tail, uint64_t index)
{
    uint32_t gone = 0;

    while (gone < tail->change_count && tail->changes[gone].index <= index) {
        mem_free(tail->changes[gone++].voters);
    }
    tail->change_count -= gone;
    if (gone > 0 && tail->change_count > 0) {
        memmove(tail->changes, tail->changes + gone,
                tail->change_count * sizeof(*tail->changes));
    }
}

int32_t tail_term_of(const struct tail *tail, uint64_t index)
{
    uint32_t low = 0;
    uint32_t high = tail->run_count;

    if (index < tail->first || index > tail->last) {
        return 0;
    }
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;

        if (tail->runs[middle].first <= index) {
            low = middle;
        } else {
            high = middle;
        }
    }
    must(low < tail->run_count && tail->runs[low].first <= index);
    return tail->runs[low].term;
}

bool tail_find(const struct tail *tail, uint64_t index, struct entry *out)
{
    if (index < tail->cached || index > tail->last) {
        return false;
    }
    *out = tail_slot_of(tail, index)->entry;
    return true;
}

const struct tail_change *tail_change_at(const struct tail *tail,
                                         uint64_t index)
{
    for (uint32_t i = tail->change_count; i > 0; i--) {
        if (tail->changes[i - 1].index <= index) {
            return &tail->changes[i - 1];
        }
    }
    return NULL;
}

const struct tail_change *tail_change_above(const struct tail *tail,
                                            uint64_t index)
{
    for (uint32_t i = 0; i < tail->change_count; i++) {
        if (tail->changes[i].index > index) {
            return &tail->changes[i];
        }
    }
    return NULL;
}
