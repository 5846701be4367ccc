// SPDX-License-Identifier: MIT
/* The first allocation: environment, backend, tables. */
#include <stdlib.h>
#include <sys/resource.h>

#include "trace.h"

#define ADDRESSES (64ul << 30)

struct hm_global hm;

static bool set_to(const char *name, const char *value)
{
	const char *text = secure_getenv(name);

	return text && !strcmp(text, value);
}

/* Where addresses are limited, half of them; the rest is for all else. */
static size_t addresses(void)
{
	struct rlimit limit;
	size_t size = ADDRESSES;

	if (!getrlimit(RLIMIT_AS, &limit) && limit.rlim_cur != RLIM_INFINITY)
		while (size > HSPAN_BLOCK_SIZE && size > limit.rlim_cur / 2)
			size /= 2;
	return size;
}

static bool open_backend(void)
{
	if (!set_to("HUGESPAN_BACKEND", "module"))
		return hm_pages_init(&hm_backend_embedded, addresses());
	if (hm_pages_init(&hs_backend_module, addresses()))
		return true;
	hs_log("libhugespan-malloc: no module backend: embedded\n");
	return hm_pages_init(&hm_backend_embedded, addresses());
}

/* None of this allocates with malloc(). */
static bool make(void)
{
	hm_classes_init();
	if (!open_backend() || !hm_span_init() || !hm_thread_init())
		return false;
	hm_purge_init(set_to("HUGESPAN_PURGE", "0"));
	if (set_to("HUGESPAN_HARDENED", "1")) {
		hm_hardened_init();
		hm.hardened = true;
	}
	hm.slow = hm.hardened || secure_getenv("HUGESPAN_LEAKS");
	/* From now on free(NULL) of another thread has to see where the range is. */
	hm_set_release(&hm.fast_size, hm.slow ? 0 : hm.size);
	return true;
}

static void start(void)
{
	const char *leaks = secure_getenv("HUGESPAN_LEAKS");

	if (leaks)
		hm_trace_init(leaks);
	hm_fork_init();
}

bool hm_init_slow(void)
{
	static spinlock_t lock;
	static bool failed;
	bool made = false;

	spin_lock(&lock);
	if (!hm.ready && !failed) {
		failed = !make();
		made = !failed;
		if (made)
			hm_set_release(&hm.ready, 1);
	}
	spin_unlock(&lock);
	if (made)
		start(); /* may allocate */
	return hm.ready;
}
