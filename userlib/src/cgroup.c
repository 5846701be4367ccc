// SPDX-License-Identifier: MIT
/*
 * Memory cgroups: finds ours, reads its limit and those of all above it, and
 * says how much may still be taken.  Version 2, and version 1's memory controller.
 *
 * Plain system calls and static buffers: nothing here uses malloc().
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cgroup.h"
#include "internal.h"

#define NO_LIMIT (UINT64_MAX >> 2) /* version 1 says LONG_MAX less a page */
#define MARGIN_SHIFT 5		   /* of the limit stays unused, */
#define MARGIN_LEAST (2u << 20)	   /* and this */

/** struct kind - how the files of a version are called */
struct kind {
	const char *mount;
	const char *max;
	const char *high;
	const char *current;
	const char *inactive;
	const char *active;
};

static const struct kind unified = {
	.mount = "/sys/fs/cgroup",
	.max = "memory.max",
	.high = "memory.high",
	.current = "memory.current",
	.inactive = "\ninactive_file ",
	.active = "\nactive_file ",
};

static const struct kind legacy = {
	.mount = "/sys/fs/cgroup/memory",
	.max = "memory.limit_in_bytes",
	.current = "memory.usage_in_bytes",
	.inactive = "\ntotal_inactive_file ",
	.active = "\ntotal_active_file ",
};

static char dir[2 * PATH_MAX];	/* the cgroup looked at */
static char path[3 * PATH_MAX]; /* a file of it */
static char text[16384];	/* what that file says */

static int open_file(const char *name, int flags)
{
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return open(path, flags | O_CLOEXEC);
}

/* The whole file, or its beginning, into text. */
static bool slurp(int fd)
{
	size_t len = 0;
	ssize_t n = 0;

	if (fd < 0)
		return false;
	while (len < sizeof(text) - 1) {
		n = read(fd, text + len, sizeof(text) - 1 - len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		len += (size_t)n;
	}
	close(fd);
	text[len] = 0;
	return n >= 0 && len;
}

/* A file with one number; @otherwise when it says none. */
static uint64_t read_number(const char *name, uint64_t otherwise)
{
	char *end;
	uint64_t value;

	if (!name || !slurp(open_file(name, O_RDONLY)))
		return otherwise;
	value = strtoull(text, &end, 10);
	return end == text ? otherwise : value;
}

static uint64_t find_number(const char *key)
{
	const char *at = strstr(text, key);

	return at ? strtoull(at + strlen(key), NULL, 10) : 0;
}

/* Pages of files that go when memory is short; of those in use, half. */
static uint64_t reclaimable(const struct kind *kind)
{
	if (!slurp(open_file("memory.stat", O_RDONLY)))
		return 0;
	return find_number(kind->inactive) + find_number(kind->active) / 2;
}

/* Does the line name the controller among others? */
static bool is_memory(const char *controllers, const char *end)
{
	const size_t len = strlen("memory");

	while (controllers < end) {
		const char *comma = memchr(controllers, ',', (size_t)(end - controllers));
		const char *stop = comma ? comma : end;

		if ((size_t)(stop - controllers) == len && !memcmp(controllers, "memory", len))
			return true;
		controllers = stop + 1;
	}
	return false;
}

/*
 * The line "ID:CONTROLLERS:PATH" of our cgroup into dir.  A path that leaves
 * what we can see of the tree is taken for its top, and so is one in the
 * tree of the host, which a container cannot follow: the walk ends there.
 */
static bool find_dir(const char *prefix, const struct kind *kind)
{
	snprintf(path, sizeof(path), "%s/proc/self/cgroup", prefix);
	if (!slurp(open(path, O_RDONLY | O_CLOEXEC)))
		return false;
	for (char *line = text, *next; line; line = next) {
		char *controllers, *name;

		next = strchr(line, '\n');
		if (next)
			*next++ = 0;
		controllers = strchr(line, ':');
		name = controllers ? strchr(controllers + 1, ':') : NULL;
		if (!name || name[1] != '/')
			continue;
		if (kind == &unified ? name != controllers + 1 : !is_memory(controllers + 1, name))
			continue;
		if (!strncmp(name + 1, "/..", 3) || !strcmp(name + 1, "/"))
			name[1] = 0;
		snprintf(dir, sizeof(dir), "%s%s%s", prefix, kind->mount, name + 1);
		return true;
	}
	return false;
}

/* What is left of @limit; the margin is taken off. */
static int64_t room_below(uint64_t limit, int64_t used)
{
	return (int64_t)limit - used - (int64_t)(limit >> MARGIN_SHIFT) - MARGIN_LEAST;
}

/* One cgroup's limits against what it uses. */
static void look_at(const struct kind *kind, struct hs_cgroup *cg, bool *found)
{
	uint64_t max = read_number(kind->max, UINT64_MAX);
	uint64_t high = read_number(kind->high, UINT64_MAX);
	uint64_t limit = high < max ? high : max;
	int64_t used, spare;

	if (limit >= NO_LIMIT)
		return;
	used = (int64_t)read_number(kind->current, 0);
	/* That file takes long to read: where there is plenty it does not matter. */
	if (used > (int64_t)(limit / 2)) {
		spare = (int64_t)reclaimable(kind);
		used = used > spare ? used - spare : 0;
	}
	if (!*found || room_below(limit, used) < cg->soft) {
		cg->limit = limit;
		cg->soft = room_below(limit, used);
	}
	if (max < NO_LIMIT && room_below(max, used) < cg->hard)
		cg->hard = room_below(max, used);
	*found = true;
}

static void look_upwards(const char *prefix, const struct kind *kind, struct hs_cgroup *cg,
			 bool *found)
{
	size_t top = strlen(prefix) + strlen(kind->mount);

	if (!find_dir(prefix, kind))
		return;
	for (;;) {
		char *last;

		look_at(kind, cg, found);
		last = strrchr(dir, '/');
		if (!last || (size_t)(last - dir) < top)
			return;
		*last = 0;
	}
}

bool hs_cgroup_look(const char *prefix, struct hs_cgroup *cg)
{
	bool found = false;

	cg->hard = INT64_MAX;
	look_upwards(prefix, &unified, cg, &found);
	look_upwards(prefix, &legacy, cg, &found);
	return found;
}

int hs_cgroup_open(const char *prefix, const char *name, int flags)
{
	return find_dir(prefix, &unified) ? open_file(name, flags) : -1;
}
