// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * KUnit suite "hugespan-heap": unit tests and a property test of the span
 * heap over a pretended arena, the same as the host runs.
 */
#include <kunit/test.h>
#include <linux/cpumask.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "heap_cases.h"
#include "heap_model.h"

#define PROPERTY_STEPS	3000
#define PROPERTY_SEEDS	4

static noinline void ht_fail(struct ht_fixture *f, const char *file, int line,
			     const char *text)
{
	KUNIT_ASSERT_TRUE_MSG((struct kunit *)f->test, false, "%s:%d: %s", file,
			      line, text);
}

/* On one CPU, so that a test knows which cache its spans are in. */
static void heap_kunit_pin(void)
{
	set_cpus_allowed_ptr(current, cpumask_of(raw_smp_processor_id()));
}

static int heap_kunit_init(struct kunit *test)
{
	struct ht_fixture *f = kunit_kzalloc(test, sizeof(*f), GFP_KERNEL);

	if (!f)
		return -ENOMEM;
	heap_kunit_pin();
	test->priv = f;
	return ht_init(f, test);
}

static void heap_kunit_exit(struct kunit *test)
{
	struct ht_fixture *f = test->priv;

	if (!f)
		return;
	KUNIT_EXPECT_EQ(test, ht_exit(f), 0U);
}

static u32 heap_kunit_choose(struct hm_model *m, u32 below)
{
	u32 *state = m->source;

	*state = *state * 1664525 + 1013904223;
	return (u32)(((u64)*state * below) >> 32);
}

static void heap_kunit_random(struct kunit *test, struct hm_model *m, u32 seed)
{
	struct ht_fixture *f = test->priv;
	u32 i;

	hm_init(m, f, heap_kunit_choose, &seed);
	m->sweepgen = f->control.sweepgen;
	for (i = 0; i < PROPERTY_STEPS; i++) {
		hm_step(m);
		if (i % 100 == 0)
			hm_check(m);
		cond_resched();
	}
	hspan_heap_set_limit(f->heap, HT_BLOCKS);
	hm_drain(m);
}

static void heap_kunit_property(struct kunit *test)
{
	struct hm_model *m = kunit_kzalloc(test, sizeof(*m), GFP_KERNEL);
	u32 seed;

	KUNIT_ASSERT_NOT_NULL(test, m);
	for (seed = 1; seed <= PROPERTY_SEEDS; seed++)
		heap_kunit_random(test, m, seed);
}

#define HEAP_KUNIT_WRAP(name)						\
static void heap_kunit_##name(struct kunit *test)			\
{									\
	ht_case_##name(test->priv);					\
}
HT_CASES(HEAP_KUNIT_WRAP)

#define HEAP_KUNIT_CASE(name)	KUNIT_CASE(heap_kunit_##name),

static struct kunit_case heap_kunit_cases[] = {
	HT_CASES(HEAP_KUNIT_CASE)
	KUNIT_CASE(heap_kunit_property),
	{}
};

static struct kunit_suite heap_kunit_suite = {
	.name = "hugespan-heap",
	.init = heap_kunit_init,
	.exit = heap_kunit_exit,
	.test_cases = heap_kunit_cases,
};

kunit_test_suites(&heap_kunit_suite);
