// SPDX-License-Identifier: MIT
/* INFO: the server's figures and the collector's, in sections. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "commands.h"
#include "smaps.h"

struct text {
	char data[8192];
	size_t len;
};

static void add(struct text *t, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static void add(struct text *t, const char *fmt, ...)
{
	size_t room = sizeof(t->data) - t->len;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(t->data + t->len, room, fmt, ap);
	va_end(ap);
	if (n > 0)
		t->len += (size_t)n < room ? (size_t)n : room - 1;
}

static void add_u64(struct text *t, const char *name, uint64_t v)
{
	add(t, "%s:%llu\r\n", name, (unsigned long long)v);
}

static void add_human(struct text *t, const char *name, uint64_t v)
{
	static const char units[] = "BKMGT";
	double d = v;
	int i = 0;

	for (; d >= 1024 && i < 4; i++)
		d /= 1024;
	add(t, "%s_human:%.2f%c\r\n", name, d, units[i]);
}

/* Sections --------------------------------------------------------------------- */

static void info_server(struct text *t)
{
	struct utsname un;
	uint64_t up = (now_ms() - server.started_ms) / 1000;

	uname(&un);
	add(t, "redis_version:%s\r\nredis_mode:standalone\r\n", CACHED_VERSION);
	add(t, "server_name:hspan-cached\r\nhugespan_version:%s\r\n",
	    hspan_version());
	add(t, "backend:%s\r\n", hspan_backend_name());
	add(t, "os:%.64s %.64s %.64s\r\n", un.sysname, un.release, un.machine);
	add(t, "arch_bits:64\r\nmultiplexing_api:epoll\r\n");
	add_u64(t, "process_id", getpid());
	add_u64(t, "tcp_port", server.opt.port);
	add_u64(t, "io_threads", server.opt.threads);
	add_u64(t, "server_time_usec", now_us());
	add_u64(t, "uptime_in_seconds", up);
	add_u64(t, "uptime_in_days", up / 86400);
}

static void info_clients(struct text *t)
{
	add_u64(t, "connected_clients", atomic_load(&server.clients));
	add_u64(t, "maxclients", server.clients_max);
	add_u64(t, "blocked_clients", 0);
}

static void read_stats(struct hspan_stats *s)
{
	memset(s, 0, sizeof(*s));
	s->struct_size = sizeof(*s);
	hspan_stats_read(s);
}

static uint64_t resident_bytes(void)
{
	unsigned long long pages = 0;
	FILE *f = fopen("/proc/self/statm", "re");

	if (!f)
		return 0;
	if (fscanf(f, "%*s %llu", &pages) != 1)
		pages = 0;
	fclose(f);
	return pages * sysconf(_SC_PAGESIZE);
}

static void info_memory(struct text *t)
{
	struct hspan_stats s;

	read_stats(&s);
	add_u64(t, "used_memory", s.heap_alloc);
	add_human(t, "used_memory", s.heap_alloc);
	add_u64(t, "used_memory_rss", resident_bytes());
	add_human(t, "used_memory_rss", resident_bytes());
	add(t, "mem_allocator:hugespan-%s\r\n", hspan_version());
}

static void info_stats(struct text *t)
{
	add_u64(t, "total_connections_received", count_read(connections));
	add_u64(t, "total_commands_processed", count_read(commands));
	add_u64(t, "total_net_input_bytes", count_read(net_in));
	add_u64(t, "total_net_output_bytes", count_read(net_out));
	add_u64(t, "rejected_connections", count_read(rejected));
	add_u64(t, "expired_keys", count_read(expired));
	add_u64(t, "keyspace_hits", count_read(hits));
	add_u64(t, "keyspace_misses", count_read(misses));
	add_u64(t, "total_error_replies", count_read(errors));
}

static void info_cpu(struct text *t)
{
	struct rusage r;

	getrusage(RUSAGE_SELF, &r);
	add(t, "used_cpu_sys:%ld.%06ld\r\n", (long)r.ru_stime.tv_sec,
	    (long)r.ru_stime.tv_usec);
	add(t, "used_cpu_user:%ld.%06ld\r\n", (long)r.ru_utime.tv_sec,
	    (long)r.ru_utime.tv_usec);
	add_u64(t, "minor_faults", r.ru_minflt);
	add_u64(t, "major_faults", r.ru_majflt);
}

/* the upper end of the bucket below which @permille of the stops lie */
static uint64_t stop_quantile(const struct hspan_stats *s, uint64_t permille)
{
	uint64_t sum = 0;
	int i;

	for (i = 0; i < 40 && s->handshakes; i++) {
		sum += s->stop_hist[i];
		if (sum * 1000 >= s->handshakes * permille)
			return i < 39 && (2ull << i) < s->stop_max_ns ?
			       2ull << i : s->stop_max_ns;
	}
	return s->stop_max_ns;
}

static void info_collector(struct text *t)
{
	struct hspan_stats s;

	read_stats(&s);
	add_u64(t, "gc_cycles", s.num_gc);
	add_u64(t, "gc_cycles_forced", s.num_forced);
	add_u64(t, "gc_heap_live", s.heap_live);
	add_u64(t, "gc_heap_alloc", s.heap_alloc);
	add_u64(t, "gc_heap_goal", s.heap_goal);
	add_u64(t, "gc_heap_sys", s.heap_sys);
	add_u64(t, "gc_heap_idle", s.heap_idle);
	add_u64(t, "gc_heap_released", s.heap_released);
	add_u64(t, "gc_blocks_held", s.heap_sys >> 21);
	add_u64(t, "gc_total_alloc", s.total_alloc);
	add_u64(t, "gc_mark_ns", s.mark_ns);
	add_u64(t, "gc_mark_cpu_ns", s.mark_cpu_ns);
	add_u64(t, "gc_assist_ns", s.assist_ns);
	add_u64(t, "gc_sweep_cpu_ns", s.sweep_cpu_ns);
	add_u64(t, "gc_cycle_max_ns", s.cycle_max_ns);
	add_u64(t, "gc_stop_max_ns", s.stop_max_ns);
	add_u64(t, "gc_stop_total_ns", s.stop_total_ns);
	add_u64(t, "gc_stop_p50_ns", stop_quantile(&s, 500));
	add_u64(t, "gc_stop_p99_ns", stop_quantile(&s, 990));
	add_u64(t, "gc_handshakes", s.handshakes);
	add_u64(t, "gc_spans_swept", s.spans_swept);
	add_u64(t, "gc_threads", s.threads);
	add_u64(t, "gc_faults_data", s.faults_data);
}

/* not in the default answer: the kernel walks the whole heap for it */
static void info_hugepages(struct text *t)
{
	struct heap_map m;
	void *inside = hspan_alloc_noscan(64);

	if (!inside || !heap_map_read(inside, &m)) {
		add(t, "heap_map_error:not found\r\n");
		return;
	}
	add(t, "heap_map_name:%s\r\n", m.name[0] ? m.name : "anonymous");
	add_u64(t, "heap_map_areas", m.areas);
	add_u64(t, "heap_map_rss_kb", m.rss);
	add_u64(t, "heap_map_huge_kb", m.huge);
	add_u64(t, "heap_map_anon_huge_kb", m.anon_huge);
	add_u64(t, "heap_map_shmem_huge_kb", m.shmem_huge);
	add_u64(t, "heap_map_file_huge_kb", m.file_huge);
	add_u64(t, "heap_map_swap_kb", m.swap);
	add(t, "heap_map_huge_percent:%.2f\r\n",
	    m.rss ? 100.0 * m.huge / m.rss : 0.0);
}

static void info_keyspace(struct text *t)
{
	uint64_t keys, expires;

	shards_lock(SHARDS_ALL);
	keys = keyspace_len(&expires);
	shards_unlock(SHARDS_ALL);
	if (keys)
		add(t, "db0:keys=%llu,expires=%llu,avg_ttl=0\r\n",
		    (unsigned long long)keys, (unsigned long long)expires);
}

static const struct section {
	const char *name, *title;
	bool by_default;
	void (*fn)(struct text *t);
} sections[] = {
	{ "server", "Server", true, info_server },
	{ "clients", "Clients", true, info_clients },
	{ "memory", "Memory", true, info_memory },
	{ "stats", "Stats", true, info_stats },
	{ "cpu", "CPU", true, info_cpu },
	{ "collector", "Collector", true, info_collector },
	{ "hugepages", "Hugepages", false, info_hugepages },
	{ "keyspace", "Keyspace", true, info_keyspace },
};

static bool section_wanted(struct conn *c, const struct section *s)
{
	int i;

	if (c->argc == 1)
		return s->by_default;
	for (i = 1; i < c->argc; i++)
		if (arg_is(&c->argv[i], s->name) ||
		    arg_is(&c->argv[i], "all") ||
		    arg_is(&c->argv[i], "everything") ||
		    (s->by_default && arg_is(&c->argv[i], "default")))
			return true;
	return false;
}

void cmd_info(struct conn *c)
{
	struct text t;
	size_t i;

	t.len = 0;
	for (i = 0; i < sizeof(sections) / sizeof(sections[0]); i++) {
		if (!section_wanted(c, &sections[i]))
			continue;
		add(&t, "%s# %s\r\n", t.len ? "\r\n" : "", sections[i].title);
		sections[i].fn(&t);
	}
	reply_bulk(c, t.data, t.len);
}
