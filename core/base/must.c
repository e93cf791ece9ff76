/* must.c - the last words before abort(). */
#include "base/must.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

void must_fail(const char *file, int line, const char *what)
{
    char text[512];
    int len =
        snprintf(text, sizeof(text),
                 "%s:%d: this must hold, and does not: %s\n", file, line, what);

    if (len > 0) {
        size_t count = MIN((size_t)len, sizeof(text) - 1);
        ssize_t written = write(STDERR_FILENO, text, count);
        (void)written;
    }
    abort();
}
