// SPDX-License-Identifier: GPL-2.0-only
/*
 * Mappings of an arena: huge, zeroed, shared, and only where they may be.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "abi.h"

#define BLOCK	HSPAN_BLOCK_SIZE
#define RW	(PROT_READ | PROT_WRITE)

/* Back the first @blocks blocks by one large span. */
static struct hspan_span get_blocks(int fd, unsigned int blocks)
{
	struct hspan_span span;

	assert_int_equal(abi_get(fd, HSPAN_CLASS_LARGE_SCAN,
				 blocks * HSPAN_BLOCK_PAGES, &span, 1), 1);
	assert_int_equal(span.page, 0);
	return span;
}

static int all_zero(const char *p, size_t size)
{
	return !p[0] && !memcmp(p, p + 1, size - 1);
}

static long minor_faults(void)
{
	struct rusage ru;

	getrusage(RUSAGE_SELF, &ru);
	return ru.ru_minflt;
}

static void huge_mapped(void **state)
{
	int fd = abi_fd(state);
	char *p = abi_map_data(fd, ABI_BLOCKS);
	unsigned long before = abi_stats(fd).faults, faults;
	long minflt, huge;
	unsigned int i;

	get_blocks(fd, ABI_BLOCKS);
	minflt = minor_faults();
	for (i = 0; i < ABI_BLOCKS * (BLOCK / 4096); i++)
		p[i * 4096UL] = 1;
	minflt = minor_faults() - minflt;
	faults = abi_stats(fd).faults - before;
	assert_int_equal(faults, ABI_BLOCKS);
	assert_in_range(minflt, ABI_BLOCKS, ABI_BLOCKS + 2);

	huge = abi_smaps(p, "FilePmdMapped") + abi_smaps(p, "ShmemPmdMapped");
	assert_int_equal(abi_smaps(p, "Rss"), ABI_BLOCKS * 2048);
	assert_true(huge >= ABI_BLOCKS * 2048 * 95 / 100);
	munmap(p, ABI_BLOCKS * BLOCK);
}

static void address_is_aligned(void **state)
{
	int fd = abi_fd(state);
	unsigned int i;

	for (i = 1; i <= 3; i++) {
		char *p = abi_map_data(fd, i);

		assert_int_equal((uintptr_t)p % BLOCK, 0);
		munmap(p, i * BLOCK);
	}
}

static void populate(void **state)
{
	int fd = abi_fd(state);
	char *p;

	get_blocks(fd, 4);
	p = mmap(NULL, 4 * BLOCK, RW, MAP_SHARED | MAP_POPULATE, fd, 0);
	assert_ptr_not_equal(p, MAP_FAILED);
	assert_int_equal(abi_smaps(p, "FilePmdMapped"), 4 * 2048);
	assert_int_equal(abi_stats(fd).faults, 4);
	munmap(p, 4 * BLOCK);
}

static void refuse_map(int fd, size_t size, int prot, int flags,
		       unsigned long long off, int err)
{
	errno = 0;
	assert_ptr_equal(mmap(NULL, size, prot, flags, fd, off), MAP_FAILED);
	assert_int_equal(errno, err);
}

static void refused_ranges(void **state)
{
	int fd = abi_fd(state);
	size_t data = ABI_BLOCKS * BLOCK;
	size_t map = ABI_BLOCKS * HSPAN_BLOCK_PAGES * 4;
	size_t bits = data / HSPAN_PAGE_SIZE * HSPAN_BITS_STRIDE *
		      HSPAN_BITS_PLANES;
	const struct {
		unsigned long long off;
		size_t size;
	} bad[] = {
		{ HSPAN_OFF_DATA, data + 4096 },
		{ HSPAN_OFF_DATA + data, BLOCK },
		{ HSPAN_OFF_DATA + data - BLOCK, 2 * BLOCK },
		{ HSPAN_OFF_DATA + 4096, BLOCK },
		{ HSPAN_OFF_CONTROL, 8192 },
		{ HSPAN_OFF_CONTROL + 4096, 4096 },
		{ HSPAN_OFF_CONTROL - 4096, 4096 },
		{ HSPAN_OFF_CONTROL - 4096, 8192 },
		{ HSPAN_OFF_PAGE_MAP, map + 4096 },
		{ HSPAN_OFF_PAGE_MAP + map, 4096 },
		{ HSPAN_OFF_BITS, bits + 4096 },
		{ HSPAN_OFF_BITS + bits, 4096 },
		{ HSPAN_OFF_NOTES, map + 4096 },
		{ HSPAN_OFF_NOTES + map, 4096 },
		{ 5ULL << 40, 4096 },
		{ 1ULL << 62, 4096 },
		{ ~0ULL << 12, 4096 },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		errno = 0;
		assert_ptr_equal(mmap(NULL, bad[i].size, PROT_READ, MAP_SHARED,
				      fd, bad[i].off), MAP_FAILED);
		/* The VFS itself says EOVERFLOW where the end wraps. */
		assert_true(errno == EINVAL || errno == EOVERFLOW);
	}
	refuse_map(fd, BLOCK, PROT_READ, MAP_PRIVATE, HSPAN_OFF_DATA, EINVAL);
	refuse_map(fd, BLOCK, RW, MAP_PRIVATE, HSPAN_OFF_DATA, EINVAL);
	refuse_map(fd, 4096, PROT_READ, MAP_PRIVATE, HSPAN_OFF_CONTROL, EINVAL);
}

static void misaligned_address(void **state)
{
	int fd = abi_fd(state);
	char *room = mmap(NULL, 4 * BLOCK, PROT_NONE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *odd = (char *)(((uintptr_t)room + BLOCK) & ~(BLOCK - 1)) + 4096;

	errno = 0;
	assert_ptr_equal(mmap(odd, BLOCK, RW, MAP_SHARED | MAP_FIXED, fd, 0),
			 MAP_FAILED);
	assert_int_equal(errno, EINVAL);
	munmap(room, 4 * BLOCK);
}

static void read_only_regions(void **state)
{
	static const unsigned long long offs[] = {
		HSPAN_OFF_CONTROL, HSPAN_OFF_PAGE_MAP,
	};
	int fd = abi_fd(state);
	unsigned int i;
	char *p;

	for (i = 0; i < ARRAY_SIZE(offs); i++) {
		refuse_map(fd, 4096, RW, MAP_SHARED, offs[i], EACCES);
		refuse_map(fd, 4096, PROT_READ | PROT_EXEC, MAP_SHARED,
			   offs[i], EPERM);
		p = abi_map(fd, offs[i], 4096, PROT_READ);
		assert_errno(mprotect(p, 4096, RW), EACCES);
		assert_errno(mprotect(p, 4096, PROT_READ | PROT_EXEC), EACCES);
		assert_int_equal(abi_touch(p, 0), 0);
		assert_int_equal(abi_touch(p, 1), SIGSEGV);
		munmap(p, 4096);
	}
}

static void never_executable(void **state)
{
	int fd = abi_fd(state);
	char *p = abi_map_data(fd, 1);

	refuse_map(fd, BLOCK, RW | PROT_EXEC, MAP_SHARED, HSPAN_OFF_DATA, EPERM);
	refuse_map(fd, 4096, RW | PROT_EXEC, MAP_SHARED, HSPAN_OFF_BITS, EPERM);
	refuse_map(fd, 4096, RW | PROT_EXEC, MAP_SHARED, HSPAN_OFF_NOTES, EPERM);
	assert_errno(mprotect(p, BLOCK, RW | PROT_EXEC), EACCES);
	munmap(p, BLOCK);
}

/* The kernel does not write them through a debugger's back door either. */
static void forced_write(void **state)
{
	int fd = abi_fd(state);
	char *p = abi_map(fd, HSPAN_OFF_PAGE_MAP, 4096, PROT_READ);
	int mem = open("/proc/self/mem", O_RDWR);

	assert_true(mem >= 0);
	assert_errno(pwrite(mem, "x", 1, (uintptr_t)p), EIO);
	assert_int_equal(*p, 0);
	close(mem);
	munmap(p, 4096);
}

static void bits_are_memory(void **state)
{
	int fd = abi_fd(state), other = abi_open(fd);
	size_t size = ABI_BLOCKS * HSPAN_BLOCK_PAGES * HSPAN_BITS_STRIDE *
		      HSPAN_BITS_PLANES;
	char *p = abi_map(fd, HSPAN_OFF_BITS, size, RW);
	char *q = abi_map(other, HSPAN_OFF_BITS, size, PROT_READ);

	assert_true(all_zero(p, size));
	memset(p, 0x5a, size);
	assert_memory_equal(p, q, size);
	munmap(p, size);
	p = abi_map(fd, HSPAN_OFF_BITS, size, RW);
	assert_memory_equal(p, q, size);
	munmap(p, size);
	munmap(q, size);
	close(other);
}

/* A block's bits go with it, and nobody else's do. */
static void bits_go_with_block(void **state)
{
	int fd = abi_fd(state);
	size_t plane = ABI_BLOCKS * HSPAN_BLOCK_PAGES * HSPAN_BITS_STRIDE;
	size_t part = plane / ABI_BLOCKS;
	char *p = abi_map(fd, HSPAN_OFF_BITS, HSPAN_BITS_PLANES * plane, RW);
	struct hspan_span a, b;

	a = get_blocks(fd, 1);
	assert_int_equal(abi_get(fd, HSPAN_CLASS_LARGE_SCAN, HSPAN_BLOCK_PAGES,
				 &b, 1), 1);
	assert_int_equal(b.page, HSPAN_BLOCK_PAGES);
	memset(p, 0x5a, HSPAN_BITS_PLANES * plane);
	assert_int_equal(abi_put(fd, &a, 1), 0);
	assert_int_equal(abi_release(fd), 1);
	assert_true(all_zero(p, part));
	assert_true(all_zero(p + plane, part));
	assert_int_equal(p[part], 0x5a);
	assert_int_equal(p[plane - 1], 0x5a);
	assert_int_equal(p[plane + part], 0x5a);
	munmap(p, HSPAN_BITS_PLANES * plane);
}

/* Every client sees them, and blocks come and go without them. */
static void notes_stay(void **state)
{
	int fd = abi_fd(state), other = abi_open(fd);
	size_t size = ABI_BLOCKS * HSPAN_BLOCK_PAGES * sizeof(__u32);
	char *p = abi_map(fd, HSPAN_OFF_NOTES, size, RW);
	char *q = abi_map(other, HSPAN_OFF_NOTES, size, PROT_READ);
	struct hspan_span span;

	assert_true(all_zero(p, size));
	memset(p, 0x5a, size);
	span = get_blocks(fd, 1);
	assert_int_equal(abi_put(fd, &span, 1), 0);
	assert_int_equal(abi_release(fd), 1);
	assert_int_equal(q[0], 0x5a);
	assert_memory_equal(p, q, size);
	munmap(p, size);
	munmap(q, size);
	close(other);
}

static void unbacked_is_sigbus(void **state)
{
	int fd = abi_fd(state);
	char *p = abi_map_data(fd, ABI_BLOCKS);
	struct hspan_span span;

	assert_int_equal(abi_touch(p, 0), SIGBUS);
	assert_int_equal(abi_touch(p, 1), SIGBUS);
	span = get_blocks(fd, 2);
	assert_int_equal(abi_touch(p, 1), 0);
	assert_int_equal(abi_touch(p + 2 * BLOCK - 1, 1), 0);
	assert_int_equal(abi_touch(p + 2 * BLOCK, 0), SIGBUS);
	assert_int_equal(abi_put(fd, &span, 1), 0);
	assert_int_equal(abi_release(fd), 2);
	assert_int_equal(abi_touch(p, 0), SIGBUS);
	assert_int_equal(abi_smaps(p, "Rss"), 0);
	munmap(p, ABI_BLOCKS * BLOCK);
}

/* What was in a block is gone when it comes back, here or elsewhere. */
static void zero_after_recycling(void **state)
{
	int fd = abi_fd(state), round;
	char *p = abi_map_data(fd, ABI_BLOCKS);
	struct hspan_span span;

	for (round = 0; round < 4; round++) {
		span = get_blocks(fd, ABI_BLOCKS);
		assert_int_equal(span.flags, HSPAN_SPAN_FRESH);
		assert_true(all_zero(p, ABI_BLOCKS * BLOCK));
		memset(p, 0xa5 + round, ABI_BLOCKS * BLOCK);
		assert_int_equal(abi_put(fd, &span, 1), 0);
		assert_int_equal(abi_release(fd), ABI_BLOCKS);
	}
	munmap(p, ABI_BLOCKS * BLOCK);
	close(fd);

	fd = abi_arena(ABI_BLOCKS, 0);
	abi_fd(state) = fd;
	p = abi_map_data(fd, ABI_BLOCKS);
	get_blocks(fd, ABI_BLOCKS);
	assert_true(all_zero(p, ABI_BLOCKS * BLOCK));
	munmap(p, ABI_BLOCKS * BLOCK);
}

/* A dirty span is not called fresh while its block stays in the arena. */
static void dirty_is_not_fresh(void **state)
{
	int fd = abi_fd(state);
	struct hspan_span span = get_blocks(fd, 1), again;

	assert_int_equal(abi_put(fd, &span, 1), 0);
	again = get_blocks(fd, 1);
	assert_int_equal(again.flags, HSPAN_SPAN_EMPTY);
}

static void fork_shares(void **state)
{
	int fd = abi_fd(state), status;
	char *p = abi_map_data(fd, 2);
	pid_t pid;

	get_blocks(fd, 2);
	p[0] = 1;
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		if (p[0] != 1)
			_exit(1);
		p[BLOCK] = 2;
		_exit(abi_smaps(p, "FilePmdMapped") == 2 * 2048 ? 0 : 2);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(p[BLOCK], 2);
	assert_int_equal(abi_stats(fd).clients, 1);
	munmap(p, 2 * BLOCK);
}

static void unmap_half_a_block(void **state)
{
	int fd = abi_fd(state);
	char *p = abi_map_data(fd, 2);
	struct hspan_span span = get_blocks(fd, 2);

	memset(p, 0x33, 2 * BLOCK);
	assert_int_equal(munmap(p + BLOCK / 2, BLOCK / 2), 0);
	assert_int_equal(p[0], 0x33);
	assert_int_equal(p[BLOCK / 2 - 1], 0x33);
	assert_int_equal(abi_touch(p + BLOCK / 2, 0), SIGSEGV);
	assert_int_equal(p[BLOCK], 0x33);
	assert_int_equal(mprotect(p, 4096, PROT_READ), 0);
	assert_int_equal(abi_touch(p, 1), SIGSEGV);
	assert_int_equal(abi_touch(p + 4096, 1), 0);
	assert_int_equal(abi_put(fd, &span, 1), 0);
	assert_int_equal(abi_release(fd), 2);
	assert_int_equal(abi_touch(p + 4096, 0), SIGBUS);
	munmap(p, 2 * BLOCK);
}

static void move_mapping(void **state)
{
	int fd = abi_fd(state);
	char *p = abi_map_data(fd, 2), *room, *to;

	get_blocks(fd, 2);
	memset(p, 0x44, 2 * BLOCK);
	room = mmap(NULL, 8 * BLOCK, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS,
		    -1, 0);
	to = (char *)(((uintptr_t)room + 5 * BLOCK) & ~(BLOCK - 1));
	assert_ptr_equal(mremap(p, 2 * BLOCK, 2 * BLOCK,
				MREMAP_MAYMOVE | MREMAP_FIXED, to), to);
	assert_int_equal(to[0], 0x44);
	assert_int_equal(to[2 * BLOCK - 1], 0x44);
	/* To an odd address: small pages, same bytes. */
	to = mremap(to, 2 * BLOCK, 2 * BLOCK, MREMAP_MAYMOVE | MREMAP_FIXED,
		    room + 4096);
	assert_ptr_not_equal(to, MAP_FAILED);
	assert_int_equal(to[BLOCK - 1], 0x44);
	/* Growing could reach past the region. */
	assert_ptr_equal(mremap(to, 2 * BLOCK, 3 * BLOCK, MREMAP_MAYMOVE),
			 MAP_FAILED);
	munmap(room, 8 * BLOCK);
}

/* A pipe still refers to the block: it may not be used for anyone else. */
static void pipe_keeps_its_bytes(void **state)
{
	int fd = abi_fd(state), pipes[2];
	long lost = abi_sysfs("pool/lost");
	char *p = abi_map_data(fd, 1), buf[4096];
	struct hspan_span span = get_blocks(fd, 1);
	struct iovec iov = { .iov_base = p, .iov_len = sizeof(buf) };

	memset(p, 0x77, BLOCK);
	assert_int_equal(pipe(pipes), 0);
	assert_int_equal(vmsplice(pipes[1], &iov, 1, 0), sizeof(buf));
	assert_int_equal(abi_put(fd, &span, 1), 0);
	assert_int_equal(abi_release(fd), 1);
	assert_int_equal(abi_sysfs("pool/lost"), lost + 1);
	get_blocks(fd, 1);
	assert_true(all_zero(p, BLOCK));
	memset(p, 0x11, BLOCK);
	assert_int_equal(read(pipes[0], buf, sizeof(buf)), sizeof(buf));
	assert_true(buf[0] == 0x77 && !memcmp(buf, buf + 1, sizeof(buf) - 1));
	close(pipes[0]);
	close(pipes[1]);
	munmap(p, BLOCK);
}

static void odd_advice(void **state)
{
	static const int advice[] = {
		MADV_DONTNEED, MADV_COLD, MADV_PAGEOUT, MADV_WILLNEED,
		MADV_HUGEPAGE, MADV_MERGEABLE, MADV_REMOVE, MADV_FREE,
		MADV_POPULATE_WRITE, 25 /* MADV_COLLAPSE */,
	};
	int fd = abi_fd(state);
	char *p = abi_map_data(fd, 2);
	unsigned int i;

	get_blocks(fd, 2);
	memset(p, 0x66, 2 * BLOCK);
	mlock(p, 2 * BLOCK);
	for (i = 0; i < ARRAY_SIZE(advice); i++) {
		madvise(p, 2 * BLOCK, advice[i]);
		madvise(p + 4096, BLOCK, advice[i]);
		assert_int_equal(p[0], 0x66);
		assert_int_equal(p[2 * BLOCK - 1], 0x66);
	}
	munlock(p, 2 * BLOCK);
	munmap(p, 2 * BLOCK);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, abi_setup, abi_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(huge_mapped), TEST(address_is_aligned), TEST(populate),
		TEST(refused_ranges), TEST(misaligned_address),
		TEST(read_only_regions), TEST(never_executable),
		TEST(forced_write),
		TEST(bits_are_memory), TEST(bits_go_with_block),
		TEST(notes_stay),
		TEST(unbacked_is_sigbus), TEST(zero_after_recycling),
		TEST(dirty_is_not_fresh), TEST(fork_shares),
		TEST(unmap_half_a_block), TEST(move_mapping),
		TEST(pipe_keeps_its_bytes), TEST(odd_advice),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, abi_baseline);
}
