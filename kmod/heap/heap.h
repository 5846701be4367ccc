/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The span heap: which pages are whose.  Page heap, central lists and CPU
 * caches of one arena; the same source serves the kernel module and, through
 * userlib/shim, the library's embedded backend.  It knows lists, bitmaps,
 * locks and per-CPU slots, and nothing of files, page tables or objects.
 *
 * Lock order (outer first; nothing that sleeps is called under any of them):
 *
 *	hspan_central.lock -> hspan_heap.lock
 *
 * Two centrals are never locked at once.  CPU caches have no lock.
 *
 * Who owns a span.  At any instant a span is in exactly one of these states
 * (hspan_sdesc.state), and only its owner may change it:
 *
 *	HELD     by the client named in .holder, who alone may sweep it,
 *	         allocate from it and put it back;
 *	CACHED   in one slot of a CPU cache, with a free slot for objects;
 *		 who exchanges its page number there for nothing owns it;
 *	LISTED   on one central list (its lock);
 *	FREE     no span: pages belong to the page heap (heap lock).
 *
 * A put claims the span by moving .holder from the client to 0 with one
 * compare-and-exchange: of two racing puts one gets EALREADY, and a client
 * cannot put what it does not hold.  Descriptors live in their block's
 * hspan_block, which is published once with a release store and freed only
 * with the heap, so looking one up needs no lock.
 *
 * Sweepgen.  heap->sweepgen counts cycles from 1.  A span is swept when its
 * .sweepgen equals the heap's.  Each central keeps two sets of lists, picked
 * by the parity of the span's own sweepgen: a cycle turns "swept" into
 * "unswept" by adding one, flushes the CPU caches, and is refused while old
 * unswept spans are still listed.  A span held across a cycle is put back
 * with the sweepgen of its last sweep and joins the unswept; one held across
 * two must be swept by its holder before it can be put back.
 *
 * A slot of a CPU cache holds an unswept span only while the put that put it
 * there has not returned, or the cycle that made it unswept has not.  A put
 * stores the slot and then reads sweepgen, a cycle stores sweepgen and then
 * reads all slots, each with a full barrier between: one of them sees to the
 * span.  A span that is two cycles behind or more, because its put was that
 * slow, is listed and handed out as unswept like any other.
 *
 * What is known to be zero.  A block comes zeroed from its source.  A page
 * is dirty from the first time a span with that page is handed out; a span
 * none of whose pages is dirty is handed out FRESH.
 */
#ifndef _HUGESPAN_HEAP_H
#define _HUGESPAN_HEAP_H

#ifdef __KERNEL__
#include <linux/bitmap.h>
#include <linux/errno.h>
#include <linux/percpu.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#else
#include "hspan_shim.h"
#endif
#include <linux/hugespan.h>

#include "sizeclass.h"

struct hspan_heap;

/**
 * struct hspan_heap_ops - what the heap asks of the arena that owns it
 * @block_get: back block @block with zeroed memory.  May sleep; called with
 *	no lock held, never twice for a block without a block_put between.
 *	0 or -ENOMEM, -EDQUOT.
 * @page_map: the %HSPAN_BLOCK_PAGES page map entries of @block.  Called once
 *	a block, after its first block_get; may sleep; NULL = no memory.  They
 *	stay valid, and are written by the heap, for as long as the heap lives.
 * @block_put: @block has no span and no page map entry left and its memory
 *	may go.  May sleep; no lock held.  When the heap is destroyed there
 *	are both still, and nobody who looks at them.
 * @block_try_put: the same without waiting for any lock that a user of the
 *	block may hold; false = not now.  Only hspan_heap_try_release() calls
 *	it, and NULL will do where nobody calls that.
 */
struct hspan_heap_ops {
	int (*block_get)(struct hspan_heap *heap, u32 block);
	u32 *(*page_map)(struct hspan_heap *heap, u32 block);
	void (*block_put)(struct hspan_heap *heap, u32 block);
	bool (*block_try_put)(struct hspan_heap *heap, u32 block);
};

/*
 * Everything below returns 0 or a count on success and a negative errno
 * otherwise, and may be called from any number of threads at once.  Calls
 * marked "sleeps" need process context.
 */

/* Make a heap over @nr_blocks blocks of addresses.  Sleeps. */
struct hspan_heap *hspan_heap_create(const struct hspan_heap_ops *ops,
				     void *priv, u32 nr_blocks);

/*
 * Put every block still held to its source and free the heap.  No other call
 * may be running; spans still held are simply forgotten.  Sleeps.
 */
void hspan_heap_destroy(struct hspan_heap *heap);

void *hspan_heap_priv(const struct hspan_heap *heap);

/*
 * What the heap itself takes, for whoever has to account for it: bytes of a
 * heap of so many blocks, and of the descriptors that it keeps of each block
 * from its first use on.
 */
size_t hspan_heap_bytes(u32 nr_blocks);
size_t hspan_heap_block_bytes(void);

/*
 * Does the heap have descriptors of @block?  In block_get and in block_put: no
 * means that it does not keep them if this block_get, or its undoing, ends.
 */
bool hspan_heap_knows(struct hspan_heap *heap, u32 block);

/*
 * Take up to @nr spans of @span_class for @holder (not 0).  @npages is for
 * large spans, else 0.  Returns how many (at least 1), or -EINVAL, -ENOMEM,
 * -EDQUOT, -ENOSPC.  Order: this CPU's cache, central partial swept, partial
 * unswept, full unswept (a few), free pages, and only if all that gave none,
 * what other CPUs' caches have, or one from a new block.  Sleeps.
 */
int hspan_heap_get(struct hspan_heap *heap, u32 holder, u32 span_class,
		   u32 npages, u32 flags, struct hspan_span *spans, u32 nr);

/*
 * Give one span back; see struct hspan_put for the rules and errors
 * (-ENOENT, -EPERM, -EALREADY, -EINVAL).  Does not sleep.
 */
int hspan_heap_put(struct hspan_heap *heap, u32 holder, u32 page, u32 nfree,
		   u32 sweepgen);

/*
 * The same for @nr spans, each judged by itself, its outcome in .error.
 * Returns how many were taken back.
 */
u32 hspan_heap_put_many(struct hspan_heap *heap, u32 holder,
			struct hspan_put *puts, u32 nr);

/* Take up to @nr unswept spans; 0 when none is listed.  Does not sleep. */
int hspan_heap_sweep_next(struct hspan_heap *heap, u32 holder,
			  struct hspan_span *spans, u32 nr);

/*
 * Start a cycle: returns 0 and the new sweepgen, or -EBUSY if unswept spans
 * are listed or another call is starting one.  Does not sleep.
 */
int hspan_heap_cycle(struct hspan_heap *heap, u32 *sweepgen);

/*
 * Move all spans in CPU caches to their central lists, and let the caches be
 * as shallow as they may.
 */
void hspan_heap_flush(struct hspan_heap *heap);

/* The same for one CPU, which can be a dead one. */
void hspan_heap_flush_cpu(struct hspan_heap *heap, int cpu);

/* Put up to @max free blocks to their source; returns how many.  Sleeps. */
u64 hspan_heap_release(struct hspan_heap *heap, u64 max);

/*
 * The same by block_try_put: for callers that may hold locks of their own.  One
 * block that cannot be put ends it.
 */
u64 hspan_heap_try_release(struct hspan_heap *heap, u64 max);

/*
 * One bit of @blocks for each block that has a span; and for some that are on
 * their way to or from the source.
 */
void hspan_heap_used(struct hspan_heap *heap, unsigned long *blocks);

/*
 * Take pages for new spans from the blocks of @blocks, one bit each, only where
 * neither another block nor a new one will do; from then on, or with NULL, all are
 * alike again.  Spans that exist are handed out as ever.  One such call at a
 * time.  Sleeps.
 */
void hspan_heap_avoid(struct hspan_heap *heap, const unsigned long *blocks);

/* The one block is like others again. */
void hspan_heap_avoid_not(struct hspan_heap *heap, u32 block);

/* Blocks with no span in them, at some moment. */
u32 hspan_heap_nr_free(const struct hspan_heap *heap);

/*
 * Most blocks the heap may hold.  At the limit a span of more than one block
 * makes the heap release free blocks that are of no use to it.
 */
void hspan_heap_set_limit(struct hspan_heap *heap, u64 blocks);
u64 hspan_heap_limit(const struct hspan_heap *heap);

/*
 * @holder is gone: everything it holds is listed as full, swept or unswept
 * by the sweepgen it had when handed out, for the next mark to decide about.
 * Whether the holder swept it since is not known here; that is what notes are
 * for, see <linux/hugespan.h>.  Returns how many spans that were.  Sleeps (a
 * long walk).
 */
u64 hspan_heap_drop_holder(struct hspan_heap *heap, u32 holder);

void hspan_heap_stats(struct hspan_heap *heap, struct hspan_arena_stats *st);

/*
 * Where to show what struct hspan_control shows, kept up to date from now on;
 * NULL ends that.  No other call may be running.
 */
void hspan_heap_set_control(struct hspan_heap *heap,
			    struct hspan_control *control);

/* What the control page shows as pressure. */
void hspan_heap_set_pressure(struct hspan_heap *heap, u32 level);

/*
 * How many spans of a class a CPU cache may always keep, and how many it may
 * come to keep where that brings hits; takes effect at once.  The second
 * bounds the first; 0 = none.
 */
#define HSPAN_CACHE_DEPTH_MAX		15
#define HSPAN_CACHE_DEPTH_DEFAULT	4
void hspan_heap_set_cache_depth(struct hspan_heap *heap, u32 depth,
				u32 max_depth);

/* struct hspan_span_info.state; see who owns a span, above */
enum hspan_span_state {
	HSPAN_STATE_FREE,	/* zero: what a new descriptor is */
	HSPAN_STATE_HELD,
	HSPAN_STATE_CACHED,
	HSPAN_STATE_LISTED,
};

/*
 * A copy of a span's descriptor, whose fields may be of different moments if
 * the span is changing hands.
 */
struct hspan_span_info {
	u32 page;
	u32 npages;
	u32 holder;
	u32 nfree;
	u32 sweepgen;
	u16 span_class;
	u16 state;
};

/* The first span at page @page or above; false = none.  Sleeps (a long walk). */
bool hspan_heap_find(struct hspan_heap *heap, u32 page,
		     struct hspan_span_info *info);

/*
 * Call @fn for every span; a non-zero return ends the walk and is returned.
 * For tests.
 */
int hspan_heap_walk(struct hspan_heap *heap,
		    int (*fn)(const struct hspan_span_info *info, void *arg),
		    void *arg);

/*
 * Check every invariant that can be checked (lists against states, page map
 * against descriptors, counters against sums); 0 or the number of faults
 * found, the first few of them reported.  For tests: no other call may be
 * running, as no lock keeps the whole heap still.
 */
unsigned int hspan_heap_verify(struct hspan_heap *heap);

#endif /* _HUGESPAN_HEAP_H */
