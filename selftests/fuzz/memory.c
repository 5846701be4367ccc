// SPDX-License-Identifier: GPL-2.0-only
/*
 * Operations on mappings of arenas: making, touching, splitting, moving and
 * advising them.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/mempolicy.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "fuzz.h"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE		25
#endif
#ifndef MADV_DONTNEED_LOCKED
#define MADV_DONTNEED_LOCKED	24
#endif
#ifndef MADV_SOFT_OFFLINE
#define MADV_SOFT_OFFLINE	101
#endif
#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP	4
#endif

static int prot(struct worker *w)
{
	if (fuzz_chance(w, 8))
		return fuzz_below(w, 8);
	return fuzz_chance(w, 3) ? PROT_READ : PROT_READ | PROT_WRITE;
}

/* The length of a region, and where it is, or nearly. */
static uint64_t region(struct worker *w, uint32_t blocks, size_t *len)
{
	uint64_t off = 0;

	switch (fuzz_below(w, 9)) {
	case 0:
		off = HSPAN_OFF_CONTROL;
		*len = SYS_PAGE;
		break;
	case 1:
		off = HSPAN_OFF_PAGE_MAP;
		*len = (blocks * 1024UL + SYS_PAGE - 1) & ~(SYS_PAGE - 1);
		break;
	case 2:
		off = HSPAN_OFF_BITS;
		*len = blocks * 2UL * HSPAN_BLOCK_PAGES * HSPAN_BITS_STRIDE;
		break;
	case 3:
		off = HSPAN_OFF_NOTES;
		*len = (blocks * 1024UL + SYS_PAGE - 1) & ~(SYS_PAGE - 1);
		break;
	default:
		*len = blocks * BLOCK;
		if (blocks > 1 && fuzz_chance(w, 3)) {
			off = fuzz_below(w, blocks) * BLOCK;
			*len -= off;
		}
	}
	if (fuzz_chance(w, 10))
		*len = fuzz_len(w);
	if (fuzz_chance(w, 20))
		off = fuzz_number(w);
	if (fuzz_chance(w, 20))
		off += fuzz_below(w, 1000) * SYS_PAGE;
	if (*len > WINDOW_SIZE && !fuzz_chance(w, 8))
		*len = 8 * BLOCK;
	return off;
}

/* Never outside the window: what lies there is what we live on. */
static bool in_window(const char *at, size_t len)
{
	return at >= WINDOW && len <= WINDOW_SIZE &&
	       at + len <= WINDOW + WINDOW_SIZE;
}

/* Some pages in there. */
static char *some_pages(struct worker *w, size_t *len)
{
	char *p = fuzz_addr(w);

	p -= (uintptr_t)p % SYS_PAGE;
	*len = fuzz_len(w);
	if (!in_window(p, *len))
		*len = SYS_PAGE;
	return p;
}

/* What the kernel placed elsewhere comes into the window, or goes. */
static void move_in(char *p, size_t len, char *at)
{
	if (!in_window(at, len) ||
	    mremap(p, len, len, MREMAP_MAYMOVE | MREMAP_FIXED, at) == MAP_FAILED)
		munmap(p, len);
}

bool op_map(struct worker *w)
{
	char *at = WINDOW + fuzz_below(w, WINDOW_BLOCKS) * BLOCK, *p;
	int i = fuzz_slot(w), flags = MAP_SHARED;
	uint64_t off;
	size_t len;

	off = region(w, w->blocks[i], &len);
	if (fuzz_chance(w, 20))
		at = fuzz_addr(w);
	if (in_window(at, len) && !fuzz_chance(w, 6))
		flags |= MAP_FIXED;
	if (fuzz_chance(w, 30))
		flags = (flags & ~MAP_SHARED) | fuzz_below(w, 4);
	if (len <= WINDOW_SIZE && fuzz_chance(w, 10))
		flags |= MAP_POPULATE;
	if (len <= WINDOW_SIZE && fuzz_chance(w, 30))
		flags |= MAP_NORESERVE | MAP_LOCKED;
	fuzz_arm(w);
	p = mmap(at, len, prot(w), flags, w->fds[i], off);
	fuzz_disarm(w);
	if (p == MAP_FAILED)
		return false;
	if (in_window(p, len))
		fuzz_heat(w, p);
	else
		move_in(p, len, at);
	return true;
}

/* Read or write a few words; a fault is as good. */
bool op_touch(struct worker *w)
{
	unsigned int n = 1 + fuzz_below(w, 8);
	char *p = fuzz_addr(w), line[64];
	bool ok = false;

	memset(line, 0xa0 | (w->nr & 15), sizeof(line));
	fuzz_arm(w);
	while (n--) {
		if (p + sizeof(line) > WINDOW + WINDOW_SIZE)
			break;
		ok |= fuzz_chance(w, 2) ? fuzz_copy(p, line, sizeof(line)) :
					  fuzz_copy(line, p, sizeof(line));
		p += fuzz_chance(w, 2) ? SYS_PAGE : BLOCK / 2;
	}
	fuzz_disarm(w);
	return ok;
}

bool op_unmap(struct worker *w)
{
	size_t len;
	char *p = some_pages(w, &len);
	bool ok;

	fuzz_arm(w);
	ok = !munmap(p, len);
	fuzz_disarm(w);
	return ok;
}

bool op_remap(struct worker *w)
{
	char *from = fuzz_addr(w), *to = fuzz_addr(w), *p;
	size_t old = fuzz_len(w), len = fuzz_chance(w, 2) ? old : fuzz_len(w);
	int flags = MREMAP_MAYMOVE | MREMAP_FIXED;

	from -= (uintptr_t)from % SYS_PAGE;
	to -= (uintptr_t)to % SYS_PAGE;
	if (!in_window(from, old))
		old = SYS_PAGE;
	if (!in_window(to, len))
		len = old;
	if (!in_window(to, len))
		return false;
	if (fuzz_chance(w, 4))
		flags |= MREMAP_DONTUNMAP;
	else if (fuzz_chance(w, 4))
		flags = 0;
	fuzz_arm(w);
	p = mremap(from, old, len, flags, to);
	fuzz_disarm(w);
	if (p == MAP_FAILED)
		return false;
	if (in_window(p, len))
		fuzz_heat(w, p);
	return true;
}

bool op_advise(struct worker *w)
{
	static const int advice[] = {
		MADV_DONTNEED, MADV_DONTNEED, MADV_FREE, MADV_REMOVE,
		MADV_WILLNEED, MADV_HUGEPAGE, MADV_NOHUGEPAGE, MADV_COLD,
		MADV_PAGEOUT, MADV_DONTFORK, MADV_DOFORK, MADV_WIPEONFORK,
		MADV_KEEPONFORK, MADV_MERGEABLE, MADV_UNMERGEABLE,
		MADV_POPULATE_READ, MADV_POPULATE_WRITE, MADV_DONTNEED_LOCKED,
		MADV_COLLAPSE, MADV_DONTDUMP, MADV_DODUMP, MADV_RANDOM,
		MADV_SEQUENTIAL, MADV_NORMAL,
	};
	size_t len;
	char *p = some_pages(w, &len);
	bool ok;

	fuzz_arm(w);
	ok = !madvise(p, len, advice[fuzz_below(w, ARRAY_SIZE(advice))]);
	fuzz_disarm(w);
	return ok;
}

bool op_protect(struct worker *w)
{
	size_t len;
	char *p = some_pages(w, &len);
	bool ok;

	fuzz_arm(w);
	ok = !mprotect(p, len, prot(w));
	fuzz_disarm(w);
	return ok;
}

bool op_lock(struct worker *w)
{
	size_t len;
	char *p = some_pages(w, &len);

	if (fuzz_chance(w, 8))
		return !munlockall();
	if (fuzz_chance(w, 3))
		return !munlock(p, len);
	return !mlock2(p, len, fuzz_chance(w, 2) ? MLOCK_ONFAULT : 0);
}

/* The kernel writes to a mapping, or reads from it, for a file's sake. */
bool op_read_into(struct worker *w)
{
	struct iovec iov[2];
	ssize_t done;
	int fd;

	iov[0].iov_base = fuzz_addr(w);
	iov[0].iov_len = 1 + fuzz_below(w, 20000);
	iov[1].iov_base = fuzz_addr(w);
	iov[1].iov_len = 1 + fuzz_below(w, 20000);
	fd = open(fuzz_chance(w, 2) ? "/proc/self/exe" : "/dev/zero",
		  O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	fuzz_arm(w);
	if (fuzz_chance(w, 3))
		done = read(w->fds[fuzz_slot(w)], iov[0].iov_base, 64);
	else
		done = preadv(fd, iov, 2, 0);
	fuzz_disarm(w);
	close(fd);
	return done > 0;
}

/* Memory policies, and moving pages to another node. */
bool op_policy(struct worker *w)
{
	size_t len;
	char *p = some_pages(w, &len);
	unsigned long nodes = 1 + fuzz_below(w, 3);
	int node = fuzz_below(w, 2), status;
	void *page = p;

	switch (fuzz_below(w, 4)) {
	case 0:
		return !syscall(SYS_move_pages, 0, 1UL, &page, &node, &status,
				w->root ? MPOL_MF_MOVE_ALL : MPOL_MF_MOVE);
	case 1:
		return !syscall(SYS_set_mempolicy, fuzz_below(w, 4), &nodes, 8);
	case 2:
		return !syscall(SYS_migrate_pages, 0, 8UL, &nodes, &nodes);
	default:
		return !syscall(SYS_mbind, p, len, fuzz_below(w, 4), &nodes, 8,
				fuzz_chance(w, 2) ? 0 : MPOL_MF_MOVE);
	}
}

/*
 * A memory error in a page of data, as far as we can tell where one is.  Each
 * takes a block away for good.
 */
bool op_poison(struct worker *w)
{
	int i = fuzz_slot(w);
	char *p, *at = WINDOW;
	bool ok;

	if (!w->root || !w->blocks[i] || w->blocks[i] > WINDOW_BLOCKS ||
	    atomic_load(&shared->poisonings) >= max_poisonings)
		return false;
	p = mmap(at, w->blocks[i] * BLOCK, PROT_READ | PROT_WRITE,
		 MAP_SHARED | MAP_FIXED, w->fds[i], 0);
	if (p == MAP_FAILED)
		return false;
	p += fuzz_below(w, w->blocks[i] * (BLOCK / SYS_PAGE)) * SYS_PAGE;
	if (!fuzz_copy(p, "x", 1))
		return false;
	atomic_fetch_add(&shared->poisonings, 1);
	ok = !madvise(p, SYS_PAGE, fuzz_chance(w, 2) ? MADV_HWPOISON :
						       MADV_SOFT_OFFLINE);
	fuzz_copy(p, "y", 1);
	return ok;
}

bool op_misc_memory(struct worker *w)
{
	static unsigned char vec[2048];
	size_t len;
	char *p = some_pages(w, &len);
	bool ok;

	if (len > sizeof(vec) * SYS_PAGE)
		len = SYS_PAGE;
	fuzz_arm(w);
	switch (fuzz_below(w, 4)) {
	case 0:
		ok = !msync(p, len, MS_SYNC | (fuzz_chance(w, 2) ? 0 :
					       MS_INVALIDATE));
		break;
	case 1:
		ok = !mincore(p, len, vec);
		break;
	case 2:
		ok = !remap_file_pages(p, len, 0, fuzz_below(w, 4096), 0);
		break;
	default:
		/* A place to start from: memory of the ordinary kind. */
		ok = mmap(p, len, PROT_READ | PROT_WRITE, MAP_FIXED |
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED;
	}
	fuzz_disarm(w);
	return ok;
}
