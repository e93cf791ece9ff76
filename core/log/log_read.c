/* log_read.c - what readers on any loop may have: a stretch of a file.
 *
 * The list of segments and the visible mark are read apart: either may be newer
 * than the other. A mark in a segment that the list has not yet, or has no
 * more, only means that less is visible for this once.
 *
 * Bytes from before this process began are checked before they are given out
 * for the first time (checked.h): a batch that went bad on the disk is reported
 * and never sent, and what is before and behind it is. */
#include "log/log_private.h"

#include "base/must.h"
#include "log/scan.h"

/* Where a reader begins. */
struct log_place {
    uint32_t at; /* in the list */
    struct segment *segment;
    uint64_t limit; /* readers see its bytes below it ... */
    int64_t high;   /* ... and its offsets */
    struct segment_spot spot;
};

/* How far a reader may see into the segment. */
static uint64_t log_limit(const struct segment *segment,
                          struct view_mark visible)
{
    return segment->base == visible.base
               ? MIN(visible.position, segment_bytes(segment))
               : segment_bytes(segment);
}

/* The scan stands before a bad batch, offset or above: reports it, and lets
 * readers step over it from now on. high: where the segment ends. Gives
 * whether it was unknown; the scan moves behind it. */
static bool log_found_damage(struct log *log, struct segment *segment,
                             struct scan *scan, int64_t offset, int64_t high,
                             const struct why *why)
{
    struct segment_damage damage = {
        .position = scan->position, .offset = offset, .end_offset = high};
    struct scan_batch next;

    if (scan_resync(scan, offset + 1, high, NULL) == ERR_NONE) {
        damage.end_position = scan->position;
        if (scan_next(scan, &next, NULL) == ERR_NONE) {
            damage.end_offset = next.header.base_offset;
        }
        scan->position = damage.end_position;
    } else {
        damage.end_position = scan->end;
        scan->position = scan->end;
    }
    if (!segment_add_damage(segment, &damage)) {
        return false;
    }
    log_report_damage(log, NULL, segment, damage.position, offset, why->text);
    return true;
}

/* Lets the scan stand at a batch whose offsets are certain, on the way to
 * offset: the last index entry below it that tells the same as its batch, or
 * the segment's first byte. *low: what may come there. */
static enum err log_verify_from(struct segment *segment, struct scan *scan,
                                int64_t offset, int64_t *low)
{
    for (int64_t key = offset;;) {
        struct index_entry entry = {0};
        struct scan_batch batch;
        bool found = false;
        enum err err =
            index_floor(&segment->offsets, key, true, &entry, &found, NULL);

        if (err || !found) {
            scan->position = 0;
            *low = segment->base;
            return err;
        }
        scan->position = (uint64_t)entry.value;
        if (scan_next(scan, &batch, NULL) == ERR_NONE &&
            batch_last_offset(&batch.header) == entry.key) {
            scan->position = (uint64_t)entry.value;
            *low = batch.header.base_offset;
            return ERR_NONE;
        }
        key = entry.key - 1;
    }
}

/* Looks at all that is passed on the way to offset, up to position to: a batch
 * says itself where it is and how long, and both may be wrong. Gives whether
 * damage was found that was not known. */
static bool log_verify(struct log *log, const struct log_place *place,
                       int64_t offset)
{
    struct segment *segment = place->segment;
    int64_t high = place->high;
    struct lazy_handle *handle = NULL;
    struct scan scan;
    struct why why;
    bool found = false;
    uint64_t from;
    int64_t low = 0;

    if (segment_take(segment, true, &handle, NULL)) {
        return false;
    }
    log_scan_init(log, &scan, handle, 0, place->limit);
    if (log_verify_from(segment, &scan, offset, &low)) {
        scan.position = scan.end;
    }
    from = scan.position;
    while (low <= offset && scan.position < scan.end) {
        struct segment_damage damage = {0};
        struct scan_batch batch;
        enum err err;

        if (segment_damage_at(segment, scan.position, &damage) &&
            damage.position <= scan.position) {
            scan.position = damage.end_position;
            low = MAX(low, damage.end_offset);
            continue;
        }
        err = scan_next_in(&scan, low, high, &batch, &why);
        if (err == ERR_DISK || err == ERR_NOT_FOUND) {
            break;
        }
        if (err) {
            found |= log_found_damage(log, segment, &scan, low, high, &why);
        } else {
            low = batch_last_offset(&batch.header) + 1;
        }
    }
    if (scan.position > from && !segment_forgets_damage(segment)) {
        checked_add(segment->checked, from, scan.position);
    }
    scan_fini(&scan);
    lazy_handle_unref(handle);
    return found;
}

/* Whether all that segment_find() passes on the way to its answer is known to
 * be right. */
static bool log_is_verified(const struct log_place *place, int64_t offset,
                            enum err err)
{
    struct segment *segment = place->segment;
    const struct segment_spot *spot = &place->spot;
    struct index_entry entry = {0};
    bool found = false;
    uint64_t from;

    if (segment->checked == NULL ||
        index_floor(&segment->offsets, offset, true, &entry, &found, NULL)) {
        return true;
    }
    from = found ? (uint64_t)entry.value : 0;
    return checked_has(segment->checked, from,
                       err ? place->limit : spot->position + spot->bytes);
}

/* The place is in this segment of the list. */
static void log_place_in(const struct view_list *list, uint32_t at,
                         struct view_mark visible, struct log_place *place)
{
    *place = (struct log_place){.at = at, .segment = list->segments[at]};
    place->limit = log_limit(place->segment, visible);
    place->high = log_high(list, at, visible);
}

/* Where offset is.
 * Errors: ERR_NOT_FOUND (nothing visible from there on), ERR_DAMAGED,
 * ERR_DISK. */
static enum err log_locate(struct log *log, const struct view_list *list,
                           int64_t offset, struct view_mark visible,
                           struct log_place *place)
{
    for (uint32_t at = view_list_floor(list, offset);
         at < list->count && list->segments[at]->base <= visible.base; at++) {
        enum err err = ERR_NONE;

        log_place_in(list, at, visible, place);
        for (int pass = 0; pass < 2; pass++) {
            if (segment_damage_of(place->segment, offset)) {
                return ERR_DAMAGED;
            }
            err = segment_find(place->segment, offset, place->limit, true,
                               &place->spot, NULL);
            if (err == ERR_DISK || err == ERR_LIMIT ||
                log_is_verified(place, offset, err) ||
                !log_verify(log, place, offset)) {
                break;
            }
        }
        if (err != ERR_NOT_FOUND) {
            return err;
        }
    }
    return ERR_NOT_FOUND;
}

/* The same without a look at the disk, for who follows the log: the batch's
 * size is not known then, and all that there is must do, if it is no more than
 * max_bytes. */
static bool log_locate_near(struct log *log, const struct view_list *list,
                            int64_t offset, struct view_mark visible,
                            uint32_t max_bytes, struct log_place *place)
{
    struct segment *segment;
    struct view_mark hint;
    uint64_t bytes;

    if (!view_hint(&log->view, offset, &hint) || hint.base != visible.base) {
        return false;
    }
    log_place_in(list, view_list_floor(list, offset), visible, place);
    segment = place->segment;
    bytes = place->limit;
    /* What was not checked yet is looked at from where offsets are certain. */
    if (segment->base != hint.base || bytes <= hint.position ||
        bytes - hint.position > max_bytes ||
        atomic_load_explicit(&segment->damages, memory_order_relaxed) != NULL ||
        (segment->checked != NULL &&
         !checked_has(segment->checked, hint.position, bytes))) {
        return false;
    }
    place->spot =
        (struct segment_spot){.position = hint.position,
                              .bytes = (uint32_t)(bytes - hint.position),
                              .base_offset = offset};
    return true;
}

/* Checks what is to be given out; *bytes becomes what may be.
 * Errors: ERR_DAMAGED (the first batch is bad), ERR_DISK. */
static enum err log_check_range(struct log *log, const struct log_place *place,
                                struct lazy_handle *handle, uint64_t *bytes)
{
    struct segment *segment = place->segment;
    uint64_t from = place->spot.position;
    uint64_t end = from + *bytes;
    int64_t offset = place->spot.base_offset;
    struct why why;
    struct scan scan;
    enum err err = ERR_NONE;

    if (segment->checked == NULL || checked_has(segment->checked, from, end)) {
        return ERR_NONE;
    }
    log_scan_init(log, &scan, handle, from, place->limit);
    while (!err && scan.position < end) {
        struct scan_batch batch;

        err = scan_next_in(&scan, offset, place->high, &batch, &why);
        offset = err ? offset : batch_last_offset(&batch.header) + 1;
    }
    if (scan.position > from) {
        checked_add(segment->checked, from, scan.position);
    }
    if (err && err != ERR_DISK) {
        *bytes = scan.position - from;
        err = *bytes == 0 ? ERR_DAMAGED : ERR_NONE;
        (void)log_found_damage(log, segment, &scan, offset, place->high, &why);
    }
    scan_fini(&scan);
    return err;
}

/* The range that begins at the place. */
static enum err log_range(struct log *log, const struct log_place *place,
                          uint64_t bytes, struct log_range *out)
{
    uint64_t position = place->spot.position;
    struct segment_damage damage = {0};
    struct lazy_handle *handle = NULL;
    enum err err;

    if (segment_damage_at(place->segment, position, &damage)) {
        bytes = MIN(bytes, damage.position - position);
    }
    if (bytes == 0) {
        return ERR_NONE;
    }
    err = segment_take(place->segment, true, &handle, NULL);
    if (!err) {
        err = log_check_range(log, place, handle, &bytes);
    }
    if (err) {
        lazy_handle_unref(handle);
        return err;
    }
    *out = (struct log_range){.fd = handle->file->fd,
                              .position = position,
                              .bytes = (uint32_t)bytes,
                              .pin = handle};
    return ERR_NONE;
}

/* Clients know no limits of ours: to them it is the disk, and they retry. */
static enum err log_read_err(enum err err)
{
    return err == ERR_LIMIT ? ERR_DISK : err;
}

enum err log_read(struct log *log, int64_t offset, uint32_t max_bytes,
                  bool whole_first, struct log_range *out)
{
    struct view_mark visible = view_visible(&log->view);
    struct view_list *list = view_list(&log->view);
    struct log_place place;
    uint64_t bytes;
    enum err err;

    *out = (struct log_range){.fd = -1};
    if (offset < log_start_offset(log) || offset > visible.offset) {
        return ERR_OFFSET_OUT_OF_RANGE;
    }
    if (offset == visible.offset || list == NULL) {
        return ERR_NONE;
    }
    if (!log_locate_near(log, list, offset, visible, max_bytes, &place)) {
        err = log_locate(log, list, offset, visible, &place);
        if (err) {
            return err == ERR_NOT_FOUND ? ERR_NONE : log_read_err(err);
        }
    }
    bytes = place.limit - place.spot.position;
    if (bytes > max_bytes) {
        bytes = max_bytes < place.spot.bytes
                    ? max_bytes
                    : segment_trim(place.segment, place.spot.position,
                                   max_bytes, true);
    }
    if (whole_first) {
        bytes = MAX(bytes, (uint64_t)place.spot.bytes);
    }
    return log_read_err(log_range(log, &place, bytes, out));
}

uint64_t log_readable_bytes(struct log *log, int64_t offset, uint64_t limit)
{
    struct view_mark visible = view_visible(&log->view);
    struct view_list *list = view_list(&log->view);
    struct log_place place;
    uint64_t bytes;

    if (offset < log_start_offset(log) || offset >= visible.offset ||
        list == NULL) {
        return 0;
    }
    if (!log_locate_near(log, list, offset, visible, UINT32_MAX, &place) &&
        log_locate(log, list, offset, visible, &place)) {
        return 0;
    }
    bytes = place.limit - place.spot.position;
    for (uint32_t i = place.at + 1; i < list->count && bytes < limit &&
                                    list->segments[i]->base <= visible.base;
         i++) {
        bytes += log_limit(list->segments[i], visible);
    }
    return MIN(bytes, limit);
}

enum err log_range_read(const struct log_range *range, void *into,
                        struct why *why)
{
    struct lazy_handle *handle = range->pin;

    must(handle != NULL || range->bytes == 0);
    return range->bytes == 0 ? ERR_NONE
                             : file_read_whole(handle->file, range->position,
                                               into, range->bytes, why);
}

void log_range_unpin(struct log_range *range)
{
    lazy_handle_unref(range->pin);
    range->pin = NULL;
}

/* Where the batch at offset begins; where there is none, its segment's end. A
 * start reads no old segment for that of its base. */
static struct view_mark log_mark(struct log *log, int64_t offset)
{
    struct segment *segment = log->segments[0];
    struct view_mark mark;
    struct segment_spot spot;

    for (uint32_t i = log->segment_count; i > 0; i--) {
        if (log->segments[i - 1]->base <= offset) {
            segment = log->segments[i - 1];
            break;
        }
    }
    mark = (struct view_mark){.offset = offset,
                              .base = segment->base,
                              .position = segment_bytes(segment)};
    if (offset == segment->base) {
        mark.position = 0;
    } else if (segment_find(segment, offset, mark.position, true, &spot,
                            NULL) == ERR_NONE) {
        mark.position = spot.position;
    }
    return mark;
}

void log_show(struct log *log, int64_t offset)
{
    struct view_mark mark = log_end_mark(log);

    must(offset <= log->end_offset);
    if (offset != mark.offset) {
        mark = offset == log->flush.flushed.offset ? log->flush.flushed
                                                   : log_mark(log, offset);
    }
    view_set_visible(&log->view, mark);
}

void log_set_visible_end(struct log *log, int64_t offset)
{
    if (offset > log_visible_end(log)) {
        log_show(log, offset);
    }
}
