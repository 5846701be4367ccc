// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the span heap asks of its arena: memory behind a block, and page map
 * entries for it.
 */
#include <linux/mm.h>
#include <linux/page_ref.h>
#include <linux/pagemap.h>
#include <linux/sched/signal.h>

#include "hugespan.h"
#include "trace.h"

/* Its bits are paid for with it, so that touching them cannot fail for that. */
#define HSPAN_BLOCK_CHARGE \
	(HSPAN_BLOCK_SIZE + HSPAN_BITS_PLANES * HSPAN_BITS_BLOCK)

/* The descriptors a block comes with when it is used for the first time. */
static unsigned long hspan_block_tables(struct hspan_arena *arena, u32 block)
{
	return hspan_heap_knows(arena->heap, block) ? 0 :
						      hspan_heap_block_bytes();
}

static int hspan_block_charge(struct hspan_arena *arena, u32 block)
{
	unsigned long tables = hspan_block_tables(arena, block);
	int err = hspan_charge(arena, HSPAN_BLOCK_CHARGE + tables);

	if (!err)
		atomic_long_add(tables, &arena->tables);
	return err;
}

/*
 * Descriptors stay, unless hspan_block_get() is being undone; and so does what
 * the block itself costs, if the snapshot has @kept it.
 */
static void hspan_block_uncharge(struct hspan_arena *arena, u32 block,
				 bool kept)
{
	unsigned long tables = hspan_block_tables(arena, block);

	atomic_long_sub(tables, &arena->tables);
	hspan_uncharge(arena, HSPAN_BLOCK_CHARGE + tables -
			      (kept ? HSPAN_BLOCK_SIZE : 0));
}

static struct folio *hspan_block_take(struct hspan_arena *arena, u32 block)
{
	struct folio *folio;
	int err;

	if (fatal_signal_pending(current))
		return ERR_PTR(-EINTR);	/* of many blocks, no more */
	err = hspan_block_charge(arena, block);
	if (err)
		return ERR_PTR(err);
	folio = hspan_pool_take(arena->pool, true);
	if (folio)
		return folio;
	hspan_block_uncharge(arena, block, false);
	return ERR_PTR(-ENOMEM);
}

/**
 * hspan_block_fill() - put a folio behind a block
 * @arena: the arena
 * @block: the block
 * @folio: not mapped; where there is another already, that one is locked, and
 *	not mapped either
 *
 * Who finds the folio in its slot finds it complete.
 */
void hspan_block_fill(struct hspan_arena *arena, u32 block, struct folio *folio)
{
	smp_store_release(&arena->slots[block], folio);
}

/**
 * hspan_block_init() - make a folio one that can be mapped
 * @arena: whose block it is, or the snapshot's of it
 * @block: the block
 * @folio: the caller's
 */
void hspan_block_init(struct hspan_arena *arena, u32 block, struct folio *folio)
{
	folio->mapping = arena->inode->i_mapping;
	folio->index = (pgoff_t)block << HSPAN_BLOCK_ORDER;
	/* As it is nowhere else.  Else a fault would see that it is written. */
	folio_set_dirty(folio);
}

/*
 * The folio is locked.  The barrier is for those who look the other way round:
 * a fault takes a reference and then looks at the slot, here the references are
 * looked at next; for bits see hspan_side_pay().
 */
static void hspan_slot_empty(struct hspan_arena *arena, u32 block)
{
	smp_store_mb(arena->slots[block], NULL);
}

static int hspan_block_get(struct hspan_heap *heap, u32 block)
{
	struct hspan_arena *arena = hspan_heap_priv(heap);
	struct folio *folio = hspan_block_take(arena, block);

	trace_hugespan_block_get(arena->id, block, PTR_ERR_OR_ZERO(folio));
	if (IS_ERR(folio))
		return PTR_ERR(folio);
	hspan_block_init(arena, block, folio);
	WARN_ON_ONCE(arena->slots[block]);
	hspan_block_fill(arena, block, folio);
	return 0;
}

/*
 * Give a locked folio, which is in no slot and in no page table, to the pool, or
 * by way of it to the @system, unless someone else still refers to it; and unlock
 * it.  Returns whether it went there.
 */
static bool hspan_block_leave(struct hspan_arena *arena, struct folio *folio,
			      bool system)
{
	bool alone;

	folio->mapping = NULL;
	alone = folio_ref_freeze(folio, 1);
	if (alone)
		folio_ref_unfreeze(folio, 1);
	folio_unlock(folio);
	if (alone && system)
		hspan_pool_give(arena->pool, folio);
	else if (alone)
		hspan_pool_put(arena->pool, folio);
	if (alone)
		return true;
	folio_get(folio);
	if (hspan_pool_forget(arena->pool, folio))
		hspan_stray_add(arena, folio);
	else
		folio_put(folio);
	return false;
}

/**
 * hspan_block_discard() - give back a block that is in no page table
 * @arena: whose it was, or whose snapshot's
 * @folio: in no slot that a fault looks at
 */
void hspan_block_discard(struct hspan_arena *arena, struct folio *folio)
{
	folio_lock(folio);
	hspan_block_leave(arena, folio, false);
}

/*
 * The locked folio has left its slot.  It goes to the snapshot, if that shares it,
 * and else to the pool or the @system; it is unlocked.  Returns whether the
 * snapshot has it.
 */
static bool hspan_block_part(struct hspan_arena *arena, u32 block,
			     struct folio *folio, bool system)
{
	bool kept, recycled = false;

	if (!arena->ending)
		unmap_mapping_pages(folio->mapping, folio->index,
				    HSPAN_BLOCK_NR, false);
	kept = hspan_snapshot_keep(arena, block, folio);
	if (kept)
		folio_unlock(folio);
	else
		recycled = hspan_block_leave(arena, folio, system);
	trace_hugespan_block_put(arena->id, block, recycled);
	return kept;
}

static void hspan_block_drop_bits(struct hspan_arena *arena, u32 block)
{
	struct hspan_side_bits bits;

	hspan_side_lock_bits(arena, block, false, &bits);
	hspan_side_drop_bits(arena, block, &bits);
}

/* Nobody takes a snapshot until hspan_gate_leave(). */
static void hspan_gate_enter(struct hspan_arena *arena)
{
	if (hspan_is_gated(arena))
		down_read(&arena->gate);
}

static bool hspan_gate_try_enter(struct hspan_arena *arena)
{
	return !hspan_is_gated(arena) || down_read_trylock(&arena->gate);
}

static void hspan_gate_leave(struct hspan_arena *arena)
{
	if (hspan_is_gated(arena))
		up_read(&arena->gate);
}

/*
 * Only we empty the slot.  But behind the gate a write may put another folio
 * there, until we have the lock; then it stays, and so does its reference.
 */
static struct folio *hspan_block_lock(struct hspan_arena *arena, u32 block,
				      bool try)
{
	struct folio *folio = arena->slots[block];

	if (hspan_is_gated(arena)) {
		folio = try ? hspan_slot_trylock(&arena->slots[block]) :
			      hspan_slot_lock(&arena->slots[block]);
		if (folio)
			folio_put(folio);
		return folio;
	}
	if (!folio || (try && !folio_trylock(folio)))
		return NULL;
	if (!try)
		folio_lock(folio);
	return folio;
}

static void hspan_block_put(struct hspan_heap *heap, u32 block)
{
	struct hspan_arena *arena = hspan_heap_priv(heap);
	struct folio *folio;
	bool kept;

	hspan_gate_enter(arena);
	folio = hspan_block_lock(arena, block, false);
	if (!WARN_ON_ONCE(!folio)) {
		hspan_slot_empty(arena, block);
		kept = hspan_block_part(arena, block, folio, false);
		if (!arena->ending)
			hspan_block_drop_bits(arena, block);
		hspan_block_uncharge(arena, block, kept);
	}
	hspan_gate_leave(arena);
}

static bool hspan_block_do_try_put(struct hspan_arena *arena, u32 block)
{
	struct folio *folio = hspan_block_lock(arena, block, true);
	struct hspan_side_bits bits;
	bool kept;

	if (!folio)
		return false;
	hspan_slot_empty(arena, block);
	if (!hspan_side_lock_bits(arena, block, true, &bits)) {
		hspan_block_fill(arena, block, folio);
		folio_unlock(folio);
		return false;
	}
	kept = hspan_block_part(arena, block, folio, true);
	hspan_side_drop_bits(arena, block, &bits);
	hspan_block_uncharge(arena, block, kept);
	return true;
}

/*
 * For the shrinker.  A fault that is under way may hold the gate, the folio's or
 * a page's lock and be what needs the memory, so none of them is waited for.  The
 * slot is empty before bits are looked for: see hspan_side_pay().  Nobody uses a
 * free block, so nobody minds if it is there again.
 */
static bool hspan_block_try_put(struct hspan_heap *heap, u32 block)
{
	struct hspan_arena *arena = hspan_heap_priv(heap);
	bool done;

	if (!hspan_gate_try_enter(arena))
		return false;
	done = hspan_block_do_try_put(arena, block);
	hspan_gate_leave(arena);
	return done;
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
