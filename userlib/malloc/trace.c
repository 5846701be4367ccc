// SPDX-License-Identifier: MIT
/* See trace.h: the list of objects, and the report. */
#include <execinfo.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "../src/view.h"
#include "trace.h"

#define OWN_FRAMES 8 /* of this library, at most */

/* This library: the linker says where. */
extern char __ehdr_start[] __attribute__((visibility("hidden")));
extern char _end[] __attribute__((visibility("hidden")));

static struct {
	spinlock_t lock;
	const char *path;
	struct hs_samples samples;
} trace = { .samples.most = UINT64_MAX };

/* What is done here may itself call malloc(). */
static __thread bool inside __attribute__((tls_model("initial-exec")));

void hm_trace_lock(void)
{
	if (hm.traced)
		spin_lock(&trace.lock);
}

void hm_trace_unlock(void)
{
	if (hm.traced)
		spin_unlock(&trace.lock);
}

/* The first call of backtrace() loads a library, and so allocates. */
void hm_trace_init(const char *path)
{
	void *frame[1];

	if (!hs_samples_open(&trace.samples)) {
		hs_log("hugespan: no memory to look for leaks\n");
		return;
	}
	trace.path = path;
	hm_set_release(&hm.traced, true);
	inside = true;
	backtrace(frame, 1);
	inside = false;
}

static void add(const void *p, size_t size, const uintptr_t *pc, uint32_t depth)
{
	struct hs_site *site;

	spin_lock(&trace.lock);
	site = hs_samples_site(&trace.samples, size, pc, depth);
	if (site && hs_samples_add(&trace.samples, (uintptr_t)p, site))
		site->allocs++;
	spin_unlock(&trace.lock);
}

static bool is_own(uintptr_t pc)
{
	return pc - (uintptr_t)__ehdr_start < (uintptr_t)(_end - __ehdr_start);
}

void hm_trace_alloc(const void *p, size_t size)
{
	uintptr_t pc[OWN_FRAMES + HS_STACK_MOST];
	int depth, own = 0, saved = errno;

	if (inside) {
		add(p, size, NULL, 0);
		return;
	}
	inside = true;
	depth = backtrace((void **)pc, OWN_FRAMES + HS_STACK_MOST);
	while (own < depth && own < OWN_FRAMES && is_own(pc[own]))
		own++;
	add(p, size, pc + own, (uint32_t)(depth - own));
	inside = false;
	errno = saved;
}

/* Before its memory can be another's. */
void hm_trace_free(const void *p)
{
	size_t place;

	spin_lock(&trace.lock);
	place = hs_samples_find(&trace.samples, (uintptr_t)p);
	if (trace.samples.live[place].base) {
		trace.samples.live[place].site->frees++;
		hs_samples_remove(&trace.samples, place);
	}
	spin_unlock(&trace.lock);
}

/* The report ----------------------------------------------------------------- */

/** struct report - leaks by site, with room for @room */
struct report {
	size_t room;
	struct hs_view_site *sites;
	struct hs_view view;
	uint64_t objects, bytes;
};

/* What backtrace() itself allocates has no stack, and no end. */
static bool is_leak(const struct hs_site *site)
{
	return site->held && site->depth;
}

static void count_site(struct hs_site *site, void *arg)
{
	struct report *r = arg;

	if (!is_leak(site))
		return;
	r->room++;
	r->objects += site->held;
	r->bytes += site->held * site->size;
}

static void report_site(struct hs_site *site, void *arg)
{
	struct report *r = arg;

	if (!is_leak(site) || r->view.nr_sites == r->room)
		return;
	r->sites[r->view.nr_sites++] = (struct hs_view_site){
		.size = site->size,
		.count = site->held,
		.depth = site->depth,
		.stack = site->stack,
	};
}

static int write_report(struct report *r, const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666), ret;

	if (fd < 0)
		return -errno;
	r->view.about = "leaked";
	r->view.rate = 1;
	r->view.sites = r->sites;
	ret = hs_view_write_text(fd, &r->view);
	close(fd);
	return ret;
}

static void report(void)
{
	struct report r = { 0 };
	char path[PATH_MAX];
	int ret = -ENOMEM;

	hs_samples_each_site(&trace.samples, count_site, &r);
	if (!r.objects)
		return;
	r.sites = calloc(r.room, sizeof(*r.sites));
	snprintf(path, sizeof(path), "%s.%d.heap", trace.path, getpid());
	if (r.sites) {
		hs_samples_each_site(&trace.samples, report_site, &r);
		ret = write_report(&r, path);
	}
	free(r.sites);
	hs_log("hugespan: %llu objects of %llu bytes leaked: %s%s%s\n",
	       (unsigned long long)r.objects, (unsigned long long)r.bytes, path,
	       ret ? ": " : "", ret ? strerror(-ret) : "");
}

/* After the program's own: what they free is no leak. */
__attribute__((destructor)) static void at_exit(void)
{
	if (!hm.traced)
		return;
	inside = true;
	hm_set(&hm.traced, false); /* what others still do is not heeded */
	if (hm_leaks_find(&trace.samples, (uintptr_t)__builtin_frame_address(0)))
		report();
	else
		hs_log("hugespan: no memory to look for leaks\n");
}
