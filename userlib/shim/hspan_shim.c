// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * What the shim cannot do inline: waiting for locks, memory without malloc(),
 * and how many CPUs there can be.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "hspan_shim.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__)
#define HSPAN_SHIM_ASAN
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HSPAN_SHIM_ASAN
#endif
#endif

#define SPINS		200	/* a few critical sections long */

static void cpu_relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield" ::: "memory");
#endif
}

void hspan_shim_lock_slow(spinlock_t *lock)
{
	int saved = errno, i;
	u32 free;

	for (i = 0; i < SPINS; i++) {
		free = 0;
		if (!__atomic_load_n(&lock->state, __ATOMIC_RELAXED) &&
		    __atomic_compare_exchange_n(&lock->state, &free, 1, false,
						__ATOMIC_ACQUIRE,
						__ATOMIC_RELAXED))
			return;
		cpu_relax();
	}
	while (__atomic_exchange_n(&lock->state, 2, __ATOMIC_ACQUIRE))
		syscall(SYS_futex, &lock->state, FUTEX_WAIT_PRIVATE, 2, NULL,
			NULL, 0);
	errno = saved;
}

void hspan_shim_unlock_slow(spinlock_t *lock)
{
	int saved = errno;

	syscall(SYS_futex, &lock->state, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
	errno = saved;
}

/* Parse "0-3" or "0,2-7": one more than the last number. */
static unsigned int cpus_in_list(const char *text, ssize_t len)
{
	unsigned int last = 0, number = 0;
	ssize_t i;

	for (i = 0; i < len; i++) {
		if (text[i] >= '0' && text[i] <= '9')
			number = number * 10 + (unsigned int)(text[i] - '0');
		else
			number = 0;
		last = max(last, number);
	}
	return last + 1;
}

static unsigned int count_cpus(void)
{
	char text[256];
	ssize_t len = -1;
	int fd = open("/sys/devices/system/cpu/possible", O_RDONLY | O_CLOEXEC);

	if (fd >= 0) {
		len = read(fd, text, sizeof(text));
		close(fd);
	}
	if (len <= 0)
		return 64;	/* threads on more CPUs than that share */
	return min(cpus_in_list(text, len), 4096U);
}

unsigned int hspan_shim_nr_cpus(void)
{
	static unsigned int nr_cpus;
	unsigned int nr = __atomic_load_n(&nr_cpus, __ATOMIC_RELAXED);

	if (unlikely(!nr)) {
		nr = count_cpus();
		__atomic_store_n(&nr_cpus, nr, __ATOMIC_RELAXED);
	}
	return nr;
}

#ifdef HSPAN_SHIM_ASAN
/* Let the sanitizer see each allocation by itself. */
#include <stdlib.h>

void *hspan_shim_alloc(size_t size)
{
	void *ptr;

	size = DIV_ROUND_UP(size, 64) * 64;
	ptr = aligned_alloc(64, size);
	return ptr ? memset(ptr, 0, size) : NULL;
}

void hspan_shim_free(void *ptr)
{
	free(ptr);
}

#else

/**
 * struct head - in front of every allocation
 * @size: bytes, this included; a multiple of its alignment
 * @next: the next free one of the same size
 *
 * Small ones are cut from chunks and kept on a list by size when freed: there
 * are only a few sizes, and nearly all live as long as a heap.  Large ones
 * are mappings of their own.
 */
struct head {
	size_t size;
	struct head *next;
} __attribute__((aligned(64)));

#define LARGE		(64UL << 10)
#define CHUNK		(1UL << 20)

static spinlock_t lock;		/* protects the next three */
static struct head *free_lists[LARGE / sizeof(struct head)];
static char *chunk;
static size_t chunk_left;

static void *map_pages(size_t size)
{
	int saved = errno;
	void *ptr = mmap(NULL, size, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	errno = saved;
	return ptr == MAP_FAILED ? NULL : ptr;
}

/* Memory already used once comes back dirty; from a chunk it is zero. */
static struct head *alloc_small(size_t size, bool *dirty)
{
	struct head **list = &free_lists[size / sizeof(struct head)];
	struct head *head = *list;

	if (head) {
		*list = head->next;
		*dirty = true;
		return head;
	}
	if (chunk_left < size) {
		chunk = map_pages(CHUNK);
		chunk_left = chunk ? CHUNK : 0;
		if (!chunk)
			return NULL;
	}
	head = (struct head *)(void *)chunk;
	chunk += size;
	chunk_left -= size;
	return head;
}

void *hspan_shim_alloc(size_t size)
{
	struct head *head;
	bool dirty = false;

	if (size > SIZE_MAX / 2)
		return NULL;
	size = DIV_ROUND_UP(size, sizeof(*head)) * sizeof(*head) +
	       sizeof(*head);
	if (size >= LARGE) {
		head = map_pages(size);
	} else {
		spin_lock(&lock);
		head = alloc_small(size, &dirty);
		spin_unlock(&lock);
	}
	if (!head)
		return NULL;
	head->size = size;
	if (dirty)
		memset(head + 1, 0, size - sizeof(*head));
	return head + 1;
}

void hspan_shim_free(void *ptr)
{
	struct head *head = ptr;
	int saved = errno;

	if (!ptr)
		return;
	head--;
	if (head->size >= LARGE) {
		munmap(head, head->size);
		errno = saved;
		return;
	}
	spin_lock(&lock);
	head->next = free_lists[head->size / sizeof(*head)];
	free_lists[head->size / sizeof(*head)] = head;
	spin_unlock(&lock);
}

#endif
