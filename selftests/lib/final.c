// SPDX-License-Identifier: MIT
/* What happens when objects die: weak references, ephemerons, finalizers, cleanups. */
#include "common.h"

#define NR 100

struct node {
	struct node *next;
	long number;
	struct hspan_weak weak;
};

static struct node *kept[NR]; /* a root */
static struct hspan_weak weak[NR];
static hidden_t where[NR];
static long called[NR], calls; /* in which order, from 1 */
static struct node *revived;   /* a root */

static struct node *make(long number)
{
	struct node *n = hspan_alloc(sizeof(*n));

	must(n);
	n->number = number;
	where[number] = hide(n);
	return n;
}

static void note_call(void *object, void *arg)
{
	const struct node *n = object;

	(void)arg;
	called[n->number] = ++calls;
}

static void finalize(struct node *n, unsigned int order)
{
	struct hspan_finalizer f = {note_call, NULL, order};

	must(hspan_finalizer_set(n, &f, NULL) == 0);
}

static void run(void *n)
{
	*(size_t *)n = hspan_finalizers_run();
}

/* No trace of what was finalized is left on this stack. */
static size_t collect_and_run(void)
{
	size_t n;

	hspan_gc();
	elsewhere(run, &n);
	return n;
}

static void reset(void)
{
	hspan_clear(kept, sizeof(kept));
	hspan_store(&revived, NULL);
	for (int i = 0; i < NR; i++)
		must(hspan_weak_set(&weak[i], NULL, 0) == 0);
	memset(called, 0, sizeof(called));
	calls = 0;
	scrub();
	collect_and_run();
	memset(called, 0, sizeof(called));
	calls = 0;
}

/* Weak references ---------------------------------------------------------- */

static void make_weak(void *arg)
{
	(void)arg;
	for (long i = 0; i < NR; i++) {
		struct node *n = make(i);

		must(hspan_weak_set(&weak[i], n, i % 3 ? 0 : HSPAN_WEAK_LONG) == 0);
		must(hspan_weak_get(&weak[i]) == n);
		if (i % 2)
			hspan_store(&kept[i], n);
	}
}

static void test_weak(void **state)
{
	(void)state;
	reset();
	elsewhere(make_weak, NULL);
	hspan_gc();
	for (int i = 0; i < NR; i++)
		assert_ptr_equal(hspan_weak_get(&weak[i]), kept[i]);
	assert_int_equal(hspan_weak_set(&weak[1], NULL, 0), 0);
	assert_null(hspan_weak_get(&weak[1]));
	assert_true(alive(where[1]));
}

static void make_inner(void *arg)
{
	struct node *first = make(0), *second = make(1), *third = make(2);

	(void)arg;
	hspan_store(&kept[0], first);
	hspan_store(&kept[1], second);
	must(hspan_weak_set(&first->weak, second, 0) == 0);
	must(hspan_weak_set(&second->weak, third, 0) == 0);
	must(hspan_weak_set(&third->weak, first, 0) == 0);
}

static void check_inner(void *arg)
{
	(void)arg;
	must(hspan_weak_get(&kept[0]->weak) == kept[1]);
	must(!kept[1] || !hspan_weak_get(&kept[1]->weak));
}

/* References in objects: alive, to the dead; and dead. */
static void test_weak_in_objects(void **state)
{
	(void)state;
	reset();
	elsewhere(make_inner, NULL);
	hspan_gc();
	elsewhere(check_inner, NULL);
	assert_false(alive(where[2]));
	hspan_store(&kept[1], NULL);
	hspan_gc();
	elsewhere(check_inner, NULL);
	assert_false(alive(where[1]));
}

static void *foreign;

static void make_foreign(void *arg)
{
	void *n = make(0);

	foreign = arg ? n : (void *)hide(n);
	must(hspan_weak_set((struct hspan_weak *)&foreign, n, HSPAN_WEAK_FOREIGN) == 0);
	must(hspan_weak_get((struct hspan_weak *)&foreign) == n);
}

static void test_foreign(void **state)
{
	(void)state;
	for (int plain = 0; plain < 2; plain++) {
		reset();
		elsewhere(make_foreign, plain ? &foreign : NULL);
		assert_non_null(foreign);
		hspan_gc();
		assert_null(foreign);
	}
}

static void make_long(void *arg)
{
	struct node *n = make(0);

	(void)arg;
	finalize(n, HSPAN_FINALIZE_ORDERED);
	must(hspan_weak_set(&weak[0], n, 0) == 0);
	must(hspan_weak_set(&weak[1], n, HSPAN_WEAK_LONG) == 0);
}

static void test_long(void **state)
{
	(void)state;
	reset();
	elsewhere(make_long, NULL);
	hspan_gc();
	assert_int_equal(hspan_finalizers_due(), 1);
	assert_null(hspan_weak_get(&weak[0]));
	assert_true(alive(where[0]));
	assert_int_equal(collect_and_run(), 1);
	hspan_gc();
	assert_null(hspan_weak_get(&weak[1]));
	assert_false(alive(where[0]));
}

/* Ephemerons --------------------------------------------------------------- */

static void make_ephemerons(void *arg)
{
	(void)arg;
	hspan_store(&kept[0], make(0)); /* the table */
	for (long i = 1; i < NR; i++)
		make(i);
	for (long i = NR - 2; i > 0; i--) /* a chain, its end first */
		must(hspan_ephemeron_set(kept[0], reveal(where[i]), reveal(where[i + 1])) == 0);
	hspan_store(&kept[1], reveal(where[1]));
}

static void check_ephemerons(void *arg)
{
	(void)arg;
	must(hspan_ephemeron_get(kept[0], kept[1]) == reveal(where[2]));
	must(!hspan_ephemeron_get(kept[1], kept[0]));
	must(!hspan_ephemeron_set(kept[0], reveal(where[50]), NULL));
}

static void test_ephemerons(void **state)
{
	(void)state;
	reset();
	elsewhere(make_ephemerons, NULL);
	hspan_gc();
	assert_int_equal(count_alive(where, NR), NR);
	elsewhere(check_ephemerons, NULL);
	hspan_gc();
	assert_int_equal(count_alive(where, NR), 51);
	hspan_store(&kept[0], NULL);
	hspan_gc();
	assert_int_equal(count_alive(where, NR), 1);
}

static void make_circle(void *arg)
{
	struct node *key = make(1), *value = make(2);

	(void)arg;
	hspan_store(&kept[0], make(0));
	hspan_store(&value->next, key); /* keeps nothing: the key is weak all the same */
	must(hspan_ephemeron_set(kept[0], key, value) == 0);
}

static void test_ephemeron_circle(void **state)
{
	(void)state;
	reset();
	elsewhere(make_circle, NULL);
	hspan_gc();
	assert_int_equal(count_alive(where, 3), 1);
}

/* Finalizers --------------------------------------------------------------- */

/* @arg: the order; 0 -> 1 -> 2, 3 -> itself, 4 <-> 5, 6 -> 7, which is last */
static void make_graph(void *arg)
{
	unsigned int order = *(unsigned int *)arg;

	for (long i = 0; i < 8; i++)
		finalize(make(i), i == 7 ? HSPAN_FINALIZE_LAST : order);
	for (int i = 0; i < 7; i++) {
		static const int to[] = {1, 2, -1, 3, 5, 4, 7};

		if (to[i] >= 0)
			hspan_store(&((struct node *)reveal(where[i]))->next, reveal(where[to[i]]));
	}
}

static void test_orders(void **state)
{
	/* in which round each is called, 0 = never */
	static const int rounds[][8] = {
		[HSPAN_FINALIZE_ORDERED] = {1, 2, 3, 0, 0, 0, 1, 2},
		[HSPAN_FINALIZE_IGNORE_SELF] = {1, 2, 3, 1, 0, 0, 1, 2},
		[HSPAN_FINALIZE_UNORDERED] = {1, 1, 1, 1, 1, 1, 1, 2},
		[HSPAN_FINALIZE_LAST] = {1, 2, 3, 0, 0, 0, 1, 2},
	};

	(void)state;
	for (unsigned int order = 0; order <= HSPAN_FINALIZE_LAST; order++) {
		reset();
		elsewhere(make_graph, &order);
		for (int round = 1; round <= 5; round++) {
			collect_and_run();
			for (int i = 0; i < 8; i++)
				assert_int_equal(called[i] != 0,
						 rounds[order][i] && rounds[order][i] <= round);
		}
		for (int i = 0; i < 8; i++) {
			if (!rounds[order][i])
				must(hspan_finalizer_set(reveal(where[i]), NULL, NULL) == 0);
		}
	}
}

static void revive(void *object, void *arg)
{
	struct hspan_finalizer f = {note_call, NULL, HSPAN_FINALIZE_ORDERED};

	must(*(long *)arg == 4711);
	hspan_store(&revived, object);
	must(hspan_finalizer_set(object, &f, NULL) == 0);
}

static void make_revived(void *arg)
{
	long *number = hspan_alloc_noscan(sizeof(*number));
	struct hspan_finalizer f = {revive, number, HSPAN_FINALIZE_ORDERED}, old;
	struct node *n = make(0);

	(void)arg;
	*number = 4711;
	hspan_store(&n->next, make(1));
	must(hspan_finalizer_set(n, &f, &old) == 0 && !old.fn);
	must(hspan_finalizer_set(n, &f, &old) == 0 && old.fn == revive && old.arg == number);
}

static void test_resurrection(void **state)
{
	(void)state;
	reset();
	elsewhere(make_revived, NULL);
	assert_int_equal(collect_and_run(), 1);
	hspan_gc();
	assert_non_null(revived);
	assert_true(alive(where[1]));
	assert_int_equal(collect_and_run(), 0);
	hspan_store(&revived, NULL);
	assert_int_equal(collect_and_run(), 1);
	assert_int_equal(called[0], 1);
	scrub();
	hspan_gc();
	assert_int_equal(count_alive(where, 2), 0);
}

static void clean(void *arg)
{
	++*(long *)arg;
}

static void make_cleaned(void *arg)
{
	struct node *n = make(0), *other = make(1);

	finalize(n, HSPAN_FINALIZE_ORDERED);
	for (int i = 0; i < 3; i++)
		must(hspan_cleanup_add(&n->number, clean, arg) == 0);
	must(hspan_cleanup_remove(&n->number, clean, arg) == 0);
	must(hspan_cleanup_add(other, clean, arg) == 0);
	must(hspan_cleanup_remove(other, clean, arg) == 0);
	must(hspan_cleanup_remove(other, clean, arg) == -ENOENT);
}

static void test_cleanup(void **state)
{
	long n = 0;

	(void)state;
	reset();
	elsewhere(make_cleaned, &n);
	assert_int_equal(collect_and_run(), 1);
	assert_int_equal(n, 0); /* the finalizer first */
	assert_int_equal(collect_and_run(), 2);
	assert_int_equal(n, 2);
	assert_false(alive(where[0]));
}

static void test_run_all(void **state)
{
	unsigned int order = HSPAN_FINALIZE_ORDERED;

	(void)state;
	reset();
	elsewhere(make_graph, &order);
	hspan_store(&kept[0], reveal(where[0]));
	assert_int_equal(hspan_finalizers_run_all(), 8);
	assert_int_equal(hspan_finalizers_run_all(), 0);
	for (int i = 0; i < 8; i++)
		assert_true(called[i] > 0);
}

static void test_errors(void **state)
{
	struct hspan_finalizer f = {note_call, NULL, HSPAN_FINALIZE_LAST + 1};
	struct node *n = make(0);
	long outside = 0;

	(void)state;
	assert_int_equal(hspan_weak_set(&weak[0], &outside, 0), -EINVAL);
	assert_int_equal(hspan_weak_set(&weak[0], n, 4), -EINVAL);
	assert_int_equal(hspan_ephemeron_set(&outside, n, n), -EINVAL);
	assert_int_equal(hspan_ephemeron_set(n, &outside, n), -EINVAL);
	assert_int_equal(hspan_finalizer_set(n, &f, NULL), -EINVAL);
	f.order = 0;
	assert_int_equal(hspan_finalizer_set(&n->number, &f, NULL), -EINVAL);
	f.fn = NULL;
	assert_int_equal(hspan_finalizer_set(n, &f, NULL), -EINVAL);
	assert_int_equal(hspan_cleanup_add(&outside, clean, NULL), -EINVAL);
}

/* All at once -------------------------------------------------------------- */

#define THREADS 3

static int stop;
static long storms;

/* It takes from the object what only that held, and holds it for a while. */
static void count_storm(void *object, void *arg)
{
	struct node *n = object, *next = hspan_exchange(&n->next, NULL);

	(void)arg;
	for (int i = 0; i < 100; i++)
		must(n->number == -1 && next->number == -1);
	__atomic_fetch_add(&storms, 1, __ATOMIC_RELAXED);
}

/* Finalized, it has no next any more. */
static void check_node(const struct node *n)
{
	const struct node *next = n ? load((void *)&n->next) : NULL;

	must(!n || n->number == -1);
	must(!next || next->number == -1);
}

static void rest(void)
{
	hspan_thread_park();
	sleep_ms(1);
	hspan_thread_unpark();
}

/* What is read from a weak reference is whole, and stays so. */
static void *read_and_replace(void *arg)
{
	uint64_t random = (uint64_t)(uintptr_t)arg;
	struct hspan_finalizer f = {count_storm, NULL, HSPAN_FINALIZE_UNORDERED};
	struct node *held[16] = {NULL}; /* on the stack */

	must(hspan_thread_register() == 0);
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		struct hspan_weak *w = &weak[next_random(&random) % NR];
		struct node *n = hspan_weak_get(w);

		if (!n || random >> 58 == 0) {
			n = hspan_alloc(sizeof(*n));
			n->number = -1;
			n->next = hspan_alloc(sizeof(*n));
			n->next->number = -1;
			must(hspan_finalizer_set(n, &f, NULL) == 0);
			must(hspan_ephemeron_set(n, n->next, n->next) == 0);
			must(hspan_weak_set(w, n, random >> 59 & 1) == 0);
			if ((random >> 48) % 16 == 0)
				rest();
		}
		check_node(n);
		check_node(held[random >> 50 & 15]);
		held[random >> 50 & 15] = n;
		if ((random >> 56) % 16 == 0)
			hspan_store(&kept[next_random(&random) % NR], n);
	}
	return NULL;
}

static void test_storm(void **state)
{
	pthread_t thread[THREADS];

	(void)state;
	reset();
	stop = 0;
	assert_int_equal(hspan_finalizers_start(), 0);
	assert_int_equal(hspan_finalizers_start(), -EALREADY);
	for (uintptr_t i = 0; i < THREADS; i++)
		must(pthread_create(&thread[i], NULL, read_and_replace, (void *)(i + 1)) == 0);
	for (long i = 0; i < EFFORT(600); i++) {
		hspan_gc();
		if (i % 8 == 0)
			hspan_clear(kept, sizeof(kept));
	}
	__atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
	for (int i = 0; i < THREADS; i++)
		must(pthread_join(thread[i], NULL) == 0);
	for (int i = 0; i < NR; i++)
		must(hspan_weak_set(&weak[i], NULL, 0) == 0);
	assert_true(__atomic_load_n(&storms, __ATOMIC_RELAXED) > 0);
}

/* Shutdown ----------------------------------------------------------------- */

#if UNDER_TSAN || defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1 /* that maps as it likes */
#else
#define SANITIZED 0
#endif

static size_t mappings(void)
{
	FILE *f = fopen("/proc/self/maps", "r");
	size_t n = 0;
	int c;

	must(f);
	while ((c = getc(f)) != EOF)
		n += c == '\n';
	fclose(f);
	return n;
}

static int make_and_end(void)
{
	struct hspan_options o = HSPAN_OPTIONS_INIT;
	unsigned int order = HSPAN_FINALIZE_ORDERED;

	expect(hspan_init(&o) == 0);
	expect(hspan_finalizers_start() == 0);
	make_graph(&order);
	make_weak(NULL);
	expect(hspan_cleanup_add(reveal(where[0]), clean, NULL) == 0);
	expect(hspan_shutdown() == 0);
	expect(hspan_finalizers_due() == 0);
	return 0;
}

static int leave_nothing(const void *arg)
{
	size_t before;

	(void)arg;
	expect(make_and_end() == 0); /* what libc keeps it has by now */
	before = mappings();
	for (int i = 0; i < 5; i++)
		expect(make_and_end() == 0);
	expect(SANITIZED || mappings() <= before + 1);
	return 0;
}

static void test_shutdown(void **state)
{
	(void)state;
	assert_int_equal(in_child(leave_nothing, NULL), 0);
}

static int setup(void **state)
{
	int ret = heap_setup(state);

	if (!ret)
		ret = hspan_root_add(kept, sizeof(kept));
	return ret ? ret : hspan_root_add(&revived, sizeof(revived));
}

int main(void)
{
	const struct CMUnitTest before[] = {
		cmocka_unit_test(test_shutdown),
	};
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_weak),	   cmocka_unit_test(test_weak_in_objects),
		cmocka_unit_test(test_foreign),	   cmocka_unit_test(test_long),
		cmocka_unit_test(test_ephemerons), cmocka_unit_test(test_ephemeron_circle),
		cmocka_unit_test(test_orders),	   cmocka_unit_test(test_resurrection),
		cmocka_unit_test(test_cleanup),	   cmocka_unit_test(test_run_all),
		cmocka_unit_test(test_errors),	   cmocka_unit_test(test_storm),
	};
	int ret = cmocka_run_group_tests(before, NULL, NULL);

	return ret + cmocka_run_group_tests(tests, setup, heap_teardown);
}
