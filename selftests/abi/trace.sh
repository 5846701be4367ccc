#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# Tracepoints: each one is described, and the tests between start and check made
# each one happen.  Runs in a VM.
#
#   trace.sh start
#   trace.sh check FILE [EVENT...]   FILE: Documentation/tracing.rst; EVENT: one
#                                    that need not have happened

tracing=/sys/kernel/tracing
events=$tracing/events/hugespan
nr=0 bad=0

names()
{
	for event in "$events"/hugespan_*; do
		basename "$event"
	done
}

# check NAME FOUND: passes if nothing was found
check()
{
	nr=$((nr + 1))
	if [ -z "$2" ]; then
		echo "ok $nr - $1"
	else
		echo "not ok $nr - $1"
		echo "$2" | sed 's/^/# /'
		bad=1
	fi
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
	check 'there are events' "$([ -d $events/hugespan_cycle ] || echo none)"
	check 'they are switched on' "$(grep -l '^0' $events/hugespan_*/enable)"
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
	shift
	stop
	printf '%s\n' "$@" >>/tmp/trace.seen
	names >/tmp/trace.names
	echo 1..3
	check 'each event is described' \
		"$(grep -vxFf /tmp/trace.told /tmp/trace.names)"
	check 'each that is described is there' \
		"$(grep -vxFf /tmp/trace.names /tmp/trace.told)"
	check 'each has happened' "$(grep -vxFf /tmp/trace.seen /tmp/trace.names)"
}

case $1 in
start) start ;;
check) shift && check_all "$@" ;;
esac
exit $bad
