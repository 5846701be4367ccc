// SPDX-License-Identifier: MIT
/* Worker threads, each with its own epoll; the first one accepts for all. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "server.h"

#define EVENTS_MAX	128
#define TICK_MS		100

struct worker {
	pthread_t thread;
	int id, epoll, wake;
	int64_t tick_at;
	pthread_mutex_t lock;
	struct conn *conns;		/* under the lock, for net_run() */
};

static struct worker *workers;
static int listen_fd[2] = { -1, -1 };	/* TCP, unix */

/* Listening ------------------------------------------------------------------- */

static int listen_on(int fd, const struct sockaddr *addr, socklen_t len)
{
	int one = 1;

	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, addr, len) || listen(fd, 511)) {
		close(fd);
		return -1;
	}
	return fd;
}

static int listen_tcp(const struct options *opt)
{
	struct sockaddr_in addr = {
		.sin_family = AF_INET, .sin_port = htons(opt->port),
	};

	if (inet_pton(AF_INET, opt->bind, &addr.sin_addr) != 1) {
		errno = EINVAL;
		return -1;
	}
	return listen_on(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK |
				SOCK_CLOEXEC, 0),
			 (struct sockaddr *)&addr, sizeof(addr));
}

static int listen_unix(const struct options *opt)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	if (strlen(opt->unix_path) >= sizeof(addr.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(addr.sun_path, opt->unix_path, strlen(opt->unix_path) + 1);
	unlink(opt->unix_path);
	return listen_on(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK |
				SOCK_CLOEXEC, 0),
			 (struct sockaddr *)&addr, sizeof(addr));
}

int net_listen(const struct options *opt)
{
	if (opt->port) {
		listen_fd[0] = listen_tcp(opt);
		if (listen_fd[0] < 0)
			return -errno;
	}
	if (opt->unix_path) {
		listen_fd[1] = listen_unix(opt);
		if (listen_fd[1] < 0)
			return -errno;
	}
	return 0;
}

/* Connections ------------------------------------------------------------------ */

static void conn_link(struct worker *w, struct conn *c)
{
	pthread_mutex_lock(&w->lock);
	c->worker = w;
	c->next = w->conns;
	if (c->next)
		c->next->prev = c;
	w->conns = c;
	pthread_mutex_unlock(&w->lock);
	atomic_fetch_add(&server.clients, 1);
}

static void conn_close(struct conn *c)
{
	struct worker *w = c->worker;

	pthread_mutex_lock(&w->lock);
	if (c->prev)
		c->prev->next = c->next;
	else
		w->conns = c->next;
	if (c->next)
		c->next->prev = c->prev;
	pthread_mutex_unlock(&w->lock);
	atomic_fetch_sub(&server.clients, 1);
	conn_free(c);
}

static void watch(struct conn *c, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.ptr = c };

	if (events == c->events)
		return;
	c->events = events;
	epoll_ctl(c->worker->epoll, EPOLL_CTL_MOD, c->fd, &ev);
}

/* runs commands and sends replies until one of both has to wait */
static bool conn_work(struct conn *c)
{
	bool stopped;

	do {
		stopped = conn_run(c);
		if (c->broken || !conn_flush(c))
			return false;
	} while (stopped && !c->out.len);
	return true;
}

/* a client that does not read its replies is not read from */
static void conn_event(struct conn *c, uint32_t events)
{
	bool pending;

	if (events & (EPOLLERR | EPOLLHUP) && !(events & EPOLLIN))
		goto gone;
	if (events & EPOLLOUT && !conn_flush(c))
		goto gone;
	if (events & EPOLLIN && !c->eof && !conn_fill(c))
		goto gone;
	if (!conn_work(c))
		goto gone;
	pending = c->out.len;
	if (!pending && (c->eof || c->close_after))
		goto gone;
	watch(c, pending ? EPOLLOUT : EPOLLIN);
	return;
gone:
	conn_close(c);
}

/* Accepting ---------------------------------------------------------------------- */

static void refuse(int fd)
{
	static const char text[] = "-ERR max number of clients reached\r\n";

	if (write(fd, text, sizeof(text) - 1) < 0)
		errno = 0;
	close(fd);
	count_add(rejected, 1);
}

/* round and round over the workers */
static void adopt(int fd)
{
	static unsigned int turn;
	struct worker *w = &workers[turn++ % server.opt.threads];
	struct epoll_event ev = { .events = EPOLLIN };
	struct conn *c = conn_new(fd);

	if (!c) {
		close(fd);
		return;
	}
	ev.data.ptr = c;
	c->events = ev.events;
	conn_link(w, c);
	count_add(connections, 1);
	if (epoll_ctl(w->epoll, EPOLL_CTL_ADD, fd, &ev))
		conn_close(c);
}

static void accept_all(int listener)
{
	int fd, one = 1;

	for (;;) {
		fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd < 0 && errno == EINTR)
			continue;
		if (fd < 0)
			return;
		if (atomic_load(&server.clients) >= server.clients_max) {
			refuse(fd);
			continue;
		}
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		adopt(fd);
	}
}

/* Workers ------------------------------------------------------------------------- */

static void worker_event(struct worker *w, struct epoll_event *ev)
{
	if (ev->data.ptr == &listen_fd[0] || ev->data.ptr == &listen_fd[1])
		accept_all(*(int *)ev->data.ptr);
	else if (ev->data.ptr != &w->wake)
		conn_event(ev->data.ptr, ev->events);
}

/* each worker looks after its share of the shards */
static void worker_tick(struct worker *w)
{
	int64_t now = now_ms();
	int i;

	if (now < w->tick_at)
		return;
	w->tick_at = now + TICK_MS;
	for (i = w->id; i < SHARDS; i += server.opt.threads)
		shard_tick(i);
}

/* parked while it waits, so that the collector need not wake it */
static void worker_loop(struct worker *w)
{
	struct epoll_event ev[EVENTS_MAX];
	int n, i;

	while (!atomic_load(&server.stop)) {
		hspan_thread_park();
		n = epoll_wait(w->epoll, ev, EVENTS_MAX, TICK_MS);
		hspan_thread_unpark();
		for (i = 0; i < n; i++)
			worker_event(w, &ev[i]);
		worker_tick(w);
	}
}

static void *worker_main(void *arg)
{
	int err = hspan_thread_register();

	if (err) {
		fprintf(stderr, "hspan-cached: no part in the heap: %s\n",
			strerror(-err));
		net_stop();
		return NULL;
	}
	worker_loop(arg);
	hspan_thread_unregister();
	return NULL;
}

static int worker_watch(struct worker *w, int fd, void *tag)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = tag };

	return fd < 0 ? 0 : epoll_ctl(w->epoll, EPOLL_CTL_ADD, fd, &ev);
}

static int worker_init(struct worker *w, int id)
{
	w->id = id;
	pthread_mutex_init(&w->lock, NULL);
	w->epoll = epoll_create1(EPOLL_CLOEXEC);
	w->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (w->epoll < 0 || w->wake < 0 || worker_watch(w, w->wake, &w->wake))
		return -errno;
	return 0;
}

static void worker_done(struct worker *w)
{
	while (w->conns)
		conn_close(w->conns);
	close(w->epoll);
	close(w->wake);
}

int net_init(void)
{
	int i, err;

	workers = calloc(server.opt.threads, sizeof(*workers));
	if (!workers)
		return -ENOMEM;
	for (i = 0; i < server.opt.threads; i++) {
		err = worker_init(&workers[i], i);
		if (err)
			return err;
	}
	for (i = 0; i < 2; i++)
		if (worker_watch(&workers[0], listen_fd[i], &listen_fd[i]))
			return -errno;
	return 0;
}

/* the calling thread is the first worker; returns after net_stop() */
int net_run(void)
{
	int i, n, err = 0;

	for (n = 1; n < server.opt.threads && !err; n++)
		err = pthread_create(&workers[n].thread, NULL, worker_main,
				     &workers[n]);
	if (err) {
		n--;
		net_stop();
	}
	worker_loop(&workers[0]);
	for (i = 1; i < n; i++)
		pthread_join(workers[i].thread, NULL);
	for (i = 0; i < server.opt.threads; i++)
		worker_done(&workers[i]);
	free(workers);
	if (server.opt.unix_path)
		unlink(server.opt.unix_path);
	return -err;
}

/* may be called from signal handlers */
void net_stop(void)
{
	uint64_t one = 1;
	int i, saved = errno;

	atomic_store(&server.stop, 1);
	for (i = 0; i < server.opt.threads; i++)
		if (write(workers[i].wake, &one, sizeof(one)) < 0)
			errno = saved;
	errno = saved;
}
