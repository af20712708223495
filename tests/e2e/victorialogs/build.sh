#!/usr/bin/env bash
# Build VictoriaLogs, to ask it the queries of its dashboard: build.sh OUTPUT_DIRECTORY
exec "$(dirname "$0")/../build_go.sh" github.com/VictoriaMetrics/VictoriaLogs/app/victoria-logs v1.52.1 "$1"
