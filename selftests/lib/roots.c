// SPDX-License-Identifier: MIT
/* Roots, and every kind of word that keeps an object alive from outside. */
#include "common.h"

static void *table[64];

static void refuses_bad_ranges(void **state)
{
	(void)state;
	assert_int_equal(hspan_root_add(NULL, 8), -EINVAL);
	assert_int_equal(hspan_root_add(table, 0), -EINVAL);
	assert_int_equal(hspan_root_add((char *)table + 4, 8), -EINVAL);
	assert_int_equal(hspan_root_add(table, 12), -EINVAL);
	assert_int_equal(hspan_root_add(table, SIZE_MAX & ~7ul), -EINVAL);
	assert_int_equal(hspan_root_remove(table), -ENOENT);
	assert_int_equal(hspan_root_remove(NULL), -ENOENT);
}

static void add_and_remove(void **state)
{
	(void)state;
	assert_int_equal(hspan_root_add(table, sizeof(table)), 0);
	assert_int_equal(hspan_root_remove(&table[1]), -ENOENT);
	assert_int_equal(hspan_root_remove(table), 0);
	assert_int_equal(hspan_root_remove(table), -ENOENT);
}

static void fill(void *arg)
{
	hidden_t *h = arg;

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		void *p = hspan_alloc(8 + 40 * i);

		h[i] = hide(p);
		hspan_store(&table[i], p);
	}
}

static void keeps_until_removed(void **state)
{
	hidden_t h[ARRAY_SIZE(table)];

	(void)state;
	assert_int_equal(hspan_root_add(table, sizeof(table)), 0);
	elsewhere(fill, h);
	for (int i = 0; i < 3; i++) {
		hspan_gc();
		assert_int_equal(count_alive(h, ARRAY_SIZE(h)), ARRAY_SIZE(h));
	}
	hspan_store(&table[7], NULL);
	hspan_gc();
	assert_false(alive(h[7]));
	assert_int_equal(count_alive(h, ARRAY_SIZE(h)), ARRAY_SIZE(h) - 1);
	assert_int_equal(hspan_root_remove(table), 0);
	hspan_gc();
	assert_int_equal(count_alive(h, ARRAY_SIZE(h)), 0);
	hspan_clear(table, sizeof(table));
}

struct interior {
	size_t size;
	size_t offset;
	hidden_t h, child;
	bool noscan;
};

/* The only pointer to the object, with a child of its own, is @offset into it. */
static void make_interior(void *arg)
{
	struct interior *in = arg;
	char *p = in->noscan ? hspan_alloc_noscan(in->size) : hspan_alloc(in->size);

	in->h = hide(p);
	if (!in->noscan && in->size >= 16) {
		void *child = hspan_alloc(24);

		in->child = hide(child);
		hspan_store(p + (in->size / 2 & ~7ul), child);
	}
	hspan_store(&table[0], p + in->offset);
}

static void interior_pointers_keep(void **state)
{
	static const size_t sizes[] = { 1,    8,    16,	   24,	  48,	  64,	   100,
					1024, 5000, 32768, 32769, 100000, 1 << 20, 5 << 20 };

	(void)state;
	assert_int_equal(hspan_root_add(table, sizeof(table)), 0);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		/* Odd offsets too: text is walked by byte. */
		size_t offsets[] = { 0, 1, 3, 7, sizes[i] / 2, sizes[i] / 2 | 1, sizes[i] - 1 };

		for (size_t k = 0; k < 2 * ARRAY_SIZE(offsets); k++) {
			struct interior in = { .size = sizes[i],
					       .offset = offsets[k / 2],
					       .noscan = k & 1 };

			if (in.offset >= in.size)
				continue;
			elsewhere(make_interior, &in);
			hspan_gc();
			assert_true(alive(in.h));
			if (in.child)
				assert_true(alive(in.child));
			hspan_store(&table[0], NULL);
			hspan_gc();
			assert_false(alive(in.h));
			if (in.child)
				assert_false(alive(in.child));
		}
	}
	assert_int_equal(hspan_root_remove(table), 0);
}

/* Without a root: nothing but a local variable, and it points inside. */
static void stack_keeps(void **state)
{
	static const size_t offsets[] = { 0, 1, 8, 9, 40, 63 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(offsets); i++) {
		char *volatile p;
		struct interior in = { .size = 64, .offset = offsets[i] };

		hspan_root_add(table, sizeof(table));
		elsewhere(make_interior, &in);
		p = table[0];
		hspan_store(&table[0], NULL);
		hspan_root_remove(table);
		hspan_gc();
		hspan_gc();
		assert_true(alive(in.h));
		assert_true(alive(in.child));
		assert_ptr_equal(hspan_base(p), reveal(in.h));
		p = NULL;
		(void)p;
	}
}

#define MANY 300

static void many_roots(void **state)
{
	static void *slots[MANY];
	hidden_t h[MANY];

	(void)state;
	for (int i = 0; i < MANY; i++) {
		void *p = hspan_alloc(32);

		h[i] = hide(p);
		assert_int_equal(hspan_root_add(&slots[i], sizeof(slots[i])), 0);
		hspan_store(&slots[i], p);
	}
	scrub();
	hspan_gc();
	assert_int_equal(count_alive(h, MANY), MANY);
	for (int i = 0; i < MANY; i += 2)
		assert_int_equal(hspan_root_remove(&slots[i]), 0);
	scrub();
	hspan_gc();
	for (int i = 1; i < MANY; i += 2)
		assert_true(alive(h[i]));
	assert_true(count_alive(h, MANY) < MANY / 2 + 10);
	for (int i = 1; i < MANY; i += 2)
		assert_int_equal(hspan_root_remove(&slots[i]), 0);
}

static int done;

/* Pointers put there before the range became a root, while cycles run. */
static void *churn_roots(void *arg)
{
	void *slots[8] = { NULL };

	(void)arg;
	for (int i = 0; !__atomic_load_n(&done, __ATOMIC_ACQUIRE); i++) {
		for (size_t k = 0; k < ARRAY_SIZE(slots); k++) {
			uint64_t *p = hspan_alloc(64);

			must(p);
			p[3] = (uint64_t)i << 8 | k;
			slots[k] = p;
		}
		must(hspan_root_add(slots, sizeof(slots)) == 0);
		for (size_t k = 0; k < ARRAY_SIZE(slots); k++)
			must(((uint64_t *)slots[k])[3] == ((uint64_t)i << 8 | k));
		hspan_clear(slots, sizeof(slots));
		must(hspan_root_remove(slots) == 0);
	}
	return NULL;
}

/*
 * A root's content is taken to a local variable and the root removed, which no
 * store barrier sees.  The object was made by a thread scanned long ago.
 */
static NOINLINE void make_pair(void **slot, uint64_t id)
{
	uint64_t **p = hspan_alloc(64);

	must(p);
	hspan_store(&p[1], hspan_alloc_noscan(32));
	must(p[1]);
	*p[1] = id;
	hspan_store(slot, p);
}

static void *take_from_root(void *arg)
{
	uint64_t seed = 77;
	void **slot = calloc(1, sizeof(*slot));

	(void)arg;
	for (int i = 0; !__atomic_load_n(&done, __ATOMIC_ACQUIRE); i++) {
		uint64_t **volatile taken;

		must(hspan_root_add(slot, sizeof(*slot)) == 0);
		make_pair(slot, (uint64_t)i);
		scrub();
		for (uint64_t spin = next_random(&seed) % 3000; spin; spin--)
			__asm__ volatile("");
		taken = *slot;
		must(hspan_root_remove(slot) == 0);
		*slot = NULL;
		for (uint64_t spin = next_random(&seed) % 3000; spin; spin--)
			__asm__ volatile("");
		must(hspan_base((const void *)taken) == taken);
		must(*taken[1] == (uint64_t)i);
	}
	free(slot);
	return NULL;
}

/* Parked: the more of them, the longer a handshake takes. */
static void *idle(void *arg)
{
	(void)arg;
	must(hspan_thread_register() == 0);
	hspan_thread_park();
	while (!__atomic_load_n(&done, __ATOMIC_ACQUIRE))
		sleep_ms(5);
	hspan_thread_unpark();
	return NULL;
}

static void roots_come_and_go(void **state)
{
	pthread_t threads[4], idlers[60];
	int percent = hspan_gc_set_percent(100); /* paced: collections keep up with them */

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(idlers); i++)
		must(pthread_create(&idlers[i], NULL, idle, NULL) == 0);
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		must(pthread_create(&threads[i], NULL, i % 2 ? churn_roots : take_from_root,
				    NULL) == 0);
	for (int i = 0; i < EFFORT(80); i++)
		hspan_gc();
	__atomic_store_n(&done, 1, __ATOMIC_RELEASE);
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		pthread_join(threads[i], NULL);
	for (size_t i = 0; i < ARRAY_SIZE(idlers); i++)
		pthread_join(idlers[i], NULL);
	hspan_gc_set_percent(percent);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(refuses_bad_ranges),
		cmocka_unit_test(add_and_remove),
		cmocka_unit_test(keeps_until_removed),
		cmocka_unit_test(interior_pointers_keep),
		cmocka_unit_test(stack_keeps),
		cmocka_unit_test(many_roots),
		cmocka_unit_test(roots_come_and_go),
	};

	return run_group(tests);
}
