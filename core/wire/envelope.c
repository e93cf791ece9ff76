/* envelope.c - the headers around requests and responses. */
#include "wire/envelope.h"

#include "base/must.h"

enum { FIXED_BYTES = 8 }; /* key, version, correlation id */

/* Of the header, not of the request. */
static int16_t envelope_request_header_version(const struct api_info *api,
                                               int16_t version)
{
    return version >= api->flexible_min ? 2 : 1;
}

static int16_t envelope_response_header_version(const struct api_info *api,
                                                int16_t version)
{
    return version >= api->flexible_min && api->key != API_API_VERSIONS ? 1 : 0;
}

enum err envelope_read_request(struct reader *r, struct request_header *out)
{
    const struct api_info *api;
    struct arena none = {0}; /* a header has no arrays */

    *out = (struct request_header){0};
    if (reader_left(r) < FIXED_BYTES) {
        reader_fail(r);
        return ERR_MALFORMED;
    }
    out->request_api_key = bytes_get_i16(r->at);
    out->request_api_version = bytes_get_i16(r->at + 2);
    out->correlation_id = bytes_get_i32(r->at + 4);
    api = api_find(out->request_api_key);
    if (api == NULL || out->request_api_version < 0) {
        return ERR_UNSUPPORTED;
    }
    request_header_decode(
        r, &none,
        envelope_request_header_version(api, out->request_api_version), out);
    return r->failed ? ERR_MALFORMED : ERR_NONE;
}

void envelope_write_response(struct writer *w, const struct api_info *api,
                             int16_t version, int32_t correlation_id)
{
    response_header_encode(
        w, envelope_response_header_version(api, version),
        &(struct response_header){.correlation_id = correlation_id});
}

void envelope_write_request(struct writer *w,
                            const struct request_header *header)
{
    const struct api_info *api = api_find(header->request_api_key);

    must(api != NULL);
    request_header_encode(
        w, envelope_request_header_version(api, header->request_api_version),
        header);
}

enum err envelope_read_response(struct reader *r, const struct api_info *api,
                                int16_t version, int32_t *correlation_id)
{
    struct arena none = {0};
    struct response_header header;

    response_header_decode(
        r, &none, envelope_response_header_version(api, version), &header);
    *correlation_id = header.correlation_id;
    return r->failed ? ERR_MALFORMED : ERR_NONE;
}
