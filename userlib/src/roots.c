// SPDX-License-Identifier: MIT
/*
 * Registered roots: ranges outside the heap that hold pointers into it.
 *
 * They are stored to through the barrier like objects, so they are scanned
 * once a cycle, after every thread shades.
 */
#include <errno.h>
#include <stdlib.h>

#include "pacer.h"
#include "work.h"

struct root {
	uintptr_t lo, hi;
	struct root *next;
};

/*
 * Protects roots.  Threads hold it in a critical section only, so that none is
 * ever stopped with it; the collector holds it while it waits for nobody.
 */
static pthread_mutex_t roots_lock = PTHREAD_MUTEX_INITIALIZER;
static struct root *roots;

__attribute__((no_sanitize("address", "thread"))) static void
shade_range(uintptr_t lo, uintptr_t hi, struct hs_chunk **chunk)
{
	for (uintptr_t *p = (uintptr_t *)lo; p < (uintptr_t *)hi; p++) {
		uintptr_t word = hs_load(p);

		if (word - hs.base < hs.size)
			hs_chunk_add(chunk, word);
	}
}

static void shade_pool(uintptr_t lo, uintptr_t hi, void *chunk)
{
	shade_range(lo, hi, chunk);
}

static void hand_over(struct hs_chunk *chunk)
{
	if (chunk)
		hs_work_push(chunk);
}

void hs_roots_scan(void)
{
	struct hs_chunk *chunk = NULL;

	pthread_mutex_lock(&roots_lock);
	for (struct root *r = roots; r; r = r->next) {
		shade_range(r->lo, r->hi, &chunk);
		hs_pacer_roots(r->hi - r->lo);
	}
	pthread_mutex_unlock(&roots_lock);
	hs_pools_each(shade_pool, &chunk);
	hs_specials_roots(shade_pool, &chunk);
	hand_over(chunk);
}

static void call_for_pool(uintptr_t lo, uintptr_t hi, void *fn)
{
	(*(void (**)(uintptr_t lo, uintptr_t hi))fn)(lo, hi);
}

void hs_roots_each(void (*fn)(uintptr_t lo, uintptr_t hi))
{
	for (struct root *r = roots; r; r = r->next)
		fn(r->lo, r->hi);
	hs_pools_each(call_for_pool, &fn);
	hs_specials_roots(call_for_pool, &fn);
}

/*
 * Shade what a range holds, when it becomes a root: it may have been stored by
 * plain stores; and when it is one no longer: the marker may not have come to
 * it yet, and what it held may live on where no barrier sees it.  In the same
 * critical section as the change of the list, so that no cycle starts between.
 */
static void shade_root(struct hs_thread *t, const struct root *r)
{
	if (hs_load(&hs.marking))
		shade_range(r->lo, r->hi, &t->shaded);
}

HS_EXPORT int hspan_root_add(void *start, size_t size)
{
	struct hs_thread *t;
	struct root *r;

	if (!start || !size || ((uintptr_t)start | size) & 7 || (uintptr_t)start + size < size)
		return -EINVAL;
	t = hs_thread_join();
	if (!t || hs.forked)
		return t ? -ENOTSUP : -errno;
	r = malloc(sizeof(*r));
	if (!r)
		return -ENOMEM;
	*r = (struct root){(uintptr_t)start, (uintptr_t)start + size, NULL};
	hs_enter();
	pthread_mutex_lock(&roots_lock);
	r->next = roots;
	roots = r;
	pthread_mutex_unlock(&roots_lock);
	shade_root(t, r);
	hs_leave();
	return 0;
}

static struct root *unlink_root(uintptr_t lo)
{
	struct root **link = &roots, *r;

	while ((r = *link) && r->lo != lo)
		link = &r->next;
	if (r)
		*link = r->next;
	return r;
}

HS_EXPORT int hspan_root_remove(void *start)
{
	struct hs_thread *t;
	struct root *r;

	if (!hs_load_acquire(&hs.ready))
		return -ENOENT;
	t = hs_thread_join();
	if (!t || hs.forked)
		return t ? -ENOTSUP : -errno;
	hs_enter();
	pthread_mutex_lock(&roots_lock);
	r = unlink_root((uintptr_t)start);
	pthread_mutex_unlock(&roots_lock);
	if (r)
		shade_root(t, r);
	hs_leave();
	free(r);
	return r ? 0 : -ENOENT;
}

/* The heap is gone: so are its roots. */
void hs_roots_reset(void)
{
	while (roots)
		free(unlink_root(roots->lo));
}
