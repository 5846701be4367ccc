// SPDX-License-Identifier: MIT
/* A child of a program with a heap: it is refused politely, the parent goes on. */
#include "common.h"

static void *root[16];
static int done;

/* Cycles back to back, so that forks meet every phase of one. */
static void *churn(void *arg)
{
	uint64_t seed = (uintptr_t)arg;

	while (!__atomic_load_n(&done, __ATOMIC_ACQUIRE)) {
		void **p = hspan_alloc(16 + next_random(&seed) % 500);

		must(p);
		hspan_store(p, load(&root[next_random(&seed) % 16]));
		hspan_store_release(&root[next_random(&seed) % 16],
				    next_random(&seed) % 4 ? p : NULL);
	}
	return NULL;
}

static void *collect(void *arg)
{
	(void)arg;
	while (!__atomic_load_n(&done, __ATOMIC_ACQUIRE))
		hspan_gc();
	return NULL;
}

/* What a child may try. */
static int child_of_member(const void *arg)
{
	struct hspan_stats st = { .struct_size = sizeof(st) };
	void *const *slot = arg;

	errno = 0;
	expect(!hspan_alloc(40) && errno == ENOTSUP);
	errno = 0;
	expect(!hspan_alloc_noscan(100000) && errno == ENOTSUP);
	expect(hspan_init(NULL) == -EALREADY);
	expect(hspan_thread_register() == -EALREADY);
	hspan_gc();
	expect(hspan_stats_read(&st) == -ENOTSUP);
	expect(hspan_release() == 0);
	expect(hspan_root_add(root, 8) == -ENOTSUP);
	expect(hspan_root_remove(root) == -ENOTSUP);
	hspan_thread_park();
	hspan_thread_unpark();
	hspan_free(slot[0]);
	expect(hspan_shutdown() == -ENOTSUP);
	expect(hspan_thread_unregister() == 0);
	expect(hspan_thread_register() == -ENOTSUP);
	errno = 0;
	expect(!hspan_alloc(40) && errno == ENOTSUP);
	return 0;
}

static int forks_in_peace(const void *arg)
{
	void *volatile slot;

	(void)arg;
	expect(hspan_init(NULL) == 0);
	slot = hspan_alloc(64);
	expect(in_child(child_of_member, (const void *)&slot) == 0);
	hspan_gc();
	expect(hspan_base(slot) == slot);
	expect(hspan_alloc(100));
	return hspan_shutdown();
}

static void refused_politely(void **state)
{
	(void)state;
	assert_int_equal(in_child(forks_in_peace, NULL), 0);
}

static int forks_in_the_middle(const void *arg)
{
	pthread_t threads[4];
	void *volatile slot;
	int bad = 0;

	(void)arg;
	setenv("HUGESPAN_MIN_HEAP", "128K", 1);
	expect(hspan_init(NULL) == 0);
	expect(hspan_root_add(root, sizeof(root)) == 0);
	slot = hspan_alloc(64);
	for (uintptr_t i = 0; i < ARRAY_SIZE(threads); i++)
		expect(pthread_create(&threads[i], NULL, i % 2 ? collect : churn,
				      (void *)(i + 1)) == 0);
	for (int i = 0; i < EFFORT(80); i++)
		bad += in_child(child_of_member, (const void *)&slot) != 0;
	__atomic_store_n(&done, 1, __ATOMIC_RELEASE);
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		pthread_join(threads[i], NULL);
	expect(bad == 0);
	expect(hspan_base(slot) == slot);
	return hspan_shutdown();
}

static void at_any_moment(void **state)
{
	(void)state;
	if (UNDER_TSAN)
		return; /* its own locks are held for ever in such a child */
	assert_int_equal(in_child(forks_in_the_middle, NULL), 0);
}

static int outsiders_child(const void *arg)
{
	static void *slot;

	(void)arg;
	errno = 0;
	expect(!hspan_alloc(8) && errno == ENOTSUP);
	expect(hspan_thread_register() == -ENOTSUP);
	hspan_store(&slot, &slot); /* a store is just a store */
	expect(slot == &slot);
	expect(hspan_exchange(&slot, NULL) == &slot);
	expect(hspan_shutdown() == -ENOTSUP);
	return 0;
}

static void *fork_outside(void *arg)
{
	(void)arg;
	for (int i = 0; i < 10; i++)
		must(in_child(outsiders_child, NULL) == 0);
	return NULL;
}

/* The thread that forks does not take part. */
static int outsider(const void *arg)
{
	pthread_t thread, busy;

	(void)arg;
	expect(hspan_init(NULL) == 0);
	expect(pthread_create(&busy, NULL, collect, NULL) == 0);
	expect(pthread_create(&thread, NULL, fork_outside, NULL) == 0);
	expect(pthread_join(thread, NULL) == 0);
	__atomic_store_n(&done, 1, __ATOMIC_RELEASE);
	expect(pthread_join(busy, NULL) == 0);
	return hspan_shutdown();
}

static void outsiders(void **state)
{
	(void)state;
	assert_int_equal(in_child(outsider, NULL), 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(refused_politely),
		cmocka_unit_test(at_any_moment),
		cmocka_unit_test(outsiders),
	};

	alarm(240);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
