/* SPDX-License-Identifier: MIT */
/*
 * What the library's files share: the heap, the thread, critical sections,
 * and the invariants that tie allocator, barrier, marker and sweeper together.
 *
 * Colours.  An object is white while its mark bit is clear, and is scanned by
 * whoever sets that bit.  Grey is one that is marked and in a marker's FIFO, and
 * one that is white and noted: by a word in a barrier's buffer or in a work
 * chunk, by a slot on its way to another marker (shards.h), or by a bit in the
 * table of what was seen (spans.c).
 *
 * A cycle is a row of handshakes; in none of them does a thread wait for
 * another.  "T has acked X" = T ran its part of X:
 *
 *   BARRIER	T gives back spans not swept since the last cycle, and its stores
 *		shade from now on (hs_thread.barrier).  When all have acked and what
 *		they gave is swept, no mark bit is set anywhere.
 *   SCAN	T's stack and registers are grey, then black; what T allocates
 *		from now on is black (hs_thread.black_gen).  Starts when all have
 *		acked BARRIER: so no thread stores unseen while another is black,
 *		and no black object exists before every store shades.  Marking
 *		starts when all have acked SCAN: so no object is scanned while some
 *		thread still fills white objects of its own by plain stores.  (It
 *		must be so because stacks are conservative: a stale word on one
 *		stack may point to the object that another thread is filling.)
 *   DRAIN	T's barrier buffer goes to the markers.  Repeated until a round in
 *		which no thread had anything unmarked to give and nothing was
 *		pushed, begun with no marker at work (team.h): then, at the start of
 *		that round, nothing was grey, and with no grey object no mutator can
 *		reach a white one.
 *
 * Before marking is over weak references are settled, finalizers found that are
 * due, and what they reach is marked: see weak.c, and final.h for the order.  Who
 * reads a weak reference meanwhile shades what it reads, or is told that it is dead.
 *
 * Then sweepgen moves.  Nobody need be told: a thread that goes on shading
 * only records what is marked already, and stops at its next store that looks;
 * what it had recorded is thrown away, or at worst marks garbage next time.
 * Where somebody waits for the cycle FLUSH follows: T gives back its spans,
 * unless it was caught in the middle of something, so that what is free in them
 * counts as well.
 *
 * Why that is enough: the barrier shades the pointer overwritten, so what a
 * black thread saw when it was scanned stays marked or in line to be; and the
 * pointer stored, so a thread not yet scanned cannot hide a white object in a
 * black one.  What is overwritten is what the store exchanged, not what was there
 * a moment before: that may be the store of a thread that did not shade yet.
 * selftests/model goes through all this in small; who changes it here changes it
 * there.
 *
 * A coroutine's stack goes from thread to thread, and is scanned before a black
 * one runs on it: stack.h.
 *
 * Allocation colour is decided a run at a time.  A run is a row of free slots
 * of one span that a thread took to allocate from; all its allocation bits
 * are set when it is taken.  Its mark bits are set too when the span's
 * sweepgen is the thread's black_gen, that is, when this cycle's sweep is
 * going to judge it.  A span got after sweepgen has moved is of the next
 * generation, so its runs are white without any thread having to be told.
 *
 * A sweep (allocation bits = mark bits, mark bits = 0) is done by whoever
 * holds the span, and only between a cycle's end and the next one's SCAN.
 *
 * Lock order (outer first):
 *	init_lock (init.c) -> hs.threads_lock -> roots_lock (roots.c) -> work list
 *	hs.threads_lock -> pools_lock (pool.c) -> work list
 *	hs.threads_lock -> specials.lock (specials.c) -> work list
 *	init_lock -> limit.lock (limit.c) -> backend, pacer.lock (pacer.c)
 *	hs.threads_lock -> backend
 *	hs.threads_lock -> profile.lock (profile.c)
 *	hs.threads_lock -> stacks.lock (stack.c)
 * Roots', pools', specials', stacks', work list's and pacer's, and the backend's own, are taken by threads in critical
 * sections only: so no thread is ever stopped, or scanned, with one of them held, and a
 * handshake's handler may take the backend's and the work list's.
 */
#ifndef HS_INTERNAL_H
#define HS_INTERNAL_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HSPAN_NO_INLINE
#include <hugespan.h>

#include "backend.h"
#include "sizeclass.h"

#define HS_EXPORT __attribute__((visibility("default")))
#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
#if defined(__x86_64__)
#define hs_cpu_relax() __builtin_ia32_pause()
#else
#define hs_cpu_relax() __asm__ volatile("yield")
#endif
#define hs_compiler_barrier() __asm__ volatile("" ::: "memory")

#define hs_load(p) __atomic_load_n(p, __ATOMIC_RELAXED)
#define hs_load_acquire(p) __atomic_load_n(p, __ATOMIC_ACQUIRE)
#define hs_set(p, v) __atomic_store_n(p, v, __ATOMIC_RELAXED)
#define hs_set_release(p, v) __atomic_store_n(p, v, __ATOMIC_RELEASE)
#define hs_add(p, v) __atomic_add_fetch(p, v, __ATOMIC_RELAXED)
#define hs_sub(p, v) __atomic_sub_fetch(p, v, __ATOMIC_RELAXED)

/*
 * ThreadSanitizer puts signals off to a call that it knows, and shows the
 * handler registers from when the signal came.  So under it a thread looks for
 * a handshake of its own accord whenever it leaves a critical section, and a
 * handler goes by where it stands itself.
 */
#if defined(__SANITIZE_THREAD__)
#define HS_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define HS_TSAN 1
#endif
#endif
#ifndef HS_TSAN
#define HS_TSAN 0
#endif

#define HS_NO_SPAN UINT32_MAX
#define HS_STRUCT_MOST 4096 /* a struct_size above this was never set */
#define HS_NREGS 32
#define HS_NSAVED 12 /* callee-saved ones, at the most */
#define HS_MAX_MARKERS 16

/* Bits of hs_config.debug that only tests set: half a barrier, or the end, left out, */
#define HS_DEBUG_BREAK_DELETION (1u << 16)
#define HS_DEBUG_BREAK_INSERTION (1u << 17)
#define HS_DEBUG_BREAK_TERMINATION (1u << 21)
/* and how to mark where there are several ways. */
#define HS_DEBUG_SCAN_AVX2 (1u << 18)
#define HS_DEBUG_SCAN_PORTABLE (1u << 19)
#define HS_DEBUG_NO_SPANS (1u << 20)

enum hs_handshake {
	HS_BARRIER,
	HS_SCAN,
	HS_DRAIN,
	HS_FLUSH,
	HS_STOP, /* stays stopped until hs_handshake_resume(); for the oracle */
	HS_SNAPSHOT, /* stays stopped as well; its stack is scanned by others */
};

/* What a thread is doing, as far as handshakes are concerned. */
enum hs_thread_state {
	HS_RUNNING,
	HS_PARKED,  /* the collector may act for it */
	HS_CLAIMED, /* it does just now */
};

/**
 * struct hs_held - the span a thread allocates a class from
 * @page: its first page, or HS_NO_SPAN
 * @next: slots before this have been looked at
 * @sweepgen: the cycle in which it was last swept
 * @zeroed: its slots never taken are zero
 * @chosen: the object in the next slot taken is sampled, see sample.h
 */
struct hs_held {
	uint32_t page;
	uint32_t next;
	uint32_t sweepgen;
	bool zeroed;
	bool chosen;
};

struct hs_chunk;
struct hspan_stack;

/**
 * struct hs_suspended - where a stack was left that nobody runs on
 * @sp: the stack pointer
 * @regs: callee-saved registers
 */
struct hs_suspended {
	uintptr_t sp;
	uintptr_t regs[HS_NSAVED];
};

/**
 * struct hs_thread - a thread that takes part
 * @run: allocation fast path, what hspan_runs leads to; written by the thread,
 *	or for it in a handshake
 * @held: the spans behind @run; the same
 * @barrier: its stores shade
 * @black_gen: spans of this sweepgen are allocated from black
 * @shaded: pointers its barrier has recorded, or NULL
 * @state: enum hs_thread_state
 * @done: number of the last handshake it acked
 * @regs: callee-saved registers when it parked
 * @sp: stack pointer when it parked, stopped, or runs a handshake
 * @stack_lo, @stack_hi: ends of its own stack
 * @stack: what it runs on, or is about to, if that is not its own; see stack.h
 * @own: where its own was left, while it runs on another
 * @left_lo, @left_hi: ends of the one it ran on before, if it was not its own
 * @user_sp: (checkmark) while in the library: where the program's frames begin
 * @scrub: (checkmark) clear the dead part of the stack when it unparks
 * @tid: for tgkill()
 * @charged: bytes allocated and not yet reported to the pacer
 * @owing: bytes allocated since it last looked whether to assist
 * @paced: the cycle in which it last reported
 * @taken: objects it ever took, by size class
 * @unsampled: bytes it takes before the next sample, or look whether there are
 *	to be any; at the rate @drawn
 * @random: state
 * @chosen: the object just taken is sampled
 * @next, @prev: the list of threads (hs.threads_lock)
 */
struct hs_thread {
	struct hspan_run run[HSPAN_NR_SPAN_CLASSES];
	struct hs_held held[HSPAN_NR_SPAN_CLASSES];
	bool barrier;
	bool scrub;
	uint32_t black_gen;
	struct hs_chunk *shaded;
	int state;
	uint32_t done;
	uintptr_t regs[HS_NREGS];
	uintptr_t sp;
	uintptr_t user_sp;
	uintptr_t stack_lo;
	uintptr_t stack_hi;
	struct hspan_stack *stack;
	struct hs_suspended own;
	uintptr_t left_lo;
	uintptr_t left_hi;
	void *altstack;
	int tid;
	uint64_t charged;
	uint64_t owing;
	uint32_t paced;
	uint64_t taken[HSPAN_NR_SIZE_CLASSES];
	uint64_t unsampled, drawn, random;
	bool chosen;
	struct hs_thread *next, *prev;
};

/**
 * struct hs_tls - what every thread has, taking part or not
 * @self: the thread, or hs_nobody, whose runs are empty and barrier is set
 * @critical: depth of critical sections: no handshake runs meanwhile
 * @deferred: one was asked for meanwhile
 */
struct hs_tls {
	struct hs_thread *self;
	volatile int critical;
	volatile int deferred;
};

extern __thread struct hs_tls hs_tls __attribute__((tls_model("initial-exec")));
extern struct hs_thread hs_nobody;

/** struct hs_config - options and environment, settled */
struct hs_config {
	enum hspan_backend backend;
	unsigned int markers;
	unsigned int debug;
	unsigned int trace;
	unsigned int ignore;
	int signal;
	enum hspan_gc_mode gc_mode;
	size_t arena_size;
	size_t min_heap;
};

struct hs_marker;
struct hs_object;

/**
 * struct hs_hooks - what a library built on this one adds to collections of an image
 * @begin: before anything of a cycle; false when there may be none now
 * @freeze: before threads are stopped; what @mark_roots and @mark_more look at does
 *	not change from here on
 * @settled: all are stopped; false when they must go on and be stopped again
 * @thaw: they go on
 * @mark_roots: add what the heap does not know of; may make the marker do without spans
 * @mark_more: all that is reachable is marked: mark what else is to live
 * @scan: an object is marked; true when it need not be scanned word by word
 * @end: marking is over, and the sweep has not begun; called when @begin said yes
 * @stop_ns: what can be marked in this time is marked with threads stopped
 * @on_thread_stack: handlers run on the threads' own stacks, with no other for them
 *
 * All are called by the collector's thread, or in the child, or there with everyone
 * stopped (@mark_roots, @mark_more, @scan, which take no lock and call no malloc()).
 */
struct hs_hooks {
	bool (*begin)(void);
	void (*freeze)(void);
	bool (*settled)(void);
	void (*thaw)(void);
	void (*mark_roots)(struct hs_marker *m);
	void (*mark_more)(struct hs_marker *m);
	bool (*scan)(struct hs_marker *m, const struct hs_object *o);
	void (*end)(void);
	uint64_t stop_ns;
	bool on_thread_stack;
};

/**
 * struct hs_heap - the one heap
 * @base, @size: range of the data, copied from @space for the hot paths
 * @typed: some object has ever been allocated with a type: heed plane 1
 * @layout_used: plane 1 has ever been written to: clear it for new runs
 * @marking: from before BARRIER to the end of marking: stores must shade
 * @black_gen: threads that join allocate black in this generation (or 0)
 * @hooks: NULL, or set before the heap is made
 * @threads_lock: protects @threads, @nr_threads, and who may start a handshake
 */
struct hs_heap {
	uintptr_t base;
	size_t size;
	const uint32_t *page_map;
	uint8_t *bits;
	bool typed;
	bool layout_used;
	bool marking;
	bool forked;
	uint32_t black_gen;
	const struct hs_backend *backend;
	const struct hs_hooks *hooks;
	struct hs_space space;
	struct hs_config config;
	int ready; /* 0 none, 1 ready; acquire */

	pthread_mutex_t threads_lock;
	struct hs_thread *threads;
	unsigned int nr_threads;
};

extern struct hs_heap hs;

/* stack.c */
uintptr_t hs_stack_floor(const struct hs_thread *t, uintptr_t sp);
int hs_stack_switch(const uintptr_t *saved, size_t n, struct hspan_stack *to);

/* ThreadSanitizer has its own idea of signals. */
static inline bool hs_handlers_have_a_stack(void)
{
	return !HS_TSAN && !(hs.hooks && hs.hooks->on_thread_stack);
}

#define HS_SCRUB_BYTES (16u << 10)

/*
 * (checkmark) Clear the dead stack below the calling function, which is no leaf
 * and so has no red zone there, and the registers that a call may change.  So no
 * word from before a thread was scanned is read back as if it were new, and no
 * address that the library reckoned with (the end of a run is the start of some
 * object) as if the program had it.  It has no frame, for that would be a gap.
 */
static inline __attribute__((always_inline)) void hs_scrub_stack(void)
{
	uintptr_t here = (uintptr_t)__builtin_frame_address(0);
	uintptr_t floor = hs_stack_floor(hs_tls.self, here);
	uintptr_t room = floor ? (here - floor) / 2 : 0;
	uintptr_t size = room < HS_SCRUB_BYTES ? room & ~15ul : HS_SCRUB_BYTES;

#if defined(__x86_64__)
	__asm__ volatile("movq %%rsp, %%rdi\n\tsubq %%rcx, %%rdi\n\tshrq $3, %%rcx\n\t"
			 "xorl %%eax, %%eax\n\trep stosq\n\t"
			 "xorl %%edx, %%edx\n\txorl %%esi, %%esi\n\txorl %%edi, %%edi\n\t"
			 "xorl %%r8d, %%r8d\n\txorl %%r9d, %%r9d\n\t"
			 "xorl %%r10d, %%r10d\n\txorl %%r11d, %%r11d\n\t"
			 "pxor %%xmm0, %%xmm0\n\tpxor %%xmm1, %%xmm1\n\tpxor %%xmm2, %%xmm2"
			 : "+c"(size)
			 :
			 : "rax", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "xmm0", "xmm1",
			   "xmm2", "cc", "memory");
#elif defined(__aarch64__)
	__asm__ volatile("sub x9, sp, %0\n\tmov x10, sp\n"
			 "1:\tcmp x9, x10\n\tb.hs 2f\n\tstp xzr, xzr, [x9], 16\n\tb 1b\n2:"
			 :
			 : "r"(size)
			 : "x9", "x10", "cc", "memory");
#endif
}

/* Critical sections: the thread cannot be scanned or flushed inside. -------- */

void hs_deferred_handshake(void);

static inline void hs_enter(void)
{
	hs_tls.critical++;
	hs_compiler_barrier();
}

static inline void hs_leave(void)
{
	hs_compiler_barrier();
	hs_tls.critical--;
	hs_compiler_barrier();
	if (unlikely(hs_tls.deferred || HS_TSAN) && !hs_tls.critical)
		hs_deferred_handshake();
}

/*
 * (checkmark) Around a call that reckons with addresses of objects that are
 * not the caller's: the oracle does not believe what is on its stack below.
 */
static inline __attribute__((always_inline)) void hs_begin_slow(void)
{
	if (unlikely(hs.config.debug & HSPAN_DEBUG_CHECKMARK))
		hs_tls.self->user_sp = (uintptr_t)__builtin_frame_address(0);
}

static inline void hs_end_slow(void)
{
	if (unlikely(hs.config.debug & HSPAN_DEBUG_CHECKMARK))
		hs_scrub_stack();
	hs_compiler_barrier();
	hs_tls.self->user_sp = 0;
}

/*
 * Where the scan of a stack begins.  With checkmark a bit below, too, where the
 * frames of the handshake itself have been.
 */
static inline uintptr_t hs_scan_from(uintptr_t sp, uintptr_t lo)
{
	uintptr_t more = hs.config.debug & HSPAN_DEBUG_CHECKMARK ? 512 : 0;

	return (sp - lo > more ? sp - more : sp) & ~7ul;
}

static inline uint32_t hs_sweepgen(void)
{
	return hs_load_acquire(&hs.space.control->sweepgen);
}

/* init.c */
int hs_ensure_init(void);

/* thread.c */
struct hs_thread *hs_thread_join(void);
void hs_lock_threads(void);
void hs_park(const uintptr_t *saved, size_t n);

/* handshake.c */
int hs_handshake_init(void);
void hs_handshake_exit(void);
void hs_handshake(enum hs_handshake kind);
void hs_handshake_resume(void);
uint32_t hs_handshake_current(void);
void hs_shade_words(struct hs_chunk **chunk, uintptr_t lo, uintptr_t hi);
void hs_scan_thread(struct hs_thread *t);
void hs_handshake_poll(struct hs_thread *t);
bool hs_handshake_given(void);
void hs_handshake_stats(struct hspan_stats *stats);
uint64_t hs_handshake_take_max(void);

/* alloc.c */
void hs_cache_init(struct hs_thread *t);
void hs_cache_flush(struct hs_thread *t, bool only_stale, bool interrupted);
void hs_cache_blacken(struct hs_thread *t, uint32_t gen);

/* barrier.c */
bool hs_barrier_flush(struct hs_thread *t);
void hs_barrier_discard(struct hs_thread *t);
void hs_barrier_shade(struct hs_thread *t, uintptr_t old, uintptr_t new);

/* collector.c */
extern uint64_t hs_idle_ns; /* with nothing allocated, until memory is given back */
int hs_collector_start(void);
uint64_t hs_collector_born(void);
void hs_collector_stop(void);
void hs_collector_request(void);
bool hs_collector_marks(void);
void hs_collector_drain(struct hs_marker *m);
void hs_collector_assist(struct hs_marker *m, uint64_t words);
void hs_collect(void);
bool hs_collector_yield(bool to_the_end);
void hs_collector_stats(struct hspan_stats *stats);
uint64_t hs_release_blocks(uint64_t blocks);
int hs_start_thread(pthread_t *thread, void *(*fn)(void *), void *arg, const char *name);

/* sweep.c */
uint32_t hs_sweep_span(uint32_t page, uint32_t span_class, uint32_t gen);
uint32_t hs_sweep_some(void);
void hs_sweep_all(void);
uint64_t hs_sweep_count(void);
void hs_sweep_reset(void);
void hs_unmark_all(void);

/* snapshot.c */
void hs_snapshot_mark(struct hs_marker *m);
void hs_snapshot_reset(void);
void hs_snapshot_stats(struct hspan_stats *stats);

/* roots.c */
void hs_roots_scan(void);
void hs_roots_each(void (*fn)(uintptr_t lo, uintptr_t hi));
void hs_roots_reset(void);

/* pool.c */
void hs_pools_age(void);
void hs_pools_each(void (*fn)(uintptr_t lo, uintptr_t hi, void *arg), void *arg);
void hs_pools_reset(void);

/* specials.c */
void hs_specials_roots(void (*fn)(uintptr_t lo, uintptr_t hi, void *arg), void *arg);
void hs_specials_reset(void);

/* checkmark.c */
void hs_checkmark(void);
void hs_checkmark_reset(void);
uint64_t hs_checkmark_objects(void);

/* util.c */
uint64_t hs_now(void);
uint64_t hs_cpu_now(void);
void *hs_map(size_t size);
void hs_unmap(void *p, size_t size);
int hs_futex_wait(int *addr, int val, long timeout_ns);
void hs_futex_wake(int *addr, int n);
void hs_log(const char *format, ...) __attribute__((format(printf, 1, 2)));
void hs_die(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

#endif /* HS_INTERNAL_H */
