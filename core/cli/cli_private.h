/* cli_private.h - what the verbs of cli/ share. */
#ifndef CLI_CLI_PRIVATE_H
#define CLI_CLI_PRIVATE_H

#include "base/args.h"
#include "cli/client.h"

/* True once Ctrl-C or SIGTERM has come; see cli_catch_signals(). */
extern volatile bool cli_stop;
/* From here on, signals set cli_stop instead of ending the process. */
void cli_catch_signals(void);

/* Opens the client that --server names; on failure gives the exit code through
 * *code and false. */
MUST_USE bool cli_connect(const struct args *args, struct client **out,
                          int *code);
/* "tidemark: why" on stderr; gives ARGS_FAILED. */
int cli_failed(const struct why *why);
/* Whether there is a terminal to ask on. */
bool cli_can_ask(void);
/* Asks y/n; what is no clear yes is no. */
bool cli_confirm(const char *question);

/* "topic "x": what" for a topic's error, with what to do where that helps. */
enum err cli_topic_error(enum err err, struct str topic, struct str detail,
                         struct why *why);

/* The topic's metadata, waiting for its leaders (a new topic has none for a
 * moment). topic: in the arena.
 * Errors: ERR_UNKNOWN_TOPIC_OR_PARTITION, and what client_metadata() gives. */
MUST_USE enum err cli_topic(struct client *client, struct str name, bool create,
                            struct arena *arena,
                            struct metadata_response_topic **topic,
                            struct why *why);

/* The verbs, as struct args_command wants them. */
int topic_verb_create(const struct args *args);
int topic_verb_list(const struct args *args);
int topic_verb_describe(const struct args *args);
int topic_verb_delete(const struct args *args);
int produce_verb(const struct args *args);
int consume_verb(const struct args *args);
int log_verb_dump(const struct args *args);
int log_verb_check(const struct args *args);

#endif
