// SPDX-License-Identifier: MIT
/*
 * Heaps and their users: a thread's heap from its first allocation to its end,
 * heaps whose thread has ended, and those that threads share.
 */
#include <pthread.h>

#include "hm.h"

#define MAX_SHARED  8 /* a power of two */
#define STEAL_TRIES 4 /* idle heaps to look at for a span */

struct hm_heap hm_nobody = {
	.direct = {[0 ... HM_NR_DIRECT - 1] = &hm_none},
	.bin = {[0 ... HM_NR_CLASSES - 1] = {.first = &hm_none}},
};
struct hm_heap hm_large;

__thread struct hm_heap *hm_self __attribute__((tls_model("initial-exec"))) = &hm_nobody;

/* The thread's heap; not the same as hm_self where every call is slow. */
static __thread struct hm_heap *mine __attribute__((tls_model("initial-exec")));
static __thread bool ended __attribute__((tls_model("initial-exec")));
static __thread uint32_t shared_nr __attribute__((tls_model("initial-exec")));

static spinlock_t lock; /* protects the next two */
static struct hm_heap *idle;
static uint32_t nr_idle;

static uint32_t nr_heaps;

static struct hm_heap shared[MAX_SHARED];
static uint32_t nr_shared;
static pthread_key_t key;

void hm_heaps_lock(void)
{
	for (uint32_t i = 0; i < nr_shared; i++)
		spin_lock(&shared[i].lock);
	spin_lock(&lock);
}

void hm_heaps_unlock(void)
{
	spin_unlock(&lock);
	for (uint32_t i = 0; i < nr_shared; i++)
		spin_unlock(&shared[i].lock);
}

/* An idle heap, with whatever spans it has, and its lock; or NULL. */
static struct hm_heap *take_idle(void)
{
	struct hm_heap *heap, **at;

	if (!hm_load(&nr_idle))
		return NULL;
	spin_lock(&lock);
	for (at = &idle; (heap = *at); at = &heap->next_idle)
		if (hm_trylock(&heap->lock))
			break;
	if (heap) {
		*at = heap->next_idle;
		hm_set(&nr_idle, nr_idle - 1);
	}
	spin_unlock(&lock);
	return heap;
}

/* Memory for threads, zeroed; under the lock, for fork. */
void *hm_meta_alloc(size_t size)
{
	void *p;

	spin_lock(&lock);
	p = hspan_shim_alloc(size);
	spin_unlock(&lock);
	return p;
}

void hm_meta_free(void *p)
{
	spin_lock(&lock);
	hspan_shim_free(p);
	spin_unlock(&lock);
}

static struct hm_heap *new_heap(void)
{
	struct hm_heap *heap = hm_meta_alloc(sizeof(*heap));

	if (!heap)
		return NULL;
	hm_heap_init(heap, !__atomic_fetch_add(&nr_heaps, 1, __ATOMIC_RELAXED));
	spin_lock(&heap->lock);
	return heap;
}

/* The thread ends; what it still allocates is from a shared heap. */
static void give_up(void *arg)
{
	struct hm_heap *heap = arg;

	hm_batch_end();
	hm_self = &hm_nobody;
	mine = NULL;
	ended = true;
	hm_heap_trim(heap);
	spin_lock(&lock);
	heap->next_idle = idle;
	idle = heap;
	hm_set(&nr_idle, nr_idle + 1);
	spin_unlock(&lock);
	hm_heap_unlock(heap);
}

/* The heap of this thread, which gets one if it can; NULL at its end. */
struct hm_heap *hm_heap_mine(void)
{
	struct hm_heap *heap = mine;

	if (likely(heap))
		return heap;
	if (ended || !hm_init())
		return NULL;
	heap = take_idle();
	if (!heap)
		heap = new_heap();
	if (!heap)
		return NULL;
	mine = heap;
	if (!hm.slow)
		hm_self = heap;
	pthread_setspecific(key, heap);
	return heap;
}

struct hm_heap *hm_heap_shared(void)
{
	static uint32_t next;

	if (unlikely(!shared_nr))
		shared_nr = 1 + __atomic_fetch_add(&next, 1, __ATOMIC_RELAXED) % nr_shared;
	return &shared[shared_nr - 1];
}

/* The first span of the bin of an idle heap, if it can be had at once. */
static struct hm_span *steal_from(struct hm_heap *from, struct hm_heap *to, unsigned int size_class)
{
	struct hm_span *span;

	if (!hm_trylock(&from->lock))
		return NULL;
	span = from->bin[size_class].first;
	if (span != &hm_none) {
		hm_bin_remove(from, span);
		from->bin[size_class].pages -= span->npages;
		hm_set_release(&span->heap, to);
	} else {
		span = NULL;
	}
	hm_heap_unlock(from);
	return span;
}

/* A span with free slots of a heap that no thread uses, now the caller's. */
struct hm_span *hm_heap_steal(struct hm_heap *heap, unsigned int size_class)
{
	struct hm_span *span = NULL;
	struct hm_heap *from;
	unsigned int tries = 0;

	if (likely(!hm_load(&nr_idle)))
		return NULL;
	spin_lock(&lock);
	for (from = idle; from && !span && tries < STEAL_TRIES; from = from->next_idle, tries++)
		span = steal_from(from, heap, size_class);
	spin_unlock(&lock);
	return span;
}

/* Give back what idle and shared heaps do not use; for malloc_trim(). */
void hm_heaps_trim(void)
{
	struct hm_heap *heap;

	for (uint32_t i = 0; i < nr_shared; i++) {
		spin_lock(&shared[i].lock);
		hm_heap_trim(&shared[i]);
		hm_heap_unlock(&shared[i]);
	}
	spin_lock(&lock);
	for (heap = idle; heap; heap = heap->next_idle) {
		if (!hm_trylock(&heap->lock))
			continue;
		hm_heap_trim(heap);
		hm_heap_unlock(heap);
	}
	spin_unlock(&lock);
	if (mine)
		hm_heap_trim(mine);
}

uint32_t hm_heaps_count(void)
{
	return hm_load(&nr_heaps);
}

/*
 * Other threads are not in the child of a fork: their heaps stay locked for
 * ever, as nobody knows in the middle of what they were.
 */
bool hm_thread_init(void)
{
	nr_shared = 1;
	while (nr_shared < MAX_SHARED && nr_shared * 2 < hspan_shim_nr_cpus())
		nr_shared *= 2;
	for (uint32_t i = 0; i < nr_shared; i++)
		hm_heap_init(&shared[i], true);
	return !pthread_key_create(&key, give_up);
}
