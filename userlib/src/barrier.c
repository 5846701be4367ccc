// SPDX-License-Identifier: MIT
/*
 * The write barrier: every way to store a pointer into the heap or a root.
 *
 * Hybrid: while a mark phase runs it shades the pointer that is overwritten
 * and the one that is stored.  Shading here only records the word; the marker
 * finds out whether it is an object.  The store and its record are one
 * critical section: a thread that acks a handshake has no store half done.
 *
 * What is overwritten is learnt from the store itself, an exchange, and never
 * read before it.  Another thread that does not shade yet may store in between;
 * then what it stored would be overwritten with nobody having noted it.
 */
#include "bits.h"
#include "work.h"

static inline void record(struct hs_thread *t, uintptr_t word)
{
	if (hs_in_heap(word))
		hs_chunk_add(&t->shaded, word);
}

/* Keep only what is still white; the markers have no use for the rest. */
static void drop_marked(struct hs_chunk *chunk)
{
	uint32_t kept = 0;
	struct hs_object o;

	for (uint32_t i = 0; i < chunk->count; i++) {
		if (hs_find(chunk->entry[i], &o) && hs_is_allocated(&o) && !hs_is_marked(&o))
			chunk->entry[kept++] = chunk->entry[i];
	}
	chunk->count = kept;
}

/* Pass on what the barrier recorded; true when some of it was white. */
bool hs_barrier_flush(struct hs_thread *t)
{
	struct hs_chunk *chunk = t->shaded;

	if (!chunk)
		return false;
	if (hs_collector_marks()) /* before that, mark bits are not this cycle's */
		drop_marked(chunk);
	if (!chunk->count)
		return false;
	t->shaded = NULL;
	hs_work_push(chunk);
	return true;
}

void hs_barrier_discard(struct hs_thread *t)
{
	if (t->shaded)
		hs_chunk_free(t->shaded);
	t->shaded = NULL;
}

/* In a critical section, with the barrier on: or on no longer, look. */
static __attribute__((noinline)) void shade(struct hs_thread *t, uintptr_t old, uintptr_t new)
{
	if (!hs_load(&hs.marking)) {
		t->barrier = false;
		hs_barrier_discard(t);
		return;
	}
	if (t->shaded && t->shaded->count + 2 > HS_CHUNK_ENTRIES) {
		hs_begin_slow();
		hs_barrier_flush(t);
		hs_end_slow();
	}
	if (likely(!(hs.config.debug & HS_DEBUG_BREAK_DELETION)))
		record(t, old);
	if (likely(!(hs.config.debug & HS_DEBUG_BREAK_INSERTION)))
		record(t, new);
}

/* The thread, in a critical section; one that stores for the first time joins. */
static inline struct hs_thread *begin(void)
{
	struct hs_thread *t = hs_tls.self;

	if (unlikely(t == &hs_nobody) && !hs.forked) {
		t = hs_thread_join();
		if (!t)
			hs_die("hugespan: a pointer is stored by a thread that cannot take part\n");
	}
	hs_enter();
	return t;
}

/* For what is stored or given up elsewhere, in the same critical section. */
void hs_barrier_shade(struct hs_thread *t, uintptr_t old, uintptr_t new)
{
	if (t->barrier)
		shade(t, old, new);
}

static inline __attribute__((always_inline)) void store(struct hs_thread *t, void **slot,
							void *value, int order)
{
	if (unlikely(t->barrier))
		shade(t, (uintptr_t)__atomic_exchange_n(slot, value, __ATOMIC_RELEASE),
		      (uintptr_t)value);
	else
		__atomic_store_n(slot, value, order);
}

HS_EXPORT void hspan_store(void *slot, void *value)
{
	struct hs_thread *t = begin();

	store(t, slot, value, __ATOMIC_RELAXED);
	hs_leave();
}

HS_EXPORT void hspan_store_release(void *slot, void *value)
{
	struct hs_thread *t = begin();

	store(t, slot, value, __ATOMIC_RELEASE);
	hs_leave();
}

HS_EXPORT void *hspan_exchange(void *slot, void *value)
{
	struct hs_thread *t = begin();
	void *old = __atomic_exchange_n((void **)slot, value, __ATOMIC_ACQ_REL);

	if (unlikely(t->barrier))
		shade(t, (uintptr_t)old, (uintptr_t)value);
	hs_leave();
	return old;
}

HS_EXPORT int hspan_cas(void *slot, void *expected, void *value)
{
	struct hs_thread *t = begin();
	void *found = expected;
	int done = __atomic_compare_exchange_n((void **)slot, &found, value, 0, __ATOMIC_ACQ_REL,
					       __ATOMIC_ACQUIRE);

	if (done && unlikely(t->barrier))
		shade(t, (uintptr_t)expected, (uintptr_t)value);
	hs_leave();
	return done;
}

/*
 * Long copies are cut into pieces, each a critical section of its own, so that
 * a handshake waits for a piece at the most.
 */
#define COPY_WORDS 256

static void copy_piece(void **dst, void *const *src, size_t n, bool backwards)
{
	struct hs_thread *t = begin();

	for (size_t k = 0; k < n; k++) {
		size_t i = backwards ? n - 1 - k : k;
		void *value = src ? hs_load(&src[i]) : NULL;

		store(t, &dst[i], value, __ATOMIC_RELAXED);
	}
	hs_leave();
}

static void copy_words(void **dst, void *const *src, size_t n)
{
	bool backwards = src && dst > src && dst < src + n;

	for (size_t done = 0; done < n;) {
		size_t piece = n - done < COPY_WORDS ? n - done : COPY_WORDS;
		size_t at = backwards ? n - done - piece : done;

		copy_piece(dst + at, src ? src + at : NULL, piece, backwards);
		done += piece;
	}
}

HS_EXPORT void hspan_copy(void *dst, const void *src, size_t size)
{
	copy_words(dst, (void *const *)src, size / sizeof(void *));
}

HS_EXPORT void hspan_clear(void *dst, size_t size)
{
	copy_words(dst, NULL, size / sizeof(void *));
}
