/* SPDX-License-Identifier: MIT */
/*
 * What the files of libhugespan-malloc share: slots, spans, heaps, and the
 * invariants that hold between them.  Documentation/malloc.rst tells the rest.
 *
 * A span is a run of pages cut into slots of one class (or one large object).
 * It belongs to a heap; a heap has at most one user at a time, who holds its
 * lock: a thread from its first allocation to its end, or anyone for a moment
 * if it is a shared heap or that of a thread that ended.
 *
 *  1. Only the heap's user touches a span's fields, but for .remote, .heap and
 *     what is constant while the span exists.
 *  2. A slot is in exactly one place: in use, on its span's .free, above its
 *     first fresh slot, on its span's .remote, on its heap's .delayed, or in a
 *     thread's batch of slots on their way to .remote.  All but the second and
 *     the third count as used, so a span is empty only when nobody can still be
 *     about to touch it.
 *  3. A span with a free or fresh slot, or with slots on .remote, is listed in
 *     its heap's bin; a full one is not, and its .remote is HM_FULL until
 *     someone frees into it.  Who replaces HM_FULL puts a slot on .delayed.
 *  4. .left is the number of slots in use while the span is listed, one more if
 *     it is pinned, and 1 while it is full: so one decrement that reaches 0
 *     tells free() that there is something to do.
 *  5. A span moves to another heap only under its old heap's lock, listed.
 *
 * Lock order: heap -> another heap by trylock only; heap -> list of heaps ->
 * huge objects -> pages -> the span heap's own.
 */
#ifndef HM_H
#define HM_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "backend.h"
#include "hspan_shim.h"

#define HM_EXPORT	     __attribute__((visibility("default")))
#define HM_COLD		     __attribute__((__noinline__, cold))
#define likely(x)	     __builtin_expect(!!(x), 1)
#define unlikely(x)	     __builtin_expect(!!(x), 0)

#define hm_load(p)	     __atomic_load_n(p, __ATOMIC_RELAXED)
#define hm_load_acquire(p)   __atomic_load_n(p, __ATOMIC_ACQUIRE)
#define hm_set(p, v)	     __atomic_store_n(p, v, __ATOMIC_RELAXED)
#define hm_set_release(p, v) __atomic_store_n(p, v, __ATOMIC_RELEASE)

#define HM_ALIGN	     16
#define HM_DIRECT_MAX	     1024 /* largest size that a heap looks up without its class */
#define HM_NR_DIRECT	     (HM_DIRECT_MAX / 8 + 1)
#define HM_SMALL_MAX	     32768
#define HM_NR_CLASSES	     58
#define HM_SLAB_PAGES	     16 /* most pages of a span of slots */

struct hm_heap;

struct hm_slot {
	struct hm_slot *next;
};

/*
 * Slots freed by others, in one word: how many, and the first of the list.
 * Addresses of programs have 48 bits at most, a span has fewer than 64 Ki slots.
 */
typedef uint64_t hm_remote_t;

#define HM_FULL		((hm_remote_t)1)
#define HM_REMOTE_SHIFT 48

static inline hm_remote_t hm_remote(struct hm_slot *first, uint32_t nr)
{
	return (hm_remote_t)nr << HM_REMOTE_SHIFT | (uintptr_t)first;
}

static inline uint32_t hm_remote_nr(hm_remote_t remote)
{
	return (uint32_t)(remote >> HM_REMOTE_SHIFT);
}

static inline struct hm_slot *hm_remote_first(hm_remote_t remote)
{
	return (struct hm_slot *)(uintptr_t)(remote & (((hm_remote_t)1 << HM_REMOTE_SHIFT) - 1));
}

/**
 * struct hm_span - a run of pages with slots, or with one large object
 * @free: free slots
 * @left: see invariant 4
 * @fresh: slots at its end that were never handed out
 * @heap: to whom it belongs; of a large object's, &hm_large
 * @base: its first byte
 * @slot_size: bytes of a slot; of a large object, those that may be used
 * @nr_slots: how many
 * @page: number of its first page
 * @npages: pages of it
 * @size_class: of its slots
 * @full, @pinned: see invariants 3 and 4
 * @zeroed: its fresh slots are zero
 * @remote: slots freed by others, or HM_FULL
 * @next, @prev: in the bin
 */
struct hm_span {
	struct hm_slot *free;
	uint32_t left;
	uint32_t fresh;
	struct hm_heap *heap;
	char *base;
	size_t slot_size;
	uint32_t nr_slots;
	uint32_t page;
	uint32_t npages;
	uint8_t size_class;
	bool full;
	bool pinned;
	bool zeroed;
	hm_remote_t remote __attribute__((aligned(64)));
	struct hm_span *next;
	struct hm_span *prev;
};

/**
 * struct hm_bin - the spans of one class of one heap
 * @first: the span to allocate from, then those listed behind it; or hm_none
 * @last: the last listed
 * @pages: pages of all of them, full ones too
 * @trial: allocations that are still made from a shared heap, see small.c
 */
struct hm_bin {
	struct hm_span *first;
	struct hm_span *last;
	uint32_t pages;
	uint8_t trial;
};

/**
 * struct hm_heap - a thread's spans
 * @direct: by (size + 7) / 8, the first span of the bin for that size
 * @bin: by class
 * @delayed: slots freed by others in full spans
 * @lock: held by its user
 * @next_idle: in the list of heaps whose thread has ended
 */
struct hm_heap {
	struct hm_span *direct[HM_NR_DIRECT];
	struct hm_bin bin[HM_NR_CLASSES];
	struct hm_slot *delayed __attribute__((aligned(64)));
	spinlock_t lock;
	struct hm_heap *next_idle;
};

/**
 * struct hm_class - what is known of a class before any span is made
 * @size: bytes of a slot
 * @pages: of the smallest span
 * @max_pages: of the largest
 * @extend: fresh slots that become free ones at once
 */
struct hm_class {
	uint32_t size;
	uint8_t pages;
	uint8_t max_pages;
	uint16_t extend;
};

/**
 * struct hm_global - the process's memory, set once
 * @base, @size: the range of addresses that spans come from
 * @fast_size: the same, or 0 where free() has to take the slow path
 * @span_of: the span of each page, NULL if there is none
 * @slow: every call takes the slow path, for one of these:
 * @hardened: objects are checked
 * @traced: objects are listed, see trace.h
 */
struct hm_global {
	uintptr_t base;
	size_t fast_size;
	struct hm_span **span_of;
	size_t size;
	bool slow;
	bool hardened;
	bool traced;
	int ready;
};

extern struct hm_global hm;
extern struct hm_span hm_none;
extern struct hm_heap hm_nobody, hm_large;
extern struct hm_class hm_classes[HM_NR_CLASSES];
extern uint8_t hm_class_of8[HM_NR_DIRECT];
extern uint8_t hm_class_of128[HM_SMALL_MAX / 128 + 1];

/*
 * The heap that the fast paths use: the thread's, or hm_nobody, which has and
 * owns nothing, so that everything takes the slow path.
 */
extern __thread struct hm_heap *hm_self __attribute__((tls_model("initial-exec")));

static inline unsigned int hm_class_of(size_t size)
{
	return size <= HM_DIRECT_MAX ? hm_class_of8[(size + 7) / 8]
				     : hm_class_of128[(size + 127) / 128];
}

/* The span of an address, or NULL. */
static inline struct hm_span *hm_span_at(const void *p)
{
	uintptr_t off = (uintptr_t)p - hm.base;

	return likely(off < hm.size) ? hm_load(&hm.span_of[off >> HSPAN_PAGE_SHIFT]) : NULL;
}

static inline bool hm_trylock(spinlock_t *lock)
{
	u32 unlocked = 0;

	return !hm_load(&lock->state) &&
	       __atomic_compare_exchange_n(&lock->state, &unlocked, 1, false, __ATOMIC_SEQ_CST,
					   __ATOMIC_RELAXED);
}

/* A span of the heap, whose user we are, has a free slot: take it. */
static inline void *hm_pop(struct hm_span *span)
{
	struct hm_slot *slot = span->free;

	if (likely(slot)) {
		span->free = slot->next;
		span->left++;
	}
	return slot;
}

/* init.c */
bool hm_init_slow(void);

static inline bool hm_init(void)
{
	return likely(hm_load_acquire(&hm.ready)) || hm_init_slow();
}

/* classes.c */
void hm_classes_init(void);

/* small.c */
void *hm_alloc_slow(size_t size, bool *zeroed);
void *hm_heap_alloc(struct hm_heap *heap, unsigned int size_class, bool *zeroed);
void hm_heap_init(struct hm_heap *heap, bool shared);
void hm_left_zero(struct hm_span *span);
void hm_bin_remove(struct hm_heap *heap, struct hm_span *span);
void hm_heap_trim(struct hm_heap *heap);

/* Give a slot back to a span of a heap whose user we are. */
static inline void hm_push(struct hm_span *span, void *p)
{
	struct hm_slot *slot = p;

	slot->next = span->free;
	span->free = slot;
	if (unlikely(--span->left == 0))
		hm_left_zero(span);
}

/* remote.c */
void hm_free_foreign(struct hm_span *span, void *p);
void hm_free_other(struct hm_span *span, void *p);
bool hm_heap_collect(struct hm_heap *heap);
void hm_heap_unlock(struct hm_heap *heap);
void hm_batch_end(void);

/* thread.c */
void *hm_meta_alloc(size_t size);
void hm_meta_free(void *p);
struct hm_heap *hm_heap_mine(void);
struct hm_heap *hm_heap_shared(void);
struct hm_span *hm_heap_steal(struct hm_heap *heap, unsigned int size_class);
bool hm_thread_init(void);
void hm_heaps_trim(void);
uint32_t hm_heaps_count(void);
void hm_heaps_lock(void);
void hm_heaps_unlock(void);

/* api.c */
void hm_free(void *p);

/* object.c */
void *hm_alloc(size_t size, bool *zeroed);
void *hm_alloc_aligned(size_t align, size_t size);
void hm_free_slow(void *p);
void *hm_raw_alloc(size_t align, size_t size, bool *zeroed);
bool hm_raw_free(void *p);
size_t hm_usable(void *p);
void *hm_realloc(void *p, size_t size);

/* large.c */
void *hm_large_alloc(size_t align, size_t size, bool *zeroed);
bool hm_large_grow(struct hm_span *span, size_t size);
void hm_large_free(struct hm_span *span, const void *p);

/* huge.c */
void *hm_huge_alloc(size_t align, size_t size);
bool hm_huge_free(void *p);
size_t hm_huge_usable(const void *p);
void *hm_huge_resize(void *p, size_t size);
size_t hm_huge_min(void);
size_t hm_huge_bytes(void);
void hm_huge_lock(void);
void hm_huge_unlock(void);
const void *hm_huge_memory(size_t *size);

/* span.c */
bool hm_span_init(void);
struct hm_span *hm_span_new(uint32_t npages, uint32_t nr_entries);
void hm_span_show(struct hm_span *span, uint32_t page);
void hm_span_delete(struct hm_span *span);
void hm_span_each(void (*fn)(struct hm_span *span));
void hm_span_lock(void);
void hm_span_unlock(void);
const void *hm_span_memory(size_t *size);

/* hardened.c */
void hm_hardened_init(void);
void *hm_hardened_alloc(size_t align, size_t size, bool *zeroed);
void hm_hardened_free(void *p);
size_t hm_hardened_usable(void *p);
void *hm_hardened_realloc(void *p, size_t size);

/** struct hm_idle - pages: the least that lay idle for a while, and those in use */
struct hm_idle {
	int64_t low;
	int64_t used;
};

/* pages.c */
bool hm_pages_init(const struct hs_backend *backend, size_t size);
bool hm_pages_get(uint32_t npages, uint32_t *page, bool *zeroed);
bool hm_pages_extend(uint32_t page, uint32_t npages, uint32_t more);
void hm_pages_put(uint32_t page, uint32_t npages);
void hm_pages_drain(void);
struct hm_idle hm_pages_idle(void);
void hm_pages_purged(uint64_t npages);
void hm_pages_recount(void);
uint64_t hm_pages_release(uint64_t max);
bool hm_pages_split(void);
void hm_pages_stats(struct hspan_arena_stats *stats);
const char *hm_pages_backend(void);
void hm_pages_lock(void);
void hm_pages_unlock(void);
bool hm_pages_inherit(uint32_t npages);

/** struct hm_trim - a walk over the blocks with at least @least idle pages */
struct hm_trim {
	uint32_t block;
	uint32_t least;
};

/* embedded.c */
extern const struct hs_backend hm_backend_embedded;
int hm_embedded_open_at(char *data, size_t size, uint32_t taken, struct hs_space *space);
uint64_t hm_embedded_idle(void);
uint64_t hm_embedded_trim(struct hm_trim *trim, uint64_t max);
bool hm_embedded_extend(uint32_t page, uint32_t npages, uint32_t more, uint32_t *dirty);
void hm_drop_pages(uint32_t page, uint32_t npages);

/* trim.c */
struct hspan_heap;
uint64_t hm_trim_count(struct hspan_heap *heap);
uint64_t hm_trim_step(struct hspan_heap *heap, struct hm_trim *trim, uint64_t max);

/* purge.c */
extern bool hm_purge_wanted;
void hm_purge_init(bool off);
void hm_purge_look(int64_t idle, int64_t used);
void hm_purge_start(void);
bool hm_purge_all(void);
void hm_purge_before_fork(void);
void hm_purge_after_fork(bool child);

/* fork.c */
void hm_fork_init(void);

/* util.c of ../src */
uint64_t hs_now(void);
uint64_t hs_cpu_now(void);
void *hs_map(size_t size);
void hs_unmap(void *p, size_t size);
void hs_log(const char *format, ...) __attribute__((format(printf, 1, 2)));
void hs_die(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

#endif /* HM_H */
