// SPDX-License-Identifier: GPL-2.0-only
/*
 * Snapshots: an arena's data as it was at one instant.  Nothing is copied then;
 * a block is when it is written for the first time.  Documentation/snapshot.rst
 * says why this is right.
 *
 * While a block is shared nobody can write its folio: no page table lets him, and
 * no reference of the kernel's was there that could have.  Whoever is about to
 * write comes by hspan_snapshot_unshare(), and the arena goes on with a copy.  The
 * snapshot keeps the folio, so every reference to it, got by whichever of the two,
 * goes on to show the image.
 */
#include <linux/bitmap.h>
#include <linux/highmem.h>
#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/page_ref.h>
#include <linux/pagemap.h>
#include <linux/poll.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "hugespan.h"
#include "trace.h"

/* What is allocated with a snapshot of so many blocks, its file included. */
static unsigned long hspan_snapshot_tables(u32 nr_blocks)
{
	return sizeof(struct hspan_snapshot) + sizeof(struct inode) +
	       sizeof(struct file) + sizeof(struct dentry) +
	       nr_blocks * sizeof(struct folio *) +
	       2 * BITS_TO_LONGS(nr_blocks) * sizeof(long);
}

static int hspan_snapshot_alloc(struct hspan_snapshot *snap)
{
	gfp_t gfp = GFP_KERNEL_ACCOUNT | __GFP_NOWARN;
	size_t longs = BITS_TO_LONGS(snap->nr_blocks);

	snap->slots = kvcalloc(snap->nr_blocks, sizeof(*snap->slots), gfp);
	snap->members = kvcalloc(longs, sizeof(long), gfp);
	snap->owned = kvcalloc(longs, sizeof(long), gfp);
	if (!snap->slots || !snap->members || !snap->owned)
		return -ENOMEM;
	snap->inode = hspan_inode_create(snap->arena->size, 0400);
	return PTR_ERR_OR_ZERO(snap->inode);
}

static void hspan_snapshot_free(struct hspan_snapshot *snap)
{
	if (!IS_ERR_OR_NULL(snap->inode))
		hspan_inode_put(snap->inode);
	kvfree(snap->owned);
	kvfree(snap->members);
	kvfree(snap->slots);
	kfree(snap);
}

/**
 * hspan_snapshot_create() - all that a snapshot needs before it is taken
 * @arena: the caller holds a reference, and keeps it
 * @budget: most blocks it may come to own, or 0
 *
 * Return: the snapshot, for hspan_snapshot_destroy(), or an ERR_PTR.
 */
struct hspan_snapshot *hspan_snapshot_create(struct hspan_arena *arena,
					     u64 budget)
{
	unsigned long tables = hspan_snapshot_tables(arena->nr_blocks);
	struct hspan_snapshot *snap;
	int err;

	err = hspan_charge(arena, tables);
	if (err)
		return ERR_PTR(err);
	snap = kzalloc(sizeof(*snap), GFP_KERNEL_ACCOUNT);
	if (!snap) {
		hspan_uncharge(arena, tables);
		return ERR_PTR(-ENOMEM);
	}
	snap->arena = arena;
	snap->nr_blocks = arena->nr_blocks;
	snap->budget = min_t(u64, budget ?: U64_MAX,
			     READ_ONCE(arena->snapshot_budget));
	init_waitqueue_head(&snap->wait);
	err = hspan_snapshot_alloc(snap);
	if (err) {
		hspan_snapshot_free(snap);
		hspan_uncharge(arena, tables);
		return ERR_PTR(err);
	}
	kref_get(&arena->ref);
	return snap;
}

/* ---- blocks of our own ---- */

/* May the snapshot own one block more?  0 or a negative errno. */
static int hspan_snapshot_may_own(struct hspan_snapshot *snap)
{
	int err = READ_ONCE(snap->error);

	if (err)
		return err;	/* it is of no use any more */
	if (atomic_long_inc_return(&snap->nr_owned) <= snap->budget)
		return 0;
	atomic_long_dec(&snap->nr_owned);
	return -ENOSPC;
}

/* False if a page of either has a memory error. */
static bool hspan_folio_copy(struct folio *to, struct folio *from)
{
	unsigned long i;

	for (i = 0; i < HSPAN_BLOCK_NR; i++) {
		if (unlikely(PageHWPoison(folio_page(from, i)) ||
			     PageHWPoison(folio_page(to, i))))
			return false;
		copy_highpage(folio_page(to, i), folio_page(from, i));
		if (!(i % 64))
			cond_resched();
	}
	return true;
}

static struct folio *hspan_snapshot_do_copy(struct hspan_arena *arena,
					    u32 block, struct folio *folio)
{
	struct folio *copy = hspan_pool_take(arena->pool, false);

	if (!copy)
		return ERR_PTR(-ENOMEM);
	hspan_block_init(arena, block, copy);
	if (hspan_folio_copy(copy, folio))
		return copy;
	hspan_block_discard(arena, copy);
	return ERR_PTR(-EHWPOISON);
}

/* A copy of a block's locked or gated folio, paid for, or an ERR_PTR. */
static struct folio *hspan_snapshot_copy(struct hspan_snapshot *snap, u32 block,
					 struct folio *folio)
{
	struct hspan_arena *arena = snap->arena;
	struct folio *copy;
	int err;

	err = hspan_snapshot_may_own(snap);
	if (err)
		return ERR_PTR(err);
	err = hspan_charge(arena, HSPAN_BLOCK_SIZE);
	if (err)
		goto err_disown;
	copy = hspan_snapshot_do_copy(arena, block, folio);
	if (!IS_ERR(copy)) {
		atomic_long_inc(&snap->nr_copied);
		atomic_long_inc(&arena->nr_copied);
		return copy;
	}
	err = PTR_ERR(copy);
	hspan_uncharge(arena, HSPAN_BLOCK_SIZE);
err_disown:
	atomic_long_dec(&snap->nr_owned);
	return ERR_PTR(err);
}

/*
 * The block cannot be kept as it is: it leaves the image before it is written.
 * The folio is locked, and no page table lets anybody write it yet.
 */
static void hspan_snapshot_lose(struct hspan_snapshot *snap, u32 block,
				struct folio *folio, int err)
{
	if (!cmpxchg(&snap->error, 0, err))
		atomic_long_inc(&snap->arena->nr_broken);
	atomic_long_inc(&snap->nr_lost);
	hspan_heap_avoid_not(snap->arena->heap, block);
	smp_store_mb(snap->slots[block], NULL);
	unmap_mapping_pages(snap->inode->i_mapping, folio->index,
			    HSPAN_BLOCK_NR, false);
	wake_up_poll(&snap->wait, EPOLLERR);
}

/* The snapshot that shares the block's folio, or NULL.  The gate is held. */
static struct hspan_snapshot *hspan_snapshot_sharing(struct hspan_arena *arena,
						     u32 block,
						     struct folio *folio)
{
	struct hspan_snapshot *snap = arena->snapshot;

	return snap && snap->slots[block] == folio ? snap : NULL;
}

/**
 * hspan_snapshot_unshare() - let the arena have a block for itself
 * @arena: its gate is held for reading
 * @block: the block
 * @folio: in its slot, and locked
 *
 * Return: true if @folio may be written; false if another is in the slot now.
 */
bool hspan_snapshot_unshare(struct hspan_arena *arena, u32 block,
			    struct folio *folio)
{
	struct hspan_snapshot *snap = hspan_snapshot_sharing(arena, block,
							     folio);
	struct folio *copy;

	if (!snap)
		return true;
	copy = hspan_snapshot_copy(snap, block, folio);
	trace_hugespan_snapshot_copy(arena->id, block, PTR_ERR_OR_ZERO(copy));
	if (IS_ERR(copy)) {
		hspan_snapshot_lose(snap, block, folio, PTR_ERR(copy));
		return true;
	}
	/* Nobody reads the old one when the first writes the new one. */
	unmap_mapping_pages(arena->inode->i_mapping, folio->index,
			    HSPAN_BLOCK_NR, false);
	set_bit(block, snap->owned);
	hspan_block_fill(arena, block, copy);
	hspan_heap_avoid_not(arena->heap, block);
	return false;
}

/**
 * hspan_snapshot_keep() - let the snapshot have a block that the arena gives up
 * @arena: its gate is held for reading
 * @block: the block
 * @folio: locked, not in the arena's slot any more, and not mapped
 *
 * Return: whether the owner's reference, and the charge for 2 MiB, are the
 * snapshot's now; if not it does not share the block, or not any more.
 */
bool hspan_snapshot_keep(struct hspan_arena *arena, u32 block,
			 struct folio *folio)
{
	struct hspan_snapshot *snap = hspan_snapshot_sharing(arena, block,
							     folio);
	int err;

	if (!snap)
		return false;
	err = hspan_snapshot_may_own(snap);
	if (err) {
		hspan_snapshot_lose(snap, block, folio, err);
		return false;
	}
	set_bit(block, snap->owned);
	atomic_long_inc(&snap->nr_kept);
	return true;
}

/* ---- the instant ---- */

/*
 * The gate is closed, so no fault begins.  One that has begun holds the lock of
 * the folio until it is mapped.
 */
static void hspan_snapshot_wait_for_faults(struct hspan_arena *arena)
{
	struct folio *folio;
	u32 block;

	for (block = 0; block < arena->nr_blocks; block++) {
		folio = READ_ONCE(arena->slots[block]);
		if (!folio)
			continue;
		folio_wait_locked(folio);
		cond_resched();
	}
	smp_mb();	/* what they have mapped is there to be unmapped */
}

/*
 * Nothing is mapped, and nobody can take a reference by a fault.  Who has one all
 * the same may be about to write: a device, a call that has looked up the page, a
 * CPU that still knows a translation which another is taking away.  It is
 * the arena's folio that he means, so the image gets the copy.
 */
static int hspan_snapshot_add(struct hspan_snapshot *snap, u32 block)
{
	struct hspan_arena *arena = snap->arena;
	struct folio *folio = READ_ONCE(arena->slots[block]), *copy;

	if (!folio) {
		__clear_bit(block, snap->members);
		return 0;
	}
	if (likely(folio_ref_count(folio) == 1)) {
		snap->slots[block] = folio;
		return 0;
	}
	if (fatal_signal_pending(current))
		return -EINTR;
	copy = hspan_snapshot_copy(snap, block, folio);
	trace_hugespan_snapshot_copy(arena->id, block, PTR_ERR_OR_ZERO(copy));
	if (IS_ERR(copy))
		return PTR_ERR(copy);
	__set_bit(block, snap->owned);
	snap->slots[block] = copy;
	return 0;
}

static int hspan_snapshot_share(struct hspan_snapshot *snap)
{
	struct hspan_arena *arena = snap->arena;
	unsigned long block;
	int err;

	hspan_snapshot_wait_for_faults(arena);
	unmap_mapping_pages(arena->inode->i_mapping, 0,
			    snap->nr_blocks * HSPAN_BLOCK_NR, false);
	smp_mb();	/* nothing is mapped; then, who has a reference? */
	hspan_heap_used(arena->heap, snap->members);
	for_each_set_bit(block, snap->members, snap->nr_blocks) {
		err = hspan_snapshot_add(snap, block);
		if (err)
			return err;
		cond_resched();
	}
	return 0;
}

/**
 * hspan_snapshot_take() - make it the image of this instant
 * @snap: a new one; is to be destroyed whether this succeeds or not
 *
 * Return: 0 or a negative errno.
 */
int hspan_snapshot_take(struct hspan_snapshot *snap)
{
	struct hspan_arena *arena = snap->arena;
	ktime_t start;
	int err;

	if (down_write_killable(&arena->gate))
		return -EINTR;
	start = ktime_get();
	err = arena->snapshot ? -EBUSY : hspan_snapshot_share(snap);
	snap->gate_ns = ktime_to_ns(ktime_sub(ktime_get(), start));
	if (!err) {
		WRITE_ONCE(arena->snapshot, snap);
		arena->gate_ns = snap->gate_ns;
	}
	up_write(&arena->gate);
	if (!err) {
		atomic_long_inc(&arena->nr_snapshots);
		hspan_heap_avoid(arena->heap, snap->members);
	}
	trace_hugespan_snapshot_take(arena->id,
				     bitmap_weight(snap->members,
						   snap->nr_blocks),
				     atomic_long_read(&snap->nr_copied),
				     snap->gate_ns, err);
	return err;
}

/* ---- the end ---- */

/* Who copies or keeps a block for it does so under the gate. */
static void hspan_snapshot_detach(struct hspan_snapshot *snap)
{
	down_write(&snap->arena->gate);
	WRITE_ONCE(snap->arena->snapshot, NULL);
	up_write(&snap->arena->gate);
}

/**
 * hspan_snapshot_destroy() - end a snapshot
 * @snap: nothing maps it
 *
 * What is shared is the arena's; what is not goes back to the pool.
 */
void hspan_snapshot_destroy(struct hspan_snapshot *snap)
{
	struct hspan_arena *arena = snap->arena;
	unsigned long block, nr = 0;
	bool taken = READ_ONCE(arena->snapshot) == snap; /* only we end that */

	if (taken) {
		hspan_heap_avoid(arena->heap, NULL);
		hspan_snapshot_detach(snap);
	}
	for_each_set_bit(block, snap->owned, snap->nr_blocks) {
		hspan_block_discard(arena, snap->slots[block]);
		hspan_uncharge(arena, HSPAN_BLOCK_SIZE);
		nr++;
		cond_resched();
	}
	WARN_ON_ONCE(atomic_long_read(&snap->nr_owned) != nr);
	if (taken)
		trace_hugespan_snapshot_end(arena->id, nr,
					    atomic_long_read(&snap->nr_lost),
					    READ_ONCE(snap->error));
	hspan_snapshot_free(snap);
	hspan_uncharge(arena, hspan_snapshot_tables(arena->nr_blocks));
	hspan_arena_put(arena);
}
