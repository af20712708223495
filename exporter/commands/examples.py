"""What each command's help shows of its use."""

RUN = """\
examples:
  Falco 0.44 and newer posts its alerts (falco.yaml: http_output.url: http://127.0.0.1:2801/):
    falco-report-exporter run --http.address 127.0.0.1:2801
  Falco writes a file, so that nothing is lost (falco.yaml: file_output.filename: /var/log/falco/alerts.jsonl):
    falco-report-exporter run --json-lines.file /var/log/falco/alerts.jsonl \\
      --json-lines.state-file /var/lib/falco-report-exporter/position
  Falco 0.43 and older serves alerts on its gRPC socket; log records go to a collector:
    falco-report-exporter run --otlp.endpoint http://collector:4317 --queue.directory /var/lib/falco-report-exporter
"""
DEMO = """\
examples:
  falco-report-exporter demo          pages on http://127.0.0.1:9376/, until Ctrl-C
  falco-report-exporter demo --once   print one report and the metrics
"""
TEST_ALERT = """\
Give it the same settings as `run`.

examples:
  falco-report-exporter test-alert --http.address 127.0.0.1:2801
  falco-report-exporter test-alert --config /etc/falco-report-exporter/config.yaml
"""
DIGEST = """\
examples:
  falco-report-exporter digest --history.directory /var/lib/falco-report-exporter/history
  falco-report-exporter digest --since 24h --format html --config /etc/falco-report-exporter/config.yaml > digest.html
"""
TUNE = """\
examples:
  falco-report-exporter tune --history.directory /var/lib/falco-report-exporter/history > tuning.yaml
  falco-report-exporter tune --since 30d --format helm --config /etc/falco-report-exporter/config.yaml > values.yaml
"""
SAME = "Give it the same settings as `run`.\n"
