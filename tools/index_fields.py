"""Write which fields Falco's conditions know, by event source, from checkouts of Falco's libs and plugins.

`python tools/index_fields.py LIBS PLUGINS > exporter/falco/data/falco_fields.json`
"""

import json
import re
import sys
from pathlib import Path

GENERAL = "sinsp_filtercheck_gen_event.cpp"
PLUGINS = {
    "k8s_audit": ("k8saudit", "json"),
    "aws_cloudtrail": ("cloudtrail", "json"),
    "gcp_auditlog": ("gcpaudit", "json"),
    "github": ("github", "json"),
    "okta": ("okta", "json"),
}
_CPP = re.compile(r'\{\s*PT_(\w+),\s*([A-Z_|\s]+?),\s*PF_\w+,\s*"([a-z]+\.[\w.]+)"')
_ROW = re.compile(r"^\|\s*`([a-z0-9]+\.[\w.]+)`\s*\|\s*`(\w+)( \(list\))?`", re.MULTILINE)
_STRINGS, _ADDRESSES = {"CHARBUF", "FSPATH", "FSRELPATH", "STRING"}, {"IPADDR", "IPNET"}


def kind(word: str) -> str:
    """Return the class of values: which comparison operators fit (libsinsp, filter_compare.cpp)."""
    word = word.upper()
    if word in _STRINGS:
        return "string"
    if word in _ADDRESSES:
        return "ip"
    return {"BOOL": "bool", "BYTEBUF": "buffer"}.get(word, "number")


def read_libs(root: Path, *, only: str = "") -> dict[str, str]:
    """Return libsinsp's fields with their kind; a list has `[]` after it."""
    found = {}
    for path in sorted((root / "userspace/libsinsp").glob(only or "sinsp_filtercheck*.cpp")):
        for match in _CPP.finditer(path.read_text(encoding="utf-8")):
            found[match[3]] = kind(match[1]) + ("[]" if "EPF_IS_LIST" in match[2] else "")
    return found


def read_plugin(root: Path, name: str) -> dict[str, str]:
    """Return a plugin's fields with their kind, from the table in its README."""
    text = (root / "plugins" / name / "README.md").read_text(encoding="utf-8")
    return {match[1]: kind(match[2]) + ("[]" if match[3] else "") for match in _ROW.finditer(text)}


def main(libs: Path, plugins: Path) -> None:
    """Print the table."""
    general = read_libs(libs, only=GENERAL)
    table = {"syscall": read_libs(libs) | read_plugin(plugins, "container") | read_plugin(plugins, "k8smeta")}
    for source, names in PLUGINS.items():
        table[source] = dict(general)
        for name in names:
            table[source] |= read_plugin(plugins, name)
    sys.stdout.write(json.dumps(table, indent=0, sort_keys=True) + "\n")


main(Path(sys.argv[1]), Path(sys.argv[2]))
