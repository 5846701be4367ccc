// SPDX-License-Identifier: MIT
/* Growing a large span into the free pages behind it. */
#include "../../kmod/heap/internal.h"
#include "hm.h"

/**
 * hm_extend() - take pages right behind a span
 * @heap: the heap
 * @page: first page of the span, which is ours
 * @npages: pages of it
 * @more: so many more
 * @dirty: pages of these that may not be zero
 *
 * No further than to the end of the block, which the span reaches into.
 */
bool hm_extend(struct hspan_heap *heap, uint32_t page, uint32_t npages, uint32_t more,
	       uint32_t *dirty)
{
	u32 first = (page + npages) % HSPAN_BLOCK_PAGES, end = first + more, i;
	struct hspan_block *block;
	bool fresh, done;

	*dirty = 0;
	if (!first || end > HSPAN_BLOCK_PAGES)
		return false;
	block = hspan_block(heap, hspan_block_of(page + npages));
	spin_lock(&heap->lock);
	done = find_next_bit(block->used, end, first) >= end;
	if (done) {
		for (i = first; i < end; i++)
			*dirty += test_bit(i, block->dirty);
		hspan_run_take(heap, block, first, more, &fresh);
		WRITE_ONCE(hspan_desc(heap, page)->npages, npages + more);
	}
	spin_unlock(&heap->lock);
	return done;
}
