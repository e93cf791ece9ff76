/* transport.c - frames out and in, and the guards before the library.
 *
 * Out: an AppendEntries of the library names a range; the entries are ours to
 * add, and what is too long for one frame becomes several, each of which is a
 * correct message of its own.
 *
 * In: decoded and checked (transport_core.h, check_core.h), then what the
 * library is known to do wrong with late, old and doubled messages is kept from
 * it (consensus guards, README.md):
 *
 *   G1   an old leader's message is answered by us: the library's answer has an
 *        index that was never set;
 *   G2   the only voter does not take leadership when told to;
 *   G4   a membership is the first of the entries that are fed in one event,
 *        and one that waits is confirmed first;
 *   G5   an answer that is older than what is known is dropped;
 *   G9   what a checkpoint covers is cut off the front of a message;
 *   G12  a pre-vote of an older term is answered with our term.
 *
 * Images of the state machine are not sent in this version: a node that needs
 * entries which no other node has any more does not catch up, and it is said.
 */
#include "base/mem.h"
#include "base/must.h"
#include "base/trace.h"
#include "quorum/check_core.h"
#include "quorum/quorum_private.h"
#include "quorum/transport_core.h"

enum {
    TRANSPORT_ENTRIES_MAX = 1024, /* in one frame */
    /* Unless the first entry alone is longer: that goes by itself. */
    TRANSPORT_PAYLOAD_MAX = 1048576,
};

static void transport_put(struct quorum *q, struct arena *arena,
                          const struct raft_message *message)
{
    struct str frame;

    if (q->options.send != NULL &&
        transport_encode(message, arena, &frame) == ERR_NONE) {
        q->options.send(q->options.arg, message->server_id, frame);
    }
}

/* One frame of entries from m's previous index on; gives how many went in. */
static uint32_t transport_send_entries(struct quorum *q, struct arena *arena,
                                       struct raft_message *m, uint32_t count)
{
    struct raft_append_entries *append = &m->append_entries;
    struct entry *entries;
    uint32_t got = 0;
    struct why why;
    enum err err;

    count = MIN(count, TRANSPORT_ENTRIES_MAX);
    entries = arena_array(arena, count, sizeof(*entries));
    err = storage_read(q->storage,
                       (struct storage_want){
                           .first = append->prev_log_index + 1,
                           .count = count,
                           .bytes_max = TRANSPORT_PAYLOAD_MAX,
                       },
                       arena, entries, &got, &why);
    if (err != ERR_NONE) {
        quorum_fail(q, &why);
        return 0;
    }
    append->n_entries = got;
    append->entries = arena_array(arena, got, sizeof(*append->entries));
    for (uint32_t i = 0; i < got; i++) {
        append->entries[i] = (struct raft_entry){
            .term = (raft_term)entries[i].term,
            .type = (enum raft_entry_type)entries[i].type,
            .buf = {(void *)(uintptr_t)entries[i].payload.ptr,
                    entries[i].payload.len},
        };
    }
    transport_put(q, arena, m);
    return got;
}

static void transport_send_append(struct quorum *q,
                                  const struct raft_message *message)
{
    struct raft_message m = *message;
    struct raft_append_entries *append = &m.append_entries;
    uint32_t left = append->n_entries;

    do {
        struct arena arena = {0};
        uint32_t sent = 0;

        if (left == 0) {
            append->entries = NULL;
            transport_put(q, &arena, &m);
        } else {
            sent = transport_send_entries(q, &arena, &m, left);
        }
        arena_reset(&arena);
        if (sent == 0) {
            return;
        }
        left -= sent;
        append->prev_log_index += sent;
        append->prev_log_term =
            (raft_term)storage_term_of(q->storage, append->prev_log_index);
    } while (left > 0);
}

void transport_send(struct quorum *q, const struct raft_message *message)
{
    struct arena arena = {0};

    if (message->type == RAFT_APPEND_ENTRIES) {
        transport_send_append(q, message);
    } else if (message->type == RAFT_INSTALL_SNAPSHOT) {
        trace(TRACE_WARN,
              "quorum: node %llu needs entries below %llu, which are cut",
              message->server_id,
              (unsigned long long)storage_tail(q->storage)->first);
    } else {
        transport_put(q, &arena, message);
        arena_reset(&arena);
    }
}

static void transport_answer(struct quorum *q, struct raft_message *answer,
                             const struct raft_message *to)
{
    struct arena arena = {0};

    answer->server_id = to->server_id;
    answer->server_address = to->server_address;
    transport_put(q, &arena, answer);
    arena_reset(&arena);
}

/* G1. No leader waits for that index: only the term counts. */
static bool transport_refuse_append(struct quorum *q,
                                    const struct raft_message *m)
{
    struct raft_message answer = {.type = RAFT_APPEND_ENTRIES_RESULT};

    if (m->type != RAFT_APPEND_ENTRIES ||
        m->append_entries.term >= raft_current_term(&q->raft)) {
        return false;
    }
    answer.append_entries_result = (struct raft_append_entries_result){
        .version = 2,
        .term = raft_current_term(&q->raft),
        .rejected = INT64_MAX,
    };
    transport_answer(q, &answer, m);
    return true;
}

/* G12. */
static bool transport_refuse_pre_vote(struct quorum *q,
                                      const struct raft_message *m)
{
    struct raft_message answer = {.type = RAFT_REQUEST_VOTE_RESULT};

    if (m->type != RAFT_REQUEST_VOTE || !m->request_vote.pre_vote ||
        m->request_vote.term >= raft_current_term(&q->raft)) {
        return false;
    }
    answer.request_vote_result = (struct raft_request_vote_result){
        .version = 2,
        .term = raft_current_term(&q->raft),
        .pre_vote = true,
    };
    transport_answer(q, &answer, m);
    return true;
}

/* G5. A late refusal would move what a follower is sent next below what it is
 * known to have. */
static bool transport_is_stale(struct quorum *q, const struct raft_message *m)
{
    const struct raft_append_entries_result *a = &m->append_entries_result;
    raft_index match = 0;

    if (a->term != raft_current_term(&q->raft)) {
        return a->term < raft_current_term(&q->raft);
    }
    if (raft_state(&q->raft) != RAFT_LEADER) {
        return true;
    }
    return a->rejected != 0 &&
           raft_match_index(&q->raft, m->server_id, &match) == 0 &&
           (a->rejected <= match || a->last_log_index < match);
}

/* Votes for an election that is over are read through the wrong half of a
 * union; and one that is for a later round than ours is nobody's. */
static bool transport_is_late_vote(struct quorum *q,
                                   const struct raft_request_vote_result *v)
{
    if (raft_state(&q->raft) != RAFT_CANDIDATE) {
        return true;
    }
    return q->raft.candidate_state.in_pre_vote && v->vote_granted &&
           v->term > raft_current_term(&q->raft) + 1;
}

static bool transport_is_welcome(struct quorum *q, const struct raft_message *m)
{
    switch (m->type) {
    case RAFT_APPEND_ENTRIES_RESULT:
        return !transport_is_stale(q, m);
    case RAFT_REQUEST_VOTE_RESULT:
        return !transport_is_late_vote(q, &m->request_vote_result);
    case RAFT_TIMEOUT_NOW:
        return !step_is_lone_follower(q); /* G2 */
    default:
        return true;
    }
}

/* A larger command than ours are allowed to be would not fit into a segment. */
static bool transport_entries_fit(const struct quorum *q,
                                  const struct raft_append_entries *a)
{
    for (unsigned i = 0; i < a->n_entries; i++) {
        if (a->entries[i].type == RAFT_COMMAND &&
            a->entries[i].buf.len > q->options.limits.command_bytes) {
            trace(TRACE_ERROR,
                  "quorum: a command of %zu bytes was sent, the limit here is "
                  "%u: it must be the same on all nodes",
                  a->entries[i].buf.len,
                  (unsigned)q->options.limits.command_bytes);
            return false;
        }
    }
    return true;
}

static bool transport_contradicts_at(struct quorum *q, uint64_t index,
                                     raft_term term)
{
    int32_t ours = index <= raft_commit_index(&q->raft)
                       ? storage_term_of(q->storage, index)
                       : 0;

    if (ours == 0 || (raft_term)ours == term) {
        return false;
    }
    trace(TRACE_ERROR,
          "quorum: entry %llu of term %d is agreed on, but was sent as one of "
          "term %llu",
          (unsigned long long)index, (int)ours, term);
    return true;
}

/* What is committed here is on a majority, and no leader that was elected has
 * anything else there. The library would end the node; so a liar could. */
static bool transport_contradicts(struct quorum *q,
                                  const struct raft_append_entries *a)
{
    if (transport_contradicts_at(q, a->prev_log_index, a->prev_log_term)) {
        return true;
    }
    for (unsigned i = 0; i < a->n_entries; i++) {
        if (transport_contradicts_at(q, a->prev_log_index + 1 + i,
                                     a->entries[i].term)) {
            return true;
        }
    }
    return false;
}

/* G9. The leader has what our checkpoint covers, for it was agreed on; without
 * this its entries would be refused, for ever if an answer got lost. */
static void transport_skip_covered(struct quorum *q,
                                   struct raft_append_entries *a)
{
    const struct stable_checkpoint *c = storage_checkpoint(q->storage);
    unsigned covered;

    if (a->prev_log_index >= c->index) {
        return;
    }
    covered =
        (unsigned)MIN(c->index - a->prev_log_index, (uint64_t)a->n_entries);
    a->entries += covered;
    a->n_entries -= covered;
    a->prev_log_index = c->index;
    a->prev_log_term = (raft_term)c->term;
}

/* G4, second half. A leader adds a second membership only when the first one is
 * committed, so ours is. */
static void transport_confirm_pending(struct quorum *q,
                                      const struct raft_append_entries *a)
{
    uint64_t pending = q->raft.configuration_uncommitted_index;
    const struct tail *tail = storage_tail(q->storage);
    const struct tail_change *change;

    if (pending == 0 || pending > a->prev_log_index ||
        (raft_term)storage_term_of(q->storage, a->prev_log_index) !=
            a->prev_log_term) {
        return;
    }
    change = tail_change_at(tail, pending);
    if (change != NULL && change->index == pending) {
        step_confirm_early(q, change);
    }
}

/* G4. Runs, each of which has a membership in front or none. */
static void transport_receive_append(struct quorum *q, struct raft_message *m)
{
    struct raft_append_entries *a = &m->append_entries;
    struct raft_entry *entries;
    unsigned left;

    transport_skip_covered(q, a);
    entries = a->entries;
    left = a->n_entries;
    do {
        struct raft_event event = {.type = RAFT_RECEIVE};
        unsigned count = left > 0 ? 1 : 0;
        raft_term last_term;
        void *batch;

        if (count > 0 && entries[0].type == RAFT_CHANGE) {
            transport_confirm_pending(q, a);
        }
        while (count < left && entries[count].type != RAFT_CHANGE) {
            count++;
        }
        batch = count > 0 ? raft_malloc(1) : NULL;
        for (unsigned i = 0; i < count; i++) {
            entries[i].batch = batch;
        }
        last_term = count > 0 ? entries[count - 1].term : 0;
        a->entries = entries;
        a->n_entries = count;
        event.receive.message = m;
        (void)step_run(q, &event);
        a->prev_log_index += count;
        a->prev_log_term = last_term;
        entries += count;
        left -= count;
    } while (left > 0 && !q->broken);
}

/* The sender's address as we know it, a copy: the step may replace it. */
static const char *transport_address(struct quorum *q, struct arena *arena,
                                     uint64_t id)
{
    const struct raft_configuration *c = &q->raft.configuration;

    for (unsigned i = 0; i < c->n; i++) {
        if (c->servers[i].id == id) {
            return arena_str(arena, str_of(c->servers[i].address)).ptr;
        }
    }
    return "";
}

static void transport_deliver(struct quorum *q, struct raft_message *m)
{
    struct raft_event event = {.type = RAFT_RECEIVE};
    struct check_self self = {
        .id = q->options.id,
        .term = raft_current_term(&q->raft),
        .leads = raft_state(&q->raft) == RAFT_LEADER,
    };
    enum err err = check_message(&self, m);

    if (err != ERR_NONE) {
        trace(TRACE_ERROR, "quorum: node %llu sent %s, type %d", m->server_id,
              err == ERR_INVALID ? "as a second leader of our own term"
                                 : "what breaks the protocol",
              (int)m->type);
        return;
    }
    if (transport_refuse_append(q, m) || transport_refuse_pre_vote(q, m) ||
        !transport_is_welcome(q, m)) {
        return;
    }
    if (m->type == RAFT_APPEND_ENTRIES) {
        if (transport_entries_fit(q, &m->append_entries) &&
            !transport_contradicts(q, &m->append_entries)) {
            transport_receive_append(q, m);
        }
        return;
    }
    event.receive.message = m;
    (void)step_run(q, &event);
}

void quorum_receive(struct quorum *q, uint64_t from, struct str frame)
{
    struct arena arena = {0};
    struct raft_message message;
    enum err err;

    if (!q->started || q->broken || q->closing) {
        return;
    }
    err = transport_decode(frame, &arena, &message);
    if (err == ERR_NONE) {
        message.server_id = from;
        message.server_address = transport_address(q, &arena, from);
        transport_deliver(q, &message);
        env_soon(q->env, &q->turn);
    } else {
        trace(TRACE_WARN, "quorum: a frame of node %llu was dropped: %s",
              (unsigned long long)from, err_text(err));
    }
    arena_reset(&arena);
}
