"""Write the index of official rules: `python tools/index_rules.py RULES_FILE… > exporter/catalog/data/index.json`."""

import sys
from pathlib import Path

from exporter.catalog.index import RuleFacts, read_rules_file, to_json

# Falco 0.43 source, userspace/falco: alerts that Falco raises about itself, with their fields where fixed.
INTERNAL = (
    ("Falco internal: syscall event drop", "Debug"),
    ("Falco internal: metrics snapshot", "Informational"),
    ("Falco internal: timeouts notification", "Debug"),
    ("Falco internal: hot restart failure", "Critical"),
    ("Falco internal: capture size limit reached", "Notice"),
)


def main(paths: list[str]) -> None:
    """Print the index for these rules files."""
    rules = [facts for path in paths for facts in read_rules_file(Path(path))]
    rules += [RuleFacts(rule, priority, "internal", "internal", "", (), ()) for rule, priority in INTERNAL]
    sys.stdout.write(to_json(rules))


main(sys.argv[1:])
