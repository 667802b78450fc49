# Shared by start, test and bench: sourced, not run. Everything may be run twice, in any order and from any folder.
# shellcheck shell=bash

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"

say() { printf '%s\n' "$*"; }
warn() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }
die() {
  warn "$*"
  exit 1
}

tools() { node "$root/scripts/tools.js" "$@"; }

need_node() {
  command -v node >/dev/null || die 'Node.js 20 or newer is needed: https://nodejs.org/'
  local major
  major=$(node -p 'process.versions.node.split(".")[0]')
  [ "$major" -ge 20 ] || die "Node.js 20 or newer is needed, this is $(node --version): https://nodejs.org/"
  command -v npm >/dev/null || die 'npm is needed; it comes with Node.js: https://nodejs.org/'
}

# Two runs at once must not install or build at the same time.
setup_lock() {
  mkdir -p "$root/var"
  exec 8>"$root/var/setup.lock"
  if command -v flock >/dev/null; then flock 8; fi
}
setup_unlock() { exec 8>&-; }

install_packages() {
  local installed=node_modules/.package-lock.json
  if [ -f "$installed" ] && [ ! package-lock.json -nt "$installed" ]; then return; fi
  say 'Installing the npm packages ...'
  npm ci --no-audit --no-fund --loglevel=error 8>&- || die 'npm ci could not install the packages: its words are above'
  touch "$installed"
}

# Compiles src into dist when a source is newer. dist/.built is touched before the compiler starts, so that a change made
# meanwhile is seen the next time.
build() {
  local stamp=dist/.built
  if [ -f dist/main.js ] && [ -f "$stamp" ] &&
    [ -z "$(find src tsconfig.json tsconfig.build.json package-lock.json -newer "$stamp" -print -quit)" ]; then return; fi
  say 'Building ...'
  rm -rf dist
  mkdir -p dist
  touch dist/.building
  npm run --silent build 8>&- || return 1
  mv dist/.building "$stamp"
}

# missing_packages FILE-OR-COMMAND=PACKAGE... prints the packages of those that are not there.
missing_packages() {
  local pair have package
  for pair in "$@"; do
    have=${pair%%=*} package=${pair#*=}
    case $have in
      /*) [ -e "$have" ] || printf '%s ' "$package" ;;
      *) command -v "$have" >/dev/null || [ -x "/usr/sbin/$have" ] || printf '%s ' "$package" ;;
    esac
  done
}

policy=/usr/sbin/policy-rc.d
saved_policy=$policy.before-tandem

# Debian starts a daemon when it installs it; ours are private ones, so the packages' own must not run.
forbid_daemons() {
  restore_daemons
  if [ -e "$policy" ]; then mv "$policy" "$saved_policy"; fi
  printf '#!/bin/sh\n# tandem: temporary\nexit 101\n' >"$policy"
  chmod 755 "$policy"
}
restore_daemons() {
  if [ -f "$policy" ] && grep -q '^# tandem: temporary$' "$policy"; then rm -f "$policy"; fi
  if [ -e "$saved_policy" ]; then mv "$saved_policy" "$policy"; fi
}

apt_install() {
  DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 -qq install -y --no-install-recommends "$@" \
    </dev/null 8>&-
}

# install_debian COMMAND=PACKAGE... installs what is missing when this is root on Debian; otherwise says in one line what
# is missing and how to get it. Never fails: the caller looks at what there is.
install_debian() {
  local packages log
  read -r -a packages <<<"$(missing_packages "$@")"
  [ ${#packages[@]} -gt 0 ] || return 0
  if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
    warn "missing: ${packages[*]}; install with: sudo apt-get install --no-install-recommends ${packages[*]}"
    return 0
  fi
  say "Installing ${packages[*]} ..."
  log=$root/var/apt.log
  forbid_daemons
  trap restore_daemons EXIT
  if ! apt_install "${packages[@]}" >"$log" 2>&1; then
    apt-get -o DPkg::Lock::Timeout=300 -qq update >>"$log" 2>&1 </dev/null 8>&- || true
    apt_install "${packages[@]}" >>"$log" 2>&1 ||
      warn "could not install ${packages[*]} (see var/apt.log); try: apt-get update && apt-get install ${packages[*]}"
  fi
  restore_daemons
  trap - EXIT
}

have() { command -v "$1" >/dev/null || [ -x "/usr/sbin/$1" ]; }
