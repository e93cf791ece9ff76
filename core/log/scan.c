/* scan.c - a window that slides over a .log file. */
#include "log/scan.h"

#include "base/crc32c.h"
#include "base/mem.h"
#include "base/must.h"

enum { SCAN_BLOCK_BYTES = 262144, SCAN_BLOCK_BYTES_MIN = 4096 };

void scan_init(struct scan *scan, struct file *file, uint64_t from,
               uint64_t end)
{
    *scan = (struct scan){.file = file, .position = from, .end = end};
    scan->capacity =
        (size_t)MIN(MAX(end - MIN(from, end), (uint64_t)SCAN_BLOCK_BYTES_MIN),
                    (uint64_t)SCAN_BLOCK_BYTES);
    scan->block = mem_alloc(scan->capacity);
}

void scan_fini(struct scan *scan)
{
    mem_free(scan->block);
    scan->block = NULL;
}

/* Lets *at point to bytes bytes at position, or to fewer where the file ends.
 * bytes: at most a block. */
static enum err scan_window(struct scan *scan, uint64_t position, size_t bytes,
                            const uint8_t **at, size_t *got, struct why *why)
{
    bytes = (size_t)MIN((uint64_t)bytes, scan->end - position);
    if (position < scan->block_at ||
        position + bytes > scan->block_at + scan->block_bytes) {
        uint64_t want = MIN(scan->end - position, (uint64_t)scan->capacity);
        enum err err = file_read(scan->file, position, scan->block,
                                 (size_t)want, &scan->block_bytes, why);

        scan->block_at = position;
        if (err) {
            scan->block_bytes = 0;
            return err;
        }
        scan->read_bytes += scan->block_bytes;
    }
    *at = scan->block + (position - scan->block_at);
    *got = MIN(bytes, (size_t)(scan->block_at + scan->block_bytes - position));
    return ERR_NONE;
}

/* The CRC of the batch, block by block: it may be larger than memory is. */
static enum err scan_crc(struct scan *scan, uint64_t position, uint64_t end,
                         uint32_t *crc, struct why *why)
{
    *crc = 0;
    while (position < end) {
        const uint8_t *at = NULL;
        size_t got = 0;
        size_t want = (size_t)MIN(end - position, (uint64_t)scan->capacity);
        enum err err = ERR_NONE;

        if (position < scan->block_at + scan->block_bytes) {
            want = (size_t)MIN((uint64_t)want,
                               scan->block_at + scan->block_bytes - position);
        }
        err = scan_window(scan, position, want, &at, &got, why);
        if (err) {
            return err;
        }
        if (got == 0) {
            return why_set(why, ERR_TORN, "file ends inside the batch");
        }
        *crc = crc32c(*crc, at, got);
        position += got;
    }
    return ERR_NONE;
}

bool scan_has_offsets(const struct batch_header *h)
{
    return h->base_offset >= 0 &&
           h->base_offset < INT64_MAX - h->last_offset_delta;
}

/* The batch at position, header and, unless left out, CRC. */
static enum err scan_at(struct scan *scan, uint64_t position,
                        struct scan_batch *out, struct why *why)
{
    const uint8_t *at = NULL;
    uint64_t left = scan->end - position;
    uint32_t crc = 0;
    size_t got = 0;
    enum err err =
        scan_window(scan, position, BATCH_HEADER_BYTES, &at, &got, why);

    if (err) {
        return err;
    }
    if (got < BATCH_HEADER_BYTES) {
        return why_set(why, ERR_TORN, "file ends inside a batch's header");
    }
    err = batch_header_parse(at, (size_t)left, &out->header);
    if (err) {
        return why_set(why, err, "no batch: %s", err_text(err));
    }
    if (!scan_has_offsets(&out->header)) {
        return why_set(why, ERR_CORRUPT, "no batch: offset %lld",
                       (long long)out->header.base_offset);
    }
    out->position = position;
    if (scan->headers_only) {
        return ERR_NONE;
    }
    err = scan_crc(scan, position + BATCH_ATTRIBUTES_AT,
                   position + (uint32_t)out->header.bytes, &crc, why);
    if (!err && crc != out->header.crc) {
        err = why_set(why, ERR_CORRUPT, "checksum does not match");
    }
    return err;
}

/* The batch at scan->position, which moves behind it, whatever its epoch. */
static enum err scan_step(struct scan *scan, struct scan_batch *out,
                          struct why *why)
{
    enum err err;

    *out = (struct scan_batch){.position = scan->position};
    if (scan->position >= scan->end) {
        return ERR_NOT_FOUND;
    }
    err = scan_at(scan, scan->position, out, why);
    if (!err) {
        scan->position += (uint32_t)out->header.bytes;
    } else if (err == ERR_UNSUPPORTED) {
        err = ERR_CORRUPT;
    }
    return err;
}

/* The batch that was stepped over has the epoch of its offset; else the scan
 * stands before it again. */
static enum err scan_check_epoch(struct scan *scan,
                                 const struct scan_batch *batch,
                                 struct why *why)
{
    int32_t epoch = batch->header.leader_epoch;
    int32_t known = -1;

    if (scan->epoch_of != NULL && !scan->headers_only && epoch != -1) {
        known = scan->epoch_of(scan->epoch_arg, batch->header.base_offset);
    }
    if (known < 0 || epoch == known) {
        return ERR_NONE;
    }
    scan->position = batch->position;
    return why_set(why, ERR_CORRUPT,
                   "its leader epoch is %d where %d was expected", epoch,
                   known);
}

enum err scan_next(struct scan *scan, struct scan_batch *out, struct why *why)
{
    enum err err = scan_step(scan, out, why);

    return err ? err : scan_check_epoch(scan, out, why);
}

/* Whether the batch at scan->position begins in (low, last]. */
static bool scan_is_overtaken(struct scan *scan, int64_t low, int64_t last)
{
    const uint8_t *at = NULL;
    struct batch_header next;
    size_t got = 0;

    if (scan->position >= scan->end ||
        scan_window(scan, scan->position, BATCH_HEADER_BYTES, &at, &got,
                    NULL) ||
        got < BATCH_HEADER_BYTES ||
        batch_header_parse(at, (size_t)(scan->end - scan->position), &next)) {
        return false;
    }
    return next.base_offset > low && next.base_offset <= last;
}

enum err scan_next_in(struct scan *scan, int64_t low, int64_t high,
                      struct scan_batch *out, struct why *why)
{
    enum err err = scan_step(scan, out, why);
    int64_t base = err ? -1 : out->header.base_offset;
    int64_t last = err ? -1 : batch_last_offset(&out->header);

    if (err) {
        return err;
    }
    if (base < low || last < base || last >= high ||
        (base > low && scan_is_overtaken(scan, low, last))) {
        scan->position = out->position;
        return why_set(why, ERR_CORRUPT,
                       "its base offset is %lld where %lld was expected",
                       (long long)base, (long long)low);
    }
    return scan_check_epoch(scan, out, why);
}

enum err scan_load(struct scan *scan, const struct scan_batch *batch,
                   void *into, struct why *why)
{
    return file_read_whole(scan->file, batch->position, into,
                           (size_t)batch->header.bytes, why);
}

/* Whether a good batch of the range begins at position. */
static bool scan_is_batch(struct scan *scan, uint64_t position, int64_t low,
                          int64_t high)
{
    bool headers_only = scan->headers_only;
    uint64_t before = scan->position;
    struct scan_batch batch;
    enum err err;

    scan->headers_only = false;
    scan->position = position;
    err = scan_next_in(scan, low, high, &batch, NULL);
    scan->headers_only = headers_only;
    scan->position = before;
    return !err;
}

enum err scan_resync(struct scan *scan, int64_t low, int64_t high,
                     struct why *why)
{
    const uint8_t *at = NULL;
    size_t got = 0;
    uint64_t position = scan->position;
    uint64_t behind;
    enum err err =
        scan_window(scan, position, BATCH_HEADER_BYTES, &at, &got, why);

    if (err) {
        return err;
    }
    behind = position + (got >= BATCH_PREFIX_BYTES ? batch_bytes(at) : 0);
    if (behind > position && scan_is_batch(scan, behind, low, high)) {
        scan->position = behind;
        return ERR_NONE;
    }
    for (position++; position < scan->end; position++) {
        err = scan_window(scan, position, BATCH_HEADER_BYTES, &at, &got, why);
        if (err) {
            return err;
        }
        if (got < BATCH_HEADER_BYTES) {
            break;
        }
        if (at[BATCH_MAGIC_AT] == BATCH_MAGIC && bytes_get_i64(at) >= low &&
            bytes_get_i64(at) < high &&
            scan_is_batch(scan, position, low, high)) {
            scan->position = position;
            return ERR_NONE;
        }
    }
    scan->position = scan->end;
    return ERR_NOT_FOUND;
}
