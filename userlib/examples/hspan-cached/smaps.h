/* SPDX-License-Identifier: MIT */
/* What the kernel says of the heap's mapping. */
#ifndef CACHED_SMAPS_H
#define CACHED_SMAPS_H

#include <stdbool.h>
#include <stdint.h>

/* kB; @huge: mapped by 2 MiB entries; @areas: mappings these are the sums of */
struct heap_map {
	uint64_t rss, huge, anon_huge, shmem_huge, file_huge, swap;
	unsigned int areas;
	char name[64];
};

bool heap_map_read(const void *inside, struct heap_map *m);

#endif /* CACHED_SMAPS_H */
