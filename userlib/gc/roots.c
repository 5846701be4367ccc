// SPDX-License-Identifier: MIT
/*
 * Roots outside the heap: the writable data of all that is loaded, and what the
 * program adds.
 *
 * What is loaded is asked of the loader, under its lock, before threads are
 * stopped.  When they are, the loader's list must still be the same, and nobody be
 * in the middle of a change of it; else they go on, and are stopped again.  So a
 * library that comes just then is not overlooked, nor one that is gone looked at.
 */
#include <link.h>

#include "hg.h"

#define MOST 4096 /* ranges of each sort */

struct range {
	uintptr_t lo, hi;
};

struct ranges {
	struct range range[MOST];
	uint32_t count;
};

static struct ranges segments, added, excluded;
static uint64_t loaded; /* a sum of what is */
static bool seen_any;

static bool put(struct ranges *r, uintptr_t lo, uintptr_t hi)
{
	if (lo >= hi)
		return true;
	if (r->count == MOST)
		return false;
	r->range[r->count++] = (struct range){lo, hi};
	return true;
}

static uint64_t sum_up(uint64_t sum, uintptr_t base)
{
	return (sum ^ base) * 0x100000001b3ull + 1;
}

/* What is only written to before the program starts holds nothing of ours. */
static struct range relro_of(const struct dl_phdr_info *info)
{
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *ph = &info->dlpi_phdr[i];

		if (ph->p_type == PT_GNU_RELRO)
			return (struct range){info->dlpi_addr + ph->p_vaddr,
					      info->dlpi_addr + ph->p_vaddr + ph->p_memsz};
	}
	return (struct range){0, 0};
}

static bool holds_us(const struct dl_phdr_info *info)
{
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *ph = &info->dlpi_phdr[i];

		if (ph->p_type == PT_LOAD &&
		    (uintptr_t)&segments - (info->dlpi_addr + ph->p_vaddr) < ph->p_memsz)
			return true;
	}
	return false;
}

static int add_segments(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct range relro = relro_of(info);
	bool *full = arg, main_program = !seen_any;

	(void)size;
	seen_any = true;
	loaded = sum_up(loaded, info->dlpi_addr);
	if (holds_us(info) || (GC_no_dls && !main_program))
		return 0;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *ph = &info->dlpi_phdr[i];
		uintptr_t lo = info->dlpi_addr + ph->p_vaddr, hi = lo + ph->p_memsz;

		if (ph->p_type != PT_LOAD || !(ph->p_flags & PF_W))
			continue;
		if (relro.lo >= lo && relro.hi <= hi && relro.lo < relro.hi) {
			*full |= !put(&segments, lo, relro.lo);
			lo = relro.hi;
		}
		*full |= !put(&segments, lo, hi);
	}
	return 0;
}

void hg_segments_gather(void)
{
	bool full = false;

	segments.count = 0;
	seen_any = false;
	loaded = 0;
	dl_iterate_phdr(add_segments, &full);
	if (full)
		hg_abort("Too many root sets");
}

/* With every thread stopped, one perhaps in the loader: no lock is taken. */
bool hg_segments_settled(void)
{
	uint64_t now = 0;

	if (_r_debug.r_state != RT_CONSISTENT)
		return false;
	for (const struct link_map *l = _r_debug.r_map; l; l = l->l_next)
		now = sum_up(now, l->l_addr);
	return now == loaded;
}

static void mark_but(struct hs_marker *m, uintptr_t lo, uintptr_t hi, uint32_t from)
{
	for (uint32_t i = from; i < excluded.count; i++) {
		struct range x = excluded.range[i];

		if (x.lo >= hi || x.hi <= lo)
			continue;
		if (lo < x.lo)
			mark_but(m, lo, x.lo, i + 1);
		if (x.hi >= hi)
			return;
		lo = x.hi;
	}
	hg_mark_range(m, lo, hi);
}

void hg_roots_mark(struct hs_marker *m)
{
	for (uint32_t i = 0; i < segments.count; i++)
		mark_but(m, segments.range[i].lo, segments.range[i].hi, 0);
	for (uint32_t i = 0; i < added.count; i++)
		mark_but(m, added.range[i].lo, added.range[i].hi, 0);
}

static bool add_once(struct ranges *r, uintptr_t lo, uintptr_t hi)
{
	for (uint32_t i = 0; i < r->count; i++) {
		if (r->range[i].lo != lo)
			continue;
		if (hi > r->range[i].hi)
			r->range[i].hi = hi;
		return true;
	}
	return put(r, lo, hi);
}

static void add(struct ranges *r, void *low, void *high)
{
	bool fits;

	hg_lock();
	fits = add_once(r, ((uintptr_t)low + 7) & ~7ul, (uintptr_t)high & ~7ul);
	hg_unlock();
	if (!fits)
		hg_abort("Too many root sets");
}

void GC_add_roots(void *low, void *high)
{
	add(&added, low, high);
}

void GC_exclude_static_roots(void *low, void *high)
{
	add(&excluded, low, high);
}

void GC_remove_roots(void *low, void *high)
{
	uint32_t kept = 0;

	hg_lock();
	for (uint32_t i = 0; i < added.count; i++) {
		struct range r = added.range[i];

		if (r.lo < (uintptr_t)low || r.hi > (uintptr_t)high)
			added.range[kept++] = r;
	}
	added.count = kept;
	hg_unlock();
}

void GC_clear_roots(void)
{
	hg_lock();
	added.count = 0;
	hg_unlock();
}

void GC_clear_exclusion_table(void)
{
	hg_lock();
	excluded.count = 0;
	hg_unlock();
}

int GC_is_tmp_root(void *p)
{
	bool found = false;

	hg_lock();
	for (uint32_t i = 0; i < segments.count; i++)
		found |= (uintptr_t)p - segments.range[i].lo <
			 segments.range[i].hi - segments.range[i].lo;
	hg_unlock();
	return found;
}
