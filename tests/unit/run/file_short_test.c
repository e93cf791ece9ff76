/* A kernel that writes and reads less than it was asked to, and is interrupted
 * in between: the test's own pread, pwrite and pwritev come before libc's. */
#include "run/file.h"

#include "lib/fixture.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static size_t most; /* bytes a call takes; 0: as many as there are */
static int calls;

static bool is_interrupted(void)
{
    if (most > 0 && ++calls % 3 == 0) {
        errno = EINTR;
        return true;
    }
    return false;
}

ssize_t pread(int fd, void *into, size_t bytes, off_t position)
{
    if (is_interrupted()) {
        return -1;
    }
    return syscall(SYS_pread64, fd, into, most > 0 ? MIN(bytes, most) : bytes,
                   position);
}

ssize_t pwrite(int fd, const void *from, size_t bytes, off_t position)
{
    if (is_interrupted()) {
        return -1;
    }
    return syscall(SYS_pwrite64, fd, from, most > 0 ? MIN(bytes, most) : bytes,
                   position);
}

/* Short: the first part and some bytes of the second. */
ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t position)
{
    struct iovec some[2];

    if (is_interrupted()) {
        return -1;
    }
    if (most == 0 || count < 2) {
        return syscall(SYS_pwritev, fd, parts, count, position, 0);
    }
    some[0] = parts[0];
    some[1] = (struct iovec){parts[1].iov_base, MIN(parts[1].iov_len, most)};
    return syscall(SYS_pwritev, fd, some, 2, position, 0);
}

static void short_calls_go_on_where_they_stopped(void **state)
{
    enum { PIECES = 7, PIECE = 501 };
    static char bytes[PIECES][PIECE];
    static char back[PIECES * PIECE];
    static const size_t limits[] = {0, 1, 7, 500, 501, 10000};
    struct iovec parts[PIECES];
    char folder[FIXTURE_PATH_BYTES];
    char path[FIXTURE_PATH_BYTES + 8];

    fixture_folder(folder);
    snprintf(path, sizeof(path), "%s/f", folder);
    for (int i = 0; i < PIECES; i++) {
        memset(bytes[i], 'a' + i, PIECE);
        parts[i] = (struct iovec){bytes[i], PIECE};
    }
    for (size_t i = 0; i < ARRAY_COUNT(limits); i++) {
        struct file *file;
        size_t got;

        assert_int_equal(file_open(disk_real(), path, FILE_WRITE, &file, NULL),
                         ERR_NONE);
        assert_int_equal(file_truncate(file, 0, NULL), ERR_NONE);
        most = limits[i];
        assert_int_equal(file_write(file, 0, parts, PIECES, NULL), ERR_NONE);
        memset(back, 0, sizeof(back));
        assert_int_equal(file_read_whole(file, 0, back, sizeof(back), NULL),
                         ERR_NONE);
        assert_memory_equal(back, bytes, sizeof(back));
        assert_int_equal(file_read(file, PIECE, back, sizeof(back), &got, NULL),
                         ERR_NONE);
        assert_int_equal(got, sizeof(back) - PIECE);
        most = 0;
        file_close(file);
    }
    fixture_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(short_calls_go_on_where_they_stopped),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
