// SPDX-License-Identifier: MIT
/*
 * The child of a fork(): it has no collector, and its heap is a copy whose bits
 * are its parent's.  So it leaves that one as it is and takes what it needs from
 * memory of its own, which is given back when it ends or becomes another program.
 */
#include <pthread.h>

#include "hg.h"

#define REGION	    (16ul << 30) /* of addresses */
#define CHILD_LEAST (64ul << 20)

/* What stands before each object. */
struct head {
	size_t size;
	size_t reserved;
};

static struct {
	pthread_mutex_t lock;
	uintptr_t at, lo, hi;
} region = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void make_region(void)
{
	size_t size = REGION;

	while (!region.lo && size >= CHILD_LEAST) {
		region.lo = (uintptr_t)hs_map(size);
		region.hi = region.lo + size;
		size /= 2;
	}
	region.at = region.lo;
}

/* Zeroed, as new memory is. */
void *hg_fork_alloc(size_t size)
{
	size_t bytes = hg_round(size, 1 + sizeof(struct head));
	struct head *h = NULL;

	pthread_mutex_lock(&region.lock);
	if (!region.lo)
		make_region();
	if (region.lo && size < REGION && bytes <= region.hi - region.at) {
		h = (struct head *)region.at;
		region.at += bytes;
	}
	pthread_mutex_unlock(&region.lock);
	if (!h)
		return hg_out_of_memory(size);
	h->size = bytes - sizeof(*h);
	return h + 1;
}

/*
 * A large object's own size is in its bits, which its parent may use anew: what
 * pages it has is told by the page map, which is ours.
 */
static size_t large_size(const struct hs_object *o)
{
	uint32_t entry = hs.page_map[o->page], end = o->page;

	while (end < hs.size >> HSPAN_PAGE_SHIFT && hs.page_map[end] == entry)
		end++;
	return (size_t)(end - o->page) << HSPAN_PAGE_SHIFT;
}

/* Bytes of an object of the child's, or of one it had from its parent. */
bool hg_fork_size(const void *p, size_t *size)
{
	struct hs_object o;

	if ((uintptr_t)p - region.lo < region.at - region.lo)
		*size = ((const struct head *)p)[-1].size;
	else if (!hs_find((uintptr_t)p, &o) || o.base != (uintptr_t)p)
		return false;
	else
		*size = o.span_class < 2 ? large_size(&o) : hspan_class_size[o.span_class >> 1];
	return true;
}

static void prepare(void)
{
	hg_lock();
}

static void in_parent(void)
{
	hg_unlock();
}

/* The collector may have had the other lock, and is not here to give it back. */
static void in_child(void)
{
	hg_unlock();
	pthread_mutex_init(&hg.alloc_lock, NULL);
}

void hg_fork_init(void)
{
	pthread_atfork(prepare, in_parent, in_child);
}

/* By the above, whatever the program asks for. */
void GC_set_handle_fork(int value)
{
	(void)value;
}

void GC_atfork_prepare(void)
{
}

void GC_atfork_parent(void)
{
}

void GC_atfork_child(void)
{
}
