// SPDX-License-Identifier: MIT
/*
 * Slots freed by a thread that does not own their heap.
 *
 * A heap that nobody uses is used for the moment.  For another thread's, slots
 * of one span are gathered first, and then go to the span's .remote together,
 * or to the heap's .delayed if the span was full and the owner has to be told.
 */
#include "hm.h"

#define NR_SETS	    32	 /* of two batches, in which a thread gathers slots */
#define BATCH_SLOTS 32	 /* most slots of one */
#define BATCH_BYTES 4096 /* most bytes of one */

/** struct batch - slots of one span, linked, in use until they are handed over */
struct batch {
	struct hm_span *span;
	struct hm_slot *first;
	struct hm_slot *last;
	uint32_t nr;
	uint32_t most;
};

/** struct batches - two for each value of a span's hash, the later one first */
struct batches {
	struct batch set[NR_SETS][2];
};

static struct batches no_batches; /* of who has not freed for others yet */
static __thread struct batches *batches __attribute__((tls_model("initial-exec"))) = &no_batches;

static void push_delayed(struct hm_heap *heap, struct hm_slot *slot)
{
	struct hm_slot *old = hm_load(&heap->delayed);

	do
		slot->next = old;
	while (!__atomic_compare_exchange_n(&heap->delayed, &old, slot, true, __ATOMIC_SEQ_CST,
					    __ATOMIC_RELAXED));
}

/*
 * Hand @nr slots of a span to its heap's user, who is told by one of them if the
 * span was full.  The heap is read before, as the span may be gone with the last
 * of the slots, and again after HM_FULL was seen: who put it there had the span.
 */
static struct hm_heap *push_remote(struct hm_span *span, struct hm_slot *first,
				   struct hm_slot *last, uint32_t nr)
{
	struct hm_slot *second = nr > 1 ? first->next : NULL;
	struct hm_heap *heap = hm_load_acquire(&span->heap);
	hm_remote_t old = hm_load(&span->remote), new;

	do {
		if (old == HM_FULL) {
			last->next = NULL;
			new = hm_remote(second, nr - 1);
		} else {
			last->next = hm_remote_first(old);
			new = hm_remote(first, hm_remote_nr(old) + nr);
		}
	} while (!__atomic_compare_exchange_n(&span->remote, &old, new, true, __ATOMIC_SEQ_CST,
					      __ATOMIC_ACQUIRE));
	if (old == HM_FULL) {
		heap = hm_load_acquire(&span->heap);
		push_delayed(heap, first);
	}
	return heap;
}

/* Take the slots freed in full spans; true if there were any. */
bool hm_heap_collect(struct hm_heap *heap)
{
	struct hm_slot *slot = __atomic_exchange_n(&heap->delayed, NULL, __ATOMIC_SEQ_CST), *next;

	if (!slot)
		return false;
	for (; slot; slot = next) {
		struct hm_span *span = hm_span_at(slot);

		next = slot->next;
		if (likely(hm_load(&span->heap) == heap))
			hm_push(span, slot);
		else
			hm_free_foreign(span, slot);
	}
	return true;
}

/*
 * Who hands slots over looks at the lock afterwards, and who unlocks looks for
 * slots afterwards: one of them sees to them.
 */
static void look_again(struct hm_heap *heap)
{
	while (__atomic_load_n(&heap->delayed, __ATOMIC_SEQ_CST) && hm_trylock(&heap->lock)) {
		hm_heap_collect(heap);
		spin_unlock(&heap->lock);
		smp_mb(); /* as in hm_heap_unlock() */
	}
}

void hm_heap_unlock(struct hm_heap *heap)
{
	spin_unlock(&heap->lock);
	smp_mb();
	look_again(heap);
}

static void hand_over(struct hm_span *span, struct hm_slot *first, struct hm_slot *last,
		      uint32_t nr)
{
	struct hm_heap *heap = push_remote(span, first, last, nr);

	if (unlikely(!hm_load(&heap->lock.state)))
		look_again(heap);
}

static void flush(struct batch *b)
{
	hand_over(b->span, b->first, b->last, b->nr);
	b->span = NULL;
}

/* The thread ends: it has no batches from now on. */
void hm_batch_end(void)
{
	struct batches *all = batches;

	if (all == &no_batches)
		return;
	batches = &no_batches;
	for (unsigned int i = 0; i < NR_SETS * 2; i++)
		if (all->set[i / 2][i % 2].span)
			flush(&all->set[i / 2][i % 2]);
	hm_meta_free(all);
}

static inline struct batch *set_of(const struct hm_span *span)
{
	return batches->set[(uintptr_t)span / sizeof(*span) % NR_SETS];
}

static inline void add(struct batch *b, struct hm_slot *slot)
{
	slot->next = b->first;
	b->first = slot;
	if (unlikely(++b->nr >= b->most))
		flush(b);
}

/* A batch for the span, in place of the one that was used less lately. */
static void gather(struct hm_span *span, struct hm_slot *slot)
{
	struct batch *b = set_of(span);

	if (b[1].span)
		flush(&b[1]);
	b[1] = b[0];
	b[0] = (struct batch){
		.span = span,
		.last = slot,
		.most = (uint32_t)(BATCH_BYTES / span->slot_size),
	};
	if (b[0].most > BATCH_SLOTS)
		b[0].most = BATCH_SLOTS;
	add(b, slot);
}

static bool have_batches(void)
{
	struct batches *mine;

	if (likely(batches != &no_batches))
		return true;
	/* Only who has a heap is asked for his batches when he ends. */
	mine = hm_heap_mine() ? hm_meta_alloc(sizeof(*mine)) : NULL;
	if (mine)
		batches = mine;
	return mine;
}

/* The heap is nobody's just now: be its user for a moment. */
static bool free_as_user(struct hm_span *span, void *p)
{
	struct hm_heap *heap = hm_load_acquire(&span->heap);

	while (hm_trylock(&heap->lock)) {
		struct hm_heap *now = hm_load_acquire(&span->heap);

		if (now == heap)
			hm_push(span, p);
		hm_heap_unlock(heap);
		if (now == heap)
			return true;
		heap = now;
	}
	return false;
}

/* A slot of a span that there is no batch for. */
void hm_free_foreign(struct hm_span *span, void *p)
{
	struct hm_slot *slot = p;

	if (free_as_user(span, p))
		return;
	if (have_batches())
		gather(span, slot);
	else
		hand_over(span, slot, slot, 1);
}

/* What free() does with a slot of another heap: mostly there is a batch for it. */
void hm_free_other(struct hm_span *span, void *p)
{
	struct batch *b = set_of(span);

	if (likely(b[0].span == span))
		add(&b[0], p);
	else if (b[1].span == span)
		add(&b[1], p);
	else
		hm_free_slow(p);
}
