// SPDX-License-Identifier: GPL-2.0-only
/*
 * Calls in which allocations and copies can fail, and what must be so whether
 * they do or not.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "fault.h"

#define NR_SPANS	FAULT_NR_SPANS
#define FEW_SPANS	8	/* need no allocation */
#define NR_CLIENTS	100
#define NR_ARENAS	100
#define SOMEBODY	1001
#define CGROUP		"/sys/fs/cgroup/fault"

const char * const fault_kinds[FAULT_NR_KINDS] = {
	"failslab", "fail_page_alloc", "fail_usercopy",
};

/* One setting of every kind that has it. */
int fault_set(const char *name, const char *text)
{
	char path[128];
	unsigned int i;
	int ret = -1;

	for (i = 0; i < FAULT_NR_KINDS; i++) {
		snprintf(path, sizeof(path), FAULT_DEBUG "%s/%s",
			 fault_kinds[i], name);
		if (!abi_write(path, text))
			ret = 0;
	}
	return ret;
}

/* Every kind of allocation can fail; the log stays readable, if that is wanted. */
int fault_arm_kernel(void)
{
	if (fault_set("verbose", getenv("HUGESPAN_VERBOSE_FAULTS") ? "2" : "0"))
		return -1;
	fault_set("ignore-gfp-wait", "N");
	fault_set("ignore-gfp-highmem", "N");
	fault_set("min-order", "0");
	fault_set("times", "-1");
	return 0;
}

static void prepare_nothing(struct fault_ctx *ctx)
{
	ctx->nr_held = 0;
}

static void prepare_held(struct fault_ctx *ctx)
{
	abi_get_all(ctx->fd, CLASS_32, 0, ctx->held, NR_SPANS);
	ctx->nr_held = NR_SPANS;
}

static void prepare_one(struct fault_ctx *ctx)
{
	abi_get_all(ctx->fd, CLASS_32, 0, ctx->held, 1);
	ctx->nr_held = 1;
}

static void prepare_few(struct fault_ctx *ctx)
{
	abi_get_all(ctx->fd, CLASS_32, 0, ctx->held, FEW_SPANS);
	ctx->nr_held = FEW_SPANS;
}

static void prepare_unswept(struct fault_ctx *ctx)
{
	unsigned int i;

	prepare_held(ctx);
	for (i = 0; i < NR_SPANS; i++)
		assert_int_equal(abi_put(ctx->fd, &ctx->held[i], 0), 0);
	ctx->nr_held = 0;
	assert_true(abi_cycle(ctx->fd) > 0);
}

/* An arena that can have snapshots, with a block. */
static void prepare_gated(struct fault_ctx *ctx)
{
	struct hspan_arena_create args = {
		.size = ABI_BLOCKS * HSPAN_BLOCK_SIZE,
		.flags = HSPAN_ARENA_SNAPSHOT,
	};
	int dev = abi_device();

	close(ctx->fd);
	ctx->fd = ioctl(dev, HSPAN_IOC_ARENA_CREATE, &args);
	assert_true(ctx->fd >= 0);
	close(dev);
	prepare_one(ctx);
}

/* A call that returns a file descriptor, on the device. */
static int run_on_device(unsigned int cmd, void *args)
{
	int dev = open("/dev/hugespan", O_RDWR), fd, err;

	if (dev < 0)
		return -1;
	fd = ioctl(dev, cmd, args);
	err = errno;
	close(dev);
	if (fd >= 0)
		close(fd);
	errno = err;
	return fd < 0 ? -1 : 0;
}

static int run_create(struct fault_ctx *ctx)
{
	struct hspan_arena_create args = { .size = 64 * HSPAN_BLOCK_SIZE };

	(void)ctx;
	return run_on_device(HSPAN_IOC_ARENA_CREATE, &args);
}

static int run_create_named(struct fault_ctx *ctx)
{
	struct hspan_arena_create args = { .size = 64 * HSPAN_BLOCK_SIZE,
					   .name = "another" };

	(void)ctx;
	return run_on_device(HSPAN_IOC_ARENA_CREATE, &args);
}

static int run_create_twice(struct fault_ctx *ctx)
{
	struct hspan_arena_create args = { .size = 64 * HSPAN_BLOCK_SIZE,
					   .name = "named" };
	int ret = run_on_device(HSPAN_IOC_ARENA_CREATE, &args);

	(void)ctx;
	return ret && errno == EEXIST ? 0 : -1;
}

static int run_find(struct fault_ctx *ctx)
{
	struct hspan_arena_find args = { .name = "named" };

	(void)ctx;
	return run_on_device(HSPAN_IOC_ARENA_FIND, &args);
}

static int run_open(struct fault_ctx *ctx)
{
	int fd = abi_open(ctx->fd);

	if (fd < 0)
		return -1;
	close(fd);
	return 0;
}

static int run_get(struct fault_ctx *ctx)
{
	int nr = abi_get(ctx->fd, CLASS_32, 0, ctx->held, NR_SPANS);

	ctx->nr_held = nr < 0 ? 0 : nr;
	return nr < 0 ? -1 : 0;
}

/* One span takes a way of its own. */
static int run_get_one(struct fault_ctx *ctx)
{
	int nr = abi_get(ctx->fd, CLASS_32, 0, ctx->held, 1);

	ctx->nr_held = nr < 0 ? 0 : nr;
	return nr < 0 ? -1 : 0;
}

static int run_get_large(struct fault_ctx *ctx)
{
	int nr = abi_get(ctx->fd, HSPAN_CLASS_LARGE_SCAN,
			 5 * HSPAN_BLOCK_PAGES, ctx->held, 2);

	ctx->nr_held = nr < 0 ? 0 : nr;
	return nr < 0 ? -1 : 0;
}

static int run_put(struct fault_ctx *ctx)
{
	int ret = abi_put_all(ctx->fd, ctx->held, ctx->nr_held);

	/* A fault after the puts were done is told as one. */
	if (!ret || abi_stats(ctx->fd).spans_held == 0)
		ctx->nr_held = 0;
	return ret;
}

/* Entries that say something else already have to be told. */
static int run_put_told(struct fault_ctx *ctx)
{
	struct hspan_put puts[NR_SPANS];
	struct hspan_span_put args = {
		.puts = (uintptr_t)puts, .nr = ctx->nr_held,
	};
	int ret, err;
	unsigned int i;

	for (i = 0; i < args.nr; i++)
		puts[i] = (struct hspan_put){
			.page = ctx->held[i].page,
			.nfree = ctx->held[i].nfree,
			.sweepgen = ctx->held[i].sweepgen,
			.error = -1,
		};
	ret = ioctl(ctx->fd, HSPAN_IOC_SPAN_PUT, &args);
	err = errno;
	if (!ret || abi_stats(ctx->fd).spans_held == 0)
		ctx->nr_held = 0;
	errno = err;
	return ret;
}

static int run_sweep(struct fault_ctx *ctx)
{
	int nr = abi_sweep(ctx->fd, ctx->held, NR_SPANS);

	ctx->nr_held = nr < 0 ? 0 : nr;
	return nr < 0 ? -1 : 0;
}

static int run_cycle(struct fault_ctx *ctx)
{
	return abi_cycle(ctx->fd) < 0 ? -1 : 0;
}

static int run_release(struct fault_ctx *ctx)
{
	struct hspan_release args = { .max = ~0ULL };

	return ioctl(ctx->fd, HSPAN_IOC_RELEASE, &args);
}

static int run_stats(struct fault_ctx *ctx)
{
	struct hspan_arena_stats st;

	return ioctl(ctx->fd, HSPAN_IOC_STATS, &st);
}

/* Unmapping allocates too; the second time nothing is left to fail. */
static void unmap(volatile char *p, size_t size)
{
	while (munmap((void *)p, size))
		continue;
}

static int run_map(struct fault_ctx *ctx)
{
	volatile char *p, *bits;

	p = mmap(NULL, HSPAN_BLOCK_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED,
		 ctx->fd, HSPAN_OFF_DATA);
	if (p == MAP_FAILED)
		return -1;
	bits = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_SHARED, ctx->fd,
		    HSPAN_OFF_BITS);
	if (bits == MAP_FAILED) {
		unmap(p, HSPAN_BLOCK_SIZE);
		errno = ENOMEM;
		return -1;
	}
	p[ctx->held[0].page * HSPAN_PAGE_SIZE] = 1;
	bits[5000] = 1;
	unmap(p, HSPAN_BLOCK_SIZE);
	unmap(bits, 65536);
	return 0;
}

static int run_snapshot(struct fault_ctx *ctx)
{
	struct hspan_snapshot_take args = {};
	int snap = ioctl(ctx->fd, HSPAN_IOC_SNAPSHOT, &args);

	if (snap < 0)
		return -1;
	close(snap);
	return 0;
}

static int run_snapshot_info(struct fault_ctx *ctx)
{
	struct hspan_snapshot_take args = {};
	struct hspan_snapshot_info info = {};
	unsigned long long map[2];
	int snap = ioctl(ctx->fd, HSPAN_IOC_SNAPSHOT, &args), ret, err;

	if (snap < 0)
		return -1;
	info.map = (uintptr_t)map;
	info.map_size = sizeof(map);
	ret = ioctl(snap, HSPAN_IOC_SNAPSHOT_INFO, &info);
	err = errno;
	close(snap);
	errno = err;
	return ret;
}

/* A write is never refused, whether the block could be copied or not. */
static int run_write_shared(struct fault_ctx *ctx)
{
	struct hspan_snapshot_take args = {};
	struct hspan_snapshot_info info = {};
	volatile char *p;
	int snap;

	p = mmap(NULL, HSPAN_BLOCK_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED,
		 ctx->fd, HSPAN_OFF_DATA);
	if (p == MAP_FAILED)
		return -1;
	snap = ioctl(ctx->fd, HSPAN_IOC_SNAPSHOT, &args);
	if (snap >= 0) {
		*p = 1;
		while (ioctl(snap, HSPAN_IOC_SNAPSHOT_INFO, &info))
			continue;
		close(snap);
	}
	unmap(p, HSPAN_BLOCK_SIZE);
	if (snap < 0)
		info.error = ENOMEM;
	errno = info.error;
	return info.error ? -1 : 0;
}

/* Bits of blocks that are not there, which are charged one by one. */
static int run_lone_bits(struct fault_ctx *ctx)
{
	size_t size = ABI_BLOCKS * HSPAN_BLOCK_PAGES * HSPAN_BITS_STRIDE *
		      HSPAN_BITS_PLANES;
	volatile char *bits;

	bits = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, ctx->fd,
		    HSPAN_OFF_BITS);
	if (bits == MAP_FAILED)
		return -1;
	bits[0] = 1;
	bits[size - 1] = 1;
	unmap(bits, size);
	return 0;
}

/* The first there is: others find the filesystem mounted. */
static int run_first(struct fault_ctx *ctx)
{
	struct hspan_arena_create args = { .size = HSPAN_BLOCK_SIZE };

	(void)ctx;
	return run_on_device(HSPAN_IOC_ARENA_CREATE, &args);
}

/* More at once than ever before: per-CPU memory that was in use stays ready. */
static int run_many(struct fault_ctx *ctx)
{
	struct hspan_arena_create args = { .size = HSPAN_BLOCK_SIZE };
	int fds[NR_ARENAS], dev = abi_device(), nr, err = 0;

	(void)ctx;
	for (nr = 0; nr < NR_ARENAS && !err; nr++) {
		fds[nr] = ioctl(dev, HSPAN_IOC_ARENA_CREATE, &args);
		err = fds[nr] < 0 ? errno : 0;
	}
	while (nr--)
		if (fds[nr] >= 0)
			close(fds[nr]);
	close(dev);
	errno = err;
	return err ? -1 : 0;
}

static void create_as(int dev, void *arg)
{
	struct hspan_arena_create args = { .size = HSPAN_BLOCK_SIZE };

	(void)arg;
	if (ioctl(dev, HSPAN_IOC_ARENA_CREATE, &args) < 0)
		_exit(errno);
}

/* The table of users needs no memory for user 0. */
static int run_create_as(struct fault_ctx *ctx)
{
	(void)ctx;
	errno = abi_run_as(SOMEBODY, create_as, NULL);
	return errno ? -1 : 0;
}

/* One waits in the pool that only another cgroup may have. */
static void prepare_anothers_block(struct fault_ctx *ctx)
{
	struct hspan_span span;
	char high[32];
	pid_t pid;

	(void)ctx;
	snprintf(high, sizeof(high), "%ld", abi_sysfs("pool/high"));
	assert_int_equal(abi_set_sysfs("pool/high", "0"), 0);
	assert_int_equal(abi_set_sysfs("pool/high", high), 0);
	abi_write("/sys/fs/cgroup/cgroup.subtree_control", "+memory");
	mkdir(CGROUP, 0755);
	pid = fork();
	if (!pid) {
		int fd = abi_open(ctx->fd);

		CHECK(!abi_write(CGROUP "/cgroup.procs", "0"));
		CHECK(abi_get(fd, HSPAN_CLASS_LARGE_SCAN, HSPAN_BLOCK_PAGES,
			      &span, 1) == 1);
		CHECK(!abi_put(fd, &span, 1));
		CHECK(abi_release(fd) == 1);
		_exit(0);
	}
	assert_int_equal(abi_end(pid), 0);
	assert_int_equal(abi_sysfs("pool/free"), 1);
}

/* More than fit into what the kernel has ready for clients and descriptors. */
static int run_open_many(struct fault_ctx *ctx)
{
	int status = 0, i;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (!pid) {
		for (i = 0; i < NR_CLIENTS; i++)
			if (abi_open(ctx->fd) < 0)
				_exit(errno);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	errno = status ? WEXITSTATUS(status) : 0;
	return status ? -1 : 0;
}

/* Structs of another version than ours. */
static int run_create_old(struct fault_ctx *ctx)
{
	struct hspan_arena_create args = { .size = HSPAN_BLOCK_SIZE };

	(void)ctx;
	return run_on_device(_IOC(_IOC_WRITE, HSPAN_IOC_MAGIC, 1,
				  offsetof(struct hspan_arena_create, name)),
			     &args);
}

static int run_stats_new(struct fault_ctx *ctx)
{
	struct {
		struct hspan_arena_stats st;
		__u64 more;
	} args;

	return ioctl(ctx->fd, _IOC(_IOC_READ, HSPAN_IOC_MAGIC,
				   _IOC_NR(HSPAN_IOC_STATS), sizeof(args)),
		     &args);
}

/* Open a file of which there is one, as there is one arena. */
static int run_debugfs(struct fault_ctx *ctx)
{
	glob_t found;
	int fd;

	(void)ctx;
	assert_int_equal(glob(FAULT_DEBUG "hugespan/arenas/*/spans", 0, NULL,
			      &found), 0);
	fd = open(found.gl_pathv[0], O_RDONLY);
	globfree(&found);
	if (fd < 0)
		return -1;
	close(fd);
	return 0;
}

const struct fault_case fault_cases[] = {
	{ "create", FAULT_STARVE, prepare_nothing, run_create },
	{ "create named", FAULT_STARVE, prepare_nothing, run_create_named },
	{ "create twice", FAULT_STARVE, prepare_nothing, run_create_twice },
	{ "find", FAULT_STARVE, prepare_nothing, run_find },
	{ "open", FAULT_STARVE, prepare_nothing, run_open },
	{ "get", FAULT_STARVE, prepare_nothing, run_get },
	{ "get large", FAULT_STARVE, prepare_nothing, run_get_large },
	{ "put", FAULT_STARVE, prepare_held, run_put },
	{ "put, told", 0, prepare_held, run_put_told },
	{ "put few", 0, prepare_few, run_put },
	{ "get one", 0, prepare_nothing, run_get_one },
	{ "put one", 0, prepare_one, run_put },
	{ "put one, told", 0, prepare_one, run_put_told },
	{ "sweep", FAULT_STARVE, prepare_unswept, run_sweep },
	{ "cycle", FAULT_STARVE, prepare_held, run_cycle },
	{ "release", FAULT_STARVE, prepare_nothing, run_release },
	{ "stats", FAULT_STARVE, prepare_nothing, run_stats },
	{ "map and touch", 0, prepare_held, run_map },
	{ "bits without a block", 0, prepare_nothing, run_lone_bits },
	{ "create, old struct", 0, prepare_nothing, run_create_old },
	{ "stats, new struct", 0, prepare_nothing, run_stats_new },
	{ "snapshot", FAULT_STARVE, prepare_gated, run_snapshot },
	{ "snapshot info", 0, prepare_gated, run_snapshot_info },
	{ "write to what is shared", 0, prepare_gated, run_write_shared },
	{ "debugfs", FAULT_BY_SITE, prepare_nothing, run_debugfs },
	{ "create as another user", FAULT_BY_SITE, prepare_nothing,
	  run_create_as },
	{ "get, others' block", FAULT_BY_SITE, prepare_anothers_block,
	  run_get_large },
	{ "open many", FAULT_BY_SITE, prepare_nothing, run_open_many },
	{ "create first", FAULT_ALONE | FAULT_BY_SITE, prepare_nothing,
	  run_first },
	{ "create many", FAULT_ALONE | FAULT_BY_SITE | FAULT_LAST,
	  prepare_nothing, run_many },
};

const unsigned int fault_nr_cases = ARRAY_SIZE(fault_cases);

/* The arena that the calls work on; it can be found. */
static int named_arena(void)
{
	struct hspan_arena_create args = {
		.size = ABI_BLOCKS * HSPAN_BLOCK_SIZE, .name = "named",
		.mode = 0600,
	};
	int dev = abi_device(), fd = ioctl(dev, HSPAN_IOC_ARENA_CREATE, &args);

	close(dev);
	assert_true(fd >= 0);
	return fd;
}


/* An arena for the case, in the state that it wants. */
void fault_begin(const struct fault_case *c, struct fault_ctx *ctx)
{
	*ctx = (struct fault_ctx){ .fd = -1 };
	if (!(c->flags & FAULT_ALONE))
		ctx->fd = named_arena();
	c->prepare(ctx);
}

/* Nothing has been lost, whatever has failed. */
void fault_end(struct fault_ctx *ctx)
{
	if (ctx->fd >= 0) {
		assert_int_equal(abi_stats(ctx->fd).spans_held, ctx->nr_held);
		assert_int_equal(abi_stats(ctx->fd).clients, 1);
		close(ctx->fd);
	}
	assert_int_equal(abi_sysfs("nr_arenas"), 0);
	assert_int_equal(abi_sysfs("blocks_in_use"), 0);
	assert_int_equal(abi_sysfs("charged"), 0);
}

bool fault_is_told(int err)
{
	return err == ENOMEM || err == EFAULT || err == ENFILE;
}
