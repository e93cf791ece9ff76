/* log_read.c - what readers on any loop may have: a stretch of a file.
 *
 * The list of segments and the visible mark are read apart: either may be newer
 * than the other. A mark in a segment that the list has not yet, or has no
 * more, only means that less is visible for this once. */
#include "log/log_private.h"

#include "base/must.h"

/* How far a reader may see into the segment. */
static uint64_t log_limit(const struct segment *segment,
                          struct view_mark visible)
{
    return segment->base == visible.base
               ? MIN(visible.position, segment_bytes(segment))
               : segment_bytes(segment);
}

/* Where offset is: in which of the list's segments, and where there.
 * Errors: ERR_NOT_FOUND (nothing visible from there on), ERR_DAMAGED,
 * ERR_DISK. */
static enum err log_locate(const struct view_list *list, int64_t offset,
                           struct view_mark visible, struct segment **segment,
                           struct segment_spot *spot)
{
    for (uint32_t i = view_list_floor(list, offset);
         i < list->count && list->segments[i]->base <= visible.base; i++) {
        enum err err;

        *segment = list->segments[i];
        if (segment_damage_of(*segment, offset)) {
            return ERR_DAMAGED;
        }
        err = segment_find(*segment, offset, log_limit(*segment, visible),
                           true, spot, NULL);
        if (err != ERR_NOT_FOUND) {
            return err;
        }
    }
    return ERR_NOT_FOUND;
}

enum err log_read(struct log *log, int64_t offset, uint32_t max_bytes,
                  bool whole_first, struct log_range *out)
{
    struct view_mark visible = view_visible(&log->view);
    struct view_list *list = view_list(&log->view);
    struct segment_damage damage = {0};
    struct segment *segment = NULL;
    struct segment_spot spot;
    struct lazy_handle *handle = NULL;
    uint64_t bytes;
    enum err err;

    *out = (struct log_range){.fd = -1};
    if (offset < log_start_offset(log) || offset > visible.offset) {
        return ERR_OFFSET_OUT_OF_RANGE;
    }
    if (offset == visible.offset || list == NULL) {
        return ERR_NONE;
    }
    err = log_locate(list, offset, visible, &segment, &spot);
    if (err) {
        return err == ERR_NOT_FOUND ? ERR_NONE : err;
    }
    bytes = log_limit(segment, visible);
    if (segment_damage_at(segment, spot.position, &damage)) {
        bytes = MIN(bytes, damage.position);
    }
    bytes -= spot.position;
    if (bytes > max_bytes) {
        bytes = max_bytes < spot.bytes
                    ? max_bytes
                    : segment_trim(segment, spot.position, max_bytes, true);
    }
    if (whole_first) {
        bytes = MAX(bytes, (uint64_t)spot.bytes);
    }
    if (bytes == 0) {
        return ERR_NONE;
    }
    err = segment_take(segment, true, &handle, NULL);
    if (err) {
        return err;
    }
    *out = (struct log_range){.fd = handle->file->fd,
                              .position = spot.position,
                              .bytes = (uint32_t)bytes,
                              .pin = handle};
    return ERR_NONE;
}

uint64_t log_readable_bytes(struct log *log, int64_t offset, uint64_t limit)
{
    struct view_mark visible = view_visible(&log->view);
    struct view_list *list = view_list(&log->view);
    struct segment *segment = NULL;
    struct segment_spot spot;
    uint64_t bytes = 0;
    bool counting = false;

    if (offset < log_start_offset(log) || offset >= visible.offset ||
        list == NULL || log_locate(list, offset, visible, &segment, &spot)) {
        return 0;
    }
    for (uint32_t i = 0; i < list->count && bytes < limit; i++) {
        if (list->segments[i]->base > visible.base) {
            break;
        }
        if (list->segments[i] == segment) {
            counting = true;
            bytes = log_limit(segment, visible) - spot.position;
        } else if (counting) {
            bytes += log_limit(list->segments[i], visible);
        }
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

/* Where the batch at offset begins; where there is none, its segment's end. */
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
    mark = (struct view_mark){offset, segment->base, segment_bytes(segment)};
    if (segment_find(segment, offset, mark.position, true, &spot, NULL) ==
        ERR_NONE) {
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
