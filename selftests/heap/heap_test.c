// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Unit and property tests of the span heap on the host.
 *
 * HEAP_TEST_STEPS and HEAP_TEST_SEED set the property test's length and
 * first seed.
 */
#include "host.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "../../kmod/tests/heap_cases.h"
#include "../../kmod/tests/heap_model.h"

#define PROPERTY_SEEDS	8

static void ht_fail(struct ht_fixture *f, const char *file, int line,
		    const char *text)
{
	(void)f;
	_assert_true(0, text, file, line);
}

static int setup(void **state)
{
	struct ht_fixture *f = calloc(1, sizeof(*f));

	host_pin();
	*state = f;
	return f ? ht_init(f, NULL) : -1;
}

static int teardown(void **state)
{
	struct ht_fixture *f = *state;
	int wrong = (int)ht_exit(f);

	free(f);
	return wrong;
}

static u32 choose(struct hm_model *m, u32 below)
{
	return host_below(m->source, below);
}

static unsigned long setting(const char *name, unsigned long otherwise)
{
	const char *value = getenv(name);

	return value ? strtoul(value, NULL, 0) : otherwise;
}

static void run_property(uint64_t seed, unsigned long steps)
{
	struct ht_fixture *f = calloc(1, sizeof(*f));
	struct hm_model *m = calloc(1, sizeof(*m));
	unsigned long i;

	assert_non_null(f);
	assert_non_null(m);
	assert_int_equal(ht_init(f, NULL), 0);
	hm_init(m, f, choose, &seed);
	for (i = 0; i < steps; i++) {
		hm_step(m);
		if (i % 50 == 0)
			hm_check(m);
	}
	hspan_heap_set_limit(f->heap, HT_BLOCKS);
	hm_drain(m);
	assert_int_equal(ht_exit(f), 0);
	free(f);
	free(m);
}

static void property(void **state)
{
	unsigned long steps = setting("HEAP_TEST_STEPS", 20000);
	unsigned long seed = setting("HEAP_TEST_SEED", 1), i;

	(void)state;
	for (i = seed; i < seed + PROPERTY_SEEDS; i++) {
		print_message("# property test, seed %lu\n", i);
		run_property(i * 0x9e3779b97f4a7c15ULL, steps);
	}
}

#define WRAP(name)							\
static void name(void **state)						\
{									\
	ht_case_##name(*state);						\
}
HT_CASES(WRAP)

#define CASE(name)	cmocka_unit_test_setup_teardown(name, setup, teardown),

int main(void)
{
	const struct CMUnitTest tests[] = {
		HT_CASES(CASE)
		cmocka_unit_test(property),
	};

	return cmocka_run_group_tests_name("heap", tests, NULL, NULL);
}
