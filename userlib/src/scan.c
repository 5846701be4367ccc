// SPDX-License-Identifier: MIT
/*
 * Scanning by vectors of words: AVX-512, AVX2, or none.
 *
 * The program may write what is read here.  It does so by whole words, and a
 * vector is read by whole words too: no CPU that has these tears an aligned
 * word of a vector.  Lanes that do not belong to an object are not read.
 *
 * Each way is an append(): of up to as many words as a vector has lanes, keep
 * those that point into the heap.  The walks over objects are the same for all.
 */
#include <stdbool.h>

#include "internal.h"
#include "scan.h"

#define INLINE static inline __attribute__((always_inline))
/* Objects are the program's: neither races nor red zones are ours to find. */
#define SCANS __attribute__((no_sanitize("address", "thread")))

/* Of @n words from word @i of the span on, a bit for each that may be one. */
INLINE unsigned int may_point(const uint64_t *layout, size_t i, unsigned int n)
{
	unsigned int all = (1u << n) - 1, shift = i & 63;
	uint64_t no;

	if (!layout)
		return all;
	no = hs_load(&layout[i >> 6]) >> shift;
	if (shift + n > 64)
		no |= hs_load(&layout[(i >> 6) + 1]) << (64 - shift);
	return ~(unsigned int)no & all;
}

/* Bit i of @bits becomes @times bits from i * @times on. */
INLINE unsigned int spread(unsigned int bits, unsigned int times)
{
	if (times == 4)
		return (bits & 1) * 0x0f | (bits >> 1 & 1) * 0xf0;
	bits = (bits | bits << 2) & 0x33;
	bits = (bits | bits << 1) & 0x55;
	return bits | bits << 1;
}

/*
 * The walks, for an append_NAME(out, p, lanes, s) and its number of lanes.
 * Small objects are taken several to a vector.
 */
#define DEFINE_WALKS(NAME, TARGET, LANES)                                                          \
	TARGET SCANS INLINE uintptr_t *NAME##_some(const struct hs_scan *s, const uintptr_t *p,    \
						   size_t n, uintptr_t *out)                       \
	{                                                                                          \
		size_t i = (size_t)(p - (const uintptr_t *)s->base);                               \
                                                                                                   \
		for (; n >= (LANES); n -= (LANES), p += (LANES), i += (LANES))                     \
			out = append_##NAME(out, p, may_point(s->layout, i, LANES), s);            \
		if (n)                                                                             \
			out = append_##NAME(out, p, may_point(s->layout, i, (unsigned int)n), s);  \
		return out;                                                                        \
	}                                                                                          \
                                                                                                   \
	TARGET SCANS static size_t NAME##_words(const struct hs_scan *s, const uintptr_t *p,       \
						size_t n, uintptr_t *out)                          \
	{                                                                                          \
		return (size_t)(NAME##_some(s, p, n, out) - out);                                  \
	}                                                                                          \
                                                                                                   \
	/* Objects of @words words, a power of two that divides the lanes. */                      \
	TARGET SCANS INLINE uintptr_t *NAME##_small(const struct hs_scan *s, unsigned int words,   \
						    const uintptr_t *p, uint64_t bits,             \
						    uintptr_t *out)                                \
	{                                                                                          \
		const unsigned int at_once = (LANES) / words, all = (1u << at_once) - 1;           \
                                                                                                   \
		while (bits) {                                                                     \
			unsigned int at = (unsigned int)__builtin_ctzll(bits) & ~(at_once - 1);    \
			unsigned int lanes = spread((unsigned int)(bits >> at) & all, words);      \
			const uintptr_t *q = p + (size_t)at * words;                               \
                                                                                                   \
			bits &= ~((uint64_t)all << at);                                            \
			lanes &= may_point(s->layout, (size_t)(q - (const uintptr_t *)s->base),    \
					   LANES);                                                 \
			out = append_##NAME(out, q, lanes, s);                                     \
		}                                                                                  \
		return out;                                                                        \
	}                                                                                          \
                                                                                                   \
	TARGET SCANS INLINE uintptr_t *NAME##_each(const struct hs_scan *s, size_t size,           \
						   const uintptr_t *p, uint64_t bits,              \
						   uintptr_t *out)                                 \
	{                                                                                          \
		for (; bits; bits &= bits - 1)                                                     \
			out = NAME##_some(s, p + (size_t)__builtin_ctzll(bits) * (size / 8),       \
					  size / 8, out);                                          \
		return out;                                                                        \
	}                                                                                          \
                                                                                                   \
	TARGET SCANS static size_t NAME##_objects(const struct hs_scan *s, size_t size,            \
						  const uint64_t *which, size_t n, uintptr_t *out) \
	{                                                                                          \
		const uintptr_t *p = (const uintptr_t *)s->base;                                   \
		uintptr_t *end = out;                                                              \
                                                                                                   \
		for (size_t w = 0; w < n; w++, p += 64 * (size / 8)) {                             \
			if (size == 16)                                                            \
				end = NAME##_small(s, 2, p, which[w], end);                        \
			else if (size == 32)                                                       \
				end = NAME##_small(s, 4, p, which[w], end);                        \
			else                                                                       \
				end = NAME##_each(s, size, p, which[w], end);                      \
		}                                                                                  \
		return (size_t)(end - out);                                                        \
	}                                                                                          \
                                                                                                   \
	static const struct hs_scanner scanner_##NAME = { #NAME, NAME##_objects, NAME##_words }

SCANS INLINE uintptr_t *append_portable(uintptr_t *out, const uintptr_t *p, unsigned int lanes,
				  const struct hs_scan *s)
{
	for (; lanes; lanes &= lanes - 1) {
		uintptr_t word = *(const volatile uintptr_t *)(p + __builtin_ctz(lanes));

		*out = word;
		out += word - s->heap < s->heap_size;
	}
	return out;
}

DEFINE_WALKS(portable, , 8);

#if defined(__x86_64__)
#include <immintrin.h>

#define AVX512 __attribute__((target("avx512f,popcnt,bmi")))
#define AVX2 __attribute__((target("avx2,popcnt,bmi")))

AVX512 SCANS INLINE uintptr_t *append_avx512(uintptr_t *out, const uintptr_t *p, unsigned int lanes,
				 const struct hs_scan *s)
{
	__m512i words = _mm512_maskz_loadu_epi64((__mmask8)lanes, p);
	__m512i offset = _mm512_sub_epi64(words, _mm512_set1_epi64((long long)s->heap));
	__mmask8 in = _mm512_mask_cmplt_epu64_mask((__mmask8)lanes, offset,
						   _mm512_set1_epi64((long long)s->heap_size));

	_mm512_storeu_si512(out, _mm512_maskz_compress_epi64(in, words));
	return out + __builtin_popcount(in);
}

DEFINE_WALKS(avx512, AVX512, 8);

/* By a set of 4 lanes: which to read, and how to bring them to the front. */
static struct {
	int64_t read[16][4];
	int32_t pack[16][8];
} avx2_table __attribute__((aligned(32)));

static void make_avx2_table(void)
{
	for (int set = 0; set < 16; set++) {
		int n = 0;

		for (int lane = 0; lane < 4; lane++) {
			if (!(set >> lane & 1))
				continue;
			avx2_table.read[set][lane] = -1;
			avx2_table.pack[set][n++] = 2 * lane;
			avx2_table.pack[set][n++] = 2 * lane + 1;
		}
	}
}

/* QEMU's emulation reads lanes that are masked out: they may not be there. */
INLINE bool is_at_the_edge(const uintptr_t *p, unsigned int lanes)
{
	return lanes != 15 && ((uintptr_t)p & (HSPAN_PAGE_SIZE - 1)) > HSPAN_PAGE_SIZE - 32;
}

AVX2 SCANS static __attribute__((noinline)) uintptr_t *append_avx2_at_the_edge(
	uintptr_t *out, const uintptr_t *p, unsigned int lanes, const struct hs_scan *s)
{
	return append_portable(out, p, lanes, s);
}

AVX2 SCANS INLINE uintptr_t *append_avx2(uintptr_t *out, const uintptr_t *p, unsigned int lanes,
				   const struct hs_scan *s)
{
	if (unlikely(is_at_the_edge(p, lanes)))
		return append_avx2_at_the_edge(out, p, lanes, s);

	const __m256i sign = _mm256_set1_epi64x(INT64_MIN); /* there is no unsigned compare */
	__m256i read = _mm256_load_si256((const __m256i *)avx2_table.read[lanes]);
	__m256i words = _mm256_maskload_epi64((const long long *)p, read);
	__m256i offset = _mm256_sub_epi64(words, _mm256_set1_epi64x((long long)s->heap));
	__m256i size = _mm256_set1_epi64x((long long)s->heap_size);
	__m256i less = _mm256_cmpgt_epi64(_mm256_xor_si256(size, sign),
					  _mm256_xor_si256(offset, sign));
	unsigned int in = (unsigned int)_mm256_movemask_pd(_mm256_castsi256_pd(less)) & lanes;
	__m256i pack = _mm256_load_si256((const __m256i *)avx2_table.pack[in]);

	_mm256_storeu_si256((__m256i *)out, _mm256_permutevar8x32_epi32(words, pack));
	return out + __builtin_popcount(in);
}

DEFINE_WALKS(avx2, AVX2, 4);

const struct hs_scanner *hs_scanner(unsigned int i)
{
	const struct hs_scanner *known[3];
	unsigned int n = 0;

	if (__builtin_cpu_supports("avx512f"))
		known[n++] = &scanner_avx512;
	if (__builtin_cpu_supports("avx2")) {
		make_avx2_table();
		known[n++] = &scanner_avx2;
	}
	known[n++] = &scanner_portable;
	return i < n ? known[i] : NULL;
}
#else
const struct hs_scanner *hs_scanner(unsigned int i)
{
	return i ? NULL : &scanner_portable;
}
#endif
