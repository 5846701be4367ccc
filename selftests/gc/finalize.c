// SPDX-License-Identifier: MIT
/* Finalizers in all orders, and links that disappear. */
#include "api.h"

/* Finalizers --------------------------------------------------------------- */

typedef void register_fn(void *obj, GC_finalization_proc fn, void *data,
			 GC_finalization_proc *old_fn, void **old_data);

/* Pairs of which one points to the other, or objects that point to themselves. */
static void *make_pairs(void *arg)
{
	register_fn *set = *(register_fn **)arg;

	for (int i = 0; i < N / 2; i++) {
		void **a = GC_malloc(48), **b = GC_malloc(48);

		*a = b;
		set(a, count, NULL, NULL, NULL);
		set(b, count, NULL, NULL, NULL);
	}
	return NULL;
}

static void *make_selves(void *arg)
{
	register_fn *set = *(register_fn **)arg;

	for (int i = 0; i < N; i++) {
		void **a = GC_malloc(48);

		*a = a;
		set(a, count, NULL, NULL, NULL);
	}
	return NULL;
}

void GC_CALLBACK quiet(char *message, GC_word arg)
{
	(void)message;
	(void)arg;
}

static void one_order(const char *name, register_fn *set)
{
	finalized = 0;
	elsewhere(make_pairs, &set);
	GC_gcollect();
	GC_invoke_finalizers();
	printf("%s: some after one: %d, ", name, finalized >= N / 2 - N / 20);
	printf("all after one: %d, ", MOST(finalized));
	collect();
	GC_invoke_finalizers();
	printf("after more: %d, ", MOST(finalized));
	finalized = 0;
	elsewhere(make_selves, &set);
	collect();
	GC_invoke_finalizers();
	printf("of themselves: %d, none: %d\n", MOST(finalized), FEW(finalized));
}

void orders(void)
{
	GC_set_warn_proc(quiet);
	GC_set_finalize_on_demand(1);
	one_order("normal", GC_register_finalizer);
	one_order("ignore self", GC_register_finalizer_ignore_self);
	one_order("no order", GC_register_finalizer_no_order);
}

static void *make_unreachable(void *arg)
{
	(void)arg;
	for (int i = 0; i < N; i++) {
		void **a = GC_malloc(48), **b = GC_malloc(48);

		*a = b;
		GC_register_finalizer_no_order(a, count, NULL, NULL, NULL);
		GC_register_finalizer_unreachable(b, count, NULL, NULL, NULL);
	}
	return NULL;
}

void unreachable(void)
{
	GC_set_finalize_on_demand(1);
	elsewhere(make_unreachable, NULL);
	GC_gcollect();
	GC_invoke_finalizers();
	SAY(MOST(finalized) && finalized <= N + N / 10);
	collect();
	GC_invoke_finalizers();
	SAY(finalized >= 2 * N - N / 5);
}

void registering(void)
{
	GC_finalization_proc fn = NULL;
	void *data = NULL, *p = GC_malloc(10);
	int two = 2, three = 3;

	GC_register_finalizer(p, count, &two, &fn, &data);
	SAY(fn == NULL && data == NULL);
	GC_register_finalizer(p, count, &three, &fn, &data);
	SAY(fn == count && data == &two);
	GC_register_finalizer(p, NULL, NULL, &fn, &data);
	SAY(fn == count && data == &three);
	GC_register_finalizer(p, NULL, NULL, &fn, &data);
	SAY(fn == NULL && data == NULL);
	GC_register_finalizer(&two, count, NULL, &fn, &data);
	SAY(fn == NULL);
	SAY(GC_should_invoke_finalizers());
}

void GC_CALLBACK notified(void)
{
	calls++;
}

static void *make_watched_nowhere(void *arg)
{
	(void)arg;
	return make_watched(NULL);
}

void on_demand(void)
{
	GC_set_finalize_on_demand(1);
	GC_set_finalizer_notifier(notified);
	elsewhere(make_watched_nowhere, NULL);
	collect();
	SAY(finalized);
	SAY(calls > 0);
	SAY(GC_should_invoke_finalizers() != 0);
	SAY(MOST(GC_invoke_finalizers()));
	SAY(MOST(finalized));
	SAY(GC_should_invoke_finalizers());
}

void GC_CALLBACK allocating(void *obj, void *data)
{
	(void)data;
	for (int i = 0; i < 10; i++)
		*(void **)obj = GC_malloc(100);
	finalized++;
}

static void *make_allocating(void *arg)
{
	for (int i = 0; i < N; i++)
		GC_register_finalizer(GC_malloc(64), allocating, arg, NULL, NULL);
	return NULL;
}

void in_allocations(void)
{
	elsewhere(make_allocating, NULL);
	collect();
	SAY(MOST(finalized));
}

/* Links -------------------------------------------------------------------- */

void *links[N];
static void *longs[N];

static void *make_links(void *arg)
{
	for (int i = 0; i < N; i++) {
		void *p = GC_malloc_atomic(30);

		links[i] = (void *)GC_HIDE_POINTER(p);
		longs[i] = (void *)GC_HIDE_POINTER(p);
		if (GC_general_register_disappearing_link(&links[i], p) ||
		    GC_register_long_link(&longs[i], p))
			abort();
		if (arg)
			((void **)arg)[i] = p;
		else
			GC_register_finalizer(p, count, NULL, NULL, NULL);
	}
	return NULL;
}

static int set_of(void **words)
{
	int n = 0;

	for (int i = 0; i < N; i++)
		n += words[i] != NULL;
	return n;
}

void disappearing(void)
{
	elsewhere(make_links, roots);
	collect();
	SAY(set_of(links));
	SAY(set_of(longs));
	memset(roots, 0, sizeof(roots));
	collect();
	SAY(FEW(set_of(links)));
	SAY(FEW(set_of(longs)));
}

void with_finalizers(void)
{
	GC_set_finalize_on_demand(1);
	elsewhere(make_links, NULL);
	GC_gcollect();
	SAY(FEW(set_of(links)));
	SAY(set_of(longs));
	SAY(MOST(GC_invoke_finalizers()));
	collect();
	SAY(FEW(set_of(longs)));
}

void link_calls(void)
{
	static void *word, *other, *third;
	void *p = GC_malloc(10);

	SAY(GC_general_register_disappearing_link(&word, p));
	SAY(GC_general_register_disappearing_link(&word, p));
	SAY(GC_move_disappearing_link(&word, &other));
	SAY(GC_move_disappearing_link(&word, &other));
	SAY(GC_move_disappearing_link(&other, &other));
	SAY(GC_general_register_disappearing_link(&third, p));
	SAY(GC_move_disappearing_link(&other, &third));
	SAY(GC_unregister_disappearing_link(&word));
	SAY(GC_unregister_disappearing_link(&other));
	SAY(GC_unregister_disappearing_link(&other));
	SAY(GC_register_long_link(&word, p));
	SAY(GC_register_long_link(&word, p));
	SAY(GC_move_long_link(&word, &other));
	SAY(GC_unregister_long_link(&other));
	SAY(GC_unregister_long_link(&word));
	SAY(GC_base(p) == p);
}
