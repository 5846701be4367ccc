// SPDX-License-Identifier: GPL-2.0-only
/*
 * The pool: where arenas get their blocks and leave them, zeroed in between.
 *
 * A block stays charged to the memory cgroup that allocated it while it waits
 * here, and is only handed to takers of that same cgroup, so the charge is
 * always right.  At most @high such blocks wait on a node; what is over goes to
 * the system, and so does what a cgroup with a limit pays for.  Blocks of the reserve are charged to nobody, serve everybody and
 * stay.
 *
 * A block is on a clean list only if it was zeroed after its last owner gave it
 * up; nobody can write it from there on, as the pool's reference is the only
 * one (see hspan_block_detach()).
 */
#include <linux/gfp.h>
#include <linux/highmem.h>
#include <linux/jiffies.h>
#include <linux/mm.h>
#include <linux/nodemask.h>
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
/* On a certain node and charged to nobody: ahead of need, and for the reserve. */
#define HSPAN_NODE_GFP	(GFP_HIGHUSER | __GFP_ZERO | __GFP_NOMEMALLOC | \
			 __GFP_NOWARN | __GFP_THISNODE)
#define HSPAN_AHEAD_GFP	(HSPAN_NODE_GFP | __GFP_NORETRY)
#define HSPAN_RESERVE_GFP (HSPAN_NODE_GFP | __GFP_RETRY_MAYFAIL)

/* The reserve leaves a part of all memory. */
#define HSPAN_RESERVE_LEAVES	16

/* In folio->private of the reserve's blocks; others have NULL there. */
#define HSPAN_RESERVED	((void *)0x48535041)

struct hspan_pool hspan_pool;

static enum hspan_stock hspan_block_kind(struct folio *folio)
{
	return folio->private == HSPAN_RESERVED ? HSPAN_STOCK_RESERVE :
						  HSPAN_STOCK_FREE;
}

static void hspan_stock_init(struct hspan_pool_stock *stock)
{
	INIT_LIST_HEAD(&stock->clean);
	INIT_LIST_HEAD(&stock->dirty);
}

int hspan_pool_init(struct hspan_pool *pool, unsigned long high)
{
	int nid, kind;

	memset(pool, 0, sizeof(*pool));
	pool->nodes = kcalloc(nr_node_ids, sizeof(*pool->nodes), GFP_KERNEL);
	if (!pool->nodes)
		return -ENOMEM;
	for (nid = 0; nid < nr_node_ids; nid++) {
		spin_lock_init(&pool->nodes[nid].lock);
		for (kind = 0; kind < HSPAN_NR_STOCKS; kind++)
			hspan_stock_init(&pool->nodes[nid].stock[kind]);
	}
	mutex_init(&pool->preparing);
	init_waitqueue_head(&pool->wait);
	pool->high = high;
	pool->fill_after = jiffies;
	return 0;
}

static bool hspan_block_poisoned(struct folio *folio)
{
	unsigned long i;

	if (folio_test_has_hwpoisoned(folio))
		return true;
	/* Memory failure sets the summary only for folios it understands. */
	for (i = 0; i < HSPAN_BLOCK_NR; i++)
		if (PageHWPoison(folio_page(folio, i)))
			return true;
	return false;
}

/* Nobody gets it any more, not even the system. */
static void hspan_block_quarantine(struct hspan_pool *pool, struct folio *folio)
{
	if (hspan_block_kind(folio) == HSPAN_STOCK_RESERVE)
		atomic_long_dec(&pool->nr_reserved);
	atomic_long_inc(&pool->nr_poisoned);
	trace_hugespan_pool_poisoned(folio_pfn(folio));
}

/* False, and the block is gone, if it has a hardware memory error. */
static bool hspan_block_zero(struct hspan_pool *pool, struct folio *folio)
{
	unsigned long i;

	if (unlikely(folio_test_has_hwpoisoned(folio))) {
		hspan_block_quarantine(pool, folio);
		return false;
	}
	for (i = 0; i < HSPAN_BLOCK_NR; i++) {
		struct page *page = folio_page(folio, i);

		if (unlikely(PageHWPoison(page))) {
			hspan_block_quarantine(pool, folio);
			return false;
		}
		clear_highpage(page);
		if (!(i % 64))
			cond_resched();
	}
	trace_hugespan_pool_zero(folio_nid(folio));
	return true;
}

static void hspan_pool_free(struct hspan_pool *pool, struct folio *folio)
{
	/* Given to the system it could be handed out again: keep it for good. */
	if (unlikely(hspan_block_poisoned(folio))) {
		hspan_block_quarantine(pool, folio);
		return;
	}
	if (hspan_block_kind(folio) == HSPAN_STOCK_RESERVE)
		atomic_long_dec(&pool->nr_reserved);
	folio->private = NULL;
	atomic_long_inc(&pool->nr_freed);
	trace_hugespan_pool_free(folio_nid(folio));
	folio_put(folio);
}

static unsigned long hspan_stock_nr(const struct hspan_pool_stock *stock)
{
	return READ_ONCE(stock->nr_clean) + READ_ONCE(stock->nr_dirty) +
	       READ_ONCE(stock->nr_in_hand);
}

static void hspan_stock_add(struct hspan_pool_stock *stock,
			    struct folio *folio, bool clean)
{
	if (clean) {
		list_add(&folio->lru, &stock->clean);
		WRITE_ONCE(stock->nr_clean, stock->nr_clean + 1);
	} else {
		list_add(&folio->lru, &stock->dirty);
		WRITE_ONCE(stock->nr_dirty, stock->nr_dirty + 1);
	}
}

static void hspan_stock_del(struct hspan_pool_stock *stock,
			    struct folio *folio, bool clean)
{
	list_del_init(&folio->lru);
	if (clean)
		WRITE_ONCE(stock->nr_clean, stock->nr_clean - 1);
	else
		WRITE_ONCE(stock->nr_dirty, stock->nr_dirty - 1);
}

/*
 * Let the block wait on its node, or give it up if enough do.  One that is
 * @in_hand has been one of those that wait all the time.
 */
static void hspan_pool_stock_up(struct hspan_pool *pool, struct folio *folio,
				bool clean, bool in_hand)
{
	struct hspan_pool_node *node = &pool->nodes[folio_nid(folio)];
	enum hspan_stock kind = hspan_block_kind(folio);
	struct hspan_pool_stock *stock = &node->stock[kind];
	bool room;

	spin_lock(&node->lock);
	if (in_hand)
		WRITE_ONCE(stock->nr_in_hand, stock->nr_in_hand - 1);
	room = kind == HSPAN_STOCK_RESERVE ||
	       hspan_stock_nr(stock) < READ_ONCE(pool->high);
	if (room)
		hspan_stock_add(stock, folio, clean);
	spin_unlock(&node->lock);
	if (!room)
		hspan_pool_free(pool, folio);
}

/* The first folio of @list that the caller's cgroup pays for, if it is near. */
static struct folio *hspan_pool_pick(struct list_head *list)
{
	unsigned int looked = 0;
	struct folio *folio;

	list_for_each_entry(folio, list, lru) {
		if (hspan_block_kind(folio) == HSPAN_STOCK_RESERVE ||
		    hspan_folio_charged_here(folio))
			return folio;
		if (++looked == HSPAN_POOL_SCAN)
			break;
	}
	return NULL;
}

/*
 * A clean block if there is one, of either kind, else a dirty one; or the other
 * way round for who does not want it zero.
 */
static struct folio *hspan_pool_take_node(struct hspan_pool *pool, int nid,
					  bool zero, bool *clean)
{
	struct hspan_pool_node *node = &pool->nodes[nid];
	struct hspan_pool_stock *stock;
	struct folio *folio = NULL;
	int i;

	spin_lock(&node->lock);
	for (i = 0; !folio && i < 2 * HSPAN_NR_STOCKS; i++) {
		stock = &node->stock[i % HSPAN_NR_STOCKS];
		*clean = (i < HSPAN_NR_STOCKS) == zero;
		folio = hspan_pool_pick(*clean ? &stock->clean : &stock->dirty);
		if (folio)
			hspan_stock_del(stock, folio, *clean);
	}
	spin_unlock(&node->lock);
	return folio;
}

static struct folio *hspan_pool_recycle(struct hspan_pool *pool, int nid,
					bool zero)
{
	struct folio *folio;
	bool clean;

	while ((folio = hspan_pool_take_node(pool, nid, zero, &clean))) {
		if (unlikely(folio_test_has_hwpoisoned(folio))) {
			hspan_block_quarantine(pool, folio);
			continue;
		}
		if (zero && !clean) {
			if (!hspan_block_zero(pool, folio))
				continue;
			atomic_long_inc(&pool->nr_zeroed);
		}
		atomic_long_inc(&pool->nr_recycled);
		return folio;
	}
	return NULL;
}

static struct folio *hspan_pool_adopt(struct hspan_pool *pool,
				      struct folio *folio, bool ahead)
{
	if (folio) {
		trace_hugespan_pool_alloc(folio_nid(folio), ahead);
		INIT_LIST_HEAD(&folio->lru);
		folio->private = NULL;
		atomic_long_inc(&pool->nr_allocated);
	}
	return folio;
}

/* Where the caller's memory policy wants it. */
static struct folio *hspan_pool_alloc(struct hspan_pool *pool, bool zero)
{
	gfp_t gfp = zero ? HSPAN_POOL_GFP : HSPAN_POOL_GFP & ~__GFP_ZERO;

	return hspan_pool_adopt(pool, folio_alloc(gfp, HSPAN_BLOCK_ORDER),
				false);
}

static struct folio *hspan_pool_alloc_node(struct hspan_pool *pool, gfp_t gfp,
					   int nid)
{
	return hspan_pool_adopt(pool, __folio_alloc_node(gfp, HSPAN_BLOCK_ORDER,
							 nid), true);
}

/**
 * hspan_pool_take() - a block for an arena
 * @pool: the pool
 * @zero: it must be all zero; else the caller overwrites all of it before
 *	anybody can see it
 *
 * Looks on this node, then asks the system, then looks on other nodes, then
 * asks again after giving up one block that waits for another cgroup.
 *
 * Return: a folio that nobody else refers to, or NULL.
 */
struct folio *hspan_pool_take(struct hspan_pool *pool, bool zero)
{
	int here = numa_mem_id();
	struct folio *folio;
	int nid;

	folio = hspan_pool_recycle(pool, here, zero);
	if (!folio)
		folio = hspan_pool_alloc(pool, zero);
	if (!folio) {
		for_each_online_node(nid) {
			folio = hspan_pool_recycle(pool, nid, zero);
			if (folio)
				break;
		}
	}
	if (!folio && hspan_pool_shrink(pool, 1))
		folio = hspan_pool_alloc(pool, zero);
	if (folio) {
		atomic_long_inc(&pool->in_use);
	} else {
		atomic_long_inc(&pool->nr_failed);
		trace_hugespan_pool_failed(here);
	}
	if (READ_ONCE(pool->low))
		hspan_poolthread_wake(pool);
	return folio;
}

/**
 * hspan_pool_put() - take a block back
 * @pool: the pool
 * @folio: unmapped, and the caller's reference is the only one
 */
void hspan_pool_put(struct hspan_pool *pool, struct folio *folio)
{
	atomic_long_dec(&pool->in_use);
	folio_clear_dirty(folio);
	folio_clear_referenced(folio);
	if (unlikely(folio_test_has_hwpoisoned(folio))) {
		hspan_block_quarantine(pool, folio);
		return;
	}
	if (hspan_folio_limited(folio)) {
		hspan_pool_free(pool, folio);
		return;
	}
	hspan_pool_stock_up(pool, folio, false, false);
	hspan_poolthread_wake(pool);
}

/**
 * hspan_pool_give() - take a block back and pass it on to the system
 * @pool: the pool
 * @folio: unmapped, and the caller's reference is the only one
 *
 * One of the reserve waits here, like after hspan_pool_put().
 */
void hspan_pool_give(struct hspan_pool *pool, struct folio *folio)
{
	if (hspan_block_kind(folio) == HSPAN_STOCK_RESERVE) {
		hspan_pool_put(pool, folio);
		return;
	}
	atomic_long_dec(&pool->in_use);
	folio_clear_dirty(folio);
	folio_clear_referenced(folio);
	hspan_pool_free(pool, folio);
}

/**
 * hspan_pool_forget() - let go of a block that someone else still refers to
 * @pool: the pool
 * @folio: unmapped; whoever drops the last reference frees it
 *
 * Return: false if it was poisoned: then it is kept for good.
 */
bool hspan_pool_forget(struct hspan_pool *pool, struct folio *folio)
{
	atomic_long_dec(&pool->in_use);
	if (unlikely(hspan_block_poisoned(folio))) {
		hspan_block_quarantine(pool, folio);
		return false;
	}
	if (hspan_block_kind(folio) == HSPAN_STOCK_RESERVE)
		atomic_long_dec(&pool->nr_reserved);
	folio->private = NULL;
	atomic_long_inc(&pool->nr_lost);
	folio_put(folio);
	return true;
}

/* A dirty block to zero, on no list but still one of those that wait. */
static struct folio *hspan_pool_hand_out(struct hspan_pool_node *node)
{
	struct hspan_pool_stock *stock;
	struct folio *folio = NULL;
	int kind;

	spin_lock(&node->lock);
	for (kind = 0; !folio && kind < HSPAN_NR_STOCKS; kind++) {
		stock = &node->stock[kind];
		folio = list_first_entry_or_null(&stock->dirty, struct folio,
						 lru);
		if (folio) {
			WRITE_ONCE(stock->nr_in_hand, stock->nr_in_hand + 1);
			hspan_stock_del(stock, folio, false);
		}
	}
	spin_unlock(&node->lock);
	return folio;
}

/* What was handed out does not come back. */
static void hspan_pool_write_off(struct hspan_pool_node *node,
				 enum hspan_stock kind)
{
	struct hspan_pool_stock *stock = &node->stock[kind];

	spin_lock(&node->lock);
	WRITE_ONCE(stock->nr_in_hand, stock->nr_in_hand - 1);
	spin_unlock(&node->lock);
}

static bool hspan_pool_prepare_node(struct hspan_pool *pool,
				    struct hspan_pool_node *node)
{
	struct folio *folio = hspan_pool_hand_out(node);
	enum hspan_stock kind;

	if (!folio)
		return false;
	kind = hspan_block_kind(folio);
	if (hspan_block_zero(pool, folio)) {
		atomic_long_inc(&pool->nr_prepared);
		hspan_pool_stock_up(pool, folio, true, true);
	} else {
		hspan_pool_write_off(node, kind);
	}
	return true;
}

/**
 * hspan_pool_prepare() - zero one block that waits
 * @pool: the pool
 *
 * Return: false if all that wait are zeroed.
 */
bool hspan_pool_prepare(struct hspan_pool *pool)
{
	bool done = false;
	int nid;

	mutex_lock(&pool->preparing);
	for (nid = 0; !done && nid < nr_node_ids; nid++)
		done = hspan_pool_prepare_node(pool, &pool->nodes[nid]);
	mutex_unlock(&pool->preparing);
	return done;
}

static bool hspan_pool_node_is_low(struct hspan_pool *pool, int nid)
{
	unsigned long low = min(READ_ONCE(pool->low), READ_ONCE(pool->high));

	return hspan_stock_nr(&pool->nodes[nid].stock[HSPAN_STOCK_FREE]) < low;
}

/**
 * hspan_pool_prefill() - take one block from the system for a node in need
 * @pool: the pool
 *
 * Return: false if there is no memory to be had easily, or no such node.
 */
bool hspan_pool_prefill(struct hspan_pool *pool)
{
	struct folio *folio;
	int nid;

	for_each_node_state(nid, N_MEMORY) {
		if (!hspan_pool_node_is_low(pool, nid))
			continue;
		folio = hspan_pool_alloc_node(pool, HSPAN_AHEAD_GFP, nid);
		if (!folio)
			continue;
		atomic_long_inc(&pool->nr_prefilled);
		hspan_pool_stock_up(pool, folio, true, false);
		return true;
	}
	return false;
}

bool hspan_pool_has_dirty(struct hspan_pool *pool)
{
	int nid, kind;

	for (nid = 0; nid < nr_node_ids; nid++)
		for (kind = 0; kind < HSPAN_NR_STOCKS; kind++)
			if (READ_ONCE(pool->nodes[nid].stock[kind].nr_dirty))
				return true;
	return false;
}

bool hspan_pool_is_low(struct hspan_pool *pool)
{
	int nid;

	if (!READ_ONCE(pool->low))
		return false;
	for_each_node_state(nid, N_MEMORY)
		if (hspan_pool_node_is_low(pool, nid))
			return true;
	return false;
}

/* The last of its memory is nobody's reserve: the system would not live on. */
static bool hspan_reserve_may_grow(void)
{
	return si_mem_available() >
	       totalram_pages() / HSPAN_RESERVE_LEAVES + HSPAN_BLOCK_NR;
}

/**
 * hspan_pool_reserve() - take blocks that stay until the pool ends
 * @pool: the pool
 * @nr: how many, spread over the nodes
 *
 * Return: how many could be had, with 1 / HSPAN_RESERVE_LEAVES of memory left.
 */
unsigned long hspan_pool_reserve(struct hspan_pool *pool, unsigned long nr)
{
	unsigned long done = 0, before;
	struct folio *folio;
	int nid;

	do {
		before = done;
		for_each_node_state(nid, N_MEMORY) {
			if (done == nr || !hspan_reserve_may_grow())
				break;
			folio = hspan_pool_alloc_node(pool, HSPAN_RESERVE_GFP,
						      nid);
			if (!folio)
				continue;
			folio->private = HSPAN_RESERVED;
			atomic_long_inc(&pool->nr_reserved);
			hspan_pool_stock_up(pool, folio, true, false);
			done++;
			cond_resched();
		}
	} while (done < nr && done != before);
	return done;
}

static struct folio *hspan_pool_pop(struct hspan_pool_node *node, int kind,
				    unsigned long keep)
{
	struct hspan_pool_stock *stock = &node->stock[kind];
	struct folio *folio = NULL;
	bool clean;

	spin_lock(&node->lock);
	if (hspan_stock_nr(stock) > keep && stock->nr_clean + stock->nr_dirty) {
		clean = list_empty(&stock->dirty);
		folio = list_first_entry(clean ? &stock->clean : &stock->dirty,
					 struct folio, lru);
		hspan_stock_del(stock, folio, clean);
	}
	spin_unlock(&node->lock);
	return folio;
}

/* Give up to @nr blocks to the system, of each node no more than leaves @keep. */
static unsigned long hspan_pool_drain(struct hspan_pool *pool, int kind,
				      unsigned long keep, unsigned long nr)
{
	unsigned long done = 0;
	struct folio *folio;
	int nid;

	for (nid = 0; nid < nr_node_ids; nid++) {
		while (done < nr) {
			folio = hspan_pool_pop(&pool->nodes[nid], kind, keep);
			if (!folio)
				break;
			hspan_pool_free(pool, folio);
			done++;
			cond_resched();
		}
	}
	return done;
}

/**
 * hspan_pool_shrink() - give waiting blocks to the system
 * @pool: the pool
 * @nr: at most this many; none of the reserve
 *
 * Return: how many went.
 */
unsigned long hspan_pool_shrink(struct hspan_pool *pool, unsigned long nr)
{
	unsigned long done = hspan_pool_drain(pool, HSPAN_STOCK_FREE, 0, nr);

	if (done) {
		hspan_poolthread_pause(pool);
		trace_hugespan_pool_shrink(done);
	}
	return done;
}

void hspan_pool_set_high(struct hspan_pool *pool, unsigned long high)
{
	WRITE_ONCE(pool->high, high);
	hspan_pool_drain(pool, HSPAN_STOCK_FREE, high, ULONG_MAX);
	/*
	 * What is in hand goes by the new mark, too, before anybody looks; but the
	 * thread may not come by a CPU for long, and whoever waits must not hang.
	 */
	if (!mutex_lock_interruptible(&pool->preparing))
		mutex_unlock(&pool->preparing);
}

unsigned long hspan_pool_nr_free(struct hspan_pool *pool, enum hspan_stock kind)
{
	struct hspan_pool_node *node;
	unsigned long nr = 0;
	int nid;

	for (nid = 0; nid < nr_node_ids; nid++) {
		node = &pool->nodes[nid];
		spin_lock(&node->lock);
		nr += hspan_stock_nr(&node->stock[kind]);
		spin_unlock(&node->lock);
	}
	return nr;
}

/* Of either kind. */
unsigned long hspan_pool_nr_clean(struct hspan_pool *pool)
{
	unsigned long nr = 0;
	int nid, kind;

	for (nid = 0; nid < nr_node_ids; nid++)
		for (kind = 0; kind < HSPAN_NR_STOCKS; kind++)
			nr += READ_ONCE(pool->nodes[nid].stock[kind].nr_clean);
	return nr;
}

/* The thread has been stopped, and no arena is left. */
void hspan_pool_exit(struct hspan_pool *pool)
{
	int kind;

	for (kind = 0; kind < HSPAN_NR_STOCKS; kind++)
		hspan_pool_drain(pool, kind, 0, ULONG_MAX);
	WARN_ON_ONCE(atomic_long_read(&pool->in_use));
	kfree(pool->nodes);
	pool->nodes = NULL;
}
