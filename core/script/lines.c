/* lines.c - where in a file each value of a table was written.
 *
 * Three layers: a lexer of Lua's tokens (lines_next), constructors
 * (lines_table), statements (lines_scan). Of statements only assignments to
 * names matter: `a.b["c"] = {`; everything else is stepped over token by token,
 * with the constructors in it, so that their fields are not taken for
 * statements.
 *
 * A path is kept as its names joined by LINES_JOIN; a name that is computed is
 * LINES_ANY.
 *
 * It may be wrong, and never harmful: a value that a loop or a function made
 * has the line of the nearest table around it, or of none. Nothing here fails,
 * whatever the bytes are: the file is run by Lua, which says what is wrong with
 * it.
 *
 * Invariants:
 * 1. Every step moves lexer.at forward, to end at most: time is linear.
 * 2. A place that is known is not replaced by one of a table around it. */
#include "script/lines.h"
#include <ctype.h>

#define LINES_JOIN '\x1f'
#define LINES_ANY  STR_LIT("\x1e")

enum { LINES_PATH_BYTES_MAX = 1024 };

enum lines_kind {
    LINES_END,
    LINES_NAME, /* and keywords */
    LINES_TEXT,
    LINES_NUMBER,
    LINES_SIGN, /* its first character is in struct lexer.sign */
};

/* The current token, and where the next one begins. */
struct lexer {
    const char *at;
    const char *end;
    int line; /* of the current token */
    int next_line;
    enum lines_kind kind;
    char sign;       /* '=' only where it assigns: "==" is '~' */
    struct str text; /* of a name, a number, a text without escapes */
    bool escaped;    /* the text has escapes: its value is not known */
};

/* Joined names; bytes 0: not to be kept. */
struct lines_path {
    char text[LINES_PATH_BYTES_MAX];
    size_t bytes;
    int depth;
};

struct scanner {
    struct lines *lines;
    const char *file;
    struct lexer lexer;
    struct lines_path path;
};

void lines_init(struct lines *lines, struct arena *arena)
{
    *lines = (struct lines){.arena = arena};
}

void lines_fini(struct lines *lines)
{
    map_fini(&lines->places);
}

/* Behind "[", "="..., "[": the number of "=", or -1 when it is no long
 * bracket. */
static int lines_long_level(const struct lexer *lexer)
{
    const char *at = lexer->at + 1;

    while (at < lexer->end && *at == '=') {
        at++;
    }
    if (at >= lexer->end || *at != '[') {
        return -1;
    }
    return (int)(at - lexer->at - 1);
}

/* Reads [==[ ... ]==], from its first bracket on. */
static void lines_long_text(struct lexer *lexer, int level)
{
    const char *begin = lexer->at + level + 2;
    const char *at = begin;

    for (; at < lexer->end; at++) {
        if (*at == '\n') {
            lexer->next_line++;
        }
        if (*at == ']' && lexer->end - at >= level + 2 &&
            at[level + 1] == ']' && strspn(at + 1, "=") >= (size_t)level) {
            break;
        }
    }
    lexer->text = str_sub(begin, (size_t)(MIN(at, lexer->end) - begin));
    lexer->at = lexer->end - at >= level + 2 ? at + level + 2 : lexer->end;
}

/* "text" or 'text'; with an escape in it, its value is not known. */
static void lines_short_text(struct lexer *lexer)
{
    char quote = *lexer->at++;
    const char *begin = lexer->at;

    lexer->escaped = false;
    while (lexer->at < lexer->end && *lexer->at != quote) {
        if (*lexer->at == '\\' && lexer->at + 1 < lexer->end) {
            lexer->escaped = true;
            lexer->at++;
        }
        if (*lexer->at == '\n') {
            lexer->next_line++;
        }
        lexer->at++;
    }
    lexer->text = str_sub(begin, (size_t)(lexer->at - begin));
    if (lexer->at < lexer->end) {
        lexer->at++;
    }
}

/* Steps over blanks and comments. */
static void lines_skip(struct lexer *lexer)
{
    while (lexer->at < lexer->end) {
        if (isspace((unsigned char)*lexer->at)) {
            lexer->next_line += *lexer->at == '\n' ? 1 : 0;
            lexer->at++;
        } else if (lexer->end - lexer->at >= 2 && lexer->at[0] == '-' &&
                   lexer->at[1] == '-') {
            int level = -1;

            lexer->at += 2;
            if (lexer->at < lexer->end && *lexer->at == '[') {
                level = lines_long_level(lexer);
            }
            if (level >= 0) {
                lines_long_text(lexer, level);
                continue;
            }
            while (lexer->at < lexer->end && *lexer->at != '\n') {
                lexer->at++;
            }
        } else {
            return;
        }
    }
}

static bool lines_is_name(char c)
{
    return isalnum((unsigned char)c) || c == '_';
}

static void lines_word(struct lexer *lexer, bool number)
{
    const char *begin = lexer->at;

    while (lexer->at < lexer->end &&
           (lines_is_name(*lexer->at) || (number && *lexer->at == '.'))) {
        lexer->at++;
    }
    lexer->kind = number ? LINES_NUMBER : LINES_NAME;
    lexer->text = str_sub(begin, (size_t)(lexer->at - begin));
}

/* Signs of two or three characters become one token, '~' (of no interest);
 * "::" and ".." too. */
static void lines_sign(struct lexer *lexer)
{
    char c = *lexer->at++;
    char next = lexer->at < lexer->end ? *lexer->at : '\0';

    lexer->kind = LINES_SIGN;
    lexer->sign = c;
    if ((next == '=' && strchr("=~<>", c) != NULL) ||
        (next == c && strchr(".:/<>", c) != NULL)) {
        lexer->at++;
        lexer->sign = '~';
        if (c == '.' && lexer->at < lexer->end && *lexer->at == '.') {
            lexer->at++;
        }
    }
}

/* Moves to the next token; LINES_END at the end, for ever. */
static void lines_next(struct lexer *lexer)
{
    lines_skip(lexer);
    lexer->line = lexer->next_line;
    lexer->sign = '\0';
    if (lexer->at >= lexer->end) {
        lexer->kind = LINES_END;
    } else if (isdigit((unsigned char)*lexer->at)) {
        lines_word(lexer, true);
    } else if (lines_is_name(*lexer->at)) {
        lines_word(lexer, false);
    } else if (*lexer->at == '"' || *lexer->at == '\'') {
        lexer->kind = LINES_TEXT;
        lines_short_text(lexer);
    } else if (*lexer->at == '[' && lines_long_level(lexer) >= 0) {
        lexer->kind = LINES_TEXT;
        lexer->escaped = true; /* a leading newline does not count */
        lines_long_text(lexer, lines_long_level(lexer));
    } else {
        lines_sign(lexer);
    }
}

static bool lines_is_sign(const struct scanner *s, char sign)
{
    return s->lexer.kind == LINES_SIGN && s->lexer.sign == sign;
}

static bool lines_is_word(const struct scanner *s, const char *word)
{
    return s->lexer.kind == LINES_NAME && str_eq(s->lexer.text, str_of(word));
}

/* Whether the current token ends a block or opens one: -1, 1; else 0. */
static int lines_nesting(const struct scanner *s)
{
    if (s->lexer.kind == LINES_SIGN) {
        return s->lexer.sign == '(' || s->lexer.sign == '['   ? 1
               : s->lexer.sign == ')' || s->lexer.sign == ']' ? -1
                                                              : 0;
    }
    if (lines_is_word(s, "end")) {
        return -1;
    }
    return lines_is_word(s, "function") || lines_is_word(s, "if") ||
           lines_is_word(s, "do");
}

/* Adds a name to the path; what does not fit makes it one that is not kept. */
static void lines_push(struct lines_path *path, struct str name)
{
    size_t join = path->depth++ > 0 ? 1 : 0;

    if (path->depth > LINES_DEPTH_MAX || (join == 1 && path->bytes == 0) ||
        path->bytes + join + name.len > sizeof(path->text)) {
        path->bytes = 0;
        return;
    }
    if (join == 1) {
        path->text[path->bytes++] = LINES_JOIN;
    }
    memcpy(path->text + path->bytes, name.ptr, name.len);
    path->bytes += name.len;
}

static void lines_keep(struct scanner *s, int line)
{
    struct str path = str_sub(s->path.text, s->path.bytes);
    struct value_place *place;

    if (s->path.bytes == 0) {
        return;
    }
    place = ARENA_NEW(s->lines->arena, struct value_place);
    *place = (struct value_place){s->file, line};
    map_put(&s->lines->places, path, place);
}

/* Of a table that a longer path goes through: only where nothing is known. */
static void lines_keep_around(struct scanner *s, int line)
{
    struct str path = str_sub(s->path.text, s->path.bytes);

    if (s->path.bytes > 0 && map_find(&s->lines->places, path) == NULL) {
        lines_keep(s, line);
    }
}

/* What the name inside "[...]" is, from behind its '['; ends on the ']'. */
static struct str lines_bracket(struct scanner *s)
{
    struct str name = LINES_ANY;
    int depth = 0;
    bool alone = true;

    if ((s->lexer.kind == LINES_TEXT && !s->lexer.escaped) ||
        s->lexer.kind == LINES_NUMBER) {
        name = s->lexer.text;
        lines_next(&s->lexer);
    }
    while (s->lexer.kind != LINES_END &&
           !(depth == 0 && lines_is_sign(s, ']'))) {
        depth += lines_nesting(s);
        alone = false;
        lines_next(&s->lexer);
    }
    return alone ? name : LINES_ANY;
}

static void lines_table(struct scanner *s, int nested);

/* The value of a field, up to the ',' ';' or '}' behind it. */
static void lines_field_value(struct scanner *s, int nested)
{
    bool plain = true; /* a constructor here is the value, no argument */
    int depth = 0;

    while (s->lexer.kind != LINES_END) {
        if (lines_is_sign(s, '{')) {
            struct lines_path path = s->path;

            if (!plain) {
                s->path.bytes = 0;
            }
            lines_table(s, nested + 1);
            s->path = path;
            plain = false;
            continue;
        }
        if (depth == 0 && (lines_is_sign(s, ',') || lines_is_sign(s, ';') ||
                           lines_is_sign(s, '}'))) {
            return;
        }
        depth += lines_nesting(s);
        plain =
            depth == 0 && (lines_is_word(s, "and") || lines_is_word(s, "or"));
        lines_next(&s->lexer);
    }
}

/* One field of a constructor, with its key put behind the path. */
static void lines_field(struct scanner *s, int nested, int *position)
{
    struct lexer begin = s->lexer;
    int line = s->lexer.line;
    struct str name;
    char number[16];

    if (s->lexer.kind == LINES_NAME) {
        name = s->lexer.text;
        lines_next(&s->lexer);
    } else if (lines_is_sign(s, '[')) {
        lines_next(&s->lexer);
        name = lines_bracket(s);
        lines_next(&s->lexer);
    }
    if (lines_is_sign(s, '=') &&
        (begin.kind == LINES_NAME || begin.sign == '[')) {
        lines_next(&s->lexer);
    } else {
        size_t at = sizeof(number);

        s->lexer = begin;
        for (int n = ++*position; n > 0; n /= 10) {
            number[--at] = (char)('0' + n % 10);
        }
        name = str_sub(number + at, sizeof(number) - at);
    }
    lines_push(&s->path, name);
    lines_keep(s, line);
    lines_field_value(s, nested);
}

/* A constructor, from its '{' to behind its '}'. */
static void lines_table(struct scanner *s, int nested)
{
    struct lines_path *path = &s->path;
    size_t bytes = path->bytes;
    int depth = path->depth;
    int position = 0;

    if (nested > 200) { /* Lua refuses it as well */
        s->lexer.at = s->lexer.end;
    }
    lines_next(&s->lexer);
    while (s->lexer.kind != LINES_END && !lines_is_sign(s, '}')) {
        if (lines_is_sign(s, ',') || lines_is_sign(s, ';')) {
            lines_next(&s->lexer);
            continue;
        }
        lines_field(s, nested, &position);
        path->bytes = bytes;
        path->depth = depth;
    }
    lines_next(&s->lexer);
}

/* `a.b["c"] =`: the path of an assignment, from its first name on. True: ends
 * behind the '='; false: on the token behind the last name that it took. */
static bool lines_target(struct scanner *s)
{
    int line = s->lexer.line;

    s->path = (struct lines_path){.bytes = 0};
    lines_push(&s->path, s->lexer.text);
    lines_next(&s->lexer);
    while (lines_is_sign(s, '.') || lines_is_sign(s, '[')) {
        lines_keep_around(s, line);
        if (lines_is_sign(s, '.')) {
            lines_next(&s->lexer);
            if (s->lexer.kind != LINES_NAME) {
                return false;
            }
            lines_push(&s->path, s->lexer.text);
        } else {
            lines_next(&s->lexer);
            lines_push(&s->path, lines_bracket(s));
        }
        lines_next(&s->lexer);
    }
    if (!lines_is_sign(s, '=')) {
        return false;
    }
    lines_keep(s, line);
    lines_next(&s->lexer);
    return true;
}

/* `local a <const>, b` and `for i`: names that are no settings. */
static void lines_skip_local(struct scanner *s)
{
    do {
        lines_next(&s->lexer);
        if (lines_is_word(s, "function")) {
            return;
        }
        lines_next(&s->lexer);
        if (lines_is_sign(s, '<')) {
            lines_next(&s->lexer);
            lines_next(&s->lexer);
            lines_next(&s->lexer);
        }
    } while (lines_is_sign(s, ','));
    s->path = (struct lines_path){.bytes = 0};
}

void lines_scan(struct lines *lines, struct str source, const char *file)
{
    struct scanner s = {
        .lines = lines,
        .file = file,
        .lexer = {.at = source.ptr,
                  .end = source.ptr + source.len,
                  .next_line = 1},
    };
    bool plain = false; /* a constructor here is what is assigned */
    bool member = false;

    lines_next(&s.lexer);
    while (s.lexer.kind != LINES_END) {
        if (lines_is_word(&s, "local") || lines_is_word(&s, "for")) {
            lines_skip_local(&s);
            plain = false;
        } else if (s.lexer.kind == LINES_NAME && !member) {
            bool joins = lines_is_word(&s, "and") || lines_is_word(&s, "or");
            struct lexer begin = s.lexer;
            struct lines_path path = s.path;

            if (joins || !lines_target(&s)) {
                s.lexer = begin;
                s.path = path;
                plain = joins && path.depth > 0;
                lines_next(&s.lexer);
            } else {
                plain = true;
            }
        } else if (lines_is_sign(&s, '{')) {
            struct lines_path path = s.path;

            if (!plain) {
                s.path.bytes = 0;
            }
            lines_table(&s, 0);
            s.path = path;
        } else {
            member = lines_is_sign(&s, '.') || lines_is_sign(&s, ':');
            plain = false;
            lines_next(&s.lexer);
            continue;
        }
        member = false;
    }
}

struct value_place lines_find(const struct lines *lines, const struct str *path,
                              size_t depth)
{
    struct value_place found = {NULL, 0};
    struct lines_path at = {.bytes = 0};

    for (size_t i = 0; i < MIN(depth, (size_t)LINES_DEPTH_MAX); i++) {
        const struct value_place *here = NULL;
        struct lines_path before = at;

        for (int any = 0; any < 2 && here == NULL; any++) {
            struct str name = any ? LINES_ANY : path[i];

            at = before;
            lines_push(&at, name);
            if (at.bytes > 0) {
                here = map_find(&lines->places, str_sub(at.text, at.bytes));
            }
        }
        if (here == NULL) {
            break;
        }
        found = *here;
    }
    return found;
}
