// SPDX-License-Identifier: MIT
/* Threads, what they hold, and libraries that are loaded meanwhile. */
#include <dlfcn.h>
#include <unistd.h>

#include "api.h"

/* Threads ------------------------------------------------------------------ */

static pthread_barrier_t barrier;

static void *GC_CALLBACK wait_for_it(void *arg)
{
	pthread_barrier_wait(&barrier);
	pthread_barrier_wait(&barrier);
	return arg;
}

static void *hold(void *arg)
{
	char *volatile p = GC_malloc(60);
	void *result = GC_malloc(70);

	watch(p);
	watch(result);
	*(intptr_t *)result = (intptr_t)arg;
	if ((intptr_t)arg & 2)
		GC_do_blocking(wait_for_it, NULL);
	else
		wait_for_it(NULL);
	memset(p, 1, 60);
	return result;
}

void threads(void)
{
	pthread_t thread[8];
	intptr_t sum = 0;
	void *result;

	pthread_barrier_init(&barrier, NULL, 9);
	for (intptr_t i = 0; i < 8; i++)
		if (pthread_create(&thread[i], NULL, hold, (void *)(2 * i)))
			abort();
	pthread_barrier_wait(&barrier);
	collect();
	SAY(finalized);
	pthread_barrier_wait(&barrier);
	usleep(100000);
	collect();
	SAY(finalized <= 8); /* what they return is held for who joins them */
	for (int i = 0; i < 8; i++) {
		pthread_join(thread[i], &result);
		sum += *(intptr_t *)result;
	}
	SAY(sum);
	collect();
	SAY(finalized >= 8);
}

static void *GC_CALLBACK allocate_and_collect(void *arg)
{
	void *p = GC_malloc(100);

	GC_gcollect();
	memset(p, 1, 100);
	return arg;
}

static void *GC_CALLBACK unblock(void *arg)
{
	return GC_call_with_gc_active(allocate_and_collect, arg);
}

static void *GC_CALLBACK with_base(struct GC_stack_base *base, void *arg)
{
	struct GC_stack_base own;

	SAY(base->mem_base > (void *)&own);
	SAY(GC_get_stack_base(&own));
	SAY(own.mem_base >= base->mem_base);
	SAY(GC_register_my_thread(base));
	SAY(GC_thread_is_registered());
	allocate_and_collect(NULL);
	SAY(GC_unregister_my_thread());
	return arg;
}

static void *foreign(void *arg)
{
	SAY(GC_call_with_stack_base(with_base, arg) == arg);
	return NULL;
}

void blocking(void)
{
	pthread_t thread;

	SAY(GC_do_blocking(unblock, roots) == (void *)roots);
	SAY(GC_call_with_gc_active(allocate_and_collect, roots) == (void *)roots);
	GC_allow_register_threads();
#undef pthread_create
#undef pthread_join
	if (pthread_create(&thread, NULL, foreign, roots) || pthread_join(thread, NULL))
		abort();
}

static void *GC_CALLBACK read_hidden(void *arg)
{
	GC_hidden_pointer h = *(GC_hidden_pointer *)arg;

	return h ? GC_REVEAL_POINTER(h) : NULL;
}

#define HELD 4096

/*
 * Whoever reads a hidden pointer under the lock has an object, or nothing; and has
 * it as long as he holds it, here on his stack.
 */
static void *read_links(void *arg)
{
	long *volatile held[HELD] = {NULL};
	long bad = 0;

	for (int i = 0; i < 1000000; i++) {
		long *p = held[i % HELD];

		bad += p && *p != 12345;
		held[i % HELD] = GC_call_with_alloc_lock(read_hidden, &links[i % N]);
	}
	*(long *)arg = bad;
	return NULL;
}

static void *make_marked(void *arg)
{
	(void)arg;
	for (int round = 0; round < 100; round++) {
		for (int i = 0; i < N; i++) {
			long *p = GC_malloc_atomic(32);

			*p = 12345;
			GC_unregister_disappearing_link(&links[i]);
			links[i] = (void *)GC_HIDE_POINTER(p);
			GC_general_register_disappearing_link(&links[i], p);
		}
		churn(NULL);
	}
	return NULL;
}

void races(void)
{
	pthread_t reader, maker;
	static long bad;

	if (GC_pthread_create(&maker, NULL, make_marked, NULL) ||
	    GC_pthread_create(&reader, NULL, read_links, &bad))
		abort();
	GC_pthread_join(reader, NULL);
	GC_pthread_join(maker, NULL);
	SAY(bad);
}

/* Libraries ---------------------------------------------------------------- */

static void *fill(void *arg)
{
	for (int i = 0; i < 16; i++) {
		void *p = GC_malloc(50);

		watch(p);
		((void **)arg)[i] = p;
	}
	return NULL;
}

/* While others come and go. */
static void *load_and_unload(void *arg)
{
	for (int i = 0; i < 300; i++) {
		void *lib = dlopen(arg, RTLD_NOW);

		if (!lib || dlclose(lib))
			abort();
	}
	return NULL;
}

void libraries(void)
{
	const char *path = getenv("LATE_LIBRARY");
	void *lib = dlopen(path, RTLD_NOW), **bss, **data;

	if (!lib)
		abort();
	bss = dlsym(lib, "late_bss");
	data = dlsym(lib, "late_data");
	elsewhere(fill, bss);
	elsewhere(fill, data);
	collect();
	SAY(finalized);
	memset(bss, 0, 16 * sizeof(*bss));
	memset(data, 0, 16 * sizeof(*data));
	collect();
	SAY(finalized > 28);
	dlclose(lib);
}

/* The real one may crash at that, so it is not asked to. */
void reloading(void)
{
	const char *path = getenv("LATE_LIBRARY");
	pthread_t thread;

	if (pthread_create(&thread, NULL, load_and_unload, (void *)path))
		abort();
	for (int i = 0; i < 50; i++) {
		churn(NULL);
		GC_gcollect();
	}
	SAY(pthread_join(thread, NULL));
}
