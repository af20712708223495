"""`python -m exporter.lint [FILE…]`: list what is wrong with the catalog, or with these of its files."""

from __future__ import annotations

import sys
from pathlib import Path

from exporter.catalog.catalog import Catalog, load_catalog, shipped_files
from exporter.catalog.index import official_rules
from exporter.catalog.loader import Documents, load_files
from exporter.errors import CatalogError
from exporter.lint.checks import check_catalog


def _load(paths: list[Path]) -> Catalog:
    """The shipped catalog, with files that are not part of it (drafts) laid over it."""
    shipped = {path.resolve() for path in shipped_files()}
    drafts = [path for path in paths if path.resolve() not in shipped]
    if not drafts:
        return load_catalog()
    documents = Documents()
    load_files(shipped_files(), documents)
    load_files(drafts, documents, overlay=True)
    return Catalog(documents.entries.values(), documents.procedures.values(), official_rules())


def main(arguments: list[str]) -> int:
    """Print findings; return 1 where there are any, 2 where a file cannot be loaded."""
    paths = [Path(argument) for argument in arguments]
    try:
        findings = check_catalog(_load(paths))
    except CatalogError as exc:
        sys.stdout.write(f"{exc}\n")
        return 2
    if paths:
        names = {str(path.resolve()) for path in paths}
        findings = [found for found in findings if str(Path(found.place.rsplit(":", 1)[0]).resolve()) in names]
    sys.stdout.writelines(f"{finding}\n" for finding in findings)
    sys.stdout.write(f"{len(findings)} findings\n")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
