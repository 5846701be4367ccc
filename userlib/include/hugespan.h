/* SPDX-License-Identifier: MIT */
/*
 * The public interface of libhugespan: a garbage-collected heap on huge pages.
 *
 * One heap a process.  A thread takes part from its first allocation, or from
 * hspan_thread_register().  Calls that return int give 0 or a negative errno;
 * calls that return a pointer give NULL and set errno.  Everything here may be
 * called by any number of threads at once, but not from signal handlers.
 *
 * What the collector must be told, because C cannot tell it:
 *
 *  - Stacks and registers of taking-part threads are found by themselves, word
 *    by word; stacks of coroutines by hspan_stack_switch().  Everything else that points into the heap from outside it is a
 *    root: hspan_root_add().
 *  - A pointer is stored into a heap object or a root by hspan_store() or one
 *    of its kin (the write barrier), never by a plain assignment.  One case is
 *    excepted: a word that is still NULL, of an object that this thread has
 *    allocated and nobody else can reach yet.  See "Initializing stores" in
 *    hugespan(7).
 *  - A pointer anywhere into an object keeps it alive.
 */
#ifndef HUGESPAN_H
#define HUGESPAN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Life cycle -------------------------------------------------------------- */

enum hspan_backend {
	HSPAN_BACKEND_AUTO,		/* module when it can be opened, else embedded */
	HSPAN_BACKEND_MODULE,		/* /dev/hugespan, or fail */
	HSPAN_BACKEND_EMBEDDED,		/* anonymous memory of this process */
};

/* How the collector sees one instant while threads go on storing. */
enum hspan_gc_mode {
	HSPAN_GC_BARRIER,		/* stores go through hspan_store() and its kin */
	HSPAN_GC_SNAPSHOT,		/* stores are plain; a copy-on-write image is marked */
};

/* struct hspan_options.debug */
#define HSPAN_DEBUG_CHECKMARK	(1u << 0) /* re-mark stopped; abort on a white reachable object */
#define HSPAN_DEBUG_CLOBBER	(1u << 1) /* overwrite what is swept with 0xdb */

/* struct hspan_options.trace */
#define HSPAN_TRACE_GC		(1u << 0) /* a line a cycle on stderr */
#define HSPAN_TRACE_LIMIT	(1u << 1) /* one when a cgroup or the machine wants memory */
#define HSPAN_TRACE_PACER	(1u << 2) /* one a cycle: who marked, when the next begins */
#define HSPAN_TRACE_SWEEP	(1u << 3) /* one a sweep */
#define HSPAN_TRACE_SCAVENGE	(1u << 4) /* one when blocks are given back */

/* struct hspan_options.ignore */
#define HSPAN_IGNORE_CGROUP	(1u << 0) /* the limit of the memory cgroup */
#define HSPAN_IGNORE_PRESSURE	(1u << 1) /* that the machine needs memory */

/**
 * struct hspan_options - how the heap is made; start with HSPAN_OPTIONS_INIT
 * @struct_size: sizeof(struct hspan_options), so that it can grow
 * @backend: see enum; environment HUGESPAN_BACKEND=auto|module|embedded
 * @gc_percent: collect when the heap has grown by this much over what was
 *	live; negative = only when an allocation fails, or is asked for;
 *	HUGESPAN_PERCENT (default 100)
 * @markers: background mark workers, 1 to 16; HUGESPAN_MARKERS (default: CPUs / 4)
 * @debug: HSPAN_DEBUG_*; HUGESPAN_DEBUG=checkmark,clobber
 * @trace: HSPAN_TRACE_*; HUGESPAN_TRACE=gc,limit,pacer,sweep,
 *	scavenge
 * @signal: signal that stops a thread for its handshake;
 *	HUGESPAN_SIGNAL (default SIGURG)
 * @arena_size: bytes of address range reserved; HUGESPAN_ARENA (default
 *	64 GiB, at most 128 GiB); suffixes K, M, G in the environment
 * @memory_limit: most bytes of blocks held, at least one block; 0 = none
 *	of its own (the module's default limit holds); HUGESPAN_LIMIT
 * @min_heap: bytes below which no collection starts by itself;
 *	HUGESPAN_MIN_HEAP (default 4 MiB)
 * @ignore: HSPAN_IGNORE_*; HUGESPAN_IGNORE=cgroup,pressure
 * @gc_mode: see enum; environment HUGESPAN_GC=barrier|snapshot.  A snapshot
 *	takes the embedded backend: with it HSPAN_BACKEND_AUTO is that one
 * @profile_rate: start a heap profile, see hspan_profile_start();
 *	HUGESPAN_PROFILE_RATE; 0: none, unless HUGESPAN_PROFILE names a file
 *
 * An environment variable overrides its field, but for HUGESPAN_DEBUG,
 * HUGESPAN_TRACE and HUGESPAN_IGNORE, which add to it.
 */
struct hspan_options {
	size_t struct_size;
	enum hspan_backend backend;
	int gc_percent;
	unsigned int markers;
	unsigned int debug;
	unsigned int trace;
	int signal;
	size_t arena_size;
	size_t memory_limit;
	size_t min_heap;
	unsigned int ignore;
	enum hspan_gc_mode gc_mode;
	size_t profile_rate;
};

#define HSPAN_OPTIONS_INIT { .struct_size = sizeof(struct hspan_options), \
			     .gc_percent = 100 }

/**
 * hspan_init - make the heap; the calling thread takes part
 * @options: NULL for defaults and environment
 *
 * Not needed before the first allocation, which does it with defaults; there
 * a failure shows as NULL with errno set.
 * Returns 0, -EALREADY when there is a heap, -EINVAL for a bad option or
 * environment variable, -ENODEV, -EACCES, ... when the backend cannot be had,
 * -ENOTSUP for a snapshot of the module's.
 */
int hspan_init(const struct hspan_options *options);

/**
 * hspan_shutdown - stop the collector and give everything back
 *
 * Only the calling thread may still take part, on its own stack, else -EBUSY;
 * -ENOENT when there is no heap, -ENOTSUP in a fork()ed child.  Objects are gone
 * afterwards.  The heap may be made again.
 */
int hspan_shutdown(void);

/** hspan_version - the library's version, "major.minor.patch" */
const char *hspan_version(void);

/** hspan_backend_name - "module" or "embedded", NULL before the heap is made */
const char *hspan_backend_name(void);

/* Allocation -------------------------------------------------------------- */

/**
 * hspan_alloc - allocate an object any word of which may be a pointer
 * @size: bytes; 0 is taken as 1
 *
 * Zeroed, aligned to 8 (size <= 8) or 16 bytes (multiples of 16) or 8
 * otherwise.  Never freed while a root, a stack or a live object points into
 * it.  NULL with ENOMEM when memory or the limit is exhausted even after a
 * collection.
 */
void *hspan_alloc(size_t size);

/**
 * hspan_alloc_noscan - allocate an object that holds no pointers
 * @size: bytes
 *
 * As hspan_alloc(), but never scanned, and its bytes are NOT zeroed.
 */
void *hspan_alloc_noscan(size_t size);

/**
 * hspan_alloc_aligned - hspan_alloc() at a multiple of @alignment
 * @alignment: a power of two, at most 2 MiB
 * @size: bytes
 *
 * Beyond 8 KiB the address of an object of less than 2 MiB may lie inside a larger
 * one, see hspan_base().
 * NULL with EINVAL, or as hspan_alloc().
 */
void *hspan_alloc_aligned(size_t alignment, size_t size);

/** hspan_alloc_noscan_aligned - hspan_alloc_noscan() at a multiple of @alignment */
void *hspan_alloc_noscan_aligned(size_t alignment, size_t size);

/**
 * hspan_realloc - make an object larger or smaller
 * @ptr: its start, or NULL
 * @size: bytes wanted; 0 is taken as 1
 *
 * Where it is if there is room, or in a new object of the same kind, scanned
 * word by word or not at all; the old one is left to the collector.  Bytes that
 * hspan_usable_size() did not count before are zero, but for noscan objects.
 * NULL with EINVAL when @ptr is not the start of an object, or as hspan_alloc();
 * then @ptr is as it was.
 */
void *hspan_realloc(void *ptr, size_t size);

/** struct hspan_type - which words of an object are pointers */
struct hspan_type;

/**
 * hspan_type_create - describe a type for precise scanning
 * @size: bytes of one object
 * @bitmap: bit i set = word i (8 bytes each) is a pointer or NULL
 * @nbits: bits given; words beyond are no pointers
 *
 * Returns a type owned by the caller, or NULL (EINVAL, ENOMEM).  It may be
 * destroyed while objects of it live.
 */
struct hspan_type *hspan_type_create(size_t size, const uint64_t *bitmap,
				     size_t nbits);
void hspan_type_destroy(struct hspan_type *type);

/** hspan_alloc_typed - allocate one zeroed object of a type */
void *hspan_alloc_typed(const struct hspan_type *type);

/** hspan_alloc_array - allocate @n zeroed objects of a type in a row */
void *hspan_alloc_array(const struct hspan_type *type, size_t n);

/**
 * hspan_free - say that an object will not be used again
 * @ptr: its start, or NULL
 *
 * For those who know better than the collector.  Using the object later is an
 * error as with free().  While a mark phase runs it is left to the collector.
 */
void hspan_free(void *ptr);

/** hspan_base - the start of the object that @ptr points into, or NULL */
void *hspan_base(const void *ptr);

/** hspan_usable_size - bytes of the object that @ptr points into, or 0 */
size_t hspan_usable_size(const void *ptr);

/* Write barrier ----------------------------------------------------------- */

/**
 * hspan_store - store a pointer into a heap object or a root
 * @slot: where, 8-byte aligned
 * @value: what; need not point into the heap
 *
 * The store is a single relaxed atomic one: use your own lock or fences, or
 * hspan_store_release(), to publish.
 */
void hspan_store(void *slot, void *value);

/** hspan_store_release - hspan_store() with release ordering */
void hspan_store_release(void *slot, void *value);

/** hspan_exchange - store and return what was there (acquire and release) */
void *hspan_exchange(void *slot, void *value);

/**
 * hspan_cas - compare and exchange (acquire and release)
 *
 * Returns 1 when *@slot was @expected and is now @value, else 0.
 */
int hspan_cas(void *slot, void *expected, void *value);

/**
 * hspan_copy - memmove() for objects with pointers
 * @dst: in a heap object or root, 8-byte aligned
 * @src: 8-byte aligned
 * @size: bytes, a multiple of 8
 */
void hspan_copy(void *dst, const void *src, size_t size);

/** hspan_clear - zero part of an object with pointers; @size as above */
void hspan_clear(void *dst, size_t size);

/* Regions and pools ------------------------------------------------------- */

/* For hspan_region_create() */
#define HSPAN_REGION_NOSCAN	(1u << 0) /* its objects hold no pointers */

/** struct hspan_region - objects that are given up all at once */
struct hspan_region;

/**
 * hspan_region_create - open a region
 * @flags: 0 or HSPAN_REGION_NOSCAN
 *
 * An object of the heap: refer to it from where the collector looks.  Used by
 * one thread at a time.  NULL with errno set: EINVAL for an unknown flag, or
 * as hspan_alloc().
 */
struct hspan_region *hspan_region_create(unsigned int flags);

/**
 * hspan_region_alloc - allocate an object in a region
 * @region: open
 * @size: bytes; 0 is taken as 1
 *
 * Aligned to 16; zeroed unless the region is HSPAN_REGION_NOSCAN.  Pointers are
 * stored in it as in any object.  It is there until the region is reset,
 * destroyed, or collected together with all that points into it.
 */
void *hspan_region_alloc(struct hspan_region *region, size_t size);

/** hspan_region_reset - give up all objects of a region; it stays open */
void hspan_region_reset(struct hspan_region *region);

/** hspan_region_destroy - give up a region and all its objects; NULL is allowed */
void hspan_region_destroy(struct hspan_region *region);

/** struct hspan_pool - objects that wait to be used again */
struct hspan_pool;

/**
 * hspan_pool_create - make an empty pool
 * @make: called by hspan_pool_get() when there is nothing, or NULL
 * @arg: its argument
 *
 * Memory from malloc(), owned by the caller; it outlives the heap.  What it
 * holds is kept for one collection, and dropped by the second.  NULL with
 * ENOMEM.
 */
struct hspan_pool *hspan_pool_create(void *(*make)(void *arg), void *arg);

/** hspan_pool_destroy - drop what is in it, and the pool; no one else uses it */
void hspan_pool_destroy(struct hspan_pool *pool);

/** hspan_pool_get - an object that was put, or what make() returns, or NULL */
void *hspan_pool_get(struct hspan_pool *pool);

/** hspan_pool_put - offer an object for use again; NULL is ignored */
void hspan_pool_put(struct hspan_pool *pool, void *object);

/* Weak references and ephemerons ------------------------------------------ */

/* For hspan_weak_set() */
#define HSPAN_WEAK_LONG		(1u << 0) /* not cleared before finalizers are done */
#define HSPAN_WEAK_FOREIGN	(1u << 1) /* the word is the program's: only cleared */

/** struct hspan_weak - a reference that keeps nothing alive; zero is empty */
struct hspan_weak {
	uintptr_t hidden;
};

/**
 * hspan_weak_set - make a weak reference
 * @weak: in an object of the heap, or outside; not to be moved or copied
 * @object: to what, which the caller holds; NULL empties the reference
 * @flags: HSPAN_WEAK_*
 *
 * It is empty once the object has been found dead, before finalizers see that
 * object; or with HSPAN_WEAK_LONG after they have let it go.  A reference outside
 * the heap has to be emptied before its memory is used for something else.
 * Returns 0, -EINVAL, -ENOMEM.
 */
int hspan_weak_set(struct hspan_weak *weak, void *object, unsigned int flags);

/** hspan_weak_get - the object, which is alive then, or NULL */
void *hspan_weak_get(const struct hspan_weak *weak);

/**
 * hspan_ephemeron_set - keep a value alive as long as a table and a key are
 * @table: an object that stands for a table
 * @key: an object, found again by this same address
 * @value: what; NULL takes the entry away
 *
 * The entry keeps neither table nor key alive, even if the value leads to them.
 * Returns 0, -EINVAL, -ENOMEM.
 */
int hspan_ephemeron_set(void *table, void *key, void *value);

/** hspan_ephemeron_get - the value, or NULL; the caller holds table and key */
void *hspan_ephemeron_get(const void *table, const void *key);

/* Finalizers and cleanups -------------------------------------------------- */

/* struct hspan_finalizer.order */
#define HSPAN_FINALIZE_ORDERED		0u /* after those of objects that lead to it */
#define HSPAN_FINALIZE_IGNORE_SELF	1u /* the same, but it may lead to itself */
#define HSPAN_FINALIZE_UNORDERED	2u /* whatever it leads to */
#define HSPAN_FINALIZE_LAST		3u /* when no other's is due that leads to it */

/**
 * struct hspan_finalizer - what is to be called when an object is dead
 * @fn: called with the object and @arg
 * @arg: kept alive as long as the finalizer is set
 * @order: HSPAN_FINALIZE_*
 */
struct hspan_finalizer {
	void (*fn)(void *object, void *arg);
	void *arg;
	unsigned int order;
};

/**
 * hspan_finalizer_set - set, replace or remove an object's finalizer
 * @object: its start
 * @finalizer: or NULL, to remove it
 * @old: if not NULL, gets what was set, with @fn NULL if nothing was
 *
 * Called once; it may set one anew.  Returns 0, -EINVAL, -ENOMEM.
 */
int hspan_finalizer_set(void *object, const struct hspan_finalizer *finalizer,
			struct hspan_finalizer *old);

/**
 * hspan_cleanup_add - have @fn called with @arg when an object is gone
 * @object: or something in it
 *
 * After its finalizer, if it has one, and only if that did not bring it back.  As
 * many as one likes.  @arg is kept alive; the object stays if @arg leads to it.
 * Returns 0, -EINVAL, -ENOMEM.
 */
int hspan_cleanup_add(void *object, void (*fn)(void *arg), void *arg);

/** hspan_cleanup_remove - the same as added; -ENOENT when it was not, or is due */
int hspan_cleanup_remove(void *object, void (*fn)(void *arg), void *arg);

/** hspan_finalizers_run - call those that are due, here; returns how many */
size_t hspan_finalizers_run(void);

/** hspan_finalizers_run_all - call all there are, dead or not; returns how many */
size_t hspan_finalizers_run_all(void);

/** hspan_finalizers_due - how many wait to be called */
size_t hspan_finalizers_due(void);

/** hspan_finalizers_start - have a thread of the library's call them; -EALREADY */
int hspan_finalizers_start(void);

/* Roots and threads ------------------------------------------------------- */

/**
 * hspan_root_add - scan [@start, @start + @size) as pointers, word by word
 *
 * 8-byte aligned.  Stored to with hspan_store().  -EINVAL, -ENOMEM.
 */
int hspan_root_add(void *start, size_t size);

/** hspan_root_remove - the same range as added; -ENOENT if it was not */
int hspan_root_remove(void *start);

/**
 * hspan_thread_register - the calling thread takes part
 *
 * Done by itself at its first allocation.  0, -EALREADY, -EDEADLK when the
 * thread blocks the handshake signal, -ENOMEM.
 */
int hspan_thread_register(void);

/**
 * hspan_thread_unregister - the calling thread takes part no longer
 *
 * Done by itself when it exits.  -ENOENT when it did not, -EBUSY when it runs on
 * a struct hspan_stack.
 */
int hspan_thread_unregister(void);

/**
 * hspan_thread_park - about to block: the collector need not disturb us
 *
 * Until hspan_thread_unpark() the thread must not touch the heap.  Its stack
 * is scanned as it stands.  Use it around calls that wait (poll, locks held
 * long by others): the handshake signal would only interrupt them.
 */
void hspan_thread_park(void);
void hspan_thread_unpark(void);

/* Stacks of coroutines ---------------------------------------------------- */

/** struct hspan_stack - a stack that the collector knows of */
struct hspan_stack;

/**
 * hspan_stack_create - reserve a stack for a coroutine
 * @size: bytes it may grow to, rounded up to pages; 0 = 256 KiB
 *
 * Addresses only: a page of it takes memory from when it is first touched.
 * Below it is a guard that faults.  Owned by the caller; it outlives the heap.
 * NULL with ENOMEM.
 */
struct hspan_stack *hspan_stack_create(size_t size);

/**
 * hspan_stack_destroy - give a stack back; NULL is allowed
 *
 * What is on it is no longer kept.  -EBUSY when a thread runs on it.
 */
int hspan_stack_destroy(struct hspan_stack *stack);

/** hspan_stack_memory - lowest address of a stack, and its size in *@size */
void *hspan_stack_memory(const struct hspan_stack *stack, size_t *size);

/**
 * hspan_stack_reset - nothing on a stack is alive: its coroutine has ended
 *
 * -EBUSY when a thread runs on it.
 */
int hspan_stack_reset(struct hspan_stack *stack);

/**
 * hspan_stack_switch - the calling thread is about to switch to another stack
 * @to: a stack; NULL = the thread's own
 *
 * Called by the function that switches, just before it does: from here until
 * it runs on @to the thread uses neither heap nor library.  What is on the
 * stack that it leaves is kept as it is now, and may be taken up again by any
 * thread.  0, -EBUSY when a thread runs on @to, or as hspan_thread_register().
 */
int hspan_stack_switch(struct hspan_stack *to);

/* Collection -------------------------------------------------------------- */

/**
 * hspan_gc - run one whole collection: mark, then sweep everything
 *
 * Garbage at the time of the call is free when it returns, but for that in the
 * spans of threads that are just running, which they sweep themselves.  Other
 * threads go on running meanwhile.
 */
void hspan_gc(void);

/** hspan_gc_set_percent - see options; returns the old value */
int hspan_gc_set_percent(int percent);

/** hspan_set_memory_limit - see options; returns the old value */
size_t hspan_set_memory_limit(size_t bytes);

/** hspan_release - give free blocks back to the system; returns bytes */
size_t hspan_release(void);

/* Statistics -------------------------------------------------------------- */

/* struct hspan_stats.limit_from */
#define HSPAN_LIMIT_NONE	0u
#define HSPAN_LIMIT_PROGRAM	1u /* hspan_set_memory_limit() and such */
#define HSPAN_LIMIT_CGROUP	2u /* the memory cgroup */

/**
 * struct hspan_stats - figures in the shape of Go's runtime.MemStats
 *
 * Bytes, objects, nanoseconds; totals since the heap was made.
 * @struct_size: set by the caller to sizeof(struct hspan_stats)
 * @heap_live: bytes marked by the last cycle
 * @heap_alloc: bytes of objects live or not yet swept (spans in use)
 * @heap_goal: bytes at which the next cycle is to end
 * @heap_sys: bytes of blocks held
 * @heap_idle: of those, in blocks with no span
 * @heap_released: bytes ever given back to the system
 * @total_alloc: bytes ever allocated (by spans' free runs, as taken)
 * @num_gc: cycles completed
 * @num_forced: of those, by hspan_gc()
 * @mark_ns: wall time of all mark phases
 * @mark_cpu_ns: CPU time of mark workers
 * @assist_ns: time mutators spent marking
 * @wait_ns: time mutators waited for a collector that could not keep up
 * @sweep_cpu_ns: CPU time of the background sweeper
 * @stop_max_ns: longest time any thread was held by one handshake
 * @stop_total_ns: sum of those times
 * @handshakes: times a thread was held
 * @stop_hist: handshakes by duration: bucket i counts [2^i, 2^(i+1)) ns
 * @cycle_max_ns: longest cycle
 * @spans_swept: spans swept
 * @threads: threads taking part
 * @faults_data: page faults of the data region, 0 where not known
 * @limit: most bytes of blocks that may be held now, 0 = no limit
 * @limit_from: whose limit that is: HSPAN_LIMIT_*
 * @pressure: the machine's need of memory: 0 none, 1 some, 2 high
 * @pressed: times it was told
 * @snapshots: cycles that marked an image
 * @snapshots_failed: of those, that marked the heap itself after all, every
 *	thread stopped: there was no image, or who marked it was killed
 * @snapshot_ns: for which threads stood still in them, the longest
 * @heap_inuse: bytes of pages in spans; heap_sys less this and heap_idle is in
 *	free pages of blocks in use
 * @profile_samples: objects that the heap profile has sampled
 * @profile_lost: of those, not recorded for want of memory
 * @profile_bytes: memory that it takes, besides the heap
 */
struct hspan_stats {
	size_t struct_size;
	uint64_t heap_live;
	uint64_t heap_alloc;
	uint64_t heap_goal;
	uint64_t heap_sys;
	uint64_t heap_idle;
	uint64_t heap_released;
	uint64_t total_alloc;
	uint64_t num_gc;
	uint64_t num_forced;
	uint64_t mark_ns;
	uint64_t mark_cpu_ns;
	uint64_t assist_ns;
	uint64_t wait_ns;
	uint64_t sweep_cpu_ns;
	uint64_t stop_max_ns;
	uint64_t stop_total_ns;
	uint64_t handshakes;
	uint64_t stop_hist[40];
	uint64_t cycle_max_ns;
	uint64_t spans_swept;
	uint64_t threads;
	uint64_t faults_data;
	uint64_t limit;
	uint64_t limit_from;
	uint64_t pressure;
	uint64_t pressed;
	uint64_t snapshots;
	uint64_t snapshots_failed;
	uint64_t snapshot_ns;
	uint64_t heap_inuse;
	uint64_t profile_samples;
	uint64_t profile_lost;
	uint64_t profile_bytes;
};

/** hspan_stats_read - fill @stats; -EINVAL for a struct_size not known */
int hspan_stats_read(struct hspan_stats *stats);

#define HSPAN_HISTOGRAM_BUCKETS 160

/**
 * struct hspan_histogram - how long something took, each time, in nanoseconds
 * @count: times
 * @sum: of all
 * @max: the longest
 * @bucket: times from hspan_histogram_bound(i) on, and below that of i + 1
 */
struct hspan_histogram {
	uint64_t count;
	uint64_t sum;
	uint64_t max;
	uint64_t bucket[HSPAN_HISTOGRAM_BUCKETS];
};

/** hspan_histogram_bound - lower bound of a bucket; UINT64_MAX behind the last */
uint64_t hspan_histogram_bound(unsigned int i);

/* struct hspan_gc_stats.handshake */
#define HSPAN_HANDSHAKE_BARRIER	0
#define HSPAN_HANDSHAKE_SCAN	1
#define HSPAN_HANDSHAKE_DRAIN	2
#define HSPAN_HANDSHAKE_FLUSH	3
#define HSPAN_HANDSHAKE_SNAPSHOT 4
#define HSPAN_NR_HANDSHAKES	5

/**
 * struct hspan_gc_stats - how long the collector held up whom, and took itself
 * @struct_size: set by the caller to sizeof(struct hspan_gc_stats)
 * @stop: one thread, for one handshake
 * @handshake: with all threads, by kind, from asking to the last answer
 * @assist: a mutator that marked
 * @wait: a mutator that waited for the collector
 * @mark: a mark phase
 * @cycle: a whole cycle, its sweep included
 */
struct hspan_gc_stats {
	size_t struct_size;
	struct hspan_histogram stop;
	struct hspan_histogram handshake[HSPAN_NR_HANDSHAKES];
	struct hspan_histogram assist;
	struct hspan_histogram wait;
	struct hspan_histogram mark;
	struct hspan_histogram cycle;
};

/** hspan_gc_stats - fill @stats; -EINVAL for a struct_size not known */
int hspan_gc_stats(struct hspan_gc_stats *stats);

/* struct hspan_metric.kind */
#define HSPAN_METRIC_UINT64	0u
#define HSPAN_METRIC_FLOAT64	1u
#define HSPAN_METRIC_HISTOGRAM	2u /* in nanoseconds */

/** struct hspan_metric - one figure: @kind tells which of the others it is */
struct hspan_metric {
	unsigned int kind;
	uint64_t uint64;
	double float64;
	struct hspan_histogram histogram;
};

/** hspan_metric_name - the name of the @i-th figure; NULL behind the last */
const char *hspan_metric_name(size_t i);

/** hspan_metric_read - a figure by its name; -ENOENT if there is none of it */
int hspan_metric_read(const char *name, struct hspan_metric *metric);

/**
 * struct hspan_class_stats - figures of a size class
 * @size: bytes of its objects; 0: large ones, each with a span of its own
 * @spans: spans it has
 * @span_bytes: bytes of those
 * @objects: slots in use: by objects live or not yet swept, or set aside by a
 *	thread to allocate from
 * @object_bytes: bytes of those
 * @allocs: slots ever taken into use
 * @frees: of those, given up since
 */
struct hspan_class_stats {
	uint64_t size;
	uint64_t spans;
	uint64_t span_bytes;
	uint64_t objects;
	uint64_t object_bytes;
	uint64_t allocs;
	uint64_t frees;
};

/**
 * hspan_stats_classes - fill the first @n of @classes, one for each size class
 *
 * Walks the spans while the program runs.  Returns how many classes there are,
 * or -EINVAL, -ENOTSUP.
 */
int hspan_stats_classes(struct hspan_class_stats *classes, size_t n);

/* Heap profile -------------------------------------------------------------- */

/* For hspan_profile_write() */
#define HSPAN_PROFILE_GC	(1u << 0) /* run a collection first */
#define HSPAN_PROFILE_TEXT	(1u << 1) /* gperftools' text, not pprof's protobuf */
#define HSPAN_PROFILE_UNFREED	(1u << 2) /* what was collected without hspan_free() */

/**
 * hspan_profile_start - begin to sample what is allocated, and by whom
 * @rate: bytes allocated from one sample to the next, on average; 0: 512 KiB;
 *	1: every object
 *
 * Anew: an earlier profile is forgotten.  Threads that are running join in
 * within the next 512 KiB that they allocate.  0, -EALREADY, -ENOMEM, -ENOTSUP.
 */
int hspan_profile_start(size_t rate);

/**
 * hspan_profile_stop - sample no more
 *
 * What was sampled can still be written.  -ENOENT if there is no profile.
 */
int hspan_profile_stop(void);

/**
 * hspan_profile_write - write the heap profile
 * @fd: to which file
 * @flags: HSPAN_PROFILE_*
 *
 * Objects allocated and in use, by size and stack, as of the end of marking of
 * the last collection; before the first, all that were allocated.  -ENOENT if
 * there never was a profile, -EINVAL, -EBADF, -ENOMEM, -ENOTSUP, -ENOSYS when
 * libhugespan-prof cannot be loaded, or what write() says.
 */
int hspan_profile_write(int fd, unsigned int flags);

/**
 * hspan_profile_write_held - write what is reachable from one root only
 * @fd: to which file
 * @root: where the root begins, as given to hspan_root_add()
 * @flags: 0 or HSPAN_PROFILE_TEXT
 *
 * Sampled objects that would be garbage without that root.  Runs a collection
 * and stops all threads while it looks.  Errors as above; -ENOENT, too, if there
 * is no such root.
 */
int hspan_profile_write_held(int fd, const void *root, unsigned int flags);

#include "hugespan-inline.h"

#ifdef __cplusplus
}
#endif

#endif /* HUGESPAN_H */
