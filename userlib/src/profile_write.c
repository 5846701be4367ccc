// SPDX-License-Identifier: MIT
/* Profiles as programs get them: the calls, and the environment. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "held.h"
#include "profile.h"
#include "sample.h"
#include "view.h"

#define FLAGS	   (HSPAN_PROFILE_GC | HSPAN_PROFILE_TEXT | HSPAN_PROFILE_UNFREED)
#define FILE_FLAGS (O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC)

/** enum about - what a profile counts */
enum about { ABOUT_IN_USE, ABOUT_UNFREED, ABOUT_HELD };

static const char *const about_words[] = { "inuse", "unfreed", "held" };

/* The view ------------------------------------------------------------------ */

/** struct gathering - sites on their way to a view, up to @room of them */
struct gathering {
	enum about about;
	bool as_of_cycle;
	size_t room;
	size_t count;
	struct hs_view_site *sites;
};

static void count_site(struct hs_site *site, void *arg)
{
	(void)site;
	++*(size_t *)arg;
}

static uint64_t count_of(const struct hs_site *site, const struct gathering *g)
{
	switch (g->about) {
	case ABOUT_UNFREED:
		return site->unfreed;
	case ABOUT_HELD:
		return site->held;
	default:
		return g->as_of_cycle ? site->done_allocs - site->done_frees :
					site->allocs - site->frees;
	}
}

static void gather_site(struct hs_site *site, void *arg)
{
	struct gathering *g = arg;
	struct hs_view_site v = {
		.size = site->size,
		.allocs = g->about != ABOUT_IN_USE ? 0 :
			  g->as_of_cycle	   ? site->done_allocs :
						     site->allocs,
		.count = count_of(site, g),
		.depth = site->depth,
		.stack = site->stack,
	};

	if ((v.allocs || v.count) && g->count < g->room)
		g->sites[g->count++] = v;
}

static int gather(struct gathering *g)
{
	hs_profile_sites(count_site, &g->room);
	g->sites = malloc((g->room + 1) * sizeof(*g->sites));
	if (!g->sites)
		return -ENOMEM;
	g->as_of_cycle = hs_profile_has_cycle();
	hs_profile_sites(gather_site, g);
	return 0;
}

/* The calls ----------------------------------------------------------------- */

static int write_about(int fd, enum about about, unsigned int flags, const char *note)
{
	struct hspan_stats stats;
	struct gathering g = { .about = about };
	char lost[80] = "";
	struct hs_view view;
	int ret = gather(&g);

	if (ret)
		return ret;
	hs_profile_stats(&stats);
	if (stats.profile_lost)
		snprintf(lost, sizeof(lost), "%llu of %llu samples lost for want of memory",
			 (unsigned long long)stats.profile_lost,
			 (unsigned long long)stats.profile_samples);
	view = (struct hs_view){
		.about = about_words[about],
		.allocs = about == ABOUT_IN_USE,
		.rate = hs_profile_last_rate(),
		.nr_sites = g.count,
		.sites = g.sites,
		.note = { note, *lost ? lost : NULL },
	};
	ret = hs_view_write(fd, &view, flags & HSPAN_PROFILE_TEXT);
	free(g.sites);
	return ret;
}

static int check(int fd, unsigned int flags, unsigned int allowed)
{
	if (fd < 0)
		return -EBADF;
	if (flags & ~allowed)
		return -EINVAL;
	if (hs.forked)
		return -ENOTSUP;
	return hs_load_acquire(&hs.ready) && hs_load_acquire(&hs_profile_pages) ? 0 : -ENOENT;
}

HS_EXPORT int hspan_profile_start(size_t rate)
{
	if (!hs_thread_join())
		return -errno;
	return hs.forked ? -ENOTSUP : hs_profile_start(rate ? rate : HS_SAMPLE_RATE);
}

HS_EXPORT int hspan_profile_stop(void)
{
	return hs.forked ? -ENOTSUP : hs_profile_stop();
}

HS_EXPORT int hspan_profile_write(int fd, unsigned int flags)
{
	int ret = check(fd, flags, FLAGS);

	if (ret)
		return ret;
	if (flags & HSPAN_PROFILE_GC)
		hspan_gc();
	return write_about(fd, flags & HSPAN_PROFILE_UNFREED ? ABOUT_UNFREED : ABOUT_IN_USE,
			   flags, NULL);
}

HS_EXPORT int hspan_profile_write_held(int fd, const void *root, unsigned int flags)
{
	uint64_t objects, bytes;
	char note[96];
	int ret = check(fd, flags, HSPAN_PROFILE_TEXT);

	if (ret)
		return ret;
	if (!root)
		return -EINVAL;
	if (!hs_thread_join())
		return -errno;
	hs_held_lock();
	ret = hs_held_ask(root, &objects, &bytes);
	if (!ret) {
		snprintf(note, sizeof(note), "exactly %llu objects of %llu bytes",
			 (unsigned long long)objects, (unsigned long long)bytes);
		ret = write_about(fd, ABOUT_HELD, flags, note);
	}
	hs_held_unlock();
	return ret;
}

/* The environment ----------------------------------------------------------- */

/* When the heap ends, or the process does with it. */
void hs_profile_at_end(void)
{
	const char *path = secure_getenv("HUGESPAN_PROFILE");
	int fd, ret;

	if (!path || hs.forked || !hs_load_acquire(&hs.ready) || !hs_profile_rate())
		return;
	fd = open(path, FILE_FLAGS, 0666);
	ret = fd < 0 ? -errno :
		       hspan_profile_write(fd, HSPAN_PROFILE_GC |
					   (hs_view_is_text(path) ? HSPAN_PROFILE_TEXT : 0));
	if (fd >= 0)
		close(fd);
	if (ret)
		hs_log("hugespan: profile %s: %s\n", path, strerror(-ret));
}

/* The heap is made, with a @rate from its options or the environment. */
void hs_profile_at_start(uint64_t rate)
{
	static bool registered;
	bool file = secure_getenv("HUGESPAN_PROFILE");

	if (rate || file)
		hs_profile_start(rate ? rate : HS_SAMPLE_RATE);
	if (file && !registered)
		registered = !atexit(hs_profile_at_end);
}
