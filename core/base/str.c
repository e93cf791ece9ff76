/* str.c - what needs more than a line on borrowed text. */
#include "base/str.h"
#include "base/mem.h"

int str_cmp(struct str a, struct str b)
{
    size_t len = MIN(a.len, b.len);
    int order = len == 0 ? 0 : memcmp(a.ptr, b.ptr, len);

    if (order != 0) {
        return order;
    }
    return (a.len > b.len) - (a.len < b.len);
}

char *str_dup(struct str s)
{
    return s.ptr == NULL ? NULL : mem_dup(s.ptr, s.len);
}

bool str_copy(struct str s, char *into, size_t capacity)
{
    size_t len;

    if (capacity == 0) {
        return false;
    }
    len = MIN(s.len, capacity - 1);
    if (len > 0) {
        memcpy(into, s.ptr, len);
    }
    into[len] = '\0';
    return len == s.len;
}

bool str_to_i64(struct str s, int64_t *out)
{
    bool is_negative = s.len > 0 && s.ptr[0] == '-';
    uint64_t limit = (uint64_t)INT64_MAX + (is_negative ? 1 : 0);
    uint64_t value = 0;
    size_t at = is_negative ? 1 : 0;

    if (at == s.len) {
        return false;
    }
    for (; at < s.len; at++) {
        uint64_t digit = (uint64_t)(unsigned char)s.ptr[at] - '0';

        if (digit > 9 || value > (limit - digit) / 10) {
            return false;
        }
        value = value * 10 + digit;
    }
    *out = (int64_t)(is_negative ? 0 - value : value);
    return true;
}

/* One row of the usual table is enough: diagonal is the cell up and left. A
 * difference of lengths is a distance already, so nothing long is walked. */
unsigned str_distance(struct str a, struct str b, unsigned limit)
{
    unsigned *row;
    unsigned result;

    if (MAX(a.len, b.len) - MIN(a.len, b.len) >= limit) {
        return limit;
    }
    row = mem_alloc((b.len + 1) * sizeof(*row));
    for (size_t j = 0; j <= b.len; j++) {
        row[j] = (unsigned)j;
    }
    for (size_t i = 1; i <= a.len; i++) {
        unsigned diagonal = row[0];

        row[0] = (unsigned)i;
        for (size_t j = 1; j <= b.len; j++) {
            unsigned same = a.ptr[i - 1] == b.ptr[j - 1] ? 0 : 1;
            unsigned best = MIN(row[j], row[j - 1]) + 1;

            best = MIN(best, diagonal + same);
            diagonal = row[j];
            row[j] = best;
        }
    }
    result = MIN(row[b.len], limit);
    mem_free(row);
    return result;
}
