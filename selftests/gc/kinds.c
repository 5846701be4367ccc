// SPDX-License-Identifier: MIT
/* Objects that are scanned by a procedure, or by a descriptor. */
#include "api.h"

/* Kinds -------------------------------------------------------------------- */

/* Only the second word of the object is a pointer. */
static struct GC_ms_entry *mark_second(GC_word *obj, struct GC_ms_entry *sp,
				       struct GC_ms_entry *limit, GC_word env)
{
	void *p = (void *)obj[1];

	(void)env;
	return GC_MARK_AND_PUSH(p, sp, limit, (void **)&obj[1]);
}

static int second_kind;

static void *make_seconds(void *arg)
{
	GC_word bitmap[] = {2};
	GC_descr d = GC_make_descriptor(bitmap, 4);

	for (int i = 0; i < N; i++) {
		void **p = arg ? GC_malloc_explicitly_typed(32, d)
			       : GC_generic_malloc(32, second_kind);

		p[0] = GC_malloc(40);
		p[1] = GC_malloc(40);
		watch(p[0]);
		GC_register_finalizer_no_order(p[1], allocating, NULL, NULL, NULL);
		roots[i] = p;
	}
	return NULL;
}

static void GC_CALLBACK count_call(void *obj, void *data)
{
	(void)obj;
	(void)data;
	calls++;
}

static void *make_chain(void *arg)
{
	void **first = NULL;

	(void)arg;
	for (int i = 0; i < 10000; i++) {
		void **p = GC_generic_malloc(32, second_kind);

		p[1] = first;
		GC_register_finalizer_no_order(p, count_call, NULL, NULL, NULL);
		first = p;
	}
	roots[0] = first;
	return NULL;
}

void kinds(void)
{
	second_kind = (int)GC_new_kind(GC_new_free_list(),
				       GC_MAKE_PROC(GC_new_proc(mark_second), 0), 0, 1);
	elsewhere(make_seconds, NULL);
	collect();
	SAY(MOST(finalized) && finalized <= N);
	SAY(GC_get_kind_and_size(roots[0], NULL) == second_kind);
	memset(roots, 0, sizeof(roots));
	collect();
	SAY(finalized >= 2 * N - N / 5);
	elsewhere(make_chain, NULL);
	collect();
	SAY(calls);
	roots[0] = NULL;
	collect();
	SAY(calls > 9000);
}

void typed(void)
{
	void **p;

	elsewhere(make_seconds, roots);
	collect();
	SAY(MOST(finalized) && finalized <= N);
	p = GC_calloc_explicitly_typed(10, 32, GC_make_descriptor((GC_word[]){2}, 4));
	SAY(p[0] == NULL && p[39] == NULL);
}
