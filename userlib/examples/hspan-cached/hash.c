// SPDX-License-Identifier: MIT
/* SipHash-1-3 with a random key, and the random numbers of each thread. */
#include <string.h>
#include <sys/random.h>

#include "object.h"

static uint64_t seed[2];

static inline uint64_t rotl(uint64_t x, int n)
{
	return x << n | x >> (64 - n);
}

static inline void sip_round(uint64_t v[4])
{
	v[0] += v[1];
	v[2] += v[3];
	v[1] = rotl(v[1], 13) ^ v[0];
	v[3] = rotl(v[3], 16) ^ v[2];
	v[0] = rotl(v[0], 32);
	v[2] += v[1];
	v[0] += v[3];
	v[1] = rotl(v[1], 17) ^ v[2];
	v[3] = rotl(v[3], 21) ^ v[0];
	v[2] = rotl(v[2], 32);
}

static inline void sip_word(uint64_t v[4], uint64_t m)
{
	v[3] ^= m;
	sip_round(v);
	v[0] ^= m;
}

uint64_t hash_bytes(const void *data, size_t len)
{
	uint64_t v[4] = {
		seed[0] ^ 0x736f6d6570736575ull, seed[1] ^ 0x646f72616e646f6dull,
		seed[0] ^ 0x6c7967656e657261ull, seed[1] ^ 0x7465646279746573ull,
	};
	const unsigned char *p = data;
	uint64_t m, last = (uint64_t)len << 56;
	size_t rest = len & 7;

	for (; len >= 8; len -= 8, p += 8) {
		memcpy(&m, p, 8);
		sip_word(v, m);
	}
	for (m = 0; rest; rest--)
		m |= (uint64_t)p[rest - 1] << (8 * (rest - 1));
	sip_word(v, last | m);
	v[2] ^= 0xff;
	sip_round(v);
	sip_round(v);
	sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

void hash_seed(void)
{
	if (getrandom(seed, sizeof(seed), 0) != sizeof(seed))
		seed[0] = (uintptr_t)&seed;
}

/* splitmix64 */
uint64_t random_u64(void)
{
	static _Thread_local uint64_t state;
	uint64_t z;

	if (!state)
		state = seed[0] ^ (uintptr_t)&state;
	z = state += 0x9e3779b97f4a7c15ull;
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}
