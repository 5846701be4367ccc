// SPDX-License-Identifier: MIT
/*
 * Threads that take part: joining, leaving, parking, and where their stacks
 * and registers are.
 */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bits.h"
#include "classes.h"
#include "pacer.h"
#include "stack.h"
#include "work.h"

#define ALTSTACK_SIZE (64u << 10)
#define MAIN_STACK_GAP (128ul << 20) /* the least that Linux leaves below its top */

struct hs_thread hs_nobody = { .barrier = true };
__thread struct hs_tls hs_tls __attribute__((tls_model("initial-exec"))) = { .self = &hs_nobody };
HS_EXPORT __thread struct hspan_run *hspan_runs = hs_nobody.run;

static pthread_key_t exit_key;

/*
 * The thread is @t from now on.  For the oracle, what is inlined in the program
 * finds nothing: it may keep the end of a run, which is the start of some object,
 * in a register that the oracle believes.
 */
static void become(struct hs_thread *t)
{
	hs_tls.self = t;
	hspan_runs = hs.config.debug & HSPAN_DEBUG_CHECKMARK ? hs_nobody.run : t->run;
}

static int find_stack(struct hs_thread *t)
{
	pthread_attr_t attr;
	void *lo;
	size_t size;
	int ret = pthread_getattr_np(pthread_self(), &attr);

	if (ret)
		return -ret;
	ret = -pthread_attr_getstack(&attr, &lo, &size);
	pthread_attr_destroy(&attr);
	t->stack_lo = (uintptr_t)lo;
	t->stack_hi = (uintptr_t)lo + size;
	/* The first thread's limit may be raised later; nothing else is near. */
	if (t->tid == getpid() && size < MAIN_STACK_GAP)
		t->stack_lo = t->stack_hi - MAIN_STACK_GAP;
	return ret;
}

/* Handshakes run on a stack of their own: a thread's may be small, or full. */
static int give_altstack(struct hs_thread *t)
{
	stack_t old, new = { .ss_size = ALTSTACK_SIZE };

	if (hs.hooks && hs.hooks->on_thread_stack)
		return 0;
	if (sigaltstack(NULL, &old) == 0 && !(old.ss_flags & SS_DISABLE))
		return 0; /* the program's own will do */
	t->altstack = hs_map(ALTSTACK_SIZE);
	if (!t->altstack)
		return -ENOMEM;
	new.ss_sp = t->altstack;
	return sigaltstack(&new, NULL) ? -errno : 0;
}

static void take_altstack(struct hs_thread *t)
{
	stack_t off = { .ss_flags = SS_DISABLE }, now;

	if (!t->altstack)
		return;
	if (sigaltstack(NULL, &now) == 0 && now.ss_sp == t->altstack)
		sigaltstack(&off, NULL);
	hs_unmap(t->altstack, ALTSTACK_SIZE);
}

static bool signal_blocked(void)
{
	sigset_t set;

	pthread_sigmask(SIG_BLOCK, NULL, &set);
	return sigismember(&set, hs.config.signal) == 1;
}

/* A thread that joins while a mark phase runs starts as if it had acked all. */
static void catch_up(struct hs_thread *t)
{
	t->barrier = hs_load(&hs.marking) && hs.config.gc_mode == HSPAN_GC_BARRIER;
	t->black_gen = hs_load_acquire(&hs.black_gen);
	if (!t->barrier || t->black_gen != hs_sweepgen())
		return;
	hs_stacks_shade(t);
	hs_barrier_flush(t);
}

/* Whoever takes part must be able to ack while it waits: see HS_TSAN. */
void hs_lock_threads(void)
{
	if (!HS_TSAN) {
		pthread_mutex_lock(&hs.threads_lock);
		return;
	}
	while (pthread_mutex_trylock(&hs.threads_lock)) {
		hs_handshake_poll(hs_tls.self);
		sched_yield();
	}
}

static void link_thread(struct hs_thread *t)
{
	hs_lock_threads();
	hs_enter();
	t->done = hs_handshake_current();
	t->next = hs.threads;
	if (t->next)
		t->next->prev = t;
	hs.threads = t;
	hs_add(&hs.nr_threads, 1); /* statistics look without the lock */
	become(t);
	catch_up(t);
	hs_leave();
	pthread_mutex_unlock(&hs.threads_lock);
}

static void unlink_thread(struct hs_thread *t)
{
	hs_lock_threads();
	hs_enter();
	hs_cache_flush(t, false, false);
	hs_pacer_settle(t);
	hs_classes_leave(t);
	if (hs_load(&hs.marking))
		hs_barrier_flush(t);
	hs_barrier_discard(t);
	hs_stack_abandon(t);
	if (t->prev)
		t->prev->next = t->next;
	else
		hs.threads = t->next;
	if (t->next)
		t->next->prev = t->prev;
	hs_sub(&hs.nr_threads, 1);
	become(&hs_nobody);
	hs_tls.deferred = 0;
	hs_leave();
	pthread_mutex_unlock(&hs.threads_lock);
}

static __attribute__((noinline)) int join(void)
{
	struct hs_thread *t;
	int ret;

	ret = hs.forked ? -ENOTSUP : hs_ensure_init();
	if (ret || hs_tls.self != &hs_nobody)
		return ret; /* making the heap may have done it */
	if (signal_blocked())
		return -EDEADLK;
	t = hs_map(sizeof(*t));
	if (!t)
		return -ENOMEM;
	t->tid = (int)syscall(SYS_gettid);
	ret = find_stack(t);
	if (!ret)
		ret = -pthread_setspecific(exit_key, t);
	if (!ret)
		ret = give_altstack(t);
	if (ret) {
		pthread_setspecific(exit_key, NULL);
		take_altstack(t);
		hs_unmap(t, sizeof(*t));
		return ret;
	}
	hs_cache_init(t);
	t->sp = (uintptr_t)__builtin_frame_address(0);
	t->user_sp = t->sp; /* below may be another thread's, that had this stack */
	link_thread(t);
	return 0;
}

/*
 * Make the calling thread take part, if it does not; NULL with errno set when
 * it cannot.
 */
__attribute__((noinline)) struct hs_thread *hs_thread_join(void)
{
	int ret;

	if (likely(hs_tls.self != &hs_nobody))
		return hs_tls.self;
	ret = join();
	if (ret) {
		errno = -ret;
		return NULL;
	}
	hs_end_slow();
	return hs_tls.self;
}

static void leave(void *arg)
{
	struct hs_thread *t = arg;

	if (hs_tls.self != t)
		return;
	if (hs.forked) {
		become(&hs_nobody); /* locks may be held by nobody who exists */
		return;
	}
	unlink_thread(t);
	take_altstack(t);
	hs_unmap(t, sizeof(*t));
}

/* Before the program's own constructors, which may allocate. */
__attribute__((constructor(101))) static void make_exit_key(void)
{
	hs_cache_init(&hs_nobody);
	pthread_key_create(&exit_key, leave);
}

HS_EXPORT int hspan_thread_register(void)
{
	if (hs_tls.self != &hs_nobody)
		return -EALREADY;
	return hs_thread_join() ? 0 : -errno;
}

HS_EXPORT int hspan_thread_unregister(void)
{
	struct hs_thread *t = hs_tls.self;

	if (t == &hs_nobody)
		return -ENOENT;
	if (t->stack)
		return -EBUSY;
	pthread_setspecific(exit_key, NULL);
	leave(t);
	return 0;
}

/*
 * The C half of hspan_thread_park(): @saved is the caller's callee-saved
 * registers, on the stack.  All of the caller's frame is above it.
 */
void hs_park(const uintptr_t *saved, size_t n)
{
	struct hs_thread *t = hs_tls.self;

	if (t == &hs_nobody)
		return;
	hs_tls.critical++; /* a handler would write registers and sp of its own there */
	hs_compiler_barrier();
	memset(t->regs, 0, sizeof(t->regs));
	memcpy(t->regs, saved, n * sizeof(*saved));
	t->sp = (uintptr_t)saved;
	hs_set_release(&t->state, HS_PARKED);
	hs_compiler_barrier();
	hs_tls.critical--;
	hs_compiler_barrier();
	hs_tls.deferred = 0; /* whoever asked meanwhile asks again, and sees us parked */
}

HS_EXPORT void hspan_thread_unpark(void)
{
	struct hs_thread *t = hs_tls.self;
	int expected = HS_PARKED;

	if (t == &hs_nobody)
		return;
	while (!__atomic_compare_exchange_n(&t->state, &expected, HS_RUNNING, 0,
					    __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
		if (expected == HS_RUNNING)
			return; /* was not parked */
		hs_futex_wait(&t->state, HS_CLAIMED, 0);
		expected = HS_PARKED;
	}
	if (unlikely(t->scrub)) {
		t->scrub = false;
		hs_scrub_stack();
	}
	hs_handshake_poll(t);
}
