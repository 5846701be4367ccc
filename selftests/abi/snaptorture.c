// SPDX-License-Identifier: GPL-2.0-only
/*
 * Snapshots while everybody writes: threads and processes store, fork, move and
 * cut their mappings, have the kernel write for them, and are killed.
 *
 *	snaptorture [SECONDS]
 *
 * The arena has three parts.  In the first, mutators can be stopped: what is
 * copied then by hand is what the image has to show, then and until it is closed.
 * There, too, each thread writes one word and then another, so that an image that
 * was taken with nobody stopped can be told from one of two moments.  In the
 * second, processes write that are killed at any time; in the third, blocks
 * come and go.  Of those the image must only stay as it is.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>

#include "abi.h"

#define BLOCK		HSPAN_BLOCK_SIZE
#define RW		(PROT_READ | PROT_WRITE)
#define SYS_PAGE	4096UL

#define CALM_BLOCKS	4	/* the first part */
#define WILD_BLOCKS	1
#define FLUX_BLOCKS	2
#define NR_BLOCKS	(CALM_BLOCKS + WILD_BLOCKS + FLUX_BLOCKS)
#define CALM_SIZE	(CALM_BLOCKS * BLOCK)
#define WILD		CALM_SIZE
#define WILD_SIZE	(WILD_BLOCKS * BLOCK)

#define NR_PROCS	2
#define NR_THREADS	2	/* of each */
#define NR_MUTATORS	(NR_PROCS * NR_THREADS)
#define NR_VICTIMS	2

/* At the beginning of the first block and of the last one of the first part. */
#define PAIR(p, i)	((volatile unsigned long *)((p) + (i) * 64))
#define PAIR_BEHIND	(CALM_SIZE - BLOCK)
#define PAIRS_SIZE	SYS_PAGE

/* Two words of the second part, on which two processes wait for each other. */
#define PING		(WILD + BLOCK - 64)
#define PINGS_MAX	30	/* seconds without one are a lost wake-up */

/**
 * struct shared - what all processes see
 * @stop: mutators are to wait
 * @parked: mutators that do
 * @end: all are to exit
 * @bad: something was not as it must be
 * @ops: things done by mutators
 * @pings: wake-ups in the arena
 * @kills: victims killed
 */
static struct shared {
	atomic_int stop;
	atomic_int parked;
	atomic_int end;
	atomic_int bad;
	atomic_ulong ops;
	atomic_ulong pings;
	atomic_ulong kills;
} *shared;

/**
 * struct mutator - a thread and what it works with
 * @id: below NR_MUTATORS
 * @seed: for rand_r()
 * @data: its process's mapping of the arena
 * @own: a second one of its own, which it moves and cuts
 * @pipes: for pages of the arena
 * @direct: a file for O_DIRECT, or -1
 */
struct mutator {
	unsigned int id;
	unsigned int seed;
	char *data;
	char *own;
	int pipes[2];
	int direct;
};

static int arena;
static char *data;
static unsigned long nr_taken, nr_stopped, nr_broken, nr_copied, nr_kept;

static void complain(const char *what, unsigned long at)
{
	if (!atomic_exchange(&shared->bad, 1))
		printf("# %s at %#lx, errno %d\n", what, at, errno);
	fflush(stdout);
}

static void must(int good, const char *what)
{
	if (!good) {
		perror(what);
		complain(what, 0);
		exit(1);
	}
}

/* ---- mutators ---- */

/* Somewhere in the first part, but not among the pairs. */
static size_t somewhere(struct mutator *m, size_t room)
{
	size_t at;

	do {
		at = ((size_t)rand_r(&m->seed) << 5) % (CALM_SIZE - room);
	} while (at < PAIRS_SIZE || (at + room > PAIR_BEHIND &&
				     at < PAIR_BEHIND + PAIRS_SIZE));
	return at & ~7UL;
}

static void store(struct mutator *m)
{
	int i;

	for (i = 0; i < 32; i++)
		*(volatile unsigned long *)(m->data + somewhere(m, 8)) =
			rand_r(&m->seed);
}

static void fill(struct mutator *m)
{
	size_t size = 1 + rand_r(&m->seed) % 65536;

	memset(m->data + somewhere(m, size), rand_r(&m->seed), size);
}

/* The kernel writes to pages that it has looked up. */
static void write_by_vm(struct mutator *m)
{
	char buf[3 * SYS_PAGE];
	struct iovec from = { .iov_base = buf, .iov_len = sizeof(buf) };
	struct iovec to = {
		.iov_base = m->data + somewhere(m, sizeof(buf)),
		.iov_len = sizeof(buf),
	};

	memset(buf, rand_r(&m->seed), sizeof(buf));
	if (process_vm_writev(getpid(), &from, 1, &to, 1, 0) != sizeof(buf))
		complain("process_vm_writev", 0);
}

static void write_direct(struct mutator *m)
{
	char *to = m->data + (somewhere(m, 5 * SYS_PAGE) & ~(SYS_PAGE - 1)) +
		   SYS_PAGE;

	if (m->direct < 0 || to + 4 * SYS_PAGE > m->data + PAIR_BEHIND)
		return;
	if (pread(m->direct, to, 4 * SYS_PAGE,
		  rand_r(&m->seed) % 8 * SYS_PAGE) != 4 * SYS_PAGE)
		complain("read by O_DIRECT", 0);
}

/* Pages of the arena go through a pipe and back into it. */
static void through_a_pipe(struct mutator *m)
{
	struct iovec iov = {
		.iov_base = m->data + somewhere(m, 2 * SYS_PAGE),
		.iov_len = 2 * SYS_PAGE,
	};
	ssize_t put = vmsplice(m->pipes[1], &iov, 1, 0);

	store(m);
	if (put <= 0 || read(m->pipes[0], m->data + somewhere(m, put), put) !=
	    put)
		complain("vmsplice", 0);
}

/* A new one, in one piece. */
static void map_own(struct mutator *m)
{
	if (m->own)
		munmap(m->own, CALM_SIZE);
	m->own = mmap(NULL, CALM_SIZE, RW, MAP_SHARED, arena, 0);
	must(m->own != MAP_FAILED, "mmap");
}

/* To an odd address, where it is mapped by small pages, and back. */
static void move(struct mutator *m)
{
	char *room = mmap(NULL, CALM_SIZE + BLOCK, PROT_NONE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *to;

	must(room != MAP_FAILED, "mmap");
	m->own[somewhere(m, 1)] = 1;
	to = mremap(m->own, CALM_SIZE, CALM_SIZE, MREMAP_MAYMOVE | MREMAP_FIXED,
		    room + SYS_PAGE);
	must(to != MAP_FAILED, "mremap");
	to[somewhere(m, 1)] = 2;
	to[somewhere(m, 1)] = 3;
	munmap(room, CALM_SIZE + BLOCK);
	m->own = NULL;
	map_own(m);
}

static void cut(struct mutator *m)
{
	size_t at = (somewhere(m, BLOCK) & ~(BLOCK - 1)) + BLOCK / 2;

	m->own[at] = 1;
	munmap(m->own + at, BLOCK / 2);
	m->own[at - 1] = 2;
	m->own[at - BLOCK / 4] = 3;
	map_own(m);
}

static void protect(struct mutator *m)
{
	size_t at = somewhere(m, BLOCK) & ~(SYS_PAGE - 1);

	mprotect(m->own + at, 2 * SYS_PAGE, PROT_READ);
	m->own[at + 2 * SYS_PAGE] = 1;
	mprotect(m->own + at, 2 * SYS_PAGE, RW);
	m->own[at] = 2;
	madvise(m->own, CALM_SIZE, MADV_DONTNEED);
	map_own(m);	/* it is in pieces */
}

/* A child writes, and ends by itself or not. */
static void fork_one(struct mutator *m)
{
	int status, killed = rand_r(&m->seed) % 2;
	pid_t pid = fork();

	if (pid < 0)
		return;
	if (!pid) {
		store(m);
		fill(m);
		if (killed)
			kill(getpid(), SIGKILL);
		_exit(0);
	}
	if (waitpid(pid, &status, 0) != pid || WIFSTOPPED(status) ||
	    (killed ? !WIFSIGNALED(status) : status))
		complain("a child", status);
}

static void park(void)
{
	if (!atomic_load(&shared->stop))
		return;
	atomic_fetch_add(&shared->parked, 1);
	while (atomic_load(&shared->stop))
		usleep(500);
	atomic_fetch_sub(&shared->parked, 1);
}

static void write_pair(struct mutator *m)
{
	volatile unsigned long *first = PAIR(m->data, m->id);
	volatile unsigned long *second = PAIR(m->data + PAIR_BEHIND, m->id);
	int i;

	for (i = 0; i < 100; i++) {
		*first = *first + 1;
		*second = *second + 1;
	}
}

static void *mutate(void *arg)
{
	static void (*const ops[])(struct mutator *m) = {
		store, fill, write_by_vm, write_direct, through_a_pipe, move,
		cut, protect, fork_one, store,
	};
	struct mutator *m = arg;

	map_own(m);
	must(!pipe(m->pipes), "pipe");
	while (!atomic_load(&shared->end)) {
		park();
		write_pair(m);
		ops[rand_r(&m->seed) % ARRAY_SIZE(ops)](m);
		write_pair(m);
		atomic_fetch_add(&shared->ops, 1);
	}
	return NULL;
}

static char *map_arena(void)
{
	char *p = mmap(NULL, NR_BLOCKS * BLOCK, RW, MAP_SHARED, arena, 0);

	must(p != MAP_FAILED, "mmap");
	return p;
}

/* A disk if there is one, else whatever knows O_DIRECT. */
static int open_direct(void)
{
	char *page = aligned_alloc(SYS_PAGE, 16 * SYS_PAGE);
	int fd = open("/dev/ram0", O_RDWR | O_DIRECT);

	if (fd < 0)
		fd = open("/tmp", O_TMPFILE | O_RDWR | O_DIRECT, 0600);
	if (fd < 0) {
		free(page);
		return -1;
	}
	memset(page, 0xd1, 16 * SYS_PAGE);
	must(pwrite(fd, page, 16 * SYS_PAGE, 0) == 16 * SYS_PAGE, "pwrite");
	free(page);
	return fd;
}

static void mutator_process(unsigned int nr)
{
	static struct mutator mutators[NR_THREADS];
	pthread_t threads[NR_THREADS];
	unsigned int i;
	char *p = map_arena();
	int direct = open_direct();

	for (i = 0; i < NR_THREADS; i++) {
		mutators[i] = (struct mutator){
			.id = nr * NR_THREADS + i, .seed = nr * 100 + i + 1,
			.data = p, .direct = direct,
		};
		must(!pthread_create(&threads[i], NULL, mutate, &mutators[i]),
		     "pthread_create");
	}
	for (i = 0; i < NR_THREADS; i++)
		pthread_join(threads[i], NULL);
}

/* ---- the wild ones ---- */

static int take_snapshot(unsigned long budget)
{
	struct hspan_snapshot_take args = {
		.budget = budget, .fd_flags = O_CLOEXEC,
	};

	return ioctl(arena, HSPAN_IOC_SNAPSHOT, &args);
}

/* Writes until it is killed, and has a snapshot now and then. */
static void victim_process(unsigned int seed)
{
	char *p = map_arena() + WILD, buf[64];
	struct iovec from = { .iov_base = buf, .iov_len = sizeof(buf) }, to = from;
	unsigned long i;
	int fd;

	for (;;) {
		i = ((size_t)rand_r(&seed) << 5) % (WILD_SIZE - SYS_PAGE);
		if (i + SYS_PAGE > PING - WILD && i < PING - WILD + 64)
			continue;
		p[i] = seed;
		to.iov_base = p + i;
		process_vm_writev(getpid(), &from, 1, &to, 1, 0);
		if (rand_r(&seed) % 50)
			continue;
		fd = take_snapshot(0);
		if (fd < 0 && errno != EBUSY)
			complain("a victim's snapshot", 0);
		if (fd >= 0 && rand_r(&seed) % 4)
			close(fd);
	}
}

/* Kills one victim after the other. */
static void killer_process(void)
{
	pid_t pids[NR_VICTIMS] = {};
	unsigned int seed = 1, i = 0;

	while (!atomic_load(&shared->end)) {
		i = (i + 1) % NR_VICTIMS;
		if (pids[i]) {
			kill(pids[i], SIGKILL);
			waitpid(pids[i], NULL, 0);
			atomic_fetch_add(&shared->kills, 1);
		}
		pids[i] = fork();
		if (!pids[i])
			victim_process(++seed);
		seed++;
		usleep(rand_r(&seed) % 50000);
	}
	for (i = 0; i < NR_VICTIMS; i++)
		if (pids[i] > 0)
			kill(pids[i], SIGKILL);
}

/* Waits for its turn by a futex in the arena, and passes it on. */
static void ping_process(unsigned int side)
{
	char *p = map_arena();
	_Atomic unsigned int *word = (void *)(p + PING);
	struct timespec limit = { .tv_sec = PINGS_MAX };
	unsigned int now;

	while (!atomic_load(&shared->end)) {
		now = atomic_load(word);
		if (now % 2 == side) {
			atomic_store(word, now + 1);
			syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0);
			atomic_fetch_add(&shared->pings, 1);
			usleep(500);
		} else if (syscall(SYS_futex, word, FUTEX_WAIT, now, &limit,
				   NULL, 0) && errno == ETIMEDOUT &&
			   !atomic_load(&shared->end)) {
			complain("a wake-up was lost", side);
		}
	}
	/* The other may wait for it. */
	syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0);
}

/* Blocks come and go: what is in one is its own, and zero at first. */
static void flux_process(void)
{
	char *p = map_arena();
	struct hspan_span span;
	unsigned int round;
	unsigned long *words, i;

	for (round = 1; !atomic_load(&shared->end); round++) {
		if (abi_get(arena, HSPAN_CLASS_LARGE_SCAN, HSPAN_BLOCK_PAGES,
			    &span, 1) != 1) {
			complain("a block", 0);
			break;
		}
		words = (void *)(p + (size_t)span.page * HSPAN_PAGE_SIZE);
		for (i = 0; i < BLOCK / 8; i += 16) {
			if (span.flags & HSPAN_SPAN_FRESH && words[i])
				complain("a fresh block is not zero", i);
			words[i] = round;
		}
		for (i = 0; i < BLOCK / 8; i += 16)
			if (words[i] != round)
				complain("a block of its own", i);
		if (abi_put(arena, &span, 1))
			complain("put", 0);
		if (round % 3)
			abi_release(arena);
	}
}

/* ---- the one who looks ---- */

static char copy[CALM_SIZE] __attribute__((aligned(4096)));
static char seen[NR_BLOCKS][BLOCK], again[BLOCK];
static int is_there[NR_BLOCKS];

static void stop_all(void)
{
	atomic_store(&shared->stop, 1);
	while (atomic_load(&shared->parked) < NR_MUTATORS &&
	       !atomic_load(&shared->bad))
		usleep(500);
}

static void resume_all(void)
{
	atomic_store(&shared->stop, 0);
	while (atomic_load(&shared->parked) && !atomic_load(&shared->bad))
		usleep(500);
}

/* 1 if all of it is in the image; it can be lost while it is read. */
static int read_block(const char *image, unsigned int block, char *to)
{
	struct iovec from = {
		.iov_base = (void *)(image + block * BLOCK), .iov_len = BLOCK,
	};
	struct iovec into = { .iov_base = to, .iov_len = BLOCK };

	return process_vm_readv(getpid(), &into, 1, &from, 1, 0) ==
	       (ssize_t)BLOCK;
}

static struct hspan_snapshot_info info_of(int snap)
{
	struct hspan_snapshot_info info = {};

	must(!ioctl(snap, HSPAN_IOC_SNAPSHOT_INFO, &info), "SNAPSHOT_INFO");
	return info;
}

static void look_first(const char *image)
{
	unsigned int i;

	for (i = 0; i < NR_BLOCKS; i++)
		is_there[i] = read_block(image, i, seen[i]);
}

/* What was there still is, unless the snapshot is broken. */
static void look_again(const char *image, int snap)
{
	unsigned int i;
	int there;

	for (i = 0; i < NR_BLOCKS; i++) {
		there = read_block(image, i, again);
		if (info_of(snap).error)
			return;
		if (there != is_there[i])
			complain("a block came or went", i);
		else if (there && memcmp(seen[i], again, BLOCK))
			complain("a block of the image changed", i);
	}
}

static void compare_with_copy(void)
{
	unsigned int i;

	for (i = 0; i < CALM_BLOCKS; i++) {
		if (!is_there[i])
			complain("a block is missing", i);
		else if (memcmp(seen[i], copy + i * BLOCK, BLOCK))
			complain("the image is not what was copied", i);
	}
}

/* The first word of a pair is written first. */
static void check_pairs(void)
{
	unsigned long first, second;
	unsigned int i;

	for (i = 0; i < NR_MUTATORS; i++) {
		first = *PAIR(seen[0], i);
		second = *PAIR(seen[CALM_BLOCKS - 1], i);
		if (first != second && first != second + 1)
			complain("an image of two moments", i);
	}
}

static int take_when_free(unsigned long budget)
{
	int snap;

	while ((snap = take_snapshot(budget)) < 0 &&
	       (errno == EBUSY || (budget && errno == ENOSPC)))
		usleep(1000);
	must(snap >= 0, "HSPAN_IOC_SNAPSHOT");
	return snap;
}

/* Stopped, with the copy made before or after it. */
static int take_stopped(unsigned long budget, int before)
{
	int snap;

	stop_all();
	if (before)
		memcpy(copy, data, CALM_SIZE);
	snap = take_when_free(budget);
	if (!before)
		memcpy(copy, data, CALM_SIZE);
	resume_all();
	return snap;
}

static void check_counters(int snap, unsigned long budget)
{
	struct hspan_snapshot_info info = info_of(snap);

	if (info.copied + info.kept + info.lost > info.blocks)
		complain("counters", info.copied);
	if (budget && info.copied + info.kept > budget)
		complain("over budget", info.copied);
	if (!info.error != !info.lost)
		complain("broken or not", info.error);
	nr_copied += info.copied;
	nr_kept += info.kept;
	nr_broken += !!info.error;
}

static void look(const char *image, int snap, int stopped, int looks)
{
	look_first(image);
	if (!info_of(snap).error) {
		if (stopped)
			compare_with_copy();
		check_pairs();
	}
	while (looks--) {
		usleep(5000);
		look_again(image, snap);
	}
}

static void one_round(unsigned int round)
{
	unsigned long budget = round % 5 == 4 ? 1 + round % 7 : 0;
	int stopped = round % 3 != 2, snap, status = 0;
	const char *image;
	pid_t pid = 0;

	snap = stopped ? take_stopped(budget, round % 2) :
			 take_when_free(budget);
	image = mmap(NULL, NR_BLOCKS * BLOCK, PROT_READ, MAP_SHARED, snap, 0);
	must(image != MAP_FAILED, "mmap of a snapshot");
	if (round % 4 == 3)
		pid = fork();
	if (!pid)
		look(image, snap, stopped, round % 8 ? 1 : 5);
	if (!pid && round % 4 == 3)
		_exit(0);
	if (pid && (waitpid(pid, &status, 0) != pid || status))
		complain("a child that looks", status);
	check_counters(snap, budget);
	munmap((void *)image, NR_BLOCKS * BLOCK);
	close(snap);
	nr_taken++;
	nr_stopped += stopped;
}

static pid_t start(void (*fn)(unsigned int), unsigned int arg)
{
	pid_t pid = fork();

	must(pid >= 0, "fork");
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		must(nice(10) == 10, "nice");	/* else nobody comes to look */
		fn(arg);
		_exit(0);
	}
	return pid;
}

static void start_killer(unsigned int arg)
{
	(void)arg;
	killer_process();
}

static void start_flux(unsigned int arg)
{
	(void)arg;
	flux_process();
}

static void create(void)
{
	struct hspan_arena_create args = {
		.size = NR_BLOCKS * BLOCK, .flags = HSPAN_ARENA_SNAPSHOT,
	};
	struct hspan_span span;
	int dev = open("/dev/hugespan", O_RDWR);

	arena = ioctl(dev, HSPAN_IOC_ARENA_CREATE, &args);
	must(arena >= 0, "HSPAN_IOC_ARENA_CREATE");
	close(dev);
	data = map_arena();
	must(abi_get(arena, HSPAN_CLASS_LARGE_SCAN, (CALM_BLOCKS + WILD_BLOCKS) *
		     HSPAN_BLOCK_PAGES, &span, 1) == 1 && !span.page,
	     "HSPAN_IOC_SPAN_GET");
}

static int nr_tests, nr_failed;

static void check(int good, const char *what)
{
	nr_failed += !good;
	printf("%s %d - %s\n", good ? "ok" : "not ok", ++nr_tests, what);
}

/* Waits for files and strays that are on their way out. */
static int is_zero_soon(const char *name)
{
	int i;

	for (i = 0; i < 500 && abi_sysfs(name); i++)
		usleep(20000);
	return !abi_sysfs(name);
}

int main(int argc, char **argv)
{
	time_t until = time(NULL) + (argc > 1 ? atoi(argv[1]) : 5);
	pid_t pids[NR_PROCS + 4];
	unsigned int nr = 0, i, round = 0;
	int status, good = 1;

	shared = mmap(NULL, sizeof(*shared), RW, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	create();
	for (i = 0; i < NR_PROCS; i++)
		pids[nr++] = start(mutator_process, i);
	pids[nr++] = start(ping_process, 0);
	pids[nr++] = start(ping_process, 1);
	pids[nr++] = start(start_killer, 0);
	pids[nr++] = start(start_flux, 0);
	while (time(NULL) < until && !atomic_load(&shared->bad))
		one_round(round++);
	atomic_store(&shared->end, 1);
	for (i = 0; i < nr; i++)
		good &= waitpid(pids[i], &status, 0) == pids[i] && !status;
	printf("1..5\n# %lu snapshots, %lu of them with all stopped, %lu broken; %lu blocks copied, %lu kept; %lu operations, %lu wake-ups, %lu kills\n",
	       nr_taken, nr_stopped, nr_broken, nr_copied, nr_kept,
	       atomic_load(&shared->ops), atomic_load(&shared->pings),
	       atomic_load(&shared->kills));
	check(!atomic_load(&shared->bad), "each image was of one instant, and stayed");
	check(good, "nobody who should not have has died");
	check(nr_taken && nr_copied && atomic_load(&shared->pings) &&
	      atomic_load(&shared->ops), "all did something");
	munmap(data, NR_BLOCKS * BLOCK);
	close(arena);
	check(is_zero_soon("nr_arenas") && is_zero_soon("pool/strays") &&
	      is_zero_soon("blocks_in_use"), "no block is left");
	check(is_zero_soon("charged"), "nor a charge");
	return nr_failed || nr_tests != 5;
}
