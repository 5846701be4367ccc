/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The span heap's inside: descriptors, blocks, lists, and what the page heap,
 * the central lists and the CPU caches offer each other.
 */
#ifndef _HUGESPAN_HEAP_INTERNAL_H
#define _HUGESPAN_HEAP_INTERNAL_H

#include "heap.h"

#ifdef __KERNEL__
#include <linux/atomic.h>
#include <linux/bitops.h>
#include <linux/cache.h>
#include <linux/compiler.h>
#include <linux/kernel.h>
#include <linux/lockdep.h>
#include <linux/mm.h>
#include <linux/nospec.h>
#include <linux/printk.h>
#include <linux/sched.h>
#include <asm/local64.h>
#endif

#include "fit.h"

#define hspan_heap_warn(fmt, ...) \
	pr_warn("hugespan: heap: " fmt "\n", ##__VA_ARGS__)

/* Anybody may ask for more than there is: that is for him to know, not the log. */
#define HSPAN_HEAP_GFP	(GFP_KERNEL_ACCOUNT | __GFP_NOWARN)

/* Full unswept spans of a class handed out before new pages are tried. */
#define HSPAN_FULL_BUDGET		8

/**
 * struct hspan_sdesc - what is known of the span that starts at one page
 * @next: below it on a central list (central lock), or in a batch
 * @page: the page this describes; constant
 * @npages: pages of the span
 * @holder: client that has the span, or 0; moved by cmpxchg, see heap.h.
 *	While it is 0, whoever moved it there owns all but @page.
 * @sweepgen: cycle in which it was last swept, as far as we were told
 * @nfree: free slots when last put back
 * @span_class: size class * 2 + noscan
 * @state: enum hspan_span_state
 *
 * All are read without a lock by the walk, hence written with WRITE_ONCE().
 * 32 bytes, so that none lies across two cache lines.
 */
struct hspan_sdesc {
	struct hspan_sdesc *next;
	u32 page;
	u32 npages;
	u32 holder;
	u32 sweepgen;
	u16 nfree;
	u8 span_class;
	u8 state;
};

/**
 * struct hspan_block - 2 MiB of the arena that were backed at least once
 * @sdesc: HSPAN_BLOCK_PAGES descriptors; constant
 * @page_map: as many page map entries; constant.  Those of a span are
 *	written by whoever owns the span.
 * @index: number of the block; constant
 * @nused: pages in spans (heap lock)
 * @longest: pages in its longest free run (heap lock)
 * @held: backed by memory (heap lock)
 * @avoided: to be taken from only if nothing else will do (heap lock)
 * @used: one bit a page: in a span (heap lock)
 * @dirty: one bit a page: handed out since it was last zero (heap lock)
 *
 * Made at the block's first use, published by a release store to
 * heap->blocks[], and kept as long as the heap.
 */
struct hspan_block {
	struct hspan_sdesc *sdesc;
	u32 *page_map;
	u32 index;
	u16 nused;
	u16 longest;
	bool held;
	bool avoided;
	DECLARE_BITMAP(used, HSPAN_BLOCK_PAGES);
	DECLARE_BITMAP(dirty, HSPAN_BLOCK_PAGES);
};

/* A stack of spans, linked by hspan_sdesc.next; its lock is its owner's. */
struct hspan_slist {
	struct hspan_sdesc *top;
	u32 nr;
};

/**
 * struct hspan_chain - spans that nobody else sees, in the order they came
 * @first: linked by hspan_sdesc.next; nothing if @nr is 0
 * @link: where the next one is to be linked
 * @nr: how many
 */
struct hspan_chain {
	struct hspan_sdesc *first;
	struct hspan_sdesc **link;
	u32 nr;
};

/**
 * struct hspan_batch - swept spans that are being put back together
 * @span_class: of them all
 * @nelems: slots that each has
 * @sweepgen: of them all, and the heap's when the first one came
 * @partial: those with a free slot
 * @full: those with none
 *
 * All are claimed, have their new nfree and sweepgen, and LISTED for state,
 * which is what becomes of those that no CPU cache takes.
 */
struct hspan_batch {
	u32 span_class;
	u32 nelems;
	u32 sweepgen;
	struct hspan_chain partial;
	struct hspan_chain full;
};

/**
 * struct hspan_central - spans of one class that are in nobody's hands
 * @lock: protects all other fields and the spans on the lists
 * @partial: spans with a free slot, by parity of their sweepgen
 * @full: spans with none, and those nothing is known about, likewise
 * @full_budget: full unswept spans that get may still hand out before it
 *	looks for free pages
 * @hits: spans handed out by get and sweep_next
 * @puts: spans taken back
 * @drained: spans that came from CPU caches
 */
struct hspan_central {
	spinlock_t lock;
	struct hspan_slist partial[2];
	struct hspan_slist full[2];
	u32 full_budget;
	u64 hits;
	u64 puts;
	u64 drained;
} ____cacheline_aligned_in_smp;

/**
 * struct hspan_cache_line - swept spans with a free slot, for one CPU
 * @slot: first page + 1 of a span of this class, or 0.  Who exchanges the
 *	number for 0 owns the span; no lock, and any CPU may.
 * @depth: slots that a put may fill, if that is more than the heap's
 *	cache_depth; never more than its cache_max_depth
 * @overflowed: a put found them all full, and no get has missed since
 * @topped: a put filled the last of them since the last cycle
 *
 * One cache line.  All but @slot are hints: an update lost in a race costs a
 * hit or a slot.
 */
struct hspan_cache_line {
	u32 slot[HSPAN_CACHE_DEPTH_MAX];
	u8 depth;
	bool overflowed;
	bool topped;
} ____cacheline_aligned_in_smp;

/**
 * struct hspan_cpu_cache - what one CPU has at hand
 * @hits: spans handed out by gets on this CPU
 * @puts: spans taken back by puts on this CPU
 * @used: it was put to at least once; never cleared
 * @line: by class
 */
struct hspan_cpu_cache {
	local64_t hits;
	local64_t puts;
	bool used;
	struct hspan_cache_line line[HSPAN_NR_SPAN_CLASSES];
} ____cacheline_aligned_in_smp;

/**
 * struct hspan_heap - the heap of one arena
 * @ops: what the arena does for us; constant
 * @priv: the arena's; constant
 * @nr_blocks: length of the address range; constant
 * @cache_depth: spans that a CPU cache may always keep of a class (READ_ONCE)
 * @cache_max_depth: most that it may come to keep (READ_ONCE)
 * @sweep_hint: class where sweep_next last found one (READ_ONCE)
 * @sweepgen: cycles so far (written under @lock; readers see heap.h)
 * @nr_listed: spans on central lists, by parity of their sweepgen.  Changed
 *	under the central's lock; additions to the unswept also under @lock,
 *	so that a cycle cannot start between their check and their count.
 * @caches: CPU caches
 * @blocks: all blocks ever used; entries appear once, by release store
 * @lock: the page heap's, protects all that follows
 * @cycling: a cycle is being started
 * @avoiding: blocks may be avoided
 * @control: the page shown to clients, or NULL; set once.  @nr_unswept in it
 *	is written without @lock, see hspan_control_unswept().
 * @limit: most blocks to hold
 * @nr_held: blocks backed
 * @nr_reserved: blocks being backed at this moment
 * @nr_free: blocks backed with no span in them
 * @grown: blocks ever backed
 * @released: blocks ever given back
 * @pages_used: pages in spans
 * @spans: spans that exist
 * @hits: spans made
 * @puts: spans ended by put
 * @taken: one bit a block: backed, or on the way to or from that
 * @busy: one bit a block: has spans, or on the way; clear = may be reserved
 * @free: one bit a block: backed, no span; = @taken and not @busy
 * @fit: the blocks held and not avoided, by their longest free run
 * @central: central lists by span class, each with its own lock
 */
struct hspan_heap {
	const struct hspan_heap_ops *ops;
	void *priv;
	u32 nr_blocks;
	u32 cache_depth;
	u32 cache_max_depth;
	u32 sweep_hint;
	u32 sweepgen;
	atomic_t nr_listed[2];
	struct hspan_cpu_cache __percpu *caches;
	struct hspan_block **blocks;

	spinlock_t lock ____cacheline_aligned_in_smp;
	bool cycling;
	bool avoiding;
	struct hspan_control *control;
	u64 limit;
	u32 nr_held;
	u32 nr_reserved;
	u32 nr_free;
	u64 grown;
	u64 released;
	u64 pages_used;
	u64 spans;
	u64 hits;
	u64 puts;
	unsigned long *taken;
	unsigned long *busy;
	unsigned long *free;
	struct hspan_fit fit;

	struct hspan_central central[HSPAN_NR_SPAN_CLASSES];
};

static inline u32 hspan_block_of(u32 page)
{
	return page / HSPAN_BLOCK_PAGES;
}

/* The block is known to exist, as a page of it is in our hands. */
static inline struct hspan_block *hspan_block(struct hspan_heap *heap,
					      u32 index)
{
	return smp_load_acquire(&heap->blocks[index]);
}

/* Its longest run, for those who look for pages. */
static inline u32 hspan_block_offer(const struct hspan_block *block)
{
	return block->held && !block->avoided ? block->longest : 0;
}

/* @page is one of @block. */
static inline struct hspan_sdesc *
hspan_block_desc(const struct hspan_block *block, u32 page)
{
	return &block->sdesc[page % HSPAN_BLOCK_PAGES];
}

/* A block of the heap, or NULL if it was never used or cannot be. */
static inline struct hspan_block *hspan_block_find(struct hspan_heap *heap,
						   u32 index)
{
	if (index >= heap->nr_blocks)
		return NULL;
	return hspan_block(heap, array_index_nospec(index, heap->nr_blocks));
}

static inline struct hspan_sdesc *hspan_desc(struct hspan_heap *heap, u32 page)
{
	return hspan_block_desc(hspan_block(heap, hspan_block_of(page)), page);
}

/* The class is known to be one; not an index: see hspan_cache_line(). */
static inline u32 hspan_nelems(u32 span_class)
{
	return *(hspan_class_nelems + span_class / 2);
}

/* The span is ours; say what it is before it becomes @holder's. */
static inline void hspan_desc_tell(const struct hspan_sdesc *desc, u16 flags,
				   struct hspan_span *span)
{
	*span = (struct hspan_span){
		.page = desc->page,
		.npages = desc->npages,
		.span_class = desc->span_class,
		.flags = flags,
		.nfree = desc->nfree,
		.sweepgen = desc->sweepgen,
	};
}

/* Nothing of the span may be touched by us after this. */
static inline void hspan_desc_hand_over(struct hspan_sdesc *desc, u32 holder)
{
	WRITE_ONCE(desc->state, HSPAN_STATE_HELD);
	smp_store_release(&desc->holder, holder);
}

/* Spans listed that have still to be swept in this cycle. */
static inline u32 hspan_nr_unswept(struct hspan_heap *heap)
{
	u32 sweepgen = READ_ONCE(heap->sweepgen);

	return atomic_read(&heap->nr_listed[(sweepgen + 1) & 1]);
}

/* pageheap.c */
int hspan_pageheap_init(struct hspan_heap *heap);
size_t hspan_pageheap_bytes(u32 nr_blocks);
void hspan_pageheap_exit(struct hspan_heap *heap);
int hspan_pageheap_get(struct hspan_heap *heap, u32 holder, u32 span_class,
		       u32 npages, struct hspan_span *spans, u32 nr, bool grow);
void hspan_pageheap_put(struct hspan_heap *heap, struct hspan_sdesc *desc);
void hspan_control_blocks(struct hspan_heap *heap);

/* grow.c */
int hspan_grow_small(struct hspan_heap *heap, u32 npages,
		     struct hspan_span *span);
int hspan_grow_large(struct hspan_heap *heap, u32 npages,
		     struct hspan_span *span);

/* used by grow.c only */
void hspan_run_take(struct hspan_heap *heap, struct hspan_block *block,
		    u32 start, u32 npages, bool *fresh);
void hspan_run_give(struct hspan_heap *heap, struct hspan_block *block,
		    u32 start, u32 npages);

/* central.c */
void hspan_central_init(struct hspan_central *central);
u32 hspan_central_get(struct hspan_heap *heap, u32 holder, u32 span_class,
		      struct hspan_span *spans, u32 nr);
u32 hspan_central_sweep(struct hspan_heap *heap, u32 holder, u32 span_class,
			struct hspan_span *spans, u32 nr);
void hspan_central_put(struct hspan_heap *heap, struct hspan_batch *batch);
int hspan_central_put_unswept(struct hspan_heap *heap, struct hspan_sdesc *desc,
			      u32 sweepgen);
void hspan_central_drain(struct hspan_heap *heap, struct hspan_sdesc *desc);
void hspan_central_adopt(struct hspan_heap *heap, struct hspan_sdesc *desc);
void hspan_central_sync(struct hspan_heap *heap);
void hspan_control_unswept(struct hspan_heap *heap);

/* put.c */
void hspan_put_swept(struct hspan_heap *heap, struct hspan_sdesc *desc);

/* cpucache.c */
enum hspan_flush {
	HSPAN_FLUSH_KEEP,	/* caches stay as deep as they are */
	HSPAN_FLUSH_AGE,	/* a cycle has ended: see who used the depth */
	HSPAN_FLUSH_RESET,	/* begin anew */
};

int hspan_cpucache_init(struct hspan_heap *heap);
size_t hspan_cpucache_bytes(void);
void hspan_cpucache_exit(struct hspan_heap *heap);
u32 hspan_cpucache_get(struct hspan_heap *heap, u32 holder, u32 span_class,
		       struct hspan_span *spans, u32 nr);
void hspan_cpucache_put(struct hspan_heap *heap, struct hspan_batch *batch);
u32 hspan_cpucache_drain(struct hspan_heap *heap, u32 span_class);
void hspan_cpucache_flush_cpu(struct hspan_heap *heap, int cpu,
			      enum hspan_flush how);
void hspan_cpucache_flush(struct hspan_heap *heap, enum hspan_flush how);

#endif /* _HUGESPAN_HEAP_INTERNAL_H */
