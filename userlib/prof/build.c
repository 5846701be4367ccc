// SPDX-License-Identifier: MIT
/* Memory, lists and texts of a profile that is put together. */
#include <stdlib.h>
#include <string.h>

#include "prof.h"

static bool make_room(struct hp_list *list)
{
	size_t room = list->room ? list->room * 2 : 64;
	void *items;

	if (list->count < list->room)
		return true;
	items = realloc(list->items, room * sizeof(void *));
	if (!items)
		return false;
	list->items = items;
	list->room = room;
	return true;
}

void hp_push(struct hp_build *b, struct hp_list *list, void *item)
{
	if (item && make_room(list))
		((void **)list->items)[list->count++] = item;
	else
		b->failed = true;
}

void *hp_alloc(struct hp_build *b, size_t size)
{
	void *p = make_room(&b->memory) ? calloc(1, size) : NULL;

	if (p)
		((void **)b->memory.items)[b->memory.count++] = p;
	else
		b->failed = true;
	return p;
}

/* There are few of them. */
int64_t hp_string(struct hp_build *b, const char *text)
{
	char **strings = b->strings.items, *copy;
	size_t size = strlen(text) + 1;

	for (size_t i = 0; i < b->strings.count; i++)
		if (!strcmp(strings[i], text))
			return (int64_t)i;
	copy = hp_alloc(b, size);
	if (copy)
		memcpy(copy, text, size);
	hp_push(b, &b->strings, copy);
	return (int64_t)b->strings.count - 1;
}

void hp_drop(struct hp_build *b)
{
	for (size_t i = 0; i < b->memory.count; i++)
		free(((void **)b->memory.items)[i]);
	free(b->memory.items);
	free(b->strings.items);
	free(b->mappings.items);
	free(b->locations.items);
	free(b->samples.items);
	free(b->known);
}
