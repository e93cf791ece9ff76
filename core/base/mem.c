/* mem.c - malloc, calloc, realloc and free are named here and nowhere else. */
#include "base/mem.h"
#include "base/must.h"

#include <malloc.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* malloc(0) may give NULL, which would read as "no memory". */
static void *mem_must(void *ptr)
{
    if (ptr == NULL) {
        must_fail("mem", 0, "the machine has memory left");
    }
    return ptr;
}

void *mem_alloc(size_t bytes)
{
    return mem_must(malloc(MAX(bytes, 1)));
}

void *mem_zalloc(size_t bytes)
{
    return mem_must(calloc(1, MAX(bytes, 1)));
}

void *mem_realloc(void *ptr, size_t bytes)
{
    return mem_must(realloc(ptr, MAX(bytes, 1)));
}

char *mem_dup(const void *ptr, size_t bytes)
{
    char *copy;

    must(bytes < SIZE_MAX);
    copy = mem_alloc(bytes + 1);
    if (bytes > 0) {
        memcpy(copy, ptr, bytes);
    }
    copy[bytes] = '\0';
    return copy;
}

char *mem_dupz(const char *text)
{
    return mem_dup(text, strlen(text));
}

char *mem_printf(const char *format, ...)
{
    va_list args;
    char *text;
    int len;

    va_start(args, format);
    len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    must(len >= 0);
    text = mem_alloc((size_t)len + 1);
    va_start(args, format);
    vsnprintf(text, (size_t)len + 1, format, args);
    va_end(args);
    return text;
}

void mem_free(void *ptr)
{
    free(ptr);
}

void mem_trim(void)
{
    (void)malloc_trim(0);
}
