// SPDX-License-Identifier: GPL-2.0-only
/*
 * Operations between processes, and on descriptors: fork, kill, passing arenas
 * on, reading each other's memory and /proc, holding pages in pipes.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "fuzz.h"

#define DEPTH_MAX	2

/* A worker, perhaps ourselves; 0 if it is just not there. */
static pid_t somebody(struct worker *w)
{
	return atomic_load(&shared->pids[fuzz_below(w, nr_procs)]);
}

bool op_fork(struct worker *w)
{
	unsigned int wait = fuzz_below(w, 3);
	pid_t pid;

	if (w->depth >= DEPTH_MAX)
		return false;
	if (fuzz_chance(w, 8))
		fuzz_arm_nth(w);
	pid = fork();
	if (!pid)
		worker_child(w);
	fuzz_disarm(w);
	if (pid < 0)
		return false;
	if (!wait)
		kill(pid, SIGKILL);
	if (wait < 2)
		waitpid(pid, NULL, 0);
	return true;
}

bool op_kill(struct worker *w)
{
	pid_t pid = somebody(w);

	if (w->depth || pid <= 0 || pid == getpid() || kill(pid, SIGKILL))
		return false;
	atomic_fetch_add(&shared->killed, 1);
	return true;
}

/* A message with one descriptor and the arena's size. */
struct mail {
	struct msghdr head;
	struct iovec text;
	uint32_t blocks;
	char control[CMSG_SPACE(sizeof(int))];
};

static struct cmsghdr *make_mail(struct mail *mail)
{
	mail->text = (struct iovec){ &mail->blocks, sizeof(mail->blocks) };
	mail->head = (struct msghdr){
		.msg_iov = &mail->text,
		.msg_iovlen = 1,
		.msg_control = mail->control,
		.msg_controllen = sizeof(mail->control),
	};
	return (struct cmsghdr *)mail->control;
}

bool op_pass(struct worker *w)
{
	struct mail mail = {};
	struct cmsghdr *control = make_mail(&mail);
	int i = fuzz_slot(w);
	bool ok;

	mail.blocks = w->blocks[i];
	control->cmsg_level = SOL_SOCKET;
	control->cmsg_type = SCM_RIGHTS;
	control->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(control), &w->fds[i], sizeof(int));
	fuzz_arm(w);
	ok = sendmsg(shared->mail[0], &mail.head, MSG_DONTWAIT) >= 0;
	fuzz_disarm(w);
	return ok;
}

bool op_receive(struct worker *w)
{
	struct mail mail = {};
	struct cmsghdr *control = make_mail(&mail);
	int fd = -1;

	memcpy(CMSG_DATA(control), &fd, sizeof(fd));

	fuzz_arm(w);
	fd = recvmsg(shared->mail[1], &mail.head,
		     MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	fuzz_disarm(w);
	if (fd < 0 || mail.head.msg_controllen < CMSG_LEN(sizeof(int)))
		return false;
	memcpy(&fd, CMSG_DATA(control), sizeof(fd));
	return fuzz_add_fd(w, fd, mail.blocks) >= 0;
}

bool op_close(struct worker *w)
{
	int i = fuzz_slot(w), fd;

	if (w->fds[i] < 0)
		return false;
	if (fuzz_chance(w, 3)) {
		fd = fcntl(w->fds[i], F_DUPFD_CLOEXEC, 3);
		return fuzz_add_fd(w, fd, w->blocks[i]) >= 0;
	}
	close(w->fds[i]);
	w->fds[i] = -1;
	return true;
}

bool op_poll(struct worker *w)
{
	struct pollfd p = { .fd = fuzz_fd(w), .events = POLLPRI | POLLIN };
	struct epoll_event event = { .events = EPOLLPRI | EPOLLET };
	int ep, ms = fuzz_below(w, 20);
	bool ok;

	if (fuzz_chance(w, 2))
		return poll(&p, 1, ms) >= 0;
	ep = epoll_create1(EPOLL_CLOEXEC);
	if (ep < 0)
		return false;
	fuzz_arm(w);
	ok = !epoll_ctl(ep, EPOLL_CTL_ADD, p.fd, &event);
	fuzz_disarm(w);
	ok = ok && epoll_wait(ep, &event, 1, ms) >= 0;
	close(ep);
	return ok;
}

bool op_vm_copy(struct worker *w)
{
	char text[64] = "fuzz";
	struct iovec here = { text, sizeof(text) };
	struct iovec there = { fuzz_addr(w), 1 + fuzz_below(w, 64) };
	pid_t pid = fuzz_chance(w, 3) ? getpid() : somebody(w);
	ssize_t done;

	if (pid <= 0)
		return false;
	if (fuzz_chance(w, 3)) {
		here.iov_base = fuzz_addr(w);
		here.iov_len = there.iov_len = 1 + fuzz_below(w, BLOCK);
	}
	fuzz_arm(w);
	if (fuzz_chance(w, 2))
		done = process_vm_readv(pid, &here, 1, &there, 1, 0);
	else
		done = process_vm_writev(pid, &here, 1, &there, 1, 0);
	fuzz_disarm(w);
	return done > 0;
}

/* Fill a pipe with references to pages, pass them on, or empty it. */
bool op_pipe(struct worker *w)
{
	int *from = w->pipes[fuzz_below(w, NR_PIPES)];
	int *to = w->pipes[fuzz_below(w, NR_PIPES)];
	static char sink[65536];
	struct iovec iov = { fuzz_addr(w), 1 + fuzz_below(w, 16 * SYS_PAGE) };
	bool ok;

	fuzz_arm(w);
	switch (fuzz_below(w, 6)) {
	case 0:
	case 1:
		ok = vmsplice(from[1], &iov, 1, SPLICE_F_NONBLOCK |
			      (fuzz_chance(w, 4) ? SPLICE_F_GIFT : 0)) > 0;
		break;
	case 2:
		ok = tee(from[0], to[1], 65536, SPLICE_F_NONBLOCK) > 0;
		break;
	case 3:
		ok = splice(from[0], NULL, to[1], NULL, 65536,
			    SPLICE_F_NONBLOCK | SPLICE_F_MOVE) > 0;
		break;
	case 4:
		ok = write(from[1], iov.iov_base, iov.iov_len) > 0;
		break;
	default:
		ok = read(from[0], fuzz_chance(w, 2) ? sink : fuzz_addr(w),
			  sizeof(sink)) > 0;
	}
	fuzz_disarm(w);
	return ok;
}

bool op_futex(struct worker *w)
{
	struct timespec nap = { .tv_nsec = 1000000 * fuzz_below(w, 10) };
	char *p = fuzz_addr(w);
	uint32_t value = 0;
	bool ok;

	p -= (uintptr_t)p % 4;
	fuzz_copy(&value, p, sizeof(value));
	fuzz_arm(w);
	if (fuzz_chance(w, 2))
		ok = !syscall(SYS_futex, p, FUTEX_WAIT, value, &nap, NULL, 0) ||
		     errno == ETIMEDOUT;
	else
		ok = syscall(SYS_futex, p, FUTEX_WAKE, 10, NULL, NULL, 0) >= 0;
	fuzz_disarm(w);
	return ok;
}

/* Read what /proc says of a process that is busy, or its memory. */
bool op_proc(struct worker *w)
{
	static const char * const names[] = {
		"maps", "smaps", "smaps_rollup", "numa_maps", "statm", "stack",
		"status", "pagemap", "mem", "mem", "fdinfo/%d", "clear_refs",
	};
	static char text[32768];
	char path[64], name[32];
	pid_t pid = somebody(w);
	ssize_t len;
	int fd;

	if (pid <= 0)
		return false;
	snprintf(name, sizeof(name), names[fuzz_below(w, ARRAY_SIZE(names))],
		 w->fds[fuzz_slot(w)]);
	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	fuzz_arm(w);
	if (!strcmp(name, "clear_refs"))
		len = write(fd, fuzz_chance(w, 2) ? "1" : "4", 1);
	else if (!strcmp(name, "mem") && fuzz_chance(w, 2))
		len = pwrite(fd, text, 1 + fuzz_below(w, 9000),
			     (uintptr_t)fuzz_addr(w));
	else if (!strcmp(name, "mem"))
		len = pread(fd, text, sizeof(text), (uintptr_t)fuzz_addr(w));
	else if (!strcmp(name, "pagemap"))
		len = pread(fd, text, sizeof(text),
			    (uintptr_t)fuzz_addr(w) / SYS_PAGE * 8);
	else
		len = read(fd, text, sizeof(text));
	fuzz_disarm(w);
	close(fd);
	return len > 0;
}

/* Calls that an arena's file has no answer to. */
bool op_file(struct worker *w)
{
	int fd = w->fds[fuzz_slot(w)];
	struct flock lock = { .l_type = fuzz_below(w, 3) };
	struct stat st;
	char link[64];

	switch (fuzz_below(w, 12)) {
	case 0:
		return !ftruncate(fd, fuzz_number(w));
	case 1:
		return !fallocate(fd, fuzz_below(w, 16), fuzz_number(w),
				  fuzz_number(w));
	case 2:
		return !fstat(fd, &st);
	case 3:
		return !fchmod(fd, fuzz_below(w, 01000));
	case 4:
		return !fsync(fd);
	case 5:
		return !fcntl(fd, F_SETFL, fuzz_below(w, 1 << 16));
	case 6:
		return lseek(fd, fuzz_number(w), fuzz_below(w, 5)) >= 0;
	case 7:
		return !posix_fadvise(fd, 0, 0, fuzz_below(w, 6));
	case 8:
		return sendfile(w->pipes[0][1], fd, NULL, SYS_PAGE) > 0;
	case 9:
		return copy_file_range(fd, NULL, fd, NULL, SYS_PAGE, 0) > 0;
	case 10:
		return !fcntl(fd, F_SETLK, &lock);
	default:
		snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
		fd = open(link, O_RDWR | O_CLOEXEC);
		if (fd >= 0)
			close(fd);
		return fd >= 0;
	}
}

/* With no descriptor left to be had. */
bool op_few_fds(struct worker *w)
{
	struct rlimit old, few;
	bool ok;

	if (getrlimit(RLIMIT_NOFILE, &old))
		return false;
	few = old;
	few.rlim_cur = fuzz_below(w, 64);
	setrlimit(RLIMIT_NOFILE, &few);
	ok = fuzz_chance(w, 2) ? op_create(w) : op_open(w);
	setrlimit(RLIMIT_NOFILE, &old);
	return ok;
}
