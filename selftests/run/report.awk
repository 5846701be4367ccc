# SPDX-License-Identifier: MIT
# The report of make run, from the figures of drive.sh; fails when a demand is not met.

function demand(met, text)
{
	printf "  %-4s  %s\n", met ? "ok" : "FAIL", text
	if (!met)
		failed = 1
}

function row(what, text)
{
	printf "  %-26s %s\n", what, text
}

function mib(bytes)
{
	return sprintf("%.1f MiB", bytes / 1048576)
}

function ms(ns)
{
	return sprintf("%.3f ms", ns / 1e6)
}

function phases(    i)
{
	printf "\n  %-18s %10s %10s %8s %8s %8s %8s\n", "phase", "requests", "per s",
		"p50 ms", "p99 ms", "p99.9", "max"
	for (i = 1; i <= nphases; i++)
		print line[i]
}

function collector(    wall)
{
	wall = v["wall_ms"] * 1e6
	print "\n  Collector"
	row("collections", v["gc_cycles"])
	row("longest stop", ms(v["gc_stop_max_ns"]) " (p50 " ms(v["gc_stop_p50_ns"]) ", p99 " \
	    ms(v["gc_stop_p99_ns"]) " of " v["gc_handshakes"] " stops)")
	row("all stops together", ms(v["gc_stop_total_ns"]))
	if (wall > 0) {
		row("marking", sprintf("%.1f %% of the time, %.1f %% of one CPU",
		    100 * v["gc_mark_ns"] / wall, 100 * v["gc_mark_cpu_ns"] / wall))
		row("assists, sweeping", sprintf("%.1f %%, %.1f %% of one CPU",
		    100 * v["gc_assist_ns"] / wall, 100 * v["gc_sweep_cpu_ns"] / wall))
	}
	row("longest cycle", ms(v["gc_cycle_max_ns"]))
	row("allocated in all", mib(v["gc_total_alloc"]) ", live at the end " mib(v["gc_heap_live"]))
}

function memory(    touched)
{
	touched = v["gc_blocks_held"] + v["gc_heap_released"] / 2097152
	print "\n  Memory"
	row("blocks of 2 MiB held", v["gc_blocks_held"] " at the end, " v["blocks_peak"] \
	    " at most")
	row("resident heap", mib(v["heap_map_rss_kb"] * 1024) ", huge-mapped " \
	    v["heap_map_huge_percent"] " %")
	if (v["gc_faults_data"] > 0)
		row("page faults of the data", sprintf("%d for %d blocks touched",
		    v["gc_faults_data"], touched))
	else
		row("page faults of the data", "not known to this backend")
	row("after FLUSHALL and release", sprintf("%d blocks, %s resident; was %d, %s",
	    v["after_gc_blocks_held"], mib(v["after_heap_map_rss_kb"] * 1024),
	    v["gc_blocks_held"], mib(v["heap_map_rss_kb"] * 1024)))
	row("given back to the system", mib(v["after_gc_heap_released"]))
}

function demands()
{
	print "\n  Demanded"
	demand(v["gc_cycles"] >= v["min_cycles"], "at least " v["min_cycles"] " collections: " \
	       v["gc_cycles"])
	demand(v["error_replies"] == "0", "no error replies: " v["error_replies"])
	demand(v["heap_map_rss_kb"] > 0, "the heap's mapping is in smaps: " v["heap_map_name"])
	if (v["huge_demand"] > 0)
		demand(v["heap_map_huge_percent"] >= v["huge_demand"] + 0, "at least " \
		       v["huge_demand"] " % of it huge-mapped: " v["heap_map_huge_percent"] " %")
	demand(v["after_gc_blocks_held"] * 2 < v["gc_blocks_held"] + 0, \
	       "most memory given back after FLUSHALL")
}

$1 == "@phase" {
	line[++nphases] = sprintf("  %-18s %10d %10.0f %8.2f %8.2f %8.2f %8.2f", $2, $3, $4, $5,
				  $6, $7, $8)
}

$1 == "@value" { v[$2] = $3 }

END {
	print ""
	print "=== hspan-cached, backend " v["backend"] ", " v["system"] " ==="
	phases()
	collector()
	memory()
	demands()
	print ""
	exit failed
}
