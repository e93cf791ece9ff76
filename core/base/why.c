/* why.c - sets and wraps the text beside an error. */
#include "base/why.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum err why_set(struct why *why, enum err err, const char *format, ...)
{
    va_list args;

    if (why == NULL) {
        return err;
    }
    va_start(args, format);
    vsnprintf(why->text, sizeof(why->text), format, args);
    va_end(args);
    return err;
}

enum err why_wrap(struct why *why, enum err err, const char *format, ...)
{
    struct why inner;
    size_t len;
    va_list args;

    if (why == NULL) {
        return err;
    }
    inner = *why;
    va_start(args, format);
    vsnprintf(why->text, sizeof(why->text), format, args);
    va_end(args);
    len = strlen(why->text);
    snprintf(why->text + len, sizeof(why->text) - len, ": %s", inner.text);
    return err;
}
