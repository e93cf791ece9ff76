/* must.h - a programming error is a crash, in every build.
 *
 * must() is for what can only be false through a bug of ours; what comes from
 * outside (bytes, disks, settings) is an enum err, never a must(). */
#ifndef BASE_MUST_H
#define BASE_MUST_H

#include "base/base.h"

#define must(cond)    ((cond) ? (void)0 : must_fail(__FILE__, __LINE__, #cond))
#define unreachable() must_fail(__FILE__, __LINE__, "unreachable")

/* Prints where and what to stderr, then aborts. Any thread. */
NO_RETURN void must_fail(const char *file, int line, const char *what);

#endif
