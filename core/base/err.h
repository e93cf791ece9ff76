/* err.h - an operating error is a value.
 *
 * enum err and err_name(), err_text(), err_is_retriable(), err_wire() are
 * generated from schema/errors.lua: Kafka's errors under Kafka's numbers, ours
 * from 1000. Detail for people rides beside it, in a struct why (why.h). */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include "base/base.h"
#include "base/errors.h"
#include "base/why.h"

#endif
