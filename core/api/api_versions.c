/* api_versions.c - the ApiVersions request (api key 18).
 *
 * The first thing that a client asks, in whatever version it likes. A version
 * above ours is answered in version 0 with UNSUPPORTED_VERSION and the range of
 * ApiVersions alone, its body unread; the client then asks again. What is
 * listed is what dispatch.c serves, nothing else; Produce is listed from 0,
 * because librdkafka turns compression off without it, and 0-2 are closed.
 *
 * Source: KIP-35, KIP-511, KIP-584; protocol/api-versions 2. */
#include "api/dispatch.h"
#include "wire/api_versions.h"

#include <ctype.h>

/* Letters and digits, with dots and dashes between them. */
static bool api_versions_is_name(struct str name)
{
    if (name.len == 0 || !isalnum((unsigned char)name.ptr[0]) ||
        !isalnum((unsigned char)name.ptr[name.len - 1])) {
        return false;
    }
    for (size_t i = 0; i < name.len; i++) {
        unsigned char c = (unsigned char)name.ptr[i];

        if (!isalnum(c) && c != '-' && c != '.') {
            return false;
        }
    }
    return true;
}

static void api_versions_list(struct api_request *r, int16_t only_key,
                              struct api_versions_response *response)
{
    size_t count;
    const struct dispatch_entry *entries = dispatch_entries(&count);
    struct api_versions_response_api_version *keys =
        arena_array(r->arena, count, sizeof(*keys));

    response->api_keys = keys;
    for (size_t i = 0; i < count; i++) {
        const struct api_info *info = api_find(entries[i].key);

        if (only_key < 0 || only_key == info->key) {
            keys[response->api_keys_count++] =
                (struct api_versions_response_api_version){
                    .api_key = info->key,
                    .min_version = info->advertised_min,
                    .max_version = info->version_max};
        }
    }
}

void handle_api_versions(struct api_request *r)
{
    const struct api_info *info = api_find(r->key);
    struct api_versions_request body;
    struct api_versions_response response;
    struct writer *w;

    api_versions_response_init(&response);
    if (r->version < info->version_min || r->version > info->version_max) {
        r->version = 0;
        response.error_code = err_wire(ERR_UNSUPPORTED_VERSION);
        api_versions_list(r, API_API_VERSIONS, &response);
    } else {
        api_versions_request_decode(&r->body, r->arena, r->version, &body);
        if (!api_decoded(r)) {
            return;
        }
        if (r->version >= 3 &&
            (!api_versions_is_name(body.client_software_name) ||
             !api_versions_is_name(body.client_software_version))) {
            response.error_code = err_wire(ERR_INVALID_REQUEST);
        } else {
            api_versions_list(r, -1, &response);
        }
    }
    w = api_answer_begin(r, 256);
    api_versions_response_encode(w, r->version, &response);
    api_answer_end(r);
}
