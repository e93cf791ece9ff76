/* evaluate.h - a config file, run once into plain data.
 *
 * The file is Lua in a sandbox (sandbox.c), with 1 s of processor time and 32
 * MiB of memory. Beside the sandbox's functions it has
 *
 *   env(name [, default])   an environment variable; unset without a default is
 *                           a complaint
 *   secret("env:NAME")  secret("file:/path")   an opaque value
 *   inline(source)          Lua source as a value
 *   include(pattern)        runs other files, in the order of their names,
 *                           relative to this one; gives what a single one
 *                           returned
 *
 * and the globals that it assigns are the result. Reading a name that nobody
 * assigned is an error with a suggestion. */
#ifndef SCRIPT_EVALUATE_H
#define SCRIPT_EVALUATE_H

#include "base/err.h"
#include "run/file.h"
#include "script/complaint.h"

enum {
    EVALUATE_MS = 1000,
    EVALUATE_MEMORY_BYTES = 32 << 20,
    EVALUATE_FILE_BYTES_MAX = 1 << 20,
    EVALUATE_FILES_MAX = 1000,
    EVALUATE_VALUES_MAX = 200000,       /* of the result ... */
    EVALUATE_TEXT_BYTES_MAX = 16 << 20, /* ... and their text */
    EVALUATE_DEPTH_MAX = 24,
};

/* Borrowed until evaluate_file() returns. */
struct evaluate_input {
    struct disk *disk;
    const char *path; /* of the file; also its name in complaints */
    const char *(*env)(const char *name); /* NULL: none is set */
    const char *const *names; /* globals that have a meaning: for suggestions */
    size_t name_count;
};

/* Runs the file. *root is a map of the globals, in the arena of complaints.
 *
 * ERR_NONE: it ran to its end; there may be complaints nevertheless, about what
 *         is missing in the environment or can be no data.
 * Errors: ERR_INVALID (no such file, wrong Lua, an error of the script, a
 * limit; a complaint says which; *root is empty). */
MUST_USE enum err evaluate_file(const struct evaluate_input *input,
                                struct complaints *complaints,
                                struct value *root);

#endif
