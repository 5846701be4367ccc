/* SPDX-License-Identifier: MIT */
/* What lives in the collected heap: byte strings, hash tables, lists. */
#ifndef CACHED_OBJECT_H
#define CACHED_OBJECT_H

#include <setjmp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hugespan.h"

/*
 * The rules this program keeps, so that the collector may run at any time:
 *
 *  - A pointer to anything in this file is kept on a stack, in another object
 *    of this file, or in shard_roots[] (keyspace.c), which is registered as a
 *    root.  Never only in malloc()ed memory.
 *  - It is stored into an object or a root by put() and nothing else.
 *  - Nothing is freed.  To remove is to unlink.
 */
static inline void put(void *slot, void *value)
{
	hspan_store(slot, value);
}

/*
 * An allocation that fails leaves the running command through this jump, so
 * every function allocates all it needs before it changes anything.
 */
extern _Thread_local jmp_buf *oom_escape;

int object_init(void);

/* Byte strings.  Immutable once shared; only a key's own value grows. */
struct bytes {
	uint32_t len;
	uint32_t cap;
	char data[];
};

#define BYTES_MAX (512u << 20)	/* proto-max-bulk-len */

struct bytes *bytes_sized(size_t len, size_t cap);
struct bytes *bytes_new(const void *data, size_t len);
bool bytes_equal(const struct bytes *b, const void *data, size_t len);

/* Hash tables */
struct dictent {
	struct dictent *next;
	struct bytes *key;
	void *val;
	uint64_t hash;
};

enum dict_kind { DICT_KEYS, DICT_FIELDS };

/* @rehash: next bucket of table[0] to move to table[1]; -1 when none moves */
struct dict {
	struct dictent **table[2];
	uint64_t size[2];
	uint64_t used[2];
	int64_t rehash;
	uint64_t kind;
};

typedef void dict_visit(void *ctx, struct dictent *e);

uint64_t hash_bytes(const void *data, size_t len);
void hash_seed(void);
uint64_t random_u64(void);

struct dict *dict_new(enum dict_kind kind);
struct dictent *dict_find(struct dict *d, const void *key, size_t len,
			  uint64_t hash);
struct dictent *dict_add(struct dict *d, struct bytes *key, uint64_t hash,
			 void *val);
struct dictent *dict_remove(struct dict *d, const void *key, size_t len,
			    uint64_t hash);
struct dictent *dict_random(struct dict *d);
uint64_t dict_scan(struct dict *d, uint64_t cursor, dict_visit *fn, void *ctx);
void dict_each(struct dict *d, dict_visit *fn, void *ctx);
void dict_step(struct dict *d, int buckets);
struct dict *dict_copy(struct dict *d);

static inline uint64_t dict_len(const struct dict *d)
{
	return d ? d->used[0] + d->used[1] : 0;
}

/* Lists: a chain of nodes of up to LNODE_ITEMS elements in a row each */
#define LNODE_ITEMS 29

struct lnode {
	struct lnode *prev;
	struct lnode *next;
	struct bytes *item[LNODE_ITEMS];
	uint32_t start;
	uint32_t count;
};

struct list {
	struct lnode *head;
	struct lnode *tail;
	uint64_t len;
};

/* a place in a list: element @i of @node, counted from its start */
struct lpos {
	struct lnode *node;
	uint32_t i;
};

enum list_end { LIST_HEAD, LIST_TAIL };

struct list *list_new(void);
void list_push(struct list *l, enum list_end end, struct bytes *b);
struct bytes *list_pop(struct list *l, enum list_end end);
bool list_seek(const struct list *l, int64_t index, struct lpos *pos);
bool list_next(struct lpos *pos);
bool list_prev(struct lpos *pos);
void list_insert(struct list *l, struct lpos *pos, struct bytes *b);
void list_remove(struct list *l, struct lpos *pos);
void list_trim(struct list *l, uint64_t front, uint64_t back);
struct list *list_copy(struct list *l);

static inline struct bytes **lpos_slot(const struct lpos *pos)
{
	return &pos->node->item[pos->node->start + pos->i];
}

#endif /* CACHED_OBJECT_H */
