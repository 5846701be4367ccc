// SPDX-License-Identifier: MIT
/*
 * Nasty things: what internal.h argues about, provoked as often as can be.
 * Cycles run back to back all the while, with the oracles on.
 */
#include <sys/syscall.h>

#include "common.h"

#define SLOTS 256

static void *root[SLOTS];
static int done;
static int tids[16];

static bool stopped(void)
{
	return __atomic_load_n(&done, __ATOMIC_ACQUIRE);
}

static long rounds;

static void set_tid(void *arg, int tid)
{
	__atomic_store_n(&tids[(uintptr_t)arg % ARRAY_SIZE(tids)], tid, __ATOMIC_RELAXED);
}

/* An object that knows what it is, with a child that does. */
struct cell {
	uint64_t a, b;
	struct cell *child;
	struct cell *next;
};

static void check_cell(const struct cell *c)
{
	must(c->b == ~c->a);
	if (c->child)
		must(c->child->b == ~c->child->a && c->child->a == c->a + 1);
}

/*
 * The child first, then the cell, filled by plain stores: it is the youngest
 * object of this thread and nobody else has seen it.
 */
static NOINLINE struct cell *make_cell(uint64_t a, size_t more)
{
	struct cell *child = hspan_alloc(sizeof(*child)), *c;

	must(child);
	child->a = a + 1;
	child->b = ~child->a;
	c = hspan_alloc(sizeof(*c) + more);
	must(c && !c->a && !c->child && !c->next);
	c->a = a;
	c->b = ~a;
	c->child = child;
	return c;
}

static void *collect(void *arg)
{
	(void)arg;
	while (!stopped()) {
		hspan_gc();
		__atomic_add_fetch(&rounds, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

/* Signals the library did not send, at all moments. */
static void *storm(void *arg)
{
	uint64_t seed = 3;

	(void)arg;
	while (!stopped()) {
		int tid = __atomic_load_n(&tids[next_random(&seed) % 16], __ATOMIC_RELAXED);

		if (tid)
			syscall(SYS_tgkill, getpid(), tid, used_signal());
		for (uint64_t spin = next_random(&seed) % 2000; spin; spin--)
			__asm__ volatile("");
	}
	return NULL;
}

/* Cells are kept in local variables alone, and in each other. */
static void *on_the_stack(void *arg)
{
	struct cell *volatile mine[24] = { NULL };
	uint64_t seed = (uintptr_t)arg * 77 + 1;

	set_tid(arg, (int)syscall(SYS_gettid));
	while (!stopped()) {
		uint64_t k = next_random(&seed) % 24;
		struct cell *c = make_cell(next_random(&seed), next_random(&seed) % 600);

		if (next_random(&seed) % 3)
			hspan_store(&c->next, mine[next_random(&seed) % 24]);
		if (mine[k] && next_random(&seed) % 4 == 0)
			hspan_store(&mine[k]->next, NULL); /* keep chains short */
		mine[k] = c;
		for (int i = 0; i < 24; i++) {
			struct cell *m = mine[i];

			for (int hops = 0; m && hops < 4; hops++, m = m->next)
				check_cell(m);
		}
	}
	set_tid(arg, 0);
	return NULL;
}

/* The only pointer to a cell wanders: root to stack to root, by every call. */
static void *wander(void *arg)
{
	uint64_t seed = (uintptr_t)arg * 131 + 7;

	set_tid(arg, (int)syscall(SYS_gettid));
	while (!stopped()) {
		void **from = &root[next_random(&seed) % SLOTS], **to = &root[next_random(&seed) % SLOTS];
		struct cell *c = hspan_exchange(from, NULL), *old;

		if (c)
			check_cell(c);
		else
			c = make_cell(next_random(&seed), next_random(&seed) % 100);
		old = load(to);
		if (!hspan_cas(to, old, c))
			continue;
		if (old) { /* ours now: the other did not get it */
			check_cell(old);
			if (next_random(&seed) % 2)
				hspan_store_release(&c->next, old);
		}
		old = load(&c->next); /* c is everybody's now */
		if (old)
			check_cell(old);
		if (next_random(&seed) % 4 == 0)
			hspan_store(&c->next, NULL);
	}
	set_tid(arg, 0);
	return NULL;
}

/* Threads never registered, whose first call is a store. */
static void *store_first(void *arg)
{
	struct cell *c = arg;

	hspan_store_release(&root[0], c);
	must(hspan_base(c) == c);
	check_cell(c);
	return NULL;
}

static void *hand_out(void *arg)
{
	(void)arg;
	while (!stopped()) {
		struct cell *volatile c = make_cell(77, 8);
		pthread_t t;

		must(pthread_create(&t, NULL, store_first, c) == 0);
		pthread_join(t, NULL);
		check_cell(c);
	}
	return NULL;
}

/*
 * Words in a root that point at any slot there may be, used, free or to come.
 * Made up out of thin air, they may point to what was found dead: harmless, as
 * nobody follows them, but the oracle would have it white and reachable.  So
 * this runs without it.
 */
static uintptr_t junk[8192];

static void *litter(void *arg)
{
	uint64_t seed = 9;

	(void)arg;
	while (!stopped()) {
		uintptr_t near = (uintptr_t)hspan_alloc(64) & ~0x1fffffull;

		for (size_t i = 0; i < ARRAY_SIZE(junk); i++)
			hspan_store(&junk[i], (void *)(near + (next_random(&seed) & 0x1fffff)));
	}
	return NULL;
}

/* Large objects with pointers at their ends, scanned in pieces. */
static void *large(void *arg)
{
	uint64_t seed = (uintptr_t)arg + 11;

	while (!stopped()) {
		size_t words = 5000 + next_random(&seed) % 60000;
		struct cell *c = make_cell(next_random(&seed), 0), **volatile p;

		p = hspan_alloc(words * sizeof(*p));
		must(p && !p[0] && !p[words / 2] && !p[words - 1]);
		hspan_store((void *)&p[words - 1], c);
		hspan_store((void *)&p[words / 2 | 1], make_cell(5, 40));
		c = NULL;
		for (int i = 0; i < 50; i++)
			must(hspan_alloc(next_random(&seed) % 300));
		check_cell(p[words - 1]);
		check_cell(p[words / 2 | 1]);
	}
	return NULL;
}

static void *nap(void *arg)
{
	struct cell *volatile c = make_cell((uintptr_t)arg, 0);

	hspan_thread_park();
	while (!stopped())
		sleep_ms(20);
	hspan_thread_unpark();
	check_cell(c);
	return NULL;
}

static void *fleeting(void *arg)
{
	struct cell *c = make_cell((uintptr_t)arg, 0);

	hspan_store_release(&root[(uintptr_t)arg % SLOTS], c);
	return NULL;
}

/* Threads that begin and end all the time. */
static void *births(void *arg)
{
	(void)arg;
	for (uintptr_t i = 0; !stopped(); i++) {
		pthread_t t[3];

		for (size_t k = 0; k < ARRAY_SIZE(t); k++)
			must(pthread_create(&t[k], NULL, fleeting, (void *)(i + k)) == 0);
		for (size_t k = 0; k < ARRAY_SIZE(t); k++)
			pthread_join(t[k], NULL);
	}
	return NULL;
}

struct part {
	void *(*fn)(void *arg);
	int n;
};

/* Run the parts together for a while, or until there were enough cycles. */
static void together(const struct part *parts, long cycles)
{
	int64_t end = now_ms() + 4000;
	pthread_t threads[256];
	uintptr_t n = 0;

	__atomic_store_n(&done, 0, __ATOMIC_RELEASE);
	__atomic_store_n(&rounds, 0, __ATOMIC_RELAXED);
	memset(tids, 0, sizeof(tids));
	for (; parts->fn; parts++)
		for (int i = 0; i < parts->n; i++, n++)
			must(pthread_create(&threads[n], NULL, parts->fn, (void *)n) == 0);
	hspan_thread_park();
	while (now_ms() < end && __atomic_load_n(&rounds, __ATOMIC_RELAXED) < EFFORT(cycles))
		sleep_ms(10);
	hspan_thread_unpark();
	__atomic_store_n(&done, 1, __ATOMIC_RELEASE);
	while (n)
		pthread_join(threads[--n], NULL);
	for (int i = 0; i < SLOTS; i++)
		if (root[i])
			check_cell(root[i]);
	hspan_clear(root, sizeof(root));
	hspan_gc();
	must(read_stats().num_gc > 0);
}

static void stacks(void **state)
{
	static const struct part parts[] = { { collect, 1 }, { on_the_stack, 4 }, { NULL, 0 } };

	(void)state;
	together(parts, 200);
}

static void wanderers(void **state)
{
	static const struct part parts[] = { { collect, 1 }, { wander, 4 }, { NULL, 0 } };

	(void)state;
	together(parts, 200);
}

static void signal_storm(void **state)
{
	static const struct part parts[] = { { on_the_stack, 2 }, { wander, 2 }, { storm, 1 },
					     { collect, 1 },	  { NULL, 0 } };

	(void)state;
	together(parts, 200);
}

static void many_collectors(void **state)
{
	static const struct part parts[] = { { collect, 6 }, { wander, 2 }, { on_the_stack, 2 },
					     { NULL, 0 } };

	(void)state;
	together(parts, 600);
}

static int start_heap(void)
{
	struct hspan_options o = HSPAN_OPTIONS_INIT;
	int ret;

	o.gc_percent = -1;
	ret = hspan_init(&o);
	return ret ? ret : hspan_root_add(root, sizeof(root));
}

/*
 * Junk may point to the dead, which no program can.  When it does so after the
 * last DRAIN the dead stay white, rightly; so checkmark has no say here.
 */
static void litter_everywhere(void **state)
{
	static const struct part parts[] = { { litter, 1 }, { on_the_stack, 3 }, { wander, 2 },
					     { collect, 1 }, { NULL, 0 } };
	char *debug = strdup(getenv("HUGESPAN_DEBUG"));

	(void)state;
	must(debug && hspan_shutdown() == 0);
	setenv("HUGESPAN_DEBUG", "clobber", 1);
	must(start_heap() == 0 && hspan_root_add(junk, sizeof(junk)) == 0);
	together(parts, 150);
	hspan_clear(junk, sizeof(junk));
	must(hspan_shutdown() == 0);
	setenv("HUGESPAN_DEBUG", debug, 1);
	free(debug);
	must(start_heap() == 0);
}

static void large_objects(void **state)
{
	static const struct part parts[] = { { large, 3 }, { wander, 1 }, { collect, 1 },
					     { NULL, 0 } };

	(void)state;
	together(parts, 150);
}

static void births_and_deaths(void **state)
{
	static const struct part parts[] = { { births, 3 }, { wander, 2 }, { hand_out, 1 },
					     { collect, 1 }, { NULL, 0 } };

	(void)state;
	together(parts, 200);
}

static void two_hundred_asleep(void **state)
{
	static const struct part parts[] = { { nap, 200 }, { on_the_stack, 2 }, { collect, 1 },
					     { NULL, 0 } };

	(void)state;
	together(parts, 40);
}

static void back_to_back_by_themselves(void **state)
{
	static const struct part parts[] = { { wander, 3 }, { large, 1 }, { births, 1 }, { NULL, 0 } };
	uint64_t before = read_stats().num_gc;

	(void)state;
	hspan_gc_set_percent(1);
	together(parts, 1000);
	hspan_gc_set_percent(-1);
	assert_true(read_stats().num_gc > before + 2);
}

static int setup(void **state)
{
	(void)state;
	setenv("HUGESPAN_DEBUG", "checkmark,clobber", 0);
	setenv("HUGESPAN_MARKERS", "4", 0);
	setenv("HUGESPAN_MIN_HEAP", "64K", 0);
	alarm(280);
	return start_heap();
}

static int setup_without_oracle(void **state)
{
	const char *asked = getenv("HUGESPAN_DEBUG");
	char kept[64];
	int ret;

	snprintf(kept, sizeof(kept), "%s", asked ? asked : "checkmark,clobber");
	setenv("HUGESPAN_DEBUG", "clobber", 1);
	ret = setup(state);
	setenv("HUGESPAN_DEBUG", kept, 1);
	return ret;
}

int main(void)
{
	static const struct CMUnitTest without_oracle[] = {
		cmocka_unit_test(litter_everywhere),
	};
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(stacks),
		cmocka_unit_test(wanderers),
		cmocka_unit_test(signal_storm),
		cmocka_unit_test(many_collectors),
		cmocka_unit_test(large_objects),
		cmocka_unit_test(births_and_deaths),
		cmocka_unit_test(two_hundred_asleep),
		cmocka_unit_test(back_to_back_by_themselves),
	};

	return cmocka_run_group_tests(without_oracle, setup_without_oracle, heap_teardown) +
	       cmocka_run_group_tests(tests, setup, heap_teardown);
}
