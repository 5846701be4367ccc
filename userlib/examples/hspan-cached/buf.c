// SPDX-License-Identifier: MIT
/* Growing byte buffers outside the collected heap. */
#include <stdlib.h>

#include "server.h"

/* room for @more bytes behind the last; false when over @limit or no memory */
bool buf_reserve(struct buf *b, size_t more, size_t limit)
{
	size_t need, cap = b->cap ? b->cap : 1024;
	char *data;

	if (__builtin_add_overflow(b->len, more, &need) || need > limit)
		return false;
	if (need <= b->cap)
		return true;
	while (cap < need)
		cap += cap;
	data = realloc(b->data, cap);
	if (!data)
		return false;
	b->data = data;
	b->cap = cap;
	return true;
}
