/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the ABI tests share: opening things, calling ioctls, reading state.
 */
#ifndef HUGESPAN_ABI_H
#define HUGESPAN_ABI_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <unistd.h>

#include <cmocka.h>
#include <linux/hugespan.h>

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

/* A span class of one-page spans with 256 objects of 32 bytes, noscan. */
#define CLASS_32	HSPAN_SPAN_CLASS(4, 1)

/* Fails the test unless @call returns -1 with @err in errno. */
#define assert_errno(call, err)						\
	do {								\
		errno = 0;						\
		assert_int_equal((call), -1);				\
		assert_int_equal(errno, (err));				\
	} while (0)

/* In a process of its own, where cmocka is not: says what is not so, and ends. */
#define CHECK(cond)							\
	do {								\
		if (!(cond)) {						\
			dprintf(1, "# %s:%d: %s: errno %d\n", __FILE__,	\
				__LINE__, #cond, errno);		\
			_exit(1);					\
		}							\
	} while (0)

/* Fixture: most tests have one arena of ABI_BLOCKS blocks. */
#define ABI_BLOCKS	16

int abi_device(void);
int abi_arena(unsigned long blocks, unsigned long limit);
int abi_open(int arena);
int abi_setup(void **state);
int abi_teardown(void **state);
#define abi_fd(state)	(*(int *)*(state))

int abi_get(int fd, unsigned int class, unsigned int npages,
	    struct hspan_span *spans, unsigned int nr);
void abi_get_all(int fd, unsigned int class, unsigned int npages,
		 struct hspan_span *spans, unsigned int nr);
int abi_put(int fd, const struct hspan_span *span, unsigned int nfree);
int abi_put_all(int fd, const struct hspan_span *spans, unsigned int nr);
int abi_sweep(int fd, struct hspan_span *spans, unsigned int nr);
int abi_cycle(int fd);
unsigned int abi_slots(unsigned int class);
unsigned long abi_sweep_away(int fd);
unsigned long abi_release(int fd);
struct hspan_arena_stats abi_stats(int fd);

void *abi_map(int fd, unsigned long long off, size_t size, int prot);
void *abi_map_data(int fd, unsigned long blocks);

/* For programs without cmocka: end the process, or print a line of TAP. */
void abi_die(const char *what);
void abi_check(int good, const char *what);
extern int abi_nr_failed;

void abi_pause_ms(int ms);
int abi_write(const char *path, const char *text);
long abi_sysfs(const char *name);
void abi_settle(void);
/* A fixture: nothing is left of what went before. */
int abi_baseline(void **state);
int abi_set_sysfs(const char *name, const char *value);
long abi_smaps(const void *addr, const char *field);
long abi_fdinfo(int fd, const char *field);
void abi_send_fd(int sock, int fd);
int abi_receive_fd(int sock);
void abi_become(unsigned int id);
pid_t abi_start_as(unsigned int id, void (*fn)(int dev, void *arg), void *arg);
int abi_end(pid_t pid);
#define abi_run_as(id, fn, arg)	abi_end(abi_start_as(id, fn, arg))
int abi_touch(volatile char *p, int write);

#endif /* HUGESPAN_ABI_H */
