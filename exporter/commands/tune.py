"""``tune``: exceptions from the history, ordered by what they would have removed."""

from __future__ import annotations

import sys

from exporter.catalog.catalog import load_catalog
from exporter.commands.digest import opened_history, span_from
from exporter.config.model import Config
from exporter.tuning.files import TUNING_FORMS
from exporter.tuning.proposals import propose


def tune(config: Config, *, span: tuple[str, str], form: str, minimum: int, limit: int) -> int:
    """Print the proposals as one file; return the exit code. Raises ConfigError, CatalogError, HistoryError."""
    since_ns, until_ns = span_from(*span)
    with opened_history(config) as history:
        catalog = load_catalog(config.catalog.directories)
        found = propose(history, catalog, since_ns, until_ns, minimum=minimum, limit=limit)
    sys.stdout.write(TUNING_FORMS[form](found))
    exceptions = f"{len(found.proposals)} exception{'' if len(found.proposals) == 1 else 's'}"
    print(f"{exceptions}: {found.removed:,} of {found.alerts:,} alerts would not have been raised", file=sys.stderr)
    return 0
