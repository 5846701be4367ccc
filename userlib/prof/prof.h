/* SPDX-License-Identifier: MIT */
/* What the files of libhugespan-prof share: a profile on its way to be packed. */
#ifndef HP_PROF_H
#define HP_PROF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "profile.pb-c.h"

/** struct hp_list - pointers, or numbers, one behind the other */
struct hp_list {
	void *items;
	size_t count;
	size_t room;
};

/**
 * struct hp_build - a profile that is put together
 * @failed: there was no memory for something
 * @strings, @mappings, @locations, @samples: of the profile
 * @known: table of location ids by address
 * @places: of @known, a power of two
 * @memory: all that was allocated, to be freed at the end
 */
struct hp_build {
	bool failed;
	struct hp_list strings;
	struct hp_list mappings;
	struct hp_list locations;
	struct hp_list samples;
	uint32_t *known;
	size_t places;
	struct hp_list memory;
};

/* Zeroed memory that lasts as long as @b; NULL, and @b has failed, if there is none. */
void *hp_alloc(struct hp_build *b, size_t size);

/* Put a pointer at the end of a list. */
void hp_push(struct hp_build *b, struct hp_list *list, void *item);

/* The place of a text in the profile's table; a copy is made. */
int64_t hp_string(struct hp_build *b, const char *text);

/* Forget all. */
void hp_drop(struct hp_build *b);

/* maps.c: what is mapped to run; texts are looked up in files, by pprof. */
void hp_add_mappings(struct hp_build *b);
uint64_t hp_mapping_of(const struct hp_build *b, uint64_t address);

#endif /* HP_PROF_H */
