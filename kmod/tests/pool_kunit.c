// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests of the pool: zeroed before reuse, bounded, nothing lost.
 *
 * Each has a pool of its own, without a thread unless it starts one.  Folios
 * that are put lie on the node they came from, and all from one, as tests do
 * not move.
 */
#include <kunit/test.h>
#include <linux/delay.h>
#include <linux/highmem.h>
#include <linux/mm.h>

#include "../hugespan.h"

#define TEST_HIGH	4

static int pool_test_init(struct kunit *test)
{
	struct hspan_pool *pool;

	pool = kunit_kzalloc(test, sizeof(*pool), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, pool);
	KUNIT_ASSERT_EQ(test, hspan_pool_init(pool, TEST_HIGH), 0);
	test->priv = pool;
	return 0;
}

static void pool_test_exit(struct kunit *test)
{
	struct hspan_pool *pool = test->priv;

	if (pool && pool->nodes) {
		hspan_poolthread_stop(pool);
		hspan_pool_exit(pool);
	}
}

static struct folio *take(struct kunit *test)
{
	struct folio *folio = hspan_pool_take(test->priv, true);

	KUNIT_ASSERT_NOT_NULL(test, folio);
	return folio;
}

static void fill(struct folio *folio, int byte)
{
	memset(folio_address(folio), byte, HSPAN_BLOCK_SIZE);
}

static bool is_zero(struct folio *folio)
{
	return !memchr_inv(folio_address(folio), 0, HSPAN_BLOCK_SIZE);
}

#define COUNT(pool, field) atomic_long_read(&(pool)->field)

static long nr_free(struct hspan_pool *pool)
{
	return hspan_pool_nr_free(pool, HSPAN_STOCK_FREE);
}

static long nr_reserve(struct hspan_pool *pool)
{
	return hspan_pool_nr_free(pool, HSPAN_STOCK_RESERVE);
}

static void fresh_block(struct kunit *test)
{
	struct hspan_pool *pool = test->priv;
	struct folio *folio = take(test);

	KUNIT_EXPECT_EQ(test, folio_order(folio), HSPAN_BLOCK_ORDER);
	KUNIT_EXPECT_EQ(test, folio_ref_count(folio), 1);
	KUNIT_EXPECT_TRUE(test, is_zero(folio));
	KUNIT_EXPECT_EQ(test, COUNT(pool, in_use), 1L);
	KUNIT_EXPECT_EQ(test, COUNT(pool, nr_allocated), 1L);
	hspan_pool_put(pool, folio);
	KUNIT_EXPECT_EQ(test, COUNT(pool, in_use), 0L);
	KUNIT_EXPECT_EQ(test, nr_free(pool), 1L);
}

static void zeroed_before_reuse(struct kunit *test)
{
	struct hspan_pool *pool = test->priv;
	struct folio *folio = take(test), *again;
	int round;

	for (round = 0; round < 3; round++) {
		fill(folio, 0xa5);
		folio_mark_dirty(folio);
		hspan_pool_put(pool, folio);
		again = take(test);
		KUNIT_EXPECT_PTR_EQ(test, again, folio);
		KUNIT_EXPECT_TRUE(test, is_zero(again));
		KUNIT_EXPECT_FALSE(test, folio_test_dirty(again));
		KUNIT_EXPECT_EQ(test, folio_ref_count(again), 1);
	}
	KUNIT_EXPECT_EQ(test, COUNT(pool, nr_recycled), 3L);
	KUNIT_EXPECT_EQ(test, COUNT(pool, nr_zeroed), 3L);
	KUNIT_EXPECT_EQ(test, COUNT(pool, nr_allocated), 1L);
	hspan_pool_put(pool, folio);
}

static void no_more_than_high(struct kunit *test)
{
	struct folio *folios[TEST_HIGH + 2];
	struct hspan_pool *pool = test->priv;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(folios); i++)
		folios[i] = take(test);
	for (i = 0; i < ARRAY_SIZE(folios); i++)
		hspan_pool_put(pool, folios[i]);
	KUNIT_EXPECT_EQ(test, nr_free(pool), (long)TEST_HIGH);
	KUNIT_EXPECT_EQ(test, COUNT(pool, nr_freed), 2L);
	hspan_pool_set_high(pool, 1);
	KUNIT_EXPECT_EQ(test, nr_free(pool), 1L);
	hspan_pool_set_high(pool, 0);
	KUNIT_EXPECT_EQ(test, nr_free(pool), 0L);
	hspan_pool_set_high(pool, ULONG_MAX);
	hspan_pool_put(pool, take(test));
	KUNIT_EXPECT_EQ(test, nr_free(pool), 1L);
}

static void shrink_some(struct kunit *test)
{
	struct hspan_pool *pool = test->priv;
	struct folio *a = take(test), *b = take(test);

	hspan_pool_put(pool, a);
	hspan_pool_put(pool, b);
	KUNIT_EXPECT_EQ(test, hspan_pool_shrink(pool, 0), 0UL);
	KUNIT_EXPECT_EQ(test, hspan_pool_shrink(pool, 1), 1UL);
	KUNIT_EXPECT_EQ(test, nr_free(pool), 1L);
	KUNIT_EXPECT_EQ(test, hspan_pool_shrink(pool, ULONG_MAX), 1UL);
	KUNIT_EXPECT_EQ(test, hspan_pool_shrink(pool, ULONG_MAX), 0UL);
}

/* A block that someone else refers to is never handed out again. */
static void forgotten_block(struct kunit *test)
{
	struct hspan_pool *pool = test->priv;
	struct folio *folio = take(test);

	folio_get(folio);
	hspan_pool_forget(pool, folio);
	KUNIT_EXPECT_EQ(test, COUNT(pool, in_use), 0L);
	KUNIT_EXPECT_EQ(test, nr_free(pool), 0L);
	KUNIT_EXPECT_EQ(test, COUNT(pool, nr_lost), 1L);
	KUNIT_EXPECT_EQ(test, folio_ref_count(folio), 1);
	folio_put(folio);
}

static void poisoned_block(struct kunit *test)
{
	struct hspan_pool *pool = test->priv;
	struct folio *folio = take(test);

	folio_set_has_hwpoisoned(folio);
	if (!folio_test_has_hwpoisoned(folio)) {
		hspan_pool_put(pool, folio);
		kunit_skip(test, "kernel without memory failure");
	}
	hspan_pool_put(pool, folio);
	KUNIT_EXPECT_EQ(test, nr_free(pool), 0L);
	KUNIT_EXPECT_EQ(test, COUNT(pool, nr_freed), 0L);
	KUNIT_EXPECT_EQ(test, COUNT(pool, nr_poisoned), 1L);
	KUNIT_EXPECT_EQ(test, folio_ref_count(folio), 1);
	folio_clear_has_hwpoisoned(folio);	/* it was a lie */
	folio_put(folio);
}

/* Poison found while the block waits keeps it from the next taker. */
static void poisoned_while_waiting(struct kunit *test)
{
	struct hspan_pool *pool = test->priv;
	struct folio *folio = take(test), *other;

	hspan_pool_put(pool, folio);
	folio_set_has_hwpoisoned(folio);
	if (!folio_test_has_hwpoisoned(folio))
		kunit_skip(test, "kernel without memory failure");
	other = take(test);
	KUNIT_EXPECT_PTR_NE(test, other, folio);
	KUNIT_EXPECT_EQ(test, COUNT(pool, nr_poisoned), 1L);
	hspan_pool_put(pool, other);
	folio_clear_has_hwpoisoned(folio);
	folio_put(folio);
}

/* One bad page in the middle, which memory failure did not sum up. */
static void poisoned_page(struct kunit *test)
{
#ifdef CONFIG_MEMORY_FAILURE
	struct hspan_pool *pool = test->priv;
	struct folio *folio = take(test), *other;
	struct page *page = folio_page(folio, 77);

	hspan_pool_put(pool, folio);
	SetPageHWPoison(page);
	KUNIT_EXPECT_TRUE(test, hspan_pool_prepare(pool));
	KUNIT_EXPECT_EQ(test, nr_free(pool), 0L);
	KUNIT_EXPECT_EQ(test, COUNT(pool, nr_prepared), 0L);
	KUNIT_EXPECT_EQ(test, COUNT(pool, nr_poisoned), 1L);
	KUNIT_EXPECT_EQ(test, folio_ref_count(folio), 1);

	other = take(test);
	KUNIT_EXPECT_PTR_NE(test, other, folio);
	hspan_pool_put(pool, other);
	ClearPageHWPoison(page);
	folio_put(folio);
#else
	kunit_skip(test, "kernel without memory failure");
#endif
}

static void poisoned_page_is_not_freed(struct kunit *test)
{
#ifdef CONFIG_MEMORY_FAILURE
	struct hspan_pool *pool = test->priv;
	struct folio *folio = take(test);

	hspan_pool_put(pool, folio);
	SetPageHWPoison(folio_page(folio, HSPAN_BLOCK_NR - 1));
	KUNIT_EXPECT_EQ(test, hspan_pool_shrink(pool, 1), 1UL);
	KUNIT_EXPECT_EQ(test, COUNT(pool, nr_freed), 0L);
	KUNIT_EXPECT_EQ(test, COUNT(pool, nr_poisoned), 1L);
	ClearPageHWPoison(folio_page(folio, HSPAN_BLOCK_NR - 1));
	folio_put(folio);
#else
	kunit_skip(test, "kernel without memory failure");
#endif
}

static void prepared_ahead(struct kunit *test)
{
	struct hspan_pool *pool = test->priv;
	struct folio *folio = take(test);

	KUNIT_EXPECT_FALSE(test, hspan_pool_prepare(pool));
	fill(folio, 0x77);
	hspan_pool_put(pool, folio);
	KUNIT_EXPECT_TRUE(test, hspan_pool_has_dirty(pool));
	KUNIT_EXPECT_EQ(test, hspan_pool_nr_clean(pool), 0UL);
	KUNIT_EXPECT_TRUE(test, hspan_pool_prepare(pool));
	KUNIT_EXPECT_FALSE(test, hspan_pool_has_dirty(pool));
	KUNIT_EXPECT_FALSE(test, hspan_pool_prepare(pool));
	KUNIT_EXPECT_EQ(test, hspan_pool_nr_clean(pool), 1UL);
	KUNIT_EXPECT_PTR_EQ(test, take(test), folio);
	KUNIT_EXPECT_TRUE(test, is_zero(folio));
	KUNIT_EXPECT_EQ(test, COUNT(pool, nr_zeroed), 0L);
	KUNIT_EXPECT_EQ(test, COUNT(pool, nr_prepared), 1L);
	hspan_pool_put(pool, folio);
}

/* The mark is lowered while the thread has a block in hand. */
static void prepared_over_high(struct kunit *test)
{
	struct hspan_pool *pool = test->priv;

	hspan_pool_put(pool, take(test));
	pool->high = 0;
	KUNIT_EXPECT_TRUE(test, hspan_pool_prepare(pool));
	KUNIT_EXPECT_EQ(test, nr_free(pool), 0L);
	KUNIT_EXPECT_EQ(test, COUNT(pool, nr_freed), 1L);
}

static void filled_up_to_low(struct kunit *test)
{
	struct hspan_pool *pool = test->priv;
	unsigned int nodes = num_node_state(N_MEMORY), i;

	KUNIT_EXPECT_FALSE(test, hspan_pool_is_low(pool));
	pool->low = 2;
	KUNIT_EXPECT_TRUE(test, hspan_pool_is_low(pool));
	for (i = 0; i < 2 * nodes; i++)
		KUNIT_EXPECT_TRUE(test, hspan_pool_prefill(pool));
	KUNIT_EXPECT_FALSE(test, hspan_pool_is_low(pool));
	KUNIT_EXPECT_FALSE(test, hspan_pool_prefill(pool));
	KUNIT_EXPECT_EQ(test, nr_free(pool), 2L * nodes);
	KUNIT_EXPECT_EQ(test, hspan_pool_nr_clean(pool), 2UL * nodes);
	KUNIT_EXPECT_EQ(test, COUNT(pool, nr_prefilled), 2L * nodes);

	pool->low = ULONG_MAX;	/* never more than high */
	while (hspan_pool_prefill(pool))
		continue;
	KUNIT_EXPECT_EQ(test, nr_free(pool), (long)TEST_HIGH * nodes);
}

static void reserve_stays(struct kunit *test)
{
	struct hspan_pool *pool = test->priv;
	struct folio *folios[4];
	unsigned int i;

	pool->high = 0;
	KUNIT_EXPECT_EQ(test, hspan_pool_reserve(pool, 3), 3UL);
	KUNIT_EXPECT_EQ(test, COUNT(pool, nr_reserved), 3L);
	KUNIT_EXPECT_EQ(test, nr_reserve(pool), 3L);
	KUNIT_EXPECT_EQ(test, nr_free(pool), 0L);
	KUNIT_EXPECT_EQ(test, hspan_pool_shrink(pool, ULONG_MAX), 0UL);
	for (i = 0; i < ARRAY_SIZE(folios); i++) {
		folios[i] = take(test);
		fill(folios[i], 0xee);
	}
	KUNIT_EXPECT_EQ(test, nr_reserve(pool), 0L);
	for (i = 0; i < ARRAY_SIZE(folios); i++)
		hspan_pool_put(pool, folios[i]);
	KUNIT_EXPECT_EQ(test, nr_reserve(pool), 3L);
	KUNIT_EXPECT_EQ(test, nr_free(pool), 0L);
	KUNIT_EXPECT_EQ(test, COUNT(pool, nr_freed), 1L);
	while (hspan_pool_prepare(pool))
		continue;
	KUNIT_EXPECT_EQ(test, hspan_pool_nr_clean(pool), 3UL);
	folios[0] = take(test);
	KUNIT_EXPECT_TRUE(test, is_zero(folios[0]));
	folio_get(folios[0]);
	hspan_pool_forget(pool, folios[0]);	/* lost to the reserve too */
	KUNIT_EXPECT_EQ(test, COUNT(pool, nr_reserved), 2L);
	folio_put(folios[0]);
}

/* With the thread at work, whoever takes a block sees nobody's bytes. */
static void thread_against_takers(struct kunit *test)
{
	struct hspan_pool *pool = test->priv;
	struct folio *folios[TEST_HIGH];
	unsigned int round, i, nr, dirty = 0;

	KUNIT_ASSERT_EQ(test, hspan_poolthread_start(pool), 0);
	for (round = 0; round < 40; round++) {
		nr = 1 + round % TEST_HIGH;
		for (i = 0; i < nr; i++) {
			folios[i] = take(test);
			dirty += !is_zero(folios[i]);
			fill(folios[i], 0x11 + round);
		}
		for (i = 0; i < nr; i++)
			hspan_pool_put(pool, folios[i]);
		if (round % 4 == 3)
			msleep(20);
	}
	KUNIT_EXPECT_EQ(test, dirty, 0U);
	for (i = 0; i < 500 && hspan_pool_nr_clean(pool) < nr_free(pool); i++)
		msleep(20);
	KUNIT_EXPECT_EQ(test, hspan_pool_nr_clean(pool), (unsigned long)TEST_HIGH);
	KUNIT_EXPECT_GT(test, COUNT(pool, nr_prepared), 0L);
	KUNIT_EXPECT_EQ(test, COUNT(pool, in_use), 0L);
}

static void thread_fills(struct kunit *test)
{
	struct hspan_pool *pool = test->priv;
	long want = 2L * num_node_state(N_MEMORY);
	unsigned int i;

	KUNIT_ASSERT_EQ(test, hspan_poolthread_start(pool), 0);
	hspan_poolthread_set_low(pool, 2);
	for (i = 0; i < 500 && nr_free(pool) < want; i++)
		msleep(20);
	KUNIT_EXPECT_EQ(test, nr_free(pool), want);
	/* It keeps away from memory that somebody else needed. */
	hspan_pool_shrink(pool, 1);
	msleep(200);
	KUNIT_EXPECT_EQ(test, nr_free(pool), want - 1);
}

static struct kunit_case pool_cases[] = {
	KUNIT_CASE(fresh_block),
	KUNIT_CASE(zeroed_before_reuse),
	KUNIT_CASE(no_more_than_high),
	KUNIT_CASE(shrink_some),
	KUNIT_CASE(forgotten_block),
	KUNIT_CASE(poisoned_block),
	KUNIT_CASE(poisoned_while_waiting),
	KUNIT_CASE(poisoned_page),
	KUNIT_CASE(poisoned_page_is_not_freed),
	KUNIT_CASE(prepared_ahead),
	KUNIT_CASE(prepared_over_high),
	KUNIT_CASE(filled_up_to_low),
	KUNIT_CASE(reserve_stays),
	KUNIT_CASE(thread_against_takers),
	KUNIT_CASE(thread_fills),
	{}
};

static struct kunit_suite pool_suite = {
	.name = "hugespan-pool",
	.init = pool_test_init,
	.exit = pool_test_exit,
	.test_cases = pool_cases,
};

kunit_test_suite(pool_suite);
