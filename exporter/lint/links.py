"""Links: https, well-formed, of a short list of sites."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from exporter.catalog.attack import attack_table
from exporter.catalog.catalog import Catalog
from exporter.lint.finding import Finding

SITES = frozenset(
    {
        "attack.mitre.org",
        "cli.github.com",
        "cloud.google.com",
        "containerd.io",
        "csrc.nist.gov",
        "cve.org",
        "cwe.mitre.org",
        "developer.okta.com",
        "docs.aws.amazon.com",
        "docs.cloud.google.com",
        "docs.docker.com",
        "docs.github.com",
        "docs.npmjs.com",
        "docs.redhat.com",
        "etcd.io",
        "falco.org",
        "github.com",
        "gtfobins.github.io",
        "gtfobins.org",
        "help.okta.com",
        "kubernetes.io",
        "learn.microsoft.com",
        "man.openbsd.org",
        "man7.org",
        "manpages.debian.org",
        "nginx.org",
        "nvd.nist.gov",
        "owasp.org",
        "www.cisa.gov",
        "www.cisecurity.org",
        "www.cve.org",
        "www.freedesktop.org",
        "www.kernel.org",
        "docs.kernel.org",
        "www.openwall.com",
        "www.postgresql.org",
        "www.rsyslog.com",
        "www.sudo.ws",
    }
)
_PATH = re.compile(r"/[A-Za-z0-9._~!$&'()*+,;=:@%/-]*\Z")
_TECHNIQUE = re.compile(r"/techniques/(T\d{4})(?:/(\d{3}))?/\Z")


def check_links(catalog: Catalog) -> Iterator[Finding]:
    """Yield links that are malformed, of a site not listed, or of an ATT&CK page that is gone."""
    for entry in catalog.entries:
        urls = [reference.url for reference in entry.references]
        for url in urls:
            if message := wrong_link(url):
                yield Finding(entry.place, entry.rule, message)
        if len(set(urls)) != len(urls):
            yield Finding(entry.place, entry.rule, "references name a link twice; leave one out")
        for reference in entry.references:
            if not reference.title.strip() or len(reference.title) > 100:
                yield Finding(entry.place, entry.rule, f"title {reference.title!r}; expected 1 to 100 characters")


def wrong_link(url: str) -> str:
    """Return what is wrong with a link, empty where nothing is."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as exc:
        return f"{url} is not a URL: {exc}"
    if parts.scheme != "https" or parts.username or port or not _PATH.match(parts.path):
        return f"{url}: expected https://SITE/PATH without port, user or unescaped characters"
    if parts.hostname not in SITES:
        return f"{url}: {parts.hostname} is not one of the catalog's sites (SITES in checks/links.py)"
    return _wrong_technique(url, parts.path) if parts.hostname == "attack.mitre.org" else ""


def _wrong_technique(url: str, path: str) -> str:
    if not path.startswith("/techniques/"):
        return ""
    match = _TECHNIQUE.match(path)
    if match is None:
        return f"{url}: expected https://attack.mitre.org/techniques/T1234/ or …/T1234/001/"
    technique_id = match[1] + (f".{match[2]}" if match[2] else "")
    table = attack_table()
    if technique_id in table.techniques:
        return ""
    now = table.current(technique_id) or "nothing"
    return f"{url}: {technique_id} is not in ATT&CK {table.version}; {now} stands for it"
