// SPDX-License-Identifier: MIT
/*
 * The hardened mode: what is freed must be an object, once, and nothing may
 * have been written behind it.
 *
 * The last word of an object's memory has the size that was asked for, mixed
 * with a secret and the address; the bytes between are filled.  The second word
 * of a freed one has a mark.
 */
#include <sys/auxv.h>
#include <sys/random.h>

#include "hm.h"

#define MIN_SIZE 16 /* of an object: room for link and mark */
#define FILL	 0xa5

static uint64_t secret;

void hm_hardened_init(void)
{
	if (getrandom(&secret, sizeof(secret), GRND_NONBLOCK) != sizeof(secret))
		memcpy(&secret, (void *)getauxval(AT_RANDOM), sizeof(secret));
}

static uint64_t mix(const void *p)
{
	return (secret ^ (uintptr_t)p) * 0x9e3779b97f4a7c15ul;
}

/* Bytes of the object's memory; 0 = there is no such object. */
static size_t room_of(const void *p)
{
	struct hm_span *span = hm_span_at(p);
	size_t off;

	if (!span)
		return hm_huge_usable(p);
	if (hm_load(&span->heap) == &hm_large)
		return span->slot_size;
	off = (size_t)((const char *)p - span->base);
	if (off % span->slot_size || off / span->slot_size >= span->nr_slots - span->fresh)
		return 0;
	return span->slot_size;
}

static uint64_t *tail_of(void *p, size_t room)
{
	return (uint64_t *)((char *)p + room - sizeof(uint64_t));
}

static uint64_t *mark_of(void *p)
{
	return (uint64_t *)p + 1;
}

void *hm_hardened_alloc(size_t align, size_t size, bool *zeroed)
{
	size_t want = size < MIN_SIZE ? MIN_SIZE : size, room;
	bool unused;
	char *p;

	*zeroed = false;
	if (want > PTRDIFF_MAX - sizeof(uint64_t))
		return NULL;
	p = hm_raw_alloc(align < HM_ALIGN ? HM_ALIGN : align, want + sizeof(uint64_t), &unused);
	if (!p)
		return NULL;
	room = room_of(p);
	*mark_of(p) = 0;
	memset(p + size, FILL, room - sizeof(uint64_t) - size);
	*tail_of(p, room) = size ^ mix(p);
	return p;
}

/* The object's size; dies for @what if it is none, or was written beyond. */
static size_t check(void *p, const char *what)
{
	size_t room = room_of(p), size, end;

	if (!room)
		hs_die("%s(): invalid pointer\n", what);
	if (room <= HM_SMALL_MAX && *mark_of(p) == ~mix(p))
		hs_die("%s(): double free detected\n", what);
	end = room - sizeof(uint64_t);
	size = *tail_of(p, room) ^ mix(p);
	if (size > end)
		hs_die("%s(): written beyond the object's end\n", what);
	for (size_t i = size; i < end; i++)
		if (((unsigned char *)p)[i] != FILL)
			hs_die("%s(): written beyond the object's end\n", what);
	return size;
}

void hm_hardened_free(void *p)
{
	size_t room;

	check(p, "free");
	room = room_of(p);
	*tail_of(p, room) = 0;
	*mark_of(p) = ~mix(p);
	hm_raw_free(p);
}

size_t hm_hardened_usable(void *p)
{
	return check(p, "malloc_usable_size");
}

void *hm_hardened_realloc(void *p, size_t size)
{
	size_t old = check(p, "realloc");
	bool zeroed;
	void *new = hm_hardened_alloc(HM_ALIGN, size, &zeroed);

	if (!new)
		return NULL;
	memcpy(new, p, old < size ? old : size);
	hm_hardened_free(p);
	return new;
}
