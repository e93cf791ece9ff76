/* log_folder.h - what a log finds in its folder, before a batch is looked at:
 * whose it is, which segments there are, what the small files say.
 *
 * Private to log/: for log_recover.c. All calls block. */
#ifndef LOG_LOG_FOLDER_H
#define LOG_LOG_FOLDER_H

#include "log/log_private.h"
#include "log/recover_core.h"

struct log_folder {
    struct log *log;
    struct recover_segment *found; /* sorted by base */
    uint32_t count;
    uint32_t capacity;
    struct recover_point point; /* that of log->loaded */
    int64_t start;              /* -1: none is stored */
    bool clean;                 /* its indexes are as the last stop left them */
    bool changed;               /* something is to be synced */
};

/* Makes the folder, and partition.metadata in it. One that belongs to another
 * topic is set aside. Errors: ERR_EXISTS (it could not be), ERR_DISK, ERR_FULL.
 */
MUST_USE enum err log_folder_claim(struct log_folder *folder,
                                   struct uuid topic_id, struct why *why);
/* Lists the segments; removes what is left of removals. */
MUST_USE enum err log_folder_list(struct log_folder *folder, struct why *why);
/* Loads the start, the flushed point and the epochs. */
MUST_USE enum err log_folder_load(struct log_folder *folder, struct why *why);
/* Removes a file of a segment, if it is there: an orphan goes at the next
 * start. */
void log_folder_remove(const struct log_folder *folder, int64_t base,
                       const char *suffix);
/* Frees what it holds. */
void log_folder_fini(struct log_folder *folder);

#endif
