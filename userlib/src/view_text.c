// SPDX-License-Identifier: MIT
/*
 * Profiles as gperftools has them: text, samples as they are, to be scaled by
 * who reads them; and what is mapped where.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "view.h"

static void write_maps(FILE *out)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	char piece[4096];
	size_t n;

	fputs("\nMAPPED_LIBRARIES:\n", out);
	while (maps && (n = fread(piece, 1, sizeof(piece), maps)) > 0)
		fwrite(piece, 1, n, out);
	if (maps)
		fclose(maps);
}

static void write_counts(FILE *out, uint64_t n, uint64_t bytes, uint64_t allocs,
			 uint64_t alloc_bytes)
{
	fprintf(out, "%llu: %llu [%llu: %llu] @", (unsigned long long)n,
		(unsigned long long)bytes, (unsigned long long)allocs,
		(unsigned long long)alloc_bytes);
}

static void write_text_site(FILE *out, const struct hs_view *view, const struct hs_view_site *s)
{
	uint64_t allocs = view->allocs ? s->allocs : s->count;

	write_counts(out, s->count, s->count * s->size, allocs, allocs * s->size);
	for (size_t i = 0; i < s->depth; i++)
		fprintf(out, " %#lx", s->stack[i]);
	fputc('\n', out);
}

int hs_view_write_text(int fd, const struct hs_view *view)
{
	uint64_t n = 0, bytes = 0, allocs = 0, alloc_bytes = 0;
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	FILE *out = copy < 0 ? NULL : fdopen(copy, "w");
	int ret;

	if (!out) {
		ret = -errno;
		if (copy >= 0)
			close(copy);
		return ret;
	}
	for (size_t i = 0; i < view->nr_sites; i++) {
		const struct hs_view_site *s = &view->sites[i];

		n += s->count;
		bytes += s->count * s->size;
		allocs += view->allocs ? s->allocs : s->count;
		alloc_bytes += (view->allocs ? s->allocs : s->count) * s->size;
	}
	fputs("heap profile: ", out);
	write_counts(out, n, bytes, allocs, alloc_bytes);
	if (view->rate > 1)
		fprintf(out, " heap_v2/%llu\n", (unsigned long long)view->rate);
	else
		fputs(" heapprofile\n", out); /* nothing is to be scaled */
	for (size_t i = 0; i < view->nr_sites; i++)
		write_text_site(out, view, &view->sites[i]);
	write_maps(out);
	ret = ferror(out) ? -EIO : 0;
	return fclose(out) && !ret ? -errno : ret;
}
