// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * libFuzzer target: each input is a sequence of calls to a heap, whose
 * results are compared with the shadow model.
 */
#include "host.h"

#include "../../kmod/tests/heap_model.h"

#define MAX_STEPS	400

struct input {
	const uint8_t *data;
	size_t left;
};

static void ht_fail(struct ht_fixture *f, const char *file, int line,
		    const char *text)
{
	(void)f;
	host_fail(file, line, text);
}

/* As many bytes as the range needs; nothing but 0 once they run out. */
static u32 choose(struct hm_model *m, u32 below)
{
	struct input *in = m->source;
	u32 value = 0, range;

	for (range = 1; range < below && in->left; range <<= 8) {
		value = value << 8 | *in->data++;
		in->left--;
	}
	return value % below;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct ht_fixture f;
	static struct hm_model m;
	struct input in = { data, size };
	unsigned int i;

	if (ht_init(&f, NULL))
		return 0;
	hm_init(&m, &f, choose, &in);
	for (i = 0; i < MAX_STEPS && in.left; i++)
		hm_step(&m);
	hm_check(&m);
	in.left = 0;
	hspan_heap_set_limit(f.heap, HT_BLOCKS);
	hm_drain(&m);
	HT_ASSERT(&f, ht_exit(&f) == 0);
	return 0;
}
