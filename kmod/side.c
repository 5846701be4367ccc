// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pages of the regions beside the data: control page, page map and bits.
 *
 * They are made when first looked at, one system page at a time, zeroed and
 * charged to whoever looks; never more than the regions' size.  The bits of a
 * block go when the block goes, the others when the arena does.
 *
 * Bits could be a shmem file.  Pages of our own need no second file behind
 * the VMA, can be dropped with their block from kernel context, and are never
 * swapped out from under a marker.
 */
#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/xarray.h>

#include "hugespan.h"

/* System pages of bits that belong to one block, in each plane. */
#define HSPAN_BITS_BLOCK_NR	(HSPAN_BITS_BLOCK >> PAGE_SHIFT)

static struct page *hspan_side_find(struct hspan_arena *arena, pgoff_t pgoff)
{
	struct page *page;

	xa_lock(&arena->side);
	page = xa_load(&arena->side, pgoff);
	if (page)
		get_page(page);
	xa_unlock(&arena->side);
	return page;
}

/**
 * hspan_side_get() - a page of a side region, made if it is not there
 * @arena: the arena
 * @pgoff: its offset in the arena's file, within a side region
 *
 * Return: the page with a reference for the caller, or NULL.  May sleep.
 */
struct page *hspan_side_get(struct hspan_arena *arena, pgoff_t pgoff)
{
	struct page *page, *fresh;
	void *old;

	page = hspan_side_find(arena, pgoff);
	if (page)
		return page;
	fresh = alloc_page(GFP_KERNEL_ACCOUNT | __GFP_ZERO);
	if (!fresh)
		return NULL;
	get_page(fresh);
	for (;;) {
		old = xa_cmpxchg(&arena->side, pgoff, NULL, fresh,
				 GFP_KERNEL_ACCOUNT);
		if (!old)
			return fresh;
		page = xa_is_err(old) ? NULL : hspan_side_find(arena, pgoff);
		if (page || xa_is_err(old))
			break;
	}
	put_page(fresh);
	put_page(fresh);
	return page;
}

/**
 * hspan_side_is() - is this locked page still the one at its offset?
 * @arena: the arena
 * @pgoff: the offset
 * @page: locked by the caller
 */
bool hspan_side_is(struct hspan_arena *arena, pgoff_t pgoff, struct page *page)
{
	return xa_load(&arena->side, pgoff) == page;
}

static void hspan_side_drop(struct hspan_arena *arena, pgoff_t first)
{
	struct page *pages[HSPAN_BITS_BLOCK_NR];
	unsigned int i, nr = 0;

	for (i = 0; i < HSPAN_BITS_BLOCK_NR; i++) {
		struct page *page = hspan_side_find(arena, first + i);

		if (!page)
			continue;
		lock_page(page);
		xa_erase(&arena->side, first + i);
		pages[nr++] = page;
	}
	if (!nr)
		return;
	unmap_mapping_pages(arena->inode->i_mapping, first,
			    HSPAN_BITS_BLOCK_NR, false);
	for (i = 0; i < nr; i++) {
		unlock_page(pages[i]);
		put_page(pages[i]);	/* ours from hspan_side_find() */
		put_page(pages[i]);	/* the xarray's */
	}
}

/**
 * hspan_side_drop_bits() - forget the bits of a block
 * @arena: the arena
 * @block: being given back; the caller is the only one to do so
 */
void hspan_side_drop_bits(struct hspan_arena *arena, u32 block)
{
	u64 plane_size = (u64)arena->nr_blocks * HSPAN_BITS_BLOCK;
	unsigned int plane;
	u64 offset;

	for (plane = 0; plane < HSPAN_BITS_PLANES; plane++) {
		offset = HSPAN_OFF_BITS + plane * plane_size +
			 (u64)block * HSPAN_BITS_BLOCK;
		hspan_side_drop(arena, offset >> PAGE_SHIFT);
	}
}

/* Free every page; nothing maps them and no heap writes them any more. */
void hspan_side_free(struct hspan_arena *arena)
{
	unsigned long pgoff;
	struct page *page;

	xa_for_each(&arena->side, pgoff, page) {
		put_page(page);
		cond_resched();
	}
	xa_destroy(&arena->side);
}
