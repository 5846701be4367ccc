# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
#
# Tests in shell scripts that run in the VM: one line of TAP for each. Every guest
# has this as /lib/tap.sh.

tap_nr=0 tap_bad=0

# failed: something did, of which there is a line already
failed()
{
	tap_bad=1
}

tap_line()
{
	tap_nr=$((tap_nr + 1))
	echo "$1 $tap_nr - $2"
}

# check NAME COMMAND...: one test
check()
{
	tap_name=$1
	shift
	if "$@"; then
		tap_line ok "$tap_name"
	else
		tap_line 'not ok' "$tap_name"
		failed
	fi
}

# check_none NAME TEXT: one test, which passes if there is no text
check_none()
{
	check "$1" [ -z "$2" ]
	[ -z "$2" ] || echo "$2" | sed 's/^/# /'
}

# end_checks: ends the script, with 1 if any failed
end_checks()
{
	exit $tap_bad
}
