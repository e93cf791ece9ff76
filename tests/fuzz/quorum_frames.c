/* quorum_frames.c - fuzzes what other nodes may send, up to the library.
 *
 * The first byte chooses: a frame as it is; a frame whose version and CRC are
 * made right, so that what lies behind them is reached; a membership; entries
 * as they come from the disk. What passes the checks must be harmless: a
 * membership is read by the library's own decoder, which knows no bounds. */
#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/must.h"
#include "quorum/check_core.h"
#include "quorum/entry_core.h"
#include "quorum/transport_core.h"
#include "quorum/voters_core.h"
#include "wire/batch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void membership(struct str bytes)
{
    struct voters voters;
    struct raft_configuration c;
    struct raft_buffer buffer = {(void *)(uintptr_t)bytes.ptr, bytes.len};

    if (voters_parse(bytes, &voters) == ERR_NONE) {
        must(raft_configuration_decode(&buffer, &c) == 0);
        must(c.n == voters.count);
        raft_configuration_close(&c);
    }
}

/* What decodes encodes, to the same bytes but for a flag that is not known. */
static void frame(struct str bytes, struct arena *arena)
{
    static const struct check_self self = {.id = 1, .term = 5, .leads = true};
    struct raft_message m;
    struct raft_message again;
    struct str encoded;

    if (transport_decode(bytes, arena, &m) != ERR_NONE) {
        return;
    }
    must(transport_encode(&m, arena, &encoded) == ERR_NONE);
    must(encoded.len == bytes.len);
    must(transport_decode(encoded, arena, &again) == ERR_NONE);
    m.server_id = 2;
    m.server_address = "";
    if (check_message(&self, &m) != ERR_NONE || m.type != RAFT_APPEND_ENTRIES) {
        return;
    }
    for (unsigned i = 0; i < m.append_entries.n_entries; i++) {
        const struct raft_entry *entry = &m.append_entries.entries[i];

        if (entry->type == RAFT_CHANGE) {
            membership(str_sub(entry->buf.base, entry->buf.len));
        }
    }
}

static void entries(struct str bytes, struct arena *arena)
{
    struct entry_run run;
    struct str batch;
    size_t took;

    if (entry_batch_parse(bytes, arena, &run, &took, NULL) == ERR_NONE) {
        must(took <= bytes.len && run.count > 0);
        must(entry_batch_build(&run, 0, arena, &batch) == ERR_NONE);
        must(entry_batch_parse(batch, arena, &run, &took, NULL) == ERR_NONE);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct arena arena = {0};
    uint8_t *copy;

    if (bytes < 1) {
        return 0;
    }
    copy = arena_raw(&arena, bytes - 1);
    memcpy(copy, data + 1, bytes - 1);
    bytes -= 1;
    switch (data[0] % 5) {
    case 1:
        if (bytes >= 8) {
            copy[0] = 1;
            copy[3] = 0;
            bytes_put_u32(copy + 4,
                          crc32c(crc32c(0, copy, 4), copy + 8, bytes - 8));
        }
        /* fall through */
    case 0:
        frame(str_sub(copy, bytes), &arena);
        break;
    case 2:
        membership(str_sub(copy, bytes));
        break;
    case 3:
        if (bytes >= BATCH_HEADER_BYTES) {
            bytes_put_i32(copy + 8, (int32_t)bytes - BATCH_PREFIX_BYTES);
            copy[BATCH_MAGIC_AT] = BATCH_MAGIC;
            batch_seal(copy);
        }
        /* fall through */
    default:
        entries(str_sub(copy, bytes), &arena);
        break;
    }
    arena_reset(&arena);
    return 0;
}
