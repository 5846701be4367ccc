/* SPDX-License-Identifier: MIT */
/* Which slots of which spans rows of words point into. */
#ifndef HS_SLOTS_H
#define HS_SLOTS_H

#include "internal.h"

#define HS_SLOTS_SHIFT 9 /* a page has as many slots at most, or is no business of ours */
#define HS_SLOT_NOSCAN (1ull << 63)
#define HS_SLOTS_SLACK 8 /* entries behind the last one that may be overwritten */

/**
 * struct hs_located - what was found
 * @slot: page << HS_SLOTS_SHIFT | slot, and HS_SLOT_NOSCAN
 * @other: words that point into a large object, or spans of other kinds
 */
struct hs_located {
	uint64_t *slot;
	uintptr_t *other;
	unsigned int slots, others;
};

/* Add what @n words in the range of the heap point into to @found. */
typedef void hs_locate_fn(const uintptr_t *words, unsigned int n, struct hs_located *found);

/* To be called before any other. */
void hs_slots_init(void);

/* The way for a scanner of that name. */
hs_locate_fn *hs_locate_by(const char *name);

/* Are objects of this class found by slots, not one by one? */
bool hs_class_has_slots(uint32_t span_class);

#endif /* HS_SLOTS_H */
