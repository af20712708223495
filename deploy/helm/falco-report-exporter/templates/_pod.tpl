{{- /* What the exporter and `helm test` have in common: user, environment, files. */ -}}
{{- define "exporter.podSecurity" -}}
seccompProfile: {type: RuntimeDefault}
{{- if ne .Values.mode "receive" }}
# Falco's file and socket belong to root and are closed to others.
runAsUser: 0
runAsNonRoot: false
{{- else }}
runAsNonRoot: true
{{- if not .Values.openshift }}
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
fsGroupChangePolicy: OnRootMismatch
{{- end }}
{{- end }}
{{- end -}}

{{- define "exporter.environment" -}}
env:
  - name: NODE_NAME
    valueFrom: {fieldRef: {fieldPath: spec.nodeName}}
  - name: POD_NAME
    valueFrom: {fieldRef: {fieldPath: metadata.name}}
  - name: OTEL_RESOURCE_ATTRIBUTES
    value: service.instance.id=$(POD_NAME)
  {{- with .Values.extraEnv }}{{ toYaml . | nindent 2 }}{{ end }}
{{- with .Values.envSecrets }}
envFrom:
  {{- range . }}
  - secretRef: {name: {{ . }}}
  {{- end }}
{{- end }}
{{- end -}}

{{- define "exporter.mounts" -}}
- {name: config, mountPath: /etc/falco-report-exporter/config, readOnly: true}
- {name: state, mountPath: /var/lib/falco-report-exporter}
- {name: tmp, mountPath: /tmp}
{{- if include "exporter.hasTls" . }}
- {name: receiver-tls, mountPath: /etc/falco-report-exporter/receiver-tls, readOnly: true}
{{- end }}
{{- if and (eq .Values.mode "receive") .Values.receiver.pathSecret }}
- {name: receiver-path, mountPath: /etc/falco-report-exporter/receiver-path, readOnly: true}
{{- end }}
{{- if .Values.pages.webConfigSecret }}
- {name: web-config, mountPath: /etc/falco-report-exporter/web, readOnly: true}
{{- end }}
{{- if eq .Values.mode "file" }}
- {name: falco, mountPath: /var/log/falco, readOnly: true}
{{- else if eq .Values.mode "socket" }}
# Connecting to a socket needs no write access to its directory.
- {name: falco, mountPath: /run/falco, readOnly: true}
{{- end }}
{{- with .Values.extraVolumeMounts }}{{ toYaml . | nindent 0 }}{{ end }}
{{- end -}}

{{- define "exporter.volumes" -}}
- name: config
  configMap: {name: {{ include "exporter.fullname" . }}}
- name: tmp
  emptyDir: {sizeLimit: 64Mi}
{{- if ne .Values.mode "receive" }}
- name: falco
  hostPath:
    path: {{ ternary .Values.file.hostDirectory .Values.socket.hostDirectory (eq .Values.mode "file") }}
    type: DirectoryOrCreate
{{- end }}
{{- if include "exporter.hasTls" . }}
- name: receiver-tls
  secret: {secretName: {{ include "exporter.tlsSecret" . }}, defaultMode: 0440}
{{- end }}
{{- if and (eq .Values.mode "receive") .Values.receiver.pathSecret }}
- name: receiver-path
  secret: {secretName: {{ .Values.receiver.pathSecret }}, defaultMode: 0440}
{{- end }}
{{- with .Values.pages.webConfigSecret }}
- name: web-config
  secret: {secretName: {{ . }}, defaultMode: 0440}
{{- end }}
{{- with .Values.extraVolumes }}{{ toYaml . | nindent 0 }}{{ end }}
{{- end -}}

{{- define "exporter.podTemplate" -}}
{{- $isRoot := ne .Values.mode "receive" -}}
metadata:
  labels:
    {{- include "exporter.selector" . | nindent 4 }}
    {{- with .Values.podLabels }}{{ toYaml . | nindent 4 }}{{ end }}
  annotations:
    checksum/config: {{ include "exporter.config" . | sha256sum }}
    {{- with .Values.podAnnotations }}{{ toYaml . | nindent 4 }}{{ end }}
spec:
  serviceAccountName: {{ include "exporter.serviceAccount" . }}
  automountServiceAccountToken: false
  enableServiceLinks: false
  terminationGracePeriodSeconds: {{ .Values.terminationGracePeriodSeconds }}
  {{- with .Values.imagePullSecrets }}
  imagePullSecrets: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  securityContext: {{- include "exporter.podSecurity" . | nindent 4 }}
  containers:
    - name: exporter
      image: {{ include "exporter.image" . }}
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      args:
        - run
        - --config=/etc/falco-report-exporter/config/config.yaml
        {{- range .Values.extraArgs }}
        - {{ . | quote }}
        {{- end }}
      {{- include "exporter.environment" . | nindent 6 }}
      ports:
        - {name: metrics, containerPort: {{ .Values.metrics.port }}}
        - {name: probes, containerPort: 19376}
        {{- if eq .Values.mode "receive" }}
        - {name: falco, containerPort: {{ .Values.receiver.port }}}
        {{- end }}
      startupProbe:
        httpGet: {path: /liveness, port: probes}
        periodSeconds: 2
        failureThreshold: 30
      livenessProbe:
        httpGet: {path: /liveness, port: probes}
        periodSeconds: 15
        timeoutSeconds: 5
      readinessProbe:
        httpGet: {path: /readiness, port: probes}
        periodSeconds: 5
        timeoutSeconds: 3
      securityContext:
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities: {drop: [ALL]}
      resources: {{- toYaml .Values.resources | nindent 8 }}
      volumeMounts:
        {{- include "exporter.mounts" . | nindent 8 }}
  volumes:
    {{- if $isRoot }}
    - name: state
      {{- if or .Values.persistence.enabled (eq .Values.mode "file") }}
      hostPath: {path: {{ .Values.persistence.hostDirectory }}, type: DirectoryOrCreate}
      {{- else }}
      emptyDir: {sizeLimit: 64Mi}
      {{- end }}
    {{- else if not .Values.persistence.enabled }}
    - name: state
      emptyDir: {sizeLimit: 64Mi}
    {{- end }}
    {{- include "exporter.volumes" . | nindent 4 }}
  {{- with .Values.nodeSelector }}
  nodeSelector: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.affinity }}
  affinity: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- if .Values.tolerations }}
  tolerations: {{- toYaml .Values.tolerations | nindent 4 }}
  {{- else if $isRoot }}
  tolerations: [{operator: Exists}]
  {{- end }}
  {{- if .Values.topologySpreadConstraints }}
  topologySpreadConstraints: {{- toYaml .Values.topologySpreadConstraints | nindent 4 }}
  {{- else if not $isRoot }}
  topologySpreadConstraints:
    - maxSkew: 1
      topologyKey: kubernetes.io/hostname
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels: {{- include "exporter.selector" . | nindent 10 }}
  {{- end }}
{{- end -}}
