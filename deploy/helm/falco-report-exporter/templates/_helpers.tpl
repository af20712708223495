{{- define "exporter.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "exporter.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- else if contains (include "exporter.name" .) .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "exporter.name" .) | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "exporter.selector" -}}
app.kubernetes.io/name: {{ include "exporter.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "exporter.labels" -}}
{{ include "exporter.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "exporter.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ default .Chart.AppVersion .Values.image.tag }}
{{- end -}}
{{- end -}}

{{- define "exporter.serviceAccount" -}}
{{- default (include "exporter.fullname" .) .Values.serviceAccount.name -}}
{{- end -}}

{{- define "exporter.tlsSecret" -}}
{{- if eq .Values.receiver.tls.mode "secret" -}}
{{- required "receiver.tls.existingSecret is needed with receiver.tls.mode: secret" .Values.receiver.tls.existingSecret -}}
{{- else -}}
{{- printf "%s-receiver-tls" (include "exporter.fullname" .) -}}
{{- end -}}
{{- end -}}

{{- define "exporter.hasTls" -}}
{{- if and (eq .Values.mode "receive") (ne .Values.receiver.tls.mode "none") }}true{{ end -}}
{{- end -}}

{{- /* The exporter's settings: what the chart knows, and over it what the user sets. */ -}}
{{- define "exporter.config" -}}
{{- $config := dict
    "web" (dict "listen_address" (printf ":%d" (int .Values.metrics.port)) "probe_address" ":19376")
    "shutdown" (dict "lame_duck_seconds" (int .Values.lameDuckSeconds)) -}}
{{- if .Values.pages.webConfigSecret -}}
{{- $_ := set $config.web "config_file" "/etc/falco-report-exporter/web/web.yaml" -}}
{{- else -}}
{{- $_ := set $config.web "reports_address" "127.0.0.1:9377" -}}
{{- end -}}
{{- if or .Values.persistence.enabled (eq .Values.mode "file") -}}
{{- $_ := set $config "queue" (dict "directory" "/var/lib/falco-report-exporter") -}}
{{- end -}}
{{- if .Values.otlp.endpoint -}}
{{- $_ := set $config "otlp" (dict "endpoint" .Values.otlp.endpoint "protocol" .Values.otlp.protocol) -}}
{{- end -}}
{{- if eq .Values.mode "receive" -}}
{{- $http := dict "address" (printf ":%d" (int .Values.receiver.port)) -}}
{{- if include "exporter.hasTls" . -}}
{{- $directory := "/etc/falco-report-exporter/receiver-tls" -}}
{{- $_ := set $http "tls" (dict "cert_file" (printf "%s/tls.crt" $directory) "key_file" (printf "%s/tls.key" $directory) "client_ca_file" (printf "%s/ca.crt" $directory)) -}}
{{- end -}}
{{- if .Values.receiver.pathSecret -}}
{{- $_ := set $http "path_file" "/etc/falco-report-exporter/receiver-path/path" -}}
{{- end -}}
{{- $_ := set $config "http" $http -}}
{{- else if eq .Values.mode "file" -}}
{{- $_ := set $config "json_lines" (dict "file" (printf "/var/log/falco/%s" .Values.file.name)) -}}
{{- else -}}
{{- $_ := set $config "targets" (list (printf "unix:///run/falco/%s" .Values.socket.name)) -}}
{{- end -}}
{{- mustMergeOverwrite $config (deepCopy .Values.config) | toYaml -}}
{{- end -}}
