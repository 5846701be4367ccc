// SPDX-License-Identifier: GPL-2.0-only
/*
 * One fuzzing process: its random choices, its protection from what it does to
 * its own memory, and the loop over the operations.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fuzz.h"

#define NOBODY	65534

static const struct fuzz_op ops[] = {
	{ "create", 6, op_create },
	{ "open client", 4, op_open },
	{ "find", 6, op_find },
	{ "get", 60, op_get },
	{ "put", 50, op_put },
	{ "sweep", 10, op_sweep },
	{ "collect", 4, op_collect },
	{ "cycle", 6, op_cycle },
	{ "release", 6, op_release },
	{ "limit", 3, op_limit },
	{ "snapshot", 8, op_snapshot },
	{ "image", 4, op_image },
	{ "ask", 8, op_ask },
	{ "wild ioctl", 12, op_wild },
	{ "map", 30, op_map },
	{ "touch", 60, op_touch },
	{ "unmap", 14, op_unmap },
	{ "remap", 10, op_remap },
	{ "advise", 24, op_advise },
	{ "protect", 10, op_protect },
	{ "lock", 4, op_lock },
	{ "read into", 8, op_read_into },
	{ "policy", 3, op_policy },
	{ "poison", 1, op_poison },
	{ "misc memory", 6, op_misc_memory },
	{ "fork", 2, op_fork },
	{ "kill", 1, op_kill },
	{ "pass", 6, op_pass },
	{ "receive", 6, op_receive },
	{ "close", 5, op_close },
	{ "poll", 4, op_poll },
	{ "vm copy", 6, op_vm_copy },
	{ "pipe", 10, op_pipe },
	{ "futex", 4, op_futex },
	{ "proc", 2, op_proc },
	{ "file", 4, op_file },
	{ "few fds", 2, op_few_fds },
	{ "hold", 6, op_hold },
	{ "canary", 8, op_canary },
	{ "attack", 4, op_attack },
};

_Static_assert(ARRAY_SIZE(ops) <= NR_OPS_MAX, "too many operations");

static sigjmp_buf guard;
static volatile sig_atomic_t guarded;

unsigned int worker_nr_ops(void)
{
	return ARRAY_SIZE(ops);
}

const char *worker_op_name(unsigned int i)
{
	return ops[i].name;
}

/* Tell the supervisor; the first complaint is kept. */
void fuzz_bad(const char *why)
{
	int none = 0;

	if (atomic_compare_exchange_strong(&shared->bad, &none, 1))
		snprintf(shared->why, sizeof(shared->why), "%s", why);
}

uint64_t fuzz_rand(struct worker *w)
{
	uint64_t z = w->rng += 0x9e3779b97f4a7c15;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

uint64_t fuzz_below(struct worker *w, uint64_t n)
{
	return fuzz_rand(w) % n;
}

bool fuzz_chance(struct worker *w, unsigned int one_in)
{
	return !fuzz_below(w, one_in);
}

/* One that is likely to be on the edge of something. */
uint64_t fuzz_number(struct worker *w)
{
	static const uint64_t edges[] = {
		0, 1, 2, 8, 9, 255, 256, 257, 4096, 8192, 65535, 65536,
		BLOCK - 1, BLOCK, BLOCK + 1, INT32_MAX, 1UL << 31, UINT32_MAX,
		1UL << 32, 1UL << 40, 2UL << 40, 3UL << 40, 1UL << 47,
		HSPAN_ARENA_MAX, INT64_MAX, 1UL << 63, UINT64_MAX,
	};

	switch (fuzz_below(w, 4)) {
	case 0:
		return fuzz_below(w, 20);
	case 1:
		return fuzz_rand(w) >> fuzz_below(w, 64);
	case 2:
		return edges[fuzz_below(w, ARRAY_SIZE(edges))] +
		       fuzz_below(w, 3) - 1;
	default:
		return edges[fuzz_below(w, ARRAY_SIZE(edges))];
	}
}

/* In a span, if it is of the arena that is mapped at @base. */
static char *fuzz_span_addr(struct worker *w, char *base)
{
	const struct hspan_span *s = &w->spans[fuzz_below(w, w->nr_spans)].s;
	char *p = base + s->page * HSPAN_PAGE_SIZE;

	if (fuzz_chance(w, 2))
		p += fuzz_below(w, HSPAN_PAGE_SIZE);
	return p >= WINDOW && p < WINDOW + WINDOW_SIZE ? p : WINDOW;
}

/* In the window: mostly near something mapped, often where a page begins. */
char *fuzz_addr(struct worker *w)
{
	char *p = WINDOW + fuzz_below(w, WINDOW_BLOCKS) * BLOCK;
	size_t room;

	if (!fuzz_chance(w, 6))
		p = w->hot[fuzz_below(w, NR_HOT)];
	if (w->nr_spans && !fuzz_chance(w, 3))
		return fuzz_span_addr(w, p);
	room = WINDOW + WINDOW_SIZE - p;
	if (fuzz_chance(w, 2) && room > BLOCK)
		p += fuzz_below(w, 4) * (BLOCK / 2);
	if (fuzz_chance(w, 2))
		p += fuzz_below(w, BLOCK / SYS_PAGE) * SYS_PAGE;
	if (fuzz_chance(w, 6))
		p += fuzz_below(w, SYS_PAGE);
	if (fuzz_chance(w, 16))
		p -= 8;		/* across a border */
	return p >= WINDOW && p < WINDOW + WINDOW_SIZE ? p : WINDOW;
}

size_t fuzz_len(struct worker *w)
{
	switch (fuzz_below(w, 8)) {
	case 0:
		return SYS_PAGE;
	case 1:
		return fuzz_below(w, 600) * SYS_PAGE;
	case 2:
		return BLOCK / 2;
	case 3:
		return fuzz_chance(w, 4) ? fuzz_number(w) & ~0xfffUL : BLOCK;
	case 4:
		return 2 * BLOCK;
	default:
		return (1 + fuzz_below(w, 8)) * BLOCK;
	}
}

void fuzz_heat(struct worker *w, char *addr)
{
	w->hot[fuzz_below(w, NR_HOT)] = addr;
}

/* A place in @fds, mostly one that is taken. */
int fuzz_slot(struct worker *w)
{
	int i = fuzz_below(w, NR_FDS), tries;

	for (tries = 0; tries < NR_FDS && w->fds[i] < 0; tries++)
		i = (i + 1) % NR_FDS;
	return i;
}

/* An arena's descriptor as a rule, another one now and then. */
int fuzz_fd(struct worker *w)
{
	if (fuzz_chance(w, 100))
		return fuzz_chance(w, 2) ? w->dev : w->pipes[0][0];
	return w->fds[fuzz_slot(w)];
}

/* Remember @fd, in the place of another. */
int fuzz_add_fd(struct worker *w, int fd, uint32_t blocks)
{
	int i = fuzz_below(w, NR_FDS);

	if (fd < 0)
		return fd;
	if (w->fds[i] >= 0)
		close(w->fds[i]);
	w->fds[i] = fd;
	w->blocks[i] = blocks;
	return fd;
}

static void on_fault(int sig, siginfo_t *info, void *context)
{
	ucontext_t *user = context;
	char why[96];

	if (sig == SIGBUS && info->si_code == BUS_MCEERR_AO)
		return;		/* memory we have, but do not touch */
	if (!guarded) {
		snprintf(why, sizeof(why), "signal %d, address %p, at %p", sig,
			 info->si_addr,
			 (void *)user->uc_mcontext.gregs[REG_RIP]);
		fuzz_bad(why);
		_exit(1);
	}
	guarded = 0;
	siglongjmp(guard, 1);
}

static void catch_faults(void)
{
	struct sigaction sa = {
		.sa_sigaction = on_fault,
		.sa_flags = SA_NODEFER | SA_SIGINFO,
	};

	sigaction(SIGSEGV, &sa, NULL);
	sigaction(SIGBUS, &sa, NULL);
	signal(SIGPIPE, SIG_IGN);
}

/* Copy where reading or writing may fault; false if it did. */
bool fuzz_copy(void *to, const void *from, size_t len)
{
	if (sigsetjmp(guard, 0))
		return false;
	guarded = 1;
	memcpy(to, from, len);
	guarded = 0;
	return true;
}

static void write_fd(int fd, const char *text)
{
	unsigned int tries;

	/* The write may be what fails. */
	for (tries = 0; fd >= 0 && tries < 100; tries++)
		if (pwrite(fd, text, strlen(text), 0) > 0)
			break;
}

static enum { ARMED_NOT, ARMED_NTH, ARMED_CHANCE } armed;

/* Let something inside the next calls fail, but nothing in a child. */
void fuzz_arm_nth(struct worker *w)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", (unsigned int)(1 + fuzz_below(w, 16)));
	armed = ARMED_NTH;
	write_fd(w->fail_nth, text);
}

/* The same, or some of it by chance, now and then. */
void fuzz_arm(struct worker *w)
{
	switch (fuzz_below(w, 24)) {
	case 0:
	case 1:
		fuzz_arm_nth(w);
		break;
	case 2:
		if (!w->root)
			break;
		armed = ARMED_CHANCE;
		write_fd(w->make_fail, "1");
		break;
	}
}

void fuzz_disarm(struct worker *w)
{
	int err = errno;
	char text[16] = {};

	if (armed == ARMED_NTH && w->fail_nth >= 0) {
		if (pread(w->fail_nth, text, sizeof(text) - 1, 0) <= 0 ||
		    text[0] == '0')
			atomic_fetch_add(&shared->injected, 1);
		write_fd(w->fail_nth, "0");
	} else if (armed == ARMED_CHANCE) {
		write_fd(w->make_fail, "0");
	}
	armed = ARMED_NOT;
	errno = err;
}

static void open_injection(struct worker *w)
{
	w->fail_nth = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
	w->make_fail = open("/proc/self/make-it-fail", O_RDWR | O_CLOEXEC);
}

static void run_one(struct worker *w)
{
	unsigned int total = 0, i, dice;

	for (i = 0; i < ARRAY_SIZE(ops); i++)
		total += ops[i].weight;
	dice = fuzz_below(w, total);
	for (i = 0; dice >= ops[i].weight; i++)
		dice -= ops[i].weight;
	atomic_fetch_add(&shared->tried[i], 1);
	if (ops[i].run(w))
		atomic_fetch_add(&shared->done[i], 1);
}

static void drop_rights(struct worker *w)
{
	w->root = !getuid() && w->nr % 2 == 0;
	if (w->root || getuid())
		return;
	if (setgid(NOBODY) || setuid(NOBODY))
		fuzz_bad("cannot give up rights");
	/* Or it could not reach its own fault injection. */
	prctl(PR_SET_DUMPABLE, 1);
}

/* Memory is short: another will be started. */
static void give_up(void)
{
	raise(SIGKILL);
}

static void fuzz_forever(struct worker *w)
{
	for (;;) {
		run_one(w);
		while (w->depth == 0 && waitpid(-1, NULL, WNOHANG) > 0)
			continue;
	}
}

/* Does not return. */
void worker_main(unsigned int nr, uint64_t seed, unsigned int depth)
{
	static struct worker me;
	struct worker *w = &me;
	unsigned int i;

	w->rng = seed;
	w->nr = nr;
	w->depth = depth;
	for (i = 0; i < NR_HOT; i++)
		w->hot[i] = WINDOW + i * 4 * BLOCK;
	for (i = 0; i < NR_FDS; i++)
		w->fds[i] = -1;
	for (i = 0; i < NR_KEPT; i++)
		w->kept[i] = -1;
	for (i = 0; i < NR_PIPES; i++)
		if (pipe2(w->pipes[i], O_NONBLOCK | O_CLOEXEC))
			give_up();
	if (mmap(LISTS, NR_LISTS * LIST_SIZE, PROT_READ | PROT_WRITE, MAP_FIXED |
		 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED)
		give_up();
	catch_faults();
	open_injection(w);
	w->dev = open("/dev/hugespan", O_RDWR | O_CLOEXEC);
	if (w->dev < 0) {
		if (errno != ENOMEM)
			fuzz_bad("cannot open the device");
		give_up();
	}
	drop_rights(w);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (i = 0; i < NR_FDS; i++)
		op_create(w);
	fuzz_forever(w);
}

/* What a forked child does; it has inherited all its parent has. */
void worker_child(const struct worker *parent)
{
	static struct worker me;
	unsigned int left;

	me = *parent;
	me.depth++;
	me.canary = NULL;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	close(me.fail_nth);
	close(me.make_fail);
	open_injection(&me);
	armed = ARMED_NOT;
	fuzz_rand(&me);
	me.rng ^= (uint64_t)me.depth << 56;
	for (left = fuzz_below(&me, 150); left; left--)
		run_one(&me);
	_exit(0);
}
