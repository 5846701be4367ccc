// SPDX-License-Identifier: MIT
/*
 * A process that sweeps a span is killed at any of its instructions: whoever
 * gets the span next, sweeps it once more, and nothing that lives is freed.
 *
 * A child sweeps by single steps.  After each of them its memory is what it
 * would have left behind, and is swept again, in a copy.
 */
#include <sys/mman.h>
#include <sys/ptrace.h>

#include "common.h"
#include "bits.h"

#define PAGES 4
#define PAGE 1 /* of the span */
#define GEN 7  /* the cycle that it is swept in */
#define STEPS_MIN 50

/** struct image - what a client leaves behind when it dies */
struct image {
	uint64_t planes[HSPAN_BITS_PLANES][PAGES * HSPAN_BITS_STRIDE / 8];
	uint32_t notes[PAGES];
};

static void use(struct image *image)
{
	hs.size = PAGES * HSPAN_PAGE_SIZE;
	hs.bits = (void *)image->planes;
	hs.space.notes = image->notes;
}

/* Some objects are allocated, and some of those are marked. */
static void fill(struct image *image, uint32_t sc, uint64_t *marks)
{
	uint64_t state = sc + 1;

	memset(image, 0, sizeof(*image));
	use(image);
	for (uint32_t w = 0; w < hs_bit_words(sc); w++) {
		uint64_t allocated = next_random(&state) | 1;

		if (sc < 2)
			allocated = 1;
		marks[w] = w ? allocated & next_random(&state) : 1;
		hs_alloc_bits(PAGE, sc)[w] = allocated;
		hs_mark_bits(PAGE)[w] = marks[w];
	}
	image->notes[PAGE] = HSPAN_NOTE_SWEPT(GEN - 1);
}

/* The next holder, who knows only that the span is unswept. */
static void inherit(const struct image *left, uint32_t sc, const uint64_t *marks)
{
	struct image image = *left;
	uint32_t live = 0, found;

	use(&image);
	found = hs_sweep_span(PAGE, sc, GEN);
	for (uint32_t w = 0; w < hs_bit_words(sc); w++) {
		assert_int_equal(hs_alloc_bits(PAGE, sc)[w], marks[w]);
		assert_int_equal(hs_mark_bits(PAGE)[w], 0);
		live += (uint32_t)__builtin_popcountll(marks[w]);
	}
	assert_int_equal(found, live);
	assert_int_equal(image.notes[PAGE], HSPAN_NOTE_SWEPT(GEN));
}

static pid_t start(struct image *image, uint32_t sc)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (!pid) {
		use(image);
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		raise(SIGSTOP);
		hs_sweep_span(PAGE, sc, GEN);
		_exit(0);
	}
	return pid;
}

/* One instruction of the child; false if it has come to its end. */
static bool step(pid_t pid)
{
	int status;

	assert_int_equal(ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFSTOPPED(status))
		return true;
	assert_int_equal(status, 0);
	return false;
}

static void killed_anywhere(uint32_t sc)
{
	uint64_t marks[HSPAN_BITS_STRIDE / 8];
	struct image *image = mmap(NULL, sizeof(*image), PROT_READ | PROT_WRITE,
				   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	unsigned int steps = 0, changes = 0;
	struct image before;
	int status;
	pid_t pid;

	assert_ptr_not_equal(image, MAP_FAILED);
	fill(image, sc, marks);
	pid = start(image, sc);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSTOPPED(status));
	do {
		before = *image;
		inherit(&before, sc, marks);
		steps++;
		if (!step(pid))
			break;
		changes += memcmp(&before, image, sizeof(before)) != 0;
	} while (true);
	print_message("# span class %u: killed at %u instructions, %u of them stores\n", sc,
		      steps, changes);
	assert_in_range(steps, STEPS_MIN, UINT32_MAX);
	assert_int_equal(image->notes[PAGE], HSPAN_NOTE_SWEPT(GEN));
	/* Its words that change, of both bitmaps, and the two notes. */
	assert_in_range(changes, 3, 2 * hs_bit_words(sc) + 2);
	munmap(image, sizeof(*image));
}

static void small_objects(void **state)
{
	(void)state;
	killed_anywhere(HSPAN_SPAN_CLASS(4, 1));
}

/* Their allocation bits are in another plane. */
static void words(void **state)
{
	(void)state;
	killed_anywhere(HSPAN_SPAN_CLASS(1, 1));
}

static void large_object(void **state)
{
	(void)state;
	killed_anywhere(HSPAN_CLASS_LARGE_SCAN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(small_objects),
		cmocka_unit_test(words),
		cmocka_unit_test(large_object),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
