// SPDX-License-Identifier: MIT
/*
 * The hardened mode: errors end the program with a message, and what is no error
 * does not.  Each is tried in a process of its own.
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common.h"

static void *hide(void *p)
{
	__asm__ volatile("" : "+r"(p) : : "memory");
	return p;
}

static void double_free(size_t size)
{
	void *p = malloc(size);

	free(malloc(size));
	free(p);
	free(hide(p));
}

static void later_double_free(size_t size)
{
	void *p = malloc(size), *other[50];

	for (int i = 0; i < 50; i++)
		other[i] = malloc(size);
	free(p);
	for (int i = 0; i < 50; i++)
		free(other[i]);
	free(hide(p));
}

static void interior(size_t size)
{
	char *p = malloc(size);

	free(hide(p + 16));
}

static void stack(size_t size)
{
	char object[64];

	(void)size;
	free(hide(object));
}

static void overflow(size_t size)
{
	char *p = hide(malloc(size));

	p[size] = 0;
	free(p);
}

static void overflow_then_realloc(size_t size)
{
	char *p = hide(malloc(size));

	p[size] ^= 1;
	p = realloc(p, size * 2);
	free(hide(p));
}

static void no_error(size_t size)
{
	for (int i = 0; i < 1000; i++) {
		char *p = malloc(size), *q = calloc(1, size), *r = aligned_alloc(256, size);

		paint(p, size, 0xff);
		paint(q, size, 0xff);
		paint(r, size, 0xff);
		assert_int_equal(malloc_usable_size(p), size);
		q = realloc(q, size + 1);
		assert_painted(q, size, 0xff);
		free(p);
		free(q);
		free(r);
	}
}

/* Did fn(size) end by SIGABRT in a child, and what did it say? */
static int aborts(void (*fn)(size_t), size_t size, const char *what)
{
	char said[256] = "";
	int out[2], status = 0;
	ssize_t n;
	pid_t pid;

	assert_int_equal(pipe(out), 0);
	pid = fork();
	if (!pid) {
		signal(SIGABRT, SIG_DFL);
		dup2(out[1], STDERR_FILENO);
		fn(size);
		_exit(0);
	}
	close(out[1]);
	n = read(out[0], said, sizeof(said) - 1);
	close(out[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return n > 0 && WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT && strstr(said, what);
}

static const size_t sizes[] = {1, 8, 24, 100, 1000, 5000, 40000, 200000, 8 << 20};
#define NR_SIZES (sizeof(sizes) / sizeof(*sizes))

static void test_double_free(void **state)
{
	(void)state;
	for (size_t i = 0; i < NR_SIZES; i++) {
		if (sizes[i] < 1000)
			assert_true(aborts(double_free, sizes[i], "double free"));
		assert_true(aborts(double_free, sizes[i], "free(): "));
		assert_true(aborts(later_double_free, sizes[i], "free(): "));
	}
}

static void test_invalid(void **state)
{
	(void)state;
	for (size_t i = 0; i < NR_SIZES; i++)
		assert_true(aborts(interior, sizes[i], "free(): "));
	assert_true(aborts(stack, 1, "invalid pointer"));
}

static void test_overflow(void **state)
{
	(void)state;
	for (size_t i = 0; i < NR_SIZES; i++) {
		assert_true(aborts(overflow, sizes[i], "beyond"));
		assert_true(aborts(overflow_then_realloc, sizes[i], "realloc(): written beyond"));
	}
}

static void test_no_error(void **state)
{
	(void)state;
	for (size_t i = 0; i < NR_SIZES - 1; i++)
		no_error(sizes[i]);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_double_free),
		cmocka_unit_test(test_invalid),
		cmocka_unit_test(test_overflow),
		cmocka_unit_test(test_no_error),
	};

	(void)argc;
	if (!getenv("HUGESPAN_HARDENED")) {
		setenv("HUGESPAN_HARDENED", "1", 1);
		execv("/proc/self/exe", argv);
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
