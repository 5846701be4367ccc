// SPDX-License-Identifier: MIT
/* Threads that come, go, park, block and hand things over. */
#include <linux/hugespan.h>
#include <sys/resource.h>

#include "common.h"

static void *root[64];
static int done;

static bool stopped(void)
{
	return __atomic_load_n(&done, __ATOMIC_ACQUIRE);
}

static void stop(int value)
{
	__atomic_store_n(&done, value, __ATOMIC_RELEASE);
}

static void *register_twice(void *arg)
{
	(void)arg;
	must(hspan_thread_unregister() == -ENOENT);
	must(hspan_thread_register() == 0);
	must(hspan_thread_register() == -EALREADY);
	must(hspan_thread_unregister() == 0);
	must(hspan_thread_unregister() == -ENOENT);
	must(hspan_alloc(10)); /* joins again */
	must(hspan_thread_register() == -EALREADY);
	return NULL;
}

static void register_and_unregister(void **state)
{
	uint64_t before = read_stats().threads;
	pthread_t t;

	(void)state;
	assert_int_equal(hspan_thread_register(), -EALREADY);
	must(pthread_create(&t, NULL, register_twice, NULL) == 0);
	pthread_join(t, NULL);
	assert_int_equal(read_stats().threads, before);
}

static void *with_signal_blocked(void *arg)
{
	sigset_t set;

	(void)arg;
	sigemptyset(&set);
	sigaddset(&set, used_signal());
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	must(hspan_thread_register() == -EDEADLK);
	errno = 0;
	must(!hspan_alloc(10) && errno == EDEADLK);
	must(hspan_root_add(&set, 8) == -EDEADLK);
	hspan_gc(); /* does nothing, and does not hang */
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	must(hspan_thread_register() == 0);
	return NULL;
}

static void blocked_signal(void **state)
{
	pthread_t t;

	(void)state;
	must(pthread_create(&t, NULL, with_signal_blocked, NULL) == 0);
	pthread_join(t, NULL);
}

/* A chain of threads: each takes what the last one left in a root, and goes. */
struct baton {
	uint64_t check, number;
	struct baton *before;
};

static void *relay(void *arg)
{
	struct baton *b = hspan_alloc(sizeof(*b)), *old = root[0];

	b->number = (uintptr_t)arg;
	b->check = ~b->number;
	hspan_store(&b->before, old);
	for (int i = 0; i < 20; i++)
		must(hspan_alloc(sizeof(*b)));
	hspan_store(&root[0], b);
	return NULL;
}

static void handed_over_through_roots(void **state)
{
	uintptr_t n = EFFORT(800);
	struct baton *b;

	(void)state;
	hspan_gc_set_percent(100);
	for (uintptr_t i = 1; i <= n; i++) {
		pthread_t t;

		must(pthread_create(&t, NULL, relay, (void *)i) == 0);
		if (i % 32 == 0)
			hspan_gc(); /* while it comes or goes */
		pthread_join(t, NULL);
	}
	hspan_gc_set_percent(-1);
	hspan_gc();
	b = root[0];
	for (uintptr_t i = n; i; i--, b = b->before) {
		assert_non_null(b);
		assert_int_equal(b->number, i);
		assert_int_equal(b->check, ~i);
	}
	assert_null(b);
	hspan_store(&root[0], NULL);
}

/* Threads by the dozen, that live for a few objects, in all phases. */
static void *mayfly(void *arg)
{
	uint64_t seed = (uintptr_t)arg * 7919 + 1;

	for (int i = 0; i < 30; i++) {
		void **p = hspan_alloc(16 + next_random(&seed) % 200);

		must(p && !p[0]);
		hspan_store(p, load(&root[next_random(&seed) % 64]));
		hspan_store_release(&root[next_random(&seed) % 64],
				    next_random(&seed) % 8 ? p : NULL);
	}
	if ((uintptr_t)arg % 3 == 0)
		must(hspan_thread_unregister() == 0);
	return NULL;
}

static void *collect(void *arg)
{
	(void)arg;
	while (!stopped())
		hspan_gc();
	return NULL;
}

static void exit_in_every_phase(void **state)
{
	uint64_t before = read_stats().threads;
	pthread_t gc;

	(void)state;
	stop(0);
	must(pthread_create(&gc, NULL, collect, NULL) == 0);
	for (int round = 0; round < EFFORT(80); round++) {
		pthread_t t[12];

		for (size_t i = 0; i < ARRAY_SIZE(t); i++)
			must(pthread_create(&t[i], NULL, mayfly, (void *)(round * 100 + i)) == 0);
		for (size_t i = 0; i < ARRAY_SIZE(t); i++)
			pthread_join(t[i], NULL);
	}
	stop(1);
	pthread_join(gc, NULL);
	hspan_clear(root, sizeof(root));
	assert_int_equal(read_stats().threads, before);
}

/*
 * What a thread allocates counts when it exits, however little it was; else
 * threads of a few objects each would never bring about a collection.
 */
static void *small_eater(void *arg)
{
	(void)arg;
	for (int i = 0; i < 50; i++)
		must(hspan_alloc(512));
	return NULL;
}

static void small_threads_collect(void **state)
{
	uint64_t before = read_stats().num_gc, total = read_stats().total_alloc;

	(void)state;
	hspan_gc();
	hspan_gc_set_percent(100);
	for (int i = 0; i < 2000; i++) {
		pthread_t t;

		must(pthread_create(&t, NULL, small_eater, NULL) == 0);
		pthread_join(t, NULL);
	}
	hspan_gc_set_percent(-1);
	assert_true(read_stats().total_alloc - total >= 2000 * 50 * 512);
	assert_true(read_stats().num_gc > before + 1);
	assert_true(read_stats().heap_sys < 64 << 20);
}

static int parked_pipe[2];

/* Blocked in read() while parked: not disturbed, and its stack is scanned. */
static void *parker(void *arg)
{
	uint64_t *volatile mine = hspan_alloc(64);
	hidden_t *h = arg;
	char c;
	ssize_t n;

	mine[5] = 4711;
	__atomic_store_n(h, hide(mine), __ATOMIC_RELEASE);
	hspan_thread_park();
	n = read(parked_pipe[0], &c, 1);
	hspan_thread_unpark();
	must(n == 1); /* no EINTR */
	must(mine[5] == 4711 && hspan_base(mine) == mine);
	return NULL;
}

static void parked_threads_sleep_on(void **state)
{
	pthread_t t[40];
	hidden_t h[ARRAY_SIZE(t)] = { 0 };

	(void)state;
	must(pipe(parked_pipe) == 0);
	for (size_t i = 0; i < ARRAY_SIZE(t); i++)
		must(pthread_create(&t[i], NULL, parker, &h[i]) == 0);
	for (size_t i = 0; i < ARRAY_SIZE(t); i++)
		while (!__atomic_load_n(&h[i], __ATOMIC_ACQUIRE))
			sleep_ms(1);
	for (int i = 0; i < 20; i++)
		hspan_gc();
	assert_int_equal(count_alive(h, ARRAY_SIZE(h)), ARRAY_SIZE(h));
	for (size_t i = 0; i < ARRAY_SIZE(t); i++)
		must(write(parked_pipe[1], "x", 1) == 1);
	for (size_t i = 0; i < ARRAY_SIZE(t); i++)
		pthread_join(t[i], NULL);
	close(parked_pipe[0]);
	close(parked_pipe[1]);
	scrub();
	hspan_gc();
	assert_true(count_alive(h, ARRAY_SIZE(h)) <= 2);
}

/*
 * Not parked: read() on a pipe goes on by itself (SA_RESTART); calls that the
 * system never restarts, like nanosleep(), give EINTR.
 */
static void *long_call(void *arg)
{
	struct timespec ts = { 1, 0 };
	int *said = arg;
	char c;

	must(hspan_thread_register() == 0);
	__atomic_store_n(&said[0], 1, __ATOMIC_RELEASE);
	must(read(parked_pipe[0], &c, 1) == 1);
	__atomic_store_n(&said[0], 2, __ATOMIC_RELEASE);
	for (int i = 0; i < 20 && !said[1]; i++)
		if (nanosleep(&ts, NULL) < 0 && errno == EINTR)
			said[1] = 1;
	return NULL;
}

static void long_system_calls(void **state)
{
	int said[2] = { 0, 0 };
	pthread_t t;

	(void)state;
	if (UNDER_TSAN)
		return; /* it delivers no signal in read() */
	must(pipe(parked_pipe) == 0);
	must(pthread_create(&t, NULL, long_call, said) == 0);
	while (!__atomic_load_n(&said[0], __ATOMIC_ACQUIRE))
		sleep_ms(1);
	for (int i = 0; i < 5; i++)
		hspan_gc(); /* comes back although the thread is in read() */
	must(write(parked_pipe[1], "x", 1) == 1);
	while (__atomic_load_n(&said[0], __ATOMIC_ACQUIRE) != 2)
		sleep_ms(1);
	sleep_ms(20);
	hspan_gc();
	pthread_join(t, NULL);
	assert_int_equal(said[1], 1);
	close(parked_pipe[0]);
	close(parked_pipe[1]);
}

/* Park and unpark as fast as can be, a pointer in a register all the while. */
static void *flapper(void *arg)
{
	uint64_t seed = (uintptr_t)arg + 99;
	uint64_t *p = hspan_alloc(48);

	p[1] = 0;
	for (uint64_t i = 0; !stopped(); i++) {
		hspan_thread_park();
		for (uint64_t spin = next_random(&seed) % 200; spin; spin--)
			__asm__ volatile("");
		hspan_thread_unpark();
		must(p[1] == i && hspan_base(p) == p);
		p = hspan_alloc(48);
		must(!p[1] && !p[3]);
		p[1] = i + 1;
	}
	return NULL;
}

static void park_and_unpark(void **state)
{
	pthread_t t[4];

	(void)state;
	stop(0);
	for (size_t i = 0; i < ARRAY_SIZE(t); i++)
		must(pthread_create(&t[i], NULL, flapper, (void *)i) == 0);
	for (int i = 0; i < EFFORT(200); i++)
		hspan_gc();
	stop(1);
	for (size_t i = 0; i < ARRAY_SIZE(t); i++)
		pthread_join(t[i], NULL);
}

static void unpark_without_park(void **state)
{
	(void)state;
	hspan_thread_unpark();
	hspan_thread_unpark();
	assert_non_null(hspan_alloc(8));
}

/* A pointer at the far end of a deep stack, and one in every frame. */
static NOINLINE size_t deep(size_t depth, uint64_t *from_above)
{
	uint64_t *volatile mine = hspan_alloc(32);
	size_t below = 0;

	mine[0] = depth;
	if (depth)
		below = deep(depth - 1, mine);
	else
		hspan_gc();
	must(hspan_base(mine) == mine && mine[0] == depth);
	must(from_above[0] == depth + 1);
	return below + 1;
}

static void *go_deep(void *arg)
{
	uint64_t *volatile top = hspan_alloc(32);
	size_t depth = (size_t)arg;

	top[0] = depth + 1;
	must(deep(depth, top) == depth + 1);
	return NULL;
}

static void deep_recursion(void **state)
{
	pthread_attr_t attr;
	pthread_t t;

	(void)state;
	go_deep((void *)20000);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 64 << 20);
	must(pthread_create(&t, &attr, go_deep, (void *)(size_t)EFFORT(200000)) == 0);
	pthread_join(t, NULL);
	/* The least stack there can be; handshakes have one of their own. */
	pthread_attr_setstacksize(&attr, 32 << 10);
	must(pthread_create(&t, &attr, go_deep, (void *)20) == 0);
	pthread_join(t, NULL);
	pthread_attr_destroy(&attr);
}

/* The limit of the first thread's stack is raised after it has joined. */
static int raise_stack(const void *arg)
{
	struct rlimit rl = { 1 << 20, RLIM_INFINITY };

	(void)arg;
	getrlimit(RLIMIT_STACK, &rl);
	if (rl.rlim_max != RLIM_INFINITY && rl.rlim_max < 64 << 20)
		return 0;
	rl.rlim_cur = 1 << 20;
	expect(setrlimit(RLIMIT_STACK, &rl) == 0);
	expect(hspan_init(NULL) == 0);
	rl.rlim_cur = 64 << 20;
	expect(setrlimit(RLIMIT_STACK, &rl) == 0);
	go_deep((void *)60000);
	return hspan_shutdown();
}

static void raised_stack_limit(void **state)
{
	(void)state;
	/* A process that has no heap yet: this one gives its own up for a while. */
	assert_int_equal(hspan_root_remove(root), 0);
	assert_int_equal(hspan_shutdown(), 0);
	assert_int_equal(in_child(raise_stack, NULL), 0);
	assert_int_equal(heap_setup(state), 0);
	assert_int_equal(hspan_root_add(root, sizeof(root)), 0);
}

/* The program's own handler, on its own alternate stack, for a while. */
static int handled;

static void slow_handler(int sig)
{
	(void)sig;
	for (volatile int i = 0; i < 20000; i++)
		;
	__atomic_add_fetch(&handled, 1, __ATOMIC_RELAXED);
}

static void *handles_signals(void *arg)
{
	stack_t own = { .ss_sp = malloc(128 << 10), .ss_size = 128 << 10 }, now;
	uint64_t *volatile p = hspan_alloc(64);

	(void)arg;
	must(sigaltstack(&own, NULL) == 0); /* in place of the library's */
	p[3] = 1;
	for (uint64_t i = 1; !stopped(); i++) {
		uint64_t *volatile next;

		raise(SIGUSR1);
		must(p[3] == i && hspan_base(p) == p);
		next = hspan_alloc(64);
		next[3] = i + 1;
		p = next;
	}
	must(hspan_thread_unregister() == 0);
	must(sigaltstack(NULL, &now) == 0);
	must(now.ss_sp == own.ss_sp); /* the program's is left to it */
	now.ss_flags = SS_DISABLE;
	sigaltstack(&now, NULL);
	free(own.ss_sp);
	return NULL;
}

static bool is_handled(void)
{
	return __atomic_load_n(&handled, __ATOMIC_RELAXED) > 0;
}

static void signal_handlers_on_their_own_stack(void **state)
{
	struct sigaction sa = { .sa_handler = slow_handler, .sa_flags = SA_ONSTACK }, old;
	pthread_t t[3];

	(void)state;
	stop(0);
	sigaction(SIGUSR1, &sa, &old);
	for (size_t i = 0; i < ARRAY_SIZE(t); i++)
		must(pthread_create(&t[i], NULL, handles_signals, NULL) == 0);
	for (int i = 0; i < EFFORT(100) || (!is_handled() && i < 2000); i++)
		hspan_gc();
	stop(1);
	for (size_t i = 0; i < ARRAY_SIZE(t); i++)
		pthread_join(t[i], NULL);
	sigaction(SIGUSR1, &old, NULL);
	assert_true(handled > 0);
}

static int setup(void **state)
{
	int ret = heap_setup(state);

	return ret ? ret : hspan_root_add(root, sizeof(root));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(register_and_unregister),
		cmocka_unit_test(blocked_signal),
		cmocka_unit_test(handed_over_through_roots),
		cmocka_unit_test(exit_in_every_phase),
		cmocka_unit_test(small_threads_collect),
		cmocka_unit_test(parked_threads_sleep_on),
		cmocka_unit_test(long_system_calls),
		cmocka_unit_test(park_and_unpark),
		cmocka_unit_test(unpark_without_park),
		cmocka_unit_test(deep_recursion),
		cmocka_unit_test(raised_stack_limit),
		cmocka_unit_test(signal_handlers_on_their_own_stack),
	};

	return cmocka_run_group_tests(tests, setup, heap_teardown);
}
