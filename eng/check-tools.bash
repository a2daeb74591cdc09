# What eng/checks/* share; sourced, not run. Everything started through here is ended on exit, by its process id.
# shellcheck shell=bash
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

scratch=$(mktemp -d /tmp/vp-check.XXXXXX)
started=()
failures=0

eng/build run
export LIVEKIT_FFI_LIBRARY=${LIVEKIT_FFI_LIBRARY:-$(eng/livekit-native artifacts/native)}
LIVEKIT_FFI_LIBRARY=$(realpath "$LIVEKIT_FFI_LIBRARY")
host=artifacts/bin/VoicePlatform.Host/release/VoicePlatform.Host.dll

ok() { echo "  ok   $*"; }
bad() { echo "  FAIL $*"; failures=$((failures + 1)); }
skipped() { echo "  skip $*"; }

free_ports() { eng/free-ports "$1"; }

is_running() { [[ -d /proc/$1 && $(awk '{print $3}' "/proc/$1/stat" 2>/dev/null) != Z ]]; }

# is_gone PID SECONDS: whether the process ends within that time.
is_gone() {
  local i
  for ((i = 0; i < $2 * 20; i++)); do
    if ! is_running "$1"; then return 0; fi
    sleep 0.05
  done
  return 1
}

# answers URL SECONDS [PID]: whether it answers 2xx within that time; at once no when the process has ended.
answers() {
  local i
  for ((i = 0; i < $2 * 20; i++)); do
    if curl -sf -m 3 -o /dev/null "$1"; then return 0; fi
    if [[ -n ${3:-} ]] && ! is_running "$3"; then return 1; fi
    sleep 0.05
  done
  return 1
}

seconds_since() { awk -v a="$1" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.1f", b - a }'; }

# Every listening TCP socket and every open UDP socket of these processes that is not on loopback.
beyond_loopback() {
  local pid inodes
  for pid in "$@"; do
    inodes=$(find "/proc/$pid/fd" -lname 'socket:*' -printf '%l\n' 2>/dev/null | tr -dc '0-9\n' | paste -sd, -)
    for table in tcp tcp6 udp udp6; do
      awk -v inodes=",$inodes," -v table="$table" -v pid="$pid" '
        NR > 1 && index(inodes, "," $10 ",") && (table ~ /udp/ || $4 == "0A") {
          split($2, a, ":")
          if (a[1] !~ /7F$/ && a[1] != "00000000000000000000000001000000") print pid, table, $2
        }' "/proc/$pid/net/$table"
    done
  done
}

remove_cluster() { # of a DATA_DIR
  if [[ -f $1/postgres-cluster ]]; then
    eng/postgres stop "$1"
    rm -rf "$(cat "$1/postgres-cluster")"
  fi
}

finish() {
  local code=$? pid data
  trap - EXIT
  for pid in "${started[@]}"; do kill -TERM "$pid" 2>/dev/null || true; done
  for pid in "${started[@]}"; do is_gone "$pid" 10 || kill -KILL "$pid" 2>/dev/null || true; done
  while read -r data; do remove_cluster "$(dirname "$data")"; done < <(find "$scratch" -maxdepth 3 -name postgres-cluster)
  rm -rf "$scratch"
  if [[ $code -eq 0 && $failures -gt 0 ]]; then code=1; fi
  exit "$code"
}
trap finish EXIT
trap 'exit 130' INT TERM
