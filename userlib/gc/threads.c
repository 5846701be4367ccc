// SPDX-License-Identifier: MIT
/*
 * Threads, as libgc has them: those it makes, those that register, and those that
 * block.
 *
 * A thread takes part from its first allocation anyway.  What it was given to
 * start with is held for it until it does, and what it ends with until somebody
 * has it by GC_pthread_join(), or it is detached.
 */
#include <errno.h>

#include "hg.h"

static int suspend_signal = SIGPWR; /* libgc's: programs leave it alone */

/** struct start - what a thread begins with; an object that is not freed */
struct start {
	void *(*fn)(void *);
	void *arg;
};

static void forget(pthread_t thread)
{
	struct hg_entry *e;

	hg_lock();
	e = hg_table_find(&hg.threads, (uintptr_t)thread);
	if (e)
		hg_table_remove(&hg.threads, e);
	hg_unlock();
}

static void keep(pthread_t thread, void *result)
{
	pthread_attr_t attr;
	struct hg_entry *e;
	int state = PTHREAD_CREATE_JOINABLE;

	if (!pthread_getattr_np(thread, &attr)) {
		pthread_attr_getdetachstate(&attr, &state);
		pthread_attr_destroy(&attr);
	}
	if (state != PTHREAD_CREATE_JOINABLE)
		return;
	hg_lock();
	e = hg_table_find(&hg.threads, (uintptr_t)thread);
	if (!e)
		e = hg_table_add(&hg.threads, (uintptr_t)thread);
	if (e)
		e->obj = (uintptr_t)result;
	hg_unlock();
}

static void unblock_signal(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, hs.config.signal);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

static void *run(void *arg)
{
	struct start *given = arg, start;
	void *result;

	unblock_signal();
	hspan_thread_register();
	start = *given;
	GC_free(given);
	result = start.fn(start.arg);
	keep(pthread_self(), result);
	return result;
}

int GC_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *), void *arg)
{
	struct start *start;
	int ret;

	hg_ready();
	if (hs.forked)
		return pthread_create(thread, attr, fn, arg);
	start = GC_malloc_uncollectable(sizeof(*start));
	if (!start)
		return ENOMEM;
	*start = (struct start){fn, arg};
	ret = pthread_create(thread, attr, run, start);
	if (ret)
		GC_free(start);
	return ret;
}

/** struct joining - what GC_pthread_join() does while it is parked */
struct joining {
	pthread_t thread;
	void **result;
	int ret;
};

static void *join(void *arg)
{
	struct joining *j = arg;

	j->ret = pthread_join(j->thread, j->result);
	return NULL;
}

int GC_pthread_join(pthread_t thread, void **result)
{
	struct joining j = {thread, result, 0};

	GC_do_blocking(join, &j);
	if (!j.ret)
		forget(thread);
	return j.ret;
}

int GC_pthread_detach(pthread_t thread)
{
	int ret = pthread_detach(thread);

	if (!ret)
		forget(thread);
	return ret;
}

void GC_pthread_exit(void *result)
{
	if (hs_load_acquire(&hs.ready) && !hs.forked)
		keep(pthread_self(), result);
	pthread_exit(result);
}

int GC_pthread_cancel(pthread_t thread)
{
	return pthread_cancel(thread);
}

/* The signal that stops threads is never blocked. */
int GC_pthread_sigmask(int how, const sigset_t *set, sigset_t *old)
{
	sigset_t without;

	if (set && (how == SIG_BLOCK || how == SIG_SETMASK)) {
		without = *set;
		sigdelset(&without, GC_get_suspend_signal());
		set = &without;
	}
	return pthread_sigmask(how, set, old);
}

void *GC_dlopen(const char *path, int mode)
{
	return dlopen(path, mode);
}

/* Registering -------------------------------------------------------------- */

void GC_set_suspend_signal(int sig)
{
	if (!GC_is_init_called())
		suspend_signal = sig;
}

int GC_get_suspend_signal(void)
{
	return GC_is_init_called() ? hs.config.signal : suspend_signal;
}

/* Threads wait for a futex, not for a second signal. */
void GC_set_thr_restart_signal(int sig)
{
	(void)sig;
}

int GC_get_thr_restart_signal(void)
{
	return GC_get_suspend_signal();
}

void GC_allow_register_threads(void)
{
}

int GC_register_my_thread(const struct GC_stack_base *base)
{
	(void)base; /* the whole stack is looked at */
	hg_ready();
	unblock_signal();
	return hspan_thread_register() ? GC_DUPLICATE : GC_SUCCESS;
}

int GC_unregister_my_thread(void)
{
	hspan_thread_unregister();
	return GC_SUCCESS;
}

int GC_thread_is_registered(void)
{
	return hs_tls.self != &hs_nobody;
}

void GC_register_altstack(void *stack, GC_word size, void *altstack, GC_word altsize)
{
	(void)stack;
	(void)size;
	(void)altstack;
	(void)altsize;
}

/* Stacks ------------------------------------------------------------------- */

int GC_get_stack_base(struct GC_stack_base *base)
{
	pthread_attr_t attr;
	void *lo;
	size_t size;

	if (pthread_getattr_np(pthread_self(), &attr))
		return GC_UNIMPLEMENTED;
	pthread_attr_getstack(&attr, &lo, &size);
	pthread_attr_destroy(&attr);
	base->mem_base = (char *)lo + size;
	return GC_SUCCESS;
}

void *GC_get_my_stackbottom(struct GC_stack_base *base)
{
	GC_get_stack_base(base);
	return hs_tls.self;
}

void *GC_call_with_stack_base(GC_stack_base_func fn, void *arg)
{
	struct GC_stack_base base = {__builtin_frame_address(0)};
	void *result = fn(&base, arg);

	__asm__ volatile("" : : "r"(&base) : "memory"); /* no tail call: the frame stays */
	return result;
}

/*
 * While a thread blocks its stack is looked at as it stands.  What runs with the
 * collector active in between is looked at with all that is above it.
 */
void *GC_do_blocking(GC_fn_type fn, void *data)
{
	void *result;

	hspan_thread_park();
	result = fn(data);
	hspan_thread_unpark();
	return result;
}

void *GC_call_with_gc_active(GC_fn_type fn, void *data)
{
	bool parked = hs_tls.self != &hs_nobody && hs_load(&hs_tls.self->state) != HS_RUNNING;
	void *result;

	hspan_thread_unpark();
	result = fn(data);
	if (parked)
		hspan_thread_park();
	return result;
}

/* Locks -------------------------------------------------------------------- */

void GC_alloc_lock(void)
{
	pthread_mutex_lock(&hg.alloc_lock);
}

void GC_alloc_unlock(void)
{
	pthread_mutex_unlock(&hg.alloc_lock);
}

void *GC_call_with_alloc_lock(GC_fn_type fn, void *data)
{
	void *result;

	GC_alloc_lock();
	result = fn(data);
	GC_alloc_unlock();
	return result;
}

void GC_start_mark_threads(void)
{
}
