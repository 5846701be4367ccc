// SPDX-License-Identifier: MIT
/*
 * Finalizers: which objects have one, which are due, and who calls them.
 *
 * The orders are libgc's.  Before anything is due, what objects with NORMAL,
 * IGNORE_SELF and UNREACHABLE ones lead to is marked: so of two such objects, one
 * of which points to the other, only the first is due.  NO_ORDER ones are due
 * wherever they are.  What is due is marked with all it leads to, but for
 * UNREACHABLE ones, which must not even be reached from there.
 *
 * Java's rules hold always (GC_set_java_finalization() is remembered, no more):
 * with libgc's others what a NO_ORDER object leads to may be gone when its
 * finalizer is called.
 */
#include "hg.h"
#include "work.h"

static struct {
	uint32_t head, tail; /* of those that are due, the first first */
	uint64_t notified;
} due = {HG_NONE, HG_NONE, 0};

static __thread bool attending __attribute__((tls_model("initial-exec")));

static GC_await_finalize_proc on_due;
static GC_start_callback_proc on_start;

static void put_due(struct hg_entry *e)
{
	uint32_t i = (uint32_t)(e - hg.finalizers.entry);

	hg_table_unlist(&hg.finalizers, e);
	e->queued = true;
	e->next = HG_NONE;
	if (due.head == HG_NONE)
		hs_set(&due.head, i);
	else
		hg.finalizers.entry[due.tail].next = i;
	due.tail = i;
}

static bool take_due(struct hg_entry *copy)
{
	struct hg_entry *e = NULL;

	hg_lock();
	if (due.head != HG_NONE) {
		e = &hg.finalizers.entry[due.head];
		*copy = *e;
		hs_set(&due.head, e->next);
		hg_table_release(&hg.finalizers, e);
	}
	hg_unlock();
	return e != NULL;
}

/* Registering -------------------------------------------------------------- */

/* What is there is told in @old; NULL as @fn takes it away. */
static bool set(uintptr_t obj, GC_finalization_proc fn, void *data, enum hg_order order,
		struct hg_entry *old)
{
	struct hg_entry *e = hg_table_find(&hg.finalizers, obj);

	*old = e ? *e : (struct hg_entry){0};
	if (!fn) {
		if (e)
			hg_table_remove(&hg.finalizers, e);
		return true;
	}
	if (!e)
		e = hg_table_add(&hg.finalizers, obj);
	if (!e)
		return false;
	e->obj = obj;
	e->fn = fn;
	e->data = data;
	e->order = (uint8_t)order;
	e->born = hg.image;
	return true;
}

static void give(GC_finalization_proc *fn, void **data, const struct hg_entry *e)
{
	if (fn)
		*fn = e->fn;
	if (data)
		*data = e->data;
}

static void set_finalizer(void *obj, GC_finalization_proc fn, void *data, enum hg_order order,
			  GC_finalization_proc *old_fn, void **old_data)
{
	struct hg_entry old = {0};
	bool done = true;

	if (hg_ready() && !hs.forked && hs_in_heap((uintptr_t)obj)) {
		hg_lock();
		done = set((uintptr_t)obj, fn, data, order, &old);
		hg_unlock();
	}
	if (done)
		give(old_fn, old_data, &old);
	else
		hg_out_of_memory(sizeof(struct hg_entry));
}

void GC_register_finalizer(void *obj, GC_finalization_proc fn, void *data,
			   GC_finalization_proc *old_fn, void **old_data)
{
	set_finalizer(obj, fn, data, HG_NORMAL, old_fn, old_data);
}

void GC_register_finalizer_ignore_self(void *obj, GC_finalization_proc fn, void *data,
				       GC_finalization_proc *old_fn, void **old_data)
{
	set_finalizer(obj, fn, data, HG_IGNORE_SELF, old_fn, old_data);
}

void GC_register_finalizer_no_order(void *obj, GC_finalization_proc fn, void *data,
				    GC_finalization_proc *old_fn, void **old_data)
{
	set_finalizer(obj, fn, data, HG_NO_ORDER, old_fn, old_data);
}

void GC_register_finalizer_unreachable(void *obj, GC_finalization_proc fn, void *data,
				       GC_finalization_proc *old_fn, void **old_data)
{
	set_finalizer(obj, fn, data, HG_UNREACHABLE, old_fn, old_data);
}

/* In the child ------------------------------------------------------------- */

static void add_word(struct hs_marker *m, uintptr_t word)
{
	if (hs_in_heap(word))
		hs_chunk_add(&m->chunk, word);
}

/* What finalizers are given, and the objects that they are about to be called for. */
void hg_finalizers_mark_data(struct hs_marker *m)
{
	for (uint32_t i = 0; i < hg.finalizers.used; i++) {
		const struct hg_entry *e = &hg.finalizers.entry[i];

		if (!e->key)
			continue;
		add_word(m, (uintptr_t)e->data);
		if (e->queued)
			add_word(m, e->obj);
	}
}

static void drain(struct hs_marker *m)
{
	while (!hs_mark_drain(m, 0))
		;
}

static bool is_due(const struct hg_entry *e)
{
	return e->key && !e->queued && hg_is_white(e->obj);
}

static void mark_what_they_lead_to(struct hs_marker *m)
{
	for (uint32_t i = 0; i < hg.finalizers.used; i++) {
		const struct hg_entry *e = &hg.finalizers.entry[i];

		if (!is_due(e) || e->order == HG_NO_ORDER)
			continue;
		hg_scan_contents(m, e->obj, e->order == HG_IGNORE_SELF);
		drain(m);
	}
}

/* Those of @unreachable order, or all others. */
static void judge(struct hs_marker *m, bool unreachable)
{
	for (uint32_t i = 0; i < hg.finalizers.used; i++) {
		const struct hg_entry *e = &hg.finalizers.entry[i];

		if (is_due(e) && (e->order == HG_UNREACHABLE) == unreachable)
			hg_table_judge(&hg.finalizers, e, HG_QUEUE);
	}
	for (uint32_t i = 0; i < hg.finalizers.used; i++) {
		const struct hg_entry *e = &hg.finalizers.entry[i];

		if (is_due(e) && (e->order == HG_UNREACHABLE) == unreachable)
			add_word(m, e->obj);
	}
	drain(m);
}

void hg_finalizers_judge(struct hs_marker *m)
{
	mark_what_they_lead_to(m);
	judge(m, false);
	judge(m, true);
}

/* When it is gone ---------------------------------------------------------- */

void hg_finalizers_apply(void)
{
	GC_await_finalize_proc fn = hs_load(&on_due);

	for (uint32_t i = 0; i < hg.finalizers.used; i++) {
		struct hg_entry *e = &hg.finalizers.entry[i];

		if (hg_table_verdict(&hg.finalizers, e) != HG_QUEUE)
			continue;
		put_due(e);
		if (fn)
			fn((void *)e->obj);
	}
	if (due.head != HG_NONE)
		__atomic_fetch_or(&hg.attention, HG_FINALIZERS, __ATOMIC_RELAXED);
}

int GC_should_invoke_finalizers(void)
{
	return hs_load(&due.head) != HG_NONE;
}

int GC_invoke_finalizers(void)
{
	struct hg_entry e;
	int n = 0;

	for (; GC_should_invoke_finalizers() && !hs.forked && take_due(&e); n++)
		e.fn((void *)e.obj, e.data);
	return n;
}

/* All that is registered, due or not: for the end of the program. */
void GC_finalize_all(void)
{
	hg_lock();
	for (uint32_t i = 0; i < hg.finalizers.used; i++) {
		struct hg_entry *e = &hg.finalizers.entry[i];

		if (e->key && !e->queued)
			put_due(e);
	}
	hg_unlock();
	GC_invoke_finalizers();
}

/* Once a collection; the first thread that allocates after it does it. */
static void notify(void)
{
	GC_finalizer_notifier_proc fn = hs_load(&GC_finalizer_notifier);
	uint64_t gc_no = hs_load(&hg.gc_no);

	if (!GC_finalize_on_demand)
		GC_invoke_finalizers();
	else if (fn && __atomic_exchange_n(&due.notified, gc_no, __ATOMIC_RELAXED) != gc_no)
		fn();
}

/*
 * What a collection leaves for the program's threads to do.  In a finalizer it
 * waits: that one may be called for a long list, each of which allocates.
 */
void hg_attend(void)
{
	GC_start_callback_proc fn = hs_load(&on_start);
	int what;

	if (attending)
		return;
	what = __atomic_fetch_and(&hg.attention, ~(HG_CYCLE_ENDED | HG_FINALIZERS),
				  __ATOMIC_RELAXED);
	attending = true;
	if (what & HG_CYCLE_ENDED && fn)
		fn();
	if (GC_should_invoke_finalizers())
		notify();
	attending = false;
}

void GC_set_start_callback(GC_start_callback_proc fn)
{
	hs_set(&on_start, fn);
}

GC_start_callback_proc GC_get_start_callback(void)
{
	return hs_load(&on_start);
}

void GC_set_await_finalize_proc(GC_await_finalize_proc fn)
{
	hs_set(&on_due, fn);
}

GC_await_finalize_proc GC_get_await_finalize_proc(void)
{
	return hs_load(&on_due);
}
