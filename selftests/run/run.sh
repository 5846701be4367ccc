#!/bin/bash
# SPDX-License-Identifier: MIT
#
# What make run does: the cache server on a collected heap, driven by Debian's
# redis-benchmark, in a VM with the module or, with NATIVE=1, on this machine.
# The figures are left in build/run/report.tsv.
set -euo pipefail

here=$(dirname "$(readlink -f "$0")")
top=$(readlink -f "$here/../..")
build=${HUGESPAN_BUILD:-$top/build}
out=$build/run

build_all()
{
	make -s --no-print-directory -C "$top/userlib" O="$build/userlib"
	make -s --no-print-directory -C "$top/userlib/examples/hspan-cached" O="$build/userlib"
	if [ -z "${NATIVE:-}" ]; then
		"$top/selftests/vm/build-module" debian
	fi
}

run_native()
{
	SERVER=$build/userlib/hspan-cached BACKEND=embedded REPORT=$here/report.awk \
		SECONDS_A_PHASE=${SECONDS_A_PHASE:-3} sh "$here/drive.sh"
}

# Debian's kernel, two CPUs; everything it needs is in the image.
run_vm()
{
	echo "Booting Debian's kernel in a VM of 2 CPUs"
	"$top/selftests/vm/vm-run" --name run --mem 1024 --timeout 230 --hugespan \
		--bin "$build/userlib/hspan-cached" --bin redis-benchmark --bin redis-cli \
		--add "$here:/run-files" --env SERVER=/bin/hspan-cached --env BACKEND=module \
		--env REPORT=/run-files/report.awk --env HUGE_PERCENT=95 \
		--env SECONDS_A_PHASE="${SECONDS_A_PHASE:-6}" -- /run-files/drive.sh
}

# Shows what comes but for the figures, which go to the file.
show()
{
	local line

	while IFS= read -r line || [ -n "$line" ]; do
		line=${line%$'\r'}
		case $line in
		@*) printf '%s\n' "${line#@}" >>"$out/report.tsv" ;;
		*) printf '%s\n' "$line" ;;
		esac
	done
}

build_log=$out/build.log
rc=0
mkdir -p "$out"
: >"$out/report.tsv"
echo "Building"
if ! build_all >"$build_log" 2>&1; then
	tail -n 20 "$build_log"
	exit 1
fi
if [ -n "${NATIVE:-}" ]; then
	run_native | show || rc=$?
else
	run_vm | show || rc=$?
fi
if [ $rc != 0 ]; then
	echo "make run: failed ($rc)"
else
	echo "The figures are in ${out#"$top/"}/report.tsv"
fi
exit $rc
