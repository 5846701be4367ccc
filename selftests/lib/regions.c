// SPDX-License-Identifier: MIT
/* Regions and pools: what they hand out, what they keep, and what they drop. */
#include "common.h"

#define NR 200

/* Regions ----------------------------------------------------------------- */

static struct hspan_region *region; /* a root */

static bool is_zero(const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (p[i])
			return false;
	return true;
}

/* Objects of all sizes, zero at first, that keep what is written to them. */
static void fill(unsigned int flags, size_t (*size_of)(uint64_t *seed))
{
	struct hspan_region *r = hspan_region_create(flags);
	size_t sizes[NR];
	char *object[NR];
	uint64_t seed = 42;

	assert_non_null(r);
	for (int i = 0; i < NR; i++) {
		sizes[i] = size_of(&seed);
		object[i] = hspan_region_alloc(r, sizes[i]);
		assert_non_null(object[i]);
		assert_int_equal((uintptr_t)object[i] % 16, 0);
		assert_true(flags & HSPAN_REGION_NOSCAN || is_zero(object[i], sizes[i]));
		memset(object[i], i + 1, sizes[i]);
	}
	hspan_gc();
	for (int i = 0; i < NR; i++)
		for (size_t k = 0; k < sizes[i]; k++)
			assert_int_equal((unsigned char)object[i][k], i + 1);
	hspan_region_destroy(r);
}

static size_t small(uint64_t *seed)
{
	return next_random(seed) % 300;
}

static size_t mixed(uint64_t *seed)
{
	return next_random(seed) % (next_random(seed) % 16 ? 2000 : 100000);
}

static void keeps_bytes(void **state)
{
	(void)state;
	for (unsigned int flags = 0; flags <= HSPAN_REGION_NOSCAN; flags++)
		for (int i = 0; i < 3; i++) {
			fill(flags, small);
			fill(flags, mixed);
		}
}

static void refuses(void **state)
{
	struct hspan_region *r = hspan_region_create(0);

	(void)state;
	errno = 0;
	assert_null(hspan_region_create(1u << 7));
	assert_int_equal(errno, EINVAL);
	assert_non_null(r);
	for (size_t wrap = 0; wrap < 32; wrap++) {
		errno = 0;
		assert_null(hspan_region_alloc(r, SIZE_MAX - wrap));
		assert_int_equal(errno, ENOMEM);
	}
	assert_non_null(hspan_region_alloc(r, 0));
	hspan_region_destroy(r);
	hspan_region_destroy(NULL);
}

/* A region's objects, each pointing to an object outside. */
static void open_region(void *h)
{
	hidden_t *out = h;

	hspan_store(&region, hspan_region_create(0));
	must(region);
	for (int i = 0; i < NR; i++) {
		void **object = hspan_region_alloc(region, 1000);

		must(object);
		hspan_store(object, hspan_alloc(100));
		out[i] = hide(*object);
	}
}

static void close_region(void *arg)
{
	(void)arg;
	hspan_region_reset(region);
}

static void drop_region(void *arg)
{
	(void)arg;
	hspan_store(&region, NULL);
}

/* The two collections: what a chunk in the pool still held, and its objects. */
static void keeps_until(void (*end)(void *arg))
{
	hidden_t h[NR];

	assert_int_equal(hspan_root_add(&region, sizeof(region)), 0);
	elsewhere(open_region, h);
	hspan_gc();
	assert_int_equal(count_alive(h, NR), NR);
	elsewhere(end, NULL);
	hspan_gc();
	assert_true(count_alive(h, NR) <= 2); /* a stale word or two */
	elsewhere(drop_region, NULL);
	assert_int_equal(hspan_root_remove(&region), 0);
}

static void keeps_until_reset(void **state)
{
	(void)state;
	keeps_until(close_region);
}

static void collected_when_dropped(void **state)
{
	(void)state;
	keeps_until(drop_region);
}

/* A row of regions takes no more memory than one. */
static void memory_comes_back(void **state)
{
	uint64_t before = read_stats().total_alloc;

	(void)state;
	for (int i = 0; i < 1000; i++) {
		struct hspan_region *r = hspan_region_create(i & 1);

		assert_non_null(r);
		for (int k = 0; k < 25; k++)
			assert_non_null(hspan_region_alloc(r, 1000));
		hspan_region_destroy(r);
	}
	assert_true(read_stats().total_alloc - before < 5 << 20);
}

/* Regions while a collector runs, which looks for what is lost. */
static void *use_regions(void *arg)
{
	uint64_t seed = (uintptr_t)arg;

	for (long i = 0; i < EFFORT(300); i++) {
		struct hspan_region *r = hspan_region_create(0);
		void **last = NULL;

		must(r);
		for (int k = 0; k < 500; k++) {
			void **object = hspan_region_alloc(r, 16 + next_random(&seed) % 200);

			must(object && !object[0] && !object[1]);
			hspan_store(&object[0], last);
			hspan_store(&object[1], hspan_alloc(32));
			memset(object[1], 0x11, 32);
			last = object;
		}
		for (void **object = last; object; object = object[0])
			must(*(int *)object[1] == 0x11111111);
		hspan_region_destroy(r);
	}
	return NULL;
}

static void beside_the_collector(void **state)
{
	pthread_t thread[2];

	(void)state;
	for (uintptr_t i = 0; i < 2; i++)
		must(pthread_create(&thread[i], NULL, use_regions, (void *)(i + 1)) == 0);
	for (long i = 0; i < EFFORT(40); i++)
		hspan_gc();
	for (int i = 0; i < 2; i++)
		must(pthread_join(thread[i], NULL) == 0);
}

/* Pools ------------------------------------------------------------------- */

static struct hspan_pool *pool;
static int made;

static void *make(void *arg)
{
	__atomic_add_fetch(&made, 1, __ATOMIC_RELAXED);
	return hspan_alloc((size_t)arg);
}

static void gives_what_was_put(void **state)
{
	void *object;

	(void)state;
	pool = hspan_pool_create(NULL, NULL);
	assert_non_null(pool);
	assert_null(hspan_pool_get(pool));
	object = hspan_alloc(64);
	hspan_pool_put(pool, NULL);
	hspan_pool_put(pool, object);
	assert_ptr_equal(hspan_pool_get(pool), object);
	assert_null(hspan_pool_get(pool));
	hspan_pool_destroy(pool);
	hspan_pool_destroy(NULL);
}

static void makes_what_is_missing(void **state)
{
	void *object;

	(void)state;
	made = 0;
	pool = hspan_pool_create(make, (void *)48);
	assert_non_null(pool);
	object = hspan_pool_get(pool);
	assert_int_equal(hspan_usable_size(object), 48);
	hspan_pool_put(pool, object);
	assert_ptr_equal(hspan_pool_get(pool), object);
	assert_int_equal(made, 1);
	hspan_pool_destroy(pool);
}

static void put_one(void *h)
{
	void *object = hspan_alloc(64);

	must(object);
	*(hidden_t *)h = hide(object);
	hspan_pool_put(pool, object);
}

static void emptied_by_the_second_collection(void **state)
{
	hidden_t h;

	(void)state;
	pool = hspan_pool_create(NULL, NULL);
	elsewhere(put_one, &h);
	hspan_gc();
	assert_true(alive(h));
	hspan_gc();
	assert_false(alive(h));
	assert_null(hspan_pool_get(pool));
	hspan_pool_destroy(pool);
}

static int stop;

/* An object has one user at a time, whoever made it. */
static void *use_pool(void *arg)
{
	int *object;

	(void)arg;
	for (long i = 0; i < EFFORT(100000); i++) {
		object = hspan_pool_get(pool);
		must(object && !__atomic_exchange_n(object, 1, __ATOMIC_RELAXED));
		must(__atomic_exchange_n(object, 0, __ATOMIC_RELAXED) == 1);
		hspan_pool_put(pool, object);
	}
	__atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
	return NULL;
}

static void never_given_twice(void **state)
{
	pthread_t thread[3];

	(void)state;
	made = stop = 0;
	pool = hspan_pool_create(make, (void *)16);
	for (int i = 0; i < 3; i++)
		must(pthread_create(&thread[i], NULL, use_pool, NULL) == 0);
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED))
		hspan_gc();
	for (int i = 0; i < 3; i++)
		must(pthread_join(thread[i], NULL) == 0);
	assert_true(made >= 1 && made < 3 * EFFORT(100000));
	hspan_pool_destroy(pool);
}

/* A pool outlives the heap, empty. */
static void survives_the_heap(void **state)
{
	pool = hspan_pool_create(NULL, NULL);
	hspan_pool_put(pool, hspan_alloc(64));
	assert_int_equal(hspan_shutdown(), 0);
	assert_null(hspan_pool_get(pool));
	assert_int_equal(heap_setup(state), 0);
	hspan_pool_put(pool, hspan_alloc(64));
	hspan_gc();
	assert_non_null(hspan_pool_get(pool));
	hspan_pool_destroy(pool);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keeps_bytes),
		cmocka_unit_test(refuses),
		cmocka_unit_test(keeps_until_reset),
		cmocka_unit_test(collected_when_dropped),
		cmocka_unit_test(memory_comes_back),
		cmocka_unit_test(beside_the_collector),
		cmocka_unit_test(gives_what_was_put),
		cmocka_unit_test(makes_what_is_missing),
		cmocka_unit_test(emptied_by_the_second_collection),
		cmocka_unit_test(never_given_twice),
		cmocka_unit_test(survives_the_heap),
	};

	return run_group(tests);
}
