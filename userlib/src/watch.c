// SPDX-License-Identifier: MIT
/*
 * The watcher: a thread that waits for the machine to need memory, and has the
 * heap give some, whatever the program does meanwhile.
 *
 * With the module the level is the control page's, and poll() of the arena
 * tells.  Without, the kernel's pressure stall information does (PSI): a stall
 * raises the level if little memory is available (there are other reasons to
 * stall), and three windows without one lower it by one.
 *
 * While a cgroup has a limit, or the level is not 0, it looks each second;
 * otherwise it sleeps.
 *
 * It is woken by the handshakes' signal, which it lets through in ppoll() only:
 * so no descriptor is needed for that.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cgroup.h"
#include "limit.h"
#include "pacer.h"

#define LEVEL_MOST 2
#define STALL "some 200000 2000000" /* us of a window in which some task stalled */
#define CALM_NS (3 * 2000000000ull) /* three windows */
#define SOME_LEFT 4    /* less than this part of memory is level 1, */
#define LITTLE_LEFT 16 /* and less than this, level 2 */

/**
 * struct watch - the watcher; but for @stop and the figures only it writes them
 * @poll: what tells, the arena or a trigger of PSI; .fd -1 = nothing does
 * @psi: it is the latter
 * @psi_level: what it has made of the level
 * @psi_last: when that last changed, or was last called for
 * @level: the level that the heap goes by
 * @pressed: how often the machine asked
 */
static struct {
	pthread_t thread;
	int running;
	int stop;
	struct pollfd poll;
	bool psi;
	unsigned int psi_level;
	uint64_t psi_last;
	unsigned int level;
	uint64_t pressed;
} watch;

/* A trigger on the whole machine's stalls, or else on those of our cgroup. */
static int open_psi(void)
{
	const int flags = O_RDWR | O_NONBLOCK | O_CLOEXEC;
	int fd = open("/proc/pressure/memory", flags);

	if (fd >= 0 && write(fd, STALL, sizeof(STALL)) == sizeof(STALL))
		return fd;
	if (fd >= 0)
		close(fd);
	fd = hs_cgroup_open("", "memory.pressure", flags);
	if (fd < 0 || write(fd, STALL, sizeof(STALL)) == sizeof(STALL))
		return fd;
	close(fd);
	return -1;
}

static void open_notice(void)
{
	int fd = -1;

	if (!(hs.config.ignore & HSPAN_IGNORE_PRESSURE)) {
		fd = hs.backend->notice_fd();
		watch.psi = fd < 0;
		if (watch.psi)
			fd = open_psi();
		if (fd < 0 && hs.config.trace & HSPAN_TRACE_LIMIT)
			hs_log("hugespan: nobody tells when the machine needs memory: "
			       "no PSI trigger to be had\n");
	}
	watch.poll = (struct pollfd){ .fd = fd, .events = POLLPRI };
}

static unsigned long find_kib(const char *text, const char *key)
{
	const char *at = strstr(text, key);

	return at ? strtoul(at + strlen(key), NULL, 10) : 0;
}

/* The level that the memory left to the machine calls for. */
static unsigned int need(void)
{
	int fd = open("/proc/meminfo", O_RDONLY | O_CLOEXEC);
	unsigned long total, left;
	char text[512];
	ssize_t n;

	if (fd < 0)
		return 0;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	text[n > 0 ? n : 0] = 0;
	total = find_kib(text, "MemTotal:");
	left = find_kib(text, "MemAvailable:");
	return left < total / LITTLE_LEFT ? 2 : left < total / SOME_LEFT ? 1 : 0;
}

/* The level as PSI tells it: up at once, down by one after a while of calm. */
static unsigned int psi_level(bool told)
{
	unsigned int needed = told ? need() : 0;
	uint64_t now = hs_now();

	if (needed >= watch.psi_level) {
		watch.psi_level = needed;
		watch.psi_last = now;
	} else if (now - watch.psi_last >= CALM_NS) {
		watch.psi_level--;
		watch.psi_last = now;
	}
	return watch.psi_level;
}

static unsigned int level_now(bool told)
{
	unsigned int level;

	if (watch.poll.fd < 0)
		return 0;
	level = watch.psi ? psi_level(told) : hs_load(&hs.space.control->pressure);
	return level < LEVEL_MOST ? level : LEVEL_MOST;
}

/*
 * Free blocks go at once, each time the machine asks.  At the highest level a
 * collection finds more, if there may be any.
 */
static void react(unsigned int level, bool told)
{
	bool rose = level > watch.level;

	if (level != watch.level && hs.config.trace & HSPAN_TRACE_LIMIT)
		hs_log("hugespan: the machine's need of memory: level %u\n", level);
	watch.level = level;
	hs_pacer_set_pressure(level);
	hs_add(&watch.pressed, told);
	if (!level || (!told && !rose))
		return;
	hs_release_blocks(UINT64_MAX);
	if (level == LEVEL_MOST && (rose || hs_pacer_grown()))
		hs_collector_request();
}

/* The limit has come down below what is held: free blocks, then garbage. */
static void shrink(void)
{
	const volatile uint32_t *held = &hs.space.control->blocks_held;
	uint64_t most = hs_limit_blocks(), now = hs_load(held);

	if (now <= most)
		return;
	hs_release_blocks(now - most);
	if (hs_load(held) > most && hs_pacer_grown())
		hs_collector_request();
}

/* Sleep until there may be something to do; true if the machine asks. */
static bool wait_for_notice(const sigset_t *open)
{
	const struct timespec second = { .tv_sec = 1 };
	bool often = hs_limit_counts() || watch.level;
	int n = ppoll(&watch.poll, 1, often ? &second : NULL, open);

	if (n <= 0 || !watch.poll.revents)
		return false;
	if (watch.poll.revents & POLLPRI)
		return true;
	watch.poll.fd = -1; /* the program has closed it, or the cgroup is gone */
	return false;
}

static void *run(void *arg)
{
	sigset_t open;

	(void)arg;
	sigfillset(&open);
	sigdelset(&open, hs.config.signal);
	while (!hs_load_acquire(&watch.stop)) {
		bool told = wait_for_notice(&open);

		if (hs_load_acquire(&watch.stop))
			break;
		react(level_now(told), told);
		if (hs_limit_counts()) {
			hs_limit_look(true);
			shrink();
		}
	}
	return NULL;
}

int hs_watch_start(void)
{
	int ret;

	memset(&watch, 0, sizeof(watch));
	open_notice();
	ret = hs_start_thread(&watch.thread, run, NULL, "hspan-watcher");
	if (!ret)
		hs_set_release(&watch.running, 1);
	else if (watch.psi && watch.poll.fd >= 0)
		close(watch.poll.fd);
	return ret;
}

void hs_watch_stop(void)
{
	hs_set_release(&watch.running, 0);
	hs_set_release(&watch.stop, 1);
	pthread_kill(watch.thread, hs.config.signal);
	pthread_join(watch.thread, NULL);
	if (watch.psi && watch.poll.fd >= 0)
		close(watch.poll.fd);
}

/* There is a limit now: look each second. */
void hs_watch_kick(void)
{
	if (hs_load_acquire(&watch.running))
		pthread_kill(watch.thread, hs.config.signal);
}

void hs_watch_stats(struct hspan_stats *stats)
{
	stats->pressed = hs_load(&watch.pressed);
}
