// SPDX-License-Identifier: GPL-2.0-only
/*
 * Operations that hold on to an arena's pages or to its file in ways that
 * outlive the mapping and the descriptor.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "fuzz.h"

#ifndef MSG_ZEROCOPY
#define MSG_ZEROCOPY	0x4000000
#endif
#ifndef SO_ZEROCOPY
#define SO_ZEROCOPY	60
#endif

/* Keep @fd for a while, in the place of another. */
static bool keep(struct worker *w, int fd)
{
	int i = fuzz_below(w, NR_KEPT);

	if (fd < 0)
		return false;
	if (w->kept[i] >= 0)
		close(w->kept[i]);
	w->kept[i] = fd;
	return true;
}

/* Pages pinned for as long as the ring exists. */
static bool ring(struct worker *w)
{
	struct io_uring_params params = {};
	struct iovec iov[2];
	int fd = syscall(SYS_io_uring_setup, 4, &params), i, ret;

	if (fd < 0)
		return false;
	for (i = 0; i < 2; i++)
		iov[i] = (struct iovec){ fuzz_addr(w), 1 + fuzz_below(w, 99999) };
	fuzz_arm(w);
	ret = syscall(SYS_io_uring_register, fd, IORING_REGISTER_BUFFERS, iov,
		      1 + fuzz_below(w, 2));
	fuzz_disarm(w);
	if (ret < 0) {
		close(fd);
		return false;
	}
	return keep(w, fd);
}

/* The network has the page until the message is read, which is never. */
static bool datagram(struct worker *w)
{
	struct sockaddr_in to = { .sin_family = AF_INET };
	socklen_t len = sizeof(to);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), one = 1;
	ssize_t done;

	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 || bind(fd, (struct sockaddr *)&to, sizeof(to)) ||
	    getsockname(fd, (struct sockaddr *)&to, &len)) {
		close(fd);
		return false;
	}
	setsockopt(fd, SOL_SOCKET, SO_ZEROCOPY, &one, sizeof(one));
	fuzz_arm(w);
	done = sendto(fd, fuzz_addr(w), 1 + fuzz_below(w, 30000),
		      MSG_ZEROCOPY | MSG_DONTWAIT, (struct sockaddr *)&to, len);
	fuzz_disarm(w);
	keep(w, fd);
	return done > 0;
}

bool op_hold(struct worker *w)
{
	char link[64];
	int fd;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", w->fds[fuzz_slot(w)]);
	switch (fuzz_below(w, 8)) {
	case 0:
	case 1:
	case 2:
		return ring(w);
	case 3:
	case 4:
		return datagram(w);
	case 5:
		/* The inode stays for the watch's sake. */
		fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
		if (fd < 0)
			return false;
		inotify_add_watch(fd, link, IN_ALL_EVENTS);
		return keep(w, fd);
	case 6:
		/* And here the mount. */
		return keep(w, open(link, O_PATH | O_CLOEXEC));
	default:
		fd = w->kept[fuzz_below(w, NR_KEPT)];
		return fd >= 0 && dup2(w->pipes[0][0], fd) >= 0;
	}
}
