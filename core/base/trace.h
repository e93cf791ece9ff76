/* trace.h - what the program prints about itself, a line each, to stderr.
 *
 * (log means the partition log, nothing else.) Any thread; a line is written
 * with one write(). Levels below the one that is set cost a comparison. */
#ifndef BASE_TRACE_H
#define BASE_TRACE_H

#include "base/base.h"

enum trace_level { TRACE_ERROR, TRACE_WARN, TRACE_INFO, TRACE_DEBUG };

void trace_level_set(enum trace_level level);
/* "2026-11-25T10:00:00.123Z error " and the text. */
void trace(enum trace_level level, const char *format, ...) PRINTF_LIKE(2, 3);

#endif
