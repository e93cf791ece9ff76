/* envelope.h - the headers around requests and responses.
 *
 * Which version a header has follows from the request's key and version: the
 * request's header is 2 in flexible versions and 1 below, the response's is 1
 * and 0, but for ApiVersions, whose answers always have 0, because a client
 * must be able to read them before it knows the broker's versions.
 *
 *   request  0  4  length after it     response  0  4  length after it
 *            4  2  key                           4  4  correlation id
 *            6  2  version                          header 1: tagged fields
 *            8  4  correlation id                   the answer
 *           12     client id, a STRING
 *                  header 2: tagged fields
 *                  the request
 *
 * Source: protocol guide, "Request Header"; KIP-482, KIP-511. */
#ifndef WIRE_ENVELOPE_H
#define WIRE_ENVELOPE_H

#include "wire/apis.h"
#include "wire/header.h"

/* Reads a request's header; what follows is the request.
 *
 * out: key, version and correlation id are filled in whenever these 8 bytes are
 *      there; the client id is a slice of the input.
 * Errors: ERR_UNSUPPORTED (no such key), ERR_MALFORMED. A version that is not
 *         served is the caller's matter. */
MUST_USE enum err envelope_read_request(struct reader *r,
                                        struct request_header *out);

/* Writes the header of an answer. */
void envelope_write_response(struct writer *w, const struct api_info *api,
                             int16_t version, int32_t correlation_id);

/* The client's side. header: key and version choose its form. */
void envelope_write_request(struct writer *w,
                            const struct request_header *header);
/* Errors: ERR_MALFORMED. */
MUST_USE enum err envelope_read_response(struct reader *r,
                                         const struct api_info *api,
                                         int16_t version,
                                         int32_t *correlation_id);

#endif
