/*
 * A library to preload into the release binary: it counts what the process
 * does to its files, and at the n-th such call it fails the call or kills the
 * process. It can also write down all calls and all that leaves through
 * sockets, each with the time when it began and ended, so that a test sees
 * whether an answer left before its fdatasync.
 *
 * The product knows nothing of it. All is said by the environment:
 *
 *   FAULT_PROGRAM  the process that it is for, by its name (tidemark); others,
 *                  a shell that starts it for one, are left alone
 *   FAULT_PATHS    parts of paths between colons: only files with one of them
 *                  count (all files)
 *   FAULT_CALLS    the kinds that count, of write,sync,truncate,rename (all)
 *   FAULT_ARM      a file: nothing counts before it is there
 *   FAULT_AT       the number of the call that goes wrong, from 1 (none does)
 *   FAULT_TIMES    how many calls from there on go wrong (1)
 *   FAULT_HOW      kill    SIGKILL before the call
 *                  torn    a write ends half-way, then SIGKILL
 *                  short   a write ends half-way and says so
 *                  eio, enospc  the call fails so, and does nothing
 *                  slow    it takes FAULT_MS longer, as on a busy disk
 *   FAULT_LOG      a file for a line a call: BEGIN END (nanoseconds) NUMBER
 *                  (0: did not count) CALL OFFSET BYTES RESULT WHERE, where
 *                  WHERE is a path, or "socket:PORT" with the peer's port
 *
 * System calls are made directly, so the library may be loaded into anything.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum kind { KIND_WRITE, KIND_SYNC, KIND_TRUNCATE, KIND_RENAME, KIND_COUNT };
enum how {
    HOW_NONE,
    HOW_KILL,
    HOW_TORN,
    HOW_SHORT,
    HOW_EIO,
    HOW_ENOSPC,
    HOW_SLOW,
};

static const char *const kind_names[] = {"write", "sync", "truncate", "rename"};
static const char *const how_names[] = {"",    "kill",   "torn", "short",
                                        "eio", "enospc", "slow"};

/* What the environment says, read once before main. */
static struct {
    bool on;
    bool counts[KIND_COUNT];
    const char *paths;
    const char *arm;
    long at;
    long times;
    long ms;
    enum how how;
    int log;
} fault = {.log = -1};

static atomic_long calls;
static atomic_bool armed;

/* One call that is about to be made. */
struct call {
    enum kind kind;
    const char *name;
    long number; /* 0: does not count */
    enum how how;
    uint64_t began;
    int64_t offset;
    size_t bytes;
    char where[PATH_MAX];
};

static uint64_t now(void)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return (uint64_t)at.tv_sec * 1000000000 + (uint64_t)at.tv_nsec;
}

static void read_kinds(const char *words)
{
    for (int i = 0; i < KIND_COUNT; i++) {
        fault.counts[i] = words == NULL || strstr(words, kind_names[i]) != NULL;
    }
}

static long number_of(const char *name, long otherwise)
{
    const char *text = getenv(name);
    return text == NULL ? otherwise : strtol(text, NULL, 10);
}

/* Whether this process runs the program that the shim is for. */
static bool is_for_us(void)
{
    const char *program = getenv("FAULT_PROGRAM");
    char exe[PATH_MAX];
    ssize_t length = syscall(SYS_readlinkat, AT_FDCWD, "/proc/self/exe", exe,
                             sizeof exe - 1);
    exe[length < 0 ? 0 : length] = '\0';
    const char *name = strrchr(exe, '/');
    return name != NULL &&
           strcmp(name + 1, program == NULL ? "tidemark" : program) == 0;
}

__attribute__((constructor)) static void fault_start(void)
{
    if (!is_for_us()) {
        return;
    }
    fault.on = true;
    fault.paths = getenv("FAULT_PATHS");
    fault.arm = getenv("FAULT_ARM");
    fault.at = number_of("FAULT_AT", 0);
    fault.times = number_of("FAULT_TIMES", 1);
    fault.ms = number_of("FAULT_MS", 0);
    read_kinds(getenv("FAULT_CALLS"));
    const char *how = getenv("FAULT_HOW");
    for (int i = HOW_KILL; how != NULL && i <= HOW_SLOW; i++) {
        if (strcmp(how, how_names[i]) == 0) {
            fault.how = (enum how)i;
        }
    }
    const char *log = getenv("FAULT_LOG");
    if (log != NULL) {
        fault.log =
            (int)syscall(SYS_openat, AT_FDCWD, log,
                         O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    }
    atomic_store(&armed, fault.arm == NULL);
}

static bool is_armed(void)
{
    if (!atomic_load(&armed) &&
        syscall(SYS_faccessat, AT_FDCWD, fault.arm, F_OK) == 0) {
        atomic_store(&armed, true);
    }
    return atomic_load(&armed);
}

static bool path_counts(const char *path)
{
    if (fault.paths == NULL) {
        return true;
    }
    char part[PATH_MAX];
    for (const char *at = fault.paths; *at != '\0';) {
        size_t length = strcspn(at, ":");
        snprintf(part, sizeof part, "%.*s", (int)length, at);
        if (length > 0 && strstr(path, part) != NULL) {
            return true;
        }
        at += length + (at[length] == ':');
    }
    return false;
}

/* Says where a file descriptor leads: a path, or the port of a socket's
 * peer. Returns whether it is a file. */
static bool locate(int fd, char where[static PATH_MAX])
{
    char link[32];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length =
        syscall(SYS_readlinkat, AT_FDCWD, link, where, (size_t)PATH_MAX - 1);
    where[length < 0 ? 0 : length] = '\0';
    if (where[0] == '/') {
        return strncmp(where, "/dev/", 5) != 0;
    }
    struct sockaddr_storage peer;
    socklen_t size = sizeof peer;
    if (getpeername(fd, (struct sockaddr *)&peer, &size) == 0) {
        in_port_t port = peer.ss_family == AF_INET6
                             ? ((struct sockaddr_in6 *)&peer)->sin6_port
                             : ((struct sockaddr_in *)&peer)->sin_port;
        snprintf(where, PATH_MAX, "socket:%d", ntohs(port));
    }
    return false;
}

/* Gives the call its number and its fate, `call->where` being set. */
static void decide(struct call *call, bool is_file)
{
    call->number = 0;
    call->how = HOW_NONE;
    if (is_file && fault.counts[call->kind] && path_counts(call->where) &&
        is_armed()) {
        call->number = atomic_fetch_add(&calls, 1) + 1;
        if (fault.at > 0 && call->number >= fault.at &&
            call->number < fault.at + fault.times) {
            call->how = fault.how;
        }
    }
    call->began = now();
}

/* Ends the process as a power cut would: no handler, no other thread. */
static void die(void)
{
    for (;;) {
        kill(getpid(), SIGKILL);
        pause();
    }
}

static long finish(const struct call *call, long result)
{
    int kept = errno;
    if (fault.log >= 0 && call->where[0] != '\0') {
        char line[PATH_MAX + 200];
        int length =
            snprintf(line, sizeof line, "%llu %llu %ld %s %lld %zu %ld %s\n",
                     (unsigned long long)call->began, (unsigned long long)now(),
                     call->number, call->name, (long long)call->offset,
                     call->bytes, result, call->where);
        syscall(SYS_write, fault.log, line, (size_t)length);
    }
    errno = kept;
    return result;
}

/* Whether the call is not to be made: it is dead, or errno says why. */
static bool stops(const struct call *call)
{
    if (call->how == HOW_KILL ||
        (call->how == HOW_TORN && call->kind != KIND_WRITE)) {
        finish(call, -1);
        die();
    }
    if (call->how == HOW_SLOW) {
        struct timespec pause = {fault.ms / 1000, fault.ms % 1000 * 1000000};
        nanosleep(&pause, NULL);
    }
    if (call->how == HOW_EIO || call->how == HOW_ENOSPC) {
        errno = call->how == HOW_EIO ? EIO : ENOSPC;
        return true;
    }
    return false;
}

static void begin(struct call *call, enum kind kind, const char *name, int fd,
                  int64_t offset, size_t bytes)
{
    call->kind = kind;
    call->name = name;
    call->offset = offset;
    call->bytes = bytes;
    decide(call, locate(fd, call->where));
}

/* A position below 0 is the file's own. */
static long raw_writev(int fd, const struct iovec *parts, int count,
                       int64_t position)
{
    return position < 0 ? syscall(SYS_writev, fd, parts, count)
                        : syscall(SYS_pwritev, fd, parts, count,
                                  (unsigned long)position, 0UL);
}

/* Writes the first half of the parts, and at least a byte. */
static long write_half(int fd, const struct iovec *parts, int count,
                       int64_t position, size_t bytes)
{
    size_t left = bytes > 1 ? bytes / 2 : bytes;
    long written = 0;
    for (int i = 0; i < count && left > 0; i++) {
        struct iovec part = parts[i];
        part.iov_len = part.iov_len < left ? part.iov_len : left;
        long done = raw_writev(fd, &part, 1,
                               position < 0 ? position : position + written);
        if (done < 0) {
            return written > 0 ? written : done;
        }
        written += done;
        left -= (size_t)done;
    }
    return written;
}

static ssize_t write_parts(int fd, const struct iovec *parts, int count,
                           int64_t position, const char *name)
{
    if (!fault.on) {
        return raw_writev(fd, parts, count, position);
    }
    size_t bytes = 0;
    for (int i = 0; i < count; i++) {
        bytes += parts[i].iov_len;
    }
    struct call call;
    begin(&call, KIND_WRITE, name, fd, position, bytes);
    if (stops(&call)) {
        return finish(&call, -1);
    }
    if (call.how == HOW_TORN || call.how == HOW_SHORT) {
        long written = write_half(fd, parts, count, position, bytes);
        finish(&call, written);
        if (call.how == HOW_TORN) {
            die();
        }
        return written;
    }
    return finish(&call, raw_writev(fd, parts, count, position));
}

ssize_t write(int fd, const void *data, size_t bytes)
{
    struct iovec part = {.iov_base = (void *)(uintptr_t)data, .iov_len = bytes};
    return write_parts(fd, &part, 1, -1, "write");
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
    return write_parts(fd, parts, count, -1, "write");
}

ssize_t pwrite(int fd, const void *data, size_t bytes, off_t position)
{
    struct iovec part = {.iov_base = (void *)(uintptr_t)data, .iov_len = bytes};
    return write_parts(fd, &part, 1, position, "write");
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t position)
{
    return write_parts(fd, parts, count, position, "write");
}

ssize_t pwrite64(int fd, const void *data, size_t bytes, off64_t position)
{
    return pwrite(fd, data, bytes, position);
}

ssize_t pwritev64(int fd, const struct iovec *parts, int count,
                  off64_t position)
{
    return pwritev(fd, parts, count, position);
}

/* fsync and fdatasync, by the number of the system call. */
static int sync_file(int fd, long number, const char *name)
{
    if (!fault.on) {
        return (int)syscall(number, fd);
    }
    struct call call;
    begin(&call, KIND_SYNC, name, fd, 0, 0);
    return (int)finish(&call, stops(&call) ? -1 : syscall(number, fd));
}

int fsync(int fd)
{
    return sync_file(fd, SYS_fsync, "fsync");
}

int fdatasync(int fd)
{
    return sync_file(fd, SYS_fdatasync, "fdatasync");
}

int ftruncate(int fd, off_t length)
{
    if (!fault.on) {
        return (int)syscall(SYS_ftruncate, fd, length);
    }
    struct call call;
    begin(&call, KIND_TRUNCATE, "truncate", fd, length, 0);
    return (int)finish(&call,
                       stops(&call) ? -1 : syscall(SYS_ftruncate, fd, length));
}

int ftruncate64(int fd, off64_t length)
{
    return ftruncate(fd, length);
}

int rename(const char *from, const char *to)
{
    if (!fault.on) {
        return (int)syscall(SYS_renameat, AT_FDCWD, from, AT_FDCWD, to);
    }
    struct call call = {.kind = KIND_RENAME, .name = "rename"};
    snprintf(call.where, sizeof call.where, "%s", to);
    decide(&call, true);
    return (int)finish(&call, stops(&call) ? -1
                                           : syscall(SYS_renameat, AT_FDCWD,
                                                     from, AT_FDCWD, to));
}

/* What leaves by a socket never fails here: it is only written down. */
static void begin_send(struct call *call, int fd, size_t bytes)
{
    *call = (struct call){.name = "send", .bytes = bytes};
    if (fault.log >= 0) {
        locate(fd, call->where);
    }
    call->began = now();
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
    struct call call;
    size_t bytes = 0;
    for (size_t i = 0; i < message->msg_iovlen; i++) {
        bytes += message->msg_iov[i].iov_len;
    }
    begin_send(&call, fd, bytes);
    return finish(&call, syscall(SYS_sendmsg, fd, message, flags));
}

ssize_t send(int fd, const void *data, size_t bytes, int flags)
{
    struct call call;
    begin_send(&call, fd, bytes);
    return finish(&call, syscall(SYS_sendto, fd, data, bytes, flags, NULL, 0));
}

ssize_t sendfile(int to, int from, off_t *position, size_t bytes)
{
    struct call call;
    begin_send(&call, to, bytes);
    return finish(&call, syscall(SYS_sendfile, to, from, position, bytes));
}

ssize_t sendfile64(int to, int from, off64_t *position, size_t bytes)
{
    return sendfile(to, from, position, bytes);
}
