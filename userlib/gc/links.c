// SPDX-License-Identifier: MIT
/*
 * Disappearing links: words that become NULL when the object they are registered
 * with is dead; long ones only when nothing of its finalizers can reach it either.
 */
#include "hg.h"

static int add(struct hg_table *t, void **link, const void *obj)
{
	struct hg_entry *e;
	int ret = GC_SUCCESS;

	if (!link || (uintptr_t)link & (sizeof(void *) - 1))
		hg_abort("Bad arg to GC_general_register_disappearing_link");
	if (!hg_ready() || hs.forked)
		return GC_NO_MEMORY;
	hg_lock();
	e = hg_table_find(t, (uintptr_t)link);
	if (e)
		ret = GC_DUPLICATE;
	else
		e = hg_table_add(t, (uintptr_t)link);
	if (e) {
		e->obj = (uintptr_t)obj;
		e->born = hg.image;
	}
	hg_unlock();
	return e ? ret : GC_NO_MEMORY;
}

static int drop(struct hg_table *t, void **link)
{
	struct hg_entry *e;

	if ((uintptr_t)link & (sizeof(void *) - 1) || hs.forked)
		return 0;
	hg_lock();
	e = hg_table_find(t, (uintptr_t)link);
	if (e)
		hg_table_remove(t, e);
	hg_unlock();
	return e != NULL;
}

/*
 * The child may be about to say that the object is dead, and then the word is
 * cleared where the link is by then: so it may be moved at any time.
 */
static int move(struct hg_table *t, void **link, void **to)
{
	struct hg_entry *e;
	int ret = GC_SUCCESS;

	if (!to || (uintptr_t)to & (sizeof(void *) - 1))
		hg_abort("Bad new_link arg to GC_move_disappearing_link");
	if ((uintptr_t)link & (sizeof(void *) - 1) || hs.forked)
		return GC_NOT_FOUND;
	hg_lock();
	e = hg_table_find(t, (uintptr_t)link);
	if (!e)
		ret = GC_NOT_FOUND;
	else if (link != to && hg_table_find(t, (uintptr_t)to))
		ret = GC_DUPLICATE;
	else if (link != to && !hg_table_move(t, e, (uintptr_t)to))
		ret = GC_NO_MEMORY;
	hg_unlock();
	return ret;
}

int GC_general_register_disappearing_link(void **link, const void *obj)
{
	return add(&hg.short_links, link, obj);
}

int GC_register_disappearing_link(void **link)
{
	void *base = GC_base(link);

	if (!base)
		hg_abort("Bad arg to GC_register_disappearing_link");
	return add(&hg.short_links, link, base);
}

int GC_unregister_disappearing_link(void **link)
{
	return drop(&hg.short_links, link);
}

int GC_move_disappearing_link(void **link, void **to)
{
	return move(&hg.short_links, link, to);
}

int GC_register_long_link(void **link, const void *obj)
{
	return add(&hg.long_links, link, obj);
}

int GC_unregister_long_link(void **link)
{
	return drop(&hg.long_links, link);
}

int GC_move_long_link(void **link, void **to)
{
	return move(&hg.long_links, link, to);
}

/* In the child: whose object is dead? */
void hg_links_judge(struct hg_table *t)
{
	for (uint32_t i = 0; i < t->used; i++)
		if (t->entry[i].key && hg_is_white(t->entry[i].obj))
			hg_table_judge(t, &t->entry[i], HG_CLEAR);
}

/* In the child, later: which links are in dead objects themselves? */
void hg_links_judge_dangling(struct hg_table *t)
{
	for (uint32_t i = 0; i < t->used; i++)
		if (t->entry[i].key && hg_is_white(t->entry[i].key) &&
		    t->verdict[i] != (hg.image << 2 | HG_CLEAR))
			hg_table_judge(t, &t->entry[i], HG_DROP);
}

void hg_links_apply(struct hg_table *t)
{
	for (uint32_t i = 0; i < t->used; i++) {
		struct hg_entry *e = &t->entry[i];
		int verdict = hg_table_verdict(t, e);

		if (verdict == HG_CLEAR)
			hs_set((uintptr_t *)e->key, 0);
		if (verdict)
			hg_table_remove(t, e);
	}
}
