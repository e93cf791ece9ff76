/* rows_core.c - rows as bytes.
 *
 * A row is one byte of kind, then its cells: one byte of type; for numbers
 * eight bytes more, for texts and blobs four of length and the bytes. Numbers
 * are in the machine's order: the list never leaves the process. One block
 * that doubles: a commit of an offset costs no allocation of its own. */
#include "meta/rows_core.h"

#include "base/mem.h"
#include "base/must.h"

static const struct row_fact {
    const char *name;
    int cells;
} row_facts[ROW_KIND_COUNT] = {
#define ROW_KIND_FACT(kind, name, cells) [ROW_##kind] = {name, cells},
    ROW_KINDS(ROW_KIND_FACT)
#undef ROW_KIND_FACT
};

static uint8_t *rows_take(struct rows *rows, size_t bytes)
{
    uint8_t *at;

    if (rows->capacity_bytes - rows->used_bytes < bytes) {
        size_t capacity = MAX(rows->capacity_bytes * 2, (size_t)1024);

        while (capacity - rows->used_bytes < bytes) {
            capacity *= 2;
        }
        rows->bytes = mem_realloc(rows->bytes, capacity);
        rows->capacity_bytes = capacity;
    }
    at = rows->bytes + rows->used_bytes;
    rows->used_bytes += bytes;
    return at;
}

void rows_add(struct rows *rows, enum row_kind kind)
{
    *rows_take(rows, 1) = (uint8_t)kind;
    rows->row_count++;
}

void rows_i64(struct rows *rows, int64_t value)
{
    uint8_t *at = rows_take(rows, 1 + sizeof(value));

    at[0] = ROW_CELL_I64;
    memcpy(at + 1, &value, sizeof(value));
}

static void rows_put(struct rows *rows, enum row_cell_type type, struct str s)
{
    uint32_t len = (uint32_t)s.len;
    uint8_t *at;

    must(s.len <= UINT32_MAX);
    if (str_is_null(s)) {
        rows_null(rows);
        return;
    }
    at = rows_take(rows, 1 + sizeof(len) + s.len);
    at[0] = (uint8_t)type;
    memcpy(at + 1, &len, sizeof(len));
    memcpy(at + 1 + sizeof(len), s.ptr, s.len);
}

void rows_text(struct rows *rows, struct str text)
{
    rows_put(rows, ROW_CELL_TEXT, text);
}

void rows_blob(struct rows *rows, struct str bytes)
{
    rows_put(rows, ROW_CELL_BLOB, bytes);
}

void rows_null(struct rows *rows)
{
    *rows_take(rows, 1) = ROW_CELL_NULL;
}

void rows_uuid(struct rows *rows, struct uuid uuid)
{
    char text[UUID_TEXT_BYTES];

    uuid_text(uuid, text);
    rows_text(rows, str_of(text));
}

/* Decimal digits; gives where they end. */
static char *rows_digits(char *at, int32_t number)
{
    uint32_t rest = number < 0 ? 0 - (uint32_t)number : (uint32_t)number;
    char digits[10];
    int count = 0;

    do {
        digits[count++] = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest > 0);
    if (number < 0) {
        *at++ = '-';
    }
    while (count > 0) {
        *at++ = digits[--count];
    }
    return at;
}

void rows_numbers(struct rows *rows, const int32_t *numbers, int32_t count)
{
    size_t start = rows->used_bytes;
    uint32_t len;
    char *text;
    char *at;

    text = (char *)rows_take(rows, 1 + sizeof(len) + 2 + 12 * (size_t)count);
    *text = ROW_CELL_TEXT;
    text += 1 + sizeof(len);
    at = text;
    *at++ = '[';
    for (int32_t i = 0; i < count; i++) {
        if (i > 0) {
            *at++ = ',';
        }
        at = rows_digits(at, numbers[i]);
    }
    *at++ = ']';
    len = (uint32_t)(at - text);
    memcpy(text - sizeof(len), &len, sizeof(len));
    rows->used_bytes = start + 1 + sizeof(len) + len;
}

size_t rows_count(const struct rows *rows)
{
    return rows->row_count;
}

size_t rows_bytes(const struct rows *rows)
{
    return rows->capacity_bytes;
}

void rows_clear(struct rows *rows, size_t keep_bytes)
{
    if (rows->capacity_bytes > keep_bytes) {
        rows_fini(rows);
        return;
    }
    rows->used_bytes = 0;
    rows->row_count = 0;
}

void rows_fini(struct rows *rows)
{
    mem_free(rows->bytes);
    *rows = (struct rows){0};
}

static size_t row_cell_read(const uint8_t *at, struct row_cell *cell)
{
    uint32_t len;

    *cell = (struct row_cell){.type = (enum row_cell_type)at[0]};
    switch (cell->type) {
    case ROW_CELL_NULL:
        return 1;
    case ROW_CELL_I64:
        memcpy(&cell->i64, at + 1, sizeof(cell->i64));
        return 1 + sizeof(cell->i64);
    case ROW_CELL_TEXT:
    case ROW_CELL_BLOB:
        memcpy(&len, at + 1, sizeof(len));
        cell->text = str_sub(at + 1 + sizeof(len), len);
        return 1 + sizeof(len) + len;
    }
    unreachable();
}

bool rows_next(const struct rows *rows, size_t *at, struct row *out)
{
    if (*at == rows->used_bytes) {
        return false;
    }
    out->kind = (enum row_kind)rows->bytes[(*at)++];
    out->cell_count = row_kind_cells(out->kind);
    for (int i = 0; i < out->cell_count; i++) {
        *at += row_cell_read(rows->bytes + *at, &out->cells[i]);
    }
    must(*at <= rows->used_bytes);
    return true;
}

const char *row_kind_name(enum row_kind kind)
{
    must(kind < ROW_KIND_COUNT);
    return row_facts[kind].name;
}

int row_kind_cells(enum row_kind kind)
{
    must(kind < ROW_KIND_COUNT);
    return row_facts[kind].cells;
}
