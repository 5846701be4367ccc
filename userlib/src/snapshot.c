// SPDX-License-Identifier: MIT
/*
 * Marking an image of the heap, taken at one instant by fork(): so that no store
 * of the program's need be heard of.
 *
 * Every thread is stopped (HS_SNAPSHOT): it blackens its runs, and leaves where
 * its stack ends and what is in its registers.  When all are, the process is
 * copied, and goes on.  The child has heap, roots and stacks as they were; it
 * marks them and ends.  Stacks are left to it because one thread may write to
 * another's until that one, too, is stopped.  The bits alone are shared, so that
 * the marks arrive here.  Why they are right:
 *
 *	reachable later is what was reachable in the image, and what was
 *	allocated since.  The first the child marks, as nothing in the image
 *	changes while it does; the second is black: it is allocated from runs
 *	that were blackened, or that were taken since, of this generation.
 *
 * What the child sees of the bits may be newer than the image: then a stale word
 * may find an object that is allocated since.  It is black before it is
 * allocated, so the child leaves it alone.  Spans are not given up while
 * hs.marking, and a span made since is none in the child's page map, which is
 * of the image.
 *
 * The child runs on one thread, with a copy of everyone's memory and nobody's
 * locks: it calls nothing of libc that takes one, and no atfork handler has run.
 * A thread of ours that is stopped holds no lock of ours (internal.h).
 *
 * A library built on this one adds to what is marked by its hooks (internal.h), and
 * may have small heaps marked with threads stopped, which is cheaper for them.
 *
 * When there is no child, or it ends otherwise than by saying that it is done
 * (it may be killed at any time), the heap itself is marked instead with every
 * thread stopped.  Half a child's marks are no use, for what it had seen is
 * lost: so then all marks are cleared first, and runs blackened again.
 */
#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mark.h"
#include "pacer.h"
#include "spans.h"
#include "stack.h"

#define OBJECT_NS 50 /* marking one takes, until it is known better */
#define UNSETTLED_US 500 /* how long threads go on before they are stopped again */

/**
 * struct report - what the child leaves, in a page both have
 * @done: it marked everything; set last
 * @bytes, @objects: marked
 * @roots: bytes of stacks and roots it looked at
 * @cpu_ns: it took
 */
struct report {
	int done;
	uint64_t bytes, objects, roots, cpu_ns;
};

static struct {
	struct report *report;
	uint64_t taken, failed, longest_ns, cpu_ns;
	uint64_t objects, object_ns; /* of the last marking, and of the last done here */
} snapshot;

static void mark_everything(struct hs_marker *m)
{
	for (struct hs_thread *t = hs.threads; t; t = t->next)
		hs_scan_thread(t);
	hs_roots_scan();
	hs_stacks_scan();
	if (hs.hooks)
		hs.hooks->mark_roots(m);
	while (!hs_mark_drain(m, 0))
		;
	if (hs.hooks)
		hs.hooks->mark_more(m);
}

/* Stop every thread. */
static void stop(void)
{
	if (!hs.hooks) {
		hs_handshake(HS_SNAPSHOT);
		return;
	}
	for (;;) {
		hs.hooks->freeze();
		hs_handshake(HS_SNAPSHOT);
		if (hs.hooks->settled())
			return;
		hs_handshake_resume();
		hs.hooks->thaw();
		usleep(UNSETTLED_US);
	}
}

static void resume(void)
{
	hs_handshake_resume();
	if (hs.hooks)
		hs.hooks->thaw();
}

static void close_files(void)
{
#ifdef SYS_close_range
	syscall(SYS_close_range, 0u, ~0u, 0u);
#endif
}

/* The child: never returns. */
static void mark_image(struct hs_marker *m)
{
	uint64_t cpu = hs_cpu_now(), roots = hs_pacer_roots_seen();

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_NAME, "hspan-image");
	close_files(); /* what the program closes is closed */
	mark_everything(m);
	snapshot.report->bytes = m->bytes;
	snapshot.report->objects = m->objects;
	snapshot.report->roots = hs_pacer_roots_seen() - roots;
	snapshot.report->cpu_ns = hs_cpu_now() - cpu;
	hs_set_release(&snapshot.report->done, 1);
	syscall(SYS_exit_group, 0);
}

/* As fork(), but without handlers, and wait() of the program's does not see it. */
static pid_t copy_process(void)
{
	return (pid_t)syscall(SYS_clone, 0ul, 0ul, NULL, NULL, 0ul);
}

/* Wait for the child to end; did it do its work? */
static bool reap(pid_t child)
{
	int status;

	while (waitpid(child, &status, __WALL) < 0)
		if (errno != EINTR)
			return false;
	return hs_load_acquire(&snapshot.report->done);
}

static bool prepare(void)
{
	void *p;

	if (!snapshot.report) {
		p = mmap(NULL, sizeof(*snapshot.report), PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
		if (p == MAP_FAILED)
			return false;
		snapshot.report = p;
	}
	hs_set(&snapshot.report->done, 0);
	return true;
}

static void account(uint64_t stopped_at)
{
	uint64_t ns = hs_now() - stopped_at;

	if (ns > snapshot.longest_ns)
		hs_set(&snapshot.longest_ns, ns);
}

/* With every thread stopped; they go on when this returns. */
static void mark_stopped(struct hs_marker *m, uint64_t stopped_at)
{
	uint64_t cpu = hs_cpu_now();

	mark_everything(m);
	if (m->objects)
		snapshot.object_ns = (hs_cpu_now() - cpu) / m->objects + 1;
	account(stopped_at);
	resume();
	hs_spans_forget();
}

/* The child is gone and its marks are worth nothing. */
static void start_again(struct hs_marker *m)
{
	uint64_t start = hs_now();

	hs_add(&snapshot.failed, 1);
	stop();
	hs_unmark_all();
	for (struct hs_thread *t = hs.threads; t; t = t->next)
		hs_cache_blacken(t, hs.black_gen);
	mark_stopped(m, start);
}

/*
 * A heap that is marked in no more time than copying it takes is marked as it is:
 * that is cheaper, and no store has to copy a page.
 */
static bool is_small(void)
{
	uint64_t object_ns = snapshot.object_ns ? snapshot.object_ns : OBJECT_NS;

	return hs.hooks && snapshot.objects * object_ns < hs.hooks->stop_ns;
}

static void mark_an_image(struct hs_marker *m, uint64_t start)
{
	pid_t child = -1;

	hs_add(&snapshot.taken, 1);
	if (prepare()) {
		hs_stacks_lock(); /* not left to the child by a thread it does not have */
		child = copy_process();
		hs_stacks_unlock();
	}
	if (!child)
		mark_image(m);
	if (child < 0) {
		hs_add(&snapshot.failed, 1);
		mark_stopped(m, start);
	} else {
		account(start);
		resume();
		hs_work_reset(); /* the child has it */
		if (reap(child)) {
			m->bytes = snapshot.report->bytes;
			m->objects = snapshot.report->objects;
			hs_pacer_roots(snapshot.report->roots);
			hs_add(&snapshot.cpu_ns, snapshot.report->cpu_ns);
		} else {
			start_again(m);
		}
	}
}

/* Called by the collector in place of SCAN and all that follows it. */
void hs_snapshot_mark(struct hs_marker *collector)
{
	struct hs_marker m = { .spans = collector->spans };
	uint64_t start = hs_now();

	stop();
	if (is_small())
		mark_stopped(&m, start);
	else
		mark_an_image(&m, start);
	snapshot.objects = m.objects;
	collector->bytes += m.bytes;
	collector->objects += m.objects;
}

void hs_snapshot_reset(void)
{
	if (snapshot.report)
		munmap(snapshot.report, sizeof(*snapshot.report));
	snapshot.report = NULL;
	snapshot.taken = snapshot.failed = snapshot.longest_ns = snapshot.cpu_ns = 0;
	snapshot.objects = snapshot.object_ns = 0;
}

void hs_snapshot_stats(struct hspan_stats *stats)
{
	stats->snapshots = hs_load(&snapshot.taken);
	stats->snapshots_failed = hs_load(&snapshot.failed);
	stats->snapshot_ns = hs_load(&snapshot.longest_ns);
	stats->mark_cpu_ns += hs_load(&snapshot.cpu_ns);
}
