// SPDX-License-Identifier: MIT
/*
 * A program to profile: it keeps an index and a cache, makes garbage, and leaks
 * some of what it means to free by hand.
 *
 *   shop DIRECTORY [RATE]     writes profiles there, each as .heap and as .pb.gz
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <hugespan.h>

#define NOINLINE __attribute__((noinline))
#define PAGES	 10000
#define REPLIES	 1000
#define REQUESTS 20000
#define MORE	 500

static void *pages[PAGES], *replies[REPLIES + MORE];
static const char *directory;

static void must(int good, const char *what)
{
	if (good)
		return;
	perror(what);
	exit(1);
}

static NOINLINE void index_page(int i)
{
	hspan_store(&pages[i], hspan_alloc(64));
}

static NOINLINE void cache_reply(int i)
{
	hspan_store(&replies[i], hspan_alloc_noscan(1024));
}

/* A request is a buffer that is freed, but every tenth time; and some garbage. */
static NOINLINE void parse_request(int i)
{
	char *buffer = hspan_alloc_noscan(256);

	must(buffer != NULL, "hspan_alloc_noscan");
	memset(buffer, i, 256);
	if (i % 10)
		hspan_free(buffer);
}

/* The stack below is another's now: no dead word of it is a pointer. */
static NOINLINE void scrub(void)
{
	volatile char dead[16384];

	memset((char *)dead, 0, sizeof(dead));
}

static int create(const char *name, const char *suffix)
{
	char path[4096];
	int fd;

	snprintf(path, sizeof(path), "%s/%s.%s", directory, name, suffix);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0666);
	must(fd >= 0, path);
	return fd;
}

static void write_profile(const char *name, unsigned int flags)
{
	int text = create(name, "heap"), pprof = create(name, "pb.gz");

	must(!hspan_profile_write(text, flags | HSPAN_PROFILE_TEXT), name);
	must(!hspan_profile_write(pprof, flags & ~HSPAN_PROFILE_GC), name);
	close(text);
	close(pprof);
}

static void write_held(const char *name, const void *root)
{
	int text = create(name, "heap"), pprof = create(name, "pb.gz");

	must(!hspan_profile_write_held(text, root, HSPAN_PROFILE_TEXT), name);
	must(!hspan_profile_write_held(pprof, root, 0), name);
	close(text);
	close(pprof);
}

static NOINLINE void serve(void)
{
	for (int i = 0; i < PAGES; i++)
		index_page(i);
	for (int i = 0; i < REPLIES; i++)
		cache_reply(i);
	for (int i = 0; i < REQUESTS; i++)
		parse_request(i);
}

static NOINLINE void serve_more(void)
{
	for (int i = 0; i < MORE; i++)
		cache_reply(REPLIES + i);
}

int main(int argc, char **argv)
{
	struct hspan_options o = HSPAN_OPTIONS_INIT;

	must(argc > 1, "usage: shop DIRECTORY [RATE]");
	directory = argv[1];
	o.gc_percent = -1;
	o.profile_rate = argc > 2 ? strtoul(argv[2], NULL, 0) : 4096;
	must(!hspan_init(&o), "hspan_init");
	must(!hspan_root_add(pages, sizeof(pages)) && !hspan_root_add(replies, sizeof(replies)),
	     "hspan_root_add");
	serve();
	scrub();
	write_profile("before", HSPAN_PROFILE_GC);
	serve_more();
	scrub();
	write_profile("after", HSPAN_PROFILE_GC);
	write_profile("unfreed", HSPAN_PROFILE_UNFREED);
	write_held("held", replies);
	return 0;
}
