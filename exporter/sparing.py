"""Judging and advising on the way of every alert, within what a flood of unlike alerts may cost.

Owns the allowance that all of it shares, and what is counted and logged where it is spent. Refuses to keep an alert
back: it goes on without a verdict or without advice.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence

from exporter.alert import Alert
from exporter.allowance import Allowance
from exporter.catalog.advice import Advice
from exporter.log_limit import LogLimit
from exporter.reporter import Reporter
from exporter.selfmetrics import SelfMetrics
from exporter.verdict.judgement import Judgement

logger = logging.getLogger(__name__)

_FLOOD = (
    "too many alerts come that are unlike every recent one: some are counted as undecided without being judged "
    "(falco_exporter_alerts_not_judged_total), and log records may lack advice "
    "(falco_exporter_log_records_without_advice_total)"
)


class SparingReporter:
    """Gives verdicts and advice, as long as they cost little or the allowance lasts. Safe from any thread."""

    def __init__(self, reporter: Reporter, metrics: SelfMetrics) -> None:
        self._reporter = reporter
        self._metrics = metrics
        self._log_limit = LogLimit()
        self.allowance = Allowance()

    def judge(self, alerts: Iterable[Alert]) -> Sequence[Judgement]:
        """Judge for the metrics; an alert counts as undecided, and as not judged, where the allowance is spent."""
        return self._reporter.catalog.judge.judge_all_within(alerts, self.allowance, self._leave_out)

    def _leave_out(self) -> None:
        self._metrics.alerts_not_judged.inc()
        if self._log_limit.permits("not judged"):
            logger.warning(_FLOOD)

    def verdict_of(self, alert: Alert) -> str:
        """Return the verdict's word; ``undecided`` where the allowance is spent."""
        judgement = self._reporter.catalog.judge.judge_within(alert, self.allowance)
        return "undecided" if judgement is None else judgement.verdict

    def advice_for(self, alert: Alert) -> Advice | None:
        """Return the whole advice; None where the allowance is spent."""
        return self._reporter.advice_within(alert, self.allowance, is_brief=False)

    def brief_advice_for(self, alert: Alert) -> Advice | None:
        """Return what brief log records have of it; None where the allowance is spent."""
        return self._reporter.advice_within(alert, self.allowance, is_brief=True)

    def is_same_within_second(self, alert: Alert) -> bool:
        """Say whether alerts of one second that are alike get the same advice (``Reporter.is_same_within_second``)."""
        return self._reporter.is_same_within_second(alert)
