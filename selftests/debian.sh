# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
#
# For scripts that fetch Debian: where this machine has it from, and a state of
# apt in a directory that knows another release and its backports and nothing
# else. Who calls backports_apt() has a function unreachable(), which is told why
# that fails and does not return.

# This machine's own source of Debian, as far as a line of sources.list needs
# it: with the suite it comes from changed, other releases are found there too.
debian_source()
{
	# shellcheck disable=SC2016 # apt expands these
	apt-get indextargets --format '$(LABEL) $(SUITE) $(REPO_URI) $(SIGNED_BY)' \
		'Created-By: Packages' 'Component: main' 2>/dev/null |
		awk '$1 == "Debian" && $2 !~ /-/ { print $3, $4; exit }'
}

# backports_apt DIRECTORY CODENAME: a state of apt that knows nothing of this
# system's packages and only CODENAME and its backports as sources.
backports_apt()
{
	local uri key suite

	read -r uri key <<<"$(debian_source)" || true
	[ -n "$uri" ] || unreachable 'this machine has no source of Debian packages'
	case $key in
	/*) key="[signed-by=$key] " ;;
	*) key='' ;;
	esac
	mkdir -p "$1"/{state/lists/partial,cache/archives/partial,sources,none}
	: >"$1/status"
	for suite in "$2" "$2-backports"; do
		echo "deb $key$uri $suite main"
	done >"$1/sources/debian.list"
	cat >"$1/config" <<-CONFIG
		Dir::Etc::SourceList "/dev/null";
		Dir::Etc::SourceParts "$1/sources";
		Dir::Etc::Preferences "/dev/null";
		Dir::Etc::PreferencesParts "$1/none";
		Dir::State "$1/state";
		Dir::State::Status "$1/status";
		Dir::Cache "$1/cache";
		APT::Sandbox::User "root";
		APT::Install-Recommends "false";
	CONFIG
}
