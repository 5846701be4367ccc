// SPDX-License-Identifier: MIT
/* Collections asked for and by themselves, and the figures about them. */
#include "common.h"

static void *root[128];
static int done;

static NOINLINE void make_list(void *arg)
{
	size_t n = (size_t)arg;

	for (size_t i = 0; i < n; i++) {
		uint64_t *p = hspan_alloc(48);

		must(p);
		p[1] = i;
		p[2] = ~i;
		hspan_store(p, root[0]);
		hspan_store(&root[0], p);
	}
}

static void check_list(size_t n)
{
	uint64_t *p = root[0];

	for (size_t i = n; i--; p = (uint64_t *)p[0]) {
		assert_ptr_equal(hspan_base(p), p);
		assert_int_equal(p[1], i);
		assert_int_equal(p[2], ~i);
	}
	assert_null(p);
}

static void explicit_keeps_and_frees(void **state)
{
	const size_t n = EFFORT(100000);
	uint64_t live;

	(void)state;
	elsewhere(make_list, (void *)n);
	for (int i = 0; i < 3; i++) {
		hspan_gc();
		check_list(n);
	}
	live = read_stats().heap_live;
	assert_true(live >= n * 48 && live < n * 48 + (4 << 20));
	hspan_store(&root[0], NULL);
	hspan_gc();
	assert_true(read_stats().heap_live < 1 << 20);
	assert_true(read_stats().heap_idle + (4 << 20) >= read_stats().heap_sys);
}

/* With low bits set, as programs tag them; one leads behind what was asked for. */
static NOINLINE void make_odd(void *arg)
{
	static const size_t at[] = { 1, 65541, 150003, 199999, 200503 };
	char **holder = hspan_alloc(sizeof(at));
	hidden_t *h = arg;

	must(holder);
	hspan_store(&root[0], holder);
	for (size_t i = 0; i < ARRAY_SIZE(at); i++) {
		char *p = hspan_alloc(200000);

		must(p);
		h[i] = hide(p);
		hspan_store(&holder[i], p + at[i]);
	}
}

static void odd_pointers(void **state)
{
	hidden_t h[5];

	(void)state;
	elsewhere(make_odd, h);
	hspan_gc();
	assert_int_equal(count_alive(h, ARRAY_SIZE(h)), ARRAY_SIZE(h));
	hspan_store(&root[0], NULL);
	hspan_gc();
	assert_int_equal(count_alive(h, ARRAY_SIZE(h)), 0);
}

/* "Garbage at the time of the call is free when it returns." */
static NOINLINE void make_garbage(void *arg)
{
	hidden_t *h = arg;

	for (int i = 0; i < 200; i++)
		h[i] = hide(i % 2 ? hspan_alloc(20 * (size_t)i + 8) : hspan_alloc_noscan(500 * (size_t)i + 8));
}

static void one_call_is_enough(void **state)
{
	hidden_t h[200];

	(void)state;
	for (int round = 0; round < 10; round++) {
		elsewhere(make_garbage, h);
		hspan_gc();
		assert_int_equal(count_alive(h, 200), 0);
	}
}

/* A ring that is only reached through itself is garbage. */
static NOINLINE void make_rings(void *arg)
{
	hidden_t *h = arg;

	for (int i = 0; i < 100; i++) {
		void **a = hspan_alloc(32), **b = hspan_alloc(40000);

		hspan_store(&a[1], b);
		hspan_store(&b[4999], a);
		hspan_store(&a[2], a);
		h[2 * i] = hide(a);
		h[2 * i + 1] = hide(b);
	}
}

static void rings_die(void **state)
{
	hidden_t h[200];

	(void)state;
	elsewhere(make_rings, h);
	hspan_gc();
	assert_int_equal(count_alive(h, 200), 0);
}

/* Objects that can be told from those that get their memory next. */
struct tagged {
	uint64_t tag;
	hidden_t h[200];
};

static void make_tagged(void *arg)
{
	struct tagged *t = arg;

	for (size_t i = 0; i < ARRAY_SIZE(t->h); i++) {
		uint64_t *p = hspan_alloc(16 + i * 8);

		p[0] = t->tag + i;
		t->h[i] = hide(p);
	}
}

static NOINLINE size_t count_tagged(const struct tagged *t)
{
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(t->h); i++)
		n += alive(t->h[i]) && *(volatile uint64_t *)reveal(t->h[i]) == t->tag + i;
	return n;
}

#define ASKERS 8
static struct tagged garbage[ASKERS];
static int calls;

static void *ask(void *arg)
{
	struct tagged *t = arg;

	for (int i = 0; i < EFFORT(40); i++) {
		t->tag = ((uint64_t)(t - garbage) << 32 | (uint64_t)i << 16) + 1;
		elsewhere(make_tagged, t);
		hspan_gc();
		__atomic_add_fetch(&calls, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

/*
 * Garbage in a span that some thread allocates from is free when that thread
 * goes on to the next: so what is left is counted when they are gone.
 */
static void from_many_threads_at_once(void **state)
{
	uint64_t before = read_stats().num_gc, after;
	pthread_t t[ASKERS];

	(void)state;
	for (size_t i = 0; i < ASKERS; i++)
		must(pthread_create(&t[i], NULL, ask, &garbage[i]) == 0);
	for (size_t i = 0; i < ASKERS; i++)
		pthread_join(t[i], NULL);
	after = read_stats().num_gc;
	/* Calls that come together share a cycle. */
	assert_true(after > before && after - before <= (uint64_t)calls);
	hspan_gc();
	for (size_t i = 0; i < ASKERS; i++)
		assert_int_equal(count_tagged(&garbage[i]), 0);
}

static void allocate(size_t bytes)
{
	for (size_t done_bytes = 0; done_bytes < bytes; done_bytes += 1024)
		must(hspan_alloc(1024));
}

static void percent_decides(void **state)
{
	uint64_t before;

	(void)state;
	hspan_gc();
	assert_int_equal(hspan_gc_set_percent(-1), -1);
	before = read_stats().num_gc;
	allocate(40 << 20);
	assert_int_equal(read_stats().num_gc, before);
	assert_int_equal(read_stats().heap_goal, UINT64_MAX);

	assert_int_equal(hspan_gc_set_percent(100), -1);
	allocate((size_t)512 << 20);
	hspan_gc();
	assert_true(read_stats().num_gc >= before + 3);
	assert_true(read_stats().heap_goal >= read_stats().heap_live);

	/* A heap may overdraw by some 20 MiB when the collector is starved. */
	elsewhere(make_list, (void *)(size_t)(16 << 20 >> 6));
	assert_int_equal(hspan_gc_set_percent(10), 100);
	hspan_gc();
	before = read_stats().num_gc;
	allocate((size_t)512 << 20);
	assert_true(read_stats().num_gc >= before + 4);
	assert_true(read_stats().heap_goal <= 2 * read_stats().heap_live);

	assert_int_equal(hspan_gc_set_percent(0), 10);
	allocate(4 << 20);
	assert_int_equal(hspan_gc_set_percent(-1), 0);
	hspan_store(&root[0], NULL);
	hspan_gc();
}

static void sizes_of_the_struct(void **state)
{
	struct {
		struct hspan_stats st;
		uint64_t later[2];
	} big = { .st.struct_size = sizeof(big), .later = { 1, 1 } };
	struct hspan_stats st = { .struct_size = offsetof(struct hspan_stats, limit) - 8 };

	(void)state;
	assert_int_equal(hspan_stats_read(NULL), -EINVAL);
	assert_int_equal(hspan_stats_read(&st), -EINVAL);
	st.struct_size = 0;
	assert_int_equal(hspan_stats_read(&st), -EINVAL);
	st.struct_size = SIZE_MAX;
	assert_int_equal(hspan_stats_read(&st), -EINVAL);
	/* A program built with a later header: what is not known is zero. */
	assert_int_equal(hspan_stats_read(&big.st), 0);
	assert_int_equal(big.later[0] | big.later[1], 0);
	assert_true(big.st.num_gc > 0);
}

static void figures_grow(const struct hspan_stats *a, const struct hspan_stats *b)
{
	assert_true(b->total_alloc >= a->total_alloc);
	assert_true(b->num_gc >= a->num_gc);
	assert_true(b->num_forced >= a->num_forced);
	assert_true(b->num_forced <= b->num_gc);
	assert_true(b->mark_ns >= a->mark_ns);
	assert_true(b->mark_cpu_ns >= a->mark_cpu_ns);
	assert_true(b->assist_ns >= a->assist_ns);
	assert_true(b->sweep_cpu_ns >= a->sweep_cpu_ns);
	assert_true(b->stop_max_ns >= a->stop_max_ns);
	assert_true(b->stop_total_ns >= a->stop_total_ns);
	assert_true(b->handshakes >= a->handshakes);
	assert_true(b->cycle_max_ns >= a->cycle_max_ns);
	assert_true(b->spans_swept >= a->spans_swept);
	assert_true(b->heap_released >= a->heap_released);
	for (int i = 0; i < 40; i++)
		assert_true(b->stop_hist[i] >= a->stop_hist[i]);
}

static void *churn(void *arg)
{
	uint64_t seed = (uintptr_t)arg + 5;

	while (!__atomic_load_n(&done, __ATOMIC_ACQUIRE)) {
		void **p = hspan_alloc(16 + next_random(&seed) % 2000);

		must(p);
		hspan_store(p, load(&root[next_random(&seed) % 128]));
		if (next_random(&seed) % 64)
			hspan_store_release(&root[next_random(&seed) % 128], p);
		else
			hspan_clear(root, sizeof(root));
	}
	return NULL;
}

static void figures_are_plausible(void **state)
{
	struct hspan_stats last = read_stats();
	pthread_t t[3];

	(void)state;
	hspan_gc_set_percent(100);
	for (uintptr_t i = 0; i < ARRAY_SIZE(t); i++)
		must(pthread_create(&t[i], NULL, churn, (void *)i) == 0);
	for (int i = 0; i < 100; i++) {
		struct hspan_stats st = read_stats();
		uint64_t in_hist = 0;

		figures_grow(&last, &st);
		for (int k = 0; k < 40; k++)
			in_hist += st.stop_hist[k];
		/* Read one by one while they grow. */
		assert_true(in_hist + 64 >= st.handshakes);
		assert_true(st.heap_idle <= st.heap_sys);
		assert_true(st.heap_live < (uint64_t)1 << 40 && st.heap_alloc < (uint64_t)1 << 40);
		assert_true(st.cycle_max_ns <= 120ull * 1000000000);
		assert_true(st.threads >= 1 && st.threads <= 1 + ARRAY_SIZE(t));
		last = st;
		sleep_ms(5);
		if (i % 20 == 0)
			hspan_gc();
	}
	__atomic_store_n(&done, 1, __ATOMIC_RELEASE);
	for (size_t i = 0; i < ARRAY_SIZE(t); i++)
		pthread_join(t[i], NULL);
	hspan_gc_set_percent(-1);
	hspan_clear(root, sizeof(root));
	hspan_gc();
	assert_int_equal(read_stats().threads, 1);
	assert_true(read_stats().num_forced >= last.num_forced + 1);
}

/* Memory does not grow when what lives does not. */
static void steady_state(void **state)
{
	uint64_t sys;

	(void)state;
	hspan_gc_set_percent(100);
	__atomic_store_n(&done, 0, __ATOMIC_RELEASE);
	for (int round = 0; round < EFFORT(40); round++) {
		allocate(8 << 20);
		for (int i = 0; i < 8; i++)
			must(hspan_alloc_noscan(300000));
	}
	hspan_gc_set_percent(-1);
	sys = read_stats().heap_sys;
	assert_true(sys <= 96 << 20);
	hspan_gc();
}

static int setup(void **state)
{
	int ret = heap_setup(state);

	return ret ? ret : hspan_root_add(root, sizeof(root));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(explicit_keeps_and_frees),
		cmocka_unit_test(odd_pointers),
		cmocka_unit_test(one_call_is_enough),
		cmocka_unit_test(rings_die),
		cmocka_unit_test(from_many_threads_at_once),
		cmocka_unit_test(percent_decides),
		cmocka_unit_test(sizes_of_the_struct),
		cmocka_unit_test(figures_are_plausible),
		cmocka_unit_test(steady_state),
	};

	return cmocka_run_group_tests(tests, setup, heap_teardown);
}
