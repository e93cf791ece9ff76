/* str.h - borrowed text or bytes: a pointer and a length.
 *
 * Never NUL-terminated by contract, never owned by the struct. ptr == NULL is
 * Kafka's null, which differs from the empty text. */
#ifndef BASE_STR_H
#define BASE_STR_H

#include "base/base.h"
#include <string.h>

struct str {
    const char *ptr;
    size_t len;
};

/* For printf: printf("%.*s", STR_ARG(s)). */
#define STR_ARG(s)       (int)(s).len, (s).ptr
#define STR_LIT(literal) ((struct str){"" literal, sizeof(literal) - 1})
#define STR_NULL         ((struct str){NULL, 0})

/* All of a NUL-terminated text; NULL gives null. */
static inline struct str str_of(const char *text)
{
    return (struct str){text, text == NULL ? 0 : strlen(text)};
}

/* len bytes at ptr, as they are. */
static inline struct str str_sub(const void *ptr, size_t len)
{
    return (struct str){(const char *)ptr, len};
}

/* Kafka's null: empty is not. */
static inline bool str_is_null(struct str s)
{
    return s.ptr == NULL;
}

/* null and empty are equal to themselves only. */
static inline bool str_eq(struct str a, struct str b)
{
    if (a.ptr == NULL || b.ptr == NULL) {
        return a.ptr == b.ptr;
    }
    return a.len == b.len && memcmp(a.ptr, b.ptr, a.len) == 0;
}

/* Bytewise; a prefix comes first. */
int str_cmp(struct str a, struct str b);
/* A NUL-terminated copy from mem_; null gives NULL. */
char *str_dup(struct str s);
/* Copies at most capacity - 1 bytes and a NUL; gives whether all fitted. */
bool str_copy(struct str s, char *into, size_t capacity);
/* A whole decimal number, optional '-'; false when it is anything else. */
MUST_USE bool str_to_i64(struct str s, int64_t *out);
/* The Levenshtein distance of the two, at most limit: "did you mean". */
unsigned str_distance(struct str a, struct str b, unsigned limit);

#endif
