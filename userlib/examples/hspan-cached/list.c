// SPDX-License-Identifier: MIT
/* Double-ended lists in the collected heap: nodes of elements in a row. */
#include "object.h"
#include "object_types.h"

struct list *list_new(void)
{
	return object_check(hspan_alloc_typed(type_list));
}

/* Nodes -------------------------------------------------------------------- */

/* links a new node after @prev, or first when that is NULL */
static struct lnode *node_insert(struct list *l, struct lnode *prev)
{
	struct lnode *n = object_check(hspan_alloc_typed(type_lnode));
	struct lnode *next = prev ? prev->next : l->head;

	put(&n->prev, prev);
	put(&n->next, next);
	put(prev ? &prev->next : &l->head, n);
	put(next ? &next->prev : &l->tail, n);
	return n;
}

/*
 * The dead node's links are cut as well: a word on some stack that happens to
 * look like its address would otherwise keep everything behind it alive.
 */
static void node_unlink(struct list *l, struct lnode *n)
{
	put(n->prev ? &n->prev->next : &l->head, n->next);
	put(n->next ? &n->next->prev : &l->tail, n->prev);
	put(&n->prev, NULL);
	put(&n->next, NULL);
}

static void node_move(struct lnode *n, uint32_t to, uint32_t from,
		      uint32_t count)
{
	if (count)
		hspan_copy(&n->item[to], &n->item[from],
			   count * sizeof(n->item[0]));
}

static void node_clear(struct lnode *n, uint32_t at, uint32_t count)
{
	if (count)
		hspan_clear(&n->item[at], count * sizeof(n->item[0]));
}

/* Ends --------------------------------------------------------------------- */

static void push_head(struct list *l, struct bytes *b)
{
	struct lnode *n = l->head;

	if (!n || !n->start) {
		n = node_insert(l, NULL);
		n->start = LNODE_ITEMS;
	}
	put(&n->item[n->start - 1], b);
	n->start--;
	n->count++;
}

static void push_tail(struct list *l, struct bytes *b)
{
	struct lnode *n = l->tail;

	if (!n || n->start + n->count == LNODE_ITEMS)
		n = node_insert(l, n);
	put(&n->item[n->start + n->count], b);
	n->count++;
}

void list_push(struct list *l, enum list_end end, struct bytes *b)
{
	if (end == LIST_HEAD)
		push_head(l, b);
	else
		push_tail(l, b);
	l->len++;
}

struct bytes *list_pop(struct list *l, enum list_end end)
{
	struct lpos pos;
	struct bytes *b;

	if (!list_seek(l, end == LIST_HEAD ? 0 : -1, &pos))
		return NULL;
	b = *lpos_slot(&pos);
	list_remove(l, &pos);
	return b;
}

/* Places ------------------------------------------------------------------- */

/* @index: from the head, or when negative from the tail */
bool list_seek(const struct list *l, int64_t index, struct lpos *pos)
{
	uint64_t left = index < 0 ? (uint64_t)-(index + 1) : (uint64_t)index;
	bool back = index < 0;

	if (left >= l->len)
		return false;
	if (left > l->len / 2) {
		left = l->len - 1 - left;
		back = !back;
	}
	pos->node = back ? l->tail : l->head;
	while (left >= pos->node->count) {
		left -= pos->node->count;
		pos->node = back ? pos->node->prev : pos->node->next;
	}
	pos->i = back ? pos->node->count - 1 - left : left;
	return true;
}

bool list_next(struct lpos *pos)
{
	if (++pos->i < pos->node->count)
		return true;
	pos->node = pos->node->next;
	pos->i = 0;
	return pos->node;
}

bool list_prev(struct lpos *pos)
{
	if (pos->i--)
		return true;
	pos->node = pos->node->prev;
	if (pos->node)
		pos->i = pos->node->count - 1;
	return pos->node;
}

/* Middle ------------------------------------------------------------------- */

/* moves the second half of a full node to a new one behind it */
static void node_split(struct list *l, struct lpos *pos)
{
	struct lnode *n = pos->node, *m = node_insert(l, n);
	uint32_t keep = n->count / 2;

	m->count = n->count - keep;
	hspan_copy(m->item, &n->item[n->start + keep],
		   m->count * sizeof(m->item[0]));
	node_clear(n, n->start + keep, m->count);
	n->count = keep;
	if (pos->i > keep) {
		pos->node = m;
		pos->i -= keep;
	}
}

/* before @pos; its i may be its node's count, to insert behind the last */
void list_insert(struct list *l, struct lpos *pos, struct bytes *b)
{
	struct lnode *n;

	if (pos->node->count == LNODE_ITEMS)
		node_split(l, pos);
	n = pos->node;
	if (n->start + n->count == LNODE_ITEMS) {
		node_move(n, n->start - 1, n->start, pos->i);
		n->start--;
	} else {
		node_move(n, n->start + pos->i + 1, n->start + pos->i,
			  n->count - pos->i);
	}
	n->count++;
	put(lpos_slot(pos), b);
	l->len++;
}

/* @pos is then the next element's place, or behind the last of its node */
void list_remove(struct list *l, struct lpos *pos)
{
	struct lnode *n = pos->node;

	if (!pos->i) {
		node_clear(n, n->start, 1);
		n->start++;
	} else {
		node_move(n, n->start + pos->i, n->start + pos->i + 1,
			  n->count - pos->i - 1);
		node_clear(n, n->start + n->count - 1, 1);
	}
	l->len--;
	if (!--n->count)
		node_unlink(l, n);
}

/* drops @front elements at the head and @back at the tail, whole nodes first */
void list_trim(struct list *l, uint64_t front, uint64_t back)
{
	while (front && front >= l->head->count) {
		front -= l->head->count;
		l->len -= l->head->count;
		node_unlink(l, l->head);
	}
	while (back && back >= l->tail->count) {
		back -= l->tail->count;
		l->len -= l->tail->count;
		node_unlink(l, l->tail);
	}
	while (front--)
		list_pop(l, LIST_HEAD);
	while (back--)
		list_pop(l, LIST_TAIL);
}

struct list *list_copy(struct list *l)
{
	struct list *copy = list_new();
	struct lpos pos;
	bool more;

	for (more = list_seek(l, 0, &pos); more; more = list_next(&pos))
		list_push(copy, LIST_TAIL, *lpos_slot(&pos));
	return copy;
}
