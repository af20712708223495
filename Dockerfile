# syntax=docker/dockerfile:1
# Falco Report Exporter. Build: docker build -t falco-report-exporter .
# Run: docker run --read-only -v /run/falco:/run/falco --user 0 falco-report-exporter
# (Falco's socket belongs to root, mode 0755: to connect, run as root or give the socket a group.)

FROM python:3.13-slim AS build
WORKDIR /src
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PYTHONDONTWRITEBYTECODE=1
RUN python -m venv /opt/exporter
COPY requirements.lock ./
RUN /opt/exporter/bin/pip install --no-compile --require-hashes --no-deps -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY exporter ./exporter
# Bytecode that is valid whatever the files' times are, which a release sets to the commit's.
RUN pip wheel --no-deps --wheel-dir /wheels . \
    && /opt/exporter/bin/pip install --no-compile --no-deps /wheels/*.whl \
    && /opt/exporter/bin/pip uninstall --yes pip \
    && /opt/exporter/bin/python -m compileall -q --invalidation-mode unchecked-hash /opt/exporter/lib

FROM python:3.13-slim
# Seconds since 1970: a build that gives it writes no time of its own (useradd notes the day).
ARG SOURCE_DATE_EPOCH
LABEL org.opencontainers.image.title="falco-report-exporter" \
      org.opencontainers.image.description="Turns every Falco alert into a Prometheus metric, an OpenTelemetry log record and a report" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /opt/exporter /opt/exporter
RUN useradd --system --uid 65532 --no-create-home --shell /usr/sbin/nologin exporter \
    && install -d -o exporter -g exporter -m 0750 /var/lib/falco-report-exporter
ENV PATH=/opt/exporter/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER 65532:65532
VOLUME ["/var/lib/falco-report-exporter"]
EXPOSE 9376 2801
HEALTHCHECK --interval=15s --timeout=5s --start-period=5s --retries=3 CMD ["falco-report-exporter", "health"]
ENTRYPOINT ["falco-report-exporter"]
CMD ["run"]
