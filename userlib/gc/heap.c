// SPDX-License-Identifier: MIT
/*
 * libgc's allocation calls on the library's heap.
 *
 * As libgc does, every object gets a byte more than is asked for, so that a
 * pointer to its end keeps it too; and all are aligned to 16.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hg.h"

#define LEAST_ARENA (256ul << 20)
#define MOST_ARENA  (64ul << 30)
#define MIN_HEAP    (16ul << 20) /* below that collections are not worth while */
#define MANY_BYTES  4096u	 /* what GC_malloc_many() gives at once */

struct hg hg = {
	.alloc_lock = PTHREAD_MUTEX_INITIALIZER,
	.tables_lock = PTHREAD_MUTEX_INITIALIZER,
	.attention = HG_NOT_READY,
};

static GC_abort_func abort_func;

void hg_abort(const char *message)
{
	if (abort_func)
		abort_func(message);
	else
		hs_log("%s\n", message);
	abort();
}

void GC_set_abort_func(GC_abort_func fn)
{
	abort_func = fn;
}

GC_abort_func GC_get_abort_func(void)
{
	return abort_func;
}

void GC_abort_on_oom(void)
{
	if (abort_func)
		abort_func(NULL);
	else
		hs_log("Insufficient memory for the allocation\n");
	exit(1);
}

void *hg_out_of_memory(size_t size)
{
	return GC_oom_fn(size);
}

/* The heap ----------------------------------------------------------------- */

/* Where there are fewer addresses than we like to have, less will do. */
static int make_heap(struct hspan_options *o)
{
	int ret;

	do {
		ret = hspan_init(o);
		o->arena_size /= 2;
	} while (ret == -ENOMEM && o->arena_size >= LEAST_ARENA && !getenv("HUGESPAN_ARENA"));
	return ret;
}

static void init(void)
{
	struct hspan_options o = HSPAN_OPTIONS_INIT;
	const char *stop_us = getenv("HUGESPAN_STOP");
	char line[96];
	int ret;

	o.backend = HSPAN_BACKEND_EMBEDDED;
	o.gc_mode = HSPAN_GC_SNAPSHOT;
	o.signal = GC_get_suspend_signal();
	o.arena_size = MOST_ARENA;
	o.min_heap = MIN_HEAP;
	if (stop_us)
		hg_hooks.stop_ns = strtoull(stop_us, NULL, 10) * 1000;
	hs.hooks = &hg_hooks;
	ret = make_heap(&o);
	if (!ret && hs.config.gc_mode != HSPAN_GC_SNAPSHOT)
		ret = -ENOTSUP;
	if (ret) {
		snprintf(line, sizeof(line), "hugespan: no heap for libgc: %s", strerror(-ret));
		hg_abort(line);
	}
	GC_least_plausible_heap_addr = (void *)hs.base;
	GC_greatest_plausible_heap_addr = (void *)(hs.base + hs.size);
	hg_fork_init();
	if (getenv("GC_DONT_GC"))
		GC_disable();
	__atomic_fetch_and(&hg.attention, ~HG_NOT_READY, __ATOMIC_RELEASE);
}

void GC_init(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, init);
}

bool hg_ready(void)
{
	if (unlikely(hs_load_acquire(&hg.attention) & HG_NOT_READY))
		GC_init();
	return true;
}

int GC_is_init_called(void)
{
	return hs_load_acquire(&hs.ready);
}

void GC_deinit(void)
{
}

/* Allocation --------------------------------------------------------------- */

/* It takes no part because it blocks the signal: libgc has it unblocked, too. */
static bool unblock(void)
{
	sigset_t set;

	if (errno != EDEADLK)
		return false;
	sigemptyset(&set);
	sigaddset(&set, hs.config.signal);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	return true;
}

static void *get(size_t size, bool noscan)
{
	void *p;

	do {
		p = noscan ? hspan_alloc_noscan(size) : hspan_alloc(size);
	} while (!p && unblock());
	return p;
}

static __attribute__((noinline)) void *alloc_slow(size_t size, bool noscan)
{
	void *p;

	hg_ready();
	if (hs.forked)
		return hg_fork_alloc(size);
	if (size > hs.size)
		return hg_out_of_memory(size);
	if (hs_load(&hg.attention) & (HG_CYCLE_ENDED | HG_FINALIZERS))
		hg_attend();
	p = get(hg_round(size, 1), noscan);
	if (!p)
		return hg_out_of_memory(size);
	if (hs_load_acquire(&hg.kinds))
		hg_set_kind(p, 0);
	return p;
}

static inline __attribute__((always_inline)) void *alloc(size_t size, bool noscan)
{
	void *p;

	if (likely(!hs_load(&hg.attention) && size < HSPAN_SMALL_MAX)) {
		p = noscan ? hspan_alloc_noscan(hg_round(size, 1)) : hspan_alloc(hg_round(size, 1));
		if (likely(p))
			return p;
	}
	return alloc_slow(size, noscan);
}

void *hg_alloc(size_t size, bool noscan)
{
	return alloc(size, noscan);
}

void *GC_malloc(size_t size)
{
	return alloc(size, false);
}

void *GC_malloc_atomic(size_t size)
{
	return alloc(size, true);
}

void *GC_malloc_ignore_off_page(size_t size)
{
	return alloc(size, false);
}

void *GC_malloc_atomic_ignore_off_page(size_t size)
{
	return alloc(size, true);
}

void *GC_malloc_stubborn(size_t size)
{
	return alloc(size, false);
}

void *GC_memalign(size_t alignment, size_t size)
{
	void *p;

	if (alignment <= 16)
		return alloc(size, false);
	hg_ready();
	if (hs.forked || size > hs.size)
		return hg_out_of_memory(size);
	do {
		p = hspan_alloc_aligned(alignment, hg_round(size, 1));
	} while (!p && unblock());
	if (!p)
		return hg_out_of_memory(size);
	if (hs_load_acquire(&hg.kinds))
		hg_set_kind(hspan_base(p), 0);
	return p;
}

int GC_posix_memalign(void **memptr, size_t alignment, size_t size)
{
	void *p;

	if (!alignment || alignment & (alignment - 1) || alignment % sizeof(void *))
		return EINVAL;
	p = GC_memalign(alignment, size);
	if (!p)
		return ENOMEM;
	*memptr = p;
	return 0;
}

/* A list through first words; whoever takes it looks after it. */
void GC_generic_malloc_many(size_t size, int kind, void **result)
{
	size_t n = MANY_BYTES / hg_round(size, 0);
	void *list = NULL;

	do {
		void **p = hg_kind_alloc(size - (size > 0), (unsigned int)kind);

		if (!p)
			break;
		*p = list;
		list = p;
	} while (n && --n);
	*result = list;
}

void *GC_malloc_many(size_t size)
{
	void *list;

	GC_generic_malloc_many(hg_round(size, 1), 1, &list);
	return list;
}

char *GC_strndup(const char *s, size_t most)
{
	size_t n = strnlen(s, most);
	char *copy = GC_malloc_atomic(n + 1);

	if (!copy) {
		errno = ENOMEM;
		return NULL;
	}
	copy[n] = 0;
	return memcpy(copy, s, n);
}

char *GC_strdup(const char *s)
{
	return s ? GC_strndup(s, SIZE_MAX) : NULL;
}

/* Objects that exist ------------------------------------------------------- */

static bool find(const void *p, struct hs_object *o)
{
	return hs_load_acquire(&hs.ready) && hs_find((uintptr_t)p, o) && hs_is_allocated(o) &&
	       (uintptr_t)p - o->base < hs_object_size(o);
}

void *GC_base(void *p)
{
	struct hs_object o;

	return find(p, &o) ? (void *)o.base : NULL;
}

size_t GC_size(const void *p)
{
	struct hs_object o;
	size_t size;

	if (hs.forked && hg_fork_size(p, &size))
		return size;
	return find(p, &o) ? hs_object_size(&o) : 0;
}

int GC_is_heap_ptr(const void *p)
{
	struct hs_object o;

	return find(p, &o);
}

/*
 * Where the heap cannot take an object back at once, it is at least to keep nothing
 * alive when a stale word leads to it.
 */
void GC_free(void *p)
{
	struct hs_object o;
	struct hg_entry *e;

	if (!p || hs.forked)
		return;
	if (find(p, &o) && !(o.span_class & 1) && o.base == (uintptr_t)p)
		memset(p, 0, hs_object_size(&o));
	if (unlikely(hg_kind(p) & HG_UNCOLLECTABLE)) {
		hg_lock();
		e = hg_table_find(&hg.uncollectable, (uintptr_t)p);
		if (e)
			hg_table_remove(&hg.uncollectable, e);
		hg_set_kind(p, 0);
		hg_unlock();
	}
	hspan_free(p);
}

static void *copy_of(void *p, size_t old, size_t size, void *copy)
{
	if (!copy)
		return NULL;
	memcpy(copy, p, old < size ? old : size);
	GC_free(p);
	return copy;
}

void *GC_realloc(void *p, size_t size)
{
	struct hs_object o;
	size_t old;

	if (!p)
		return GC_malloc(size);
	if (!size) {
		GC_free(p);
		return NULL;
	}
	if (hs.forked)
		return hg_fork_size(p, &old) ? copy_of(p, old, size, hg_fork_alloc(size)) : NULL;
	if (!find(p, &o))
		hg_abort("GC_realloc: not an object");
	old = hs_object_size(&o);
	if (size < old && (size >= old / 2 || old <= 32) && !hg_kind(p)) {
		if (!(o.span_class & 1))
			memset((char *)p + size, 0, old - size);
		return p;
	}
	return copy_of(p, old, size, hg_kind_copy_of(&o, size));
}

/* Pointers that are looked at ---------------------------------------------- */

static void not_the_same(void *p, void *q)
{
	hs_log("GC_same_obj: %p and %p are not in the same object\n", p, q);
	hg_abort("GC_same_obj test failed");
}

static void bad_pointer(void *p)
{
	hs_log("%p\n", p);
	hg_abort("GC_is_visible or GC_is_valid_displacement test failed");
}

void (*GC_same_obj_print_proc)(void *p, void *q) = not_the_same;
void (*GC_is_valid_displacement_print_proc)(void *p) = bad_pointer;
void (*GC_is_visible_print_proc)(void *p) = bad_pointer;

void *GC_same_obj(void *p, void *q)
{
	if (hg_ready() && hs_in_heap((uintptr_t)q) && GC_base(p) != GC_base(q))
		GC_same_obj_print_proc(p, q);
	return p;
}

/* A pointer to anywhere in an object will do. */
void *GC_is_valid_displacement(void *p)
{
	return p;
}

void *GC_is_visible(void *p)
{
	return p;
}

void *GC_pre_incr(void **p, ptrdiff_t by)
{
	return *p = GC_same_obj((char *)*p + by, *p);
}

void *GC_post_incr(void **p, ptrdiff_t by)
{
	void *was = *p;

	*p = GC_same_obj((char *)was + by, was);
	return was;
}

void GC_register_displacement(size_t n)
{
	(void)n;
}

GC_API void GC_noop1(GC_word x); /* gc.h has it for other compilers */

void GC_noop1(GC_word x)
{
	(void)x;
}

void *GC_clear_stack(void *p)
{
	return p;
}

void GC_change_stubborn(const void *p)
{
	(void)p;
}

void GC_end_stubborn_change(const void *p)
{
	(void)p;
}
