// SPDX-License-Identifier: MIT
/* Options, environment, the life cycle.  Each case has a process of its own. */
#include <fcntl.h>

#include "common.h"

struct variable {
	const char *name;
	const char *text;
	int expected;
};

/* HUGESPAN_BACKEND apart, which is varied below. */
static const struct variable variables[] = {
	{ "PERCENT", "100", 0 },
	{ "PERCENT", "0", 0 },
	{ "PERCENT", "-1", 0 },
	{ "PERCENT", "-2", -EINVAL },
	{ "PERCENT", "", -EINVAL },
	{ "PERCENT", "1e2", -EINVAL },
	{ "PERCENT", "100%", -EINVAL },
	{ "PERCENT", "99999999999999999999", -EINVAL },
	{ "MARKERS", "1", 0 },
	{ "MARKERS", "16", 0 },
	{ "MARKERS", "0", -EINVAL },
	{ "MARKERS", "17", -EINVAL },
	{ "MARKERS", "-1", -EINVAL },
	{ "MARKERS", "two", -EINVAL },
	{ "DEBUG", "", 0 },
	{ "DEBUG", "checkmark", 0 },
	{ "DEBUG", "clobber", 0 },
	{ "DEBUG", "checkmark,clobber", 0 },
	{ "DEBUG", "clobber,checkmark", 0 },
	{ "DEBUG", "check", -EINVAL },
	{ "DEBUG", "checkmarks", -EINVAL },
	{ "DEBUG", "clobber,", 0 },
	{ "DEBUG", ",clobber", -EINVAL },
	{ "DEBUG", "clobber,,checkmark", -EINVAL },
	{ "DEBUG", "clobber checkmark", -EINVAL },
	{ "TRACE", "gc", 0 },
	{ "TRACE", "", 0 },
	{ "TRACE", "gc,limit", 0 },
	{ "IGNORE", "", 0 },
	{ "IGNORE", "cgroup", 0 },
	{ "IGNORE", "pressure,cgroup", 0 },
	{ "IGNORE", "limit", -EINVAL },
	{ "TRACE", "GC", -EINVAL },
	{ "TRACE", "all", -EINVAL },
	{ "SIGNAL", "23", 0 },
	{ "SIGNAL", "10", 0 },
	{ "SIGNAL", "64", 0 },
	{ "SIGNAL", "0", -EINVAL },
	{ "SIGNAL", "65", -EINVAL },
	{ "SIGNAL", "9", -EINVAL },
	{ "SIGNAL", "19", -EINVAL },
	{ "SIGNAL", "SIGURG", -EINVAL },
	{ "ARENA", "2M", 0 },
	{ "ARENA", "1G", 0 },
	{ "ARENA", "1048576", 0 },
	{ "ARENA", "64G", 0 },
	{ "ARENA", "128G", 0 },
	{ "ARENA", "129G", -EINVAL },
	{ "ARENA", "2m", -EINVAL },
	{ "ARENA", "2MB", -EINVAL },
	{ "ARENA", "-2M", -EINVAL },
	{ "ARENA", " -2M", -EINVAL },
	{ "ARENA", "", -EINVAL },
	{ "ARENA", "99999999999G", -EINVAL },
	{ "ARENA", "18446744073709551615", -EINVAL },
	{ "ARENA", "18446744073709551616", -EINVAL },
	{ "GC", "barrier", 0 },
	{ "GC", "snapshot", 0 },
	{ "GC", "image", -EINVAL },
	{ "GC", "", -EINVAL },
	{ "LIMIT", "0", 0 },
	{ "LIMIT", "64M", 0 },
	{ "LIMIT", "x", -EINVAL },
	{ "MIN_HEAP", "1K", 0 },
	{ "MIN_HEAP", "1T", -EINVAL },
};

static int init_with_variable(const void *arg)
{
	const struct variable *v = arg;
	char name[32];
	int ret;

	snprintf(name, sizeof(name), "HUGESPAN_%s", v->name);
	if (!strcmp(v->name, "GC"))
		unsetenv("HUGESPAN_BACKEND"); /* not every one has snapshots */
	setenv(name, v->text, 1);
	ret = hspan_init(NULL);
	if (ret != v->expected)
		fprintf(stderr, "# %s=\"%s\": %d, not %d\n", name, v->text, ret, v->expected);
	expect(ret == v->expected);
	if (ret) {
		expect(!hspan_backend_name());
		/* What failed leaves nothing behind; the first allocation says why. */
		errno = 0;
		expect(!hspan_alloc(8) && errno == -ret);
		unsetenv(name);
		expect(hspan_init(NULL) == 0);
	}
	expect(hspan_alloc(100));
	hspan_gc();
	expect(hspan_shutdown() == 0);
	return 0;
}

static void environment(void **state)
{
	int bad = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(variables); i++)
		bad += in_child(init_with_variable, &variables[i]) != 0;
	assert_int_equal(bad, 0);
}

static int bad_options(const void *arg)
{
	struct hspan_options o = HSPAN_OPTIONS_INIT;

	(void)arg;
#define REFUSED(field, value)                                                      \
	do {                                                                       \
		struct hspan_options bad = HSPAN_OPTIONS_INIT;                     \
		bad.field = (value);                                               \
		expect(hspan_init(&bad) == -EINVAL);                               \
	} while (0)
	REFUSED(struct_size, 0);
	REFUSED(struct_size, offsetof(struct hspan_options, ignore) - 1);
	REFUSED(struct_size, SIZE_MAX);
	REFUSED(struct_size, 1 << 20);
	REFUSED(backend, (enum hspan_backend)3);
	REFUSED(backend, (enum hspan_backend)-1);
	REFUSED(gc_mode, (enum hspan_gc_mode)2);
	REFUSED(gc_mode, (enum hspan_gc_mode)-1);
	REFUSED(markers, 17);
	REFUSED(markers, UINT32_MAX);
	REFUSED(debug, 1u << 2);
	REFUSED(debug, 1u << 16);
	REFUSED(trace, 1u << 5);
	REFUSED(ignore, 1u << 2);
	REFUSED(signal, -1);
	REFUSED(signal, 65);
	REFUSED(signal, SIGKILL);
	REFUSED(signal, SIGSTOP);
	REFUSED(arena_size, (size_t)129 << 30);
	REFUSED(arena_size, SIZE_MAX);
	REFUSED(arena_size, SIZE_MAX - 4096);
	expect(!hspan_backend_name());
	expect(hspan_init(&o) == 0);
	expect(hspan_init(&o) == -EALREADY);
	expect(hspan_init(NULL) == -EALREADY);
	expect(hspan_shutdown() == 0);
	return 0;
}

/* A program built with a later header: fine as long as it asks for nothing new. */
static int later_options(const void *arg)
{
	struct {
		struct hspan_options o;
		uint64_t later;
	} big = { .o = HSPAN_OPTIONS_INIT, .later = 1 };

	(void)arg;
	big.o.struct_size = sizeof(big);
	expect(hspan_init(&big.o) == -EINVAL);
	big.later = 0;
	expect(hspan_init(&big.o) == 0);
	return hspan_shutdown();
}

static void options(void **state)
{
	(void)state;
	assert_int_equal(in_child(bad_options, NULL), 0);
	assert_int_equal(in_child(later_options, NULL), 0);
}

/* All zero but the size means defaults, too. */
static int zero_options(const void *arg)
{
	struct hspan_options o = { .struct_size = sizeof(o), .gc_percent = -1 };

	(void)arg;
	expect(hspan_init(&o) == 0);
	expect(hspan_gc_set_percent(50) == -1);
	expect(hspan_gc_set_percent(100) == 50);
	return hspan_shutdown();
}

static void defaults(void **state)
{
	(void)state;
	assert_int_equal(in_child(zero_options, NULL), 0);
}

static int environment_wins(const void *arg)
{
	struct hspan_options o = HSPAN_OPTIONS_INIT;

	(void)arg;
	o.gc_percent = 30;
	o.memory_limit = 1 << 30;
	setenv("HUGESPAN_PERCENT", "70", 1);
	setenv("HUGESPAN_LIMIT", "512M", 1);
	expect(hspan_init(&o) == 0);
	expect(hspan_gc_set_percent(1) == 70);
	expect(hspan_set_memory_limit(0) == 512 << 20);
	return hspan_shutdown();
}

static void environment_overrides(void **state)
{
	(void)state;
	assert_int_equal(in_child(environment_wins, NULL), 0);
}

static void *hold_heap(void *arg)
{
	int *pipe_end = arg;
	char c;

	must(hspan_thread_register() == 0);
	must(write(pipe_end[1], "x", 1) == 1);
	while (read(pipe_end[2], &c, 1) < 0)
		must(errno == EINTR);
	return NULL;
}

static int shutdown_cases(const void *arg)
{
	int fd[4];
	pthread_t thread;
	char c;

	(void)arg;
	expect(hspan_shutdown() == -ENOENT);
	expect(pipe(fd) == 0 && pipe(fd + 2) == 0);
	expect(hspan_init(NULL) == 0);
	expect(pthread_create(&thread, NULL, hold_heap, fd) == 0);
	expect(read(fd[0], &c, 1) == 1);
	expect(hspan_shutdown() == -EBUSY);
	expect(hspan_alloc(10));
	expect(write(fd[3], "x", 1) == 1);
	expect(pthread_join(thread, NULL) == 0);
	expect(hspan_shutdown() == 0);
	expect(hspan_shutdown() == -ENOENT);
	expect(!hspan_backend_name());
	expect(hspan_thread_unregister() == -ENOENT);
	expect(!hspan_base(&c) && !hspan_usable_size(&c));
	hspan_free(NULL);
	expect(hspan_release() == 0);
	return 0;
}

static void shutdown_and_busy(void **state)
{
	(void)state;
	assert_int_equal(in_child(shutdown_cases, NULL), 0);
}

/* Many lives in one process, each with fresh figures. */
static int many_lives(const void *arg)
{
	static void *root[100];

	(void)arg;
	for (int life = 0; life < EFFORT(60); life++) {
		struct hspan_options o = HSPAN_OPTIONS_INIT;
		struct hspan_stats st;

		o.markers = 1 + (unsigned int)life % 4;
		o.min_heap = 64 << 10;
		o.arena_size = (size_t)(life % 3 + 1) << 28;
		expect(hspan_init(&o) == 0);
		st = read_stats();
		expect(!st.num_gc && !st.spans_swept && !st.handshakes && !st.total_alloc);
		expect(hspan_root_add(root, sizeof(root)) == 0);
		for (int i = 0; i < 3000; i++) {
			void **p = hspan_alloc(16 + (size_t)i % 900);

			expect(p && !p[0] && !p[1]);
			hspan_store(&p[0], root[i % 100]);
			hspan_store(&root[i % 100], i % 7 ? p : NULL);
		}
		if (life % 3)
			hspan_gc();
		expect(hspan_shutdown() == 0); /* the root goes with it */
		expect(hspan_root_remove(root) == -ENOENT);
		memset(root, 0, sizeof(root));
	}
	return 0;
}

static void lives(void **state)
{
	(void)state;
	assert_int_equal(in_child(many_lives, NULL), 0);
}

static int first_allocation(const void *arg)
{
	(void)arg;
	expect(!hspan_backend_name());
	expect(hspan_alloc(1));
	expect(hspan_backend_name());
	expect(hspan_init(NULL) == -EALREADY);
	expect(hspan_thread_register() == -EALREADY);
	return hspan_shutdown();
}

static void made_by_first_allocation(void **state)
{
	(void)state;
	assert_int_equal(in_child(first_allocation, NULL), 0);
}

static void *race_to_init(void *arg)
{
	pthread_barrier_t *b = arg;

	pthread_barrier_wait(b);
	must(hspan_alloc(32));
	return NULL;
}

static int racing_threads(const void *arg)
{
	pthread_barrier_t b;
	pthread_t t[8];

	(void)arg;
	pthread_barrier_init(&b, NULL, ARRAY_SIZE(t));
	for (size_t i = 0; i < ARRAY_SIZE(t); i++)
		expect(pthread_create(&t[i], NULL, race_to_init, &b) == 0);
	for (size_t i = 0; i < ARRAY_SIZE(t); i++)
		expect(pthread_join(t[i], NULL) == 0);
	expect(hspan_thread_register() == 0);
	return hspan_shutdown();
}

static void first_allocations_race(void **state)
{
	(void)state;
	for (int i = 0; i < 5; i++)
		assert_int_equal(in_child(racing_threads, NULL), 0);
}

static bool have_module(void)
{
	return access("/dev/hugespan", R_OK | W_OK) == 0;
}

/* What init says on stderr with a trace: does it name the backend it took? */
static int auto_backend(const void *arg)
{
	char text[512] = "";
	int fd[2], saved = dup(2);
	ssize_t n;

	(void)arg;
	setenv("HUGESPAN_BACKEND", "auto", 1);
	setenv("HUGESPAN_TRACE", "gc", 1);
	expect(pipe2(fd, O_NONBLOCK) == 0);
	dup2(fd[1], 2);
	int ret = hspan_init(NULL);
	dup2(saved, 2);
	expect(ret == 0);
	n = read(fd[0], text, sizeof(text) - 1);
	text[n > 0 ? n : 0] = 0;
	expect(!strcmp(hspan_backend_name(), have_module() ? "module" : "embedded"));
	expect(have_module() || strstr(text, "embedded"));
	setenv("HUGESPAN_TRACE", "", 1);
	return hspan_shutdown();
}

static int named_backend(const void *name)
{
	bool module = !strcmp(name, "module");
	int ret;

	setenv("HUGESPAN_BACKEND", name, 1);
	ret = hspan_init(NULL);
	if (module && !have_module()) {
		expect(ret == -ENOENT || ret == -EACCES || ret == -ENODEV);
		return 0;
	}
	expect(ret == 0);
	expect(!strcmp(hspan_backend_name(), name));
	return hspan_shutdown();
}

static int wrong_backend(const void *name)
{
	setenv("HUGESPAN_BACKEND", name, 1);
	expect(hspan_init(NULL) == -EINVAL);
	return 0;
}

static void backends(void **state)
{
	(void)state;
	assert_int_equal(in_child(auto_backend, NULL), 0);
	assert_int_equal(in_child(named_backend, "module"), 0);
	assert_int_equal(in_child(named_backend, "embedded"), 0);
	assert_int_equal(in_child(wrong_backend, ""), 0);
	assert_int_equal(in_child(wrong_backend, "kernel"), 0);
	assert_int_equal(in_child(wrong_backend, "Module"), 0);
}

static int blocked_signal(const void *arg)
{
	sigset_t set;

	(void)arg;
	sigemptyset(&set);
	sigaddset(&set, SIGURG);
	sigprocmask(SIG_BLOCK, &set, NULL);
	expect(hspan_init(NULL) == -EDEADLK);
	errno = 0;
	expect(!hspan_alloc(8) && errno == EDEADLK);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	expect(hspan_alloc(8));
	return hspan_shutdown();
}

static void blocked_signal_at_init(void **state)
{
	(void)state;
	assert_int_equal(in_child(blocked_signal, NULL), 0);
}

static void version(void **state)
{
	const char *v = hspan_version();
	unsigned int major, minor, patch;
	char end;

	(void)state;
	assert_int_equal(sscanf(v, "%u.%u.%u%c", &major, &minor, &patch, &end), 3);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(version),
		cmocka_unit_test(environment),
		cmocka_unit_test(options),
		cmocka_unit_test(defaults),
		cmocka_unit_test(environment_overrides),
		cmocka_unit_test(shutdown_and_busy),
		cmocka_unit_test(lives),
		cmocka_unit_test(made_by_first_allocation),
		cmocka_unit_test(first_allocations_race),
		cmocka_unit_test(backends),
		cmocka_unit_test(blocked_signal_at_init),
	};
	const char *backend = getenv("HUGESPAN_BACKEND");
	char kept[16];

	snprintf(kept, sizeof(kept), "%s", backend ? backend : "auto");
	clean_environment();
	setenv("HUGESPAN_BACKEND", kept, 1);
	alarm(240);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
