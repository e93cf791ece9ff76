/* why.h - the text beside an error, for people.
 *
 * Whoever meets an error says what it was about; each caller puts before that
 * what he was doing, so that the text reads from the outside inwards:
 *
 *   could not open partition "orders-3": could not read segment "0042.log":
 *   checksum does not match at position 8192
 *
 * Lower case, no full stop, "could not" when a retry may help, "cannot" when
 * not, names in quotes, the reason, never a function's name. What is too long
 * is cut at its end. */
#ifndef BASE_WHY_H
#define BASE_WHY_H

#include "base/base.h"
#include "base/errors.h"

struct why {
    char text[512];
};

/* Sets the text. why: may be NULL. Gives back err, so that a failing line can
 * read "return why_set(why, ERR_DISK, ...)". */
enum err why_set(struct why *why, enum err err, const char *format, ...)
    PRINTF_LIKE(3, 4);

/* Puts "outer: " before the text that is there. why: may be NULL. */
enum err why_wrap(struct why *why, enum err err, const char *format, ...)
    PRINTF_LIKE(3, 4);

#endif
