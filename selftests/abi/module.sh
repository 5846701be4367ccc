#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# The module from outside: busy while in use, clean afterwards, what its
# attributes say, what a memory cgroup is charged.  Runs in a VM; needs the
# program hold.
# shellcheck disable=SC3045,SC2317 # check() calls functions by name

sys=/sys/devices/virtual/misc/hugespan
cg=/sys/fs/cgroup/hugespan-test
# shellcheck disable=SC1091
. /lib/tap.sh

is()
{
	[ "$(cat "$sys/$1")" = "$2" ] || {
		echo "# $1 is $(cat "$sys/$1"), not $2"
		false
	}
}

busy()
{
	! rmmod hugespan 2>/dev/null && [ -d /sys/module/hugespan ]
}

# start_hold BLOCKS: runs it until stop_hold; false if it cannot have them
start_hold()
{
	rm -f /tmp/in /tmp/out
	mkfifo /tmp/in
	hold "$1" </tmp/in >/tmp/out &
	holder=$!
	exec 9>/tmp/in
	while ! grep -qs . /tmp/out && kill -0 $holder 2>/dev/null; do
		sleep 0.1
	done
	grep -q held /tmp/out
}

stop_hold()
{
	exec 9>&-
	wait $holder
}

refused_store()
{
	! echo "$2" 2>/dev/null >"$sys/$1"
}

charged_mib()
{
	echo $(($(cat $cg/memory.current) >> 20))
}

# hold runs in $cg: this shell is there while it starts it
start_hold_in_cgroup()
{
	echo $$ >$cg/cgroup.procs
	start_hold "$1"
	rc=$?
	echo $$ >/sys/fs/cgroup/cgroup.procs
	return $rc
}

test_busy()
{
	exec 8<>/dev/hugespan
	check 'busy while the device is open' busy
	exec 8>&-
	start_hold 5
	check 'five blocks are in use' is blocks_in_use 5
	check 'one arena' is nr_arenas 1
	check 'busy while only a mapping is left' busy
	stop_hold
	check 'no block is in use' is blocks_in_use 0
	check 'no arena' is nr_arenas 0
}

test_attributes()
{
	check 'freed blocks wait in the pool' is pool/free 5
	echo 2 >$sys/pool/high
	check 'a lower mark empties it' is pool/free 2
	echo 0 >$sys/pool/high
	check 'and empties it all' is pool/free 0
	echo 64 >$sys/pool/high
	check 'no word is a mark' refused_store pool/high many
	check 'no limit of nothing' refused_store default_limit 0
	check 'counters cannot be written' refused_store pool/lost 1
	check 'the mark is as it was' is pool/high 64
	check 'no word is a low mark' refused_store pool/low some
}

# A block is being zeroed, or just has been: it counts as one that waits.
comes_back()
{
	for _ in 1 2 3 4 5 6 7 8; do
		is pool/reserved_free 7 && start_hold 5 && stop_hold &&
			is pool/reserved_free 7 || return 1
	done
}

# Loads it anew with a reserve, twice: all of it, and more than there is.
test_reserve()
{
	file=/vm/modules/hugespan.ko
	rmmod hugespan
	insmod $file reserve=7 pool_high=1
	check 'a reserve is kept' is pool/reserved 7
	check 'it waits' is pool/reserved_free 7
	start_hold 5
	check 'and is used' is pool/reserved_free 2
	check 'instead of other memory' is pool/allocated 7
	stop_hold
	check 'and comes back, always' comes_back
	echo 0 >$sys/pool/high
	check 'whatever the high mark' is pool/reserved_free 7
	rmmod hugespan
	insmod $file reserve=100000
	check 'a reserve larger than memory is cut' \
		[ "$(cat $sys/pool/reserved)" -lt 100000 ]
	check 'and leaves a sixteenth of it, or nearly' [ $(( \
		$(sed -n 's/^MemAvailable: *\([0-9]*\) kB/\1/p' /proc/meminfo) * 20)) -gt \
		"$(sed -n 's/^MemTotal: *\([0-9]*\) kB/\1/p' /proc/meminfo)" ]
}

test_cgroup()
{
	mkdir $cg
	start_hold_in_cgroup 20
	check 'the cgroup pays for its blocks' [ "$(charged_mib)" -ge 40 ]
	stop_hold
	check 'and for those that wait' [ "$(charged_mib)" -ge 40 ]
	allocated=$(cat $sys/pool/allocated)
	start_hold 3
	stop_hold
	check 'which nobody else gets' is pool/allocated $((allocated + 3))
	start_hold_in_cgroup 10
	check 'but itself' is pool/allocated $((allocated + 3))
	stop_hold
	echo 0 >$sys/pool/high
	check 'until they are given back' [ "$(charged_mib)" -lt 2 ]

	echo $((64 << 20)) >$cg/memory.max
	echo 64 >$sys/pool/high
	start_hold_in_cgroup 20
	stop_hold
	check 'where there is a limit none wait' [ "$(charged_mib)" -lt 2 ]
	echo 0 >$sys/pool/high

	echo $((16 << 20)) >$cg/memory.max
	check 'its limit is kept' eval '! start_hold_in_cgroup 20'
	stop_hold
	check 'with ENOMEM' [ $? = 12 ]
	check 'and no block lost' is blocks_in_use 0
	rmdir $cg
}

echo "1..$(if [ -e /sys/fs/cgroup/cgroup.procs ]; then echo 32; else echo 23; fi)"
echo '+memory' 2>/dev/null >/sys/fs/cgroup/cgroup.subtree_control
default_high=$(cat $sys/pool/high)
echo 0 >$sys/pool/high
echo 64 >$sys/pool/high
test_busy
test_attributes
[ ! -e /sys/fs/cgroup/cgroup.procs ] || test_cgroup
echo "$default_high" >$sys/pool/high
test_reserve
check 'gone when unused' rmmod hugespan
end_checks
