#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# Each attribute in sysfs has an entry in Documentation/ABI/testing, each entry
# an attribute, and both agree on whether it can be written.  Runs in a VM;
# needs the program hold, for there to be an arena.
#
#   documented.sh FILE      FILE: the text

sys=/sys/devices/virtual/misc/hugespan
# shellcheck disable=SC1091
. /lib/tap.sh

# "RO path" or "RW path" of each entry; a What: may have several lines.
documented()
{
	awk -v top="$sys/" '
		function path(p) { sub(top, "", p); return p }
		/^What:/ { n = 0; what = 1; paths[n++] = path($2); next }
		/^[A-Z][A-Za-z]*:/ { what = 0 }
		what && NF { paths[n++] = path($1) }
		match($1, /^\(R[OW]\)$/) {
			for (i = 0; i < n; i++)
				print substr($1, 2, 2), paths[i]
			n = 0
		}' "$1"
}

# The same of what is there, but for what every device has.
present()
{
	find $sys -type f | while read -r file; do
		case ${file#"$sys"/} in
		uevent | dev | power/*) continue ;;
		esac
		mode=RO
		[ -z "$(find "$file" -perm -200)" ] || mode=RW
		echo "$mode ${file#"$sys"/}"
	done | sed 's|arenas/[0-9]*/|arenas/<id>/|'
}

mkfifo /tmp/documented
hold 1 </tmp/documented >/tmp/documented.out &
exec 9>/tmp/documented
until [ -s /tmp/documented.out ]; do
	sleep 0.1
done
documented "$1" | sort >/tmp/documented.want
present | sort -u >/tmp/documented.have
exec 9>&-
wait

echo 1..4
check_none 'there is an arena to look at' \
	"$(grep -q 'arenas/<id>/limit' /tmp/documented.have || echo none)"
check_none 'each attribute is documented' \
	"$(grep -vxFf /tmp/documented.want /tmp/documented.have)"
check_none 'each that is documented is there' \
	"$(grep -vxFf /tmp/documented.have /tmp/documented.want)"
check_none 'once' "$(uniq -d /tmp/documented.want)"
end_checks
