/* names.h - what the files of a partition are called.
 *
 * <20 digits><suffix>: the first offset that the file may hold; and a few
 * fixed names. Pure. */
#ifndef LOG_NAMES_H
#define LOG_NAMES_H

#include "base/base.h"

enum {
    NAMES_PATH_BYTES = 4096,
    NAMES_FOLDER_BYTES_MAX = 4000,
    NAMES_STEM_BYTES_MAX = 210, /* of a folder's name that gets a longer one */
};

#define NAMES_LOG      ".log"
#define NAMES_INDEX    ".index"
#define NAMES_TIMES    ".timeindex"
#define NAMES_SNAPSHOT ".snapshot"  /* Kafka's producer state */
#define NAMES_DEEP     ".producers" /* ours, five batches deep */
#define NAMES_CUT      ".cut"
#define NAMES_DELETED  ".deleted"
#define NAMES_STRAY    "-stray" /* a folder of a topic that is not known */

#define NAMES_POINT    "flushed-point"
#define NAMES_START    "log-start"
#define NAMES_STATE    "producer-state"
#define NAMES_METADATA "partition.metadata"
#define NAMES_EPOCHS   "leader-epoch-checkpoint"

/* <folder>/<base><suffix> */
void names_path(char path[NAMES_PATH_BYTES], const char *folder, int64_t base,
                const char *suffix);
/* <folder>/<name> */
void names_join(char path[NAMES_PATH_BYTES], const char *folder,
                const char *name);
/* Whether name is exactly 20 digits and the suffix. */
bool names_parse(const char *name, const char *suffix, int64_t *base);
bool names_ends_with(const char *name, const char *suffix);

#endif
