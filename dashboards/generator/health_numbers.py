"""The first line of the health dashboard: is everything up, connected, quick and delivered?"""

from __future__ import annotations

from dashboards.generator.promql import OWN, ask
from dashboards.generator.readings import Number
from dashboards.generator.style import BAD_GROUND, DOUBTFUL_GROUND, GOOD_GROUND, NO_GROUND

NO_EXPORTER = "No exporter in this Prometheus"
_RECORDS_OFF = "Log records are off"
_ALL_GOOD = ((None, BAD_GROUND), (1, GOOD_GROUND))


def _lost() -> str:
    """Return log records that were lost in the range; no answer where log records are off."""
    lost = " + ".join(
        f"(sum(increase({ask(f'falco_exporter_log_records_{kind}_total')}[$__range])) or vector(0))"
        for kind in ("dropped", "failed")
    )
    return f"({lost}) and on () max({ask('falco_exporter_queue_limit_bytes')})"


NUMBERS = (
    Number(
        title="Exporters up",
        says="Exporters that Prometheus can scrape, of those it knows. Red: `systemctl status` or `kubectl describe pod` "
        "on the one that is missing in the table below; nothing of its Falco is seen meanwhile.",
        query=f"avg(up{{{OWN}}} and on (job, instance) last_over_time(falco_exporter_build_info{{{OWN}}}[1d]))",
        grounds=_ALL_GOOD,
        unit="percentunit",
        empty=NO_EXPORTER,
    ),
    Number(
        title="Sources connected",
        says="Sources of alerts that are connected, or that wait for Falco to post or to write. Red: the exporter's log and "
        "/readyz say what is wrong and what to do; `falco-report-exporter check` tries each source. Which have sent nothing "
        "yet, the table below says.",
        query=f"avg({ask('falco_exporter_source_up')})",
        grounds=_ALL_GOOD,
        unit="percentunit",
        empty=NO_EXPORTER,
    ),
    Number(
        title="Delay, 99 of 100",
        says="Time from Falco's event to its count here, for 99 of 100 alerts of the last 5 minutes. Red, above 5 s: the "
        "exporter is slower than Falco, or the clocks of the two differ.",
        query=f"histogram_quantile(0.99, sum by (le) (rate({ask('falco_event_delay_seconds_bucket')}[5m])))",
        grounds=((None, NO_GROUND), (1, DOUBTFUL_GROUND), (5, BAD_GROUND)),
        unit="s",
        empty="No alerts in 5 minutes",
    ),
    Number(
        title="Records waiting",
        says="Log records that wait for the collector. A few are normal. Growing: see Delivery below; the collector is away, "
        "slow or refuses.",
        query=f"sum({ask('falco_exporter_queue_records')})",
        grounds=((None, NO_GROUND), (10_000, DOUBTFUL_GROUND), (100_000, BAD_GROUND)),
        empty=_RECORDS_OFF,
    ),
    Number(
        title="Records lost",
        says="Log records dropped or refused for good in the time range. Red: the table of reasons below says why; refused "
        "batches are kept in the queue's directory.",
        query=_lost(),
        grounds=((None, NO_GROUND), (1, BAD_GROUND)),
        empty=_RECORDS_OFF,
        is_count=True,
    ),
    Number(
        title="Queue on disk",
        says="Whether waiting log records survive the end of the process. No: --queue.directory is not set, or its disk is full "
        "or read-only; the exporter's log says which.",
        query=f"min({ask('falco_exporter_queue_durable')})",
        grounds=((None, DOUBTFUL_GROUND), (1, GOOD_GROUND)),
        empty=_RECORDS_OFF,
        words=("no", "yes"),
    ),
)
