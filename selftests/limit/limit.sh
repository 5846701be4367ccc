#!/bin/sh
# SPDX-License-Identifier: MIT
#
# A heap in a cgroup that has less memory than it would like, then one on a
# machine that runs short.  Runs in a VM as root; needs the programs
# limit-hugespan and squeeze.
#
#	limit.sh ALLOC_MIB
# shellcheck disable=SC3045,SC2317 # check() calls functions by name
cg=/sys/fs/cgroup/hugespan-limit
alloc=${1:-768}
# shellcheck disable=SC1091
. /lib/tap.sh

# in_cgroup COMMAND...: run it there
in_cgroup()
{
	sh -c "echo \$\$ >$cg/cgroup.procs && exec \"\$@\"" sh "$@"
}

not_killed()
{
	grep -qx 'oom_kill 0' "$cg/memory.events"
}

figure()
{
	sed -n "s/^$1	\([0-9]*\).*/\1/p" /tmp/figures
}

# with_limit FILE BACKEND MIB: 150 MiB live, which would grow to 600 by itself
with_limit()
{
	mkdir "$cg"
	echo $((256 << 20)) >"$cg/$1"
	echo 0 2>/dev/null >"$cg/memory.swap.max"
	in_cgroup env HUGESPAN_BACKEND="$2" HUGESPAN_PERCENT=300 \
		limit-hugespan 150 "$3" >/tmp/figures
	check "$1 256 MiB, $2: allocates $3 MiB" [ $? = 0 ]
	sed 's/^/# /' /tmp/figures
	peak=$(($(cat "$cg/memory.peak") >> 20))
	echo "# peak of the cgroup: $peak MiB"
	check "$1, $2: nobody was killed" not_killed
	check "$1, $2: it was the cgroup's limit" [ "$(figure from)" = 2 ]
	check "$1, $2: which left more than what lives" [ "$(figure 'limit in force')" -gt 150 ]
	check "$1, $2: it was kept" [ "$peak" -le 257 ]
	check "$1, $2: nothing stays charged" [ $(($(cat "$cg/memory.current") >> 20)) -lt 4 ]
	rmdir "$cg"
}

echo '1..18'
echo '+memory' >/sys/fs/cgroup/cgroup.subtree_control
with_limit memory.max embedded "$alloc"
with_limit memory.max module "$alloc"
with_limit memory.high embedded 300
HUGESPAN_BACKEND=module squeeze || failed
mkdir "$cg"
echo $((4 << 20)) >"$cg/memory.high"
HUGESPAN_BACKEND=embedded squeeze "$cg/cgroup.procs" || failed
rmdir "$cg"
end_checks
