// SPDX-License-Identifier: MIT
/*
 * Kinds: objects that are scanned by a procedure of the program's, or by a
 * descriptor, and objects that only GC_free() frees.
 *
 * What kind an object is stands in a byte for each 16 bytes of the heap, at its
 * start.  It stays when the object dies, so from the first such object on every
 * allocation sets it.  A marker that finds an old one looks at an object that is
 * being allocated, and zero: procedures must take that anyway, as libgc has them
 * look at free objects.
 */
#include <errno.h>

#include "hg.h"
#include "work.h"

#define KIND_MASK     0x7f
#define KIND_TYPED    0x7f /* its last word is its descriptor */
#define FIRST_KIND    5
#define MOST_KINDS    64
#define BITMAP_BITS   62
#define GRANULE_SHIFT 4

enum { PTRFREE, NORMAL, UNCOLLECTABLE, AUNCOLLECTABLE };

struct kind {
	GC_word descriptor;
	bool add_size;
};

static struct kind kinds[MOST_KINDS];
static GC_mark_proc procs[GC_MAX_MARK_PROCS];
static unsigned int nr_kinds = FIRST_KIND, nr_procs = 1; /* libgc's first are its own */

/* Memory for what kind each object is; false when there is none. */
bool hg_kinds_make(void)
{
	uint8_t *map;

	if (hs_load_acquire(&hg.kinds))
		return true;
	hg_lock();
	map = hg.kinds ? hg.kinds : hs_map(hs.size >> GRANULE_SHIFT);
	hs_set_release(&hg.kinds, map);
	hg_unlock();
	if (map)
		__atomic_fetch_or(&hg.attention, HG_KINDS, __ATOMIC_SEQ_CST);
	return map != NULL;
}

static uint8_t *kind_of(uintptr_t p)
{
	return &hg.kinds[(p - hs.base) >> GRANULE_SHIFT];
}

uint8_t hg_kind(const void *p)
{
	return hs_load_acquire(&hg.kinds) && hs_in_heap((uintptr_t)p)
		       ? hs_load(kind_of((uintptr_t)p))
		       : 0;
}

void hg_set_kind(void *p, uint8_t kind)
{
	if (hs_in_heap((uintptr_t)p))
		hs_set(kind_of((uintptr_t)p), kind);
}

/* Scanning, by the marker -------------------------------------------------- */

static void scan_bitmap(struct hs_marker *m, uintptr_t obj, size_t size, GC_word d)
{
	for (size_t at = 0; d & ~(GC_word)GC_DS_TAGS && at + 8 <= size; at += 8, d <<= 1)
		if (d >> 63)
			hg_mark_range(m, obj + at, obj + at + 8);
}

static void scan_by_proc(uintptr_t obj, GC_word d)
{
	GC_word index = d >> GC_DS_TAG_BITS & (GC_MAX_MARK_PROCS - 1);
	static GC_word unused[64]; /* a mark stack that stays empty */

	if (procs[index])
		procs[index]((GC_word *)obj, (struct GC_ms_entry *)unused,
			     (struct GC_ms_entry *)(unused + 64),
			     d >> (GC_DS_TAG_BITS + GC_LOG_MAX_MARK_PROCS));
}

static void scan_by(struct hs_marker *m, uintptr_t obj, size_t size, GC_word d, bool again)
{
	switch (d & GC_DS_TAGS) {
	case GC_DS_LENGTH:
		hg_mark_range(m, obj, obj + (d < size ? d : size));
		break;
	case GC_DS_BITMAP:
		scan_bitmap(m, obj, size, d);
		break;
	case GC_DS_PROC:
		scan_by_proc(obj, d);
		break;
	default:
		d -= GC_DS_PER_OBJECT;
		if (again || d + 8 > size) /* gcj's, which are not provided: all of it */
			hg_mark_range(m, obj, obj + size);
		else
			scan_by(m, obj, size, *(const GC_word *)(obj + d), true);
	}
}

static GC_word typed_descriptor(uintptr_t obj, size_t size)
{
	return ((const GC_word *)(obj + size))[-1];
}

static bool scan_kind(struct hs_marker *m, uintptr_t obj, size_t size, unsigned int kind)
{
	if (kind == KIND_TYPED)
		scan_by(m, obj, size, typed_descriptor(obj, size), false);
	else if (kind >= FIRST_KIND)
		scan_by(m, obj, size, kinds[kind].descriptor + (kinds[kind].add_size ? size : 0),
			false);
	else
		return false;
	return true;
}

/* By the marker, for each object that may hold pointers. */
bool hg_kind_scan(struct hs_marker *m, const struct hs_object *o)
{
	if (!hg.own_scans || o->base & ((1 << GRANULE_SHIFT) - 1))
		return false;
	return scan_kind(m, o->base, hs_object_size(o), *kind_of(o->base) & KIND_MASK);
}

static void mark_others(struct hs_marker *m, uintptr_t lo, uintptr_t hi)
{
	for (const uintptr_t *p = (const uintptr_t *)lo; p < (const uintptr_t *)hi; p++)
		if (hs_in_heap(*p) && *p - lo >= hi - lo)
			hs_chunk_add(&m->chunk, *p);
}

/* What an object leads to, whether it is marked or not. */
void hg_scan_contents(struct hs_marker *m, uintptr_t obj, bool ignore_self)
{
	struct hs_object o;

	if (!hs_find(obj, &o) || o.span_class & 1)
		return;
	if (ignore_self)
		mark_others(m, o.base, o.base + hs_object_size(&o));
	else if (!hg_kind_scan(m, &o))
		hg_mark_range(m, o.base, o.base + hs_object_size(&o));
}

/* Making kinds ------------------------------------------------------------- */

unsigned GC_new_proc_inner(GC_mark_proc proc)
{
	if (nr_procs == GC_MAX_MARK_PROCS)
		hg_abort("Too many mark procedures");
	procs[nr_procs] = proc;
	return nr_procs++;
}

unsigned GC_new_kind_inner(void **free_list, GC_word descriptor, int add_size, int clear)
{
	(void)free_list;
	(void)clear; /* all are */
	if (nr_kinds == MOST_KINDS)
		hg_abort("Too many kinds");
	kinds[nr_kinds] = (struct kind){descriptor, add_size};
	return nr_kinds++;
}

unsigned GC_new_proc(GC_mark_proc proc)
{
	unsigned int n;

	hg_lock();
	n = GC_new_proc_inner(proc);
	hg_unlock();
	return n;
}

unsigned GC_new_kind(void **free_list, GC_word descriptor, int add_size, int clear)
{
	unsigned int n;

	hg_lock();
	n = GC_new_kind_inner(free_list, descriptor, add_size, clear);
	hg_unlock();
	return n;
}

/* Lists of free objects are the heap's: this one stays empty. */
void **GC_new_free_list_inner(void)
{
	static void *empty[MOST_KINDS][HSPAN_NR_SIZE_CLASSES];
	static unsigned int given;

	return empty[given < MOST_KINDS - 1 ? given++ : given];
}

void **GC_new_free_list(void)
{
	void **list;

	hg_lock();
	list = GC_new_free_list_inner();
	hg_unlock();
	return list;
}

GC_descr GC_make_descriptor(const GC_word *bitmap, size_t bits)
{
	GC_descr d = 0;

	while (bits && !(bitmap[(bits - 1) / 64] >> ((bits - 1) % 64) & 1))
		bits--;
	if (bits > BITMAP_BITS)
		return bits * sizeof(GC_word); /* what is no pointer is looked at too */
	for (size_t i = 0; i < bits; i++)
		d |= (bitmap[0] >> i & 1) << (63 - i);
	return bits ? d | GC_DS_BITMAP : 0;
}

/* Allocation --------------------------------------------------------------- */

static void *alloc_own(size_t size, size_t extra, uint8_t kind)
{
	void *p;

	if (hs.forked)
		return hg_fork_alloc(size);
	if (!hg_kinds_make())
		return hg_out_of_memory(size);
	hs_set(&hg.own_scans, true);
	p = hg_alloc(size + extra, false);
	if (p && kind != KIND_TYPED)
		hg_set_kind(p, kind);
	return p;
}

static void *alloc_typed(size_t size, GC_descr d)
{
	void *p = alloc_own(size, sizeof(d), KIND_TYPED);

	if (p && !hs.forked) {
		((GC_descr *)((char *)p + hspan_usable_size(p)))[-1] = d;
		hs_compiler_barrier(); /* what is typed has its descriptor */
		hg_set_kind(p, KIND_TYPED);
	}
	return p;
}

static void *alloc_uncollectable(size_t size, bool noscan)
{
	struct hg_entry *e;
	void *p;

	if (hg_ready() && hs.forked)
		return hg_fork_alloc(size);
	if (!hs.ready || !hg_kinds_make())
		return hg_out_of_memory(size);
	p = hg_alloc(size, noscan);
	if (!p)
		return NULL;
	hg_lock();
	e = hg_table_add(&hg.uncollectable, (uintptr_t)p);
	if (e)
		e->obj = (uintptr_t)p;
	hg_unlock();
	if (!e)
		return hg_out_of_memory(size);
	hg_set_kind(p, HG_UNCOLLECTABLE);
	return p;
}

void *hg_kind_alloc(size_t size, unsigned int kind)
{
	switch (kind) {
	case PTRFREE:
	case NORMAL:
		return hg_alloc(size, kind == PTRFREE);
	case UNCOLLECTABLE:
	case AUNCOLLECTABLE:
		return alloc_uncollectable(size, kind == AUNCOLLECTABLE);
	}
	if (kind >= nr_kinds)
		hg_abort("Bad kind");
	return hg_ready() ? alloc_own(size, 0, (uint8_t)kind) : hg_out_of_memory(size);
}

/* An object of the same kind as @o. */
void *hg_kind_copy_of(const struct hs_object *o, size_t size)
{
	uint8_t kind = hg_kind((const void *)o->base);

	if (kind & HG_UNCOLLECTABLE)
		return alloc_uncollectable(size, o->span_class & 1);
	if (kind == KIND_TYPED)
		return alloc_typed(size, typed_descriptor(o->base, hs_object_size(o)));
	return kind ? alloc_own(size, 0, kind) : hg_alloc(size, o->span_class & 1);
}

void *GC_malloc_uncollectable(size_t size)
{
	return alloc_uncollectable(size, false);
}

void *GC_malloc_atomic_uncollectable(size_t size)
{
	return alloc_uncollectable(size, true);
}

void *GC_generic_malloc(size_t size, int kind)
{
	return hg_kind_alloc(size, (unsigned int)kind);
}

void *GC_generic_malloc_ignore_off_page(size_t size, int kind)
{
	return hg_kind_alloc(size, (unsigned int)kind);
}

void *GC_generic_malloc_uncollectable(size_t size, int kind)
{
	return alloc_uncollectable(size, kind == PTRFREE || kind == AUNCOLLECTABLE);
}

void *GC_generic_or_special_malloc(size_t size, int kind)
{
	return hg_kind_alloc(size, (unsigned int)kind);
}

void *GC_malloc_kind(size_t size, int kind)
{
	return hg_kind_alloc(size, (unsigned int)kind);
}

void *GC_malloc_kind_global(size_t size, int kind)
{
	return hg_kind_alloc(size, (unsigned int)kind);
}

void *GC_malloc_explicitly_typed(size_t size, GC_descr d)
{
	return hg_ready() ? alloc_typed(size, d) : hg_out_of_memory(size);
}

void *GC_malloc_explicitly_typed_ignore_off_page(size_t size, GC_descr d)
{
	return GC_malloc_explicitly_typed(size, d);
}

/* An array of typed elements is looked at word by word. */
void *GC_calloc_explicitly_typed(size_t n, size_t size, GC_descr d)
{
	size_t bytes;

	if (n == 1)
		return GC_malloc_explicitly_typed(size, d);
	if (__builtin_mul_overflow(n, size, &bytes))
		return hg_out_of_memory(SIZE_MAX);
	return d ? GC_malloc(bytes) : GC_generic_malloc(bytes, PTRFREE);
}

int GC_get_kind_and_size(const void *p, size_t *size)
{
	uint8_t kind = hg_kind(p);
	struct hs_object o;

	if (!hs_find((uintptr_t)p, &o))
		return -1;
	if (size)
		*size = hs_object_size(&o);
	if (kind & HG_UNCOLLECTABLE)
		return o.span_class & 1 ? AUNCOLLECTABLE : UNCOLLECTABLE;
	return kind ? kind : o.span_class & 1 ? PTRFREE : NORMAL;
}
