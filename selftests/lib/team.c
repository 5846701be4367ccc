// SPDX-License-Identifier: MIT
/*
 * The team of markers without a heap: work is numbers, which make more work for
 * others.  Each time that the collector believes that nothing is left, as much has
 * to be done as was ever made.
 */
#include <sched.h>

#include "common.h"
#include "../../userlib/src/team.h"

#define MEMBERS 4 /* the test itself is the first of them */
#define DEPTH	9

static uint64_t made, done;
static int stop;

/* What is in a chunk is done: each makes two of the next lower number, for anybody. */
static void work_off(struct hs_chunk *chunk, unsigned int me, struct hs_chunk **out, uint64_t *seed)
{
	for (uint32_t i = 0; i < chunk->count; i++) {
		for (int k = 0; k < 2 && chunk->entry[i]; k++) {
			unsigned int to = (unsigned int)(next_random(seed) % (MEMBERS + 1));

			__atomic_fetch_add(&made, 1, __ATOMIC_RELAXED);
			if (to == me)
				to = MEMBERS; /* that is, the work list */
			if (!out[to])
				out[to] = hs_chunk_get();
			out[to]->entry[out[to]->count++] = chunk->entry[i] - 1;
			if (out[to]->count < 8)
				continue;
			if (to == MEMBERS)
				hs_work_push(out[to]);
			else
				hs_team_send(to, out[to]);
			out[to] = NULL;
		}
		__atomic_fetch_add(&done, 1, __ATOMIC_RELAXED);
	}
	hs_chunk_free(chunk);
}

static void post(struct hs_chunk **out)
{
	for (unsigned int to = 0; to <= MEMBERS; to++) {
		if (out[to] && to == MEMBERS)
			hs_work_push(out[to]);
		else if (out[to])
			hs_team_send(to, out[to]);
		out[to] = NULL;
	}
}

/* Until nothing is left here. */
static void work(unsigned int me, uint64_t *seed)
{
	struct hs_chunk *out[MEMBERS + 1] = { NULL }, *chunk, *next;
	bool more = true;

	while (more) {
		more = false;
		for (chunk = hs_team_receive(me); chunk; chunk = next) {
			next = chunk->next;
			work_off(chunk, me, out, seed);
			more = true;
		}
		chunk = hs_work_pop();
		if (chunk) {
			work_off(chunk, me, out, seed);
			more = true;
		}
		post(out);
	}
}

static void *help(void *arg)
{
	unsigned int me = (unsigned int)(uintptr_t)arg;
	uint64_t seed = me;

	while (!hs_load_acquire(&stop)) {
		int seq = hs_work_seq();

		if (hs_team_enter())
			work(me, &seed);
		hs_team_leave();
		hs_work_wait(seq, 50000);
	}
	return NULL;
}

/* One that assists: it takes a chunk, and gives back all that comes of it. */
static void *assist(void *arg)
{
	struct hs_chunk *out[MEMBERS + 1] = { NULL }, *chunk;
	uint64_t seed = 4711;

	(void)arg;
	while (!hs_load_acquire(&stop)) {
		if (hs_team_enter()) {
			chunk = hs_work_pop();
			if (chunk)
				work_off(chunk, MEMBERS, out, &seed);
			post(out);
		}
		hs_team_leave();
		sched_yield();
	}
	return NULL;
}

static void make_work(unsigned int chunks)
{
	while (chunks--) {
		struct hs_chunk *chunk = hs_chunk_get();

		chunk->entry[chunk->count++] = DEPTH;
		__atomic_fetch_add(&made, 1, __ATOMIC_RELAXED);
		hs_work_push(chunk);
	}
}

/* The collector's part, as collector.c has it. */
static void finish(uint64_t *seed)
{
	uint64_t pushes;

	for (;;) {
		int seq = hs_work_seq();

		work(0, seed);
		pushes = hs_work_pushes();
		if (hs_work_empty() && hs_team_is_idle() && hs_work_pushes() == pushes)
			return;
		hs_work_wait(seq, 50000);
	}
}

static void all_is_done_when_it_says_so(void **state)
{
	pthread_t helper[MEMBERS - 1], assistant;
	uint64_t seed = 7;

	(void)state;
	hs_team_init(MEMBERS);
	assert_false(hs_team_is_open());
	for (uintptr_t i = 1; i < MEMBERS; i++)
		must(!pthread_create(&helper[i - 1], NULL, help, (void *)i));
	must(!pthread_create(&assistant, NULL, assist, NULL));
	for (long round = EFFORT(400); round--;) {
		make_work(1 + (unsigned int)round % 3);
		hs_team_open();
		assert_true(hs_team_is_open());
		hs_work_wake();
		finish(&seed);
		assert_int_equal(__atomic_load_n(&made, __ATOMIC_RELAXED),
				 __atomic_load_n(&done, __ATOMIC_RELAXED));
		while (!hs_team_close()) /* somebody looks whether there is work */
			sched_yield();
		assert_false(hs_team_is_open());
	}
	assert_true(done > 400);
	hs_set_release(&stop, 1);
	for (int i = 1; i < MEMBERS; i++)
		pthread_join(helper[i - 1], NULL);
	pthread_join(assistant, NULL);
}

/* Who comes when it is closed is told, and does not keep it from being opened. */
static void nobody_comes_in_when_closed(void **state)
{
	(void)state;
	hs_team_init(1);
	assert_false(hs_team_enter());
	hs_team_open();
	assert_false(hs_team_close());
	hs_team_leave();
	assert_true(hs_team_enter());
	assert_false(hs_team_is_idle());
	assert_false(hs_team_close());
	hs_team_leave();
	assert_true(hs_team_is_idle());
	assert_true(hs_team_close());
	assert_false(hs_team_enter());
	hs_team_leave();
}

static void mail_comes_in_order_and_counts(void **state)
{
	struct hs_chunk *chunk, *next;

	(void)state;
	hs_team_init(2);
	hs_team_open();
	for (uintptr_t i = 0; i < 3; i++) {
		chunk = hs_chunk_get();
		chunk->entry[0] = i;
		hs_team_send(1, chunk);
	}
	assert_false(hs_team_has_mail(0));
	assert_true(hs_team_has_mail(1));
	assert_false(hs_team_is_idle());
	chunk = hs_team_receive(1);
	for (uintptr_t i = 0; i < 3; i++, chunk = next) {
		assert_int_equal(chunk->entry[0], i);
		next = chunk->next;
		hs_chunk_free(chunk);
	}
	assert_null(chunk);
	assert_true(hs_team_is_idle());
	assert_null(hs_team_receive(1));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(nobody_comes_in_when_closed),
		cmocka_unit_test(mail_comes_in_order_and_counts),
		cmocka_unit_test(all_is_done_when_it_says_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
