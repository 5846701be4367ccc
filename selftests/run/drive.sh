#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Starts hspan-cached, drives it with redis-benchmark and reports. Runs in the
# VM (busybox) and natively; takes from its environment
#
#   SERVER      hspan-cached
#   BACKEND     module or embedded
#   REPORT      report.awk
#   SECONDS_A_PHASE, MIN_CYCLES, HUGE_PERCENT (0 = only report it)
#
# Lines that start with '@' are the figures, for the caller to keep: phases as
# "@phase NAME ...", the rest as "@value NAME FIGURE". Exits with 1 when one of
# the report's demands is not met.
set -u

: "${SERVER:=hspan-cached}" "${BACKEND:=embedded}" "${REPORT:=report.awk}"
: "${SECONDS_A_PHASE:=6}" "${MIN_CYCLES:=20}" "${HUGE_PERCENT:=0}"
dir=$(mktemp -d)
sock=$dir/socket
figures=$dir/figures
clients=16
pipeline=4
failed=0

fail()
{
	echo "FAILED: $*"
	failed=1
}

# the server's figure NAME from the INFO SECTION
figure()
{
	redis-cli -s "$sock" info "$2" | tr -d '\r' | sed -n "s/^$1://p"
}

value()
{
	echo "@value	$1	$2" >>"$figures"
}

start_server()
{
	"$SERVER" --port 0 --unix "$sock" --backend "$BACKEND" --threads 2 >"$dir/log" 2>&1 &
	pid=$!
	for _ in $(seq 100); do
		[ "$(redis-cli -s "$sock" ping 2>/dev/null)" = PONG ] && break
		sleep 0.1
	done
	cat "$dir/log"
	kill -0 "$pid" 2>/dev/null
}

# A phase's time; less of it on a machine that turns out to be slow.
seconds()
{
	now=$(figure server_time_usec server)
	if [ $(((now - begin) / 1000000)) -lt 70 ]; then
		echo "$SECONDS_A_PHASE"
	else
		echo 2
	fi
}

# Requests of the phase's time at the speed of a short trial, $1... as below.
requests()
{
	speed=$(redis-benchmark -s "$sock" --csv -c $clients -P $pipeline -n 2000 "$@" \
		2>/dev/null | tail -n 1 | cut -d , -f 2 | tr -d '"' | cut -d . -f 1)
	n=$((${speed:-0} * $(seconds)))
	[ $n -ge 2000 ] || n=2000
	[ $n -le 1000000 ] || n=1000000
	echo $n
}

# phase NAME REDIS-BENCHMARK-ARGUMENT...
phase()
{
	name=$1
	shift
	printf '  %-18s ' "$name"
	n=$(requests "$@")
	printf '%8s requests ... ' "$n"
	redis-benchmark -s "$sock" -c $clients -P $pipeline --precision 3 -n "$n" "$@" 2>&1 |
		tr '\r' '\n' >"$dir/out"
	if ! awk -v name="$name" -v n="$n" -f "$(dirname "$REPORT")/phase.awk" "$dir/out" \
		>"$dir/phase"; then
		echo
		fail "$name: $(grep -i err "$dir/out" | head -n 1)"
		return
	fi
	cat "$dir/phase" >>"$figures"
	held=$(figure gc_blocks_held collector)
	[ "${held:-0}" -le "$peak" ] || peak=$held
	awk -v gc="$(figure gc_cycles collector)" -v held="$held" -F '\t' '{
		printf "%7d/s  p50 %.2f  p99 %.2f  p99.9 %.2f ms; %d collections, %d blocks\n",
			$4, $5, $6, $7, gc, held }' "$dir/phase"
}

phases()
{
	phase 'SET 64 B' -t set -d 64 -r 20000
	phase 'GET' -t get -r 20000
	phase 'SET 1 KiB' -t set -d 1024 -r 8000
	phase 'SET 16 KiB' -t set -d 16384 -r 600
	phase 'GET, mixed sizes' -t get -r 20000
	phase 'HSET 256 B' -t hset -d 256 -r 20000
	phase 'LPUSH 256 B' -t lpush -d 256
	phase 'LPOP' -t lpop
	round=1
	while [ "$(figure gc_cycles collector)" -lt "$MIN_CYCLES" ] && [ $round -le 8 ]; do
		phase "SET 16 KiB again" -t set -d 16384 -r 600
		round=$((round + 1))
	done
}

# Every figure of an INFO section, with a word before its name.
keep()
{
	redis-cli -s "$sock" info "$2" | tr -d '\r' |
		sed -n "s/^\([a-z_0-9]*\):\(.*\)/@value	$1\1	\2/p" >>"$figures"
}

# Everything goes at once: how much of it does the system get back?  A thread that
# is caught at work may have a word on its stack that looks like a pointer to a
# shard of the keys, and they lie all over the heap: so it has five chances.
give_back()
{
	keep '' hugepages
	keep '' collector
	before=$(figure gc_blocks_held collector)
	redis-cli -s "$sock" flushall >/dev/null
	collections=0
	while [ $collections -lt 5 ]; do
		collections=$((collections + 1))
		redis-cli -s "$sock" gc >/dev/null
		redis-cli -s "$sock" gc release >/dev/null
		[ $(($(figure gc_blocks_held collector) * 2)) -ge "$before" ] || break
	done
	value give_back_collections $collections
	keep after_ hugepages
	keep after_ collector
	echo "  FLUSHALL, collections: $collections, release: done"
}

stop_server()
{
	value error_replies "$(figure total_error_replies stats)"
	redis-cli -s "$sock" shutdown 2>/dev/null
	wait "$pid" || fail "the server ended with $?"
}

peak=0
echo "Starting the server"
if ! start_server; then
	echo 'FAILED: the server did not start'
	exit 1
fi
echo "Serving redis-benchmark, $clients clients, pipelines of $pipeline"
begin=$(figure server_time_usec server)
phases
value wall_ms $((($(figure server_time_usec server) - begin) / 1000))
value blocks_peak "$peak"
value backend "$(figure backend server)"
value system "$(figure os server)"
give_back
stop_server
value min_cycles "$MIN_CYCLES"
value huge_demand "$HUGE_PERCENT"
cat "$figures"
awk -F '\t' -f "$REPORT" "$figures" || failed=1
rm -rf "$dir"
exit $failed
