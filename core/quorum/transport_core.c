/* transport_core.c - see transport_core.h. */
#include "quorum/transport_core.h"
#include "base/bytes.h"
#include "base/crc32c.h"
#include "wire/reader.h"
#include "wire/writer.h"

enum {
    TRANSPORT_VERSION = 1,
    TRANSPORT_HEAD_BYTES = 8,
    TRANSPORT_CRC_AT = 4,
    FLAG_FIRST = 1,  /* disrupt a leader; granted */
    FLAG_SECOND = 2, /* pre-vote */
};

static uint32_t transport_crc(const uint8_t *frame, size_t bytes)
{
    uint32_t crc = crc32c(0, frame, TRANSPORT_CRC_AT);

    return crc32c(crc, frame + TRANSPORT_HEAD_BYTES,
                  bytes - TRANSPORT_HEAD_BYTES);
}

static void put_u64(struct writer *w, uint64_t v)
{
    writer_i64(w, (int64_t)v);
}

static uint64_t get_u64(struct reader *r)
{
    return (uint64_t)reader_i64(r);
}

static void put_append(struct writer *w, const struct raft_append_entries *m)
{
    put_u64(w, m->term);
    put_u64(w, m->prev_log_index);
    put_u64(w, m->prev_log_term);
    put_u64(w, m->leader_commit);
    writer_u32(w, m->n_entries);
    for (unsigned i = 0; i < m->n_entries; i++) {
        const struct raft_entry *entry = &m->entries[i];

        put_u64(w, entry->term);
        writer_u8(w, (uint8_t)entry->type);
        writer_u32(w, (uint32_t)entry->buf.len);
        writer_raw(w, entry->buf.base, entry->buf.len);
    }
}

static void get_append(struct reader *r, struct arena *arena,
                       struct raft_append_entries *m)
{
    uint32_t count;

    m->term = get_u64(r);
    m->prev_log_index = get_u64(r);
    m->prev_log_term = get_u64(r);
    m->leader_commit = get_u64(r);
    count = reader_u32(r);
    if (count > reader_left(r) / TRANSPORT_ENTRY_BYTES) {
        reader_fail(r);
        return;
    }
    m->n_entries = count;
    m->entries = arena_array(arena, count, sizeof(struct raft_entry));
    for (uint32_t i = 0; i < count; i++) {
        struct raft_entry *entry = &m->entries[i];

        entry->term = get_u64(r);
        entry->type = (enum raft_entry_type)reader_u8(r);
        entry->buf.len = reader_u32(r);
        /* Only ever read; the library's struct has no const. */
        entry->buf.base = (void *)(uintptr_t)reader_take(r, entry->buf.len);
    }
}

static void put_message(struct writer *w, const struct raft_message *m)
{
    const struct raft_append_entries_result *appended =
        &m->append_entries_result;
    const struct raft_request_vote *vote = &m->request_vote;
    const struct raft_request_vote_result *voted = &m->request_vote_result;

    switch (m->type) {
    case RAFT_APPEND_ENTRIES:
        put_append(w, &m->append_entries);
        break;
    case RAFT_APPEND_ENTRIES_RESULT:
        put_u64(w, appended->term);
        put_u64(w, appended->rejected);
        put_u64(w, appended->last_log_index);
        writer_u16(w, appended->features);
        writer_u16(w, appended->capacity);
        break;
    case RAFT_REQUEST_VOTE:
        put_u64(w, vote->term);
        put_u64(w, vote->candidate_id);
        put_u64(w, vote->last_log_index);
        put_u64(w, vote->last_log_term);
        writer_u8(w, (uint8_t)((vote->disrupt_leader ? FLAG_FIRST : 0) |
                               (vote->pre_vote ? FLAG_SECOND : 0)));
        break;
    case RAFT_REQUEST_VOTE_RESULT:
        put_u64(w, voted->term);
        writer_u8(w, (uint8_t)((voted->vote_granted ? FLAG_FIRST : 0) |
                               (voted->pre_vote ? FLAG_SECOND : 0)));
        writer_u16(w, voted->features);
        writer_u16(w, voted->capacity);
        break;
    case RAFT_TIMEOUT_NOW:
        put_u64(w, m->timeout_now.term);
        put_u64(w, m->timeout_now.last_log_index);
        put_u64(w, m->timeout_now.last_log_term);
        break;
    case RAFT_INSTALL_SNAPSHOT:
    default:
        break;
    }
}

static void get_vote(struct reader *r, struct raft_request_vote *m)
{
    uint8_t flags;

    m->term = get_u64(r);
    m->candidate_id = get_u64(r);
    m->last_log_index = get_u64(r);
    m->last_log_term = get_u64(r);
    flags = reader_u8(r);
    m->disrupt_leader = (flags & FLAG_FIRST) != 0;
    m->pre_vote = (flags & FLAG_SECOND) != 0;
}

static void get_message(struct reader *r, struct arena *arena,
                        struct raft_message *m)
{
    uint8_t flags;

    switch (m->type) {
    case RAFT_APPEND_ENTRIES:
        get_append(r, arena, &m->append_entries);
        break;
    case RAFT_APPEND_ENTRIES_RESULT:
        m->append_entries_result.term = get_u64(r);
        m->append_entries_result.rejected = get_u64(r);
        m->append_entries_result.last_log_index = get_u64(r);
        m->append_entries_result.features = reader_u16(r);
        m->append_entries_result.capacity = reader_u16(r);
        break;
    case RAFT_REQUEST_VOTE:
        get_vote(r, &m->request_vote);
        break;
    case RAFT_REQUEST_VOTE_RESULT:
        m->request_vote_result.term = get_u64(r);
        flags = reader_u8(r);
        m->request_vote_result.vote_granted = (flags & FLAG_FIRST) != 0;
        m->request_vote_result.pre_vote = (flags & FLAG_SECOND) != 0;
        m->request_vote_result.features = reader_u16(r);
        m->request_vote_result.capacity = reader_u16(r);
        break;
    case RAFT_TIMEOUT_NOW:
        m->timeout_now.term = get_u64(r);
        m->timeout_now.last_log_index = get_u64(r);
        m->timeout_now.last_log_term = get_u64(r);
        break;
    case RAFT_INSTALL_SNAPSHOT:
    default:
        break;
    }
}

/* Each of the library's messages begins with its version. */
static unsigned char *version_of(struct raft_message *m)
{
    switch (m->type) {
    case RAFT_APPEND_ENTRIES:
        return &m->append_entries.version;
    case RAFT_APPEND_ENTRIES_RESULT:
        return &m->append_entries_result.version;
    case RAFT_REQUEST_VOTE:
        return &m->request_vote.version;
    case RAFT_REQUEST_VOTE_RESULT:
        return &m->request_vote_result.version;
    case RAFT_INSTALL_SNAPSHOT:
        return &m->install_snapshot.version;
    case RAFT_TIMEOUT_NOW:
    default:
        return &m->timeout_now.version;
    }
}

static bool transport_has_frame(enum raft_message_type type)
{
    return type >= RAFT_APPEND_ENTRIES && type <= RAFT_TIMEOUT_NOW &&
           type != RAFT_INSTALL_SNAPSHOT;
}

enum err transport_encode(const struct raft_message *message,
                          struct arena *arena, struct str *frame)
{
    struct raft_message copy = *message;
    struct writer w;
    size_t bytes = TRANSPORT_APPEND_BYTES;

    if (!transport_has_frame(message->type)) {
        return ERR_UNSUPPORTED;
    }
    if (message->type == RAFT_APPEND_ENTRIES) {
        for (unsigned i = 0; i < message->append_entries.n_entries; i++) {
            bytes += TRANSPORT_ENTRY_BYTES +
                     message->append_entries.entries[i].buf.len;
        }
    }
    if (bytes > TRANSPORT_FRAME_BYTES_MAX) {
        return ERR_TOO_LARGE;
    }
    writer_init(&w, arena, bytes);
    writer_u8(&w, TRANSPORT_VERSION);
    writer_u8(&w, (uint8_t)message->type);
    writer_u8(&w, *version_of(&copy));
    writer_u8(&w, 0);
    writer_u32(&w, 0);
    put_message(&w, message);
    *frame = writer_output(&w);
    bytes_put_u32(w.start + TRANSPORT_CRC_AT,
                  transport_crc(w.start, frame->len));
    return ERR_NONE;
}

enum err transport_decode(struct str frame, struct arena *arena,
                          struct raft_message *message)
{
    const uint8_t *at = (const uint8_t *)frame.ptr;
    struct reader r;

    memset(message, 0, sizeof(*message));
    if (frame.len > TRANSPORT_FRAME_BYTES_MAX) {
        return ERR_TOO_LARGE;
    }
    if (frame.len < TRANSPORT_HEAD_BYTES) {
        return ERR_MALFORMED;
    }
    if (at[0] != TRANSPORT_VERSION || at[3] != 0 ||
        !transport_has_frame((enum raft_message_type)at[1])) {
        return ERR_UNSUPPORTED;
    }
    if (bytes_get_u32(at + TRANSPORT_CRC_AT) != transport_crc(at, frame.len)) {
        return ERR_CORRUPT;
    }
    message->type = (enum raft_message_type)at[1];
    *version_of(message) = at[2];
    reader_init(&r, at + TRANSPORT_HEAD_BYTES,
                frame.len - TRANSPORT_HEAD_BYTES);
    get_message(&r, arena, message);
    return reader_finish(&r);
}
