# shellcheck shell=bash
# Shared by scripts/demo, scripts/test and .ci/run: say what is done, install packages, build. To be sourced.
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$top" || exit 1

if [ -t 1 ]; then bold=$'\e[1m' plain=$'\e[0m'; else bold='' plain=''; fi

say() { printf '\n%s== %s%s\n' "$bold" "$*" "$plain"; }
die() { printf '%s\n' "$*" >&2; exit 1; }

# Show the output of a long command only when it fails.
quietly() {
	local log
	log=$(mktemp)
	if ! "$@" >"$log" 2>&1; then
		tail -n 60 "$log" >&2
		rm -f "$log"
		die "failed: $*"
	fi
	rm -f "$log"
}

# missing_packages [FILE]: of a list like scripts/packages
missing_packages() {
	local package
	sed 's/#.*//' "${1:-scripts/packages}" | while read -r package; do
		[ -z "$package" ] || dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || echo "$package"
	done
}

# install_packages [FILE]
# Packages must not start their services: a policy-rc.d of ours stands there meanwhile, unless there is one.
install_packages() {
	local packages policy=/usr/sbin/policy-rc.d
	mapfile -t packages < <(missing_packages "$@")
	[ ${#packages[@]} -gt 0 ] || return 0
	[ "$(id -u)" -eq 0 ] || die "packages are missing and only root can install them: ${packages[*]}"
	say "Installing ${#packages[@]} packages: ${packages[*]}"
	if [ ! -e "$policy" ]; then
		printf '#!/bin/sh\nexit 101\n' >"$policy"
		chmod 755 "$policy"
		trap 'rm -f /usr/sbin/policy-rc.d' EXIT
	fi
	quietly apt-get update
	if command -v debconf-set-selections >/dev/null; then
		echo 'postfix postfix/main_mailer_type select Local only' | debconf-set-selections
	fi
	DEBIAN_FRONTEND=noninteractive quietly apt-get install -y --no-install-recommends "${packages[@]}"
	if [ "$(trap -p EXIT)" ]; then
		rm -f "$policy"
		trap - EXIT
	fi
}

# build PRESET [CMAKE OPTION...]
build() {
	local preset=$1
	say "Building (preset $preset)"
	quietly cmake --preset "$@"
	cmake --build --preset "$preset" -- --quiet
}
