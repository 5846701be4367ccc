// SPDX-License-Identifier: MIT
/* See common.h. */
#include "common.h"

long effort(long n)
{
#if UNDER_TSAN || defined(__SANITIZE_ADDRESS__)
	long percent = 12;
#else
	long percent = 100;
#endif
	const char *text = getenv("HUGESPAN_TEST_EFFORT");

	if (text)
		percent = atol(text);
	return n * percent / 100 ? n * percent / 100 : 1;
}

NOINLINE void scrub(void)
{
	volatile char dead[16 << 10];

	for (size_t i = 0; i < sizeof(dead); i++)
		dead[i] = 0;
}

/* What look() asks for, in a thread of its own: no word of this is a root. */
struct question {
	const hidden_t *h;
	size_t n;
	bool *is;
};

static void *answer(void *p)
{
	const struct question *q = p;

	for (size_t i = 0; i < q->n; i++)
		q->is[i] = hspan_base(reveal(q->h[i])) != NULL;
	return NULL;
}

void look(const hidden_t *h, size_t n, bool *is)
{
	struct question q = { h, n, is };
	pthread_t thread;

	must(pthread_create(&thread, NULL, answer, &q) == 0);
	must(pthread_join(thread, NULL) == 0);
}

bool alive(hidden_t h)
{
	bool is;

	look(&h, 1, &is);
	return is;
}

size_t count_alive(const hidden_t *h, size_t n)
{
	bool *is = malloc(n * sizeof(*is));
	size_t left = 0;

	must(is);
	look(h, n, is);
	for (size_t i = 0; i < n; i++)
		left += is[i];
	free(is);
	return left;
}

struct errand {
	void (*fn)(void *arg);
	void *arg;
};

static void *run_errand(void *p)
{
	struct errand *e = p;

	must(hspan_thread_register() == 0);
	e->fn(e->arg);
	return NULL;
}

void elsewhere(void (*fn)(void *arg), void *arg)
{
	struct errand e = { fn, arg };
	pthread_t thread;

	must(pthread_create(&thread, NULL, run_errand, &e) == 0);
	must(pthread_join(thread, NULL) == 0);
}

int in_child(int (*fn)(const void *arg), const void *arg)
{
	int status;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	must(pid >= 0);
	if (!pid) {
		alarm(60); /* it may not hang */
		_exit(fn(arg));
	}
	must(waitpid(pid, &status, 0) == pid);
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

int heap_setup(void **state)
{
	struct hspan_options o = HSPAN_OPTIONS_INIT;
	int ret;

	(void)state;
	alarm(240); /* every program ends */
	o.gc_percent = -1;
	ret = hspan_init(&o);
	if (ret)
		fprintf(stderr, "# hspan_init: %s\n", strerror(-ret));
	return ret;
}

int heap_teardown(void **state)
{
	(void)state;
	return hspan_shutdown();
}

int used_signal(void)
{
	const char *text = getenv("HUGESPAN_SIGNAL");

	return text ? atoi(text) : SIGURG;
}

void clean_environment(void)
{
	static const char *const names[] = { "BACKEND", "PERCENT", "MARKERS", "DEBUG", "TRACE",
					     "SIGNAL",	"ARENA",   "LIMIT",   "MIN_HEAP", "IGNORE",
					     "GC",	"PROFILE", "PROFILE_RATE" };
	char name[32];

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		snprintf(name, sizeof(name), "HUGESPAN_%s", names[i]);
		unsetenv(name);
	}
}

uint64_t next_random(uint64_t *state)
{
	uint64_t x = *state;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return *state = x;
}

struct hspan_stats read_stats(void)
{
	struct hspan_stats st = { .struct_size = sizeof(st) };

	must(hspan_stats_read(&st) == 0);
	return st;
}

void sleep_ms(long ms)
{
	struct timespec ts = { ms / 1000, ms % 1000 * 1000000 };

	while (nanosleep(&ts, &ts) && errno == EINTR)
		;
}

int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}
