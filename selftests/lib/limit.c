// SPDX-License-Identifier: MIT
/* Limits: what a cgroup's files say, whose limit is in force, what it does. */
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../userlib/src/cgroup.h"
#include "common.h"

#define MIB (1ull << 20)
#define NONE INT64_MIN

struct fake {
	const char *path;
	const char *text;
};

/** struct tree - a machine's files, and what is to be made of them */
struct tree {
	const char *what;
	struct fake file[12];
	uint64_t limit;
	int64_t room; /* margin not yet taken off; NONE = no limit */
	int64_t hard; /* the same below the hard limit, if that is another */
};

#define V2 "sys/fs/cgroup/"
#define V1 "sys/fs/cgroup/memory/"
#define OURS "proc/self/cgroup"
#define STAT(inactive, active) "anon 1\nfile 5\ninactive_file " #inactive "\nactive_file " #active "\n"

static const struct tree trees[] = {
	{ "nothing at all", { { NULL, NULL } }, 0, NONE, 0 },
	{ "no memory controller", { { OURS, "0::/a\n" } }, 0, NONE, 0 },
	{ "no limit", { { OURS, "0::/a\n" }, { V2 "a/memory.max", "max\n" },
		{ V2 "a/memory.current", "1048576\n" } }, 0, NONE, 0 },
	{ "a limit", { { OURS, "0::/a\n" }, { V2 "a/memory.max", "268435456\n" },
		{ V2 "a/memory.current", "67108864\n" } }, 256 * MIB, 192 * MIB, 0 },
	{ "used up", { { OURS, "0::/a\n" }, { V2 "a/memory.max", "268435456\n" },
		{ V2 "a/memory.current", "300000000\n" } }, 256 * MIB, 268435456 - 300000000, 0 },
	{ "files count for little", { { OURS, "0::/a\n" }, { V2 "a/memory.max", "268435456\n" },
		{ V2 "a/memory.current", "258435456\n" },
		{ V2 "a/memory.stat", STAT(1000000, 500000) } }, 256 * MIB, 10000000 + 1250000, 0 },
	{ "high below max", { { OURS, "0::/a\n" }, { V2 "a/memory.max", "268435456\n" },
		{ V2 "a/memory.high", "134217728\n" }, { V2 "a/memory.current", "1048576\n" } },
		128 * MIB, 127 * MIB, 255 * MIB - 256 * MIB / 32 - 2 * MIB },
	{ "high and no max", { { OURS, "0::/a\n" }, { V2 "a/memory.max", "max\n" },
		{ V2 "a/memory.high", "134217728\n" }, { V2 "a/memory.current", "1048576\n" } },
		128 * MIB, 127 * MIB, INT64_MAX },
	{ "one above is slow, ours full", { { OURS, "0::/a/b\n" },
		{ V2 "a/b/memory.max", "268435456\n" }, { V2 "a/b/memory.current", "201326592\n" },
		{ V2 "a/memory.high", "235929600\n" }, { V2 "a/memory.max", "536870912\n" },
		{ V2 "a/memory.current", "205520896\n" } }, 225 * MIB, 29 * MIB,
		64 * MIB - 256 * MIB / 32 - 2 * MIB },
	{ "the one above leaves less", { { OURS, "0::/a/b/c\n" },
		{ V2 "a/b/c/memory.max", "268435456\n" }, { V2 "a/b/c/memory.current", "1048576\n" },
		{ V2 "a/b/memory.max", "max\n" }, { V2 "a/memory.max", "536870912\n" },
		{ V2 "a/memory.current", "503316480\n" } }, 512 * MIB, 32 * MIB, 0 },
	{ "ours leaves less", { { OURS, "0::/a/b\n" }, { V2 "a/b/memory.max", "268435456\n" },
		{ V2 "a/b/memory.current", "201326592\n" }, { V2 "a/memory.max", "536870912\n" },
		{ V2 "a/memory.current", "205520896\n" } }, 256 * MIB, 64 * MIB, 0 },
	{ "in a container: the top of what is seen", { { OURS, "0::/\n" },
		{ V2 "memory.max", "134217728\n" }, { V2 "memory.current", "1048576\n" } },
		128 * MIB, 127 * MIB, 0 },
	{ "in a container: the host's path", { { OURS, "0::/docker/0123\n" },
		{ V2 "memory.max", "134217728\n" }, { V2 "memory.current", "1048576\n" } },
		128 * MIB, 127 * MIB, 0 },
	{ "moved out of what is seen", { { OURS, "0::/../../other\n" },
		{ V2 "memory.max", "134217728\n" }, { V2 "memory.current", "1048576\n" } },
		128 * MIB, 127 * MIB, 0 },
	{ "version 1", { { OURS, "9:cpu:/\n4:memory:/a/b\n0::/x\n" },
		{ V1 "a/b/memory.limit_in_bytes", "134217728\n" },
		{ V1 "a/b/memory.usage_in_bytes", "1048576\n" },
		{ V1 "a/memory.limit_in_bytes", "9223372036854771712\n" } }, 128 * MIB, 127 * MIB, 0 },
	{ "version 1 without a limit", { { OURS, "4:memory:/a\n" },
		{ V1 "a/memory.limit_in_bytes", "9223372036854771712\n" },
		{ V1 "a/memory.usage_in_bytes", "1048576\n" } }, 0, NONE, 0 },
	{ "version 1, controllers together", { { OURS, "4:cpuset,memory,pids:/a\n" },
		{ V1 "a/memory.limit_in_bytes", "134217728\n" },
		{ V1 "a/memory.usage_in_bytes", "1048576\n" } }, 128 * MIB, 127 * MIB, 0 },
	{ "another controller's name begins so", { { OURS, "4:memorysw,xmemory:/a\n" },
		{ V1 "a/memory.limit_in_bytes", "134217728\n" },
		{ V1 "a/memory.usage_in_bytes", "1048576\n" } }, 0, NONE, 0 },
	{ "no newline at the end", { { OURS, "0::/a" }, { V2 "a/memory.max", "134217728" },
		{ V2 "a/memory.current", "1048576" } }, 128 * MIB, 127 * MIB, 0 },
	{ "lines that are none", { { OURS, "\n:\n::\n0:\n0::\n0::a\n" },
		{ V2 "memory.max", "134217728" } }, 0, NONE, 0 },
	{ "no number", { { OURS, "0::/a\n" }, { V2 "a/memory.max", "lots\n" } }, 0, NONE, 0 },
};

/* Make @path under @top, with its directories. */
static void put_file(const char *top, const struct fake *file)
{
	char path[PATH_MAX];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", top, file->path);
	for (char *at = path + strlen(top) + 1; (at = strchr(at, '/')); at++) {
		*at = 0;
		assert_true(!mkdir(path, 0700) || errno == EEXIST);
		*at = '/';
	}
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, file->text, strlen(file->text)), strlen(file->text));
	close(fd);
}

static void remove_tree(const char *top)
{
	char command[PATH_MAX + 16];

	snprintf(command, sizeof(command), "rm -r '%s'", top);
	assert_int_equal(system(command), 0);
}

static bool is_right(const struct tree *t)
{
	char top[] = "/tmp/hspan-limit-XXXXXX";
	struct hs_cgroup cg = { 0 };
	bool found, right;
	int64_t room;

	assert_non_null(mkdtemp(top));
	for (const struct fake *f = t->file; f->path; f++)
		put_file(top, f);
	found = hs_cgroup_look(top, &cg);
	remove_tree(top);
	room = t->room - (int64_t)(t->limit / 32 + 2 * MIB);
	if (t->room == NONE)
		right = !found;
	else
		right = found && cg.limit == t->limit && cg.soft == room &&
			cg.hard == (t->hard ? t->hard : room);
	if (!right)
		fprintf(stderr, "# %s: found %d, limit %llu, soft %lld, hard %lld\n", t->what,
			found, (unsigned long long)cg.limit, (long long)cg.soft,
			(long long)cg.hard);
	return right;
}

static void files_of_a_cgroup(void **state)
{
	int bad = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(trees); i++)
		bad += !is_right(&trees[i]);
	assert_int_equal(bad, 0);
}

/* A limit of the program's own is in force if it is the lowest. */
static int own_limit(const void *arg)
{
	struct hspan_options o = HSPAN_OPTIONS_INIT;

	(void)arg;
	o.memory_limit = 32 * MIB;
	expect(hspan_init(&o) == 0);
	expect(read_stats().limit == 32 * MIB);
	expect(read_stats().limit_from == HSPAN_LIMIT_PROGRAM);
	expect(!hspan_alloc_noscan(40 * MIB));
	expect(hspan_set_memory_limit(64 * MIB) == 32 * MIB);
	expect(hspan_alloc_noscan(40 * MIB));
	expect(read_stats().limit == 64 * MIB);
	expect(hspan_set_memory_limit(0) == 64 * MIB);
	expect(hspan_alloc_noscan(80 * MIB));
	expect(read_stats().limit_from != HSPAN_LIMIT_PROGRAM);
	return hspan_shutdown();
}

static void limit_of_the_program(void **state)
{
	(void)state;
	assert_int_equal(in_child(own_limit, NULL), 0);
}

/* Who is told nothing, and asks nothing, has no limit. */
static int ignore_all(const void *arg)
{
	struct hspan_options o = HSPAN_OPTIONS_INIT;

	(void)arg;
	o.ignore = HSPAN_IGNORE_CGROUP | HSPAN_IGNORE_PRESSURE;
	expect(hspan_init(&o) == 0);
	expect(read_stats().limit == 0 && read_stats().limit_from == HSPAN_LIMIT_NONE);
	expect(read_stats().pressure == 0 && read_stats().pressed == 0);
	return hspan_shutdown();
}

static void nothing_heeded(void **state)
{
	(void)state;
	assert_int_equal(in_child(ignore_all, NULL), 0);
}

/* Near its limit a heap of live objects goes on, whoever allocates what. */
static void *near_limit(void *arg)
{
	void **live = arg;

	for (int i = 0; i < EFFORT(60000); i++) {
		void **p = hspan_alloc(1000);

		must(p);
		hspan_store(&p[1], live[i % 1000]);
		hspan_clear(&p[1], 8);
		hspan_store(&live[i % 1000], p);
	}
	return NULL;
}

static int crowd(const void *arg)
{
	static void *live[4][26000];
	struct hspan_options o = HSPAN_OPTIONS_INIT;
	pthread_t thread[4];

	(void)arg;
	o.memory_limit = 160 * MIB; /* 104 MiB of them will live */
	o.gc_percent = 400;
	expect(hspan_init(&o) == 0);
	expect(hspan_root_add(live, sizeof(live)) == 0);
	for (int t = 0; t < 4; t++)
		for (size_t i = 0; i < ARRAY_SIZE(live[t]); i++) {
			hspan_store(&live[t][i], hspan_alloc(1000));
			expect(live[t][i]);
		}
	for (int t = 0; t < 4; t++)
		expect(pthread_create(&thread[t], NULL, near_limit, live[t]) == 0);
	hspan_thread_park();
	for (int t = 0; t < 4; t++)
		expect(pthread_join(thread[t], NULL) == 0);
	hspan_thread_unpark();
	expect(read_stats().heap_sys <= 160 * MIB);
	expect(read_stats().num_gc > 0);
	return hspan_shutdown();
}

static void crowd_at_the_limit(void **state)
{
	(void)state;
	assert_int_equal(in_child(crowd, NULL), 0);
}

/* A program that closes what it does not know does not lose its heap. */
static int close_all(const void *arg)
{
	(void)arg;
	if (strcmp(getenv("HUGESPAN_BACKEND"), "embedded"))
		return 0;
	expect(hspan_init(NULL) == 0);
	for (int fd = 3; fd < 100; fd++)
		close(fd);
	for (int i = 0; i < 100000; i++)
		expect(hspan_alloc(100));
	hspan_gc();
	return hspan_shutdown();
}

static void closed_descriptors(void **state)
{
	(void)state;
	assert_int_equal(in_child(close_all, NULL), 0);
}

extern uint64_t hs_idle_ns;

/* A program that does nothing any more is left with what lives. */
static int fall_idle(const void *arg)
{
	static void *live[64];
	struct hspan_options o = HSPAN_OPTIONS_INIT;

	(void)arg;
	hs_idle_ns = 20000000;
	o.gc_percent = 200;
	expect(hspan_init(&o) == 0);
	expect(hspan_root_add(live, sizeof(live)) == 0);
	for (int i = 0; i < 64; i++)
		hspan_store(&live[i], hspan_alloc_noscan(MIB));
	expect(read_stats().heap_sys >= 64 * MIB);
	hspan_clear(&live[4], 60 * sizeof(live[0]));
	hspan_thread_park();
	while (read_stats().heap_sys > 16 * MIB)
		usleep(5000);
	hspan_thread_unpark();
	for (int i = 0; i < 4; i++)
		expect(hspan_base(live[i]) == live[i]);
	return hspan_shutdown();
}

static void idle_memory_goes_back(void **state)
{
	(void)state;
	assert_int_equal(in_child(fall_idle, NULL), 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(files_of_a_cgroup),
		cmocka_unit_test(limit_of_the_program),
		cmocka_unit_test(nothing_heeded),
		cmocka_unit_test(crowd_at_the_limit),
		cmocka_unit_test(closed_descriptors),
		cmocka_unit_test(idle_memory_goes_back),
	};

	alarm(240);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
