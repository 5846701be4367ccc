/* SPDX-License-Identifier: MIT */
/* Compiled as C99 and as C++11: a public header needs nothing before it. */
#if WHICH
#include <linux/hugespan.h>

int probe(struct hspan_control *control);

int probe(struct hspan_control *control)
{
	return control->sweepgen == HSPAN_PM_PAGE(HSPAN_PM_ENTRY(1, 2)) ? HSPAN_ABI_VERSION : 0;
}
#else
#include <hugespan.h>

int probe(void **slot);

int probe(void **slot)
{
	hspan_store(slot, hspan_alloc(sizeof(struct hspan_options)));
	return hspan_init(0) + hspan_cas(slot, 0, 0);
}
#endif
