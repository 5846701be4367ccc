// SPDX-License-Identifier: MIT
/*
 * libgc's interface as programs see it.  The same program is run on the real libgc
 * and on the drop-in, and must print the same: so it prints what does not depend
 * on addresses, or on what a conservative collector happens to keep.
 *
 *	api TEST
 *	api             names them
 */
#include <sys/wait.h>
#include <unistd.h>

#include "api.h"

void *roots[N];
int finalized, calls;

void elsewhere(void *(*fn)(void *), void *arg)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, fn, arg) || pthread_join(thread, NULL))
		abort();
}

void *churn(void *arg)
{
	for (int i = 0; i < 20000; i++)
		if (!GC_malloc(16 + (size_t)i % 200))
			abort();
	return arg;
}

void collect(void)
{
	for (int i = 0; i < 3; i++) {
		elsewhere(churn, NULL);
		GC_gcollect();
	}
}

void GC_CALLBACK count(void *obj, void *data)
{
	(void)obj;
	finalized += data ? *(int *)data : 1;
}

void watch(void *p)
{
	GC_register_finalizer_no_order(p, count, NULL, NULL, NULL);
}

/* Objects ------------------------------------------------------------------ */

bool is_filled(const char *p, size_t n, char c)
{
	for (size_t i = 0; i < n; i++)
		if (p[i] != c)
			return false;
	return true;
}

void objects(void)
{
	bool big = true, zero = true, aligned = true, base = true, end = true;

	for (size_t n = 0; n < 100000; n = n * 5 / 4 + 1) {
		char *p = GC_malloc(n), *a = GC_malloc_atomic(n);

		big &= GC_size(p) > n && GC_size(a) > n;
		zero &= is_filled(p, n, 0);
		aligned &= !((uintptr_t)p & 15) && !((uintptr_t)a & 15);
		base &= GC_base(p) == p && GC_base(p + n / 2) == p && GC_base(a + n / 2) == a;
		end &= GC_base(p + n) == p;
		memset(p, 1, n);
	}
	SAY(big);
	SAY(zero);
	SAY(aligned);
	SAY(base);
	SAY(end);
	SAY(GC_base(&big) == NULL);
	SAY(GC_is_heap_ptr(&big));
	SAY(GC_is_heap_ptr(GC_malloc(10)));
	SAY(GC_is_visible(roots) == roots);
	SAY(GC_get_version() >> 16);
	SAY(strcmp(GC_strdup("text"), "text"));
	SAY(strcmp(GC_strndup("text", 2), "te"));
	SAY((uintptr_t)GC_memalign(64, 100) % 64);
	SAY((uintptr_t)GC_memalign(8192, 100) % 8192);
	SAY(GC_posix_memalign(roots, 32, 100) == 0 && (uintptr_t)roots[0] % 32 == 0);
	SAY(GC_posix_memalign(roots, 24, 100) != 0);
}

void resizing(void)
{
	char *p = GC_malloc(10), *a = GC_malloc_atomic(50), *u = GC_malloc_uncollectable(30);
	bool kept = true, zero = true;
	int kind;

	memset(p, 'x', 10);
	memset(u, 'u', 30);
	for (size_t n = 10; n < 300000; n *= 3) {
		p = GC_realloc(p, n * 3);
		kept &= is_filled(p, n, 'x');
		zero &= is_filled(p + n, n * 2, 0);
		memset(p, 'x', n * 3);
	}
	SAY(kept);
	SAY(zero);
	p = GC_realloc(p, 5);
	SAY(is_filled(p, 5, 'x'));
	SAY(GC_get_kind_and_size(GC_realloc(a, 5000), NULL));
	u = GC_realloc(u, 3000);
	SAY(is_filled(u, 30, 'u'));
	SAY(GC_get_kind_and_size(u, NULL));
	GC_free(u);
	SAY(GC_realloc(NULL, 10) != NULL);
	SAY(GC_realloc(GC_malloc(10), 0) == NULL);
	kind = GC_get_kind_and_size(GC_malloc(10), NULL);
	SAY(kind);
	SAY(GC_get_kind_and_size(GC_malloc_atomic_uncollectable(10), NULL));
}

static void *make_list(void *arg)
{
	void **p = NULL;

	for (int i = 0; i < 1000; i++) {
		void **q = arg ? GC_malloc_many(24) : NULL, **next;

		for (; q; q = next) {
			next = GC_NEXT(q);
			*q = p;
			p = q;
		}
		if (!arg) {
			q = GC_malloc(24);
			*q = p;
			p = q;
		}
	}
	roots[0] = p;
	return NULL;
}

void lists(void)
{
	long n = 0, many = 0;

	elsewhere(make_list, NULL);
	collect();
	for (void **p = roots[0]; p; p = *p)
		n++;
	SAY(n);
	elsewhere(make_list, roots);
	collect();
	for (void **p = roots[0]; p; p = *p)
		many++;
	SAY(many > 1000);
}

/* What keeps an object ------------------------------------------------------ */

void *make_watched(void *arg)
{
	void **where = arg;

	for (int i = 0; i < N; i++) {
		void *p = GC_malloc(40);

		watch(p);
		if (where)
			where[i] = p;
	}
	return NULL;
}

void keepers(void)
{
	void **u = GC_malloc_uncollectable(sizeof(roots)), **m = calloc(N, sizeof(*m));
	void **a = GC_malloc_atomic(sizeof(roots));

	elsewhere(make_watched, roots);
	collect();
	SAY(finalized);
	memset(roots, 0, sizeof(roots));
	collect();
	SAY(MOST(finalized));

	finalized = 0;
	elsewhere(make_watched, u);
	roots[0] = u = (void **)GC_HIDE_POINTER(u);
	collect();
	SAY(finalized);
	GC_free((void *)GC_HIDE_POINTER(u));
	collect();
	SAY(MOST(finalized));

	finalized = 0;
	GC_add_roots(m, m + N);
	elsewhere(make_watched, m);
	collect();
	SAY(finalized);
	GC_remove_roots(m, m + N);
	collect();
	SAY(MOST(finalized));

	finalized = 0;
	elsewhere(make_watched, a);
	collect();
	SAY(MOST(finalized));
	SAY(a != NULL);
}

/* The collector ------------------------------------------------------------ */

void disabling(void)
{
	GC_word before;

	GC_gcollect();
	before = GC_get_gc_no();
	SAY(before > 0);
	GC_disable();
	SAY(GC_is_disabled());
	GC_disable();
	for (int i = 0; i < 30; i++)
		elsewhere(churn, NULL);
	GC_gcollect();
	SAY(GC_get_gc_no() == before);
	GC_enable();
	SAY(GC_is_disabled());
	GC_enable();
	SAY(GC_is_disabled());
	GC_gcollect();
	SAY(GC_get_gc_no() > before);
	SAY(GC_get_heap_size() > 0 && GC_get_total_bytes() > 1000000);
	GC_init();
	GC_INIT();
}

void by_itself(void)
{
	for (int i = 0; i < 200; i++)
		elsewhere(churn, NULL);
	SAY(GC_get_gc_no() > 1);
	SAY(GC_get_heap_size() < 300u << 20);
}

void settings(void)
{
	SAY(GC_get_all_interior_pointers());
	SAY(GC_get_java_finalization());
	SAY(GC_get_finalize_on_demand());
	SAY(GC_get_full_freq());
	SAY(GC_get_no_dls());
	SAY(GC_get_free_space_divisor());
	GC_set_free_space_divisor(7);
	SAY(GC_get_free_space_divisor());
	GC_set_no_dls(1);
	SAY(GC_get_no_dls());
	GC_set_rate(3);
	SAY(GC_get_rate());
	SAY(GC_get_suspend_signal());
	SAY(GC_get_finalizer_notifier() == NULL);
	GC_set_finalizer_notifier(notified);
	SAY(GC_get_finalizer_notifier() == notified);
	SAY(GC_get_warn_proc() != NULL && GC_get_oom_fn() != NULL);
}

void forking(void)
{
	char *p = GC_malloc(1000), *big = GC_malloc(100000);
	int status = -1;
	pid_t pid;

	memset(p, 'p', 1000);
	memset(big, 'b', 100000);
	GC_gcollect();
	fflush(stdout);
	pid = fork();
	if (!pid) {
		void **list = NULL;

		for (int i = 0; i < 100000; i++) {
			void **q = GC_malloc(50);

			*q = list;
			list = q;
		}
		p = GC_realloc(p, 3000);
		big = GC_realloc(big, 200000);
		GC_free(GC_malloc_atomic(10));
		_exit(is_filled(p, 1000, 'p') && is_filled(p + 1000, 2000, 0) &&
				      is_filled(big, 100000, 'b')
			      ? 7
			      : 1);
	}
	waitpid(pid, &status, 0);
	SAY(WIFEXITED(status) && WEXITSTATUS(status) == 7);
	GC_gcollect();
	SAY(is_filled(p, 1000, 'p'));
	SAY(system("exit 3") >> 8);
}

static void *GC_CALLBACK refuse(size_t size)
{
	calls += size > 1ul << 50;
	return NULL;
}

void no_memory(void)
{
	GC_set_warn_proc(quiet);
	GC_set_oom_fn(refuse);
	SAY(GC_malloc(1ul << 60) == NULL);
	SAY(GC_malloc_atomic(1ul << 60) == NULL);
	SAY(calls);
}

static const struct {
	const char *name;
	void (*fn)(void);
} tests[] = {
	{"objects", objects},
	{"resizing", resizing},
	{"lists", lists},
	{"keepers", keepers},
	{"orders", orders},
	{"unreachable", unreachable},
	{"registering", registering},
	{"on_demand", on_demand},
	{"in_allocations", in_allocations},
	{"disappearing", disappearing},
	{"with_finalizers", with_finalizers},
	{"link_calls", link_calls},
	{"kinds", kinds},
	{"typed", typed},
	{"threads", threads},
	{"blocking", blocking},
	{"races", races},
	{"libraries", libraries},
	{"reloading", reloading},
	{"disabling", disabling},
	{"by_itself", by_itself},
	{"settings", settings},
	{"forking", forking},
	{"no_memory", no_memory},
};

int main(int argc, char **argv)
{
	for (size_t i = 0; i < sizeof(tests) / sizeof(*tests); i++) {
		if (argc < 2) {
			puts(tests[i].name);
		} else if (!strcmp(argv[1], tests[i].name)) {
			GC_INIT();
			tests[i].fn();
			return 0;
		}
	}
	return argc < 2 ? 0 : 2;
}
