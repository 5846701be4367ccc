// SPDX-License-Identifier: GPL-2.0-only
/*
 * Snapshots: what is in the image, who may write, what is copied, and what
 * happens when it cannot be.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "abi.h"

#define BLOCK	HSPAN_BLOCK_SIZE
#define RW	(PROT_READ | PROT_WRITE)
#define ALICE	1001

static int snapshot_of(int fd, unsigned long budget)
{
	struct hspan_snapshot_take args = {
		.budget = budget, .fd_flags = O_CLOEXEC,
	};

	return ioctl(fd, HSPAN_IOC_SNAPSHOT, &args);
}

static int take(int fd)
{
	int snap = snapshot_of(fd, 0);

	assert_true(snap >= 0);
	return snap;
}

static struct hspan_snapshot_info info_of(int snap)
{
	struct hspan_snapshot_info info = {};

	assert_int_equal(ioctl(snap, HSPAN_IOC_SNAPSHOT_INFO, &info), 0);
	assert_true(info.copied + info.kept + info.lost <= info.blocks);
	assert_true(info.copied + info.kept <= info.budget);
	return info;
}

static const char *map_image(int snap, unsigned long blocks)
{
	return abi_map(snap, HSPAN_OFF_DATA, blocks * BLOCK, PROT_READ);
}

static int create(int dev, unsigned int flags)
{
	struct hspan_arena_create args = {
		.size = ABI_BLOCKS * BLOCK, .flags = flags,
		.fd_flags = O_CLOEXEC,
	};

	return ioctl(dev, HSPAN_IOC_ARENA_CREATE, &args);
}

static int setup(void **state)
{
	static int fd;
	int dev = abi_device();

	fd = create(dev, HSPAN_ARENA_SNAPSHOT);
	close(dev);
	*state = &fd;
	return fd < 0;
}

/* A span of @blocks blocks, which is filled with @byte. */
static struct hspan_span fill(int fd, char *data, unsigned int blocks, int byte)
{
	struct hspan_span span;

	assert_int_equal(abi_get(fd, HSPAN_CLASS_LARGE_SCAN,
				 blocks * HSPAN_BLOCK_PAGES, &span, 1), 1);
	memset(data + (size_t)span.page * HSPAN_PAGE_SIZE, byte,
	       blocks * BLOCK);
	return span;
}

static int all_are(const char *p, size_t size, int byte)
{
	return p[0] == (char)byte && !memcmp(p, p + 1, size - 1);
}

static void image_stays(void **state)
{
	int fd = abi_fd(state), snap, i;
	char *p = abi_map_data(fd, 4);
	struct hspan_snapshot_info info;
	const char *image;

	fill(fd, p, 4, 1);
	snap = take(fd);
	image = map_image(snap, 4);
	assert_int_equal(info_of(snap).blocks, 4);
	assert_int_equal(info_of(snap).copied, 0);
	assert_true(all_are(image, 4 * BLOCK, 1));
	for (i = 0; i < 4; i++) {
		p[i * BLOCK + i * 4096] = 2;
		assert_int_equal(info_of(snap).copied, i + 1);
		memset(p + i * BLOCK, 3, BLOCK);
		assert_int_equal(info_of(snap).copied, i + 1);
	}
	assert_true(all_are(image, 4 * BLOCK, 1));
	assert_true(all_are(p, 4 * BLOCK, 3));
	assert_int_equal(abi_smaps(image, "FilePmdMapped"), 4 * 2048);
	assert_int_equal(abi_smaps(p, "FilePmdMapped"), 4 * 2048);
	info = info_of(snap);
	assert_int_equal(info.faults, 4);
	assert_int_equal(info.size, ABI_BLOCKS * BLOCK);
	assert_true(info.gate_ns > 0);
	munmap((void *)image, 4 * BLOCK);
	close(snap);
	assert_true(all_are(p, 4 * BLOCK, 3));
	assert_int_equal(abi_stats(fd).blocks_held, 4);
	munmap(p, 4 * BLOCK);
}

/* One after the other, each of its own moment. */
static void again_and_again(void **state)
{
	int fd = abi_fd(state), snap, i;
	char *p = abi_map_data(fd, 2);
	const char *image;

	fill(fd, p, 2, 0);
	for (i = 1; i < 20; i++) {
		memset(p, i, BLOCK + 1);
		snap = take(fd);
		image = map_image(snap, 2);
		p[0] = 77;
		p[BLOCK] = 78;
		assert_true(all_are(image, BLOCK + 1, i));
		assert_int_equal(image[2 * BLOCK - 1], 0);
		munmap((void *)image, 2 * BLOCK);
		close(snap);
	}
	munmap(p, 2 * BLOCK);
}

static void read_only(void **state)
{
	int fd = abi_fd(state), snap, mem = open("/proc/self/mem", O_RDWR);
	char *p = abi_map_data(fd, 1), *image;

	fill(fd, p, 1, 1);
	snap = take(fd);
	assert_ptr_equal(mmap(NULL, BLOCK, RW, MAP_SHARED, snap, 0),
			 MAP_FAILED);
	assert_int_equal(errno, EACCES);
	assert_ptr_equal(mmap(NULL, BLOCK, RW, MAP_PRIVATE, snap, 0),
			 MAP_FAILED);
	assert_int_equal(errno, EINVAL);
	assert_ptr_equal(mmap(NULL, BLOCK, PROT_READ | PROT_EXEC, MAP_SHARED,
			      snap, 0), MAP_FAILED);
	assert_int_equal(errno, EPERM);
	image = (char *)map_image(snap, 1);
	assert_errno(mprotect(image, BLOCK, RW), EACCES);
	assert_int_equal(abi_touch(image, 1), SIGSEGV);
	assert_errno(pwrite(mem, "x", 1, (uintptr_t)image), EIO);
	assert_true(all_are(image, BLOCK, 1));
	assert_true(all_are(p, BLOCK, 1));
	munmap(image, BLOCK);
	munmap(p, BLOCK);
	close(mem);
	close(snap);
}

static void refused_mappings(void **state)
{
	static const unsigned long long offs[] = {
		4096, ABI_BLOCKS * BLOCK, HSPAN_OFF_CONTROL,
		HSPAN_OFF_PAGE_MAP, HSPAN_OFF_BITS, HSPAN_OFF_NOTES,
	};
	int snap = take(abi_fd(state));
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(offs); i++) {
		errno = 0;
		assert_ptr_equal(mmap(NULL, 4096, PROT_READ, MAP_SHARED, snap,
				      offs[i]), MAP_FAILED);
		assert_int_equal(errno, EINVAL);
	}
	close(snap);
}

static void refused_calls(void **state)
{
	struct hspan_snapshot_take bad[] = {
		{ .flags = 1 }, { .fd_flags = O_RDWR }, { .fd_flags = ~0U },
	};
	int fd = abi_fd(state), dev = abi_device(), plain = create(dev, 0);
	struct hspan_snapshot_info info = {};
	struct hspan_arena_stats st;
	unsigned int i;
	int snap;

	for (i = 0; i < ARRAY_SIZE(bad); i++)
		assert_errno(ioctl(fd, HSPAN_IOC_SNAPSHOT, &bad[i]), EINVAL);
	assert_errno(ioctl(fd, HSPAN_IOC_SNAPSHOT, NULL), EFAULT);
	assert_errno(snapshot_of(plain, 0), EOPNOTSUPP);
	assert_errno(snapshot_of(dev, 0), ENOTTY);
	assert_errno(ioctl(fd, HSPAN_IOC_SNAPSHOT_INFO, &info), ENOTTY);
	snap = take(fd);
	assert_errno(snapshot_of(fd, 0), EBUSY);
	assert_errno(snapshot_of(snap, 0), ENOTTY);
	assert_errno(ioctl(snap, HSPAN_IOC_STATS, &st), ENOTTY);
	info.map_size = 8;
	assert_errno(ioctl(snap, HSPAN_IOC_SNAPSHOT_INFO, &info), EINVAL);
	info.map = 8;
	assert_errno(ioctl(snap, HSPAN_IOC_SNAPSHOT_INFO, &info), EFAULT);
	info.map_size = 7;
	assert_errno(ioctl(snap, HSPAN_IOC_SNAPSHOT_INFO, &info), EINVAL);
	close(snap);
	close(take(fd));
	close(plain);
	close(dev);
}

/* What holds no span is no part of it, now or later, and costs nothing. */
static void free_blocks_are_no_part(void **state)
{
	int fd = abi_fd(state), snap;
	char *p = abi_map_data(fd, 3);
	struct hspan_span a = fill(fd, p, 1, 1), b;
	unsigned long long map[2] = { ~0ULL, ~0ULL };
	struct hspan_snapshot_info info = {
		.map = (uintptr_t)map, .map_size = sizeof(map),
	};
	const char *image;

	b = fill(fd, p, 1, 2);
	assert_int_equal(abi_put(fd, &a, 1), 0);
	snap = take(fd);
	image = map_image(snap, 3);
	assert_int_equal(ioctl(snap, HSPAN_IOC_SNAPSHOT_INFO, &info), 0);
	assert_int_equal(info.blocks, 1);
	assert_true(map[0] == 1ULL << b.page / HSPAN_BLOCK_PAGES);
	assert_true(map[1] == 0);
	assert_int_equal(abi_touch((char *)image, 0), SIGBUS);
	assert_int_equal(abi_touch((char *)image + 2 * BLOCK, 0), SIGBUS);
	fill(fd, p, 1, 3);
	fill(fd, p, 1, 4);
	assert_int_equal(abi_touch((char *)image, 0), SIGBUS);
	assert_int_equal(abi_touch((char *)image + 2 * BLOCK, 0), SIGBUS);
	assert_int_equal(info_of(snap).copied, 0);
	assert_true(all_are(image + BLOCK, BLOCK, 2));
	munmap((void *)image, 3 * BLOCK);
	munmap(p, 3 * BLOCK);
	close(snap);
}

/* A new span is where writing to it copies nothing, as long as that can be. */
static void new_spans_lie_elsewhere(void **state)
{
	struct hspan_limit limit = { .limit = 2 };
	struct hspan_span a, b, c, d, e;
	int fd = abi_fd(state), snap;
	char *p = abi_map_data(fd, 2);

	assert_int_equal(ioctl(fd, HSPAN_IOC_LIMIT, &limit), 0);
	assert_int_equal(abi_get(fd, HSPAN_CLASS_LARGE_SCAN, 100, &a, 1), 1);
	assert_int_equal(a.page, 0);
	p[0] = 1;
	snap = take(fd);
	assert_int_equal(abi_get(fd, HSPAN_CLASS_LARGE_SCAN, 100, &b, 1), 1);
	assert_int_equal(b.page, HSPAN_BLOCK_PAGES);
	p[BLOCK] = 1;
	assert_int_equal(info_of(snap).copied, 0);
	/* No room there, and no new block: then in the old one. */
	assert_int_equal(abi_get(fd, HSPAN_CLASS_LARGE_SCAN, 156, &c, 1), 1);
	assert_int_equal(c.page, HSPAN_BLOCK_PAGES + 100);
	assert_int_equal(abi_get(fd, HSPAN_CLASS_LARGE_SCAN, 50, &d, 1), 1);
	assert_int_equal(d.page, 100);
	close(snap);
	snap = take(fd);
	p[0] = 2;
	assert_int_equal(info_of(snap).copied, 1);
	/* Nothing is shared there any more. */
	assert_int_equal(abi_get(fd, HSPAN_CLASS_LARGE_SCAN, 50, &e, 1), 1);
	assert_int_equal(e.page, 150);
	munmap(p, 2 * BLOCK);
	close(snap);
}

/* The arena gives it up, by itself or to the shrinker: the image has it still. */
static void given_up(void **state, int by_shrinker)
{
	int fd = abi_fd(state), snap;
	char *p = abi_map_data(fd, 2);
	struct hspan_span span = fill(fd, p, 2, 1);
	const char *image;

	snap = take(fd);
	image = map_image(snap, 2);
	assert_int_equal(image[0], 1);
	assert_int_equal(abi_put(fd, &span, 1), 0);
	if (by_shrinker) {
		int caches = open("/proc/sys/vm/drop_caches", O_WRONLY), i;

		for (i = 0; i < 100 && abi_stats(fd).blocks_held; i++)
			assert_int_equal(write(caches, "2", 1), 1);
		close(caches);
	} else {
		assert_int_equal(abi_release(fd), 2);
	}
	assert_int_equal(abi_stats(fd).blocks_held, 0);
	assert_int_equal(info_of(snap).kept, 2);
	assert_int_equal(abi_sysfs("blocks_in_use"), 2);
	assert_int_equal(abi_touch(p, 0), SIGBUS);
	fill(fd, p, 2, 2);
	assert_true(all_are(image, 2 * BLOCK, 1));
	assert_true(all_are(p, 2 * BLOCK, 2));
	assert_int_equal(info_of(snap).copied, 0);
	munmap((void *)image, 2 * BLOCK);
	munmap(p, 2 * BLOCK);
	close(snap);
	assert_int_equal(abi_sysfs("blocks_in_use"), 2);
}

static void released_block_is_kept(void **state)
{
	given_up(state, 0);
}

static void shrinker_leaves_the_image(void **state)
{
	given_up(state, 1);
}

/* Over budget the program goes on, the image has a hole, and says so. */
static void budget(void **state)
{
	int fd = abi_fd(state), snap;
	char *p = abi_map_data(fd, 3);
	struct pollfd poll_it;
	const char *image;

	fill(fd, p, 3, 1);
	snap = snapshot_of(fd, 1);
	poll_it = (struct pollfd){ .fd = snap };
	image = map_image(snap, 3);
	p[0] = 2;
	assert_int_equal(info_of(snap).error, 0);
	assert_int_equal(poll(&poll_it, 1, 0), 0);
	p[BLOCK] = 2;
	assert_int_equal(info_of(snap).error, ENOSPC);
	assert_int_equal(info_of(snap).copied, 1);
	assert_int_equal(info_of(snap).lost, 1);
	assert_int_equal(poll(&poll_it, 1, 0), 1);
	assert_int_equal(poll_it.revents, POLLERR);
	assert_true(all_are(image, BLOCK, 1));
	assert_int_equal(abi_touch((char *)image + BLOCK, 0), SIGBUS);
	assert_true(all_are(image + 2 * BLOCK, BLOCK, 1));
	assert_int_equal(p[BLOCK], 2);
	assert_int_equal(p[BLOCK + 1], 1);
	munmap((void *)image, 3 * BLOCK);
	munmap(p, 3 * BLOCK);
	close(snap);
	close(take(fd));
}

static void kept_blocks_count(void **state)
{
	int fd = abi_fd(state), snap;
	char *p = abi_map_data(fd, 2);
	struct hspan_span span = fill(fd, p, 2, 1);

	snap = snapshot_of(fd, 1);
	assert_int_equal(abi_put(fd, &span, 1), 0);
	assert_int_equal(abi_release(fd), 2);
	assert_int_equal(info_of(snap).kept, 1);
	assert_int_equal(info_of(snap).lost, 1);
	assert_int_equal(info_of(snap).error, ENOSPC);
	assert_int_equal(abi_sysfs("blocks_in_use"), 1);
	munmap(p, 2 * BLOCK);
	close(snap);
	assert_int_equal(abi_sysfs("blocks_in_use"), 0);
}

/* An administrator's budget goes before what is asked for. */
static void budget_of_the_arena(void **state)
{
	int fd = abi_fd(state), snap;
	char name[64];

	snprintf(name, sizeof(name), "arenas/%ld/snapshot_budget",
		 abi_fdinfo(fd, "arena"));
	assert_int_equal(abi_set_sysfs(name, "3"), 0);
	snap = take(fd);
	assert_int_equal(info_of(snap).budget, 3);
	close(snap);
	snap = snapshot_of(fd, 2);
	assert_int_equal(info_of(snap).budget, 2);
	close(snap);
	assert_int_equal(abi_set_sysfs(name, "max"), 0);
	assert_int_equal(abi_set_sysfs(name, "many"), -1);
	snap = take(fd);
	assert_true(info_of(snap).budget > 1UL << 60);
	close(snap);
}

/* Reads the image when its owner has gone, and then there is nothing to read. */
static void reader(int sock)
{
	int snap = abi_receive_fd(sock);
	char *image = mmap(NULL, 2 * BLOCK, PROT_READ, MAP_SHARED, snap, 0);
	char byte;

	CHECK(image != MAP_FAILED);
	close(snap);
	CHECK(image[0] == 1);
	CHECK(write(sock, "", 1) == 1);
	CHECK(read(sock, &byte, 1) == 0);	/* all others have closed it */
	CHECK(all_are(image, 2 * BLOCK, 1));
	_exit(0);
}

static void another_process_reads(void **state)
{
	int fd = abi_fd(state), snap, socks[2], dev;
	char *p, byte;
	pid_t pid;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, socks), 0);
	close(fd);
	pid = fork();
	if (!pid) {
		close(socks[0]);
		reader(socks[1]);
	}
	close(socks[1]);
	dev = abi_device();
	fd = create(dev, HSPAN_ARENA_SNAPSHOT);
	close(dev);
	p = abi_map_data(fd, 2);
	fill(fd, p, 2, 1);
	snap = take(fd);
	abi_send_fd(socks[0], snap);
	close(snap);
	assert_int_equal(read(socks[0], &byte, 1), 1);
	memset(p, 2, 2 * BLOCK);
	assert_errno(snapshot_of(fd, 0), EBUSY);
	munmap(p, 2 * BLOCK);
	close(fd);
	assert_int_equal(abi_sysfs("nr_arenas"), 1);
	close(socks[0]);
	assert_int_equal(abi_end(pid), 0);
	setup(state);
}

/* Killed while he has it: nothing is left of it, and there can be another. */
static void owner_is_killed(void **state)
{
	int fd = abi_fd(state), pipes[2], snap;
	char *p = abi_map_data(fd, 2), byte;
	pid_t pid;

	fill(fd, p, 2, 1);
	assert_int_equal(pipe(pipes), 0);
	pid = fork();
	if (!pid) {
		snap = snapshot_of(fd, 0);
		CHECK(snap >= 0);
		p[0] = 2;
		CHECK(map_image(snap, 2)[0] == 1);
		CHECK(write(pipes[1], "", 1) == 1);
		pause();
	}
	assert_int_equal(read(pipes[0], &byte, 1), 1);
	assert_errno(snapshot_of(fd, 0), EBUSY);
	kill(pid, SIGKILL);
	assert_int_equal(abi_end(pid), 256 + SIGKILL);
	assert_int_equal(abi_sysfs("blocks_in_use"), 2);
	close(take(fd));
	assert_int_equal(p[0], 2);
	close(pipes[0]);
	close(pipes[1]);
	munmap(p, 2 * BLOCK);
}

/*
 * Pages that a pipe has from the arena before the instant are the arena's: what
 * the kernel might write to them must not come into the image.  Those it has
 * from the image are the image's, whatever is written.
 */
static void pipe_before_and_after(void **state)
{
	int fd = abi_fd(state), before[2], after[2], snap;
	char *p = abi_map_data(fd, 2), buf[4096];
	struct iovec iov = { .iov_base = p, .iov_len = sizeof(buf) };
	const char *image;

	fill(fd, p, 2, 1);
	assert_int_equal(pipe(before), 0);
	assert_int_equal(pipe(after), 0);
	assert_int_equal(vmsplice(before[1], &iov, 1, 0), sizeof(buf));
	snap = take(fd);
	assert_int_equal(info_of(snap).copied, 1);
	image = map_image(snap, 2);
	iov.iov_base = (char *)image + BLOCK;
	assert_int_equal(vmsplice(after[1], &iov, 1, 0), sizeof(buf));
	memset(p, 2, 2 * BLOCK);
	assert_int_equal(info_of(snap).copied, 2);
	assert_int_equal(read(before[0], buf, sizeof(buf)), sizeof(buf));
	assert_true(all_are(buf, sizeof(buf), 2));
	assert_int_equal(read(after[0], buf, sizeof(buf)), sizeof(buf));
	assert_true(all_are(buf, sizeof(buf), 1));
	assert_true(all_are(image, 2 * BLOCK, 1));
	munmap((void *)image, 2 * BLOCK);
	munmap(p, 2 * BLOCK);
	close(snap);
	close(before[0]);
	close(before[1]);
	close(after[0]);
	close(after[1]);
}

/* The page that holds the kernel up in the middle of its write, or -1. */
static int slow_page(char *page)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = {
		.range = { .start = (uintptr_t)page, .len = 4096 },
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};
	int uffd = syscall(SYS_userfaultfd, O_CLOEXEC);

	if (uffd < 0 || ioctl(uffd, UFFDIO_API, &api) ||
	    ioctl(uffd, UFFDIO_REGISTER, &reg))
		return -1;
	return uffd;
}

struct slow_write {
	char *from;
	char *to;
	ssize_t done;
};

static void *write_slowly(void *arg)
{
	struct slow_write *w = arg;
	struct iovec from = { .iov_base = w->from, .iov_len = 4096 };
	struct iovec to = { .iov_base = w->to, .iov_len = 4096 };

	w->done = process_vm_writev(getpid(), &from, 1, &to, 1, 0);
	return NULL;
}

/* The kernel has looked up the page, and writes to it after the instant. */
static void write_in_flight(void **state)
{
	int fd = abi_fd(state), snap, uffd;
	char *p = abi_map_data(fd, 2), news[4096];
	struct slow_write w = { .to = p + 8192 };
	struct uffdio_copy copy = { .src = (uintptr_t)news, .len = 4096 };
	struct uffd_msg msg;
	const char *image;
	pthread_t thread;

	fill(fd, p, 2, 1);
	memset(news, 9, sizeof(news));
	w.from = mmap(NULL, 4096, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	copy.dst = (uintptr_t)w.from;
	uffd = slow_page(w.from);
	assert_true(uffd >= 0);
	assert_int_equal(pthread_create(&thread, NULL, write_slowly, &w), 0);
	assert_int_equal(read(uffd, &msg, sizeof(msg)), sizeof(msg));
	snap = take(fd);
	assert_int_equal(info_of(snap).copied, 1);
	image = map_image(snap, 2);
	assert_true(all_are(image, 2 * BLOCK, 1));
	assert_int_equal(ioctl(uffd, UFFDIO_COPY, &copy), 0);
	pthread_join(thread, NULL);
	assert_int_equal(w.done, 4096);
	assert_true(all_are(p + 8192, 4096, 9));
	assert_true(all_are(image, 2 * BLOCK, 1));
	munmap((void *)image, 2 * BLOCK);
	munmap(w.from, 4096);
	munmap(p, 2 * BLOCK);
	close(uffd);
	close(snap);
}

/* All views of the arena see a write, whoever was the first to make it. */
static void views_agree(void **state)
{
	int fd = abi_fd(state), snap, half;
	char *p = abi_map_data(fd, 2), *q = abi_map_data(fd, 2);
	pid_t pid;

	fill(fd, p, 2, 1);
	/* One of them by small pages. */
	assert_int_equal(munmap(q + BLOCK / 2, BLOCK / 2), 0);
	for (half = 0; half < 2; half++) {
		snap = take(fd);
		assert_int_equal(p[0] + q[0] + q[BLOCK], half ? 7 : 3);
		pid = fork();
		if (!pid) {
			(half ? q : p)[0] = 2;
			p[BLOCK] = 3;
			_exit(p[0] == 2 && q[0] == 2 ? 0 : 1);
		}
		assert_int_equal(abi_end(pid), 0);
		assert_int_equal(p[0], 2);
		assert_int_equal(q[0], 2);
		assert_int_equal(q[BLOCK], 3);
		assert_int_equal(info_of(snap).copied, 2);
		close(snap);
	}
	munmap(q, BLOCK / 2);
	munmap(q + BLOCK, BLOCK);
	munmap(p, 2 * BLOCK);
}

/* What a snapshot owns is paid for, and only as long as it does. */
static void charged(void **state)
{
	int fd = abi_fd(state), snap;
	char *p = abi_map_data(fd, 4);
	struct hspan_span a = fill(fd, p, 1, 1);
	long before, with;

	fill(fd, p, 2, 1);
	before = abi_fdinfo(fd, "charged");
	snap = take(fd);
	with = abi_fdinfo(fd, "charged");
	assert_true(with > before && with < before + 16384);
	p[BLOCK] = 2;
	assert_int_equal(abi_fdinfo(fd, "charged"), with + BLOCK);
	assert_int_equal(abi_put(fd, &a, 1), 0);
	assert_int_equal(abi_release(fd), 1);
	assert_true(abi_fdinfo(fd, "charged") > with + (long)BLOCK / 2);
	assert_int_equal(abi_sysfs("blocks_in_use"), 4);
	munmap(p, 4 * BLOCK);
	close(snap);
	assert_true(abi_fdinfo(fd, "charged") < before - (long)BLOCK / 2);
	assert_int_equal(abi_sysfs("blocks_in_use"), 2);
}

/* At the user's limit the program goes on, and the snapshot is broken. */
static void alice_at_her_limit(int dev, void *arg)
{
	int fd = create(dev, HSPAN_ARENA_SNAPSHOT), snap;
	struct hspan_span span;
	char *p;

	(void)arg;
	CHECK(fd >= 0);
	p = abi_map_data(fd, 2);
	CHECK(abi_get(fd, HSPAN_CLASS_LARGE_SCAN, 2 * HSPAN_BLOCK_PAGES, &span,
		      1) == 1);
	p[0] = p[BLOCK] = 1;
	snap = snapshot_of(fd, 0);
	CHECK(snap >= 0);
	p[0] = 2;
	CHECK(info_of(snap).copied == 1);
	p[BLOCK] = 2;
	CHECK(info_of(snap).error == EDQUOT);
	CHECK(p[BLOCK] == 2);
}

static void user_limit(void **state)
{
	char old[32];

	(void)state;
	snprintf(old, sizeof(old), "%ld", abi_sysfs("user_limit"));
	assert_int_equal(abi_set_sysfs("user_limit", "4"), 0);
	assert_int_equal(abi_run_as(ALICE, alice_at_her_limit, NULL), 0);
	assert_int_equal(abi_set_sysfs("user_limit", old), 0);
}

/* Arenas that cannot have snapshots are mapped for writing at once. */
static void others_pay_nothing(void **state)
{
	int dev = abi_device(), plain = create(dev, 0);
	char *p = abi_map_data(plain, 1);
	struct hspan_span span;
	unsigned long before;

	(void)state;
	assert_int_equal(abi_get(plain, HSPAN_CLASS_LARGE_SCAN,
				 HSPAN_BLOCK_PAGES, &span, 1), 1);
	assert_int_equal(*(volatile char *)p, 0);
	before = abi_stats(plain).faults;
	*(volatile char *)p = 1;
	assert_int_equal(abi_stats(plain).faults, before);
	munmap(p, BLOCK);
	close(plain);
	close(dev);
}

static void statistics(void **state)
{
	int fd = abi_fd(state), snap;
	char *p = abi_map_data(fd, 1), name[64];
	long id = abi_fdinfo(fd, "arena");

	fill(fd, p, 1, 1);
	snap = take(fd);
	p[0] = 2;
	assert_int_equal(abi_fdinfo(snap, "snapshot-of"), id);
	assert_int_equal(abi_fdinfo(snap, "blocks"), 1);
	assert_int_equal(abi_fdinfo(snap, "blocks-copied"), 1);
	assert_int_equal(abi_fdinfo(snap, "error"), 0);
	snprintf(name, sizeof(name), "arenas/%ld/snapshots", id);
	assert_int_equal(abi_sysfs(name), 1);
	snprintf(name, sizeof(name), "arenas/%ld/snapshot_copies", id);
	assert_int_equal(abi_sysfs(name), 1);
	snprintf(name, sizeof(name), "arenas/%ld/snapshots_broken", id);
	assert_int_equal(abi_sysfs(name), 0);
	snprintf(name, sizeof(name), "arenas/%ld/snapshot_gate_ns", id);
	assert_true(abi_sysfs(name) > 0);
	munmap(p, BLOCK);
	close(snap);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, abi_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(image_stays), TEST(again_and_again), TEST(read_only),
		TEST(refused_mappings), TEST(refused_calls),
		TEST(free_blocks_are_no_part), TEST(new_spans_lie_elsewhere),
		TEST(released_block_is_kept),
		TEST(shrinker_leaves_the_image), TEST(budget),
		TEST(kept_blocks_count), TEST(budget_of_the_arena),
		TEST(another_process_reads), TEST(owner_is_killed),
		TEST(pipe_before_and_after), TEST(write_in_flight),
		TEST(views_agree), TEST(charged), TEST(user_limit),
		TEST(others_pay_nothing), TEST(statistics),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, abi_baseline);
}
