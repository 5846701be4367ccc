/* SPDX-License-Identifier: MIT */
/*
 * Allocation without a call, for sizes that the compiler knows.  Part of
 * <hugespan.h>, which includes it; -DHSPAN_NO_INLINE leaves the plain calls.
 *
 * What stands here is compiled into programs, so it is part of the ABI: the
 * variable hspan_runs, the layout of struct hspan_run, and the number and size
 * of each class up to HSPAN_INLINE_MAX.
 */
#ifndef HUGESPAN_INLINE_H
#define HUGESPAN_INLINE_H

#define HSPAN_INLINE_MAX 512u /* bytes */

/**
 * struct hspan_run - where the next objects of a span class come from
 * @cur: the next one, zeroed unless the class is noscan
 * @end: where the run ends; NULL when it was taken away
 */
struct hspan_run {
	char *cur;
	char *end;
};

/*
 * The calling thread's runs, by span class: size class * 2 + noscan.  Threads
 * that do not take part have empty ones.
 */
extern __thread struct hspan_run *hspan_runs __attribute__((tls_model("initial-exec")));

/* A size's class: multiples of 8 to 32 bytes, of 16 to 256, of 32 to 512. */
static inline __attribute__((always_inline)) unsigned int hspan_inline_class(size_t size)
{
	if (size <= 32)
		return (unsigned int)((size + 7) / 8);
	if (size <= 256)
		return (unsigned int)((size + 15) / 16) + 2;
	return (unsigned int)((size + 31) / 32) + 10;
}

static inline __attribute__((always_inline)) size_t hspan_inline_round(size_t size)
{
	size_t step = size <= 32 ? 8 : size <= 256 ? 16 : 32;

	return (size + step - 1) / step * step;
}

/*
 * The next object of its class.  A handshake may come anywhere in between: it
 * leaves .cur as it is.
 */
static inline __attribute__((always_inline)) void *hspan_inline_alloc(size_t size, int noscan)
{
	if (__builtin_constant_p(size) && size - 1 < HSPAN_INLINE_MAX) {
		struct hspan_run *run = &hspan_runs[hspan_inline_class(size) * 2 + (noscan != 0)];
		char *p = __atomic_load_n(&run->cur, __ATOMIC_RELAXED);
		char *next = p + hspan_inline_round(size);

		if (__builtin_expect(next <= __atomic_load_n(&run->end, __ATOMIC_RELAXED), 1)) {
			__atomic_store_n(&run->cur, next, __ATOMIC_RELAXED);
			return p;
		}
	}
	return noscan ? hspan_alloc_noscan(size) : hspan_alloc(size);
}

#ifndef HSPAN_NO_INLINE
#define hspan_alloc(size) hspan_inline_alloc(size, 0)
#define hspan_alloc_noscan(size) hspan_inline_alloc(size, 1)
#endif

#endif /* HUGESPAN_INLINE_H */
