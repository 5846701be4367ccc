// SPDX-License-Identifier: MIT
/*
 * Tables of entries that stay where they are, so that a number tells the child's
 * entry and ours, and what the child says of them.
 *
 * A verdict is for the entry as it is in one image: it carries the image's
 * number, and one about an entry that was changed since does not count.  All is
 * under hg.tables_lock, or in the child.
 */
#include <sys/mman.h>

#include "hg.h"

#define MOST	     (1u << 25) /* entries; memory is only used for those there are */
#define FIRST_SLOTS  1024u
#define GONE	     (HG_NONE - 1)
#define VERDICT_BITS 2

static bool make(struct hg_table *t)
{
	void *verdict = mmap(NULL, MOST * sizeof(*t->verdict), PROT_READ | PROT_WRITE,
			     MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	t->entry = hs_map(MOST * sizeof(*t->entry));
	t->index = hs_map(FIRST_SLOTS * sizeof(*t->index));
	if (verdict == MAP_FAILED || !t->entry || !t->index)
		return false;
	memset(t->index, 0xff, FIRST_SLOTS * sizeof(*t->index));
	t->verdict = verdict;
	t->mask = FIRST_SLOTS - 1;
	t->free = HG_NONE;
	return true;
}

static uint32_t slot_of(const struct hg_table *t, uintptr_t key)
{
	return (uint32_t)((key >> 3) * 0x9e3779b97f4a7c15ull >> 32) & t->mask;
}

static void insert(struct hg_table *t, uintptr_t key, uint32_t i)
{
	uint32_t at = slot_of(t, key);

	while (t->index[at] < GONE)
		at = (at + 1) & t->mask;
	if (t->index[at] == HG_NONE)
		t->filled++;
	t->index[at] = i;
	t->count++;
}

/* Make room for one more key. */
static bool reserve(struct hg_table *t)
{
	uint32_t *old, old_slots, slots = FIRST_SLOTS;

	if (!t->entry && !make(t))
		return false;
	if (t->filled < t->mask - t->mask / 4)
		return true;
	old = t->index;
	old_slots = t->mask + 1;
	while (slots / 4 < t->count)
		slots *= 2;
	t->index = hs_map(slots * sizeof(*t->index));
	if (!t->index) {
		t->index = old;
		return t->filled < t->mask;
	}
	memset(t->index, 0xff, slots * sizeof(*t->index));
	t->mask = slots - 1;
	t->filled = t->count = 0;
	for (uint32_t i = 0; i < old_slots; i++)
		if (old[i] < GONE)
			insert(t, t->entry[old[i]].key, old[i]);
	hs_unmap(old, old_slots * sizeof(*old));
	return true;
}

static uint32_t *find_slot(const struct hg_table *t, uintptr_t key)
{
	uint32_t i;

	if (!t->entry)
		return NULL;
	for (uint32_t at = slot_of(t, key); (i = t->index[at]) != HG_NONE; at = (at + 1) & t->mask)
		if (i != GONE && t->entry[i].key == key)
			return &t->index[at];
	return NULL;
}

struct hg_entry *hg_table_find(const struct hg_table *t, uintptr_t key)
{
	const uint32_t *slot = find_slot(t, key);

	return slot ? &t->entry[*slot] : NULL;
}

/* A new entry for a key that has none; NULL when there is no memory. */
struct hg_entry *hg_table_add(struct hg_table *t, uintptr_t key)
{
	uint32_t i;

	if (!reserve(t) || (t->free == HG_NONE && t->used == MOST))
		return NULL;
	i = t->free == HG_NONE ? t->used++ : t->free;
	if (i == t->free)
		t->free = t->entry[i].next;
	t->entry[i] = (struct hg_entry){.key = key, .born = hg.image};
	insert(t, key, i);
	return &t->entry[i];
}

/* It is not found any more, but still there. */
void hg_table_unlist(struct hg_table *t, struct hg_entry *e)
{
	*find_slot(t, e->key) = GONE;
	t->count--;
}

/* Free an entry that is not found any more. */
void hg_table_release(struct hg_table *t, struct hg_entry *e)
{
	*e = (struct hg_entry){.next = t->free};
	t->free = (uint32_t)(e - t->entry);
}

void hg_table_remove(struct hg_table *t, struct hg_entry *e)
{
	hg_table_unlist(t, e);
	hg_table_release(t, e);
}

/* The same entry under another key, which has none. */
bool hg_table_move(struct hg_table *t, struct hg_entry *e, uintptr_t key)
{
	hg_table_unlist(t, e);
	if (!reserve(t)) {
		insert(t, e->key, (uint32_t)(e - t->entry)); /* its slot is still there */
		return false;
	}
	e->key = key;
	insert(t, key, (uint32_t)(e - t->entry));
	return true;
}

/* In the child. */
void hg_table_judge(struct hg_table *t, const struct hg_entry *e, enum hg_verdict v)
{
	t->verdict[e - t->entry] = hg.image << VERDICT_BITS | v;
}

/* Of the last image, or 0. */
int hg_table_verdict(const struct hg_table *t, const struct hg_entry *e)
{
	uint32_t v = t->verdict[e - t->entry];

	if (!e->key || e->queued || e->born == hg.image ||
	    v >> VERDICT_BITS != (hg.image & (UINT32_MAX >> VERDICT_BITS)))
		return 0;
	return (int)(v & ((1u << VERDICT_BITS) - 1));
}
