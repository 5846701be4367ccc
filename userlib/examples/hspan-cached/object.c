// SPDX-License-Identifier: MIT
/* Allocation of what lives in the collected heap, and byte strings. */
#include <string.h>

#include "object.h"
#include "object_types.h"

_Thread_local jmp_buf *oom_escape;

struct hspan_type *type_dict, *type_field, *type_key, *type_list, *type_lnode;

void *object_check(void *p)
{
	if (!p)
		longjmp(*oom_escape, 1);
	return p;
}

static struct hspan_type *describe(size_t size, unsigned int pointers)
{
	uint64_t bits = (1ull << pointers) - 1;

	return hspan_type_create(size, &bits, pointers);
}

/* every type here has its pointers first, so their number describes it */
int object_init(void)
{
	type_dict = describe(sizeof(struct dict), 2);
	type_field = describe(sizeof(struct dictent), 3);
	type_key = describe(sizeof(struct keyent), 3);
	type_list = describe(sizeof(struct list), 2);
	type_lnode = describe(sizeof(struct lnode), 2 + LNODE_ITEMS);
	return type_dict && type_field && type_key && type_list && type_lnode ?
	       0 : -1;
}

struct bytes *bytes_sized(size_t len, size_t cap)
{
	struct bytes *b = object_check(hspan_alloc_noscan(sizeof(*b) + cap));

	b->len = len;
	b->cap = cap;
	return b;
}

struct bytes *bytes_new(const void *data, size_t len)
{
	struct bytes *b = bytes_sized(len, len);

	memcpy(b->data, data, len);
	return b;
}

bool bytes_equal(const struct bytes *b, const void *data, size_t len)
{
	return b->len == len && !memcmp(b->data, data, len);
}
