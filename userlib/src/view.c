// SPDX-License-Identifier: MIT
/*
 * Profiles in pprof's format: written by libhugespan-prof, which is loaded when
 * it is wanted, so that a program needs zlib and protobuf-c only then.
 */
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "view.h"

/* util.c */
void hs_log(const char *format, ...) __attribute__((format(printf, 1, 2)));

#define TEXT_SUFFIX ".heap"

static pthread_once_t writer_once = PTHREAD_ONCE_INIT;
static hs_prof_write_fn *writer;

/* Beside this library, or where libraries are. */
static void *open_library(void)
{
	char path[PATH_MAX];
	const char *slash;
	void *lib = NULL;
	Dl_info info;

	if (dladdr(&writer_once, &info) && info.dli_fname &&
	    (slash = strrchr(info.dli_fname, '/')) &&
	    snprintf(path, sizeof(path), "%.*s/%s", (int)(slash - info.dli_fname),
		     info.dli_fname, HS_PROF_LIBRARY) < (int)sizeof(path))
		lib = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	return lib ? lib : dlopen(HS_PROF_LIBRARY, RTLD_NOW | RTLD_LOCAL);
}

static void find_writer(void)
{
	void *lib = open_library();

	writer = lib ? (hs_prof_write_fn *)dlsym(lib, HS_PROF_WRITER) : NULL;
	if (!writer)
		hs_log("hugespan: no %s that fits: %s\n", HS_PROF_LIBRARY, dlerror());
}

static int write_pprof(int fd, const struct hs_view *view)
{
	pthread_once(&writer_once, find_writer);
	return writer ? writer(fd, view) : -ENOSYS;
}

int hs_view_write(int fd, const struct hs_view *view, bool text)
{
	return text ? hs_view_write_text(fd, view) : write_pprof(fd, view);
}

bool hs_view_is_text(const char *path)
{
	size_t n = strlen(path), m = strlen(TEXT_SUFFIX);

	return n >= m && !strcmp(path + n - m, TEXT_SUFFIX);
}
