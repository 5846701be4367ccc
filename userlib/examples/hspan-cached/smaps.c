// SPDX-License-Identifier: MIT
/* Reads /proc/self/smaps for the mappings that the heap consists of. */
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "smaps.h"

#define HUGE_SIZE	(2ull << 20)

struct area {
	uint64_t start, end;
	char name[64];
	bool advised;
	struct heap_map sum;
};

static bool parse_area(const char *line, struct area *a)
{
	unsigned long long start, end;
	int at = 0;

	if (sscanf(line, "%llx-%llx %*s %*s %*s %*s %n", &start, &end, &at) < 2
	    || !at)
		return false;
	memset(a, 0, sizeof(*a));
	a->start = start;
	a->end = end;
	snprintf(a->name, sizeof(a->name), "%.*s",
		 (int)strcspn(line + at, "\n"), line + at);
	return true;
}

/* madvise(MADV_HUGEPAGE) shows as "hg" */
static void parse_flags(const char *line, struct area *a)
{
	if (!strncmp(line, "VmFlags:", 8))
		a->advised = strstr(line + 8, " hg");
}

static void parse_figure(const char *line, struct heap_map *m)
{
	static const struct {
		const char *name;
		size_t offset;
	} figures[] = {
		{ "Rss", offsetof(struct heap_map, rss) },
		{ "AnonHugePages", offsetof(struct heap_map, anon_huge) },
		{ "ShmemPmdMapped", offsetof(struct heap_map, shmem_huge) },
		{ "FilePmdMapped", offsetof(struct heap_map, file_huge) },
		{ "Swap", offsetof(struct heap_map, swap) },
	};
	unsigned long long kb;
	char name[32];
	size_t i;

	if (sscanf(line, "%31[A-Za-z_]: %llu kB", name, &kb) != 2)
		return;
	for (i = 0; i < sizeof(figures) / sizeof(figures[0]); i++)
		if (!strcmp(name, figures[i].name))
			*(uint64_t *)((char *)m + figures[i].offset) += kb;
}

static void map_add(struct heap_map *m, const struct heap_map *more)
{
	m->rss += more->rss;
	m->anon_huge += more->anon_huge;
	m->shmem_huge += more->shmem_huge;
	m->file_huge += more->file_huge;
	m->swap += more->swap;
	m->areas++;
}

/*
 * The heap may be one mapping or, after changes of protection, several in a
 * row of one name and one advice that meet at huge-page boundaries: such a row
 * is summed up in a run, and is the heap when @inside lies in it.
 */
struct run {
	uint64_t start, end;
	bool advised;
	struct heap_map sum;
};

static bool run_holds(const struct run *r, uint64_t addr)
{
	return addr >= r->start && addr < r->end;
}

static void run_add(struct run *r, const struct area *a)
{
	bool joins = r->end == a->start && !(a->start % HUGE_SIZE) &&
		     r->advised == a->advised && !strcmp(r->sum.name, a->name);

	if (!joins) {
		memset(r, 0, sizeof(*r));
		r->start = a->start;
		r->advised = a->advised;
		memcpy(r->sum.name, a->name, sizeof(a->name));
	}
	r->end = a->end;
	map_add(&r->sum, &a->sum);
}

static bool read_areas(FILE *f, uint64_t inside, struct run *found)
{
	struct run run = { 0 };
	struct area a = { 0 }, next;
	bool have = false;
	char line[512];

	while (fgets(line, sizeof(line), f)) {
		if (!parse_area(line, &next)) {
			parse_figure(line, &a.sum);
			parse_flags(line, &a);
			continue;
		}
		if (have)
			run_add(&run, &a);
		if (run_holds(&run, inside))
			*found = run;
		a = next;
		have = true;
	}
	if (have)
		run_add(&run, &a);
	if (run_holds(&run, inside))
		*found = run;
	return found->end;
}

bool heap_map_read(const void *inside, struct heap_map *m)
{
	struct run found = { 0 };
	FILE *f = fopen("/proc/self/smaps", "re");
	bool ok;

	if (!f)
		return false;
	ok = read_areas(f, (uintptr_t)inside, &found);
	fclose(f);
	*m = found.sum;
	m->huge = m->anon_huge + m->shmem_huge + m->file_huge;
	return ok;
}
