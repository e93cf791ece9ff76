/* settings_text.c - parts of a whole, and addresses, as people write them. */
#include "broker/settings_private.h"

bool settings_percent(struct str text, int64_t *percent)
{
    return text.len > 1 && text.ptr[text.len - 1] == '%' &&
           str_to_i64(str_sub(text.ptr, text.len - 1), percent) &&
           *percent >= 1 && *percent <= 100;
}

bool settings_address(struct arena *arena, struct str text, const char **host,
                      uint16_t *port)
{
    const char *end = text.ptr + text.len;
    const char *colon = NULL;
    struct str name = text;
    int64_t number = 0;

    if (text.len > 0 && text.ptr[0] == '[') {
        const char *bracket = memchr(text.ptr, ']', text.len);

        if (bracket == NULL) {
            return false;
        }
        name = str_sub(text.ptr + 1, (size_t)(bracket - text.ptr) - 1);
        colon = bracket + 1 == end ? NULL : bracket + 1;
    } else {
        colon = memchr(text.ptr, ':', text.len);
        name.len = colon == NULL ? text.len : (size_t)(colon - text.ptr);
    }
    if (colon != NULL &&
        (*colon != ':' ||
         !str_to_i64(str_sub(colon + 1, (size_t)(end - colon) - 1), &number) ||
         number < 1 || number > UINT16_MAX)) {
        return false;
    }
    if (name.len == 0 || memchr(name.ptr, '\0', name.len) != NULL) {
        return false;
    }
    *host = arena_str(arena, name).ptr;
    *port = (uint16_t)number;
    return true;
}
