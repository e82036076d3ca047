#!/usr/bin/env bash
# Runs every golden case of ../sql on Apache Flink and writes ../sql/expected. Needs Python 3, Java 17 and a package index.
#   regenerate.sh            all cases
#   regenerate.sh tumble     cases whose name begins with "tumble"
# SLUICE_FLINK_VENV names a virtual environment that already has apache-flink.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../.." && pwd)
version=2.3.0
cache="${XDG_CACHE_HOME:-$HOME/.cache}/sluice/flink"
venv="${SLUICE_FLINK_VENV:-$cache/venv-$version}"
mkdir -p "$cache"
if [ ! -x "$venv/bin/pip" ]; then
  python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet "apache-flink==$version"
fi
lib=$("$venv/bin/python" -c 'import pyflink, os; print(os.path.dirname(pyflink.__file__))')/lib

# Flink's csv format knows no header line.
flights="$cache/flights"
rm -rf "$flights" && mkdir -p "$flights"
for f in "$root"/examples/flights/*.csv; do tail -n +2 "$f" > "$flights/$(basename "$f")"; done

classes="$cache/classes"
mkdir -p "$classes"
javac -d "$classes" -cp "$lib/*" "$here/Oracle.java"
opens=()
for p in util lang lang.reflect net io nio text time util.concurrent util.concurrent.atomic util.concurrent.locks; do
  opens+=("--add-opens=java.base/java.$p=ALL-UNNAMED")
done
printf 'rootLogger.level = OFF\n' > "$cache/log4j2.properties"
exec java "${opens[@]}" -Xmx1500m -Dlog4j2.configurationFile="$cache/log4j2.properties" -cp "$classes:$lib/*" \
  Oracle "$here/../sql" "$here/../sql/expected" "$here/../sql/inputs" "$flights" "${1:-}"
