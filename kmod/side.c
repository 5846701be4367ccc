// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pages of the regions beside the data: control page, page map, bits, notes.
 *
 * They are made when first looked at, one system page at a time, zeroed and
 * charged to whoever looks; never more than the regions' size.  The bits of a
 * block go when the block goes, the others when the arena does.
 *
 * The arena's user has paid for all of them beforehand, except for bits of
 * a block that does not exist: those pages are charged one by one, and marked
 * by page_private().
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

/* The block whose bits are there, if it is the region of bits. */
static bool hspan_side_block(struct hspan_arena *arena, pgoff_t pgoff,
			     u32 *block)
{
	if (pgoff < HSPAN_OFF_BITS >> PAGE_SHIFT ||
	    pgoff >= HSPAN_OFF_NOTES >> PAGE_SHIFT)
		return false;
	*block = (pgoff - (HSPAN_OFF_BITS >> PAGE_SHIFT)) /
		 HSPAN_BITS_BLOCK_NR % arena->nr_blocks;
	return true;
}

/*
 * See that a locked page is paid for.  Whoever empties the slot drops all of
 * the block's bits afterwards, under their locks: if the slot is not empty
 * now, this page will be among them.
 */
static int hspan_side_pay(struct hspan_arena *arena, pgoff_t pgoff,
			  struct page *page)
{
	u32 block;
	int err;

	if (page_private(page) || !hspan_side_block(arena, pgoff, &block))
		return 0;
	smp_mb();	/* the page is there; then, is the slot empty? */
	if (READ_ONCE(arena->slots[block]))
		return 0;
	err = hspan_charge(arena, PAGE_SIZE);
	if (!err)
		set_page_private(page, 1);
	return err;
}

/* The locked page is gone for good; its user need not pay for it. */
static void hspan_side_forget(struct hspan_arena *arena, pgoff_t pgoff,
			      struct page *page)
{
	xa_erase(&arena->side, pgoff);
	if (page_private(page))
		hspan_uncharge(arena, PAGE_SIZE);
	set_page_private(page, 0);
}

/**
 * hspan_side_lock() - like hspan_side_get(), and lock it
 * @arena: the arena
 * @pgoff: offset in the arena's file, within a side region
 *
 * Return: the page, locked and with a reference, or an ERR_PTR: -ENOMEM, or
 * -EDQUOT where the arena's user may not have it.
 */
struct page *hspan_side_lock(struct hspan_arena *arena, pgoff_t pgoff)
{
	struct page *page;
	int err;

	for (;;) {
		page = hspan_side_get(arena, pgoff);
		if (!page)
			return ERR_PTR(-ENOMEM);
		lock_page(page);
		if (likely(hspan_side_is(arena, pgoff, page)))
			break;
		unlock_page(page);
		put_page(page);
	}
	err = hspan_side_pay(arena, pgoff, page);
	if (likely(!err))
		return page;
	hspan_side_forget(arena, pgoff, page);
	/* It may be mapped, if its block has just gone. */
	unmap_mapping_pages(arena->inode->i_mapping, pgoff, 1, false);
	unlock_page(page);
	put_page(page);		/* ours, and the xarray's */
	put_page(page);
	return ERR_PTR(err);
}

/* First page of the block's bits in a plane. */
static pgoff_t hspan_side_bits(struct hspan_arena *arena, u32 block,
			       unsigned int plane)
{
	u64 plane_size = (u64)arena->nr_blocks * HSPAN_BITS_BLOCK;

	return (HSPAN_OFF_BITS + plane * plane_size +
		(u64)block * HSPAN_BITS_BLOCK) >> PAGE_SHIFT;
}

/* The locked pages of @bits are gone for good. */
static void hspan_side_erase(struct hspan_arena *arena,
			     const struct hspan_side_bits *bits)
{
	unsigned int i;

	for (i = 0; i < bits->nr; i++)
		hspan_side_forget(arena, bits->pgoff[i], bits->pages[i]);
}

/**
 * hspan_side_lock_bits() - lock those pages of a block's bits that exist
 * @arena: the arena
 * @block: being given back; the caller is the only one to do so
 * @try: give up rather than wait for one
 * @bits: filled in, for hspan_side_drop_bits() or hspan_side_unlock_bits()
 *
 * Return: false if one is locked by somebody else; none is locked then.
 */
bool hspan_side_lock_bits(struct hspan_arena *arena, u32 block, bool try,
			  struct hspan_side_bits *bits)
{
	unsigned int i;

	bits->nr = 0;
	for (i = 0; i < HSPAN_BITS_PLANES * HSPAN_BITS_BLOCK_NR; i++) {
		pgoff_t pgoff = hspan_side_bits(arena, block,
						i / HSPAN_BITS_BLOCK_NR) +
				i % HSPAN_BITS_BLOCK_NR;
		struct page *page = hspan_side_find(arena, pgoff);

		if (!page)
			continue;
		if (!try) {
			lock_page(page);
		} else if (!trylock_page(page)) {
			put_page(page);
			hspan_side_unlock_bits(bits);
			return false;
		}
		if (!hspan_side_is(arena, pgoff, page)) { /* not paid for */
			unlock_page(page);
			put_page(page);
			continue;
		}
		bits->pages[bits->nr] = page;
		bits->pgoff[bits->nr++] = pgoff;
	}
	return true;
}

void hspan_side_unlock_bits(struct hspan_side_bits *bits)
{
	unsigned int i;

	for (i = 0; i < bits->nr; i++) {
		unlock_page(bits->pages[i]);
		put_page(bits->pages[i]);	/* from hspan_side_find() */
	}
}

/**
 * hspan_side_drop_bits() - forget the bits of a block, and unlock them
 * @arena: the arena
 * @block: the block
 * @bits: from hspan_side_lock_bits()
 */
void hspan_side_drop_bits(struct hspan_arena *arena, u32 block,
			  struct hspan_side_bits *bits)
{
	unsigned int plane, i;

	if (!bits->nr)
		return;
	hspan_side_erase(arena, bits);
	for (plane = 0; plane < HSPAN_BITS_PLANES; plane++)
		unmap_mapping_pages(arena->inode->i_mapping,
				    hspan_side_bits(arena, block, plane),
				    HSPAN_BITS_BLOCK_NR, false);
	hspan_side_unlock_bits(bits);
	for (i = 0; i < bits->nr; i++)
		put_page(bits->pages[i]);	/* the xarray's */
}

/* Free every page; nothing maps them and no heap writes them any more. */
void hspan_side_free(struct hspan_arena *arena)
{
	unsigned long pgoff;
	struct page *page;

	xa_for_each(&arena->side, pgoff, page) {
		if (page_private(page))
			hspan_uncharge(arena, PAGE_SIZE);
		set_page_private(page, 0);
		put_page(page);
		cond_resched();
	}
	xa_destroy(&arena->side);
}
