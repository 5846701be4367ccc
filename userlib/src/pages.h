/* SPDX-License-Identifier: MIT */
/*
 * A set of pages that is emptied in the order of addresses, round and round:
 * who is put in behind the last one taken waits for the next round.
 *
 * Each marker has its own, of pages of its own shards (shards.h); the bits are in
 * one row for all, so that a shard changes hands without them.
 */
#ifndef HS_PAGES_H
#define HS_PAGES_H

#include "bits.h"
#include "slots.h"

#define HS_PAGES_BLOCK_SHIFT (HSPAN_BLOCK_SHIFT - HSPAN_PAGE_SHIFT)
#define HS_PAGES_BLOCK_WORDS (HSPAN_BLOCK_PAGES / 64)

/**
 * struct hs_pages - the set
 * @bits: one for each page of the heap
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

/* With @bits, for all pages; false when there is no memory. */
static inline bool hs_pages_init(struct hs_pages *set, uint64_t *bits)
{
	set->nr_blocks = (uint32_t)(hs.size >> HSPAN_BLOCK_SHIFT);
	set->bits = bits;
	set->blocks = hs_map(hs_pages_bytes(set->nr_blocks));
	return set->blocks;
}

static inline void hs_pages_exit(struct hs_pages *set)
{
	hs_unmap(set->blocks, hs_pages_bytes(set->nr_blocks));
}

/* No block has any: bits for some that had may be left, and they may be others' soon. */
static inline void hs_pages_forget(struct hs_pages *set)
{
	memset(set->blocks, 0, hs_pages_bytes(set->end));
	set->next = set->end = 0;
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

static inline uint32_t hs_pages_in_block(const struct hs_pages *set, uint32_t block)
{
	return hs_count_bits(set->bits + (size_t)block * HS_PAGES_BLOCK_WORDS, HS_PAGES_BLOCK_WORDS);
}

static inline uint64_t hs_shard_of_block(uint32_t block)
{
	return block >> (HS_SHARD_SHIFT - HS_PAGES_BLOCK_SHIFT) & (HS_SHARDS - 1);
}

/* Shards of which there are pages. */
static inline uint64_t hs_pages_shards(const struct hs_pages *set)
{
	uint64_t shards = 0;

	for (uint32_t b = 0; (b = hs_next_bit(set->blocks, b, set->end, true)) < set->end; b++)
		if (!(shards >> hs_shard_of_block(b) & 1) && hs_pages_in_block(set, b))
			shards |= 1ull << hs_shard_of_block(b);
	return shards;
}

/* The pages of @shards are in another marker's set from now on. */
static inline void hs_pages_let_go(struct hs_pages *set, uint64_t shards)
{
	for (uint32_t b = 0; (b = hs_next_bit(set->blocks, b, set->end, true)) < set->end; b++) {
		if (!(shards >> hs_shard_of_block(b) & 1))
			continue;
		set->blocks[b >> 6] &= ~(1ull << (b & 63));
		set->count -= hs_pages_in_block(set, b);
	}
}

/* They are in this one; there are none from block @end on. */
static inline void hs_pages_take_over(struct hs_pages *set, uint64_t shards, uint32_t end)
{
	for (uint32_t b = 0; b < end; b++) {
		uint32_t pages = shards >> hs_shard_of_block(b) & 1 ? hs_pages_in_block(set, b) : 0;

		if (pages)
			set->blocks[b >> 6] |= 1ull << (b & 63);
		set->count += pages;
	}
	if (set->end < end)
		set->end = end;
}

#endif /* HS_PAGES_H */
