/* dial.h - makes TCP connections. */
#ifndef CLI_DIAL_H
#define CLI_DIAL_H

#include "base/err.h"
#include <sys/types.h>

enum { DIAL_TIMEOUT_MS = 10000 };

/* Connects to the first address of host that answers; the socket does not
 * block.
 * Errors: ERR_CLOSED (no such name, or nobody answers: why says what to do),
 *         ERR_TIMEOUT, ERR_CANCELLED (a signal came). */
MUST_USE enum err dial(const char *host, uint16_t port, int *fd,
                       struct why *why);
/* write(), without SIGPIPE. */
ssize_t dial_write(int fd, const void *bytes, size_t count);

#endif
