// SPDX-License-Identifier: MIT
/*
 * fork(): all locks are taken, so that in the child nothing is in the middle of
 * a change but the heaps of other threads, which nobody uses there.
 *
 * The memory of the module is shared, and so would be the child's with its
 * parent's: so a copy is made that the child puts in its place.
 */
#include <pthread.h>
#include <sys/mman.h>

#include "trace.h"

static struct {
	char *map;
	uint32_t npages;
} copy;

static size_t copy_size(void)
{
	return (size_t)copy.npages << HSPAN_PAGE_SHIFT;
}

static void find_end(struct hm_span *span)
{
	if (span->page + span->npages > copy.npages)
		copy.npages = span->page + span->npages;
}

static void copy_span(struct hm_span *span)
{
	size_t size = (size_t)span->npages << HSPAN_PAGE_SHIFT;

	/* Another thread's may be half made: what it says is no more than a hint. */
	if (hm_load(&span->heap) != &hm_large) {
		size_t used = (size_t)hm_load(&span->nr_slots) * hm_load(&span->slot_size) -
			      (size_t)hm_load(&span->fresh) * hm_load(&span->slot_size);

		size = used < size ? used : size;
	}
	memcpy(copy.map + (span->base - (char *)hm.base), span->base, size);
}

static void make_copy(void)
{
	copy.npages = 0;
	hm_span_each(find_end);
	copy.map = copy.npages ? hs_map(copy_size()) : NULL;
	if (copy.map)
		hm_span_each(copy_span);
}

static void use_copy(void)
{
	if (!copy.map && copy.npages)
		hs_die("libhugespan-malloc: no memory for the child of a fork\n");
	hs_backend_module.close();
	if (mmap((void *)hm.base, hm.size, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) == MAP_FAILED ||
	    (copy.map && mremap(copy.map, copy_size(), copy_size(), MREMAP_MAYMOVE | MREMAP_FIXED,
				(void *)hm.base) == MAP_FAILED) ||
	    !hm_pages_inherit(copy.npages))
		hs_die("libhugespan-malloc: cannot be used after fork\n");
}

static void prepare(void)
{
	hm_purge_before_fork();
	hm_heaps_lock();
	hm_huge_lock();
	hm_span_lock();
	hm_pages_lock();
	hm_trace_lock();
	if (!hm_pages_split())
		make_copy();
}

static void unlock(bool child)
{
	hm_trace_unlock();
	hm_pages_unlock();
	hm_span_unlock();
	hm_huge_unlock();
	hm_heaps_unlock();
	hm_purge_after_fork(child);
}

static void in_parent(void)
{
	if (!hm_pages_split() && copy.map)
		munmap(copy.map, copy_size());
	unlock(false);
}

static void in_child(void)
{
	if (!hm_pages_split())
		use_copy();
	unlock(true);
}

void hm_fork_init(void)
{
	pthread_atfork(prepare, in_parent, in_child);
}
