// SPDX-License-Identifier: MIT
/*
 * A collection, as far as it is more than the heap's: what is done around the
 * stop, in the child and after it, in libgc's order.
 *
 *	short links to what is not marked are cleared
 *	what finalizable objects lead to is marked, then they are
 *	links in what is still not marked are forgotten
 *	long links to what is still not marked are cleared
 *
 * The child finds all that out, and says so in the tables' verdicts; it is done
 * here when the child is gone, before the sweep.
 */
#include "hg.h"
#include "work.h"

#define STOP_NS 3000000 /* about what it costs to copy a small process */

struct hs_marker *hg_marker; /* for callbacks that are not told */
static GC_on_collection_event_proc on_event;

/* The world's own roots are no business of a callback here. */
static void push_nothing(void)
{
}

HS_EXPORT GC_push_other_roots_proc GC_push_other_roots = push_nothing;

bool hg_is_white(uintptr_t p)
{
	struct hs_object o;

	return hs_find(p, &o) && !hs_is_marked(&o);
}

__attribute__((no_sanitize("address", "thread"))) void hg_mark_range(struct hs_marker *m,
								     uintptr_t lo, uintptr_t hi)
{
	for (lo = (lo + 7) & ~7ul; lo + 8 <= hi; lo += 8) {
		uintptr_t word = *(const volatile uintptr_t *)lo;

		if (hs_in_heap(word))
			hs_chunk_add(&m->chunk, word);
	}
}

static void tell(GC_EventType event)
{
	GC_on_collection_event_proc fn = hs_load(&on_event);

	if (fn)
		fn(event);
}

/* Around the stop ---------------------------------------------------------- */

static bool begin(void)
{
	pthread_mutex_lock(&hg.alloc_lock);
	if (hs_load(&hg.dont_gc) > 0) {
		pthread_mutex_unlock(&hg.alloc_lock);
		return false;
	}
	tell(GC_EVENT_START);
	return true;
}

/* The loader's lock is taken while threads still run: one of them may have it. */
static void freeze(void)
{
	hg_segments_gather();
	tell(GC_EVENT_PRE_STOP_WORLD);
	hg_lock();
	hg.image++;
}

static void thaw(void)
{
	hg_unlock();
	tell(GC_EVENT_POST_START_WORLD);
}

/* In the child ------------------------------------------------------------- */

static void mark_objects(struct hs_marker *m, const struct hg_table *t)
{
	for (uint32_t i = 0; i < t->used; i++)
		if (t->entry[i].key && hs_in_heap(t->entry[i].obj))
			hs_chunk_add(&m->chunk, t->entry[i].obj);
}

static void mark_roots(struct hs_marker *m)
{
	hg_marker = m;
	if (hg.own_scans)
		m->spans = NULL; /* they scan spans without a look at each object */
	hg_roots_mark(m);
	mark_objects(m, &hg.uncollectable);
	mark_objects(m, &hg.threads);
	hg_finalizers_mark_data(m);
	GC_push_other_roots();
}

static void mark_more(struct hs_marker *m)
{
	hg_links_judge(&hg.short_links);
	hg_finalizers_judge(m);
	hg_links_judge_dangling(&hg.short_links);
	hg_links_judge(&hg.long_links);
	hg_links_judge_dangling(&hg.long_links);
	hg_marker = NULL;
}

/* When it is gone ---------------------------------------------------------- */

static void end(void)
{
	hg_lock();
	hg_links_apply(&hg.short_links);
	hg_links_apply(&hg.long_links);
	hg_finalizers_apply();
	hg_unlock();
	hs_set(&hg.gc_no, hg.gc_no + 1);
	GC_gc_no = hg.gc_no;
	__atomic_fetch_or(&hg.attention, HG_CYCLE_ENDED, __ATOMIC_RELAXED);
	tell(GC_EVENT_END);
	pthread_mutex_unlock(&hg.alloc_lock);
}

struct hs_hooks hg_hooks = {
	.begin = begin,
	.freeze = freeze,
	.settled = hg_segments_settled,
	.thaw = thaw,
	.mark_roots = mark_roots,
	.mark_more = mark_more,
	.scan = hg_kind_scan,
	.end = end,
	.stop_ns = STOP_NS,
	/* As with libgc; a program may have an alternate stack that is good for nothing else. */
	.on_thread_stack = true,
};

/* What callbacks may call -------------------------------------------------- */

void GC_push_all(void *bottom, void *top)
{
	if (hg_marker)
		hg_mark_range(hg_marker, (uintptr_t)bottom, (uintptr_t)top);
}

void GC_push_all_eager(void *bottom, void *top)
{
	GC_push_all(bottom, top);
}

void GC_push_conditional(void *bottom, void *top, int all)
{
	(void)all;
	GC_push_all(bottom, top);
}

void GC_push_finalizer_structures(void)
{
	if (hg_marker)
		hg_finalizers_mark_data(hg_marker);
}

struct GC_ms_entry *GC_mark_and_push(void *obj, struct GC_ms_entry *stack_ptr,
				     struct GC_ms_entry *stack_limit, void **src)
{
	(void)stack_limit;
	(void)src;
	if (hg_marker && hs_in_heap((uintptr_t)obj))
		hs_chunk_add(&hg_marker->chunk, (uintptr_t)obj);
	return stack_ptr;
}

/* For a callback that has the object scanned otherwise. */
void GC_set_mark_bit(const void *p)
{
	struct hs_object o;

	if (hg_marker && hs_find((uintptr_t)p, &o) && hs_is_allocated(&o))
		hs_mark(&o);
}

/* Between collections what there is counts as marked. */
int GC_is_marked(const void *p)
{
	struct hs_object o;

	if (!hs_find((uintptr_t)p, &o))
		return 0;
	return hg_marker ? hs_is_marked(&o) : hs_is_allocated(&o);
}

void GC_set_push_other_roots(GC_push_other_roots_proc fn)
{
	hs_set(&GC_push_other_roots, fn);
}

GC_push_other_roots_proc GC_get_push_other_roots(void)
{
	return hs_load(&GC_push_other_roots);
}

void GC_set_on_collection_event(GC_on_collection_event_proc fn)
{
	hs_set(&on_event, fn);
}

GC_on_collection_event_proc GC_get_on_collection_event(void)
{
	return hs_load(&on_event);
}
