// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the span heap asks of its arena: memory behind a block, and page map
 * entries for it.
 */
#include <linux/mm.h>
#include <linux/page_ref.h>
#include <linux/pagemap.h>

#include "hugespan.h"
#include "trace.h"

static int hspan_block_get(struct hspan_heap *heap, u32 block)
{
	struct hspan_arena *arena = hspan_heap_priv(heap);
	struct folio *folio = hspan_pool_take(arena->pool);

	trace_hugespan_block_get(arena->id, block, folio ? 0 : -ENOMEM);
	if (!folio)
		return -ENOMEM;
	folio->mapping = arena->inode->i_mapping;
	folio->index = (pgoff_t)block << HSPAN_BLOCK_ORDER;
	spin_lock(&arena->slot_lock);
	WARN_ON_ONCE(arena->slots[block]);
	WRITE_ONCE(arena->slots[block], folio);
	spin_unlock(&arena->slot_lock);
	return 0;
}

/*
 * Take the locked folio out of its slot and out of all page tables, and unlock
 * it.  Returns whether the owner's reference is the only one left.
 */
static bool hspan_block_detach(struct hspan_arena *arena, u32 block,
			       struct folio *folio)
{
	bool alone;

	spin_lock(&arena->slot_lock);
	WRITE_ONCE(arena->slots[block], NULL);
	spin_unlock(&arena->slot_lock);
	unmap_mapping_pages(folio->mapping, folio->index, HSPAN_BLOCK_NR,
			    false);
	folio->mapping = NULL;
	alone = folio_ref_freeze(folio, 1);
	if (alone)
		folio_ref_unfreeze(folio, 1);
	folio_unlock(folio);
	return alone;
}

static void hspan_block_put(struct hspan_heap *heap, u32 block)
{
	struct hspan_arena *arena = hspan_heap_priv(heap);
	struct folio *folio = arena->slots[block]; /* only we empty it */
	struct hspan_side_bits bits;
	bool alone;

	if (WARN_ON_ONCE(!folio))
		return;
	folio_lock(folio);
	alone = hspan_block_detach(arena, block, folio);
	trace_hugespan_block_put(arena->id, block, alone);
	if (alone)
		hspan_pool_put(arena->pool, folio);
	else
		hspan_pool_forget(arena->pool, folio);
	hspan_side_lock_bits(arena, block, false, &bits);
	hspan_side_drop_bits(arena, block, &bits);
}

/*
 * For the shrinker.  A fault that is under way may hold the folio's or a page's
 * lock and be what needs the memory, so none of them is waited for.
 */
static bool hspan_block_try_put(struct hspan_heap *heap, u32 block)
{
	struct hspan_arena *arena = hspan_heap_priv(heap);
	struct folio *folio = arena->slots[block]; /* only we empty it */
	struct hspan_side_bits bits;
	bool alone;

	if (WARN_ON_ONCE(!folio) || !folio_trylock(folio))
		return false;
	if (!hspan_side_lock_bits(arena, block, true, &bits)) {
		folio_unlock(folio);
		return false;
	}
	alone = hspan_block_detach(arena, block, folio);
	trace_hugespan_block_put(arena->id, block, alone);
	if (alone)
		hspan_pool_give(arena->pool, folio);
	else
		hspan_pool_forget(arena->pool, folio);
	hspan_side_drop_bits(arena, block, &bits);
	return true;
}

static u32 *hspan_block_page_map(struct hspan_heap *heap, u32 block)
{
	struct hspan_arena *arena = hspan_heap_priv(heap);
	unsigned long offset = (unsigned long)block * HSPAN_PAGE_MAP_BLOCK;
	struct page *page;

	page = hspan_side_get(arena, (HSPAN_OFF_PAGE_MAP + offset) >> PAGE_SHIFT);
	if (!page)
		return NULL;
	/* The arena keeps its own reference until the heap is gone. */
	put_page(page);
	return page_address(page) + offset_in_page(offset);
}

const struct hspan_heap_ops hspan_arena_heap_ops = {
	.block_get = hspan_block_get,
	.page_map = hspan_block_page_map,
	.block_put = hspan_block_put,
	.block_try_put = hspan_block_try_put,
};
