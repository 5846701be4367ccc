// SPDX-License-Identifier: MIT
/*
 * Finalizers and cleanups: which are due when marking ends, and calling them.
 *
 * An object with a finalizer that is found dead lives on until the finalizer has
 * been called with it, with all that it reaches: that is marked here, while
 * marking is still open, and nobody but the collector can reach any of it.  So
 * what a finalizer gets is whole.
 */
#include <errno.h>
#include <limits.h>
#include <signal.h>

#include "bits.h"
#include "final.h"
#include "specials.h"
#include "work.h"

/**
 * struct final - the library's own thread that calls finalizers, if there is one
 * @wake: futex that moves when some are due, or it is to stop
 */
static struct {
	pthread_t thread;
	bool runs;
	int stop;
	int wake;
} final;

int hs_special_begin(const void *object)
{
	struct hs_thread *t = hs.forked ? NULL : hs_thread_join();

	if (!t)
		return hs.forked ? -ENOTSUP : -errno;
	if (hs.config.gc_mode == HSPAN_GC_SNAPSHOT)
		return -ENOTSUP; /* nobody shades */
	if (object && !hspan_base(object))
		return -EINVAL;
	hs_begin_slow();
	hs_enter();
	hs_specials_lock();
	return 0;
}

void hs_special_end(void)
{
	hs_specials_unlock();
	hs_leave();
	hs_end_slow();
}

/* What is due -------------------------------------------------------------- */

static bool is_pointer(const struct hs_object *o, const uintptr_t *p)
{
	size_t i = (size_t)((uintptr_t)p - (uintptr_t)hs_page_address(o->page)) >> 3;

	return !hs_load(&hs.typed) || o->span_class >> 1 == 1 ||
	       !(hs_load(&hs_plane1(o->page)[i >> 6]) >> (i & 63) & 1);
}

/* What a dead object points to; @but what lies in itself, if that is not to count. */
__attribute__((no_sanitize("address", "thread"))) static void
shade_children(const struct hs_object *o, bool but_self, struct hs_chunk **chunk)
{
	size_t size = hs_object_size(o);
	uintptr_t *p = (uintptr_t *)o->base, *end = p + size / sizeof(*p);

	for (; p < end && !(o->span_class & 1); p++) {
		uintptr_t word = hs_load(p);

		if (hs_in_heap(word) && !(but_self && word - o->base < size) && is_pointer(o, p))
			hs_chunk_add(chunk, word);
	}
}

/** struct pass - one pass over the finalizers */
struct pass {
	struct hs_chunk *chunk;
	bool last; /* those of order HSPAN_FINALIZE_LAST, or the others? */
};

/* What hangs from an object with a finalizer is finalized after it. */
static void shade_below(struct hs_special *e, void *arg)
{
	struct pass *pass = arg;
	struct hs_object o;

	if (e->kind == HS_FINALIZER && e->order != HSPAN_FINALIZE_UNORDERED &&
	    !hs_special_alive(e->object) && hs_find(e->object, &o))
		shade_children(&o, e->order == HSPAN_FINALIZE_IGNORE_SELF, &pass->chunk);
}

static void tell_due(struct hs_special *e, void *arg)
{
	struct pass *pass = arg;
	uintptr_t object = e->object;

	if (e->kind != HS_FINALIZER || (e->order == HSPAN_FINALIZE_LAST) != pass->last ||
	    hs_special_alive(object))
		return;
	hs_special_due(e);
	hs_chunk_add(&pass->chunk, object);
}

static void tell_cleanup(struct hs_special *e, void *arg)
{
	(void)arg;
	if (e->kind == HS_CLEANUP && !hs_special_alive(e->object))
		hs_special_due(e);
}

/* Marked are only those that a pass has come upon when it is over. */
static void mark_pass(struct hs_marker *m, hs_special_fn *fn, bool last)
{
	struct pass pass = {.last = last};

	hs_specials_each(fn, &pass);
	if (!pass.chunk)
		return;
	hs_work_push(pass.chunk);
	hs_collector_drain(m);
	hs_ephemerons_mark(m);
}

static void wake(void)
{
	__atomic_fetch_add(&final.wake, 1, __ATOMIC_SEQ_CST);
	hs_futex_wake(&final.wake, INT_MAX);
}

/* The weak word is closed: no mutator can come upon what is white. */
void hs_final_settle(struct hs_marker *m)
{
	if (hs_specials_exist()) {
		hs_specials_each(hs_weak_clear_short, NULL);
		hs_weak_revive();
		mark_pass(m, shade_below, false);
		mark_pass(m, tell_due, false);
		mark_pass(m, tell_due, true);
		hs_specials_each(hs_weak_clear_rest, NULL);
		hs_specials_each(tell_cleanup, NULL);
		hs_specials_lock();
		hs_specials_publish();
		hs_specials_unlock();
	}
	hs_weak_settled();
	if (hs_specials_due())
		wake();
}

/* Registering -------------------------------------------------------------- */

/* Under the lock. */
static __attribute__((noinline)) int
set_finalizer(uintptr_t object, const struct hspan_finalizer *new, struct hspan_finalizer *old)
{
	struct hs_special *e = hs_special_find(HS_FINALIZER, object);
	struct hs_special s = {.object = object, .kind = HS_FINALIZER};

	if (old)
		*old = (struct hspan_finalizer){0};
	if (new) {
		s.arg = (uintptr_t) new->arg;
		s.value = (uintptr_t) new->fn;
		s.order = (uint8_t) new->order;
	}
	if (old && e)
		*old = (struct hspan_finalizer){(void (*)(void *, void *))e->value, (void *)e->arg,
						e->order};
	hs_barrier_shade(hs_tls.self, e ? e->arg : 0, s.arg);
	if (!e)
		return new && !hs_special_add(&s) ? -ENOMEM : 0;
	if (!new)
		hs_special_remove(e);
	else
		e->arg = s.arg, e->value = s.value, e->order = s.order;
	return 0;
}

HS_EXPORT int hspan_finalizer_set(void *object, const struct hspan_finalizer *finalizer,
				  struct hspan_finalizer *old)
{
	int ret;

	if (!object || (finalizer && (!finalizer->fn || finalizer->order > HSPAN_FINALIZE_LAST)))
		return -EINVAL;
	ret = hs_special_begin(object);
	if (ret)
		return ret;
	ret = hspan_base(object) == object ? set_finalizer((uintptr_t)object, finalizer, old)
					   : -EINVAL;
	hs_special_end();
	return ret;
}

HS_EXPORT int hspan_cleanup_add(void *object, void (*fn)(void *arg), void *arg)
{
	struct hs_special e = {.object = (uintptr_t)object,
			       .arg = (uintptr_t)arg,
			       .value = (uintptr_t)fn,
			       .kind = HS_CLEANUP};
	int ret = object && fn ? hs_special_begin(object) : -EINVAL;

	if (ret)
		return ret;
	hs_barrier_shade(hs_tls.self, 0, e.arg);
	ret = hs_special_add(&e) ? 0 : -ENOMEM;
	hs_special_end();
	return ret;
}

/* Under the lock. */
static __attribute__((noinline)) int remove_cleanup(uintptr_t object, uintptr_t fn, uintptr_t arg)
{
	struct hs_special *e = hs_special_find(HS_CLEANUP, object);

	while (e && (e->value != fn || e->arg != arg))
		e = hs_special_next(e);
	if (!e)
		return -ENOENT;
	hs_barrier_shade(hs_tls.self, arg, 0);
	hs_special_remove(e);
	return 0;
}

HS_EXPORT int hspan_cleanup_remove(void *object, void (*fn)(void *arg), void *arg)
{
	int ret = hs_special_begin(NULL);

	if (ret)
		return ret;
	ret = remove_cleanup((uintptr_t)object, (uintptr_t)fn, (uintptr_t)arg);
	hs_special_end();
	return ret;
}

/* Calling ------------------------------------------------------------------ */

/* What is taken from the table was kept by it, and is now by our stack. */
static bool take(struct hs_special *e)
{
	bool taken;

	if (!hs_specials_due() || hs_special_begin(NULL))
		return false;
	taken = hs_special_take(e);
	if (taken)
		hs_barrier_shade(hs_tls.self, e->object, e->arg);
	hs_special_end();
	return taken;
}

HS_EXPORT size_t hspan_finalizers_run(void)
{
	struct hs_special e;
	size_t n = 0;

	for (; take(&e); n++) {
		if (e.object)
			((void (*)(void *, void *))e.value)((void *)e.object, (void *)e.arg);
		else
			((void (*)(void *))e.value)((void *)e.arg);
	}
	return n;
}

static void all_due(struct hs_special *e, void *arg)
{
	(void)arg;
	if (e->kind != HS_FINALIZER && e->kind != HS_CLEANUP)
		return;
	if (e->kind == HS_FINALIZER)
		hs_barrier_shade(hs_tls.self, e->object, 0); /* it may be white */
	hs_special_due(e);
	hs_specials_publish();
}

/* Whether there are more from *@at on. */
static __attribute__((noinline)) bool some_due(struct hs_thread *t, uint32_t *at)
{
	bool left = true, late;

	hs_enter();
	late = t->barrier && !hs_weak_touch() && !hs_weak_is_settled();
	if (!late)
		left = hs_specials_some(at, all_due, NULL);
	hs_leave();
	if (late)
		hs_weak_wait();
	return left;
}

HS_EXPORT size_t hspan_finalizers_run_all(void)
{
	struct hs_thread *t = hs_specials_exist() && !hs.forked ? hs_thread_join() : NULL;
	uint32_t at = 0;

	while (t && some_due(t, &at))
		;
	return hspan_finalizers_run();
}

HS_EXPORT size_t hspan_finalizers_due(void)
{
	return hs_specials_due();
}

/* A thread for it ---------------------------------------------------------- */

static void *call_finalizers(void *arg)
{
	int seen;

	(void)arg;
	if (hspan_thread_register()) {
		hs_log("hugespan: the finalizers' thread cannot take part\n");
		return NULL;
	}
	while (seen = __atomic_load_n(&final.wake, __ATOMIC_SEQ_CST),
	       !hs_load_acquire(&final.stop)) {
		if (hspan_finalizers_run())
			continue;
		hspan_thread_park();
		hs_futex_wait(&final.wake, seen, 0);
		hspan_thread_unpark();
	}
	return NULL;
}

/* It takes part, so the handshake signal is for it, and no other. */
static int start(void)
{
	sigset_t set, old;
	int ret;

	hs_set(&final.stop, 0);
	sigfillset(&set);
	sigdelset(&set, hs.config.signal);
	pthread_sigmask(SIG_SETMASK, &set, &old);
	ret = -pthread_create(&final.thread, NULL, call_finalizers, NULL);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	final.runs = !ret;
	return ret;
}

HS_EXPORT int hspan_finalizers_start(void)
{
	int ret = hs.forked ? -ENOTSUP : hs_ensure_init();

	if (ret)
		return ret;
	hs_lock_threads();
	ret = final.runs ? -EALREADY : start();
	pthread_mutex_unlock(&hs.threads_lock);
	return ret;
}

/* For hspan_shutdown(): 1 if there was one, -EBUSY if it is the one who asks. */
int hs_final_stop(void)
{
	if (!final.runs)
		return 0;
	if (pthread_equal(final.thread, pthread_self()))
		return -EBUSY;
	hs_set_release(&final.stop, 1);
	wake();
	hspan_thread_park();
	pthread_join(final.thread, NULL);
	hspan_thread_unpark();
	final.runs = false;
	return 1;
}
