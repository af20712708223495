#!/usr/bin/env bash
# Build VictoriaMetrics' vmalert, to run the alert rules on records in VictoriaLogs: build.sh OUTPUT_DIRECTORY
exec "$(dirname "$0")/../build_go.sh" github.com/VictoriaMetrics/VictoriaMetrics/app/vmalert v1.151.0 "$1"
