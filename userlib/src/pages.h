/* SPDX-License-Identifier: MIT */
/*
 * A set of pages that is emptied in the order of addresses, round and round:
 * who is put in behind the last one taken waits for the next round.
 */
#ifndef HS_PAGES_H
#define HS_PAGES_H

#include "bits.h"

#define HS_PAGES_BLOCK_SHIFT (HSPAN_BLOCK_SHIFT - HSPAN_PAGE_SHIFT)

/**
 * struct hs_pages - the set
 * @bits: one for each page
 * @blocks: one for each block: it may have some
 * @next: the page to go on with
 * @nr_blocks: of the heap
 * @end: no block from here on has ever had any
 * @count: pages in the set
 */
struct hs_pages {
	uint64_t *bits;
	uint64_t *blocks;
	uint32_t next;
	uint32_t nr_blocks;
	uint32_t end;
	size_t count;
};

static inline size_t hs_pages_bytes(size_t n)
{
	return (n + 63) / 64 * 8;
}

/* False when there is no memory. */
static inline bool hs_pages_init(struct hs_pages *set)
{
	set->nr_blocks = (uint32_t)(hs.size >> HSPAN_BLOCK_SHIFT);
	set->bits = hs_map(hs_pages_bytes(hs.size >> HSPAN_PAGE_SHIFT));
	set->blocks = hs_map(hs_pages_bytes(set->nr_blocks));
	return set->bits && set->blocks;
}

static inline void hs_pages_exit(struct hs_pages *set)
{
	hs_unmap(set->bits, hs_pages_bytes((size_t)set->nr_blocks << HS_PAGES_BLOCK_SHIFT));
	hs_unmap(set->blocks, hs_pages_bytes(set->nr_blocks));
}

static inline bool hs_pages_has(const struct hs_pages *set, uint32_t page)
{
	return set->bits[page >> 6] >> (page & 63) & 1;
}

static inline void hs_pages_put(struct hs_pages *set, uint32_t page)
{
	uint32_t block = page >> HS_PAGES_BLOCK_SHIFT;

	set->bits[page >> 6] |= 1ull << (page & 63);
	set->blocks[block >> 6] |= 1ull << (block & 63);
	set->count++;
	if (block >= set->end)
		set->end = block + 1;
}

static inline void hs_pages_remove(struct hs_pages *set, uint32_t page)
{
	if (!hs_pages_has(set, page))
		return;
	set->bits[page >> 6] &= ~(1ull << (page & 63));
	set->count--;
}

/* Take the next page out of a set that is not empty. */
static inline uint32_t hs_pages_take(struct hs_pages *set)
{
	for (;;) {
		uint32_t block = set->next >> HS_PAGES_BLOCK_SHIFT, end, page;

		block = hs_next_bit(set->blocks, block, set->end, true);
		if (block >= set->end) {
			set->next = 0;
			continue;
		}
		if (set->next < block << HS_PAGES_BLOCK_SHIFT)
			set->next = block << HS_PAGES_BLOCK_SHIFT;
		end = (block + 1) << HS_PAGES_BLOCK_SHIFT;
		page = hs_next_bit(set->bits, set->next, end, true);
		if (page < end) {
			hs_pages_remove(set, page);
			set->next = page + 1;
			return page;
		}
		if (set->next == block << HS_PAGES_BLOCK_SHIFT)
			set->blocks[block >> 6] &= ~(1ull << (block & 63));
		set->next = end;
	}
}

#endif /* HS_PAGES_H */
