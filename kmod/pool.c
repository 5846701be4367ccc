// SPDX-License-Identifier: GPL-2.0-only
/*
 * The pool: where arenas get their blocks and leave them, zeroed in between.
 *
 * A block stays charged to the memory cgroup that allocated it while it waits
 * here, and is only handed to takers of that same cgroup, so the charge is
 * always right.  At most @high blocks wait; what is over goes to the system.
 */
#include <linux/gfp.h>
#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/page-flags.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/topology.h>

#include "hugespan.h"
#include "trace.h"

/* How far down a list to look for a block of the taker's cgroup. */
#define HSPAN_POOL_SCAN		64

#define HSPAN_POOL_GFP	(GFP_HIGHUSER | __GFP_ACCOUNT | __GFP_ZERO | \
			 __GFP_NOMEMALLOC | __GFP_NOWARN | __GFP_RETRY_MAYFAIL)

struct hspan_pool hspan_pool;

int hspan_pool_init(struct hspan_pool *pool, unsigned long high)
{
	int nid;

	memset(pool, 0, sizeof(*pool));
	pool->nodes = kcalloc(nr_node_ids, sizeof(*pool->nodes), GFP_KERNEL);
	if (!pool->nodes)
		return -ENOMEM;
	for (nid = 0; nid < nr_node_ids; nid++) {
		spin_lock_init(&pool->nodes[nid].lock);
		INIT_LIST_HEAD(&pool->nodes[nid].clean);
		INIT_LIST_HEAD(&pool->nodes[nid].dirty);
	}
	pool->high = high;
	return 0;
}

void hspan_pool_exit(struct hspan_pool *pool)
{
	hspan_pool_shrink(pool, ULONG_MAX);
	WARN_ON_ONCE(atomic_long_read(&pool->in_use));
	WARN_ON_ONCE(atomic_long_read(&pool->free));
	kfree(pool->nodes);
	pool->nodes = NULL;
}

static bool hspan_block_poisoned(struct folio *folio)
{
	unsigned long i;

	if (folio_test_has_hwpoisoned(folio))
		return true;
	/* Without the summary flag only the pages themselves can tell. */
	if (IS_ENABLED(CONFIG_TRANSPARENT_HUGEPAGE))
		return false;
	for (i = 0; i < HSPAN_BLOCK_NR; i++)
		if (PageHWPoison(folio_page(folio, i)))
			return true;
	return false;
}

static void hspan_block_zero(struct folio *folio)
{
	unsigned long i;

	for (i = 0; i < HSPAN_BLOCK_NR; i++) {
		clear_highpage(folio_page(folio, i));
		if (!(i % 64))
			cond_resched();
	}
}

/* The first folio of @list that the caller's cgroup pays for, if it is near. */
static struct folio *hspan_pool_pick(struct list_head *list)
{
	unsigned int looked = 0;
	struct folio *folio;

	list_for_each_entry(folio, list, lru) {
		if (hspan_folio_charged_here(folio))
			return folio;
		if (++looked == HSPAN_POOL_SCAN)
			break;
	}
	return NULL;
}

static struct folio *hspan_pool_take_node(struct hspan_pool *pool, int nid,
					  bool *clean)
{
	struct hspan_pool_node *node = &pool->nodes[nid];
	struct folio *folio;

	spin_lock(&node->lock);
	folio = hspan_pool_pick(&node->clean);
	*clean = folio;
	if (folio) {
		node->nr_clean--;
	} else {
		folio = hspan_pool_pick(&node->dirty);
		if (folio)
			node->nr_dirty--;
	}
	if (folio) {
		list_del_init(&folio->lru);
		atomic_long_dec(&pool->free);
	}
	spin_unlock(&node->lock);
	return folio;
}

static struct folio *hspan_pool_recycle(struct hspan_pool *pool, int nid)
{
	struct folio *folio;
	bool clean;

	while ((folio = hspan_pool_take_node(pool, nid, &clean))) {
		if (unlikely(hspan_block_poisoned(folio))) {
			atomic_long_inc(&pool->nr_poisoned);
			continue;
		}
		if (!clean) {
			hspan_block_zero(folio);
			atomic_long_inc(&pool->nr_zeroed);
		}
		atomic_long_inc(&pool->nr_recycled);
		return folio;
	}
	return NULL;
}

static struct folio *hspan_pool_alloc(struct hspan_pool *pool)
{
	struct folio *folio = folio_alloc(HSPAN_POOL_GFP, HSPAN_BLOCK_ORDER);

	if (folio) {
		INIT_LIST_HEAD(&folio->lru);
		atomic_long_inc(&pool->nr_allocated);
	}
	return folio;
}

/**
 * hspan_pool_take() - a block for an arena
 * @pool: the pool
 *
 * Looks on this node, then asks the system, then looks on other nodes, then
 * asks again after giving up one block that waits for another cgroup.
 *
 * Return: a folio that is all zero and that nobody else refers to, or NULL.
 */
struct folio *hspan_pool_take(struct hspan_pool *pool)
{
	int here = numa_mem_id();
	struct folio *folio;
	int nid;

	folio = hspan_pool_recycle(pool, here);
	if (!folio)
		folio = hspan_pool_alloc(pool);
	if (!folio) {
		for_each_online_node(nid) {
			folio = hspan_pool_recycle(pool, nid);
			if (folio)
				break;
		}
	}
	if (!folio && hspan_pool_shrink(pool, 1))
		folio = hspan_pool_alloc(pool);
	if (folio)
		atomic_long_inc(&pool->in_use);
	else
		atomic_long_inc(&pool->nr_failed);
	return folio;
}

static void hspan_pool_free(struct hspan_pool *pool, struct folio *folio)
{
	/* Given to the system it could be handed out again: keep it for good. */
	if (unlikely(hspan_block_poisoned(folio))) {
		atomic_long_inc(&pool->nr_poisoned);
		return;
	}
	atomic_long_inc(&pool->nr_freed);
	folio_put(folio);
}

/**
 * hspan_pool_put() - take a block back
 * @pool: the pool
 * @folio: unmapped, and the caller's reference is the only one
 */
void hspan_pool_put(struct hspan_pool *pool, struct folio *folio)
{
	struct hspan_pool_node *node = &pool->nodes[folio_nid(folio)];

	atomic_long_dec(&pool->in_use);
	folio_clear_dirty(folio);
	folio_clear_referenced(folio);
	if (atomic_long_inc_return(&pool->free) > READ_ONCE(pool->high) ||
	    unlikely(hspan_block_poisoned(folio))) {
		atomic_long_dec(&pool->free);
		hspan_pool_free(pool, folio);
		return;
	}
	spin_lock(&node->lock);
	list_add(&folio->lru, &node->dirty);
	node->nr_dirty++;
	spin_unlock(&node->lock);
}

/**
 * hspan_pool_forget() - let go of a block that someone else still refers to
 * @pool: the pool
 * @folio: unmapped; whoever drops the last reference frees it
 */
void hspan_pool_forget(struct hspan_pool *pool, struct folio *folio)
{
	atomic_long_dec(&pool->in_use);
	if (unlikely(hspan_block_poisoned(folio))) {
		atomic_long_inc(&pool->nr_poisoned);
		return;
	}
	atomic_long_inc(&pool->nr_lost);
	folio_put(folio);
}

static struct folio *hspan_pool_pop(struct hspan_pool *pool,
				    struct hspan_pool_node *node)
{
	struct folio *folio;

	spin_lock(&node->lock);
	folio = list_first_entry_or_null(&node->dirty, struct folio, lru);
	if (folio) {
		node->nr_dirty--;
	} else {
		folio = list_first_entry_or_null(&node->clean, struct folio,
						 lru);
		if (folio)
			node->nr_clean--;
	}
	if (folio) {
		list_del_init(&folio->lru);
		atomic_long_dec(&pool->free);
	}
	spin_unlock(&node->lock);
	return folio;
}

/**
 * hspan_pool_shrink() - give waiting blocks to the system
 * @pool: the pool
 * @nr: at most this many
 *
 * Return: how many went.
 */
unsigned long hspan_pool_shrink(struct hspan_pool *pool, unsigned long nr)
{
	unsigned long done = 0;
	struct folio *folio;
	int nid;

	for (nid = 0; nid < nr_node_ids; nid++) {
		while (done < nr) {
			folio = hspan_pool_pop(pool, &pool->nodes[nid]);
			if (!folio)
				break;
			hspan_pool_free(pool, folio);
			done++;
			cond_resched();
		}
	}
	if (done)
		trace_hugespan_pool_shrink(done);
	return done;
}

void hspan_pool_set_high(struct hspan_pool *pool, unsigned long high)
{
	long over;

	WRITE_ONCE(pool->high, high);
	over = atomic_long_read(&pool->free) - (long)min_t(unsigned long, high,
							   LONG_MAX);
	if (over > 0)
		hspan_pool_shrink(pool, over);
}

unsigned long hspan_pool_nr_clean(struct hspan_pool *pool)
{
	unsigned long nr = 0;
	int nid;

	for (nid = 0; nid < nr_node_ids; nid++)
		nr += READ_ONCE(pool->nodes[nid].nr_clean);
	return nr;
}
