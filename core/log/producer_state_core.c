/* producer_state_core.c - Kafka's rules of idempotence.
 *
 * A chained hash table of small entries; the ids are given out by ourselves,
 * so the hash needs no secret. */
#include "log/producer_state_core.h"

#include "base/mem.h"
#include "log/producer_files_core.h"

enum {
    PRODUCER_STATE_SLOTS_MIN = 16,
};

/* A batch that was taken, and what was known of its producer before. */
struct producer_taken {
    struct batch_header batch;
    int64_t seen_ms;
    bool is_settled;
    bool was_known;
    struct producer_entry before; /* but for its links */
};

static struct producer_state *producer_state_of(struct log_producers *p)
{
    return container_of(p, struct producer_state, producers);
}

static uint32_t producer_state_slot(const struct producer_state *state,
                                    int64_t producer_id)
{
    uint64_t h = (uint64_t)producer_id * UINT64_C(0x9e3779b97f4a7c15);

    return (uint32_t)(h >> 32) & (state->slot_count - 1);
}

static struct producer_entry *
producer_state_entry(const struct producer_state *state, int64_t producer_id)
{
    struct producer_entry *entry = NULL;

    if (state->slot_count > 0) {
        entry = state->slots[producer_state_slot(state, producer_id)];
    }
    while (entry != NULL && entry->producer_id != producer_id) {
        entry = entry->next;
    }
    return entry;
}

const struct producer_entry *
producer_state_find(const struct producer_state *state, int64_t producer_id)
{
    return producer_state_entry(state, producer_id);
}

static void producer_state_insert(struct producer_state *state,
                                  struct producer_entry *entry)
{
    struct producer_entry **slot =
        &state->slots[producer_state_slot(state, entry->producer_id)];

    entry->next = *slot;
    *slot = entry;
}

static void producer_state_grow(struct producer_state *state)
{
    struct producer_entry **old = state->slots;
    uint32_t old_count = state->slot_count;

    state->slot_count = MAX(old_count * 2, (uint32_t)PRODUCER_STATE_SLOTS_MIN);
    state->slots = mem_zalloc(sizeof(*old) * state->slot_count);
    for (uint32_t i = 0; i < old_count; i++) {
        while (old[i] != NULL) {
            struct producer_entry *entry = old[i];

            old[i] = entry->next;
            producer_state_insert(state, entry);
        }
    }
    mem_free(old);
}

static void producer_state_remove(struct producer_state *state,
                                  struct producer_entry *entry)
{
    struct producer_entry **at =
        &state->slots[producer_state_slot(state, entry->producer_id)];

    while (*at != entry) {
        at = &(*at)->next;
    }
    *at = entry->next;
    list_remove(&entry->node);
    mem_free(entry);
    state->count--;
}

/* Gives whether there is room. */
static bool producer_state_forget_some(struct producer_state *state,
                                       struct list *entries)
{
    list_each_safe(node, entries)
    {
        struct producer_entry *entry =
            container_of(node, struct producer_entry, node);

        if (state->count < state->limit) {
            return true;
        }
        if (entry->txn_first_offset < 0) {
            producer_state_remove(state, entry);
        }
    }
    return state->count < state->limit;
}

/* Whoever asks for more ids than a partition remembers makes it forget those
 * that have been silent longest: they may go on with any sequence. Before them
 * those of whom nothing is in the log: on a full disk each client that begins
 * anew is one more. */
static void producer_state_make_room(struct producer_state *state)
{
    if (state->limit > 0 &&
        !producer_state_forget_some(state, &state->refused)) {
        (void)producer_state_forget_some(state, &state->oldest);
    }
}

/* It is now the one that was heard last. */
static void producer_state_file(struct producer_state *state,
                                struct producer_entry *entry, bool awaits)
{
    entry->awaits = awaits;
    list_remove(&entry->node);
    list_push(awaits ? &state->refused : &state->oldest, &entry->node);
}

static struct producer_entry *producer_state_add(struct producer_state *state,
                                                 int64_t producer_id)
{
    struct producer_entry *entry = MEM_NEW(struct producer_entry);

    producer_state_make_room(state);
    if (state->count >= state->slot_count) {
        producer_state_grow(state);
    }
    *entry = (struct producer_entry){.producer_id = producer_id,
                                     .epoch = -1,
                                     .coordinator_epoch = -1,
                                     .seen_ms = -1,
                                     .txn_first_offset = -1};
    producer_state_insert(state, entry);
    list_push(&state->oldest, &entry->node);
    state->count++;
    return entry;
}

struct producer_entry *producer_state_put(struct producer_state *state,
                                          int64_t producer_id)
{
    struct producer_entry *entry = producer_state_entry(state, producer_id);

    return entry != NULL ? entry : producer_state_add(state, producer_id);
}

void producer_state_clear(struct producer_state *state)
{
    for (uint32_t i = 0; i < state->slot_count; i++) {
        while (state->slots[i] != NULL) {
            struct producer_entry *entry = state->slots[i];

            state->slots[i] = entry->next;
            mem_free(entry);
        }
    }
    list_init(&state->oldest);
    list_init(&state->refused);
    state->count = 0;
    mem_free(state->taken);
    state->taken = NULL;
    state->taken_count = 0;
    state->taken_capacity = 0;
}

void producer_state_fini(struct producer_state *state)
{
    producer_state_clear(state);
    mem_free(state->slots);
    state->slots = NULL;
    state->slot_count = 0;
}

static void producer_state_expire_some(struct producer_state *state,
                                       struct list *entries, int64_t wall_ms)
{
    list_each_safe(node, entries)
    {
        struct producer_entry *entry =
            container_of(node, struct producer_entry, node);

        if (entry->txn_first_offset < 0 &&
            wall_ms - entry->seen_ms >= state->expiration_ms) {
            producer_state_remove(state, entry);
        }
    }
}

void producer_state_expire(struct producer_state *state, int64_t wall_ms)
{
    producer_state_expire_some(state, &state->oldest, wall_ms);
    producer_state_expire_some(state, &state->refused, wall_ms);
}

/* The cached batch with exactly these sequences; NULL: none. */
static const struct producer_batch *
producer_state_duplicate(const struct producer_entry *entry,
                         const struct batch_header *batch)
{
    for (uint8_t i = 0; i < entry->count; i++) {
        const struct producer_batch *seen = &entry->batches[i];

        if (seen->offset_delta == batch->last_offset_delta &&
            seen->last_sequence == batch_last_sequence(batch)) {
            return seen;
        }
    }
    return NULL;
}

enum err producer_state_check(const struct producer_state *state,
                              const struct batch_header *batch, bool *duplicate,
                              int64_t *base_offset)
{
    const struct producer_entry *entry = NULL;
    int32_t expected = 0;

    *duplicate = false;
    if (batch->producer_id < 0) {
        return ERR_NONE;
    }
    entry = producer_state_entry(state, batch->producer_id);
    if (entry == NULL || entry->epoch < 0) {
        return ERR_NONE;
    }
    if (batch->producer_epoch == entry->epoch) {
        const struct producer_batch *seen =
            producer_state_duplicate(entry, batch);

        if (seen != NULL) {
            *duplicate = true;
            *base_offset = seen->last_offset - seen->offset_delta;
            return ERR_NONE;
        }
    }
    if (batch->producer_epoch < entry->epoch) {
        return ERR_INVALID_PRODUCER_EPOCH;
    }
    if (batch->producer_epoch == entry->epoch && entry->awaits) {
        expected = entry->awaited_sequence;
    } else if (batch->producer_epoch == entry->epoch && entry->count > 0) {
        expected = batch_sequence_add(
            entry->batches[entry->count - 1].last_sequence, 1);
    }
    if (batch->base_sequence != expected) {
        return ERR_OUT_OF_ORDER_SEQUENCE_NUMBER;
    }
    if (entry->txn_first_offset >= 0 &&
        (batch->attributes & BATCH_TRANSACTIONAL) == 0) {
        return ERR_INVALID_TXN_STATE;
    }
    return ERR_NONE;
}

/* A marker: int16 key version and type, then int16 value version and the
 * coordinator's epoch lie in the record; here only the header is looked at. */
static void producer_state_note_marker(struct producer_entry *entry,
                                       const struct batch_header *batch)
{
    if (batch->producer_epoch > entry->epoch) {
        entry->epoch = batch->producer_epoch;
        entry->count = 0;
    }
    entry->txn_first_offset = -1;
}

void producer_state_note(struct producer_state *state,
                         const struct batch_header *batch, int64_t seen_ms)
{
    struct producer_entry *entry = NULL;
    struct producer_batch *newest = NULL;

    if (batch->producer_id < 0) {
        return;
    }
    entry = producer_state_put(state, batch->producer_id);
    producer_state_file(state, entry, false);
    entry->seen_ms = MAX(entry->seen_ms, seen_ms);
    if ((batch->attributes & BATCH_CONTROL) != 0) {
        producer_state_note_marker(entry, batch);
        return;
    }
    if (entry->count > 0 && entry->batches[entry->count - 1].last_offset >=
                                batch_last_offset(batch)) {
        return;
    }
    if (batch->producer_epoch != entry->epoch) {
        entry->epoch = batch->producer_epoch;
        entry->count = 0;
    }
    if (entry->count == PRODUCER_STATE_DEPTH) {
        memmove(entry->batches, entry->batches + 1,
                sizeof(entry->batches[0]) * (PRODUCER_STATE_DEPTH - 1));
        entry->count--;
    }
    newest = &entry->batches[entry->count++];
    *newest =
        (struct producer_batch){.last_sequence = batch_last_sequence(batch),
                                .offset_delta = batch->last_offset_delta,
                                .last_offset = batch_last_offset(batch),
                                .timestamp = batch->max_timestamp};
    if ((batch->attributes & BATCH_TRANSACTIONAL) != 0 &&
        entry->txn_first_offset < 0) {
        entry->txn_first_offset = batch->base_offset;
    }
}

void producer_state_refuse(struct producer_state *state,
                           const struct batch_header *batch, int64_t seen_ms)
{
    struct producer_entry *entry;

    /* Who is known has a sequence to come with already. */
    if (batch->producer_id < 0 || (batch->attributes & BATCH_CONTROL) != 0 ||
        producer_state_entry(state, batch->producer_id) != NULL) {
        return;
    }
    entry = producer_state_add(state, batch->producer_id);
    entry->epoch = batch->producer_epoch;
    entry->seen_ms = seen_ms;
    entry->awaited_sequence = batch->base_sequence;
    producer_state_file(state, entry, true);
}

void producer_state_take(struct producer_state *state,
                         const struct batch_header *batch, int64_t seen_ms)
{
    struct producer_taken *taken;
    const struct producer_entry *entry;

    if (batch->producer_id < 0) {
        return;
    }
    if (state->taken_count == state->taken_capacity) {
        state->taken_capacity = MAX(state->taken_capacity * 2, 4U);
        state->taken = mem_realloc(state->taken, sizeof(state->taken[0]) *
                                                     state->taken_capacity);
    }
    entry = producer_state_entry(state, batch->producer_id);
    taken = &state->taken[state->taken_count++];
    taken->batch = *batch;
    taken->seen_ms = seen_ms;
    taken->is_settled = false;
    taken->was_known = entry != NULL;
    if (entry != NULL) {
        taken->before = *entry;
    }
    producer_state_note(state, batch, seen_ms);
}

/* The first n that were taken are forgotten. Most logs are idle: what is empty
 * has no memory. */
static void producer_state_drop_taken(struct producer_state *state, uint32_t n)
{
    state->taken_count -= n;
    if (state->taken_count > 0) {
        memmove(state->taken, state->taken + n,
                sizeof(state->taken[0]) * state->taken_count);
        return;
    }
    mem_free(state->taken);
    state->taken = NULL;
    state->taken_capacity = 0;
}

void producer_state_settle(struct producer_state *state, int64_t end_offset)
{
    uint32_t first = 0;

    for (uint32_t i = 0; i < state->taken_count; i++) {
        struct producer_taken *taken = &state->taken[i];

        taken->is_settled =
            taken->is_settled || batch_last_offset(&taken->batch) < end_offset;
        if (taken->is_settled && first == i) {
            first++;
        }
    }
    if (first > 0) {
        producer_state_drop_taken(state, first);
    }
}

/* The producer is what it was before the batch was taken. */
static void producer_state_undo(struct producer_state *state,
                                const struct producer_taken *taken)
{
    int64_t id = taken->batch.producer_id;
    struct producer_entry *entry = producer_state_entry(state, id);
    struct producer_entry *next;
    struct list node;

    if (!taken->was_known) {
        if (entry != NULL) {
            producer_state_remove(state, entry);
        }
        return;
    }
    /* It may have gone meanwhile, for want of room. */
    entry = producer_state_put(state, id);
    next = entry->next;
    node = entry->node;
    *entry = taken->before;
    entry->next = next;
    entry->node = node;
    producer_state_file(state, entry, entry->awaits);
}

void producer_state_give_back(struct producer_state *state)
{
    uint32_t count = state->taken_count;

    for (uint32_t i = count; i > 0; i--) {
        producer_state_undo(state, &state->taken[i - 1]);
    }
    for (uint32_t i = 0; i < count; i++) {
        const struct producer_taken *taken = &state->taken[i];

        /* A range that was reserved may be settled before one below it. */
        if (taken->is_settled) {
            producer_state_note(state, &taken->batch, taken->seen_ms);
        } else {
            producer_state_refuse(state, &taken->batch, taken->seen_ms);
        }
    }
    if (count > 0) {
        producer_state_drop_taken(state, count);
    }
}

static enum err producer_state_on_check(struct log_producers *producers,
                                        const struct batch_header *batch,
                                        bool *duplicate, int64_t *base_offset)
{
    return producer_state_check(producer_state_of(producers), batch, duplicate,
                                base_offset);
}

static void producer_state_on_refuse(struct log_producers *producers,
                                     const struct batch_header *batch,
                                     int64_t seen_ms)
{
    producer_state_refuse(producer_state_of(producers), batch, seen_ms);
}

static void producer_state_on_take(struct log_producers *producers,
                                   const struct batch_header *batch,
                                   int64_t seen_ms)
{
    producer_state_take(producer_state_of(producers), batch, seen_ms);
}

static void producer_state_on_settle(struct log_producers *producers,
                                     int64_t end_offset)
{
    producer_state_settle(producer_state_of(producers), end_offset);
}

static void producer_state_on_give_back(struct log_producers *producers)
{
    producer_state_give_back(producer_state_of(producers));
}

static void producer_state_on_note(struct log_producers *producers,
                                   const struct batch_header *batch,
                                   int64_t seen_ms)
{
    producer_state_note(producer_state_of(producers), batch, seen_ms);
}

static void producer_state_on_reset(struct log_producers *producers)
{
    producer_state_clear(producer_state_of(producers));
}

static void producer_state_on_save(struct log_producers *producers,
                                   int64_t before_offset, char **kafka,
                                   size_t *kafka_bytes, char **deep,
                                   size_t *deep_bytes)
{
    struct producer_state *state = producer_state_of(producers);

    *kafka = producer_files_encode_kafka(state, before_offset, kafka_bytes);
    *deep = producer_files_encode_deep(state, before_offset, deep_bytes);
}

static enum err producer_state_on_load(struct log_producers *producers,
                                       struct str kafka, struct str deep,
                                       int64_t saved_ms)
{
    struct producer_state *state = producer_state_of(producers);

    if (!str_is_null(deep)) {
        return producer_files_decode_deep(state, deep);
    }
    return producer_files_decode_kafka(state, kafka, saved_ms);
}

static void producer_state_on_expire(struct log_producers *producers,
                                     int64_t wall_ms)
{
    producer_state_expire(producer_state_of(producers), wall_ms);
}

void producer_state_init(struct producer_state *state, int64_t expiration_ms)
{
    *state = (struct producer_state){
        .producers = {.check = producer_state_on_check,
                      .refuse = producer_state_on_refuse,
                      .take = producer_state_on_take,
                      .settle = producer_state_on_settle,
                      .give_back = producer_state_on_give_back,
                      .note = producer_state_on_note,
                      .reset = producer_state_on_reset,
                      .save = producer_state_on_save,
                      .load = producer_state_on_load,
                      .expire = producer_state_on_expire},
        .expiration_ms = expiration_ms};
    list_init(&state->oldest);
    list_init(&state->refused);
}
