#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# Tracepoints: each one is described, and the tests between start and check made
# each one happen.  Runs in a VM.
#
#   trace.sh start
#   trace.sh check FILE    FILE: Documentation/tracing.rst

tracing=/sys/kernel/tracing
events=$tracing/events/hugespan
# shellcheck disable=SC1091
. /lib/tap.sh

names()
{
	for event in "$events"/hugespan_*; do
		basename "$event"
	done
}

# The first of each event that comes by.
watch()
{
	awk 'match($0, /hugespan_[a-z_]*:/) {
			name = substr($0, RSTART, RLENGTH - 1)
			if (!seen[name]++) {
				print name
				fflush()
			}
		}' $tracing/trace_pipe >/tmp/trace.seen &
	echo $! >/tmp/trace.pid
}

start()
{
	watch
	echo 1 >$events/enable
	echo 1..2
	check_none 'there are events' "$([ -d $events/hugespan_cycle ] || echo none)"
	check_none 'they are switched on' "$(grep -l '^0' $events/hugespan_*/enable)"
}

stop()
{
	sleep 1
	echo 0 >$events/enable
	kill "$(cat /tmp/trace.pid)"
}

check_all()
{
	grep -o '^hugespan_[a-z_]*' "$1" | sort -u >/tmp/trace.told
	stop
	names >/tmp/trace.names
	echo 1..3
	check_none 'each event is described' \
		"$(grep -vxFf /tmp/trace.told /tmp/trace.names)"
	check_none 'each that is described is there' \
		"$(grep -vxFf /tmp/trace.names /tmp/trace.told)"
	check_none 'each has happened' "$(grep -vxFf /tmp/trace.seen /tmp/trace.names)"
}

case $1 in
start) start ;;
check) check_all "$2" ;;
esac
end_checks
