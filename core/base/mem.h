/* mem.h - the only door to malloc.
 *
 * Aborts when the machine has no memory: small things are not worth a branch
 * that nobody tests, and a restart is cheap. What a client can make large is
 * taken from a struct budget first (budget.h) and refused there. Any thread. */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include "base/base.h"

/* Not zeroed. bytes: 0 is allowed and gives a pointer that mem_free() takes. */
void *mem_alloc(size_t bytes);
/* The same, zeroed. */
void *mem_zalloc(size_t bytes);
/* ptr: NULL, or from here; it is void afterwards. */
void *mem_realloc(void *ptr, size_t bytes);
/* A copy of the first bytes bytes, and a NUL behind them. */
char *mem_dup(const void *ptr, size_t bytes);
/* A copy of a NUL-terminated text. */
char *mem_dupz(const char *text);
/* A formatted text. */
char *mem_printf(const char *format, ...) PRINTF_LIKE(1, 2);
/* ptr: NULL is accepted. */
void mem_free(void *ptr);
/* Gives what is free back to the system, after a burst: takes milliseconds. */
void mem_trim(void);

#define MEM_NEW(type) ((type *)mem_zalloc(sizeof(type)))

#endif
