#!/usr/bin/env bash
# Evaluates expressions.txt with Apache Flink 2.3.0 and writes flink.tsv. Needs java 17 and the jars of the Python package:
#   python3 -m venv V && V/bin/pip install apache-flink==2.3.0
#   FLINK_LIB=V/lib/python3.*/site-packages/pyflink/lib ./regenerate.sh
set -eu
cd "$(dirname "$0")"
: "${FLINK_LIB:?the folder with the jars of Flink}"
build=$(mktemp -d)
trap 'rm -rf "$build"' EXIT
javac -cp "$FLINK_LIB/*" -d "$build" FlinkOracle.java
opens=$(for p in util lang lang.reflect net io nio text time util.concurrent util.concurrent.atomic util.concurrent.locks; do
  printf -- '--add-opens=java.base/java.%s=ALL-UNNAMED ' "$p"; done)
# shellcheck disable=SC2086
java $opens -Duser.timezone=UTC -Xmx2g -cp "$build:$FLINK_LIB/*" FlinkOracle expressions.txt flink.tsv
