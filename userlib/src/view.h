/* SPDX-License-Identifier: MIT */
/*
 * A profile that is ready to be written; also as it is handed to libhugespan-prof,
 * which is loaded when a program wants pprof's format for the first time.
 */
#ifndef HS_PROF_VIEW_H
#define HS_PROF_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HS_PROF_LIBRARY "libhugespan-prof.so.0"
#define HS_PROF_WRITER	"hs_prof_write_1" /* with another view, another number */
#define HS_PROF_NOTES	2

/**
 * struct hs_view_site - samples of objects of one size, from one stack
 * @size: bytes of each object
 * @allocs: samples ever
 * @count: of those, what the profile is about
 * @depth: of @stack
 * @stack: return addresses, the innermost first
 */
struct hs_view_site {
	uint64_t size;
	uint64_t allocs;
	uint64_t count;
	size_t depth;
	const uintptr_t *stack;
};

/**
 * struct hs_view - a profile
 * @about: what .count counts: "inuse", or another word
 * @allocs: .allocs is a part of it
 * @rate: bytes from sample to sample, on average
 * @nr_sites: of @sites
 * @note: lines of text that go with it, or NULL
 */
struct hs_view {
	const char *about;
	int allocs;
	uint64_t rate;
	size_t nr_sites;
	const struct hs_view_site *sites;
	const char *note[HS_PROF_NOTES];
};

/* What the library has: write it to @fd; 0 or a negative errno. */
typedef int hs_prof_write_fn(int fd, const struct hs_view *view);

/* Write it to @fd as text, or as text or for pprof; 0 or a negative errno. */
int hs_view_write_text(int fd, const struct hs_view *view);
int hs_view_write(int fd, const struct hs_view *view, bool text);

/* Is a file of this name to be text? */
bool hs_view_is_text(const char *path);

#endif /* HS_PROF_VIEW_H */
