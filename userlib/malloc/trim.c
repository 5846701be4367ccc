// SPDX-License-Identifier: MIT
/*
 * Giving back the free pages of blocks that are not free as a whole: while
 * their memory goes, the heap counts them as used.
 *
 * That splits a huge page, for good.  So it is done to the emptiest blocks, and
 * only when so many pages lie idle that it matters more.
 */
#include "../../kmod/heap/internal.h"
#include "hm.h"

static uint32_t idle_in(struct hspan_heap *heap, const struct hspan_block *block)
{
	uint32_t n = 0;

	if (!READ_ONCE(block->held))
		return 0;
	spin_lock(&heap->lock);
	for (unsigned int i = 0; block->held && i < BITS_TO_LONGS(HSPAN_BLOCK_PAGES); i++)
		n += (uint32_t)__builtin_popcountl(block->dirty[i] & ~block->used[i]);
	spin_unlock(&heap->lock);
	return n;
}

/* Free pages of all blocks that were handed out since they were zero. */
uint64_t hm_trim_count(struct hspan_heap *heap)
{
	uint64_t n = 0;

	for (u32 i = 0; i < heap->nr_blocks; i++) {
		const struct hspan_block *block = hspan_block(heap, i);

		if (!block)
			break;
		n += idle_in(heap, block);
	}
	return n;
}

/* The first run of idle pages from @start; 0 = there is none. */
static u32 find_run(const struct hspan_block *block, u32 *start)
{
	u32 first, last;

	for (first = *start; first < HSPAN_BLOCK_PAGES; first++)
		if (test_bit(first, block->dirty) && !test_bit(first, block->used))
			break;
	last = first;
	while (last < HSPAN_BLOCK_PAGES && test_bit(last, block->dirty) &&
	       !test_bit(last, block->used))
		last++;
	*start = first;
	return last - first;
}

/* Take a run out of use, drop its memory, and have it back zeroed. */
static u32 trim_run(struct hspan_heap *heap, struct hspan_block *block, u32 *start)
{
	bool fresh;
	u32 n = 0;

	spin_lock(&heap->lock);
	if (block->held && block->nused)
		n = find_run(block, start);
	if (n)
		hspan_run_take(heap, block, *start, n, &fresh);
	spin_unlock(&heap->lock);
	if (!n)
		return 0;
	hm_drop_pages(block->index * HSPAN_BLOCK_PAGES + *start, n);
	spin_lock(&heap->lock);
	bitmap_clear(block->dirty, *start, n);
	hspan_run_give(heap, block, *start, n);
	spin_unlock(&heap->lock);
	*start += n;
	return n;
}

/**
 * hm_trim_step() - give back free pages of the next block that is worth it
 * @heap: the heap
 * @trim: how far the walk has come; .least = idle pages of a block worth it
 * @max: pages at most, more or less
 *
 * Return: how many; 0 with .block at 0 when the walk is over.
 */
uint64_t hm_trim_step(struct hspan_heap *heap, struct hm_trim *trim, uint64_t max)
{
	struct hspan_block *block = NULL;
	uint64_t n = 0;
	u32 start = 0, run;

	for (; trim->block < heap->nr_blocks; trim->block++) {
		block = hspan_block(heap, trim->block);
		if (!block || idle_in(heap, block) >= trim->least)
			break;
	}
	if (trim->block >= heap->nr_blocks || !block) {
		trim->block = 0;
		return 0;
	}
	trim->block++;
	while (n < max && (run = trim_run(heap, block, &start)))
		n += run;
	return n;
}
