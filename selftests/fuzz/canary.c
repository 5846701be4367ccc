// SPDX-License-Identifier: GPL-2.0-only
/*
 * An arena that is all one process's own, in the midst of all the others: fresh
 * memory in it is zero, and what is written there stays.  A block handed out
 * while somebody can still reach it would show here.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "fuzz.h"

#define BLOCKS		4
#define HELD		12
#define STRIDE		64	/* words; every so many is checked */
#define FD_FIRST	512	/* none of the others' is as high */

/**
 * struct canary - the arena and what is in it
 * @fd: the arena; 0 = there is none now
 * @id: its number
 * @data: its memory
 * @control: its control page
 * @map: its page map
 * @held: spans full of our pattern
 * @nr_held: how many
 * @seed: of the pattern
 */
struct canary {
	int fd;
	uint64_t id;
	uint64_t *data;
	volatile struct hspan_control *control;
	volatile uint32_t *map;
	struct hspan_span held[HELD];
	unsigned int nr_held;
	uint64_t seed;
};

static void *map(int fd, size_t size, int prot, uint64_t off)
{
	void *p = mmap(NULL, size, prot, MAP_SHARED, fd, off);

	return p == MAP_FAILED ? NULL : p;
}

static void end_canary(struct canary *c)
{
	if (c->data)
		munmap(c->data, BLOCKS * BLOCK);
	if (c->control)
		munmap((void *)c->control, SYS_PAGE);
	if (c->map)
		munmap((void *)c->map, SYS_PAGE);
	close(c->fd);
	*c = (struct canary){};
}

static uint64_t arena_id(const struct canary *c)
{
	struct hspan_arena_info info = {};

	ioctl(c->fd, HSPAN_IOC_ARENA_INFO, &info);
	return info.id;
}

static bool make_canary(struct worker *w, struct canary *c)
{
	struct hspan_arena_create args = {
		.size = BLOCKS * BLOCK,
		.fd_flags = O_CLOEXEC,
	};
	int fd = ioctl(w->dev, HSPAN_IOC_ARENA_CREATE, &args);

	if (fd < 0)
		return false;
	/* Others go on using the numbers of descriptors they have closed. */
	c->fd = fcntl(fd, F_DUPFD_CLOEXEC, FD_FIRST);
	close(fd);
	if (c->fd < 0) {
		c->fd = 0;
		return false;
	}
	c->id = arena_id(c);
	c->seed = fuzz_rand(w) | 1;
	c->data = map(c->fd, BLOCKS * BLOCK, PROT_READ | PROT_WRITE,
		      HSPAN_OFF_DATA);
	c->control = map(c->fd, SYS_PAGE, PROT_READ, HSPAN_OFF_CONTROL);
	c->map = map(c->fd, SYS_PAGE, PROT_READ, HSPAN_OFF_PAGE_MAP);
	if (c->data && c->control && c->map)
		return true;
	end_canary(c);
	return false;
}

static uint64_t pattern(const struct canary *c, size_t word)
{
	return (c->seed + word) * 0x9e3779b97f4a7c15 | 1;
}

/* Call @fn for words all over the span, until one is wrong. */
static bool each_word(struct canary *c, const struct hspan_span *s,
		      bool (*fn)(struct canary *c, size_t word))
{
	size_t word = s->page * HSPAN_PAGE_SIZE / 8;
	size_t end = word + s->npages * HSPAN_PAGE_SIZE / 8;

	for (; word < end; word += STRIDE)
		if (!fn(c, word))
			return false;
	return true;
}

static bool fill_word(struct canary *c, size_t word)
{
	uint64_t old, new = pattern(c, word);

	if (!fuzz_copy(&old, &c->data[word], 8) ||
	    !fuzz_copy(&c->data[word], &new, 8)) {
		fuzz_bad("a span that was just got faults");
		return false;
	}
	if (old)
		fuzz_bad("a fresh span is not zero");
	return !old;
}

static bool check_word(struct canary *c, size_t word)
{
	uint64_t now;

	if (!fuzz_copy(&now, &c->data[word], 8)) {
		fuzz_bad("a span that is held faults");
		return false;
	}
	if (now != pattern(c, word))
		fuzz_bad("somebody wrote to a span of ours alone");
	return now == pattern(c, word);
}

static bool get_more(struct worker *w, struct canary *c)
{
	struct hspan_span *s = &c->held[c->nr_held];
	struct hspan_span_get args = {
		.spans = (uintptr_t)s,
		.nr = 1,
		.span_class = fuzz_below(w, 2),
		.npages = 1 + fuzz_below(w, fuzz_chance(w, 3) ?
					 2 * HSPAN_BLOCK_PAGES : 32),
		.flags = HSPAN_GET_FRESH,
	};

	if (c->nr_held == HELD || ioctl(c->fd, HSPAN_IOC_SPAN_GET, &args))
		return false;
	if (!(s->flags & HSPAN_SPAN_FRESH)) {
		/* The pages were ours before: make them so again. */
		struct hspan_put put = { s->page, 1, s->sweepgen, 0 };
		struct hspan_span_put puts = { (uintptr_t)&put, 1, 0 };

		return !ioctl(c->fd, HSPAN_IOC_SPAN_PUT, &puts) &&
		       !ioctl(c->fd, HSPAN_IOC_RELEASE,
			      &(struct hspan_release){ .max = UINT64_MAX });
	}
	c->nr_held++;
	return each_word(c, s, fill_word);
}

static void check_entry(const struct hspan_span *s, uint32_t page,
			uint32_t entry)
{
	uint32_t want = HSPAN_PM_ENTRY(s->page, s->span_class);
	char why[96];

	if (entry == want)
		return;
	snprintf(why, sizeof(why),
		 "page map of page %u, span of %u at %u: %#x instead of %#x",
		 page, s->npages, s->page, entry, want);
	fuzz_bad(why);
}

static bool check_all(struct canary *c)
{
	unsigned int i, j;

	if (c->control->sweepgen != 1)
		fuzz_bad("the control page is wrong");
	if (arena_id(c) != c->id) {
		fuzz_bad("a descriptor is another arena's");
		return false;
	}
	for (i = 0; i < c->nr_held; i++) {
		struct hspan_span *s = &c->held[i];

		if (!each_word(c, s, check_word))
			return false;
		for (j = s->page; j < s->page + s->npages; j++)
			check_entry(s, j, c->map[j]);
	}
	return true;
}

static bool put_one(struct worker *w, struct canary *c)
{
	unsigned int i = fuzz_below(w, c->nr_held);
	struct hspan_put put = { c->held[i].page, 1, c->held[i].sweepgen, 0 };
	struct hspan_span_put args = { (uintptr_t)&put, 1, 0 };
	char why[96];

	if (ioctl(c->fd, HSPAN_IOC_SPAN_PUT, &args)) {
		snprintf(why, sizeof(why), "a held span cannot be put: %s",
			 strerror(errno));
		fuzz_bad(why);
		return false;
	}
	c->held[i] = c->held[--c->nr_held];
	return true;
}

bool op_canary(struct worker *w)
{
	static struct canary canary;

	if (!w->canary) {
		canary = (struct canary){};
		w->canary = &canary;
	}
	if (!canary.fd)
		return make_canary(w, &canary);
	if (!check_all(&canary))
		return false;
	if (fuzz_chance(w, 30)) {
		end_canary(&canary);
		return true;
	}
	if (canary.nr_held && fuzz_chance(w, 3))
		return put_one(w, &canary);
	return get_more(w, &canary);
}

static void must_fail(bool done, const char *why)
{
	if (done)
		fuzz_bad(why);
}

/* Ways to write to what is read-only, and to lose what is there. */
bool op_attack(struct worker *w)
{
	struct canary *c = w->canary;
	char text[64] = "written";
	struct iovec here = { text, sizeof(text) }, there;
	int fd;

	if (!c || !c->fd)
		return false;
	there = here;
	there.iov_base = fuzz_chance(w, 2) ? (void *)c->control : (void *)c->map;
	switch (fuzz_below(w, 7)) {
	case 0:
		must_fail(!mprotect(there.iov_base, SYS_PAGE,
				    PROT_READ | PROT_WRITE), "mprotect");
		break;
	case 1:
		must_fail(process_vm_writev(getpid(), &here, 1, &there, 1, 0) > 0,
			  "process_vm_writev to a read-only region");
		break;
	case 2:
		fd = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
		must_fail(fd >= 0 && pwrite(fd, text, sizeof(text),
					    (uintptr_t)there.iov_base) > 0,
			  "/proc/self/mem writes to a read-only region");
		close(fd);
		break;
	case 3:
		fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
		must_fail(fd >= 0 && read(fd, there.iov_base, 64) > 0,
			  "read() into a read-only region");
		close(fd);
		break;
	case 4:
		must_fail(fuzz_copy(there.iov_base, text, 8),
			  "a read-only region can be written");
		break;
	case 5:
		must_fail(mmap(NULL, SYS_PAGE, PROT_READ | PROT_WRITE,
			       MAP_SHARED, c->fd, HSPAN_OFF_CONTROL) !=
			  MAP_FAILED, "the control page mapped for writing");
		break;
	default:
		madvise(c->data, BLOCKS * BLOCK, fuzz_chance(w, 2) ?
			MADV_DONTNEED : MADV_PAGEOUT);
	}
	return check_all(c);
}
