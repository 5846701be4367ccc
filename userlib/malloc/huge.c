// SPDX-License-Identifier: MIT
/*
 * Huge objects: mappings of their own, which grow by mremap() and go back to
 * the system when they are freed.
 *
 * A program that frees one will likely want another of its size: those come
 * from the pages then, where memory stays for a while.
 */
#include <sys/mman.h>

#include "hm.h"

#define MIN_FIRST   (4ul << 20)	 /* bytes of an object that is huge at first */
#define MIN_MOST    (64ul << 20) /* and however large those freed are */
#define SYSTEM_PAGE 4096ul

/** struct huge - one of them; @p NULL = none was here, GONE = one was */
struct huge {
	char *p;
	size_t size;
};

#define GONE ((char *)1)

static struct {
	spinlock_t lock;
	struct huge *table; /* open addressing */
	size_t width;	    /* a power of two */
	size_t nr_taken;    /* entries that are not NULL */
	size_t nr;
	size_t bytes;
	size_t min;
} huges = {.min = MIN_FIRST};

void hm_huge_lock(void)
{
	spin_lock(&huges.lock);
}

void hm_huge_unlock(void)
{
	spin_unlock(&huges.lock);
}

size_t hm_huge_min(void)
{
	return hm_load(&huges.min);
}

size_t hm_huge_bytes(void)
{
	return hm_load(&huges.bytes);
}

const void *hm_huge_memory(size_t *size)
{
	*size = huges.width * sizeof(*huges.table);
	return huges.table;
}

static size_t round_up(size_t size)
{
	return (size + SYSTEM_PAGE - 1) & ~(SYSTEM_PAGE - 1);
}

static size_t hash(const char *p)
{
	return (size_t)((uintptr_t)p / SYSTEM_PAGE * 0x9e3779b97f4a7c15ul >> 20);
}

static struct huge *find(const void *p)
{
	size_t i;

	if (!huges.width)
		return NULL;
	for (i = hash(p) & (huges.width - 1); huges.table[i].p; i = (i + 1) & (huges.width - 1))
		if (huges.table[i].p == p)
			return &huges.table[i];
	return NULL;
}

static void insert(char *p, size_t size)
{
	size_t i = hash(p) & (huges.width - 1);

	while (huges.table[i].p > GONE)
		i = (i + 1) & (huges.width - 1);
	huges.nr_taken += !huges.table[i].p;
	huges.nr++;
	huges.bytes += size;
	huges.table[i] = (struct huge){p, size};
}

/* Room for one more: at least a quarter of the entries is NULL. */
static bool make_room(void)
{
	struct huge *old = huges.table;
	size_t width = huges.width, want = 256;

	if (huges.nr_taken + 1 < width / 4 * 3)
		return true;
	while (want < huges.nr * 2 + 2)
		want *= 2;
	huges.table = hs_map(want * sizeof(*old));
	if (!huges.table) {
		huges.table = old;
		return false;
	}
	huges.width = want;
	huges.nr_taken = huges.nr = huges.bytes = 0;
	for (size_t i = 0; i < width; i++)
		if (old[i].p > GONE)
			insert(old[i].p, old[i].size);
	hs_unmap(old, width * sizeof(*old));
	return true;
}

static void forget(struct huge *h)
{
	huges.nr--;
	huges.bytes -= h->size;
	h->p = GONE;
}

static bool remember(char *p, size_t size)
{
	bool done;

	spin_lock(&huges.lock);
	done = make_room();
	if (done)
		insert(p, size);
	spin_unlock(&huges.lock);
	return done;
}

/* Map @size bytes at a multiple of @align. */
static char *map_aligned(size_t align, size_t size)
{
	size_t more = align > SYSTEM_PAGE ? align : 0, head;
	char *map = hs_map(size + more);

	if (!map || !more)
		return map;
	head = -(uintptr_t)map & (align - 1);
	if (head)
		munmap(map, head);
	if (more - head)
		munmap(map + head + size, more - head);
	return map + head;
}

void *hm_huge_alloc(size_t align, size_t size)
{
	char *p;

	size = round_up(size);
	p = map_aligned(align, size);
	if (p && !remember(p, size)) {
		munmap(p, size);
		return NULL;
	}
	return p;
}

/* Free it if it is a huge object. */
bool hm_huge_free(void *p)
{
	struct huge *h;
	size_t size = 0;

	spin_lock(&huges.lock);
	h = find(p);
	if (h) {
		size = h->size;
		forget(h);
		if (size >= huges.min && size < MIN_MOST)
			hm_set(&huges.min, size + 1);
	}
	spin_unlock(&huges.lock);
	if (!h)
		return false;
	munmap(p, size);
	return true;
}

/* Its size, or 0 if it is none. */
size_t hm_huge_usable(const void *p)
{
	struct huge *h;
	size_t size;

	spin_lock(&huges.lock);
	h = find(p);
	size = h ? h->size : 0;
	spin_unlock(&huges.lock);
	return size;
}

/*
 * A huge object in another size, moved by its page tables if it must be.  It
 * is in no one's table meanwhile: nothing else may be done with it.
 */
void *hm_huge_resize(void *p, size_t size)
{
	size_t old;
	void *new;

	size = round_up(size);
	spin_lock(&huges.lock);
	old = find(p)->size;
	forget(find(p));
	spin_unlock(&huges.lock);
	new = mremap(p, old, size, MREMAP_MAYMOVE);
	if (new == MAP_FAILED)
		new = NULL;
	/* An entry was just given up: there is room. */
	remember(new ? new : p, new ? size : old);
	return new;
}
