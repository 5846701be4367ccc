// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Growing and shrinking the page heap: blocks are reserved under the lock,
 * backed with the lock dropped, and committed or unwound under it again.
 */
#include "internal.h"

static void hspan_block_free(struct hspan_block *block)
{
	if (!block)
		return;
	kvfree(block->sdesc);
	kfree(block);
}

static struct hspan_block *hspan_block_alloc(u32 index)
{
	struct hspan_block *block;
	u32 i;

	block = kzalloc(sizeof(*block), HSPAN_HEAP_GFP);
	if (!block)
		return NULL;
	block->sdesc = kvcalloc(HSPAN_BLOCK_PAGES, sizeof(*block->sdesc),
				HSPAN_HEAP_GFP);
	if (!block->sdesc) {
		hspan_block_free(block);
		return NULL;
	}
	for (i = 0; i < HSPAN_BLOCK_PAGES; i++)
		block->sdesc[i].page = index * HSPAN_BLOCK_PAGES + i;
	block->index = index;
	block->longest = HSPAN_BLOCK_PAGES;
	return block;
}

/* What hspan_block_alloc() allocates. */
size_t hspan_heap_block_bytes(void)
{
	return sizeof(struct hspan_block) +
	       HSPAN_BLOCK_PAGES * sizeof(struct hspan_sdesc);
}

bool hspan_heap_knows(struct hspan_heap *heap, u32 block)
{
	return hspan_block(heap, block);
}

/* Give memory to block @index, which we have reserved.  Sleeps. */
static int hspan_block_back(struct hspan_heap *heap, u32 index)
{
	struct hspan_block *known = hspan_block(heap, index), *block = known;
	int err;

	if (!block)
		block = hspan_block_alloc(index);
	if (!block)
		return -ENOMEM;
	err = heap->ops->block_get(heap, index);
	if (err)
		goto out_free_block;
	if (!block->page_map)
		block->page_map = heap->ops->page_map(heap, index);
	if (!block->page_map) {
		err = -ENOMEM;
		goto out_put_block;
	}
	smp_store_release(&heap->blocks[index], block);
	return 0;

out_put_block:
	heap->ops->block_put(heap, index);
out_free_block:
	if (!known)
		hspan_block_free(block);
	return err;
}

/* Reserved block @index is backed: it is ours to take pages from. */
static struct hspan_block *hspan_block_commit(struct hspan_heap *heap,
					      u32 index)
{
	struct hspan_block *block = hspan_block(heap, index);

	lockdep_assert_held(&heap->lock);
	WRITE_ONCE(block->held, true);
	heap->nr_reserved--;
	heap->nr_held++;
	heap->grown++;
	return block;
}

static void hspan_block_unreserve(struct hspan_heap *heap, u32 index)
{
	lockdep_assert_held(&heap->lock);
	__clear_bit(index, heap->taken);
	__clear_bit(index, heap->busy);
	heap->nr_reserved--;
}

/* May @nr more blocks be held? */
static bool hspan_may_grow(const struct hspan_heap *heap, u32 nr)
{
	return (u64)heap->nr_held + heap->nr_reserved + nr <= heap->limit;
}

static int hspan_reserve_one(struct hspan_heap *heap, u32 *index)
{
	int err = 0;

	spin_lock(&heap->lock);
	*index = find_first_zero_bit(heap->taken, heap->nr_blocks);
	if (*index >= heap->nr_blocks) {
		err = -ENOSPC;
	} else if (!hspan_may_grow(heap, 1)) {
		err = -EDQUOT;
	} else {
		__set_bit(*index, heap->taken);
		__set_bit(*index, heap->busy);
		heap->nr_reserved++;
	}
	spin_unlock(&heap->lock);
	return err;
}

/**
 * hspan_grow_small() - back one more block and take pages from it
 * @heap: the heap
 * @npages: at most a block
 * @span: page and flags are filled in
 *
 * Return: 0, or -ENOSPC, -EDQUOT, -ENOMEM with nothing changed.
 */
int hspan_grow_small(struct hspan_heap *heap, u32 npages,
		     struct hspan_span *span)
{
	bool fresh = true;
	u32 index;
	int err;

	err = hspan_reserve_one(heap, &index);
	if (err)
		return err;
	err = hspan_block_back(heap, index);

	spin_lock(&heap->lock);
	if (err) {
		hspan_block_unreserve(heap, index);
	} else {
		hspan_run_take(heap, hspan_block_commit(heap, index), 0,
			       npages, &fresh);
		span->page = index * HSPAN_BLOCK_PAGES;
		span->flags = HSPAN_SPAN_FRESH;
		heap->spans++;
		heap->hits++;
	}
	hspan_control_blocks(heap);
	spin_unlock(&heap->lock);
	return err;
}

/**
 * struct hspan_large - where a span of more than one block is to go
 * @first: its first block
 * @nr: blocks, the one with the tail included
 * @whole: of those, used as a whole
 * @tail: pages in the one after them
 */
struct hspan_large {
	u32 first;
	u32 nr;
	u32 whole;
	u32 tail;
};

/* Are the first @npages of block @index free, or can they be? */
static bool hspan_head_is_free(struct hspan_heap *heap, u32 index, u32 npages)
{
	struct hspan_block *block = hspan_block(heap, index);

	if (!test_bit(index, heap->busy))
		return true;
	if (!block || !block->held)
		return false;	/* on its way in or out */
	return find_first_bit(block->used, HSPAN_BLOCK_PAGES) >= npages;
}

/*
 * First fit by address.  A tail can only end where a block is free from its
 * beginning, which the best fit inside blocks seldom leaves.
 */
static bool hspan_large_find(struct hspan_heap *heap, struct hspan_large *run)
{
	unsigned long at = 0;

	lockdep_assert_held(&heap->lock);
	for (;; at++) {
		at = bitmap_find_next_zero_area(heap->busy, heap->nr_blocks,
						at, run->whole, 0);
		if (at + run->nr > heap->nr_blocks)
			return false;
		run->first = at;
		if (!run->tail ||
		    hspan_head_is_free(heap, at + run->whole, run->tail))
			return true;
	}
}

static u32 hspan_large_lacking(struct hspan_heap *heap,
			       const struct hspan_large *run)
{
	u32 lacking = 0, i;

	for (i = run->first; i < run->first + run->nr; i++)
		lacking += !test_bit(i, heap->taken);
	return lacking;
}

/* Pages of block @run->first + @i that the span uses. */
static u32 hspan_large_pages(const struct hspan_large *run, u32 i)
{
	return i < run->whole ? HSPAN_BLOCK_PAGES : run->tail;
}

/* Take what is held already, and reserve what is not. */
static void hspan_large_reserve(struct hspan_heap *heap,
				const struct hspan_large *run, bool *fresh)
{
	u32 i;

	for (i = 0; i < run->nr; i++) {
		u32 index = run->first + i;

		if (test_bit(index, heap->taken)) {
			hspan_run_take(heap, hspan_block(heap, index), 0,
				       hspan_large_pages(run, i), fresh);
			continue;
		}
		__set_bit(index, heap->taken);
		__set_bit(index, heap->busy);
		heap->nr_reserved++;
	}
}

/* Find a place and reserve it; @lacking says how much there is to back. */
static int hspan_large_begin(struct hspan_heap *heap, struct hspan_large *run,
			     u32 *lacking, bool *fresh)
{
	int err = 0;

	spin_lock(&heap->lock);
	if (!hspan_large_find(heap, run)) {
		err = -ENOSPC;
		goto out_unlock;
	}
	*lacking = hspan_large_lacking(heap, run);
	if (!hspan_may_grow(heap, *lacking)) {
		err = -EDQUOT;
		goto out_unlock;
	}
	hspan_large_reserve(heap, run, fresh);
	hspan_control_blocks(heap);
out_unlock:
	spin_unlock(&heap->lock);
	return err;
}

/* Is block @index of ours one that was reserved, not held before? */
static bool hspan_is_reserved(struct hspan_heap *heap, u32 index)
{
	struct hspan_block *block = hspan_block(heap, index);

	return !block || !READ_ONCE(block->held);
}

/* Back what is reserved of @run, or nothing. */
static int hspan_large_back(struct hspan_heap *heap,
			    const struct hspan_large *run)
{
	u32 i;
	int err = 0;

	for (i = 0; i < run->nr; i++) {
		if (!hspan_is_reserved(heap, run->first + i))
			continue;
		err = hspan_block_back(heap, run->first + i);
		if (err)
			break;
		cond_resched();
	}
	while (err && i--)
		if (hspan_is_reserved(heap, run->first + i))
			heap->ops->block_put(heap, run->first + i);
	return err;
}

static void hspan_large_commit(struct hspan_heap *heap,
			       const struct hspan_large *run, bool *fresh)
{
	struct hspan_block *block;
	u32 i;

	spin_lock(&heap->lock);
	for (i = 0; i < run->nr; i++) {
		if (!hspan_is_reserved(heap, run->first + i))
			continue;
		block = hspan_block_commit(heap, run->first + i);
		hspan_run_take(heap, block, 0, hspan_large_pages(run, i),
			       fresh);
	}
	heap->spans++;
	heap->hits++;
	hspan_control_blocks(heap);
	spin_unlock(&heap->lock);
}

static void hspan_large_unwind(struct hspan_heap *heap,
			       const struct hspan_large *run)
{
	u32 i;

	spin_lock(&heap->lock);
	for (i = 0; i < run->nr; i++) {
		u32 index = run->first + i;

		if (hspan_is_reserved(heap, index))
			hspan_block_unreserve(heap, index);
		else
			hspan_run_give(heap, hspan_block(heap, index), 0,
				       hspan_large_pages(run, i));
	}
	hspan_control_blocks(heap);
	spin_unlock(&heap->lock);
}

/**
 * hspan_grow_large() - pages for a span of more than one block
 * @heap: the heap
 * @npages: more than a block
 * @span: page and flags are filled in
 *
 * At the limit, free blocks that are of no use here make room for ones that
 * are.
 *
 * Return: 0, or -ENOSPC, -EDQUOT, -ENOMEM with no page in use more than
 * before.
 */
int hspan_grow_large(struct hspan_heap *heap, u32 npages,
		     struct hspan_span *span)
{
	struct hspan_large run = {
		.nr = DIV_ROUND_UP(npages, HSPAN_BLOCK_PAGES),
		.whole = npages / HSPAN_BLOCK_PAGES,
		.tail = npages % HSPAN_BLOCK_PAGES,
	};
	bool fresh = true;
	u32 lacking = 0;
	int err;

	do {
		err = hspan_large_begin(heap, &run, &lacking, &fresh);
	} while (err == -EDQUOT && hspan_heap_release(heap, lacking));
	if (err)
		return err;
	err = hspan_large_back(heap, &run);
	if (err) {
		hspan_large_unwind(heap, &run);
		return err;
	}
	hspan_large_commit(heap, &run, &fresh);
	span->page = run.first * HSPAN_BLOCK_PAGES;
	span->flags = fresh ? HSPAN_SPAN_FRESH : HSPAN_SPAN_EMPTY;
	return 0;
}

/* Pick the highest free block and take it out of use; false if none is. */
static bool hspan_release_begin(struct hspan_heap *heap, u32 *index)
{
	bool found;

	spin_lock(&heap->lock);
	*index = find_last_bit(heap->free, heap->nr_blocks);
	found = *index < heap->nr_blocks;
	if (found) {
		__clear_bit(*index, heap->free);
		__set_bit(*index, heap->busy);
		WRITE_ONCE(heap->nr_free, heap->nr_free - 1);
		WRITE_ONCE(hspan_block(heap, *index)->held, false);
		hspan_fit_set(&heap->fit, *index, 0);
		hspan_control_blocks(heap);
	}
	spin_unlock(&heap->lock);
	return found;
}

/* Its memory is gone: it may be reserved again. */
static void hspan_release_end(struct hspan_heap *heap, u32 index)
{
	spin_lock(&heap->lock);
	hspan_block(heap, index)->avoided = false;
	bitmap_zero(hspan_block(heap, index)->dirty, HSPAN_BLOCK_PAGES);
	__clear_bit(index, heap->busy);
	__clear_bit(index, heap->taken);
	heap->nr_held--;
	heap->released++;
	hspan_control_blocks(heap);
	spin_unlock(&heap->lock);
}

u64 hspan_heap_release(struct hspan_heap *heap, u64 max)
{
	u64 n = 0;
	u32 index;

	while (n < max && hspan_release_begin(heap, &index)) {
		heap->ops->block_put(heap, index);
		hspan_release_end(heap, index);
		n++;
		cond_resched();
	}
	return n;
}

/* It could not be put: it is free again, and held. */
static void hspan_release_undo(struct hspan_heap *heap, u32 index)
{
	struct hspan_block *block = hspan_block(heap, index);

	spin_lock(&heap->lock);
	WRITE_ONCE(block->held, true);
	__clear_bit(index, heap->busy);
	__set_bit(index, heap->free);
	WRITE_ONCE(heap->nr_free, heap->nr_free + 1);
	hspan_fit_set(&heap->fit, index, hspan_block_offer(block));
	hspan_control_blocks(heap);
	spin_unlock(&heap->lock);
}

u64 hspan_heap_try_release(struct hspan_heap *heap, u64 max)
{
	u64 n = 0;
	u32 index;

	while (n < max && hspan_release_begin(heap, &index)) {
		if (!heap->ops->block_try_put(heap, index)) {
			hspan_release_undo(heap, index);
			break;
		}
		hspan_release_end(heap, index);
		n++;
	}
	return n;
}

void hspan_heap_used(struct hspan_heap *heap, unsigned long *blocks)
{
	spin_lock(&heap->lock);
	memcpy(blocks, heap->busy,
	       BITS_TO_LONGS(heap->nr_blocks) * sizeof(*blocks));
	spin_unlock(&heap->lock);
}

u32 hspan_heap_nr_free(const struct hspan_heap *heap)
{
	return READ_ONCE(heap->nr_free);
}

void hspan_heap_set_limit(struct hspan_heap *heap, u64 blocks)
{
	spin_lock(&heap->lock);
	WRITE_ONCE(heap->limit, blocks);
	spin_unlock(&heap->lock);
}

u64 hspan_heap_limit(const struct hspan_heap *heap)
{
	return READ_ONCE(heap->limit);
}
