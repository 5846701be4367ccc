// SPDX-License-Identifier: MIT
/*
 * Handshakes: the collector has every thread do one small thing, each on its
 * own and none waiting for another.
 *
 * A running thread does it in a signal handler, or on leaving the critical
 * section that the signal found it in, or at its next poll.  For a parked
 * thread the collector does it.  The handler runs with the signal masked and
 * on its own stack, takes no lock but the work list's, and calls no libc
 * function that is not async-signal-safe.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include "bits.h"
#include "pacer.h"
#include "probes.h"
#include "stack.h"
#include "timed.h"
#include "work.h"

#define RED_ZONE 128
#define FXSAVE_SW_BYTES 464 /* where the kernel says how long the state is */
#define SILENCE_NS 5000000000ull /* without an answer is worth a line of trace */
#define RESEND_NS 1000000 /* ask again those who may have parked meanwhile */

/**
 * struct request - the handshake under way
 * @seq: its number; a thread whose .done is another has still to ack
 * @kind: enum hs_handshake
 * @pending: threads that have not acked
 * @given: threads that had something unmarked to give (HS_DRAIN)
 * @stopped: threads that wait for @go to reach @seq (HS_STOP)
 *
 * Written by the collector with hs.threads_lock held, before @seq moves.
 */
static struct {
	uint32_t seq;
	int kind;
	int pending;
	int given;
	int go;
	uint64_t max_ns;
	uint64_t cycle_max_ns;
	uint64_t total_ns;
	uint64_t count;
	uint64_t hist[40];
} request;

static void raise_to(uint64_t *max, uint64_t ns)
{
	uint64_t old = hs_load(max);

	while (ns > old && !__atomic_compare_exchange_n(max, &old, ns, 0, __ATOMIC_RELAXED,
							__ATOMIC_RELAXED))
		;
}

static void account(uint64_t ns)
{
	unsigned int bucket = ns ? 63 - (unsigned int)__builtin_clzll(ns) : 0;

	hs_add(&request.hist[bucket < 39 ? bucket : 39], 1);
	hs_add(&request.count, 1);
	hs_add(&request.total_ns, ns);
	raise_to(&request.max_ns, ns);
	raise_to(&request.cycle_max_ns, ns);
	hs_timed(HS_TIMED_STOP, ns);
}

/* Grey every word of [@lo, @hi) that may point into the heap. */
__attribute__((no_sanitize("address", "thread")))
void hs_shade_words(struct hs_chunk **chunk, uintptr_t lo, uintptr_t hi)
{
	uintptr_t last = 0;

	for (uintptr_t *p = (uintptr_t *)lo; p < (uintptr_t *)hi; p++) {
		uintptr_t word = *(volatile uintptr_t *)p;

		if (word - hs.base < hs.size && word != last) {
			hs_chunk_add(chunk, word);
			last = word;
		}
	}
}

static void push_shaded(struct hs_thread *t)
{
	if (t->shaded)
		hs_work_push(t->shaded);
	t->shaded = NULL;
}

/* Registers and stack of a thread that is stopped, or parked, or ourselves. */
void hs_scan_thread(struct hs_thread *t)
{
	hs_shade_words(&t->shaded, (uintptr_t)t->regs, (uintptr_t)(t->regs + HS_NREGS));
	hs_stacks_shade(t);
	push_shaded(t);
}

/* @interrupted: by a signal, perhaps in the middle of an allocation. */
static void act(struct hs_thread *t, enum hs_handshake kind, bool interrupted)
{
	switch (kind) {
	case HS_FLUSH:
		if (!interrupted) /* else it is about to use them */
			hs_cache_flush(t, true, false);
		break;
	case HS_BARRIER:
		hs_cache_flush(t, true, interrupted);
		hs_stack_look(t);
		hs_barrier_discard(t);
		t->barrier = hs.config.gc_mode == HSPAN_GC_BARRIER;
		break;
	case HS_SCAN:
		hs_cache_blacken(t, hs.black_gen);
		hs_scan_thread(t);
		break;
	case HS_SNAPSHOT: /* its stack is scanned when nobody can write to it */
		hs_cache_blacken(t, hs.black_gen);
		push_shaded(t);
		break;
	case HS_DRAIN:
		if (hs_barrier_flush(t))
			hs_add(&request.given, 1);
		break;
	case HS_STOP:
		break;
	}
}

static void ack(struct hs_thread *t, uint32_t seq)
{
	hs_set_release(&t->done, seq);
	if (__atomic_sub_fetch(&request.pending, 1, __ATOMIC_ACQ_REL) == 0)
		hs_futex_wake(&request.pending, 1);
}

static bool stops(int kind)
{
	return kind == HS_STOP || kind == HS_SNAPSHOT;
}

/* Wait, stopped, for the collector to be done with us. */
static void stay(uint32_t seq)
{
	int go;

	while ((go = hs_load_acquire(&request.go)) != (int)seq)
		hs_futex_wait(&request.go, go, 0);
}

/* The calling thread's part; its registers and sp are in @t. */
static void run(struct hs_thread *t, uint32_t seq, bool interrupted)
{
	uint64_t start = hs_now();
	int kind = request.kind;

	act(t, kind, interrupted);
	ack(t, seq);
	if (stops(kind))
		stay(seq);
	if (kind != HS_STOP) /* that one is for the oracle: no figure of ours */
		account(hs_now() - start);
}

static bool wanted(const struct hs_thread *t, uint32_t *seq)
{
	*seq = hs_load_acquire(&request.seq);
	return *seq != hs_load(&t->done);
}

/*
 * Callee-saved registers and stack pointer of the function this is inlined
 * into: what its callers had in them is here or above the stack pointer.
 */
static inline __attribute__((always_inline)) void here(struct hs_thread *t)
{
#if defined(__x86_64__)
	__asm__ volatile("movq %%rbx, 0(%1)\n\tmovq %%rbp, 8(%1)\n\tmovq %%r12, 16(%1)\n\t"
			 "movq %%r13, 24(%1)\n\tmovq %%r14, 32(%1)\n\tmovq %%r15, 40(%1)\n\t"
			 "movq %%rsp, %0"
			 : "=&r"(t->sp)
			 : "r"(t->regs)
			 : "memory");
#elif defined(__aarch64__)
	__asm__ volatile("stp x19, x20, [%1, 0]\n\tstp x21, x22, [%1, 16]\n\t"
			 "stp x23, x24, [%1, 32]\n\tstp x25, x26, [%1, 48]\n\t"
			 "stp x27, x28, [%1, 64]\n\tstr x29, [%1, 80]\n\tmov %0, sp"
			 : "=&r"(t->sp)
			 : "r"(t->regs)
			 : "memory");
#endif
}

/* Called by the thread itself, out of any critical section. */
static __attribute__((noinline)) void poll(struct hs_thread *t, bool interrupted)
{
	uint32_t seq;

	hs_tls.critical++; /* the handler must not run it too */
	hs_compiler_barrier();
	do {
		hs_tls.deferred = 0;
		hs_compiler_barrier();
		if (t == &hs_nobody || hs_load(&t->state) != HS_RUNNING || !wanted(t, &seq))
			break;
		memset(t->regs, 0, sizeof(t->regs)); /* an old signal's would keep garbage */
		here(t);
		run(t, seq, interrupted);
		if (hs.config.debug & HSPAN_DEBUG_CHECKMARK)
			hs_scrub_stack();
	} while (hs_tls.deferred);
	hs_compiler_barrier();
	hs_tls.critical--;
}

void hs_handshake_poll(struct hs_thread *t)
{
	poll(t, false);
}

void hs_deferred_handshake(void)
{
	hs_handshake_poll(hs_tls.self);
}

/* Vector registers: a compiler may move two pointers in one of them. */
static void shade_vectors(struct hs_thread *t, const ucontext_t *uc)
{
#if defined(__x86_64__)
	const struct _libc_fpstate *fp = uc->uc_mcontext.fpregs;
	const struct _fpx_sw_bytes *sw;
	size_t bytes = sizeof(*fp);

	if (!fp)
		return;
	sw = (const void *)((const char *)fp + FXSAVE_SW_BYTES);
	if (sw->magic1 == FP_XSTATE_MAGIC1)
		bytes = sw->xstate_size;
	hs_shade_words(&t->shaded, (uintptr_t)fp, (uintptr_t)fp + bytes);
#else
	hs_shade_words(&t->shaded, (uintptr_t)uc->uc_mcontext.__reserved,
		    (uintptr_t)uc->uc_mcontext.__reserved + sizeof(uc->uc_mcontext.__reserved));
#endif
}

static uintptr_t context_sp(const ucontext_t *uc)
{
#if defined(__x86_64__)
	return (uintptr_t)uc->uc_mcontext.gregs[REG_RSP];
#else
	return (uintptr_t)uc->uc_mcontext.sp;
#endif
}

static void context_registers(struct hs_thread *t, const ucontext_t *uc)
{
#if defined(__x86_64__)
	_Static_assert(sizeof(uc->uc_mcontext.gregs) <= sizeof(t->regs), "registers fit");
	memcpy(t->regs, uc->uc_mcontext.gregs, sizeof(uc->uc_mcontext.gregs));
#else
	_Static_assert(sizeof(uc->uc_mcontext.regs) <= sizeof(t->regs), "registers fit");
	memcpy(t->regs, uc->uc_mcontext.regs, sizeof(uc->uc_mcontext.regs));
#endif
	t->sp = context_sp(uc) - RED_ZONE;
}

/* (checkmark) the dead stack below what the signal interrupted */
static void scrub_below(const struct hs_thread *t, uintptr_t sp)
{
	uintptr_t here = (uintptr_t)__builtin_frame_address(0);
	uintptr_t floor = hs_stack_floor(t, sp);
	uintptr_t hi = sp - RED_ZONE, lo = hi - HS_SCRUB_BYTES;

	if (here >= floor && here < sp)
		return; /* no alternate stack: we stand on it */
	if (lo > floor)
		memset((void *)lo, 0, hi - lo);
}

/* (checkmark) Keep what the program must have meant to keep. */
static void callee_saved_only(struct hs_thread *t)
{
#if defined(__x86_64__)
	static const int saved[] = { REG_RBX, REG_RBP, REG_R12, REG_R13, REG_R14, REG_R15 };
	uintptr_t kept[6];

	for (int i = 0; i < 6; i++)
		kept[i] = t->regs[saved[i]];
	memset(t->regs, 0, sizeof(t->regs));
	memcpy(t->regs, kept, sizeof(kept));
#else
	memset(t->regs, 0, 19 * sizeof(t->regs[0]));
	memset(t->regs + 29, 0, (HS_NREGS - 29) * sizeof(t->regs[0]));
#endif
	t->sp += RED_ZONE;
}

/* What has been a stack of the thread's may be its alternate stack by now. */
static bool on_altstack(const ucontext_t *uc, uintptr_t sp)
{
	return sp - (uintptr_t)uc->uc_stack.ss_sp < uc->uc_stack.ss_size;
}

static void on_signal(int sig, siginfo_t *info, void *context)
{
	struct hs_thread *t = hs_tls.self;
	uintptr_t sp = HS_TSAN ? (uintptr_t)__builtin_frame_address(0) : context_sp(context);
	int saved = errno;
	uint32_t seq;

	(void)sig;
	(void)info;
	if (hs_tls.critical)
		hs_tls.deferred = 1;
	else if (on_altstack(context, sp) || !hs_stack_floor(t, sp))
		; /* in a handler of the program's, on the other stack: we are asked again */
	else if (HS_TSAN)
		poll(t, true); /* put off to an atomic access, which bump() has, too */
	else if (t != &hs_nobody && hs_load(&t->state) == HS_RUNNING && wanted(t, &seq)) {
		context_registers(t, context);
		if (request.kind == HS_SCAN || request.kind == HS_SNAPSHOT)
			shade_vectors(t, context);
		if (request.kind == HS_STOP)
			callee_saved_only(t);
		run(t, seq, true);
		if (hs.config.debug & HSPAN_DEBUG_CHECKMARK)
			scrub_below(t, sp);
	}
	errno = saved;
}

static struct sigaction old_action; /* the program's, for when the heap is gone */

int hs_handshake_init(void)
{
	struct sigaction sa = { .sa_sigaction = on_signal,
				.sa_flags = SA_SIGINFO | SA_RESTART };

	if (hs_handlers_have_a_stack())
		sa.sa_flags |= SA_ONSTACK;

	sigemptyset(&sa.sa_mask);
	memset(&request.max_ns, 0, sizeof(request) - offsetof(typeof(request), max_ns));
	return sigaction(hs.config.signal, &sa, &old_action) ? -errno : 0;
}

void hs_handshake_exit(void)
{
	sigaction(hs.config.signal, &old_action, NULL);
}

/* Act for @t if it is parked; true when that was done. */
static bool act_for(struct hs_thread *t, uint32_t seq, int kind)
{
	int expected = HS_PARKED;

	if (!__atomic_compare_exchange_n(&t->state, &expected, HS_CLAIMED, 0, __ATOMIC_ACQ_REL,
					 __ATOMIC_RELAXED))
		return false;
	if (hs_load(&t->done) != seq) {
		act(t, kind, false);
		t->scrub = hs.config.debug & HSPAN_DEBUG_CHECKMARK;
		ack(t, seq);
	}
	if (!stops(kind)) {
		hs_set_release(&t->state, HS_PARKED);
		hs_futex_wake(&t->state, 1);
	}
	return true;
}

/* A thread ended behind our back: it has no stack and no registers any more. */
static void bury(struct hs_thread *t)
{
	memset(t->regs, 0, sizeof(t->regs));
	hs_stack_abandon(t);
	t->sp = t->stack_lo = t->stack_hi = 0;
	hs_set_release(&t->state, HS_PARKED); /* the next round acts for it */
}

static void ask(uint32_t seq, int kind)
{
	for (struct hs_thread *t = hs.threads; t; t = t->next) {
		if (hs_load_acquire(&t->done) == seq)
			continue;
		if (unlikely(kind == HS_SCAN && hs.config.debug & HS_DEBUG_BREAK_INSERTION))
			usleep(4000); /* hold open the window that half is there for */
		if (act_for(t, seq, kind))
			continue;
		if (syscall(SYS_tgkill, getpid(), t->tid, hs.config.signal) && errno == ESRCH)
			bury(t);
	}
}

static void tell_silent(uint32_t seq)
{
	for (struct hs_thread *t = hs.threads; t; t = t->next)
		if (hs_load_acquire(&t->done) != seq)
			hs_log("hugespan: thread %d does not answer: it blocks signal %d, "
			       "or runs on a stack of its own\n",
			       t->tid, hs.config.signal);
}

static enum hs_timed timed_as(enum hs_handshake kind)
{
	return kind == HS_SNAPSHOT ? HS_TIMED_SNAPSHOT : HS_TIMED_BARRIER + (unsigned int)kind;
}

static void begin(enum hs_handshake kind)
{
	uint32_t seq = request.seq + 1;
	uint64_t start = hs_now();
	bool told = false;

	request.kind = kind;
	request.given = 0;
	request.pending = (int)hs.nr_threads;
	HS_PROBE1(handshake__start, timed_as(kind) - HS_TIMED_BARRIER);
	hs_set_release(&request.seq, seq);
	while (hs_load_acquire(&request.pending) > 0) {
		ask(seq, kind);
		if (unlikely(hs.config.trace && !told && hs_now() - start > SILENCE_NS)) {
			tell_silent(seq);
			told = true;
		}
		for (int left; (left = hs_load_acquire(&request.pending)) > 0;)
			if (hs_futex_wait(&request.pending, left, RESEND_NS) && errno == ETIMEDOUT)
				break;
	}
	if (kind != HS_STOP)
		hs_timed(timed_as(kind), hs_now() - start);
}

/*
 * Run one handshake with every thread; called by the collector only.  With
 * HS_STOP and HS_SNAPSHOT it returns with hs.threads_lock held and everybody
 * stopped, until hs_handshake_resume().
 */
void hs_handshake(enum hs_handshake kind)
{
	pthread_mutex_lock(&hs.threads_lock);
	begin(kind);
	if (!stops(kind))
		pthread_mutex_unlock(&hs.threads_lock);
}

void hs_handshake_resume(void)
{
	hs_set_release(&request.go, (int)request.seq);
	hs_futex_wake(&request.go, 1 << 30);
	for (struct hs_thread *t = hs.threads; t; t = t->next) {
		int expected = HS_CLAIMED;

		if (__atomic_compare_exchange_n(&t->state, &expected, HS_PARKED, 0,
						__ATOMIC_RELEASE, __ATOMIC_RELAXED))
			hs_futex_wake(&t->state, 1);
	}
	pthread_mutex_unlock(&hs.threads_lock);
}

uint32_t hs_handshake_current(void)
{
	return hs_load(&request.seq);
}

/* After HS_DRAIN: did any thread have something white to give? */
bool hs_handshake_given(void)
{
	return hs_load(&request.given) != 0;
}

uint64_t hs_handshake_take_max(void)
{
	return __atomic_exchange_n(&request.cycle_max_ns, 0, __ATOMIC_RELAXED);
}

void hs_handshake_stats(struct hspan_stats *stats)
{
	stats->stop_max_ns = hs_load(&request.max_ns);
	stats->stop_total_ns = hs_load(&request.total_ns);
	stats->handshakes = hs_load(&request.count);
	for (int i = 0; i < 40; i++)
		stats->stop_hist[i] = hs_load(&request.hist[i]);
}
