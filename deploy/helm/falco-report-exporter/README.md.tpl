# falco-report-exporter

A Helm chart for the [Falco Report Exporter](../../../README.md): every Falco alert becomes a Prometheus metric, an
OpenTelemetry log record and a report with mitigation advice.

    helm install falco-report-exporter deploy/helm/falco-report-exporter --namespace falco \
      --set otlp.endpoint=http://otel-collector.observability:4317
    helm test falco-report-exporter --namespace falco

## Three ways to get Falco's alerts

| mode | Falco | what can be lost | runs as |
|---|---|---|---|
| `receive` | 0.44 and newer, `http_output` | alerts that Falco posts while no replica accepts them; Falco does not send them again | StatefulSet, uid 65532, Pod Security *restricted* |
| `file` | any, `file_output` | nothing, as long as the rotated file stays beside the file | DaemonSet, root, needs a *privileged* namespace (hostPath) |
| `socket` | 0.43 and older, gRPC | what waits inside Falco when Falco itself ends | DaemonSet, root, needs a *privileged* namespace (hostPath) |

Measured in a cluster of one node with 20 alerts a second: a rolling update and a deleted pod of two in mode `receive`
lost none, a pod killed with SIGKILL the one alert that it had not answered; with the collector away for a minute, pods killed
and volumes full, every acknowledged alert was delivered. Mode `file` lost none in an update and a kill.

Falco itself needs a *privileged* namespace. To have *restricted* enforced for the exporter, give it a namespace of its own
and write that namespace into the url of Falco's values: `https://falco-report-exporter.NAMESPACE:2801/`.

`helm test` runs `falco-report-exporter check` with the release's settings, secrets and files, so that it fails and says so
where the collector does not answer, then asks the Service. After a failure:
`kubectl logs falco-report-exporter-test -c check`.

Values for Falco's own chart that go with each mode are in [falco-values](falco-values/): `receive.yaml`,
`receive-mtls.yaml`, `file.yaml`, `socket.yaml`, and `operator-config.yaml` for the Falco Operator.

## Mutual TLS between Falco and the receiver

Falco's `http_output` sends no token, so that a client certificate (or a secret path) is what keeps strangers from posting
forged alerts. With cert-manager:

    --set receiver.tls.mode=certManager --set receiver.tls.issuerRef.kind=ClusterIssuer \
    --set receiver.tls.issuerRef.name=internal-ca --set receiver.tls.falcoNamespace=falco

Without it, `receiver.tls.mode=generate` makes an authority and both certificates once, valid for ten years; they are
kept through upgrades. Helm finds them in the cluster: tools that render without it (`helm template`, Argo CD) would make
new ones each time and need `certManager` or `secret`. Both put a client certificate for Falco into the secret
`falco-report-exporter-falco-client` of `receiver.tls.falcoNamespace`.

An authority of your own goes into Falco as `ca_cert`, as `receive-mtls.yaml` mounts it.

## Two Falcos on a node

Mode `receive`: nothing to do, each posts for itself. Modes `file` and `socket`: a release for each, with another
`fullnameOverride`, `file.hostDirectory` or `socket.hostDirectory`, and `persistence.hostDirectory`.

## With operators

`metrics.serviceMonitor`, `podMonitor` and `prometheusRule` are resources of the Prometheus Operator,
`receiver.tls.mode=certManager` makes those of cert-manager. The API server of the tests has both programs' published
definitions (cert-manager 1.21, Prometheus Operator 0.85) and takes every object of the chart in a dry run by them.

## OpenShift

Set `openshift: true`: user and group are then chosen by the cluster.
