// SPDX-License-Identifier: MIT
/*
 * The pacer's arithmetic in a simulated world: mutators that allocate, markers
 * that mark, and steps in load, live size and pointer density.
 */
#include "../../userlib/src/pace.h"
#include "../../userlib/src/share.h"
#include "common.h"

#define MIB (1ull << 20)
#define STEP_NS 10000.0
#define OVERDRAFT(goal) ((goal) / 64 + MIB) /* what a mutator may take before it has to wait */
#define MAX_MUTATORS 4

/**
 * struct world - what the pacer has to do with
 * @live: bytes reachable
 * @alloc, @mark: bytes in a nanosecond, of one mutator, of all markers
 * @assist: the same, of a mutator that marks
 * @jitter: parts in a hundred by which @alloc and @mark vary from cycle to cycle
 * @now, @heap: time and bytes of the heap
 * @busy: when a mutator is done with its share
 * @end, @start: bytes of the heap when the last cycle ended and began
 * @stalled: share of the last cycle in which mutators did not run
 * @gap: time between the last two cycles
 */
struct world {
	struct hs_pace p;
	struct hs_pace_rules rules;
	double live, alloc, mark, assist;
	unsigned int mutators, jitter;
	uint64_t seed;
	double now, heap, busy[MAX_MUTATORS];
	double end, start, stalled, gap;
};

static struct world make_world(double live, double alloc, double mark)
{
	struct world w = {
		.rules = { .percent = 100, .min_heap = 4 * MIB },
		.live = live,
		.alloc = alloc,
		.mark = mark,
		.assist = mark,
		.mutators = 1,
		.seed = 1,
	};

	hs_pace_init(&w.p, &w.rules);
	return w;
}

static double vary(struct world *w, double x)
{
	if (!w->jitter)
		return x;
	return x * (100 + (double)(next_random(&w->seed) % (2 * w->jitter)) - w->jitter) / 100;
}

/* One mutator, one step: allocate, look, and mark or wait. */
static void mutate(struct world *w, unsigned int i, double alloc, struct hs_pace_cycle *c, double *done)
{
	uint64_t behind, share;

	if (w->busy[i] > w->now)
		return;
	if (w->heap <= (double)(w->p.goal + w->p.goal / 64 + MIB / 2))
		w->heap += alloc * STEP_NS;
	else
		c->stalled_ns += (uint64_t)STEP_NS; /* it waits, but marks first */
	behind = hs_pace_behind(&w->p, (uint64_t)w->start, (uint64_t)w->heap, (uint64_t)*done);
	if (!behind)
		return;
	share = hs_pace_share(&w->p, (uint64_t)w->start, behind, (uint64_t)(alloc * STEP_NS));
	*done += (double)share;
	c->assisted += share;
	c->stalled_ns += (uint64_t)((double)share / w->assist);
	w->busy[i] = w->now + (double)share / w->assist;
}

/* Up to the trigger, and through a cycle. */
static void run_cycle(struct world *w)
{
	double alloc = vary(w, w->alloc), mark = vary(w, w->mark), begin, done = 0, work;
	struct hs_pace_cycle c = { .mutators = w->mutators };

	w->gap = 0;
	if (w->heap < (double)w->p.trigger) {
		w->gap = ((double)w->p.trigger - w->heap) / alloc / w->mutators;
		w->heap = (double)w->p.trigger;
	}
	w->now += w->gap;
	begin = w->now;
	w->start = w->heap;
	work = w->live < w->start ? w->live : w->start;
	while (done < work) {
		w->now += STEP_NS;
		assert_true(w->now - begin < 1e11);
		done += mark * STEP_NS;
		for (unsigned int i = 0; i < w->mutators; i++)
			mutate(w, i, alloc, &c, &done);
	}
	w->end = w->heap;
	c.now = (uint64_t)w->now;
	c.ns = (uint64_t)(w->now - begin);
	c.marked = (uint64_t)work;
	c.black = c.allocated = (uint64_t)(w->heap - w->start);
	if (c.assisted > c.marked)
		c.assisted = c.marked;
	w->stalled = (double)c.stalled_ns / (double)c.ns / w->mutators;
	hs_pace_cycle_done(&w->p, &w->rules, &c);
	w->heap = (double)w->p.heap;
}

/* @n cycles, none of which may overshoot its goal. */
static void run_cycles(struct world *w, int n)
{
	for (int i = 0; i < n; i++) {
		uint64_t goal = w->p.goal;

		run_cycle(w);
		if (w->end > (double)(goal + OVERDRAFT(goal)))
			fail_msg("cycle %d: %.1f MiB for a goal of %.1f", i, w->end / MIB,
				 (double)goal / MIB);
	}
}

/* The next @n cycles end near their goals, and keep mutators from little. */
static void assert_settled(struct world *w, int n, double most_stalled)
{
	for (int i = 0; i < n; i++) {
		double goal = (double)w->p.goal;

		run_cycles(w, 1);
		if (w->end < goal * 0.8 || w->stalled > most_stalled)
			fail_msg("cycle %d: %.1f MiB for a goal of %.1f, %.0f %% stalled", i,
				 w->end / MIB, goal / MIB, w->stalled * 100);
	}
}

static void settles_from_nothing(void **state)
{
	struct world w = make_world(64 * MIB, 0.5, 2);

	(void)state;
	run_cycles(&w, 20);
	assert_settled(&w, 20, 0.02);
	assert_int_equal(w.p.goal, 2 * w.p.marked);
}

static void settles_with_jitter(void **state)
{
	struct world w = make_world(64 * MIB, 0.5, 2);
	double stalled = 0;

	(void)state;
	w.jitter = 20;
	run_cycles(&w, 20);
	for (int i = 0; i < 200; i++) {
		assert_settled(&w, 1, 0.5);
		stalled += w.stalled / 200;
	}
	assert_true(stalled < 0.03);
}

static void settles_after_a_step_in_load(void **state)
{
	static const double loads[] = { 0.01, 0.8, 0.05, 0.4, 0.001 };
	struct world w = make_world(64 * MIB, 0.2, 2);

	(void)state;
	run_cycles(&w, 20);
	for (size_t i = 0; i < ARRAY_SIZE(loads); i++) {
		w.alloc = loads[i];
		run_cycles(&w, 20);
		assert_settled(&w, 10, 0.02);
	}
}

static void settles_after_a_step_in_mutators(void **state)
{
	struct world w = make_world(64 * MIB, 0.2, 2);

	(void)state;
	run_cycles(&w, 20);
	w.mutators = 4;
	run_cycles(&w, 5);
	assert_settled(&w, 10, 0.02);
	w.mutators = 1;
	run_cycles(&w, 20);
	assert_settled(&w, 10, 0.02);
}

static void settles_after_a_step_in_live_size(void **state)
{
	static const double sizes[] = { 256, 32, 1024, 8 };
	struct world w = make_world(64 * MIB, 0.5, 2);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		w.live = sizes[i] * MIB;
		run_cycles(&w, 30);
		w.now += 10e9; /* long enough to forget the larger goal */
		run_cycles(&w, 1);
		assert_int_equal(w.p.goal, 2 * w.p.marked);
		run_cycles(&w, 10);
		assert_settled(&w, 10, 0.02);
	}
}

static void settles_after_a_step_in_pointer_density(void **state)
{
	static const double speeds[] = { 0.5, 8, 1 };
	struct world w = make_world(64 * MIB, 0.2, 2);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(speeds); i++) {
		w.mark = w.assist = speeds[i];
		run_cycles(&w, 30);
		assert_settled(&w, 10, 0.02);
	}
}

/* Faster than markers can mark: mutators pay, memory stays bounded. */
static void mutators_pay_for_too_much(void **state)
{
	struct world w = make_world(64 * MIB, 4, 2);

	(void)state;
	w.mutators = 3;
	run_cycles(&w, 100);
	assert_true(w.stalled > 0.2);
	assert_true(w.end <= 140 * MIB);
	w.alloc = 0.1; /* and are free again */
	run_cycles(&w, 20);
	assert_settled(&w, 10, 0.02);
}

/* The markers get no CPU at all. */
static void mutators_mark_alone(void **state)
{
	struct world w = make_world(64 * MIB, 1, 0);

	(void)state;
	w.assist = 2;
	run_cycles(&w, 50);
	assert_true(w.end <= 140 * MIB);
}

/* A heap that grows is not collected again for each small step. */
static void growth_takes_few_cycles(void **state)
{
	struct world w = make_world(1024 * MIB, 0.5, 2);
	double marked = 0;

	(void)state;
	while (w.p.marked < 900 * MIB) {
		run_cycles(&w, 1);
		marked += (double)w.p.marked;
	}
	assert_true(marked < 6 * 1024 * MIB);
}

/* A larger goal of late is used for two seconds, then forgotten. */
static void reserve_is_used_and_forgotten(void **state)
{
	struct world w = make_world(256 * MIB, 0.5, 2);
	double since;

	(void)state;
	run_cycles(&w, 30);
	since = w.now;
	w.live = 32 * MIB;
	run_cycles(&w, 2);
	assert_true(w.now - since < 2e9);
	assert_int_equal(w.p.goal, 512 * MIB);
	while (w.now - since < 5.5e9)
		run_cycles(&w, 1);
	assert_true(w.p.goal < 68 * MIB);
}

static void other_rules_hold_at_once(void **state)
{
	struct world w = make_world(64 * MIB, 0.5, 2);

	(void)state;
	run_cycles(&w, 20);
	w.rules.percent = 50;
	hs_pace_change(&w.p, &w.rules, (uint64_t)w.now, true);
	assert_int_equal(w.p.goal, 96 * MIB);
	w.rules.percent = 200;
	w.rules.pressure = 1;
	hs_pace_change(&w.p, &w.rules, (uint64_t)w.now, true);
	assert_int_equal(w.p.goal, 128 * MIB);
	w.rules.percent = -1;
	hs_pace_change(&w.p, &w.rules, (uint64_t)w.now, true);
	assert_int_equal(w.p.goal, UINT64_MAX);
	assert_int_equal(w.p.trigger, UINT64_MAX);
}

static void limit_holds(void **state)
{
	struct world w = make_world(64 * MIB, 0.5, 2);

	(void)state;
	w.rules.limit = 100 * MIB;
	hs_pace_change(&w.p, &w.rules, 0, false);
	for (int i = 0; i < 100; i++) {
		run_cycles(&w, 1);
		assert_true(w.end <= 100 * MIB);
		assert_true(w.p.goal < 100 * MIB && w.p.ceiling <= 100 * MIB);
	}
	w.live = 99 * MIB; /* no longer fits: the goal has to give, a little */
	run_cycles(&w, 20);
	assert_true(w.p.goal > w.p.heap && w.p.goal <= w.p.heap + w.p.heap / 20);
}

/* No plan is out of order, whatever a cycle was like. */
static void any_cycle_gives_a_plan(void **state)
{
	uint64_t seed = 7;
	struct world w = make_world(MIB, 1, 1);

	(void)state;
	for (int i = 0; i < 100000; i++) {
		struct hs_pace_cycle c = {
			.now = next_random(&seed) % (1ull << 40),
			.marked = next_random(&seed) % (1ull << (next_random(&seed) % 40)),
			.black = next_random(&seed) % (1ull << (next_random(&seed) % 40)),
			.ns = next_random(&seed) % (1ull << (next_random(&seed) % 40)),
			.stalled_ns = next_random(&seed) % (1ull << (next_random(&seed) % 40)),
			.mutators = next_random(&seed) % 5,
		};

		c.allocated = c.black + next_random(&seed) % MIB;
		c.assisted = c.marked ? next_random(&seed) % c.marked : 0;
		w.rules.percent = (int)(next_random(&seed) % 400);
		hs_pace_cycle_done(&w.p, &w.rules, &c);
		assert_true(w.p.goal >= w.p.heap && w.p.goal >= w.rules.min_heap);
		assert_true(w.p.trigger <= w.p.goal);
		assert_true(w.p.trigger >= w.p.heap || w.p.trigger >= w.rules.min_heap / 8 * 7);
	}
}

/* Markers that run for a while and rest as long as they are told take a quarter. */
static void markers_take_a_quarter(void **state)
{
	static const unsigned int cpus[] = { 1, 2, 3, 4, 6, 8, 16, 64 };
	const uint64_t ms = 1000000;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cpus); i++) {
		for (unsigned int markers = 1; markers <= 16; markers++) {
			uint64_t ran = 3 * ms, rest = hs_share_rest(markers, cpus[i], ran, ran);
			uint64_t share = 100 * markers * ran / (ran + rest) / cpus[i];

			if (4 * markers <= cpus[i])
				assert_int_equal(rest, 0);
			else if (16 * markers <= 20 * cpus[i]) /* or it would rest for very long */
				assert_in_range(share, 24, 26);
			assert_true(hs_share_rest(markers, cpus[i], ran, 1000 * ms) == 0);
		}
	}
}

/* A collector that takes all it is let have gets half, and a second. */
static void collecting_is_capped(void **state)
{
	const uint64_t ms = 1000000;

	(void)state;
	for (unsigned int cpus = 1; cpus <= 64; cpus *= 4) {
		struct hs_pace_cap cap = { .at = 0 };
		uint64_t now = 0, taken = 0;
		bool capped = false;

		for (; now < 10000 * ms; now += ms) {
			uint64_t spent = capped ? 0 : ms * cpus;

			taken += spent;
			capped = hs_pace_is_capped(&cap, now + ms, cpus, spent);
		}
		assert_in_range(taken, 5990 * ms * cpus, 6010 * ms * cpus);
		for (int i = 0; i < 10000; i++, now += ms) /* half is no more than half */
			capped = hs_pace_is_capped(&cap, now + ms, cpus, ms * cpus / 2);
		assert_in_range(cap.over, 999 * ms * cpus, 1000 * ms * cpus);
		for (int i = 0; i < 2500; i++, now += ms) { /* less is forgiven */
			assert_true(!i || !capped);
			capped = hs_pace_is_capped(&cap, now + ms, cpus, 0);
		}
		assert_int_equal(cap.over, 0);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(settles_from_nothing),
		cmocka_unit_test(settles_with_jitter),
		cmocka_unit_test(settles_after_a_step_in_load),
		cmocka_unit_test(settles_after_a_step_in_mutators),
		cmocka_unit_test(settles_after_a_step_in_live_size),
		cmocka_unit_test(settles_after_a_step_in_pointer_density),
		cmocka_unit_test(mutators_pay_for_too_much),
		cmocka_unit_test(mutators_mark_alone),
		cmocka_unit_test(growth_takes_few_cycles),
		cmocka_unit_test(reserve_is_used_and_forgotten),
		cmocka_unit_test(other_rules_hold_at_once),
		cmocka_unit_test(limit_holds),
		cmocka_unit_test(any_cycle_gives_a_plan),
		cmocka_unit_test(markers_take_a_quarter),
		cmocka_unit_test(collecting_is_capped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
