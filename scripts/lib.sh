# Shared by the scripts here: finds Swift, installs what is missing.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

say() { printf '%s\n' "$*" >&2; }

need_swift() {
  command -v swift >/dev/null && return
  say "Swift 6 is not installed (no 'swift' on PATH). Get it from https://www.swift.org/install/linux/ and run this again."
  exit 1
}

# install_packages WHAT REMEDY PACKAGE...: REMEDY is for systems without apt-get.
install_packages() {
  local what=$1 remedy=$2 as_root=()
  shift 2
  command -v apt-get >/dev/null || { say "$what is missing and there is no apt-get: $remedy"; exit 1; }
  if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || { say "$what is missing and this user cannot install it: run 'apt-get install $*' as root."; exit 1; }
    as_root=(sudo)
  fi
  say "Installing $* ..."
  if ! "${as_root[@]}" apt-get update -qq >&2 ||
    ! "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null; then
    say "$what could not be installed: see what apt-get says above, or $remedy"
    exit 1
  fi
}

need_libraries() {
  local missing=()
  [ -f /usr/include/lua5.4/lua.h ] || missing+=(liblua5.4-dev)
  [ -f /usr/include/sqlite3.h ] || missing+=(libsqlite3-dev)
  [ ${#missing[@]} = 0 ] && return
  install_packages "${missing[*]}" "install the headers of Lua 5.4 and SQLite 3 with your package manager." \
    "${missing[@]}" pkg-config
}

# What tests compare with, and Lua libraries that they load into triggers.
need_test_tools() {
  local missing=() library file
  command -v lua5.4 >/dev/null || missing+=(lua5.4)
  command -v python3 >/dev/null || missing+=(python3)
  for library in inspect dkjson argparse basexx penlight; do
    file=$library.lua
    [ $library = penlight ] && file=pl/utils.lua
    [ -e /usr/share/lua/5.4/$file ] || [ -e /usr/share/lua/5.1/$file ] || missing+=(lua-$library)
  done
  [ ${#missing[@]} = 0 ] && return
  (install_packages "${missing[*]}" "install Lua 5.4, Python 3 and these libraries with your package manager." "${missing[@]}") ||
    say "Without ${missing[*]} the tests that need them are left out."
}

# A real browser for /client.js.
need_browser() {
  local name
  for name in chromium-headless-shell chromium chromium-browser google-chrome; do
    command -v "$name" >/dev/null && return
  done
  (install_packages "Chromium (chromium-headless-shell)" "install Chromium with your package manager." chromium-headless-shell) ||
    say "Without a browser the test of /client.js in one is left out."
}

# The peers that scripts/bench compares with.
need_peers() {
  local missing=()
  command -v redis-server >/dev/null && command -v redis-benchmark >/dev/null || missing+=(redis-server redis-tools)
  command -v tarantool >/dev/null || missing+=(tarantool)
  [ ${#missing[@]} = 0 ] && return
  install_packages "What --peers compares with (${missing[*]})" \
    "install Redis 7 and Tarantool with your package manager, or run without --peers." "${missing[@]}"
  say "Debian's tarantool also answers to 'lua' where no other Lua is installed; 'apt-get remove tarantool' undoes it."
  # Where there is systemd the packages start services at once; nothing here uses them.
  if [ -d /run/systemd/system ]; then
    say "The packages may have started services; 'systemctl disable --now redis-server tarantool' ends them."
  fi
}

# The client of scripts/bench --http.
need_wrk() {
  command -v wrk >/dev/null || install_packages wrk "install wrk with your package manager, or run without --http." wrk
}

need_swift
need_libraries
