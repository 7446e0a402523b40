# Shared by the scripts here: finds Swift, installs what is missing.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

say() { printf '%s\n' "$*" >&2; }

need_swift() {
  command -v swift >/dev/null && return
  say "Swift 6 is not installed (no 'swift' on PATH). Get it from https://www.swift.org/install/linux/ and run this again."
  exit 1
}

need_lua() {
  [ -f /usr/include/lua5.4/lua.h ] && return
  say "Installing liblua5.4-dev ..."
  local as_root=()
  if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || { say "liblua5.4-dev is missing and this user cannot install it: run 'apt-get install liblua5.4-dev pkg-config' as root."; exit 1; }
    as_root=(sudo)
  fi
  command -v apt-get >/dev/null || { say "liblua5.4-dev is missing and there is no apt-get: install Lua 5.4's headers with your package manager."; exit 1; }
  "${as_root[@]}" apt-get update -qq
  "${as_root[@]}" apt-get install -y -qq liblua5.4-dev pkg-config >/dev/null
}

need_swift
need_lua
