// SPDX-License-Identifier: GPL-2.0-only
/*
 * mmap() of an arena: which offsets are what, and the page faults in them.
 *
 * A fault in the data region returns the faulting page of an order-9 folio,
 * locked; core mm then maps the whole folio by one PMD where the VMA allows,
 * and by single pages where it does not (half of it unmapped, say).
 *
 * Arenas that can have snapshots, and snapshots, have handlers of their own, so
 * that others pay nothing for it.  Where a write fault goes through page_mkwrite
 * a read fault maps the block read-only: nobody writes to a block that a
 * snapshot shares before we are asked.
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

static bool hspan_slot_is(struct folio **slot, struct folio *folio)
{
	return READ_ONCE(*slot) == folio;
}

/*
 * The block's folio with a reference, NULL if it has none.  What was found in
 * the slot may have left it before the reference was taken, and be anybody's by
 * then: so look again, before the lock is touched.  From then on whoever takes
 * it out sees the reference and does not recycle it.  As in the page cache, RCU
 * keeps the struct page there until the reference does.
 */
static __always_inline struct folio *hspan_slot_get(struct folio **slot)
{
	struct folio *folio;

	rcu_read_lock_sched();
	while ((folio = READ_ONCE(*slot))) {
		if (!folio_try_get(folio))
			continue;	/* gone, so the slot has changed */
		if (likely(hspan_slot_is(slot, folio)))
			break;
		folio_put(folio);
	}
	rcu_read_unlock_sched();
	return folio;
}

static __always_inline struct folio *hspan_slot_do_lock(struct folio **slot)
{
	struct folio *folio;

	while ((folio = hspan_slot_get(slot))) {
		folio_lock(folio);
		/* Changed only under this lock, but for the first time. */
		if (likely(hspan_slot_is(slot, folio)))
			break;
		folio_unlock(folio);
		folio_put(folio);
	}
	return folio;
}

/**
 * hspan_slot_lock() - lock the folio behind a block
 * @slot: of an arena or a snapshot
 *
 * Return: the folio, locked and with a reference; NULL if there is none.
 */
struct folio *hspan_slot_lock(struct folio **slot)
{
	return hspan_slot_do_lock(slot);
}

/* The same, or NULL, if somebody else has the lock. */
struct folio *hspan_slot_trylock(struct folio **slot)
{
	struct folio *folio = hspan_slot_get(slot);

	if (!folio)
		return NULL;
	if (folio_trylock(folio)) {
		if (likely(hspan_slot_is(slot, folio)))
			return folio;
		folio_unlock(folio);
	}
	folio_put(folio);
	return NULL;
}

static vm_fault_t hspan_fault_error(struct hspan_arena *arena, pgoff_t pgoff,
				    vm_fault_t fault)
{
	trace_hugespan_fault_error(arena->id, pgoff,
				   (__force unsigned int)fault);
	return fault;
}

/* In @slots, the arena's or a snapshot's of it; counted in @faults. */
static __always_inline vm_fault_t hspan_block_fault(struct vm_fault *vmf,
						    struct hspan_arena *arena,
						    struct folio **slots,
						    atomic64_t *faults)
{
	pgoff_t block = vmf->pgoff >> HSPAN_BLOCK_ORDER;
	struct folio *folio = NULL;
	struct page *page;

	if (likely(block < arena->nr_blocks))
		folio = hspan_slot_do_lock(&slots[block]);
	if (!folio)
		return hspan_fault_error(arena, vmf->pgoff, VM_FAULT_SIGBUS);

	page = folio_page(folio, vmf->pgoff & (HSPAN_BLOCK_NR - 1));
	if (unlikely(PageHWPoison(page))) {
		folio_unlock(folio);
		folio_put(folio);
		return hspan_fault_error(arena, vmf->pgoff, VM_FAULT_HWPOISON);
	}
	atomic64_inc(faults);
	vmf->page = page;
	return VM_FAULT_LOCKED;
}

static vm_fault_t hspan_data_fault(struct vm_fault *vmf)
{
	struct hspan_arena *arena = hspan_vma_arena(vmf->vma);

	return hspan_block_fault(vmf, arena, arena->slots, &arena->faults);
}

/*
 * While the gate is closed nobody takes a reference, and afterwards waits for a
 * folio's lock with it: one that is seen then is somebody's who can write.
 */
static vm_fault_t hspan_gated_fault(struct vm_fault *vmf)
{
	struct hspan_arena *arena = hspan_vma_arena(vmf->vma);
	vm_fault_t fault;

	down_read(&arena->gate);
	fault = hspan_data_fault(vmf);
	up_read(&arena->gate);
	return fault;
}

/*
 * The page, to which the caller has a reference, is about to become writable.
 * Nobody waits for the gate with that reference: the fault is made again, with
 * nothing mapped there, so that it waits in hspan_gated_fault().
 */
static vm_fault_t hspan_gated_mkwrite(struct vm_fault *vmf)
{
	struct hspan_arena *arena = hspan_vma_arena(vmf->vma);
	pgoff_t block = vmf->pgoff >> HSPAN_BLOCK_ORDER;
	struct folio *folio = page_folio(vmf->page);
	bool same;

	if (!down_read_trylock(&arena->gate)) {
		unmap_mapping_pages(arena->inode->i_mapping, vmf->pgoff, 1,
				    false);
		return VM_FAULT_NOPAGE;
	}
	folio_lock(folio);
	same = hspan_slot_is(&arena->slots[block], folio) &&
	       hspan_snapshot_unshare(arena, block, folio);
	if (!same)
		folio_unlock(folio);
	up_read(&arena->gate);
	return same ? VM_FAULT_LOCKED : VM_FAULT_NOPAGE;
}

static vm_fault_t hspan_snapshot_fault(struct vm_fault *vmf)
{
	struct hspan_snapshot *snap = vmf->vma->vm_file->private_data;

	return hspan_block_fault(vmf, snap->arena, snap->slots, &snap->faults);
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

static const struct vm_operations_struct hspan_gated_vm_ops = {
	.fault = hspan_gated_fault,
	.map_pages = hspan_map_pages,
	.page_mkwrite = hspan_gated_mkwrite,
};

static const struct vm_operations_struct hspan_snapshot_vm_ops = {
	.fault = hspan_snapshot_fault,
	.map_pages = hspan_map_pages,
};

static const struct vm_operations_struct hspan_side_vm_ops = {
	.fault = hspan_side_fault,
};

static int hspan_mmap_data(struct vm_area_struct *vma,
			   const struct vm_operations_struct *ops)
{
	if (!IS_ALIGNED(vma->vm_start, HSPAN_BLOCK_SIZE) ||
	    !IS_ALIGNED(vma->vm_pgoff, HSPAN_BLOCK_NR))
		return -EINVAL;
	vma->vm_ops = ops;
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
		return hspan_mmap_data(vma, hspan_is_gated(arena) ?
					    &hspan_gated_vm_ops :
					    &hspan_data_vm_ops);
	return hspan_mmap_side(vma, region == HSPAN_REGION_BITS ||
				    region == HSPAN_REGION_NOTES);
}

/**
 * hspan_snapshot_mmap() - mmap() of a snapshot
 * @file: it
 * @vma: where and what
 *
 * As the file is open for reading only, VM_SHARED and VM_MAYWRITE are not set.
 */
int hspan_snapshot_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct hspan_snapshot *snap = file->private_data;

	if (!(vma->vm_flags & VM_MAYSHARE))
		return -EINVAL;
	if (vma->vm_flags & (VM_WRITE | VM_MAYWRITE))
		return -EACCES;
	if (hspan_region_find(snap->arena, vma->vm_pgoff, vma_pages(vma)) !=
	    HSPAN_REGION_DATA)
		return -EINVAL;
	vm_flags_set(vma, VM_DONTEXPAND);
	return hspan_mmap_data(vma, &hspan_snapshot_vm_ops);
}
