/* check_core.c - see check_core.h. */
#include "quorum/check_core.h"
#include "quorum/voters_core.h"

/* Terms are Kafka's leader epochs, which are int32. */
static bool check_term(uint64_t term)
{
    return term >= 1 && term <= INT32_MAX;
}

/* Indexes are offsets; one more must fit. */
static bool check_index(uint64_t index)
{
    return index < INT64_MAX;
}

static bool check_entry(const struct raft_entry *entry, uint64_t least,
                        uint64_t most)
{
    struct voters voters;

    if (entry->term < least || entry->term > most || !check_term(entry->term)) {
        return false;
    }
    switch (entry->type) {
    case RAFT_COMMAND:
    case RAFT_BARRIER:
        return true;
    case RAFT_CHANGE:
        return voters_parse(str_sub(entry->buf.base, entry->buf.len),
                            &voters) == ERR_NONE;
    default:
        return false;
    }
}

static bool check_append(const struct raft_append_entries *m)
{
    uint64_t least = m->prev_log_term;

    if (!check_term(m->term) || !check_index(m->leader_commit) ||
        !check_index(m->prev_log_index + m->n_entries) ||
        !check_index(m->prev_log_index) || m->prev_log_term > m->term ||
        (m->prev_log_index == 0) != (m->prev_log_term == 0)) {
        return false;
    }
    for (unsigned i = 0; i < m->n_entries; i++) {
        if (!check_entry(&m->entries[i], least, m->term)) {
            return false;
        }
        least = m->entries[i].term;
    }
    return true;
}

static bool check_vote(const struct raft_request_vote *m, uint64_t sender)
{
    return check_term(m->term) && m->candidate_id == sender &&
           check_index(m->last_log_index) && m->last_log_term <= m->term &&
           (m->last_log_index == 0) == (m->last_log_term == 0);
}

enum err check_message(const struct check_self *self,
                       const struct raft_message *m)
{
    bool fine;

    if (m->server_id == 0 || m->server_id > INT64_MAX ||
        m->server_id == self->id) {
        return ERR_MALFORMED;
    }
    switch (m->type) {
    case RAFT_APPEND_ENTRIES:
        if (self->leads && m->append_entries.term == self->term) {
            return ERR_INVALID;
        }
        fine = check_append(&m->append_entries);
        break;
    case RAFT_APPEND_ENTRIES_RESULT:
        fine = check_term(m->append_entries_result.term) &&
               check_index(m->append_entries_result.last_log_index);
        break;
    case RAFT_REQUEST_VOTE:
        fine = check_vote(&m->request_vote, m->server_id);
        break;
    case RAFT_REQUEST_VOTE_RESULT:
        fine = check_term(m->request_vote_result.term);
        break;
    case RAFT_TIMEOUT_NOW:
        fine = check_term(m->timeout_now.term) &&
               check_index(m->timeout_now.last_log_index);
        break;
    default:
        fine = false;
        break;
    }
    return fine ? ERR_NONE : ERR_MALFORMED;
}
