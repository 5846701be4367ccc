// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * How spans come back from their holders: one, many, or all of one holder.
 *
 * Swept spans that have something in them are collected while they are of one
 * class, and go to this CPU's cache and to the central list together.
 */
#include "cpucache.h"

/* A holder that has no span: 0 is what is there while nobody has it. */
#define HSPAN_NOBODY	(~0U)

/* What this CPU's cache has no room for goes to the central list. */
static noinline void hspan_put_swept(struct hspan_heap *heap,
				     struct hspan_sdesc *first)
{
	first = hspan_cpucache_put(heap, first);
	if (first)
		hspan_central_put(heap, first);
}

/* The descriptors of a block, or NULL if it was never used or cannot be. */
static struct hspan_sdesc *hspan_block_descs(struct hspan_heap *heap, u32 index)
{
	struct hspan_block *block;

	if (index >= heap->nr_blocks)
		return NULL;
	index = array_index_nospec(index, heap->nr_blocks);
	block = hspan_block(heap, index);
	return block ? block->sdesc : NULL;
}

/**
 * struct hspan_batch - swept spans that are being put back
 * @first: claimed, of one class, some slots in use; linked by next
 * @sweepgen: of them all, and the heap's when the first one came
 * @span_class: of them all
 * @nelems: slots that each has
 * @index: block in which the last span was found, or none
 * @descs: its descriptors
 */
struct hspan_batch {
	struct hspan_sdesc *first;
	u32 sweepgen;
	u32 span_class;
	u32 nelems;
	u32 index;
	struct hspan_sdesc *descs;
};

static bool hspan_batch_seek(struct hspan_heap *heap, struct hspan_batch *batch,
			     u32 index)
{
	struct hspan_sdesc *descs = hspan_block_descs(heap, index);

	if (!descs)
		return false;
	batch->index = index;
	batch->descs = descs;
	return true;
}

static void hspan_batch_end(struct hspan_heap *heap, struct hspan_batch *batch)
{
	if (batch->first)
		hspan_put_swept(heap, batch->first);
	batch->first = NULL;
}

static void hspan_batch_add(struct hspan_batch *batch, struct hspan_sdesc *desc,
			    const struct hspan_put *put)
{
	WRITE_ONCE(desc->nfree, put->nfree);
	WRITE_ONCE(desc->sweepgen, put->sweepgen);
	desc->next = batch->first;
	batch->first = desc;
}

/*
 * Take the span from @holder, not 0.  Only one of several that try gets it, and
 * what it reads of the descriptor afterwards does not change under it.
 */
static int hspan_desc_claim(struct hspan_sdesc *desc, u32 holder)
{
	u32 now = cmpxchg(&desc->holder, holder, 0);

	if (now == holder)
		return 0;
	if (now)
		return -EPERM;
	if (READ_ONCE(desc->state) == HSPAN_STATE_FREE)
		return -ENOENT;
	return -EALREADY;
}

/*
 * The span is not one of the batch.  Sweepgen only grows, so one that is
 * neither the current nor the one before is wrong for good.  One that is
 * current here, or was so when the batch began, may be overtaken before the
 * span is listed, which then is unswept.
 */
static int hspan_batch_turn(struct hspan_heap *heap, struct hspan_batch *batch,
			    struct hspan_sdesc *desc,
			    const struct hspan_put *put)
{
	u32 now = READ_ONCE(heap->sweepgen);

	if (put->sweepgen != now)
		return put->sweepgen + 1 == now ?
		       hspan_central_put_unswept(heap, desc, put->sweepgen) :
		       -EINVAL;
	if (put->nfree > hspan_nelems(desc->span_class))
		return -EINVAL;
	if (put->nfree == hspan_nelems(desc->span_class)) {
		hspan_pageheap_put(heap, desc);
		return 0;
	}
	hspan_batch_end(heap, batch);
	batch->sweepgen = now;
	batch->span_class = desc->span_class;
	batch->nelems = hspan_nelems(desc->span_class);
	hspan_batch_add(batch, desc, put);
	return 0;
}

static int hspan_put_one(struct hspan_heap *heap, struct hspan_batch *batch,
			 u32 holder, const struct hspan_put *put)
{
	u32 index = hspan_block_of(put->page);
	struct hspan_sdesc *desc;
	int err;

	/* Most are near the last one. */
	if (index != batch->index && !hspan_batch_seek(heap, batch, index))
		return -ENOENT;
	desc = &batch->descs[put->page % HSPAN_BLOCK_PAGES];
	err = hspan_desc_claim(desc, holder);
	if (err)
		return err;
	if (put->sweepgen == batch->sweepgen &&
	    desc->span_class == batch->span_class &&
	    put->nfree < batch->nelems) {
		hspan_batch_add(batch, desc, put);
		return 0;
	}
	err = hspan_batch_turn(heap, batch, desc, put);
	if (err)	/* refused: it stays with its holder */
		smp_store_release(&desc->holder, holder);
	return err;
}

static noinline u32 hspan_put_batch(struct hspan_heap *heap, u32 holder,
				    struct hspan_put *puts, u32 nr)
{
	struct hspan_batch batch = {
		.span_class = HSPAN_NR_SPAN_CLASSES,
		.index = ~0U,	/* no page is in there */
	};
	struct hspan_put *put = puts, *end = puts + nr;
	u32 done = nr;

	for (; put < end; put++) {
		int err = hspan_put_one(heap, &batch, holder, put);

		put->error = err;
		if (err)
			done--;
	}
	hspan_batch_end(heap, &batch);
	return done;
}

/*
 * One swept span with some slots in use.  False = it was not one, or is not
 * @holder's: nothing has been done.
 */
static bool hspan_put_quick(struct hspan_heap *heap, u32 holder,
			    const struct hspan_put *put)
{
	struct hspan_sdesc *desc = hspan_block_descs(heap,
						     hspan_block_of(put->page));

	if (!desc)
		return false;
	desc += put->page % HSPAN_BLOCK_PAGES;
	if (cmpxchg(&desc->holder, holder, 0) != holder)
		return false;
	if (put->sweepgen != READ_ONCE(heap->sweepgen) ||
	    put->nfree >= hspan_nelems(desc->span_class)) {
		smp_store_release(&desc->holder, holder);
		return false;
	}
	WRITE_ONCE(desc->nfree, put->nfree);
	WRITE_ONCE(desc->sweepgen, put->sweepgen);
	desc->next = NULL;
	if (!put->nfree || !hspan_cpucache_put_one(heap, desc))
		hspan_put_swept(heap, desc);
	return true;
}

u32 hspan_heap_put_many(struct hspan_heap *heap, u32 holder,
			struct hspan_put *puts, u32 nr)
{
	if (!holder)
		holder = HSPAN_NOBODY;
	if (nr != 1 || !hspan_put_quick(heap, holder, puts))
		return hspan_put_batch(heap, holder, puts, nr);
	puts->error = 0;
	return 1;
}

int hspan_heap_put(struct hspan_heap *heap, u32 holder, u32 page, u32 nfree,
		   u32 sweepgen)
{
	struct hspan_put put = {
		.page = page,
		.nfree = nfree,
		.sweepgen = sweepgen,
	};

	hspan_heap_put_many(heap, holder, &put, 1);
	return put.error;
}

/*
 * Take the span at @page from @holder, who is gone, if it has one there.
 *
 * Return: pages to go on by.  No span of @holder can begin inside another one
 * that is held: his have been there all the time.
 */
static u32 hspan_drop_at(struct hspan_heap *heap, struct hspan_sdesc *desc,
			 u32 holder, u64 *n)
{
	u32 now = smp_load_acquire(&desc->holder), npages;

	if (!now)
		return 1;
	npages = READ_ONCE(desc->npages);
	if (now == holder && !hspan_desc_claim(desc, holder)) {
		hspan_central_adopt(heap, desc);
		++*n;
	}
	return npages;
}

u64 hspan_heap_drop_holder(struct hspan_heap *heap, u32 holder)
{
	u64 end = (u64)heap->nr_blocks * HSPAN_BLOCK_PAGES, page = 0, n = 0;

	might_sleep();
	while (holder && page < end) {
		struct hspan_block *block = hspan_block(heap,
							hspan_block_of(page));
		u32 i = page % HSPAN_BLOCK_PAGES;

		page += HSPAN_BLOCK_PAGES - i;
		if (!block)
			continue;
		while (i < HSPAN_BLOCK_PAGES)
			i += hspan_drop_at(heap, &block->sdesc[i], holder, &n);
		page += i - HSPAN_BLOCK_PAGES;
		cond_resched();
	}
	return n;
}
