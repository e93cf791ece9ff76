/* epochs_core.c - the list, its questions, its text. */
#include "log/epochs_core.h"

#include "base/mem.h"
#include <stdio.h>

enum { EPOCHS_LINE_BYTES = 40 };

void epochs_fini(struct epochs *epochs)
{
    mem_free(epochs->entries);
    *epochs = (struct epochs){0};
}

static void epochs_push(struct epochs *epochs, int32_t epoch, int64_t offset)
{
    if (epochs->count == epochs->capacity) {
        epochs->capacity = MAX(epochs->capacity * 2, 4U);
        epochs->entries = mem_realloc(
            epochs->entries, sizeof(epochs->entries[0]) * epochs->capacity);
    }
    epochs->entries[epochs->count++] =
        (struct epochs_entry){.start_offset = offset, .epoch = epoch};
}

bool epochs_assign(struct epochs *epochs, int32_t epoch, int64_t offset)
{
    bool changed = false;

    if (epoch < 0) {
        return false;
    }
    if (epochs_last(epochs) > epoch && epochs_last_start(epochs) == offset) {
        epochs->count--;
        changed = true;
    }
    if (epoch > epochs_last(epochs)) {
        (void)epochs_cut_end(epochs, offset);
        epochs_push(epochs, epoch, offset);
        changed = true;
    }
    return changed;
}

bool epochs_cut_end(struct epochs *epochs, int64_t offset)
{
    uint32_t before = epochs->count;

    while (epochs->count > 0 &&
           epochs->entries[epochs->count - 1].start_offset >= offset) {
        epochs->count--;
    }
    return epochs->count != before;
}

bool epochs_cut_start(struct epochs *epochs, int64_t offset)
{
    uint32_t below = 0;

    while (below < epochs->count &&
           epochs->entries[below].start_offset <= offset) {
        below++;
    }
    if (below == 0 ||
        (below == 1 && epochs->entries[0].start_offset == offset)) {
        return false;
    }
    memmove(epochs->entries, epochs->entries + below - 1,
            sizeof(epochs->entries[0]) * (epochs->count - below + 1));
    epochs->count -= below - 1;
    epochs->entries[0].start_offset = offset;
    return true;
}

int32_t epochs_last(const struct epochs *epochs)
{
    return epochs->count == 0 ? -1 : epochs->entries[epochs->count - 1].epoch;
}

int64_t epochs_last_start(const struct epochs *epochs)
{
    return epochs->count == 0 ? -1
                              : epochs->entries[epochs->count - 1].start_offset;
}

int32_t epochs_of(const struct epochs *epochs, int64_t offset)
{
    uint32_t i = epochs->count;

    while (i > 0 && epochs->entries[i - 1].start_offset > offset) {
        i--;
    }
    return i == 0 ? -1 : epochs->entries[i - 1].epoch;
}

int32_t epochs_for(const struct epochs *epochs, int64_t offset, int32_t epoch)
{
    return offset < epochs_last_start(epochs)
               ? epochs_of(epochs, offset)
               : MAX(epoch, epochs_of(epochs, offset - 1));
}

enum epochs_verdict epochs_judge(const struct epochs *epochs, int64_t offset,
                                 int32_t epoch)
{
    int32_t known = epochs_of(epochs, offset);
    int64_t last_start = epochs_last_start(epochs);

    if (epoch == -1 || epoch == known) {
        return EPOCHS_FITS;
    }
    if (offset < last_start) {
        /* What began later was listed later: the list knows all of this. */
        return known < 0 ? EPOCHS_FITS : EPOCHS_WRONG;
    }
    if (epoch > epochs_last(epochs)) {
        return EPOCHS_NEW;
    }
    /* The last may have lost its batches, to a cut; then others came. */
    return epoch >= 0 && offset == last_start &&
                   epoch >= epochs_of(epochs, offset - 1)
               ? EPOCHS_NEW
               : EPOCHS_WRONG;
}

void epochs_end(const struct epochs *epochs, int32_t epoch, int64_t log_end,
                int32_t *found_epoch, int64_t *end_offset)
{
    uint32_t above = 0;

    *found_epoch = -1;
    *end_offset = -1;
    if (epoch < 0 || epochs->count == 0 || epoch > epochs_last(epochs)) {
        return;
    }
    if (epoch == epochs_last(epochs)) {
        *found_epoch = epoch;
        *end_offset = log_end;
        return;
    }
    while (epochs->entries[above].epoch <= epoch) {
        above++;
    }
    *found_epoch = above == 0 ? epoch : epochs->entries[above - 1].epoch;
    *end_offset = epochs->entries[above].start_offset;
}

char *epochs_encode(const struct epochs *epochs, size_t *bytes)
{
    size_t capacity = (size_t)(epochs->count + 2) * EPOCHS_LINE_BYTES;
    char *text = mem_alloc(capacity);
    int at = snprintf(text, capacity, "0\n%u\n", epochs->count);

    for (uint32_t i = 0; i < epochs->count; i++) {
        at += snprintf(text + at, capacity - (size_t)at, "%d %lld\n",
                       epochs->entries[i].epoch,
                       (long long)epochs->entries[i].start_offset);
    }
    *bytes = (size_t)at;
    return text;
}

/* The number up to the byte end, which is stepped over. */
static bool epochs_number(struct str *text, char end, int64_t *out)
{
    const char *at = text->len == 0 ? NULL : memchr(text->ptr, end, text->len);
    size_t n;

    if (at == NULL) {
        return false;
    }
    n = (size_t)(at - text->ptr);
    if (!str_to_i64(str_sub(text->ptr, n), out)) {
        return false;
    }
    *text = str_sub(text->ptr + n + 1, text->len - n - 1);
    return true;
}

enum err epochs_decode(struct epochs *epochs, struct str text)
{
    struct epochs read = {0};
    int64_t version = 0;
    int64_t count = 0;

    if (!epochs_number(&text, '\n', &version) || version != 0 ||
        !epochs_number(&text, '\n', &count) || count < 0) {
        return ERR_CORRUPT;
    }
    for (int64_t i = 0; i < count; i++) {
        int64_t epoch = 0;
        int64_t offset = 0;

        if (!epochs_number(&text, ' ', &epoch) ||
            !epochs_number(&text, '\n', &offset) || epoch > INT32_MAX ||
            epoch <= epochs_last(&read) || offset < 0 ||
            (read.count > 0 &&
             offset < read.entries[read.count - 1].start_offset)) {
            epochs_fini(&read);
            return ERR_CORRUPT;
        }
        epochs_push(&read, (int32_t)epoch, offset);
    }
    if (text.len > 0) {
        epochs_fini(&read);
        return ERR_CORRUPT;
    }
    epochs_fini(epochs);
    *epochs = read;
    return ERR_NONE;
}
