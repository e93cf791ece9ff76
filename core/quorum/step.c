/* step.c - raft_step(), and its updates carried out.
 *
 * The library is a function: one event in, one list of duties out. The duties
 * are done in this order, which is the point of the whole file:
 *
 *   1. term and vote, durable before anything else is said or done;
 *   2. entries, into the log; their end on disk is an event of its own;
 *   3. messages, serialised: they may run ahead of (2), never of (1);
 *   4. what was committed and is on disk here is applied.
 *
 * What follows from carrying out one update (a membership to confirm, the
 * barrier of a new term) is fed when the messages of that update are gone,
 * one after the other: step_settle().
 *
 * Guards of ours (README.md has them all): a node that is the only voter never
 * leads in a term that it had before (G2); a leader puts an entry of its own
 * term first, and does not call itself leader before it is applied (G3); a
 * timer in the past is moved ahead (T3). */
#include "base/mem.h"
#include "base/must.h"
#include "quorum/quorum_private.h"
#include "quorum/voters_core.h"

_Static_assert((int)ENTRY_COMMAND == (int)RAFT_COMMAND &&
                   (int)ENTRY_BARRIER == (int)RAFT_BARRIER &&
                   (int)ENTRY_CHANGE == (int)RAFT_CHANGE,
               "types on disk are the library's");

enum {
    STEP_INFLIGHT_ENTRIES = 256,
    STEP_RESTART_DELAY_MS = 5, /* until our writes have ended */
};

/* A barrier says nothing, but the library wants bytes. */
static char step_nothing[8];

static struct raft_buffer step_buffer(const char *ptr, size_t bytes)
{
    /* Only ever read; the library's struct has no const. */
    return (struct raft_buffer){(void *)(uintptr_t)ptr, bytes};
}

static bool step_decode(const char *voters, size_t bytes,
                        struct raft_configuration *out)
{
    struct raft_buffer buffer = step_buffer(voters, bytes);

    return raft_configuration_decode(&buffer, out) == 0;
}

static int32_t step_term(const struct quorum *q)
{
    return (int32_t)raft_current_term(&q->raft);
}

/* The membership in force at the end of the log. */
static void step_last_voters(struct quorum *q, struct voters *out)
{
    const struct tail *tail = storage_tail(q->storage);
    const struct tail_change *change = tail_change_at(tail, tail->last);
    struct str bytes = storage_checkpoint(q->storage)->voters;

    if (change != NULL) {
        bytes = str_sub(change->voters, change->bytes);
    }
    out->count = 0;
    if (bytes.len > 0) {
        must(voters_parse(bytes, out) == ERR_NONE);
    }
}

bool step_is_alone(const struct quorum *q)
{
    return q->lead_term != 0 && q->raft.configuration.n == 1 &&
           q->raft.configuration.servers[0].id == q->options.id;
}

bool step_is_lone_follower(struct quorum *q)
{
    struct voters voters;

    if (raft_state(&q->raft) != RAFT_FOLLOWER) {
        return false;
    }
    step_last_voters(q, &voters);
    return voters_is_lone(&voters, q->options.id);
}

/* Carrying out. */

static void step_keep_term(struct quorum *q)
{
    struct why why;

    if (raft_current_term(&q->raft) > INT32_MAX) {
        quorum_fail_text(q, ERR_INVALID, "there are no more terms");
    } else if (storage_keep_term(q->storage, step_term(q),
                                 raft_voted_for(&q->raft), &why) != ERR_NONE) {
        quorum_fail(q, &why);
    }
}

/* The batch of an update is a token of ours, or the library's barrier. */
static void step_append(struct quorum *q, const struct raft_update *update)
{
    uint64_t first = update->entries.index;
    struct arena scratch = {0};
    struct entry *entries =
        arena_array(&scratch, update->entries.n, sizeof(*entries));

    for (unsigned i = 0; i < update->entries.n; i++) {
        const struct raft_entry *entry = &update->entries.batch[i];

        entries[i] = (struct entry){
            .term = (int32_t)entry->term,
            .type = (enum entry_type)entry->type,
            .payload = str_sub(entry->buf.base, entry->buf.len),
        };
    }
    q->confirmed = MIN(q->confirmed, first - 1);
    storage_append(q->storage, first, entries, update->entries.n,
                   q->raft.configuration.n != 1);
    arena_reset(&scratch);
    raft_free(update->entries.batch[0].batch);
}

static int step_once(struct quorum *q, struct raft_event *event)
{
    struct raft_update update;
    int rv;

    event->time = (raft_time)env_now_ms(q->env);
    event->capacity = 0;
    rv = raft_step(&q->raft, event, &update);
    if (rv != 0) {
        return rv;
    }
    if (update.flags & (RAFT_UPDATE_CURRENT_TERM | RAFT_UPDATE_VOTED_FOR)) {
        step_keep_term(q); /* the macros are bare shifts: never ~ or + */
    }
    if (q->broken) {
        return 0;
    }
    if (update.flags & (RAFT_UPDATE_ENTRIES)) {
        step_append(q, &update);
    }
    if (update.flags & (RAFT_UPDATE_MESSAGES)) {
        for (unsigned i = 0; i < update.messages.n && !q->broken; i++) {
            transport_send(q, &update.messages.batch[i]);
        }
    }
    return 0;
}

/* Anything but a refused submit ends the node: the library's state may be half
 * changed. */
static void step_or_fail(struct quorum *q, struct raft_event *event,
                         const char *what)
{
    int rv = step_once(q, event);

    if (rv != 0) {
        quorum_fail_text(q, ERR_INVALID, "agreement ended, %s: %s", what,
                         raft_strerror(rv));
    }
}

static void step_confirm(struct quorum *q, const struct tail_change *change)
{
    struct raft_event event = {.type = RAFT_CONFIGURATION};

    q->confirmed = change->index;
    event.configuration.index = change->index;
    if (!step_decode(change->voters, change->bytes,
                     &event.configuration.conf)) {
        quorum_fail_text(q, ERR_DAMAGED, "entry %llu is no membership",
                         (unsigned long long)change->index);
        return;
    }
    step_or_fail(q, &event, "when a membership was confirmed");
}

/* An entry of the own term, the first one: always, though the library does so
 * only when there is something to confirm (guard G3). The owner's, if it has
 * one: what it would propose at once is then on disk with the same sync. */
static void step_open_term(struct quorum *q)
{
    uint64_t last = storage_tail(q->storage)->last;
    struct str command = STR_NULL;
    void *batch;
    struct raft_entry entry;
    struct raft_event event = {.type = RAFT_SUBMIT};

    if (storage_term_of(q->storage, last) == step_term(q)) {
        return;
    }
    if (q->options.opening != NULL) {
        command = q->options.opening(q->options.arg);
        must(command.len <= q->options.limits.command_bytes);
    }
    batch = raft_malloc(1);
    entry = (struct raft_entry){
        .term = raft_current_term(&q->raft),
        .type = command.len > 0 ? RAFT_COMMAND : RAFT_BARRIER,
        .buf = command.len > 0
                   ? step_buffer(command.ptr, command.len)
                   : step_buffer(step_nothing, sizeof(step_nothing)),
        .batch = batch,
    };
    event.submit.entries = &entry;
    event.submit.n = 1;
    step_or_fail(q, &event, "when a term was opened");
}

/* Tells what changed about who leads. True when something was fed. */
static bool step_settle_lead(struct quorum *q)
{
    bool leads = raft_state(&q->raft) == RAFT_LEADER;
    raft_id leader = 0;
    const char *address;

    if (q->lead_term != 0 && (!leads || q->lead_term != step_term(q))) {
        q->lead_term = 0;
        quorum_lost_lead(q);
    }
    if (leads && q->lead_term == 0) {
        q->lead_term = step_term(q);
        step_open_term(q);
        return true;
    }
    if (!leads) {
        raft_leader(&q->raft, &leader, &address);
        if (q->leads || q->leader != leader) {
            q->leads = false;
            q->leader = leader;
            if (q->options.on_follow != NULL) {
                q->options.on_follow(q->options.arg, leader);
            }
        }
    }
    return false;
}

static void step_told_lead(struct quorum *q)
{
    q->leads = true;
    q->leader = q->options.id;
    if (q->options.on_lead != NULL) {
        q->options.on_lead(q->options.arg, q->lead_term);
    }
}

/* Applies the next entry that is committed and on disk here (invariant 2);
 * false when there is none. Only now may this node call itself leader (guard
 * G3). */
static bool step_apply_next(struct quorum *q)
{
    const struct tail *tail = storage_tail(q->storage);
    uint64_t index = q->applied + 1;
    struct quorum_machine *machine = q->options.machine;
    struct entry entry;

    if (index > MIN(raft_commit_index(&q->raft), q->raft.last_stored)) {
        return false;
    }
    must(tail_find(tail, index, &entry));
    q->applied = index;
    q->grown_bytes += ENTRY_BYTES + entry.payload.len;
    if (entry.type == ENTRY_COMMAND) {
        q->last_command = index;
        machine->apply(machine, index, entry.term, entry.payload);
    }
    if (!q->leads && q->lead_term == entry.term) {
        step_told_lead(q);
    }
    quorum_applied_to(q, index);
    return true;
}

/* The next membership that is committed and on disk here. Raft hears of it in
 * every run, also of what the machine has had for long. */
static bool step_confirm_next(struct quorum *q)
{
    const struct tail_change *change =
        tail_change_above(storage_tail(q->storage), q->confirmed);

    if (change == NULL ||
        change->index > MIN(raft_commit_index(&q->raft), q->raft.last_stored)) {
        return false;
    }
    step_confirm(q, change);
    return true;
}

/* A time-out in the past would be the same one again, at once and for ever
 * (T3). A voter that is alone waits for nobody. */
static void step_set_timer(struct quorum *q)
{
    raft_time now = (raft_time)env_now_ms(q->env);
    raft_time due = raft_timeout(&q->raft);
    raft_time least = MAX(1, q->options.limits.heartbeat_ms / 4);

    if (q->broken || q->closing || step_is_alone(q)) {
        env_timer_stop(q->env, &q->timer);
        return;
    }
    env_timer_set(q->env, &q->timer, (int64_t)(due > now ? due - now : least));
}

/* The first thing that follows from where the library stands now; false when
 * nothing does. Each of them may feed it, which moves it: then the question is
 * asked anew, from the first on. */
static bool step_settle_one(struct quorum *q)
{
    if (q->broken || q->closing) {
        return false;
    }
    return step_settle_lead(q) || step_confirm_next(q) || step_apply_next(q);
}

static void step_settle(struct quorum *q)
{
    uint64_t keep = step_is_alone(q) ? 0 : q->options.limits.cache_bytes;

    while (step_settle_one(q)) {
    }
    must(list_is_empty(&q->submitted) || q->lead_term != 0 || q->broken ||
         q->closing); /* invariant 3 */
    storage_forget(q->storage, q->applied, keep);
    step_set_timer(q);
}

int step_run(struct quorum *q, struct raft_event *event)
{
    int rv;

    /* invariant 1 */
    must(!q->stepping && q->started && !q->broken);
    q->stepping = true;
    if (event->type == RAFT_SUBMIT) {
        rv = step_once(q, event);
    } else {
        step_or_fail(q, event, "on an event");
        rv = 0;
    }
    if (!q->broken) {
        step_settle(q);
    }
    q->stepping = false;
    return rv;
}

void step_confirm_early(struct quorum *q, const struct tail_change *change)
{
    must(!q->stepping);
    q->stepping = true;
    step_confirm(q, change);
    q->stepping = false;
}

/* The start. */

/* Counts this run, on disk, before anything else is written (storage.c,
 * invariant 3).
 * A single voter elects itself without a new term. What it sent to somebody and
 * lost in a crash could then come again, under the same index and term, with
 * other bytes: it gets a term of its own, in the same write (guard G2). */
static bool step_begin(struct quorum *q)
{
    int32_t term = storage_term(q->storage);
    uint64_t vote = storage_vote(q->storage);
    struct voters voters;
    struct why why;

    step_last_voters(q, &voters);
    if (voters_is_lone(&voters, q->options.id)) {
        if (term == INT32_MAX) {
            quorum_fail_text(q, ERR_INVALID, "there are no more terms");
            return false;
        }
        term++;
        vote = q->options.id;
    }
    if (storage_keep_term(q->storage, term, vote, &why) != ERR_NONE) {
        quorum_fail(q, &why);
        return false;
    }
    return true;
}

static void step_set_up(struct quorum *q)
{
    const struct quorum_limits *limits = &q->options.limits;
    struct voters voters;
    const struct voters_server *own;
    unsigned seed;

    step_last_voters(q, &voters);
    own = voters_find(&voters, q->options.id);
    memset(&q->raft, 0, sizeof(q->raft));
    must(raft_init(&q->raft, NULL, NULL, q->options.id,
                   own == NULL ? "" : own->address) == 0);
    env_random(q->env, &seed, sizeof(seed));
    raft_seed(&q->raft, seed);
    raft_set_election_timeout(&q->raft, limits->election_ms);
    raft_set_heartbeat_timeout(&q->raft, limits->heartbeat_ms);
    raft_set_pre_vote(&q->raft, true);
    raft_set_max_inflight_entries(&q->raft, STEP_INFLIGHT_ENTRIES);
    q->started = true;
}

/* Terms and memberships are all that the library looks at. */
static struct raft_entry *step_entries(const struct quorum *q)
{
    const struct tail *tail = storage_tail(q->storage);
    size_t count = (size_t)(tail->last + 1 - tail->first);
    const struct tail_change *change;
    struct raft_entry *entries;

    if (count == 0) {
        return NULL;
    }
    entries = raft_calloc(count, sizeof(*entries));
    must(entries != NULL);
    for (size_t i = 0; i < count; i++) {
        entries[i].term = (raft_term)tail_term_of(tail, tail->first + i);
        entries[i].type = RAFT_COMMAND;
        entries[i].batch = entries;
    }
    for (uint64_t at = 0; (change = tail_change_above(tail, at)) != NULL;
         at = change->index) {
        struct raft_entry *entry = &entries[change->index - tail->first];

        entry->type = RAFT_CHANGE;
        entry->buf = step_buffer(change->voters, change->bytes);
    }
    return entries;
}

void step_start(struct quorum *q)
{
    const struct tail *tail = storage_tail(q->storage);
    const struct stable_checkpoint *c = storage_checkpoint(q->storage);
    struct raft_snapshot_metadata metadata;
    struct raft_event event = {.type = RAFT_START};
    struct raft_entry *entries;
    int rv;

    if (!step_begin(q)) {
        return;
    }
    step_set_up(q);
    entries = step_entries(q);
    event.start.term = (raft_term)storage_term(q->storage);
    event.start.voted_for = storage_vote(q->storage);
    event.start.start_index = tail->first;
    event.start.entries = entries;
    event.start.n_entries = (unsigned)(tail->last + 1 - tail->first);
    if (c->index > 0) {
        metadata.index = c->index;
        metadata.term = (raft_term)c->term;
        metadata.configuration_index = c->voters_index;
        must(
            step_decode(c->voters.ptr, c->voters.len, &metadata.configuration));
        event.start.metadata = &metadata;
    }
    q->confirmed = c->index;
    q->stepping = true;
    rv = step_once(q, &event);
    if (rv == 0) {
        raft_free(entries);
        step_settle(q);
    } else {
        quorum_fail_text(q, ERR_INVALID, "agreement cannot start: %s",
                         raft_strerror(rv));
    }
    q->stepping = false;
}

/* Events of the outside. A follower that finds itself to be the only voter must
 * not go on in its term: it starts again, when its writes have come to rest,
 * and takes a new one (guard G2). */

void step_persisted(void *arg, uint64_t index)
{
    struct quorum *q = arg;
    struct raft_event event = {.type = RAFT_PERSISTED_ENTRIES};

    if (q->broken || q->closing) {
        return;
    }
    if (!q->started) {
        step_start(q); /* the first start: entry 1 is on disk */
        env_soon(q->env, &q->turn);
        return;
    }
    if (index <= q->raft.last_stored) {
        return;
    }
    event.persisted_entries.index = index;
    (void)step_run(q, &event);
    env_soon(q->env, &q->turn);
}

void step_timer_fire(struct env_timer *timer)
{
    struct quorum *q = container_of(timer, struct quorum, timer);
    struct raft_event event = {.type = RAFT_TIMEOUT};

    if (q->broken || q->closing) {
        return;
    }
    if (!step_is_lone_follower(q)) {
        (void)step_run(q, &event);
    } else if (!storage_is_quiet(q->storage)) {
        env_timer_set(q->env, &q->timer, STEP_RESTART_DELAY_MS);
    } else {
        raft_close(&q->raft, NULL);
        step_start(q);
    }
}
