/* SPDX-License-Identifier: MIT */
/* What the tests of malloc share: cmocka, random numbers, patterns in objects. */
#ifndef MALLOC_TEST_COMMON_H
#define MALLOC_TEST_COMMON_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <malloc.h>

/* How much the random tests do; less under sanitizers. */
static inline long effort(long most)
{
	const char *text = getenv("HUGESPAN_TEST_EFFORT");
	long percent = text ? atol(text) : 100;

	return most * percent / 100 > 1 ? most * percent / 100 : 1;
}

static inline uint32_t random_below(uint64_t *state, uint32_t below)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return (uint32_t)(((*state * 0x2545f4914f6cdd1dull >> 32) * below) >> 32);
}

/* Fill an object so that its neighbours' or its own change shows. */
static inline void paint(void *p, size_t size, uint32_t colour)
{
	memset(p, (int)(colour & 0xff), size);
}

static inline void assert_painted(const void *p, size_t size, uint32_t colour)
{
	const unsigned char *bytes = p;

	for (size_t i = 0; i < size; i++)
		if (bytes[i] != (colour & 0xff))
			fail_msg("byte %zu of %zu at %p is %02x, not %02x", i, size, p, bytes[i],
				 colour & 0xff);
}

static inline int is_zero(const void *p, size_t size)
{
	const unsigned char *bytes = p;

	for (size_t i = 0; i < size; i++)
		if (bytes[i])
			return 0;
	return 1;
}

#endif /* MALLOC_TEST_COMMON_H */
