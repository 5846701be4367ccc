/* SPDX-License-Identifier: MIT */
/* From objects to the words in them that point into the heap, by vectors. */
#ifndef HS_SCAN_H
#define HS_SCAN_H

#include <stddef.h>
#include <stdint.h>

#define HS_SCAN_SLACK 8 /* words behind the last one found that may be overwritten */

/**
 * struct hs_scan - what to scan, and for what
 * @heap, @heap_size: the range that a word must be in
 * @base: start of the memory that @layout describes: of the span
 * @layout: a bit for each of its words, set = no pointer; or NULL
 */
struct hs_scan {
	uintptr_t heap;
	size_t heap_size;
	const char *base;
	const uint64_t *layout;
};

/**
 * struct hs_scanner - one way to do it; all find the same in the same order
 * @objects: in the objects of @size bytes, a multiple of 8, whose bits are set
 *	in the @n words of @which
 * @words: in @n words from @p on
 *
 * What is found is written to @out; both return how much that is.
 */
struct hs_scanner {
	const char *name;
	size_t (*objects)(const struct hs_scan *s, size_t size, const uint64_t *which, size_t n,
			  uintptr_t *out);
	size_t (*words)(const struct hs_scan *s, const uintptr_t *p, size_t n, uintptr_t *out);
};

/* The ways this CPU knows, the best first; NULL from @i on. */
const struct hs_scanner *hs_scanner(unsigned int i);

#endif /* HS_SCAN_H */
