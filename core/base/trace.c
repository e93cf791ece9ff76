/* trace.c - one line, one write().
 *
 * What clients send may stand in a line: control characters become '?', those
 * of two bytes too (U+0080 to U+009F), so that nobody writes lines of ours or
 * moves the cursor. A line that is too long is cut. */
#include "base/trace.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum { TRACE_LINE_BYTES_MAX = 4096 };

static _Atomic int trace_level_max = TRACE_INFO;

void trace_level_set(enum trace_level level)
{
    atomic_store_explicit(&trace_level_max, (int)level, memory_order_relaxed);
}

static size_t trace_head(char *line, size_t capacity, enum trace_level level)
{
    static const char *const names[] = {"error", "warn ", "info ", "debug"};
    struct timespec now;
    struct tm utc;
    size_t len;

    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    len = strftime(line, capacity, "%Y-%m-%dT%H:%M:%S", &utc);
    len += (size_t)snprintf(line + len, capacity - len, ".%03dZ %s ",
                            (int)(now.tv_nsec / 1000000), names[level]);
    return len;
}

static void trace_tame(char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];

        if (c < ' ' || c == 0x7f) {
            text[i] = '?';
        } else if (c == 0xc2 && i + 1 < len &&
                   ((unsigned char)text[i + 1] & 0xe0) == 0x80) {
            text[i] = text[i + 1] = '?';
        }
    }
}

void trace(enum trace_level level, const char *format, ...)
{
    char line[TRACE_LINE_BYTES_MAX];
    size_t head;
    size_t len;
    ssize_t written;
    va_list args;
    int text_len;

    if ((int)level >
        atomic_load_explicit(&trace_level_max, memory_order_relaxed)) {
        return;
    }
    head = trace_head(line, sizeof(line), level);
    va_start(args, format);
    text_len = vsnprintf(line + head, sizeof(line) - head, format, args);
    va_end(args);
    len = head + MIN((size_t)MAX(text_len, 0), sizeof(line) - head - 1);
    trace_tame(line + head, len - head);
    line[len++] = '\n';
    written = write(STDERR_FILENO, line, len);
    (void)written;
}

bool trace_gate_pass(struct trace_gate *gate, int64_t now_ms, uint32_t a_second,
                     uint32_t *held)
{
    int64_t second = now_ms / 1000 + 1; /* 0 is a gate that nobody passed */

    if (gate->second != second) {
        gate->second = second;
        gate->passed = 0;
    }
    if (gate->passed == a_second) {
        gate->held++;
        return false;
    }
    gate->passed++;
    *held = gate->held;
    gate->held = 0;
    return true;
}

void trace_gated(struct trace_gate *gate, int64_t now_ms, uint32_t a_second,
                 const char *format, ...)
{
    char text[TRACE_LINE_BYTES_MAX];
    uint32_t held;
    va_list args;

    if (!trace_gate_pass(gate, now_ms, a_second, &held)) {
        return;
    }
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (held == 0) {
        trace(TRACE_WARN, "%s", text);
    } else {
        trace(TRACE_WARN, "%s; and %u like it since the last such line", text,
              held);
    }
}
