// SPDX-License-Identifier: MIT
/*
 * Threads and processes: thousands that are idle, objects freed by others,
 * allocation at a thread's end, fork with threads about.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common.h"

#define IDLE	  5000
#define CLASSES	  20
#define IDLE_MOST (64ul << 20)

#if !defined(__SANITIZE_THREAD__) && !defined(__SANITIZE_ADDRESS__)
static pthread_barrier_t all_done, may_end;

static size_t resident(void)
{
	unsigned long size = 0, pages = 0;
	FILE *f = fopen("/proc/self/statm", "r");

	if (fscanf(f, "%lu %lu", &size, &pages) != 2)
		pages = 0;
	fclose(f);
	return pages * (size_t)sysconf(_SC_PAGESIZE);
}

#define BIG    100000
#define NR_BIG 2000

/* Most of what was freed goes back by itself, sooner or later. */
static void test_goes_back(void **state)
{
	const size_t live = (size_t)NR_BIG / 10 * BIG;
	void **p = malloc(NR_BIG * sizeof(*p));
	size_t before;

	(void)state;
	malloc_trim(0);
	before = resident();
	for (int i = 0; i < NR_BIG; i++) {
		p[i] = malloc(BIG);
		paint(p[i], BIG, (uint32_t)i);
	}
	assert_true(resident() - before >= live * 9);
	for (int i = 0; i < NR_BIG; i++)
		if (i % 10)
			free(p[i]);
	for (int i = 0; i < 600 && resident() - before > live * 2; i++)
		usleep(100000);
	assert_true(resident() - before <= live * 2);
	for (int i = 0; i < NR_BIG; i += 10) {
		assert_painted(p[i], BIG, (uint32_t)i);
		free(p[i]);
	}
	free(p);
}

static void *idle(void *arg)
{
	if (arg) {
		for (size_t i = 1; i <= CLASSES; i++) {
			char *p = malloc(i * 32);

			p[0] = 1;
			free(p);
		}
	}
	pthread_barrier_wait(&all_done);
	pthread_barrier_wait(&may_end);
	return NULL;
}

/* What is resident while so many threads are idle. */
static size_t resident_with(long nr, void *allocate)
{
	pthread_t *threads = malloc((size_t)nr * sizeof(*threads));
	pthread_attr_t attr;
	size_t bytes;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 64 << 10);
	pthread_barrier_init(&all_done, NULL, (unsigned int)nr + 1);
	pthread_barrier_init(&may_end, NULL, (unsigned int)nr + 1);
	for (long i = 0; i < nr; i++)
		assert_int_equal(pthread_create(&threads[i], &attr, idle, allocate), 0);
	pthread_barrier_wait(&all_done);
	bytes = resident();
	pthread_barrier_wait(&may_end);
	for (long i = 0; i < nr; i++)
		pthread_join(threads[i], NULL);
	free(threads);
	return bytes;
}

static void test_idle_threads(void **state)
{
	long nr = effort(IDLE);
	size_t without = resident_with(nr, NULL), with = resident_with(nr, (void *)1);

	(void)state;
	print_message("# %ld idle threads hold %zu KiB\n", nr,
		      with > without ? (with - without) >> 10 : 0);
	assert_true(with < without + IDLE_MOST / IDLE * (size_t)nr + (1 << 20));
}

#endif

#define HANDED 200000

static void *handed[HANDED];

static void *free_them(void *arg)
{
	for (long i = (long)arg; i < HANDED; i += 2)
		free(handed[i]);
	return NULL;
}

static void *make_them(void *arg)
{
	(void)arg;
	for (long i = 0; i < HANDED; i++)
		handed[i] = malloc(100);
	return NULL;
}

static void run(void *(*fn)(void *), void *arg)
{
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, fn, arg), 0);
	pthread_join(thread, NULL);
}

/* Freed by others than who made them, who may live or have ended. */
static void test_freed_by_others(void **state)
{
	size_t before;

	(void)state;
	malloc_trim(0);
	before = mallinfo2().uordblks;
	for (int i = 0; i < 5; i++) {
		make_them(NULL);
		run(free_them, (void *)0);
		run(free_them, (void *)1);
		run(make_them, NULL);
		free_them((void *)0);
		run(free_them, (void *)1);
	}
	malloc_trim(0);
	assert_true(mallinfo2().uordblks < before + (4 << 20));
}

static pthread_key_t late;

static void at_end(void *p)
{
	static int again = 2;

	free(p);
	for (int i = 0; i < 100; i++)
		free(malloc((size_t)i * 50));
	if (--again)
		pthread_setspecific(late, malloc(30));
}

static void *with_destructor(void *arg)
{
	(void)arg;
	pthread_setspecific(late, malloc(30));
	return NULL;
}

static void test_destructors(void **state)
{
	(void)state;
	assert_int_equal(pthread_key_create(&late, at_end), 0);
	for (int i = 0; i < 20; i++)
		run(with_destructor, NULL);
}

#if !defined(__SANITIZE_THREAD__) && !defined(__SANITIZE_ADDRESS__)
static atomic_bool stop;

static void *busy(void *arg)
{
	uint64_t state = 99;
	void *p[50] = {NULL};

	(void)arg;
	while (!atomic_load(&stop)) {
		int i = (int)random_below(&state, 50);

		free(p[i]);
		p[i] = malloc(random_below(&state, 70000));
	}
	for (int i = 0; i < 50; i++)
		free(p[i]);
	return NULL;
}

/* The child allocates, frees what its parent made, makes threads and forks. */
static int in_child(void **made, int nr, int depth)
{
	pthread_t thread;
	int status = 0;
	pid_t pid;

	for (int i = 0; i < nr; i++) {
		assert_painted(made[i], (size_t)i * 40, (uint32_t)i);
		free(made[i]);
		made[i] = malloc((size_t)i * 40);
		paint(made[i], (size_t)i * 40, (uint32_t)i);
	}
	if (pthread_create(&thread, NULL, make_them, NULL) || pthread_join(thread, NULL))
		return 1;
	free_them((void *)0);
	free_them((void *)1);
	if (!depth)
		return 0;
	pid = fork();
	if (!pid)
		_exit(in_child(made, nr, depth - 1));
	return waitpid(pid, &status, 0) != pid || status;
}

static void test_fork(void **state)
{
	enum { NR = 1000, FORKS = 10 };
	void *made[NR];
	pthread_t threads[2];
	int status;

	(void)state;
	for (int i = 0; i < NR; i++) {
		made[i] = malloc((size_t)i * 40);
		paint(made[i], (size_t)i * 40, (uint32_t)i);
	}
	for (int i = 0; i < 2; i++)
		pthread_create(&threads[i], NULL, busy, NULL);
	for (int i = 0; i < FORKS; i++) {
		pid_t pid = fork();

		if (!pid)
			_exit(in_child(made, NR, 1));
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
	}
	atomic_store(&stop, true);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	for (int i = 0; i < NR; i++) {
		assert_painted(made[i], (size_t)i * 40, (uint32_t)i);
		free(made[i]);
	}
}

#endif

/* Sanitizers need memory for each thread, and do not bear threads after fork. */
int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_freed_by_others),
		cmocka_unit_test(test_destructors),
#if !defined(__SANITIZE_THREAD__) && !defined(__SANITIZE_ADDRESS__)
		cmocka_unit_test(test_idle_threads),
		cmocka_unit_test(test_fork),
		/* The last, as the module takes back whole blocks only. */
		cmocka_unit_test(test_goes_back),
#endif
	};
	size_t n = sizeof(tests) / sizeof(tests[0]);

#if !defined(__SANITIZE_THREAD__) && !defined(__SANITIZE_ADDRESS__)
	n -= getenv("HUGESPAN_BACKEND") != NULL;
#endif
	return _cmocka_run_group_tests("tests", tests, n, NULL, NULL);
}
