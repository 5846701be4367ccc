// SPDX-License-Identifier: GPL-2.0-only
/*
 * Operations on the device and on arenas by ioctl, with good arguments as a
 * rule, and with every kind of bad ones.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "fuzz.h"

#define CMD_NR_MAX	0x20	/* numbers that exist, or will */

/* One call; its argument lies now and then where copying it may fault. */
static int call(struct worker *w, int fd, unsigned long cmd, void *arg)
{
	size_t size = _IOC_SIZE(cmd);
	void *where = arg;
	int ret, err;

	if (fuzz_chance(w, 16)) {
		where = fuzz_addr(w);
		if (!fuzz_copy(where, arg, size) && fuzz_chance(w, 2))
			where = arg;
	}
	fuzz_arm(w);
	ret = ioctl(fd, cmd, where);
	fuzz_disarm(w);
	err = errno;
	if (where != arg && !fuzz_copy(arg, where, size))
		ret = -1;
	errno = err;
	return ret;
}

/* Where a call writes its list: where it should, or somewhere in the window. */
static uint64_t list_at(struct worker *w, void *good)
{
	static const uint64_t bad[] = {
		0, 1, 8, 0x7ffffffff000, 0x7fffffffeff8, 1UL << 47, 1UL << 63,
		0xffff888000000000, 0xffffffffff600000, UINT64_MAX,
	};

	if (!fuzz_chance(w, 10))
		return (uintptr_t)good;
	if (fuzz_chance(w, 4))
		return bad[fuzz_below(w, ARRAY_SIZE(bad))];
	return (uintptr_t)fuzz_addr(w);
}

static uint32_t batch(struct worker *w)
{
	if (fuzz_chance(w, 24))
		return fuzz_number(w);
	return fuzz_chance(w, 3) ? 1 + fuzz_below(w, 64) : 1 + fuzz_below(w, 8);
}

/* Remember spans; they replace older ones, which their client goes on holding. */
static void keep_spans(struct worker *w, int fd, const struct hspan_span *spans,
		       uint32_t nr)
{
	uint32_t i, at;

	for (i = 0; i < nr && i < HSPAN_BATCH_MAX; i++) {
		at = w->nr_spans < NR_SPANS ? w->nr_spans++ :
					      fuzz_below(w, NR_SPANS);
		w->spans[at] = (struct fuzz_span){ fd, 1, spans[i] };
		if (spans[i].span_class >= 2)
			w->spans[at].most = spans[i].nfree;
	}
}

/* One of a few, so that others look for it and make it, too; or no name. */
static void name_it(struct worker *w, char *name)
{
	unsigned int i, len;

	snprintf(name, HSPAN_NAME_SIZE, "fuzz-%u", (unsigned int)fuzz_below(w, 6));
	if (!fuzz_chance(w, 20))
		return;
	len = fuzz_below(w, HSPAN_NAME_SIZE + 1);
	for (i = 0; i < len; i++)
		name[i] = fuzz_chance(w, 2) ? 'a' : fuzz_rand(w);
}

bool op_create(struct worker *w)
{
	struct hspan_arena_create args = {
		.size = (1 + fuzz_below(w, 8)) * BLOCK,
		.fd_flags = O_CLOEXEC,
	};

	if (fuzz_chance(w, 4))
		args.limit = 1 + fuzz_below(w, 8);
	if (fuzz_chance(w, 16)) {
		args.size = BLOCK << fuzz_below(w, 17);
		args.limit = 8;
	}
	if (fuzz_chance(w, 4))
		args.flags = HSPAN_ARENA_DONTFORK;
	if (fuzz_chance(w, 2))
		args.flags |= HSPAN_ARENA_SNAPSHOT;
	if (fuzz_chance(w, 3)) {
		name_it(w, args.name);
		args.mode = fuzz_chance(w, 2) ? 0666 : fuzz_below(w, 0777);
	}
	switch (fuzz_below(w, 30)) {
	case 0:
		args.size = fuzz_number(w);
		args.limit = 8;
		break;
	case 5:
		args.mode = fuzz_number(w);
		break;
	case 6:
		args.reserved = fuzz_number(w);
		break;
	case 1:
		args.base = fuzz_number(w);
		break;
	case 2:
		args.base = (uintptr_t)WINDOW;
		break;
	case 3:
		args.flags = 1U << fuzz_below(w, 32);
		break;
	case 4:
		args.fd_flags = fuzz_number(w);
		break;
	}
	return fuzz_add_fd(w, call(w, w->dev, HSPAN_IOC_ARENA_CREATE, &args),
			   args.size / BLOCK) >= 0;
}

bool op_open(struct worker *w)
{
	struct hspan_arena_open args = { .fd_flags = O_CLOEXEC };
	int i = fuzz_slot(w);

	if (fuzz_chance(w, 16))
		args.flags = fuzz_number(w);
	if (fuzz_chance(w, 16))
		args.fd_flags = fuzz_number(w);
	return fuzz_add_fd(w, call(w, w->fds[i], HSPAN_IOC_ARENA_OPEN, &args),
			   w->blocks[i]) >= 0;
}

/* By its name; how large it is, it tells itself. */
bool op_find(struct worker *w)
{
	struct hspan_arena_find args = { .fd_flags = O_CLOEXEC };
	struct hspan_arena_info info;
	int fd;

	name_it(w, args.name);
	if (fuzz_chance(w, 16))
		args.flags = fuzz_number(w);
	if (fuzz_chance(w, 16))
		args.fd_flags = fuzz_number(w);
	fd = call(w, w->dev, HSPAN_IOC_ARENA_FIND, &args);
	if (fd < 0)
		return false;
	info.size = 8 * BLOCK;
	ioctl(fd, HSPAN_IOC_ARENA_INFO, &info);
	return fuzz_add_fd(w, fd, info.size / BLOCK) >= 0;
}

static void choose_class(struct worker *w, struct hspan_span_get *args)
{
	if (fuzz_chance(w, 3)) {
		args->span_class = fuzz_below(w, 2);
		args->npages = 1 + fuzz_below(w, fuzz_chance(w, 4) ?
					      4 * HSPAN_BLOCK_PAGES : 64);
	} else {
		args->span_class = fuzz_chance(w, 2) ? 8 + fuzz_below(w, 4) :
						       fuzz_below(w, 140);
	}
	if (fuzz_chance(w, 30))
		args->npages = fuzz_number(w);
	if (fuzz_chance(w, 30))
		args->span_class = fuzz_number(w);
}

bool op_get(struct worker *w)
{
	struct hspan_span *spans = LIST(0);
	struct hspan_span_get args = {
		.spans = list_at(w, spans),
		.nr = batch(w),
		.flags = fuzz_chance(w, 8) ? HSPAN_GET_FRESH : 0,
	};
	int fd = fuzz_fd(w);

	choose_class(w, &args);
	if (fuzz_chance(w, 40))
		args.flags = fuzz_number(w);
	if (call(w, fd, HSPAN_IOC_SPAN_GET, &args))
		return false;
	if (args.spans != (uintptr_t)spans &&
	    !fuzz_copy(spans, (void *)args.spans, sizeof(spans[0])))
		return true;
	keep_spans(w, fd, spans,
		   args.spans == (uintptr_t)spans ? args.nr : 1);
	return true;
}

static struct hspan_put make_put(struct worker *w, const struct fuzz_span *span)
{
	struct hspan_put put = {
		.page = span->s.page,
		.nfree = span->s.nfree,
		.sweepgen = span->s.sweepgen,
	};

	if (fuzz_chance(w, 3))
		put.nfree = span->most;
	else if (fuzz_chance(w, 3))
		put.nfree = span->s.nfree / 2;
	if (fuzz_chance(w, 5))
		put.sweepgen++;
	if (fuzz_chance(w, 30))
		put.nfree = fuzz_number(w);
	if (fuzz_chance(w, 30))
		put.sweepgen = fuzz_number(w);
	if (fuzz_chance(w, 20))
		put.page = fuzz_below(w, 8 * HSPAN_BLOCK_PAGES);
	if (fuzz_chance(w, 60))
		put.page = fuzz_number(w);
	return put;
}

static void forget_span(struct worker *w, uint32_t i)
{
	w->spans[i] = w->spans[--w->nr_spans];
}

/* Some spans from @first on, the same one twice now and then. */
static bool put_from(struct worker *w, uint32_t first, uint32_t nr)
{
	struct hspan_put *puts = LIST(1);
	struct hspan_span_put args = { .puts = list_at(w, puts), .nr = nr };
	int fd = w->spans[first].fd;
	uint32_t i;

	for (i = 0; i < nr; i++)
		puts[i] = make_put(w, &w->spans[(first + i) % w->nr_spans]);
	if (nr > 1 && fuzz_chance(w, 20))
		puts[1] = puts[0];
	if (fuzz_chance(w, 40))
		args.nr = fuzz_number(w);
	if (fuzz_chance(w, 40))
		args.flags = fuzz_number(w);
	if (fuzz_chance(w, 20))
		fd = fuzz_fd(w);
	call(w, fd, HSPAN_IOC_SPAN_PUT, &args);
	for (i = nr; i-- > 0;)
		if (first + i < w->nr_spans &&
		    (!puts[i].error || fuzz_chance(w, 2)))
			forget_span(w, first + i);
	return args.nr;
}

bool op_put(struct worker *w)
{
	uint32_t first, nr;

	if (!w->nr_spans)
		return false;
	first = fuzz_below(w, w->nr_spans);
	nr = fuzz_chance(w, 3) ? 1 + fuzz_below(w, 60) : 1 + fuzz_below(w, 8);
	if (nr > w->nr_spans)
		nr = w->nr_spans;
	return put_from(w, first, nr);
}

bool op_sweep(struct worker *w)
{
	struct hspan_span *spans = LIST(2);
	struct hspan_sweep_next args = {
		.spans = list_at(w, spans),
		.nr = batch(w),
		.flags = fuzz_chance(w, 40) ? fuzz_number(w) : 0,
	};
	int fd = fuzz_fd(w);

	if (call(w, fd, HSPAN_IOC_SWEEP_NEXT, &args))
		return false;
	if (args.spans == (uintptr_t)spans)
		keep_spans(w, fd, spans, args.nr);
	return args.nr;
}

static bool start_cycle(struct worker *w, int fd)
{
	struct hspan_cycle args = {
		.flags = fuzz_chance(w, 40) ? fuzz_number(w) : 0,
	};

	return !call(w, fd, HSPAN_IOC_CYCLE, &args);
}

/* Put back @span as swept in the current cycle, with nothing or a slot free. */
static void put_swept(struct worker *w, int fd, const struct hspan_span *span)
{
	struct hspan_put *put = LIST(4);
	struct hspan_span_put args = { .puts = (uintptr_t)put, .nr = 1 };

	*put = (struct hspan_put){
		.page = span->page,
		.nfree = fuzz_chance(w, 2) ? span->nfree : fuzz_below(w, 2),
		.sweepgen = span->sweepgen + 1,
	};
	call(w, fd, HSPAN_IOC_SPAN_PUT, &args);
}

/* All that a collector does, so that cycles do come about. */
bool op_collect(struct worker *w)
{
	struct hspan_span *spans = LIST(3);
	struct hspan_sweep_next args = { .spans = (uintptr_t)spans };
	int fd = w->fds[fuzz_slot(w)], rounds;
	uint32_t i;

	start_cycle(w, fd);
	for (rounds = 0; rounds < 50; rounds++) {
		args.nr = 32;
		if (call(w, fd, HSPAN_IOC_SWEEP_NEXT, &args) || !args.nr)
			break;
		for (i = 0; i < args.nr && i < HSPAN_BATCH_MAX; i++)
			put_swept(w, fd, &spans[i]);
	}
	return rounds;
}

bool op_cycle(struct worker *w)
{
	return start_cycle(w, fuzz_fd(w));
}

bool op_release(struct worker *w)
{
	struct hspan_release args = {
		.max = fuzz_chance(w, 2) ? UINT64_MAX : fuzz_number(w),
	};

	if (fuzz_chance(w, 40))
		args.flags = fuzz_number(w);
	if (fuzz_chance(w, 40))
		args.reserved = fuzz_number(w);
	return !call(w, fuzz_fd(w), HSPAN_IOC_RELEASE, &args) && args.released;
}

bool op_limit(struct worker *w)
{
	struct hspan_limit args = { .limit = fuzz_below(w, 9) };

	if (fuzz_chance(w, 20))
		args.flags = fuzz_number(w);
	if (fuzz_chance(w, 20))
		args.reserved = fuzz_number(w);
	return !call(w, fuzz_fd(w), HSPAN_IOC_LIMIT, &args);
}

/* It takes the place of a file, to be mapped, passed on and asked like those. */
bool op_snapshot(struct worker *w)
{
	struct hspan_snapshot_take args = {
		.budget = fuzz_chance(w, 2) ? 0 : fuzz_below(w, 4),
		.fd_flags = O_CLOEXEC,
	};
	int i = fuzz_slot(w);

	if (fuzz_chance(w, 16))
		args.budget = fuzz_number(w);
	if (fuzz_chance(w, 30))
		args.flags = fuzz_number(w);
	if (fuzz_chance(w, 30))
		args.fd_flags = fuzz_number(w);
	return fuzz_add_fd(w, call(w, w->fds[i], HSPAN_IOC_SNAPSHOT, &args),
			   w->blocks[i]) >= 0;
}

bool op_image(struct worker *w)
{
	uint64_t *map = LIST(4);
	struct hspan_snapshot_info info = {
		.map = fuzz_chance(w, 3) ? 0 : list_at(w, map),
		.map_size = fuzz_chance(w, 16) ? fuzz_number(w) :
						 8 * fuzz_below(w, 16),
	};

	return !call(w, fuzz_fd(w), HSPAN_IOC_SNAPSHOT_INFO, &info);
}

bool op_ask(struct worker *w)
{
	struct hspan_device_info device;
	struct hspan_arena_stats stats;
	struct hspan_arena_info info;
	int fd = fuzz_fd(w);

	switch (fuzz_below(w, 3)) {
	case 0:
		return !call(w, fuzz_chance(w, 2) ? fd : w->dev,
			     HSPAN_IOC_DEVICE_INFO, &device);
	case 1:
		return !call(w, fd, HSPAN_IOC_ARENA_INFO, &info);
	default:
		return !call(w, fd, HSPAN_IOC_STATS, &stats);
	}
}

/*
 * Any number, direction and size.  Numbers in the struct may be taken for
 * addresses to write to, so they are small, or in the window, or nowhere.
 */
bool op_wild(struct worker *w)
{
	static const unsigned long known[] = {
		HSPAN_IOC_DEVICE_INFO, HSPAN_IOC_ARENA_CREATE,
		HSPAN_IOC_ARENA_INFO, HSPAN_IOC_ARENA_OPEN, HSPAN_IOC_SPAN_GET,
		HSPAN_IOC_SPAN_PUT, HSPAN_IOC_SWEEP_NEXT, HSPAN_IOC_CYCLE,
		HSPAN_IOC_RELEASE, HSPAN_IOC_LIMIT, HSPAN_IOC_STATS,
		HSPAN_IOC_ARENA_FIND, HSPAN_IOC_SNAPSHOT,
		HSPAN_IOC_SNAPSHOT_INFO,
	};
	unsigned long cmd = known[fuzz_below(w, ARRAY_SIZE(known))];
	unsigned int i, size = 8 * fuzz_below(w, 16);
	static uint64_t arg[2048];

	if (fuzz_chance(w, 3))
		size = _IOC_SIZE(cmd) + 8 * fuzz_below(w, 3);
	else if (fuzz_chance(w, 8))
		size = fuzz_below(w, 1 << _IOC_SIZEBITS);
	for (i = 0; i < ARRAY_SIZE(arg) && i <= size / 8; i++) {
		arg[i] = fuzz_chance(w, 2) ? 0 : fuzz_below(w, 300);
		if (fuzz_chance(w, 8))
			arg[i] = (uintptr_t)fuzz_addr(w);
		if (fuzz_chance(w, 16))
			arg[i] = UINT64_MAX << fuzz_below(w, 64);
		if (fuzz_chance(w, 16))
			arg[i] = (1 + fuzz_below(w, 8)) * BLOCK;
	}
	if (fuzz_chance(w, 3))
		cmd = _IOC(fuzz_below(w, 4), HSPAN_IOC_MAGIC,
			   fuzz_below(w, CMD_NR_MAX), 0);
	cmd = _IOC(_IOC_DIR(cmd), HSPAN_IOC_MAGIC, _IOC_NR(cmd), size);
	if (fuzz_chance(w, 16))
		cmd = fuzz_rand(w);
	fuzz_arm(w);
	i = ioctl(fuzz_chance(w, 4) ? w->dev : fuzz_fd(w), cmd,
		  fuzz_chance(w, 16) ? (void *)fuzz_addr(w) : arg);
	fuzz_disarm(w);
	/* It may have made a file, which nobody knows of. */
	if (i > 2 && i < 1024 && fuzz_add_fd(w, i, 8) < 0)
		return false;
	return !i;
}
