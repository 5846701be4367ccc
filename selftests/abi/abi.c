// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the ABI tests share: opening things, calling ioctls, reading state.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <grp.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

#include "abi.h"
#include "../../kmod/heap/sizeclass.h"

#define SYSFS	"/sys/devices/virtual/misc/hugespan/"

int abi_nr_failed;

void abi_die(const char *what)
{
	perror(what);
	_exit(1);
}

void abi_check(int good, const char *what)
{
	static int nr;

	abi_nr_failed += !good;
	printf("%s %d - %s\n", good ? "ok" : "not ok", ++nr, what);
}

void abi_pause_ms(int ms)
{
	nanosleep(&(struct timespec){ ms / 1000, ms % 1000 * 1000000L }, NULL);
}

int abi_device(void)
{
	int fd = open("/dev/hugespan", O_RDWR | O_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

int abi_arena(unsigned long blocks, unsigned long limit)
{
	struct hspan_arena_create args = {
		.size = blocks * HSPAN_BLOCK_SIZE,
		.limit = limit,
		.fd_flags = O_CLOEXEC,
	};
	int dev = abi_device();
	int fd = ioctl(dev, HSPAN_IOC_ARENA_CREATE, &args);

	assert_true(fd >= 0);
	close(dev);
	return fd;
}

int abi_open(int arena)
{
	struct hspan_arena_open args = { .fd_flags = O_CLOEXEC };

	return ioctl(arena, HSPAN_IOC_ARENA_OPEN, &args);
}

int abi_setup(void **state)
{
	static int fd;

	fd = abi_arena(ABI_BLOCKS, 0);
	*state = &fd;
	return 0;
}

int abi_teardown(void **state)
{
	return close(abi_fd(state));
}

int abi_get(int fd, unsigned int class, unsigned int npages,
	    struct hspan_span *spans, unsigned int nr)
{
	struct hspan_span_get args = {
		.spans = (uintptr_t)spans,
		.nr = nr,
		.span_class = class,
		.npages = npages,
	};

	if (ioctl(fd, HSPAN_IOC_SPAN_GET, &args))
		return -1;
	return args.nr;
}

/* Exactly @nr spans, in as many calls as it takes. */
void abi_get_all(int fd, unsigned int class, unsigned int npages,
		 struct hspan_span *spans, unsigned int nr)
{
	unsigned int got = 0;
	int ret;

	while (got < nr) {
		ret = abi_get(fd, class, npages, spans + got,
			      nr - got < HSPAN_BATCH_MAX ? nr - got :
							   HSPAN_BATCH_MAX);
		assert_true(ret > 0);
		got += ret;
	}
}

int abi_put(int fd, const struct hspan_span *span, unsigned int nfree)
{
	struct hspan_put put = {
		.page = span->page,
		.nfree = nfree,
		.sweepgen = abi_stats(fd).sweepgen,
	};
	struct hspan_span_put args = { .puts = (uintptr_t)&put, .nr = 1 };

	return ioctl(fd, HSPAN_IOC_SPAN_PUT, &args);
}

/* Put @spans as they were got. */
int abi_put_all(int fd, const struct hspan_span *spans, unsigned int nr)
{
	struct hspan_put puts[HSPAN_BATCH_MAX];
	struct hspan_span_put args = { .puts = (uintptr_t)puts, .nr = nr };
	unsigned int i;

	for (i = 0; i < nr; i++) {
		puts[i] = (struct hspan_put){
			.page = spans[i].page,
			.nfree = spans[i].nfree,
			.sweepgen = spans[i].sweepgen,
		};
	}
	return ioctl(fd, HSPAN_IOC_SPAN_PUT, &args);
}

int abi_sweep(int fd, struct hspan_span *spans, unsigned int nr)
{
	struct hspan_sweep_next args = { .spans = (uintptr_t)spans, .nr = nr };

	if (ioctl(fd, HSPAN_IOC_SWEEP_NEXT, &args))
		return -1;
	return args.nr;
}

int abi_cycle(int fd)
{
	struct hspan_cycle args = {};

	if (ioctl(fd, HSPAN_IOC_CYCLE, &args))
		return -1;
	return args.sweepgen;
}

unsigned int abi_slots(unsigned int class)
{
	return class < 2 ? 1 : hspan_class_nelems[class / 2];
}

static unsigned long sweep_all_away(int fd)
{
	struct hspan_span spans[64];
	unsigned long nr = 0;
	int got, i;

	while ((got = abi_sweep(fd, spans, 64)) > 0) {
		for (i = 0; i < got; i++)
			assert_int_equal(abi_put(fd, &spans[i],
					abi_slots(spans[i].span_class)), 0);
		nr += got;
	}
	assert_int_equal(got, 0);
	return nr;
}

/* End all spans that nobody holds; returns how many that were. */
unsigned long abi_sweep_away(int fd)
{
	unsigned long nr = sweep_all_away(fd);

	assert_true(abi_cycle(fd) > 0);
	return nr + sweep_all_away(fd);
}

unsigned long abi_release(int fd)
{
	struct hspan_release args = { .max = ~0ULL };

	assert_int_equal(ioctl(fd, HSPAN_IOC_RELEASE, &args), 0);
	return args.released;
}

struct hspan_arena_stats abi_stats(int fd)
{
	struct hspan_arena_stats st;

	assert_int_equal(ioctl(fd, HSPAN_IOC_STATS, &st), 0);
	return st;
}

void *abi_map(int fd, unsigned long long off, size_t size, int prot)
{
	void *p = mmap(NULL, size, prot, MAP_SHARED, fd, off);

	assert_ptr_not_equal(p, MAP_FAILED);
	return p;
}

void *abi_map_data(int fd, unsigned long blocks)
{
	return abi_map(fd, HSPAN_OFF_DATA, blocks * HSPAN_BLOCK_SIZE,
		       PROT_READ | PROT_WRITE);
}

long abi_sysfs(const char *name)
{
	char path[256];
	long value;
	FILE *f;

	snprintf(path, sizeof(path), SYSFS "%s", name);
	f = fopen(path, "r");
	assert_non_null(f);
	assert_int_equal(fscanf(f, "%ld", &value), 1);
	fclose(f);
	return value;
}

/* Stray blocks are looked after once a second: wait until all are gone. */
void abi_settle(void)
{
	int i;

	for (i = 0; i < 1000 && abi_sysfs("pool/strays"); i++)
		usleep(20000);
	assert_int_equal(abi_sysfs("pool/strays"), 0);
}

int abi_baseline(void **state)
{
	(void)state;
	abi_settle();
	assert_int_equal(abi_sysfs("nr_arenas"), 0);
	assert_int_equal(abi_sysfs("blocks_in_use"), 0);
	assert_int_equal(abi_sysfs("users"), 0);
	assert_int_equal(abi_sysfs("charged"), 0);
	return 0;
}

/* 0 or -1 with errno. */
/* 0, or -1 and errno. */
int abi_write(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY), err;
	ssize_t done;

	if (fd < 0)
		return -1;
	done = write(fd, text, strlen(text));
	err = errno;
	close(fd);
	errno = err;
	return done < 0 ? -1 : 0;
}

int abi_set_sysfs(const char *name, const char *value)
{
	char path[256];

	snprintf(path, sizeof(path), SYSFS "%s", name);
	return abi_write(path, value);
}

/* A number from our fdinfo, whose lines begin with "hugespan-". */
long abi_fdinfo(int fd, const char *field)
{
	char path[64], line[256], want[64];
	long value = -1;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	snprintf(want, sizeof(want), "hugespan-%s:", field);
	f = fopen(path, "r");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		if (!strncmp(line, want, strlen(want)))
			value = strtol(line + strlen(want), NULL, 0);
	fclose(f);
	return value;
}

/* Be the user and the group @id from now on, with no capability. */
void abi_become(unsigned int id)
{
	CHECK(!setgroups(0, NULL) && !setresgid(id, id, id) &&
	      !setresuid(id, id, id));
	/* Else our own files in /proc are root's. */
	CHECK(!prctl(PR_SET_DUMPABLE, 1));
}

/*
 * Run @fn as user @id in a process of its own, with the device, which users
 * may not open by themselves.
 */
pid_t abi_start_as(unsigned int id, void (*fn)(int dev, void *arg), void *arg)
{
	int dev = abi_device();
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (!pid) {
		/* An assertion must not go on with the next test. */
		setenv("CMOCKA_TEST_ABORT", "1", 1);
		abi_become(id);
		fn(dev, arg);
		_exit(0);
	}
	close(dev);
	return pid;
}

/* Wait for it; its exit code, or 256 + the signal that ended it. */
int abi_end(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 256 + WTERMSIG(status);
}

static sigjmp_buf on_fault;
static volatile sig_atomic_t fault_signal;

static void catch_fault(int sig)
{
	fault_signal = sig;
	siglongjmp(on_fault, 1);
}

/* The signal that reading or writing @p raises, or 0. */
int abi_touch(volatile char *p, int write)
{
	struct sigaction act = { .sa_handler = catch_fault };
	struct sigaction old_bus, old_segv;

	sigaction(SIGBUS, &act, &old_bus);
	sigaction(SIGSEGV, &act, &old_segv);
	fault_signal = 0;
	if (!sigsetjmp(on_fault, 1)) {
		if (write)
			*p = 1;
		else
			(void)*p;
	}
	sigaction(SIGBUS, &old_bus, NULL);
	sigaction(SIGSEGV, &old_segv, NULL);
	return fault_signal;
}

/* A field of the mapping that starts at @addr, in kB; -1 if there is none. */
long abi_smaps(const void *addr, const char *field)
{
	size_t len = strlen(field);
	unsigned long start, end;
	long value = -1;
	char line[512];
	int here = 0;
	FILE *f;

	f = fopen("/proc/self/smaps", "r");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
			here = start == (uintptr_t)addr;
		else if (here && !strncmp(line, field, len) &&
			 line[len] == ':')
			value = strtol(line + len + 1, NULL, 10);
	}
	fclose(f);
	return value;
}

/* Pass a file over a UNIX socket. */
void abi_send_fd(int sock, int fd)
{
	char control[CMSG_SPACE(sizeof(int))] = {}, byte = 0;
	struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof(control),
	};
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(int));
	assert_int_equal(sendmsg(sock, &msg, 0), 1);
}

/* -1 when none came */
int abi_receive_fd(int sock)
{
	char control[CMSG_SPACE(sizeof(int))], byte;
	struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof(control),
	};
	int fd;

	if (recvmsg(sock, &msg, 0) != 1)
		return -1;
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(int));
	return fd;
}
