/* err.h - an operating error is a value.
 *
 * enum err and err_name(), err_text(), err_is_retriable(), err_wire() are
 * generated from schema/errors.lua: Kafka's errors under Kafka's numbers, ours
 * from 1000. Detail for humans rides beside, in a struct why, and is wrapped
 * from the inside outwards:
 *
 *   could not open partition "orders-3": could not read segment "0042.log":
 *   checksum does not match at position 8192
 *
 * Lower case, no full stop, "could not" when a retry may help, "cannot" when
 * not, names in quotes, the reason, never a function's name. */
#ifndef BASE_ERR_H
#define BASE_ERR_H

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
