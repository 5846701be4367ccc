// SPDX-License-Identifier: MIT
/* Each shard's keys that expire, as a binary heap with the next one on top. */
#include "server.h"

static inline struct keyent **ttl_slots(unsigned int shard)
{
	return shard_roots[shard].ttl;
}

static void place(unsigned int shard, uint32_t i, struct keyent *e)
{
	put(&ttl_slots(shard)[i], e);
	e->ttl = i;
}

static void sift_up(unsigned int shard, uint32_t i, struct keyent *e)
{
	struct keyent **slot = ttl_slots(shard);

	for (; i && slot[(i - 1) / 2]->expire > e->expire; i = (i - 1) / 2)
		place(shard, i, slot[(i - 1) / 2]);
	place(shard, i, e);
}

static void sift_down(unsigned int shard, uint32_t i, struct keyent *e)
{
	struct keyent **slot = ttl_slots(shard);
	uint32_t n = shards[shard].ttl_len, kid;

	for (; (kid = 2 * i + 1) < n; i = kid) {
		if (kid + 1 < n && slot[kid + 1]->expire < slot[kid]->expire)
			kid++;
		if (slot[kid]->expire >= e->expire)
			break;
		place(shard, i, slot[kid]);
	}
	place(shard, i, e);
}

static void sift(unsigned int shard, uint32_t i, struct keyent *e)
{
	if (i && ttl_slots(shard)[(i - 1) / 2]->expire > e->expire)
		sift_up(shard, i, e);
	else
		sift_down(shard, i, e);
}

static void reserve(unsigned int shard)
{
	struct shard *s = &shards[shard];
	uint32_t cap = s->ttl_cap ? s->ttl_cap * 2 : 16;
	struct keyent **slot;

	if (s->ttl_len < s->ttl_cap)
		return;
	slot = object_check(hspan_alloc(cap * sizeof(*slot)));
	if (s->ttl_len)
		hspan_copy(slot, ttl_slots(shard), s->ttl_len * sizeof(*slot));
	put(&shard_roots[shard].ttl, slot);
	s->ttl_cap = cap;
}

void ttl_set(unsigned int shard, struct keyent *e, int64_t when)
{
	bool fresh = !e->expire;

	if (fresh)
		reserve(shard);
	e->expire = when;
	if (fresh)
		sift_up(shard, shards[shard].ttl_len++, e);
	else
		sift(shard, e->ttl, e);
}

void ttl_remove(unsigned int shard, struct keyent *e)
{
	struct shard *s = &shards[shard];
	struct keyent *last;

	if (!e->expire)
		return;
	last = ttl_slots(shard)[--s->ttl_len];
	put(&ttl_slots(shard)[s->ttl_len], NULL);
	if (last != e)
		sift(shard, e->ttl, last);
	e->expire = 0;
}

struct keyent *ttl_first(unsigned int shard)
{
	return shards[shard].ttl_len ? ttl_slots(shard)[0] : NULL;
}
