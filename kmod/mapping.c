// SPDX-License-Identifier: GPL-2.0-only
/*
 * mmap() of an arena: which offsets are what, and the page faults in them.
 *
 * A fault in the data region returns the faulting page of an order-9 folio,
 * locked; core mm then maps the whole folio by one PMD where the VMA allows,
 * and by single pages where it does not (half of it unmapped, say).
 */
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/pagemap.h>

#include "hugespan.h"
#include "trace.h"

static const u64 hspan_region_off[HSPAN_NR_REGIONS] = {
	[HSPAN_REGION_DATA] = HSPAN_OFF_DATA,
	[HSPAN_REGION_CONTROL] = HSPAN_OFF_CONTROL,
	[HSPAN_REGION_PAGE_MAP] = HSPAN_OFF_PAGE_MAP,
	[HSPAN_REGION_BITS] = HSPAN_OFF_BITS,
	[HSPAN_REGION_NOTES] = HSPAN_OFF_NOTES,
};

/**
 * hspan_region_size() - bytes of a region, in whole system pages
 * @arena: the arena
 * @region: which of its regions
 */
u64 hspan_region_size(const struct hspan_arena *arena, enum hspan_region region)
{
	u64 nr = arena->nr_blocks;

	switch (region) {
	case HSPAN_REGION_DATA:
		return arena->size;
	case HSPAN_REGION_CONTROL:
		return PAGE_SIZE;
	case HSPAN_REGION_PAGE_MAP:
		return PAGE_ALIGN(nr * HSPAN_PAGE_MAP_BLOCK);
	case HSPAN_REGION_BITS:
		return nr * HSPAN_BITS_BLOCK * HSPAN_BITS_PLANES;
	case HSPAN_REGION_NOTES:
		return PAGE_ALIGN(nr * HSPAN_NOTES_BLOCK);
	default:
		return 0;
	}
}

/**
 * hspan_region_find() - the region that holds a range of an arena's file
 * @arena: the arena
 * @pgoff: first system page of the range
 * @nr_pages: system pages in it
 *
 * Return: an enum hspan_region, or -EINVAL if no region holds all of it.
 */
int hspan_region_find(const struct hspan_arena *arena, u64 pgoff, u64 nr_pages)
{
	int region;

	for (region = 0; region < HSPAN_NR_REGIONS; region++) {
		u64 first = hspan_region_off[region] >> PAGE_SHIFT;
		u64 nr = hspan_region_size(arena, region) >> PAGE_SHIFT;

		if (pgoff < first || pgoff - first >= nr)
			continue;
		if (!nr_pages || nr_pages > nr - (pgoff - first))
			break;
		return region;
	}
	return -EINVAL;
}

static struct hspan_arena *hspan_vma_arena(struct vm_area_struct *vma)
{
	struct hspan_client *client = vma->vm_file->private_data;

	return client->arena;
}

static bool hspan_slot_is(struct hspan_arena *arena, u32 block,
			  struct folio *folio)
{
	return READ_ONCE(arena->slots[block]) == folio;
}

/*
 * The block's folio with a reference, NULL if it has none.  What was found in
 * the slot may have left it before the reference was taken, and be anybody's by
 * then: so look again, before the lock is touched.  From then on whoever takes
 * it out sees the reference and does not recycle it.  As in the page cache, RCU
 * keeps the struct page there until the reference does.
 */
static struct folio *hspan_slot_get(struct hspan_arena *arena, u32 block)
{
	struct folio *folio;

	rcu_read_lock_sched();
	while ((folio = READ_ONCE(arena->slots[block]))) {
		if (!folio_try_get(folio))
			continue;	/* gone, so the slot has changed */
		if (likely(hspan_slot_is(arena, block, folio)))
			break;
		folio_put(folio);
	}
	rcu_read_unlock_sched();
	return folio;
}

/* The block's folio, locked and with a reference; NULL if it has none. */
static struct folio *hspan_slot_lock(struct hspan_arena *arena, u32 block)
{
	struct folio *folio;

	while ((folio = hspan_slot_get(arena, block))) {
		folio_lock(folio);
		/* Emptied only under this lock. */
		if (likely(hspan_slot_is(arena, block, folio)))
			break;
		folio_unlock(folio);
		folio_put(folio);
	}
	return folio;
}

static vm_fault_t hspan_fault_error(struct hspan_arena *arena, pgoff_t pgoff,
				    vm_fault_t fault)
{
	trace_hugespan_fault_error(arena->id, pgoff,
				   (__force unsigned int)fault);
	return fault;
}

static vm_fault_t hspan_data_fault(struct vm_fault *vmf)
{
	struct hspan_arena *arena = hspan_vma_arena(vmf->vma);
	pgoff_t block = vmf->pgoff >> HSPAN_BLOCK_ORDER;
	struct folio *folio = NULL;
	struct page *page;

	if (likely(block < arena->nr_blocks))
		folio = hspan_slot_lock(arena, block);
	if (!folio)
		return hspan_fault_error(arena, vmf->pgoff, VM_FAULT_SIGBUS);

	page = folio_page(folio, vmf->pgoff & (HSPAN_BLOCK_NR - 1));
	if (unlikely(PageHWPoison(page))) {
		folio_unlock(folio);
		folio_put(folio);
		return hspan_fault_error(arena, vmf->pgoff, VM_FAULT_HWPOISON);
	}
	atomic64_inc(&arena->faults);
	vmf->page = page;
	return VM_FAULT_LOCKED;
}

static vm_fault_t hspan_side_fault(struct vm_fault *vmf)
{
	struct hspan_arena *arena = hspan_vma_arena(vmf->vma);
	struct page *page = hspan_side_lock(arena, vmf->pgoff);

	if (IS_ERR(page))
		return hspan_fault_error(arena, vmf->pgoff,
					 PTR_ERR(page) == -EDQUOT ?
					 VM_FAULT_SIGBUS : VM_FAULT_OOM);
	vmf->page = page;
	return VM_FAULT_LOCKED;
}

/*
 * A fault maps all of a block as it is.  Core mm calls the handlers of those who
 * have this with no more than the VMA's lock, which is enough for us.
 */
static vm_fault_t hspan_map_pages(struct vm_fault *vmf, pgoff_t start,
				  pgoff_t end)
{
	return 0;
}

static const struct vm_operations_struct hspan_data_vm_ops = {
	.fault = hspan_data_fault,
	.map_pages = hspan_map_pages,
};

static const struct vm_operations_struct hspan_side_vm_ops = {
	.fault = hspan_side_fault,
};

static int hspan_mmap_data(struct vm_area_struct *vma)
{
	if (!IS_ALIGNED(vma->vm_start, HSPAN_BLOCK_SIZE) ||
	    !IS_ALIGNED(vma->vm_pgoff, HSPAN_BLOCK_NR))
		return -EINVAL;
	vma->vm_ops = &hspan_data_vm_ops;
	return 0;
}

static int hspan_mmap_side(struct vm_area_struct *vma, bool writable)
{
	if (!writable) {
		if (vma->vm_flags & VM_WRITE)
			return -EACCES;
		vm_flags_clear(vma, VM_MAYWRITE);
	}
	vma->vm_ops = &hspan_side_vm_ops;
	return 0;
}

/**
 * hspan_mmap() - mmap() of an arena
 * @file: one of its clients
 * @vma: where and what
 *
 * VM_DONTEXPAND keeps a mapping inside its region, and mlock() away from
 * folios that are on no LRU list.
 */
int hspan_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct hspan_arena *arena = hspan_vma_arena(vma);
	int region;

	if (!(vma->vm_flags & VM_SHARED))
		return -EINVAL;
	region = hspan_region_find(arena, vma->vm_pgoff, vma_pages(vma));
	if (region < 0)
		return region;
	vm_flags_set(vma, VM_DONTEXPAND);
	if (arena->flags & HSPAN_ARENA_DONTFORK)
		vm_flags_set(vma, VM_DONTCOPY);
	if (region == HSPAN_REGION_DATA)
		return hspan_mmap_data(vma);
	return hspan_mmap_side(vma, region == HSPAN_REGION_BITS ||
				    region == HSPAN_REGION_NOTES);
}
