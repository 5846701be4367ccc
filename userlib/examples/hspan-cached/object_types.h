/* SPDX-License-Identifier: MIT */
/* The heap's type descriptors, and the keyspace's own kind of entry. */
#ifndef CACHED_OBJECT_TYPES_H
#define CACHED_OBJECT_TYPES_H

#include "object.h"

enum value_type { T_STRING, T_LIST, T_SET, T_HASH };

/* @expire: ms since the epoch, 0 = never; @ttl: its place in the TTL heap */
struct keyent {
	struct dictent e;
	int64_t expire;
	uint32_t ttl;
	uint32_t type;
};

extern struct hspan_type *type_dict, *type_field, *type_key, *type_list,
			 *type_lnode;

/* gives back what it gets, or leaves the command when that is NULL */
void *object_check(void *p);

#endif /* CACHED_OBJECT_TYPES_H */
