/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The fuzzer of the ABI: what its processes share, what one of them knows, and
 * the operations each file offers.
 */
#ifndef HUGESPAN_FUZZ_H
#define HUGESPAN_FUZZ_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <linux/hugespan.h>

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

#define SYS_PAGE	4096UL
#define BLOCK		HSPAN_BLOCK_SIZE

/*
 * Where a process maps, unmaps and pokes: nothing of its own is in there, so
 * any call may do anything to it.
 */
#define WINDOW		((char *)0x100000000000UL)
#define WINDOW_BLOCKS	64UL
#define WINDOW_SIZE	(WINDOW_BLOCKS * BLOCK)

/*
 * Where a call's list lies when it lies where it should: at the same address in
 * every process, with room for the longest behind each, as a struct in shared
 * memory may come to have another process's address and count in it.
 */
#define LISTS		((char *)0x200000000000UL)
#define NR_LISTS	5
#define LIST_SIZE	8192UL
#define LIST(i)		((void *)(LISTS + (i) * LIST_SIZE))

#define NR_PROCS_MAX	32
#define NR_OPS_MAX	64
#define NR_FDS		4
#define NR_SPANS	96
#define NR_PIPES	2
#define NR_HOT		4
#define NR_KEPT		4

#define SYSFS		"/sys/devices/virtual/misc/hugespan"

/**
 * struct fuzz_shared - what all processes see
 * @tried: calls of each operation
 * @done: of those, calls that succeeded
 * @injected: failures that fail-nth has injected
 * @poisonings: pages of data that were to be poisoned
 * @killed: processes killed by another
 * @pids: the workers; 0 = none
 * @mail: both ends of a socket on which descriptors travel
 * @bad: something is wrong, and @why says what
 * @why: likewise
 */
struct fuzz_shared {
	atomic_ulong tried[NR_OPS_MAX];
	atomic_ulong done[NR_OPS_MAX];
	atomic_ulong injected;
	atomic_ulong poisonings;
	atomic_ulong killed;
	atomic_int pids[NR_PROCS_MAX];
	int mail[2];
	atomic_int bad;
	char why[128];
};

extern struct fuzz_shared *shared;
extern unsigned int nr_procs;
extern unsigned long max_poisonings;

/* A span that was got through @fd, which may be another file by now. */
struct fuzz_span {
	int fd;
	uint32_t most;		/* its free slots when it was fresh, or a guess */
	struct hspan_span s;
};

/**
 * struct worker - one process that fuzzes
 * @rng: state of its random numbers
 * @nr: its place among the workers
 * @depth: forks between it and the supervisor
 * @root: it has not given up its rights
 * @dev: the device
 * @fail_nth: a file that arms fault injection for the thread, or -1
 * @make_fail: likewise, for failures by chance
 * @fds: descriptors of arenas, or -1
 * @blocks: their sizes, as far as is known
 * @spans: spans it may hold
 * @nr_spans: how many
 * @hot: addresses in the window where something was mapped of late
 * @pipes: to hold references to pages
 * @kept: descriptors that hold on to something, or -1; see hold.c
 * @canary: an arena that nobody else has, see canary.c
 */
struct worker {
	uint64_t rng;
	unsigned int nr;
	unsigned int depth;
	bool root;
	int dev;
	int fail_nth;
	int make_fail;
	int fds[NR_FDS];
	uint32_t blocks[NR_FDS];
	struct fuzz_span spans[NR_SPANS];
	unsigned int nr_spans;
	char *hot[NR_HOT];
	int pipes[NR_PIPES][2];
	int kept[NR_KEPT];
	struct canary *canary;
};

/**
 * struct fuzz_op - one kind of thing to do
 * @name: for the statistics
 * @weight: how often, compared with the others
 * @run: does it; true if it had an effect
 */
struct fuzz_op {
	const char *name;
	unsigned int weight;
	bool (*run)(struct worker *w);
};

/* fuzz.c */
bool fuzz_write(const char *path, const char *text);
void fuzz_pause_ms(unsigned int ms);

/* worker.c */
void worker_main(unsigned int nr, uint64_t seed, unsigned int depth);
void worker_child(const struct worker *parent);
unsigned int worker_nr_ops(void);
const char *worker_op_name(unsigned int i);
void fuzz_bad(const char *why);
uint64_t fuzz_rand(struct worker *w);
uint64_t fuzz_below(struct worker *w, uint64_t n);
bool fuzz_chance(struct worker *w, unsigned int one_in);
uint64_t fuzz_number(struct worker *w);
char *fuzz_addr(struct worker *w);
size_t fuzz_len(struct worker *w);
void fuzz_heat(struct worker *w, char *addr);
int fuzz_slot(struct worker *w);
int fuzz_fd(struct worker *w);
int fuzz_add_fd(struct worker *w, int fd, uint32_t blocks);
bool fuzz_copy(void *to, const void *from, size_t len);
void fuzz_arm(struct worker *w);
void fuzz_arm_nth(struct worker *w);
void fuzz_disarm(struct worker *w);

/* ioctls.c */
bool op_create(struct worker *w);
bool op_open(struct worker *w);
bool op_find(struct worker *w);
bool op_get(struct worker *w);
bool op_put(struct worker *w);
bool op_sweep(struct worker *w);
bool op_collect(struct worker *w);
bool op_cycle(struct worker *w);
bool op_release(struct worker *w);
bool op_limit(struct worker *w);
bool op_snapshot(struct worker *w);
bool op_image(struct worker *w);
bool op_ask(struct worker *w);
bool op_wild(struct worker *w);

/* memory.c */
bool op_map(struct worker *w);
bool op_touch(struct worker *w);
bool op_unmap(struct worker *w);
bool op_remap(struct worker *w);
bool op_advise(struct worker *w);
bool op_protect(struct worker *w);
bool op_lock(struct worker *w);
bool op_read_into(struct worker *w);
bool op_policy(struct worker *w);
bool op_poison(struct worker *w);
bool op_misc_memory(struct worker *w);

/* process.c */
bool op_fork(struct worker *w);
bool op_kill(struct worker *w);
bool op_pass(struct worker *w);
bool op_receive(struct worker *w);
bool op_close(struct worker *w);
bool op_poll(struct worker *w);
bool op_vm_copy(struct worker *w);
bool op_pipe(struct worker *w);
bool op_futex(struct worker *w);
bool op_proc(struct worker *w);
bool op_file(struct worker *w);
bool op_few_fds(struct worker *w);

/* hold.c */
bool op_hold(struct worker *w);

/* canary.c */
bool op_canary(struct worker *w);
bool op_attack(struct worker *w);

/* chaos.c: what only root can do to the machine */
void chaos_main(uint64_t seed);

#endif /* HUGESPAN_FUZZ_H */
