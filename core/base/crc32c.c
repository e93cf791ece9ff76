/* crc32c.c - CRC-32C by the processor, or by tables.
 *
 * The crc32 instruction takes 8 bytes in one cycle but gives its result after
 * three, so three streams run side by side: the bytes are cut into three parts
 * of the same number of words. Then the first two results are carried over the
 * parts behind them. To carry a CRC over n words of zeros is to multiply it by
 * x^(64 n) modulo the polynomial: one carry-less multiplication, reduced by one
 * more crc32. Both together give a factor x^33 too much (32 from the
 * instruction, 1 from the reflected product), so the table holds
 * shift[n] = x^(64 n - 33). shift[1] = x^31 is the reflected 1, and each next
 * one is the one before it with a word of zeros fed through.
 *
 * Source: RFC 3720, appendix B.4 (test vectors); Gopal and others, "Fast CRC
 *         Computation for iSCSI Polynomial Using CRC32 Instruction". */
#include "base/crc32c.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

typedef uint32_t (*crc32c_fn)(uint32_t crc, const uint8_t *at, size_t bytes);

static uint32_t crc32c_choose(uint32_t crc, const uint8_t *at, size_t bytes);
static _Atomic(crc32c_fn) crc32c_chosen = crc32c_choose;

/* ---- tables: 8 bytes a step ---- */

enum {
    CRC32C_POLYNOMIAL = (int)0x82f63b78, /* reflected */
    CRC32C_SLICES = 8,
};

/* slices[k][b]: the CRC of byte b with k zero bytes behind it. */
static uint32_t crc32c_slices[CRC32C_SLICES][256];
static pthread_once_t crc32c_slices_once = PTHREAD_ONCE_INIT;

/* Once a process, by whoever needs it first. */
static void crc32c_slices_fill(void)
{
    for (uint32_t b = 0; b < 256; b++) {
        uint32_t crc = b;

        for (int bit = 0; bit < 8; bit++) {
            crc = crc >> 1 ^ ((crc & 1) != 0 ? (uint32_t)CRC32C_POLYNOMIAL : 0);
        }
        crc32c_slices[0][b] = crc;
    }
    for (uint32_t b = 0; b < 256; b++) {
        for (int k = 1; k < CRC32C_SLICES; k++) {
            uint32_t crc = crc32c_slices[k - 1][b];

            crc32c_slices[k][b] = crc >> 8 ^ crc32c_slices[0][crc & 255];
        }
    }
}

/* Eight bytes a step: each by the table that carries it over those behind it.
 * */
static uint32_t crc32c_sliced(uint32_t crc, const uint8_t *at, size_t bytes)
{
    for (; bytes >= 8; bytes -= 8, at += 8) {
        uint64_t word;
        uint32_t sum = 0;

        memcpy(&word, at, sizeof(word));
        word ^= crc;
        for (int k = 0; k < CRC32C_SLICES; k++) {
            sum ^= crc32c_slices[7 - k][word >> 8 * k & 255];
        }
        crc = sum;
    }
    for (; bytes > 0; bytes--, at++) {
        crc = crc >> 8 ^ crc32c_slices[0][(crc ^ *at) & 255];
    }
    return crc;
}

/* ---- the instruction ---- */

#if defined(__x86_64__)
#include <immintrin.h>

enum {
    CRC32C_WORDS_MAX = 128, /* of one part: 3 KiB a round */
    CRC32C_WORDS_MIN = 4,   /* below that, one stream is faster */
};

#define CRC32C_TARGET __attribute__((target("sse4.2,pclmul")))

/* One more than twice the longest part. */
static uint64_t crc32c_shift[2 * CRC32C_WORDS_MAX + 1];
static pthread_once_t crc32c_shift_once = PTHREAD_ONCE_INIT;

CRC32C_TARGET static void crc32c_shift_fill(void)
{
    crc32c_shift[1] = 1;
    for (size_t n = 2; n < ARRAY_COUNT(crc32c_shift); n++) {
        crc32c_shift[n] = _mm_crc32_u64(crc32c_shift[n - 1], 0);
    }
}

CRC32C_TARGET static inline uint64_t crc32c_word(uint64_t crc,
                                                 const uint8_t *at)
{
    uint64_t word;

    memcpy(&word, at, sizeof(word));
    return _mm_crc32_u64(crc, word);
}

/* crc times shift[words], 33 powers of x short of being reduced. */
CRC32C_TARGET static inline __m128i crc32c_carry(uint64_t crc, size_t words)
{
    return _mm_clmulepi64_si128(
        _mm_cvtsi64_si128((long long)crc),
        _mm_cvtsi64_si128((long long)crc32c_shift[words]), 0);
}

/* 3 * words words at once. */
CRC32C_TARGET static inline uint64_t
crc32c_three(uint64_t crc, const uint8_t *at, size_t words)
{
    const uint8_t *end = at + 8 * words;
    uint64_t second = 0;
    uint64_t third = 0;
    __m128i carried;

    for (; at < end; at += 8) {
        crc = crc32c_word(crc, at);
        second = crc32c_word(second, at + 8 * words);
        third = crc32c_word(third, at + 16 * words);
    }
    carried = _mm_xor_si128(crc32c_carry(crc, 2 * words),
                            crc32c_carry(second, words));
    return third ^
           _mm_crc32_u64(0, (unsigned long long)_mm_cvtsi128_si64(carried));
}

CRC32C_TARGET static uint32_t crc32c_sse42(uint32_t crc, const uint8_t *at,
                                           size_t bytes)
{
    uint64_t wide = crc;

    while (bytes >= 3 * 8 * CRC32C_WORDS_MIN) {
        size_t words = MIN(bytes / (3 * 8), (size_t)CRC32C_WORDS_MAX);

        wide = crc32c_three(wide, at, words);
        at += 3 * 8 * words;
        bytes -= 3 * 8 * words;
    }
    for (; bytes >= 8; bytes -= 8, at += 8) {
        wide = crc32c_word(wide, at);
    }
    crc = (uint32_t)wide;
    for (; bytes > 0; bytes--, at++) {
        crc = _mm_crc32_u8(crc, *at);
    }
    return crc;
}

static crc32c_fn crc32c_of_machine(void)
{
    __builtin_cpu_init();
    if (__builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("pclmul")) {
        pthread_once(&crc32c_shift_once, crc32c_shift_fill);
        return crc32c_sse42;
    }
    return crc32c_sliced;
}
#else
static crc32c_fn crc32c_of_machine(void)
{
    return crc32c_sliced;
}
#endif

/* Several threads may come here at once: they choose the same. */
static uint32_t crc32c_choose(uint32_t crc, const uint8_t *at, size_t bytes)
{
    crc32c_fn fn = crc32c_of_machine();

    if (fn == crc32c_sliced) {
        pthread_once(&crc32c_slices_once, crc32c_slices_fill);
    }
    atomic_store_explicit(&crc32c_chosen, fn, memory_order_release);
    return fn(crc, at, bytes);
}

uint32_t crc32c(uint32_t crc, const void *ptr, size_t bytes)
{
    crc32c_fn fn = atomic_load_explicit(&crc32c_chosen, memory_order_acquire);

    return ~fn(~crc, ptr, bytes);
}

uint32_t crc32c_tables(uint32_t crc, const void *ptr, size_t bytes)
{
    pthread_once(&crc32c_slices_once, crc32c_slices_fill);
    return ~crc32c_sliced(~crc, ptr, bytes);
}
