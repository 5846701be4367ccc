/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The part of the kernel's own vocabulary that kmod/heap uses, for user space.
 *
 * Nothing here calls malloc(): the library may be what malloc() is built on.
 * Locks are held for short, bounded stretches and not across anything that
 * can run a signal handler's code that takes them; the library sees to that.
 */
#ifndef _HSPAN_SHIM_H
#define _HSPAN_SHIM_H

#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int32_t s32;
typedef int64_t s64;

/* Compiler and machine. */
#define __percpu
#define noinline	__attribute__((noinline))
#define ____cacheline_aligned_in_smp	__attribute__((aligned(64)))
#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

#define max_t(type, a, b)	({ type _a = (a); type _b = (b); \
				   _a > _b ? _a : _b; })
#define min_t(type, a, b)	({ type _a = (a); type _b = (b); \
				   _a < _b ? _a : _b; })
#define max(a, b)		max_t(__typeof__((a) + 0), a, b)
#define min(a, b)		min_t(__typeof__((a) + 0), a, b)
#define DIV_ROUND_UP(n, d)	(((n) + (d) - 1) / (d))
#define array_index_nospec(index, size)	(index)
#define might_sleep()			do { } while (0)
#define cond_resched()			do { } while (0)
#define lockdep_assert_held(lock)	((void)(lock))
#define pr_warn(fmt, ...)		fprintf(stderr, fmt, ##__VA_ARGS__)

/* Memory order. */
#define READ_ONCE(x)		__atomic_load_n(&(x), __ATOMIC_RELAXED)
#define WRITE_ONCE(x, v)	__atomic_store_n(&(x), (v), __ATOMIC_RELAXED)
#define smp_load_acquire(p)	__atomic_load_n((p), __ATOMIC_ACQUIRE)
#define smp_store_release(p, v)	__atomic_store_n((p), (v), __ATOMIC_RELEASE)

#if defined(__SANITIZE_THREAD__)
#define HSPAN_SHIM_TSAN
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define HSPAN_SHIM_TSAN
#endif
#endif

/* Thread sanitizers know accesses only, and no fences. */
static inline void smp_mb(void)
{
#ifdef HSPAN_SHIM_TSAN
	static int fence;

	__atomic_fetch_add(&fence, 1, __ATOMIC_SEQ_CST);
#else
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
#endif
}

/* As the kernel's: a full barrier, for which not every machine's atomics do. */
static inline void hspan_shim_mb_after_atomic(void)
{
#if !defined(__x86_64__) && !defined(__i386__)
	smp_mb();
#endif
}

#define cmpxchg(p, old, new) ({						\
	__typeof__(*(p)) _old = (old);					\
	__atomic_compare_exchange_n((p), &_old, (new), false,		\
				    __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);\
	hspan_shim_mb_after_atomic();					\
	_old;								\
})

#define xchg(p, new) ({							\
	__typeof__(*(p)) _old = __atomic_exchange_n((p), (new),		\
						    __ATOMIC_SEQ_CST);	\
	hspan_shim_mb_after_atomic();					\
	_old;								\
})

typedef struct {
	int counter;
} atomic_t;

static inline int atomic_read(const atomic_t *v)
{
	return __atomic_load_n(&v->counter, __ATOMIC_RELAXED);
}

static inline void atomic_inc(atomic_t *v)
{
	__atomic_fetch_add(&v->counter, 1, __ATOMIC_SEQ_CST);
}

static inline void atomic_add(int n, atomic_t *v)
{
	__atomic_fetch_add(&v->counter, n, __ATOMIC_SEQ_CST);
}

static inline void atomic_sub(int n, atomic_t *v)
{
	__atomic_fetch_sub(&v->counter, n, __ATOMIC_SEQ_CST);
}

/*
 * A counter for one CPU.  A thread may be moved between asking for its CPU and
 * counting, so here it takes an atomic operation.
 */
typedef struct {
	s64 counter;
} local64_t;

static inline s64 local64_read(const local64_t *l)
{
	return __atomic_load_n(&l->counter, __ATOMIC_RELAXED);
}

static inline void local64_add(s64 n, local64_t *l)
{
	__atomic_fetch_add(&l->counter, n, __ATOMIC_RELAXED);
}

/*
 * Locks: 0 free, 1 taken, 2 taken with waiters asleep.  A waiter spins for a
 * while and then sleeps in futex(), as its owner may have been scheduled out.
 * All bytes zero is an unlocked lock.
 */
typedef struct {
	u32 state;
} spinlock_t;

void hspan_shim_lock_slow(spinlock_t *lock);
void hspan_shim_unlock_slow(spinlock_t *lock);

static inline void spin_lock_init(spinlock_t *lock)
{
	__atomic_store_n(&lock->state, 0, __ATOMIC_RELAXED);
}

static inline void spin_lock(spinlock_t *lock)
{
	u32 free = 0;

	if (unlikely(!__atomic_compare_exchange_n(&lock->state,
			&free, 1, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)))
		hspan_shim_lock_slow(lock);
}

static inline void spin_unlock(spinlock_t *lock)
{
	if (unlikely(__atomic_exchange_n(&lock->state, 0,
						    __ATOMIC_RELEASE) == 2))
		hspan_shim_unlock_slow(lock);
}

/* Bitmaps. */
#define BITS_PER_LONG		(CHAR_BIT * (unsigned int)sizeof(long))
#define BITS_TO_LONGS(nr)	DIV_ROUND_UP(nr, BITS_PER_LONG)
#define DECLARE_BITMAP(name, bits) unsigned long name[BITS_TO_LONGS(bits)]

static inline bool test_bit(unsigned long bit, const unsigned long *map)
{
	return map[bit / BITS_PER_LONG] >> (bit % BITS_PER_LONG) & 1;
}

static inline void __set_bit(unsigned long bit, unsigned long *map)
{
	map[bit / BITS_PER_LONG] |= 1UL << (bit % BITS_PER_LONG);
}

static inline void __clear_bit(unsigned long bit, unsigned long *map)
{
	map[bit / BITS_PER_LONG] &= ~(1UL << (bit % BITS_PER_LONG));
}

/* First bit from @start that is set in @map ^ @invert; @size if none is. */
static inline unsigned long hspan_shim_find(const unsigned long *map,
					    unsigned long size,
					    unsigned long start,
					    unsigned long invert)
{
	unsigned long i, word;

	if (start >= size)
		return size;
	i = start / BITS_PER_LONG;
	word = (map[i] ^ invert) & (~0UL << (start % BITS_PER_LONG));
	while (!word) {
		if (++i * BITS_PER_LONG >= size)
			return size;
		word = map[i] ^ invert;
	}
	return min(i * BITS_PER_LONG + (unsigned long)__builtin_ctzl(word),
		   size);
}

static inline unsigned long find_next_bit(const unsigned long *map,
					  unsigned long size,
					  unsigned long start)
{
	return hspan_shim_find(map, size, start, 0);
}

static inline unsigned long find_next_zero_bit(const unsigned long *map,
					       unsigned long size,
					       unsigned long start)
{
	return hspan_shim_find(map, size, start, ~0UL);
}

#define find_first_bit(map, size)	find_next_bit(map, size, 0)
#define find_first_zero_bit(map, size)	find_next_zero_bit(map, size, 0)

#define for_each_set_bit(bit, map, size)				\
	for ((bit) = find_first_bit(map, size); (bit) < (size);		\
	     (bit) = find_next_bit(map, size, (bit) + 1))

/* Number of the lowest bit set in @word, which is not 0. */
static inline unsigned long __ffs(unsigned long word)
{
	return (unsigned long)__builtin_ctzl(word);
}

static inline bool bitmap_full(const unsigned long *map, unsigned int nr)
{
	return find_first_zero_bit(map, nr) >= nr;
}

/* Last bit set below @size, or @size. */
static inline unsigned long find_last_bit(const unsigned long *map,
					  unsigned long size)
{
	unsigned long i = BITS_TO_LONGS(size), word;

	while (i--) {
		word = map[i];
		if ((i + 1) * BITS_PER_LONG > size)
			word &= ~0UL >> (-size % BITS_PER_LONG);
		if (word)
			return i * BITS_PER_LONG + BITS_PER_LONG - 1 -
			       (unsigned long)__builtin_clzl(word);
	}
	return size;
}

/* The bits of word @i of a map that lie in [@start, @end). */
static inline unsigned long hspan_shim_mask(unsigned long i,
					    unsigned long start,
					    unsigned long end)
{
	unsigned long mask = ~0UL;

	if (i == start / BITS_PER_LONG)
		mask &= ~0UL << (start % BITS_PER_LONG);
	if (i == end / BITS_PER_LONG)
		mask &= ~(~0UL << (end % BITS_PER_LONG));
	return mask;
}

static inline void bitmap_set(unsigned long *map, unsigned int start,
			      unsigned int nr)
{
	unsigned long i, end = (unsigned long)start + nr;

	for (i = start / BITS_PER_LONG; i * BITS_PER_LONG < end; i++)
		map[i] |= hspan_shim_mask(i, start, end);
}

static inline void bitmap_clear(unsigned long *map, unsigned int start,
				unsigned int nr)
{
	unsigned long i, end = (unsigned long)start + nr;

	for (i = start / BITS_PER_LONG; i * BITS_PER_LONG < end; i++)
		map[i] &= ~hspan_shim_mask(i, start, end);
}

static inline void bitmap_zero(unsigned long *map, unsigned int nr)
{
	memset(map, 0, BITS_TO_LONGS(nr) * sizeof(long));
}

/* Start of the first run of @nr clear bits from @start; > @size if none. */
static inline unsigned long
bitmap_find_next_zero_area(const unsigned long *map, unsigned long size,
			   unsigned long start, unsigned int nr,
			   unsigned long align_mask)
{
	unsigned long used;

	(void)align_mask;
	for (;; start = used + 1) {
		start = find_next_zero_bit(map, size, start);
		if (start + nr > size)
			return size + 1;
		used = find_next_bit(map, start + nr, start);
		if (used >= start + nr)
			return start;
	}
}

/* Memory: zeroed, never from malloc(). */
#define GFP_KERNEL_ACCOUNT	0
#define __GFP_NOWARN		0

void *hspan_shim_alloc(size_t size);
void hspan_shim_free(void *ptr);

#define kzalloc(size, gfp)	hspan_shim_alloc(size)
#define kvzalloc(size, gfp)	hspan_shim_alloc(size)
#define kvcalloc(n, size, gfp)	hspan_shim_alloc((size_t)(n) * (size))
#define kfree(ptr)		hspan_shim_free((void *)(ptr))
#define kvfree(ptr)		hspan_shim_free((void *)(ptr))

/* CPUs: an array with an element for each that may ever come up. */
unsigned int hspan_shim_nr_cpus(void);

static inline unsigned int hspan_shim_cpu(void)
{
	int cpu = sched_getcpu();	/* restartable sequences, or vDSO */

	return cpu < 0 ? 0 : (unsigned int)cpu % hspan_shim_nr_cpus();
}

/* The type's own alignment keeps elements on different cache lines. */
#define alloc_percpu_gfp(type, gfp) \
	((type *)hspan_shim_alloc(sizeof(type) * hspan_shim_nr_cpus()))
#define free_percpu(ptr)		hspan_shim_free(ptr)
#define per_cpu_ptr(ptr, cpu)		(&(ptr)[cpu])
/* Nothing keeps the thread on that CPU, or the CPU in place. */
#define get_cpu_ptr(ptr)		(&(ptr)[hspan_shim_cpu()])
#define put_cpu_ptr(ptr)		((void)(ptr))
#define for_each_possible_cpu(cpu) \
	for ((cpu) = 0; (cpu) < (int)hspan_shim_nr_cpus(); (cpu)++)

#endif /* _HSPAN_SHIM_H */
