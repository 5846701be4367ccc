// SPDX-License-Identifier: MIT
/*
 * From words to slots: hs_find() for a row of words, as far as spans of one page
 * with neither too many slots nor too few are concerned.
 */
#include <string.h>

#include "slots.h"

#define OBJECT_MOST 512 /* bytes; of larger ones too few are in a span to gather */

enum kind { OTHER, SCAN, NOSCAN };

/* By span class: what hs_find() needs to know, in one word. */
static union {
	struct {
		uint32_t magic;
		uint16_t nelems;
		uint16_t kind;
	};
	uint64_t word;
} classes[HSPAN_NR_SPAN_CLASSES];

void hs_slots_init(void)
{
	for (unsigned int sc = 0; sc < HSPAN_NR_SPAN_CLASSES; sc++) {
		unsigned int cls = sc >> 1;

		if (!cls || hspan_class_pages[cls] != 1 || hspan_class_size[cls] > OBJECT_MOST ||
		    hspan_class_nelems[cls] > 1 << HS_SLOTS_SHIFT)
			continue;
		classes[sc].magic = hspan_class_magic[cls];
		classes[sc].nelems = hspan_class_nelems[cls];
		classes[sc].kind = sc & 1 ? NOSCAN : SCAN;
	}
}

bool hs_class_has_slots(uint32_t span_class)
{
	return classes[span_class].kind != OTHER;
}

/* Without a branch: whose a slot is, nothing foretells. */
static inline void add(struct hs_located *found, uint64_t slot)
{
	unsigned int mine = found->mine >> hs_shard_of_slot(slot) & 1;

	found->slot[found->slots] = found->away[found->aways] = slot;
	found->slots += mine;
	found->aways += 1 - mine;
}

static void locate(const uintptr_t *words, unsigned int n, struct hs_located *found)
{
	const uint32_t *page_map = hs.page_map;
	uintptr_t heap = hs.base;

	for (unsigned int i = 0; i < n; i++) {
		uintptr_t off = words[i] - heap;
		uint64_t page = off >> HSPAN_PAGE_SHIFT, slot;
		uint32_t entry = hs_load(&page_map[page]), sc = HSPAN_PM_CLASS(entry);

		if (unlikely(entry == HSPAN_PM_NONE))
			continue;
		slot = (off & (HSPAN_PAGE_SIZE - 1)) * classes[sc].magic >> 32;
		if (unlikely(classes[sc].kind == OTHER))
			found->other[found->others++] = words[i];
		else if (likely(slot < classes[sc].nelems))
			add(found, page << HS_SLOTS_SHIFT | slot |
					   (classes[sc].kind == NOSCAN ? HS_SLOT_NOSCAN : 0));
	}
}

#if defined(__x86_64__)
#include <immintrin.h>

#define AVX512 __attribute__((target("avx512f,popcnt")))

/* The same for the words of @lanes at @words; the page map changes under us, word by word. */
AVX512 __attribute__((no_sanitize("address", "thread"))) static void
locate_some(const uintptr_t *words, __mmask8 lanes, struct hs_located *found)
{
	__m512i word = _mm512_maskz_loadu_epi64(lanes, words);
	__m512i off = _mm512_sub_epi64(word, _mm512_set1_epi64((long long)hs.base));
	__m512i page = _mm512_srli_epi64(off, HSPAN_PAGE_SHIFT);
	__m512i entry = _mm512_cvtepu32_epi64(_mm512_mask_i64gather_epi32(
		_mm256_setzero_si256(), lanes, page, hs.page_map, sizeof(uint32_t)));
	__mmask8 there = _mm512_test_epi64_mask(entry, entry);
	__m512i class = _mm512_sub_epi64(_mm512_and_epi64(entry, _mm512_set1_epi64(0xff)),
					 _mm512_set1_epi64(1));
	__m512i info = _mm512_mask_i64gather_epi64(_mm512_setzero_si512(), there, class, classes,
						   sizeof(uint64_t));
	__m512i in_page = _mm512_and_epi64(off, _mm512_set1_epi64(HSPAN_PAGE_SIZE - 1));
	__m512i slot = _mm512_srli_epi64(_mm512_mul_epu32(in_page, info), 32);
	__m512i more = _mm512_srli_epi64(info, 32); /* slots, kind */
	__m512i slots = _mm512_and_epi64(more, _mm512_set1_epi64(0xffff));
	__mmask8 ours = _mm512_cmplt_epu64_mask(slot, slots);
	__mmask8 other = _mm512_mask_testn_epi64_mask(there, more, more);
	__m512i noscan =
		_mm512_and_epi64(_mm512_slli_epi64(info, 63 - 49), _mm512_set1_epi64(INT64_MIN));
	__m512i all = _mm512_or_epi64(
		_mm512_or_epi64(_mm512_slli_epi64(page, HS_SLOTS_SHIFT), slot), noscan);

	__m512i shard = _mm512_and_epi64(_mm512_srli_epi64(page, HS_SHARD_SHIFT),
					 _mm512_set1_epi64(HS_SHARDS - 1));
	__m512i owned = _mm512_srlv_epi64(_mm512_set1_epi64((long long)found->mine), shard);
	__mmask8 mine = _mm512_mask_test_epi64_mask(ours, owned, _mm512_set1_epi64(1));
	__mmask8 away = ours & (__mmask8)~mine;

	_mm512_storeu_si512(found->slot + found->slots, _mm512_maskz_compress_epi64(mine, all));
	found->slots += (unsigned int)__builtin_popcount(mine);
	_mm512_storeu_si512(found->away + found->aways, _mm512_maskz_compress_epi64(away, all));
	found->aways += (unsigned int)__builtin_popcount(away);
	if (unlikely(other)) {
		_mm512_storeu_si512(found->other + found->others,
				    _mm512_maskz_compress_epi64(other, word));
		found->others += (unsigned int)__builtin_popcount(other);
	}
}

_Static_assert(NOSCAN == 2, "bit 49 of a class's word says that it is");

AVX512 static void locate_avx512(const uintptr_t *words, unsigned int n, struct hs_located *found)
{
	for (; n >= 8; n -= 8, words += 8)
		locate_some(words, 0xff, found);
	if (n)
		locate_some(words, (__mmask8)((1u << n) - 1), found);
}

hs_locate_fn *hs_locate_by(const char *name)
{
	return strcmp(name, "avx512") ? locate : locate_avx512;
}
#else
hs_locate_fn *hs_locate_by(const char *name)
{
	(void)name;
	return locate;
}
#endif
