// SPDX-License-Identifier: MIT
/*
 * Registered roots: ranges outside the heap that hold pointers into it.
 *
 * They are stored to through the barrier like objects, so they are scanned
 * once a cycle, after every thread shades.
 */
#include <errno.h>
#include <stdlib.h>

#include "work.h"

struct root {
	uintptr_t lo, hi;
	struct root *next;
};

static pthread_mutex_t roots_lock = PTHREAD_MUTEX_INITIALIZER; /* protects roots */
static struct root *roots;

__attribute__((no_sanitize("address", "thread")))
static void shade_range(uintptr_t lo, uintptr_t hi, struct hs_chunk **chunk)
{
	for (uintptr_t *p = (uintptr_t *)lo; p < (uintptr_t *)hi; p++) {
		uintptr_t word = hs_load(p);

		if (word - hs.base < hs.size)
			hs_chunk_add(chunk, word);
	}
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
	for (struct root *r = roots; r; r = r->next)
		shade_range(r->lo, r->hi, &chunk);
	pthread_mutex_unlock(&roots_lock);
	hand_over(chunk);
}

void hs_roots_each(void (*fn)(uintptr_t lo, uintptr_t hi))
{
	for (struct root *r = roots; r; r = r->next)
		fn(r->lo, r->hi);
}

/*
 * Shade what a range holds, when it becomes a root: it may have been stored
 * by plain stores; and when it is one no longer: the marker may not have come
 * to it yet, and what it held may live on where no barrier sees it.
 */
static void shade_root(struct hs_thread *t, const struct root *r)
{
	hs_enter();
	if (hs_load(&hs.marking))
		shade_range(r->lo, r->hi, &t->shaded);
	hs_leave();
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
	*r = (struct root){ (uintptr_t)start, (uintptr_t)start + size, NULL };
	pthread_mutex_lock(&roots_lock);
	r->next = roots;
	roots = r;
	pthread_mutex_unlock(&roots_lock);
	shade_root(t, r);
	return 0;
}

static struct root **find_root(uintptr_t lo)
{
	struct root **link;

	for (link = &roots; *link; link = &(*link)->next)
		if ((*link)->lo == lo)
			return link;
	return NULL;
}

/* Take a root off the list, if it is there and @unlink; a copy of it in @copy. */
static bool look_up_root(uintptr_t lo, struct root *copy, bool unlink)
{
	struct root **link, *r = NULL;

	pthread_mutex_lock(&roots_lock);
	link = find_root(lo);
	if (link) {
		r = *link;
		*copy = *r;
		if (unlink)
			*link = r->next;
	}
	pthread_mutex_unlock(&roots_lock);
	if (unlink)
		free(r);
	return link;
}

HS_EXPORT int hspan_root_remove(void *start)
{
	struct hs_thread *t;
	struct root r;

	if (!hs_load_acquire(&hs.ready))
		return -ENOENT;
	t = hs_thread_join();
	if (!t || hs.forked)
		return t ? -ENOTSUP : -errno;
	if (!look_up_root((uintptr_t)start, &r, false))
		return -ENOENT;
	shade_root(t, &r); /* while the marker may still come to it itself */
	return look_up_root((uintptr_t)start, &r, true) ? 0 : -ENOENT;
}

/* The heap is gone: so are its roots. */
void hs_roots_reset(void)
{
	struct root r;

	while (roots)
		look_up_root(roots->lo, &r, true);
}
