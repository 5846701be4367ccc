// SPDX-License-Identifier: MIT
/* Growing a large span into the free pages behind it. */
#include "../../kmod/heap/internal.h"
#include "span_extend.h"

/* In the block that the span ends in. */
static void take(struct hspan_heap *heap, struct hspan_block *block, u32 entry, u32 first, u32 more,
		 u32 *dirty)
{
	bool fresh;

	for (u32 i = first; i < first + more; i++) {
		*dirty += test_bit(i, block->dirty);
		WRITE_ONCE(block->page_map[i], entry);
	}
	hspan_run_take(heap, block, first, more, &fresh);
}

bool hs_extend(struct hspan_heap *heap, uint32_t page, uint32_t npages, uint32_t more,
	       uint32_t *dirty)
{
	struct hspan_sdesc *desc = hspan_desc(heap, page);
	u32 first = (page + npages) % HSPAN_BLOCK_PAGES, end = first + more;
	struct hspan_block *block;
	bool done;

	*dirty = 0;
	if (!first || end > HSPAN_BLOCK_PAGES)
		return false;
	block = hspan_block(heap, hspan_block_of(page + npages));
	spin_lock(&heap->lock);
	done = desc->npages == npages && find_next_bit(block->used, end, first) >= end;
	if (done) {
		take(heap, block, HSPAN_PM_ENTRY(page, desc->span_class), first, more, dirty);
		WRITE_ONCE(desc->npages, npages + more);
	}
	spin_unlock(&heap->lock);
	return done;
}
