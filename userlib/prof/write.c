// SPDX-License-Identifier: MIT
/*
 * A heap profile in pprof's format: protobuf, gzipped.
 *
 * Samples stand for all that was allocated: an object of n bytes is one with
 * probability 1 - exp(-n / rate), so each counts for the inverse of that many.
 */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>

#include "prof.h"
#include "../src/view.h"

#define EXPORT	   __attribute__((visibility("default")))
#define NR_VALUES  4
#define GZIP_LEVEL "wb6"
#define NOT_SHOWN  "hspan_inline_alloc" /* inlined into those that allocate */

static Pprof__ValueType *value_type(struct hp_build *b, const char *type, const char *unit)
{
	Pprof__ValueType *v = hp_alloc(b, sizeof(*v));

	if (!v)
		return NULL;
	pprof__value_type__init(v);
	v->type = hp_string(b, type);
	v->unit = hp_string(b, unit);
	return v;
}

/* Locations ----------------------------------------------------------------- */

static uint64_t address_of(const struct hp_build *b, uint32_t id)
{
	return ((Pprof__Location **)b->locations.items)[id - 1]->address;
}

static size_t find_known(const struct hp_build *b, uint64_t address)
{
	size_t i = (address * 0x9e3779b97f4a7c15 >> 32) & (b->places - 1);

	while (b->known[i] && address_of(b, b->known[i]) != address)
		i = (i + 1) & (b->places - 1);
	return i;
}

static bool grow_known(struct hp_build *b)
{
	size_t places = b->places ? b->places * 2 : 1024;
	uint32_t *known;

	if (b->locations.count < b->places / 2)
		return true;
	known = calloc(places, sizeof(*known));
	if (!known)
		return false;
	free(b->known);
	b->known = known;
	b->places = places;
	for (uint32_t id = 1; id <= b->locations.count; id++)
		known[find_known(b, address_of(b, id))] = id;
	return true;
}

static uint64_t location(struct hp_build *b, uint64_t address)
{
	Pprof__Location *l;
	size_t i;

	if (!grow_known(b)) {
		b->failed = true;
		return 0;
	}
	i = find_known(b, address);
	if (b->known[i])
		return b->known[i];
	l = hp_alloc(b, sizeof(*l));
	if (!l)
		return 0;
	pprof__location__init(l);
	l->id = b->locations.count + 1;
	l->address = address;
	l->mapping_id = hp_mapping_of(b, address);
	hp_push(b, &b->locations, l);
	b->known[i] = (uint32_t)l->id;
	return l->id;
}

/* Samples ------------------------------------------------------------------- */

static void scale(uint64_t samples, const struct hs_view_site *s, uint64_t rate, int64_t *value)
{
	double each = rate == 1 ? 1 : -1 / expm1(-(double)s->size / (double)rate);

	value[0] = (int64_t)llround((double)samples * each);
	value[1] = (int64_t)llround((double)samples * each * (double)s->size);
}

static Pprof__Label *size_label(struct hp_build *b, uint64_t size)
{
	Pprof__Label *label = hp_alloc(b, sizeof(*label));

	if (!label)
		return NULL;
	pprof__label__init(label);
	label->key = hp_string(b, "bytes");
	label->num = (int64_t)size;
	label->num_unit = hp_string(b, "bytes");
	return label;
}

static void add_sample(struct hp_build *b, const struct hs_view *view, const struct hs_view_site *s)
{
	Pprof__Sample *sample = hp_alloc(b, sizeof(*sample));
	uint64_t *ids = hp_alloc(b, (s->depth + 1) * sizeof(*ids));
	int64_t *values = hp_alloc(b, NR_VALUES * sizeof(*values));
	Pprof__Label **label = hp_alloc(b, sizeof(*label));

	if (!sample || !ids || !values || !label)
		return;
	pprof__sample__init(sample);
	for (size_t i = 0; i < s->depth; i++)
		ids[i] = location(b, s->stack[i] - 1); /* the call is before where it returns to */
	sample->location_id = ids;
	sample->n_location_id = s->depth;
	sample->value = values;
	sample->n_value = view->allocs ? NR_VALUES : NR_VALUES / 2;
	if (view->allocs)
		scale(s->allocs, s, view->rate, values);
	scale(s->count, s, view->rate, values + (view->allocs ? 2 : 0));
	*label = size_label(b, s->size);
	sample->label = label;
	sample->n_label = *label ? 1 : 0;
	hp_push(b, &b->samples, sample);
}

/* Writing ------------------------------------------------------------------- */

/** struct out - where protobuf-c puts what it packs */
struct out {
	ProtobufCBuffer base;
	gzFile file;
	bool failed;
};

static void append(ProtobufCBuffer *buffer, size_t len, const uint8_t *data)
{
	struct out *out = (struct out *)buffer;

	if (!out->failed && len && gzwrite(out->file, data, (unsigned int)len) != (int)len)
		out->failed = true;
}

static int pack(int fd, const Pprof__Profile *profile)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	struct out out = { .base.append = append };

	if (copy < 0)
		return -errno;
	out.file = gzdopen(copy, GZIP_LEVEL);
	if (!out.file) {
		close(copy);
		return -ENOMEM;
	}
	errno = 0;
	pprof__profile__pack_to_buffer(profile, &out.base);
	if (gzclose(out.file) != Z_OK)
		out.failed = true;
	if (!out.failed)
		return 0;
	return errno ? -errno : -EIO;
}

static void name_values(struct hp_build *b, const struct hs_view *view, Pprof__ValueType **types)
{
	char objects[32], space[32];

	snprintf(objects, sizeof(objects), "%s_objects", view->about);
	snprintf(space, sizeof(space), "%s_space", view->about);
	if (view->allocs) {
		*types++ = value_type(b, "alloc_objects", "count");
		*types++ = value_type(b, "alloc_space", "bytes");
	}
	*types++ = value_type(b, objects, "count");
	*types++ = value_type(b, space, "bytes");
}

static void add_notes(struct hp_build *b, const struct hs_view *view, int64_t *notes, size_t *n)
{
	for (size_t i = 0; i < HS_PROF_NOTES; i++)
		if (view->note[i])
			notes[(*n)++] = hp_string(b, view->note[i]);
}

static int64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static int write_built(int fd, struct hp_build *b, const struct hs_view *view)
{
	Pprof__Profile profile = PPROF__PROFILE__INIT;
	Pprof__ValueType *types[NR_VALUES];
	int64_t notes[HS_PROF_NOTES];

	name_values(b, view, types);
	add_notes(b, view, notes, &profile.n_comment);
	profile.period_type = value_type(b, "space", "bytes");
	profile.drop_frames = hp_string(b, NOT_SHOWN);
	if (b->failed)
		return -ENOMEM;
	profile.sample_type = types;
	profile.n_sample_type = view->allocs ? NR_VALUES : NR_VALUES / 2;
	profile.default_sample_type = types[profile.n_sample_type - 1]->type;
	profile.comment = notes;
	profile.period = (int64_t)view->rate;
	profile.time_nanos = now();
	profile.sample = b->samples.items;
	profile.n_sample = b->samples.count;
	profile.mapping = b->mappings.items;
	profile.n_mapping = b->mappings.count;
	profile.location = b->locations.items;
	profile.n_location = b->locations.count;
	profile.string_table = b->strings.items;
	profile.n_string_table = b->strings.count;
	return pack(fd, &profile);
}

EXPORT hs_prof_write_fn hs_prof_write_1;

EXPORT int hs_prof_write_1(int fd, const struct hs_view *view)
{
	struct hp_build b = { 0 };
	int ret;

	hp_string(&b, "");
	hp_add_mappings(&b);
	for (size_t i = 0; i < view->nr_sites; i++)
		add_sample(&b, view, &view->sites[i]);
	ret = write_built(fd, &b, view);
	hp_drop(&b);
	return ret;
}
