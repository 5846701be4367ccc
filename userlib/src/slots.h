/* SPDX-License-Identifier: MIT */
/* Which slots of which spans rows of words point into. */
#ifndef HS_SLOTS_H
#define HS_SLOTS_H

#include "internal.h"

#define HS_SLOTS_SHIFT 9 /* a page has as many slots at most, or is no business of ours */
#define HS_SLOT_NOSCAN (1ull << 63)
#define HS_SLOTS_SLACK 8 /* entries behind the last one that may be overwritten */

/*
 * Pages belong to shards, in turn: a shard has the first two blocks, the next one
 * the next two, and so on.  Two, so that no cache line of a row of bits for pages
 * is in two shards.
 */
#define HS_SHARDS 64
#define HS_SHARD_SHIFT 9

/**
 * struct hs_located - what was found
 * @mine: a bit for each shard: it is ours
 * @slot: page << HS_SLOTS_SHIFT | slot, and HS_SLOT_NOSCAN; of our shards
 * @away: the same, of other shards
 * @other: words that point into a large object, or spans of other kinds
 */
struct hs_located {
	uint64_t mine;
	uint64_t *slot;
	uint64_t *away;
	uintptr_t *other;
	unsigned int slots, aways, others;
};

static inline unsigned int hs_shard_of_slot(uint64_t slot)
{
	return slot >> (HS_SHARD_SHIFT + HS_SLOTS_SHIFT) & (HS_SHARDS - 1);
}

/* Add what @n words in the range of the heap point into to @found. */
typedef void hs_locate_fn(const uintptr_t *words, unsigned int n, struct hs_located *found);

/* To be called before any other. */
void hs_slots_init(void);

/* The way for a scanner of that name. */
hs_locate_fn *hs_locate_by(const char *name);

/* Are objects of this class found by slots, not one by one? */
bool hs_class_has_slots(uint32_t span_class);

#endif /* HS_SLOTS_H */
