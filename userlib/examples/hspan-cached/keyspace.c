// SPDX-License-Identifier: MIT
/* The keys: shards with a lock each, and expiry when looked at and by ticks. */
#include "server.h"

struct shard_root shard_roots[SHARDS];
struct shard shards[SHARDS];

int keyspace_init(void)
{
	int i;

	for (i = 0; i < SHARDS; i++)
		pthread_mutex_init(&shards[i].lock, NULL);
	return hspan_root_add(shard_roots, sizeof(shard_roots));
}

/*
 * Whoever has the lock may be waiting for a collection, with a full heap, so
 * a thread that has to wait for the lock does so parked.
 */
static void shard_lock(unsigned int i)
{
	if (!pthread_mutex_trylock(&shards[i].lock))
		return;
	hspan_thread_park();
	pthread_mutex_lock(&shards[i].lock);
	hspan_thread_unpark();
}

/* in order of their numbers, so that two commands cannot wait in a ring */
void shards_lock(uint64_t mask)
{
	for (; mask; mask &= mask - 1)
		shard_lock(__builtin_ctzll(mask));
}

void shards_unlock(uint64_t mask)
{
	for (; mask; mask &= mask - 1)
		pthread_mutex_unlock(&shards[__builtin_ctzll(mask)].lock);
}

/* Looking up --------------------------------------------------------------- */

void key_delete(struct keyent *e)
{
	unsigned int shard = shard_of(e->e.hash);

	ttl_remove(shard, e);
	dict_remove(shard_roots[shard].keys, E_KEY(e)->data, E_KEY(e)->len,
		    e->e.hash);
}

bool key_expired(struct conn *c, struct keyent *e)
{
	if (!e->expire || c->now <= e->expire)
		return false;
	key_delete(e);
	count_add(expired, 1);
	return true;
}

struct keyent *key_peek(struct conn *c, const struct arg *key)
{
	struct dict *d = shard_roots[shard_of(key->hash)].keys;
	struct keyent *e;

	e = (struct keyent *)dict_find(d, key->p, key->len, key->hash);
	return e && !key_expired(c, e) ? e : NULL;
}

/* as key_peek(), counted as a hit or a miss */
struct keyent *key_find(struct conn *c, const struct arg *key)
{
	struct keyent *e = key_peek(c, key);

	if (e)
		count_add(hits, 1);
	else
		count_add(misses, 1);
	return e;
}

/* false when the key holds another type, which is then the reply */
bool key_get(struct conn *c, const struct arg *key, enum value_type type,
	     struct keyent **e)
{
	*e = key_find(c, key);
	if (!*e || (*e)->type == type)
		return true;
	error_type(c);
	return false;
}

/* Changing ----------------------------------------------------------------- */

struct keyent *key_add(const struct arg *key, enum value_type type, void *val)
{
	struct shard_root *root = &shard_roots[shard_of(key->hash)];
	struct keyent *e;

	if (!root->keys)
		put(&root->keys, dict_new(DICT_KEYS));
	e = (struct keyent *)dict_add(root->keys, arg_bytes(key), key->hash,
				      val);
	e->type = type;
	return e;
}

struct keyent *key_set(struct conn *c, const struct arg *key,
		       enum value_type type, void *val, bool keep_ttl)
{
	struct keyent *e = key_peek(c, key);

	if (!e)
		return key_add(key, type, val);
	if (!keep_ttl)
		ttl_remove(shard_of(key->hash), e);
	put(&e->e.val, val);
	e->type = type;
	return e;
}

void key_expire_at(struct keyent *e, int64_t when)
{
	ttl_set(shard_of(e->e.hash), e, when);
}

/* Whole shards ------------------------------------------------------------- */

#define TICK_EXPIRES	64

static bool tick_once(unsigned int i, int64_t now)
{
	struct keyent *e;
	int n;

	for (n = 0; n < TICK_EXPIRES; n++) {
		e = ttl_first(i);
		if (!e || e->expire >= now)
			return false;
		key_delete(e);
		count_add(expired, 1);
	}
	return true;
}

/* expires what is due and helps a resize along; other users get turns */
void shard_tick(unsigned int i)
{
	int64_t now = now_ms();
	bool more = true;

	while (more) {
		shard_lock(i);
		more = tick_once(i, now);
		if (dict_len(shard_roots[i].keys))
			dict_step(shard_roots[i].keys, 64);
		pthread_mutex_unlock(&shards[i].lock);
	}
}

/* with all locks held: two pointers a shard, and the rest is the collector's */
void keyspace_flush(void)
{
	int i;

	for (i = 0; i < SHARDS; i++) {
		put(&shard_roots[i].keys, NULL);
		put(&shard_roots[i].ttl, NULL);
		shards[i].ttl_len = shards[i].ttl_cap = 0;
	}
}

uint64_t keyspace_len(uint64_t *expires)
{
	uint64_t keys = 0;
	int i;

	*expires = 0;
	for (i = 0; i < SHARDS; i++) {
		keys += dict_len(shard_roots[i].keys);
		*expires += shards[i].ttl_len;
	}
	return keys;
}
