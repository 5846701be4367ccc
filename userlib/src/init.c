// SPDX-License-Identifier: MIT
/* Making and unmaking the heap: options, environment, backend. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "classes.h"
#include "final.h"
#include "limit.h"
#include "pacer.h"
#include "profile.h"
#include "share.h"
#include "stack.h"
#include "timed.h"
#include "work.h"

#define DEFAULT_ARENA (64ull << 30)
#define DEFAULT_MIN_HEAP (4u << 20)
#define OPTIONS_FIRST_SIZE offsetof(struct hspan_options, ignore) /* in the first release */

struct hs_heap hs = { .threads_lock = PTHREAD_MUTEX_INITIALIZER };

/* Serializes hspan_init() and hspan_shutdown(); outermost. */
static pthread_mutex_t init_lock = PTHREAD_MUTEX_INITIALIZER;

struct word {
	const char *name;
	unsigned int value;
};

static const struct word backends[] = {
	{ "auto", HSPAN_BACKEND_AUTO },
	{ "module", HSPAN_BACKEND_MODULE },
	{ "embedded", HSPAN_BACKEND_EMBEDDED },
	{ NULL, 0 },
};

static const struct word gc_modes[] = {
	{ "barrier", HSPAN_GC_BARRIER },
	{ "snapshot", HSPAN_GC_SNAPSHOT },
	{ NULL, 0 },
};

static const struct word debug_words[] = {
	{ "checkmark", HSPAN_DEBUG_CHECKMARK },
	{ "clobber", HSPAN_DEBUG_CLOBBER },
	{ "break-deletion", HS_DEBUG_BREAK_DELETION },
	{ "break-insertion", HS_DEBUG_BREAK_INSERTION },
	{ "break-termination", HS_DEBUG_BREAK_TERMINATION },
	{ "scan-avx2", HS_DEBUG_SCAN_AVX2 },
	{ "scan-portable", HS_DEBUG_SCAN_PORTABLE },
	{ "no-spans", HS_DEBUG_NO_SPANS },
	{ NULL, 0 },
};

static const struct word trace_words[] = {
	{ "gc", HSPAN_TRACE_GC },
	{ "limit", HSPAN_TRACE_LIMIT },
	{ "pacer", HSPAN_TRACE_PACER },
	{ "sweep", HSPAN_TRACE_SWEEP },
	{ "scavenge", HSPAN_TRACE_SCAVENGE },
	{ NULL, 0 },
};

static const struct word ignore_words[] = {
	{ "cgroup", HSPAN_IGNORE_CGROUP },
	{ "pressure", HSPAN_IGNORE_PRESSURE },
	{ NULL, 0 },
};

static const struct word *find_word(const struct word *words, const char *text, size_t len)
{
	for (; words->name; words++)
		if (strlen(words->name) == len && !memcmp(words->name, text, len))
			return words;
	return NULL;
}

/* Comma-separated names, or-ed into *@flags. */
static int parse_flags(const char *text, const struct word *words, unsigned int *flags)
{
	while (*text) {
		size_t len = strcspn(text, ",");
		const struct word *w = find_word(words, text, len);

		if (!w)
			return -EINVAL;
		*flags |= w->value;
		text += len + (text[len] == ',');
	}
	return 0;
}

static int parse_long(const char *text, long lo, long hi, long *out)
{
	char *end;

	errno = 0;
	*out = strtol(text, &end, 10);
	return errno || end == text || *end || *out < lo || *out > hi ? -EINVAL : 0;
}

static int parse_size(const char *text, size_t *out)
{
	static const char suffixes[] = "KMG";
	const char *suffix;
	unsigned int shift = 0;
	char *end;

	errno = 0;
	*out = strtoull(text, &end, 10);
	if (errno || end == text || *text == '-')
		return -EINVAL;
	if (*end) {
		suffix = strchr(suffixes, *end++);
		if (!suffix || *end)
			return -EINVAL;
		shift = 10 * (unsigned int)(suffix - suffixes + 1);
	}
	if (*out > SIZE_MAX >> shift)
		return -EINVAL;
	*out <<= shift;
	return 0;
}

/* One of several names. */
static int read_choice(const char *name, const struct word *words, unsigned int *value)
{
	const char *text = getenv(name);
	const struct word *w;

	if (!text)
		return 0;
	w = find_word(words, text, strlen(text));
	if (!w)
		return -EINVAL;
	*value = w->value;
	return 0;
}

static int read_number(const char *name, long lo, long hi, long *value)
{
	const char *text = getenv(name);

	return text ? parse_long(text, lo, hi, value) : 0;
}

static int read_size(const char *name, size_t *value)
{
	const char *text = getenv(name);

	return text ? parse_size(text, value) : 0;
}

static int read_flags(const char *name, const struct word *words, unsigned int *value)
{
	const char *text = getenv(name);

	return text ? parse_flags(text, words, value) : 0;
}

/* The environment overrides; the first error wins. */
static int read_environment(struct hspan_options *o)
{
	long percent = o->gc_percent, markers = o->markers, sig = o->signal;
	unsigned int backend = o->backend, mode = o->gc_mode;
	int ret = read_choice("HUGESPAN_BACKEND", backends, &backend);

	if (!ret)
		ret = read_choice("HUGESPAN_GC", gc_modes, &mode);
	if (!ret)
		ret = read_number("HUGESPAN_PERCENT", -1, 1000000, &percent);
	if (!ret)
		ret = read_number("HUGESPAN_MARKERS", 1, HS_MAX_MARKERS, &markers);
	if (!ret)
		ret = read_number("HUGESPAN_SIGNAL", 1, SIGRTMAX, &sig);
	if (!ret)
		ret = read_size("HUGESPAN_ARENA", &o->arena_size);
	if (!ret)
		ret = read_size("HUGESPAN_LIMIT", &o->memory_limit);
	if (!ret)
		ret = read_size("HUGESPAN_MIN_HEAP", &o->min_heap);
	if (!ret)
		ret = read_size("HUGESPAN_PROFILE_RATE", &o->profile_rate);
	if (!ret)
		ret = read_flags("HUGESPAN_DEBUG", debug_words, &o->debug);
	if (!ret)
		ret = read_flags("HUGESPAN_TRACE", trace_words, &o->trace);
	if (!ret)
		ret = read_flags("HUGESPAN_IGNORE", ignore_words, &o->ignore);
	o->backend = (enum hspan_backend)backend;
	o->gc_mode = (enum hspan_gc_mode)mode;
	o->gc_percent = (int)percent;
	o->markers = (unsigned int)markers;
	o->signal = (int)sig;
	return ret;
}

static int check_options(const struct hspan_options *o)
{
	if ((unsigned int)o->backend > HSPAN_BACKEND_EMBEDDED ||
	    (unsigned int)o->gc_mode > HSPAN_GC_SNAPSHOT || o->markers > HS_MAX_MARKERS)
		return -EINVAL;
	if (o->debug & ~(HSPAN_DEBUG_CHECKMARK | HSPAN_DEBUG_CLOBBER) ||
	    o->trace & ~(HSPAN_TRACE_GC | HSPAN_TRACE_LIMIT | HSPAN_TRACE_PACER |
			 HSPAN_TRACE_SWEEP | HSPAN_TRACE_SCAVENGE) ||
	    o->ignore & ~(HSPAN_IGNORE_CGROUP | HSPAN_IGNORE_PRESSURE))
		return -EINVAL;
	return 0;
}

/* Options of a later release that we do not know must be zero. */
static int copy_options(const struct hspan_options *given, struct hspan_options *o)
{
	const unsigned char *bytes = (const unsigned char *)given;
	size_t size = given->struct_size;

	if (size < OPTIONS_FIRST_SIZE || size > HS_STRUCT_MOST)
		return -EINVAL;
	for (size_t i = sizeof(*o); i < size; i++)
		if (bytes[i])
			return -EINVAL;
	memcpy(o, given, size < sizeof(*o) ? size : sizeof(*o));
	return 0;
}

/* As many as their share of the CPUs keeps busy. */
static unsigned int default_markers(void)
{
	unsigned int n = hs_share_cpus() / 4;

	return n < 1 ? 1 : n > HS_MAX_MARKERS ? HS_MAX_MARKERS : n;
}

static int settle(const struct hspan_options *given, struct hspan_options *o)
{
	int ret;

	if (given) {
		ret = copy_options(given, o);
		if (!ret)
			ret = check_options(o);
		if (ret)
			return ret;
	}
	ret = read_environment(o);
	if (ret)
		return ret;
	if (!o->markers)
		o->markers = default_markers();
	if (!o->signal)
		o->signal = SIGURG;
	if (!o->arena_size)
		o->arena_size = DEFAULT_ARENA;
	if (o->memory_limit && o->memory_limit < HSPAN_BLOCK_SIZE)
		o->memory_limit = HSPAN_BLOCK_SIZE; /* less would be none, or no limit */
	if (!o->min_heap)
		o->min_heap = DEFAULT_MIN_HEAP;
	if (o->arena_size > HSPAN_ARENA_MAX)
		return -EINVAL;
	o->arena_size = (o->arena_size + HSPAN_BLOCK_SIZE - 1) & ~(HSPAN_BLOCK_SIZE - 1);
	return 0;
}

static int try_backend(const struct hs_backend *backend, const struct hspan_options *o)
{
	int ret;

	hs.space = (struct hs_space){ .shared_bits = o->gc_mode == HSPAN_GC_SNAPSHOT };
	ret = backend->open(o->arena_size, &hs.space);
	if (!ret)
		hs.backend = backend;
	return ret;
}

static int open_backend(const struct hspan_options *o)
{
	int ret;

	if (o->gc_mode == HSPAN_GC_SNAPSHOT && o->backend == HSPAN_BACKEND_MODULE)
		return -ENOTSUP;
	if (o->gc_mode == HSPAN_GC_SNAPSHOT || o->backend == HSPAN_BACKEND_EMBEDDED)
		return try_backend(&hs_backend_embedded, o);
	ret = try_backend(&hs_backend_module, o);
	if (!ret || o->backend == HSPAN_BACKEND_MODULE)
		return ret;
	if (o->trace)
		hs_log("hugespan: no module backend (%s): embedded\n", strerror(-ret));
	return try_backend(&hs_backend_embedded, o);
}

static void publish(const struct hspan_options *o)
{
	hs.base = (uintptr_t)hs.space.data;
	hs.size = hs.space.size;
	hs.page_map = hs.space.page_map;
	hs.bits = hs.space.bits;
	hs.typed = hs.layout_used = hs.marking = false;
	hs.black_gen = 0;
	hs.config = (struct hs_config){
		.backend = o->backend,
		.markers = o->markers,
		.debug = o->debug,
		.trace = o->trace,
		.ignore = o->ignore,
		.signal = o->signal,
		.gc_mode = o->gc_mode,
		.arena_size = o->arena_size,
		.min_heap = o->min_heap,
	};
}

static void in_fork_child(void)
{
	struct hs_thread *t = hs_tls.self;

	if (!hs.ready)
		return;
	/*
	 * There is no collector here, the arena may be the parent's, and any lock
	 * may be held for ever: so nothing may be asked of this thread any more.
	 */
	hs.forked = true;
	hs.marking = false;
	if (t == &hs_nobody)
		return;
	t->barrier = false;
	t->done = hs_handshake_current();
	hs_tls.deferred = 0;
	if (t->state == HS_CLAIMED)
		t->state = HS_PARKED;
	for (int i = 0; i < HSPAN_NR_SPAN_CLASSES; i++)
		t->run[i].end = NULL;
}

static int start_threads(void)
{
	int ret = hs_handshake_init();

	if (ret)
		return ret;
	ret = hs_collector_start();
	if (ret)
		return ret;
	ret = hs_watch_start();
	if (ret)
		hs_collector_stop();
	return ret;
}

static int make(const struct hspan_options *given)
{
	static bool forks_watched;
	struct hspan_options o = HSPAN_OPTIONS_INIT;
	int ret = settle(given, &o);

	if (ret)
		return ret;
	ret = open_backend(&o);
	if (ret)
		return ret;
	publish(&o);
	hs_pacer_init(o.gc_percent);
	ret = hs_limit_init(o.memory_limit);
	if (!ret)
		ret = start_threads();
	if (ret) {
		hs.backend->close();
		return ret;
	}
	if (!forks_watched)
		forks_watched = !pthread_atfork(NULL, NULL, in_fork_child);
	hs_set_release(&hs.ready, 1);
	hs_profile_at_start(o.profile_rate);
	return 0;
}

static int make_once(const struct hspan_options *options)
{
	int ret = -EALREADY;

	pthread_mutex_lock(&init_lock);
	if (!hs.ready)
		ret = make(options);
	pthread_mutex_unlock(&init_lock);
	return ret;
}

/* The heap with defaults, if there is none yet. */
int hs_ensure_init(void)
{
	int ret;

	if (likely(hs_load_acquire(&hs.ready)))
		return 0;
	ret = make_once(NULL);
	return ret == -EALREADY ? 0 : ret;
}

HS_EXPORT int hspan_init(const struct hspan_options *options)
{
	int ret = make_once(options);

	if (ret || hs_thread_join())
		return ret;
	ret = -errno;
	hspan_shutdown();
	return ret;
}

HS_EXPORT int hspan_shutdown(void)
{
	int ret = -EBUSY, stopped;

	if (hs.forked)
		return -ENOTSUP;
	pthread_mutex_lock(&init_lock);
	if (!hs.ready) {
		ret = -ENOENT;
		goto out;
	}
	stopped = hs_final_stop();
	if (stopped < 0)
		goto out;
	hs_lock_threads();
	if (hs.nr_threads == (hs_tls.self != &hs_nobody) && !hs_tls.self->stack)
		ret = 0;
	pthread_mutex_unlock(&hs.threads_lock);
	if (ret && stopped)
		hspan_finalizers_start();
	if (ret)
		goto out;
	hs_profile_at_end();
	hs_collector_stop();
	hs_watch_stop(); /* nobody is left to wake it */
	hspan_thread_unregister();
	hs_handshake_exit();
	hs_roots_reset();
	hs_pools_reset();
	hs_specials_reset();
	hs_timed_reset();
	hs_stacks_reset();
	hs_work_reset();
	hs_sweep_reset();
	hs_snapshot_reset();
	hs_classes_reset();
	hs_profile_reset();
	hs_checkmark_reset();
	hs_set_release(&hs.ready, 0);
	hs.backend->close();
	hs.backend = NULL;
out:
	pthread_mutex_unlock(&init_lock);
	return ret;
}

HS_EXPORT const char *hspan_version(void)
{
	return HSPAN_VERSION;
}

HS_EXPORT const char *hspan_backend_name(void)
{
	return hs_load_acquire(&hs.ready) ? hs.backend->name : NULL;
}
