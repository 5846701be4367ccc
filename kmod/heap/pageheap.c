// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The page heap: which pages of which block are in spans, and which run of
 * free pages a new span gets.
 *
 * fit.c chooses the block, runs.c the run in it: the shortest that is long
 * enough.  Free pages are coalesced by being neighbours in a bitmap.
 */
#include "internal.h"
#include "runs.h"

/* Its longest run has changed: others may look for it there. */
static void hspan_block_set_longest(struct hspan_heap *heap,
				    struct hspan_block *block,
				    unsigned int longest)
{
	lockdep_assert_held(&heap->lock);
	block->longest = longest;
	hspan_fit_set(&heap->fit, block->index, hspan_block_offer(block));
}

static void hspan_block_set_free(struct hspan_heap *heap,
				 struct hspan_block *block, bool free)
{
	if (free == !!test_bit(block->index, heap->free))
		return;
	if (free) {
		__clear_bit(block->index, heap->busy);
		__set_bit(block->index, heap->free);
		WRITE_ONCE(heap->nr_free, heap->nr_free + 1);
	} else {
		__set_bit(block->index, heap->busy);
		__clear_bit(block->index, heap->free);
		WRITE_ONCE(heap->nr_free, heap->nr_free - 1);
	}
}

/* Tell clients; called with the heap lock held after any change. */
void hspan_control_blocks(struct hspan_heap *heap)
{
	lockdep_assert_held(&heap->lock);
	if (!heap->control)
		return;
	WRITE_ONCE(heap->control->blocks_held, heap->nr_held);
	WRITE_ONCE(heap->control->blocks_free, heap->nr_free);
}

/* Longest run of free pages around the free page @page. */
static unsigned int hspan_run_around(const struct hspan_block *block,
				     unsigned int page)
{
	unsigned int below = find_last_bit(block->used, page);
	unsigned int first = below < page ? below + 1 : 0;

	return find_next_bit(block->used, HSPAN_BLOCK_PAGES, page) - first;
}

/**
 * hspan_run_take() - take a certain run of free pages
 * @heap: the heap, locked
 * @block: a block held, with these pages free
 * @start: first of them in the block
 * @npages: how many
 * @fresh: made false if one of them may not be zero
 */
void hspan_run_take(struct hspan_heap *heap, struct hspan_block *block,
		    u32 start, u32 npages, bool *fresh)
{
	u32 end = start + npages;

	lockdep_assert_held(&heap->lock);
	if (find_next_bit(block->dirty, end, start) < end)
		*fresh = false;
	bitmap_set(block->used, start, npages);
	bitmap_set(block->dirty, start, npages);
	block->nused += npages;
	heap->pages_used += npages;
	hspan_block_set_free(heap, block, false);
	hspan_block_set_longest(heap, block, hspan_runs_longest(block->used));
}

/**
 * hspan_run_give() - make a run of pages free
 * @heap: the heap, locked
 * @block: the block they are in
 * @start: first of them in the block
 * @npages: how many
 */
void hspan_run_give(struct hspan_heap *heap, struct hspan_block *block,
		    u32 start, u32 npages)
{
	lockdep_assert_held(&heap->lock);
	bitmap_clear(block->used, start, npages);
	block->nused -= npages;
	heap->pages_used -= npages;
	hspan_block_set_free(heap, block, !block->nused);
	hspan_block_set_longest(heap, block,
				max_t(u32, block->longest,
				      hspan_run_around(block, start)));
}

/* Take @npages (at most a block) from where they fit best. */
static bool hspan_pages_take(struct hspan_heap *heap, u32 npages,
			     struct hspan_span *span)
{
	u32 index = hspan_fit_best(&heap->fit, npages);
	struct hspan_block *block;
	unsigned int start;
	bool fresh = true;

	lockdep_assert_held(&heap->lock);
	if (index == HSPAN_FIT_NONE)
		return false;
	block = hspan_block(heap, index);
	start = hspan_runs_best(block->used, npages);
	hspan_run_take(heap, block, start, npages, &fresh);
	span->page = index * HSPAN_BLOCK_PAGES + start;
	span->flags = fresh ? HSPAN_SPAN_FRESH : HSPAN_SPAN_EMPTY;
	return true;
}

static u32 hspan_pages_take_many(struct hspan_heap *heap, u32 npages,
				 struct hspan_span *spans, u32 nr)
{
	u32 n = 0;

	if (npages > HSPAN_BLOCK_PAGES)
		return 0;
	spin_lock(&heap->lock);
	while (n < nr && hspan_pages_take(heap, npages, &spans[n]))
		n++;
	heap->spans += n;
	heap->hits += n;
	if (n)
		hspan_control_blocks(heap);
	spin_unlock(&heap->lock);
	return n;
}

static void hspan_block_set_avoided(struct hspan_heap *heap, u32 index,
				    bool avoided)
{
	struct hspan_block *block = hspan_block(heap, index);

	if (!block)
		return;
	spin_lock(&heap->lock);
	block->avoided = avoided && block->held;
	hspan_fit_set(&heap->fit, index, hspan_block_offer(block));
	spin_unlock(&heap->lock);
}

void hspan_heap_avoid(struct hspan_heap *heap, const unsigned long *blocks)
{
	u32 i;

	WRITE_ONCE(heap->avoiding, blocks);
	for (i = 0; i < heap->nr_blocks; i++) {
		hspan_block_set_avoided(heap, i, blocks && test_bit(i, blocks));
		cond_resched();
	}
}

void hspan_heap_avoid_not(struct hspan_heap *heap, u32 block)
{
	hspan_block_set_avoided(heap, block, false);
}

/* There is nothing else: take one from what is avoided after all. */
static u32 hspan_pages_take_avoided(struct hspan_heap *heap, u32 npages,
				    struct hspan_span *span)
{
	if (!READ_ONCE(heap->avoiding))
		return 0;
	hspan_heap_avoid(heap, NULL);
	return hspan_pages_take_many(heap, npages, span, 1);
}

/* The pages are ours; @entry 0 ends a span, another begins one. */
static void hspan_page_map_set(struct hspan_heap *heap, u32 page, u32 npages,
			       u32 entry)
{
	while (npages) {
		u32 first = page % HSPAN_BLOCK_PAGES, i;
		u32 n = min_t(u32, npages, HSPAN_BLOCK_PAGES - first);
		u32 *map = hspan_block(heap, hspan_block_of(page))->page_map;

		for (i = first; i < first + n; i++)
			WRITE_ONCE(map[i], entry);
		page += n;
		npages -= n;
	}
}

/*
 * Pages have been taken for @span: make them a span of @holder.  The page
 * map is complete before anyone can learn of the span or put it back.
 */
static void hspan_span_make(struct hspan_heap *heap, u32 holder,
			    u32 span_class, u32 npages, struct hspan_span *span)
{
	struct hspan_sdesc *desc = hspan_desc(heap, span->page);

	hspan_page_map_set(heap, span->page, npages,
			   HSPAN_PM_ENTRY(span->page, span_class));
	WRITE_ONCE(desc->npages, npages);
	WRITE_ONCE(desc->span_class, span_class);
	WRITE_ONCE(desc->nfree, hspan_nelems(span_class));
	WRITE_ONCE(desc->sweepgen, READ_ONCE(heap->sweepgen));
	hspan_desc_tell(desc, span->flags, span);
	hspan_desc_hand_over(desc, holder);
}

/**
 * hspan_pageheap_get() - make spans from free pages
 * @heap: the heap
 * @holder: who gets them
 * @span_class: their class
 * @npages: pages of each
 * @spans: filled in
 * @nr: how many are wanted
 * @grow: back a new block if there are no free pages.  For one span only:
 *	a batch is no reason to grow.
 *
 * Return: how many, or a negative errno if none.
 */
int hspan_pageheap_get(struct hspan_heap *heap, u32 holder, u32 span_class,
		       u32 npages, struct hspan_span *spans, u32 nr, bool grow)
{
	u32 n = hspan_pages_take_many(heap, npages, spans, nr), i;
	int err;

	if (!n && grow) {
		if (npages <= HSPAN_BLOCK_PAGES)
			err = hspan_grow_small(heap, npages, spans);
		else
			err = hspan_grow_large(heap, npages, spans);
		n = err ? hspan_pages_take_avoided(heap, npages, spans) : 1;
		if (!n)
			return err;
	}
	for (i = 0; i < n; i++)
		hspan_span_make(heap, holder, span_class, npages, &spans[i]);
	return n;
}

/**
 * hspan_pageheap_put() - end a span and make its pages free
 * @heap: the heap
 * @desc: a span of ours, on no list
 *
 * Its page map entries go before anyone can get the pages.  The lock is
 * dropped between blocks, as a large span can have thousands.
 */
void hspan_pageheap_put(struct hspan_heap *heap, struct hspan_sdesc *desc)
{
	u32 page = desc->page, npages = desc->npages;

	hspan_page_map_set(heap, page, npages, HSPAN_PM_NONE);
	WRITE_ONCE(desc->state, HSPAN_STATE_FREE);

	spin_lock(&heap->lock);
	heap->spans--;
	heap->puts++;
	for (;;) {
		struct hspan_block *block = hspan_block(heap,
							hspan_block_of(page));
		u32 first = page % HSPAN_BLOCK_PAGES;
		u32 n = min_t(u32, npages, HSPAN_BLOCK_PAGES - first);

		hspan_run_give(heap, block, first, n);
		hspan_control_blocks(heap);
		page += n;
		npages -= n;
		if (!npages)
			break;
		spin_unlock(&heap->lock);
		spin_lock(&heap->lock);
	}
	spin_unlock(&heap->lock);
}

int hspan_pageheap_init(struct hspan_heap *heap)
{
	size_t size = BITS_TO_LONGS(heap->nr_blocks) * sizeof(long);

	spin_lock_init(&heap->lock);
	heap->blocks = kvcalloc(heap->nr_blocks, sizeof(*heap->blocks),
				HSPAN_HEAP_GFP);
	heap->taken = kvzalloc(size, HSPAN_HEAP_GFP);
	heap->busy = kvzalloc(size, HSPAN_HEAP_GFP);
	heap->free = kvzalloc(size, HSPAN_HEAP_GFP);
	if (!heap->blocks || !heap->taken || !heap->busy || !heap->free)
		return -ENOMEM;
	return hspan_fit_init(&heap->fit, heap->nr_blocks);
}

/* What hspan_pageheap_init() allocates. */
size_t hspan_pageheap_bytes(u32 nr_blocks)
{
	return nr_blocks * sizeof(struct hspan_block *) +
	       3 * BITS_TO_LONGS(nr_blocks) * sizeof(long) +
	       hspan_fit_bytes(nr_blocks);
}

/* Also undoes an init that failed. */
void hspan_pageheap_exit(struct hspan_heap *heap)
{
	struct hspan_block *block;
	u32 i;

	for (i = 0; heap->blocks && i < heap->nr_blocks; i++) {
		block = heap->blocks[i];
		if (!block)
			continue;
		if (block->held)
			heap->ops->block_put(heap, i);
		kvfree(block->sdesc);
		kfree(block);
		cond_resched();
	}
	hspan_fit_exit(&heap->fit);
	kvfree(heap->blocks);
	kvfree(heap->taken);
	kvfree(heap->busy);
	kvfree(heap->free);
}
