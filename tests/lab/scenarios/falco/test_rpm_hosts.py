"""Hosts whose packages are rpm's: what a package owns stays there too, and what differs from it is seen."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.lab.places.host import Host
from tests.lab.places.spot import Spot
from tests.lab.programs import CACHE, missing
from tests.lab.story import Tell

DATABASE = "Write below rpm database"
MKDIR = "Mkdir binary dirs"
MODIFY = "Modify binary dirs"
DRIFT = "Container Drift Detected (open+create)"
SUDO = "Sudo Potential Privilege Escalation"
ENTRYPOINT = "Modify Container Entrypoint"
RULES = (DATABASE, MKDIR, MODIFY, DRIFT, SUDO, ENTRYPOINT)
TAKE = "take it away"

_SPEC = """\
Name: tool
Version: 1.9.5
Release: 3
Summary: A tool
License: none
BuildArch: noarch
%description
A tool.
%install
mkdir -p %{buildroot}/usr/bin %{buildroot}/usr/sbin %{buildroot}/usr/lib/tool
for f in usr/bin/tool usr/bin/sudo usr/sbin/runc usr/lib/tool/part; do echo '#!/bin/sh' > %{buildroot}/$f; done
%files
%attr(4755,root,root) /usr/bin/sudo
%attr(0755,root,root) /usr/bin/tool
%attr(0755,root,root) /usr/sbin/runc
%dir /usr/lib/tool
/usr/lib/tool/part
%changelog
* Tue Jan 26 2021 A Packager <a@example.com> - 1.9.5-3
- Fix CVE-2021-3156
"""


def packages(host: Host) -> list[Path]:
    """The packages that bring rpm to a lab's host, fetched once."""
    folder = CACHE / "rpm"
    if not list(folder.glob("rpm_*.deb")):
        (folder / "partial").mkdir(parents=True, exist_ok=True)
        (folder / "status").write_bytes(host.path("/var/lib/dpkg/status").read_bytes())
        settings = [f"Dir::Cache::archives={folder}", f"Dir::State::status={folder}/status"]
        words = [word for setting in settings for word in ("-o", setting)]
        done = subprocess.run(
            ["apt-get", "-y", "-qq", "install", "--download-only", "--no-install-recommends", *words, "rpm"],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            missing(f"rpm's packages: {done.stderr}")
    return sorted(folder.glob("*.deb"))


@pytest.fixture
def rpm_spot(booted_host: Host) -> Spot:
    """A host that has rpm with one package, and no dpkg."""
    host = booted_host
    for file in packages(host):
        host.write(f"/root/debs/{file.name}", file.read_bytes())
    host.run("dpkg -i /root/debs/*.deb >/dev/null 2>&1; rm -r /root/debs", timeout_seconds=120)
    host.write("/root/tool.spec", _SPEC)
    host.run("rpmbuild -bb /root/tool.spec >/dev/null 2>&1", timeout_seconds=60)
    host.run("rpm -i --nodeps --force /root/rpmbuild/RPMS/noarch/tool-*.rpm 2>&1")
    host.run('rm -r /root/rpmbuild; for f in /usr/bin/dpkg*; do mv "$f" /root; done')
    return Spot(host)


def actor(spot: Spot, **more: Any) -> dict[str, Any]:
    """The fields of an alert by a process that still runs."""
    return spot.fields(spot.start("tail", "-f", "/etc/passwd"), **more)


def test_the_database_is_written(rpm_spot: Spot, tell: Tell) -> None:
    spot = rpm_spot
    spot.write("/usr/bin/tool", "#!/bin/sh\nid\n", 0o755)
    fields = actor(spot, fd__name="/var/lib/rpm/rpmdb.sqlite")
    report = tell(fields, rule=DATABASE, host=spot.place)
    report.look("Which programs differ", shows=["tool-1.9.5-3", "S.5...", "/usr/bin/tool"], hides="/usr/bin/sudo")
    kept = (spot.evidence / report.uid / "rpm.tgz").stat().st_mtime_ns
    spot.write("/usr/bin/tool", "#!/bin/sh\n", 0o755)
    report.again("Which programs differ", hides="/usr/bin/tool")
    assert (spot.evidence / report.uid / "rpm.tgz").stat().st_mtime_ns == kept


@pytest.mark.parametrize(
    ("path", "stays"),
    [("/usr/bin/tool", True), ("/bin/tool", True), ("/opt/link/tool", True), ("/usr/bin/.x", False)],
)
def test_a_file(rpm_spot: Spot, tell: Tell, path: str, *, stays: bool) -> None:
    spot = rpm_spot
    spot.place.run("ln -s /usr/bin /opt/link")
    if not stays:
        spot.write(path, "#!/bin/sh\n", 0o755)
    report = tell(actor(spot, evt__arg__name=path), rule=DRIFT, host=spot.place)
    report.again(TAKE, shows="kept, not moved" if stays else "No such file")
    assert spot.run(f"test -e {path} && echo stays || echo gone").strip() == ("stays" if stays else "gone")


@pytest.mark.parametrize("programs", ["dpkg", "none"])
def test_who_owns_it_is_unknown(rpm_spot: Spot, tell: Tell, programs: str) -> None:
    """A host of rpm's packages where somebody has installed dpkg too, and one with neither, as Alpine is."""
    spot = rpm_spot
    if programs == "dpkg":
        spot.run('for f in /root/dpkg*; do mv "$f" /usr/bin; done')
    else:
        spot.run("mv /usr/bin/rpm /root")
    for fields, rule, path in (
        ({"evt__arg__name": "/usr/bin/tool"}, DRIFT, "/usr/bin/tool"),
        ({"evt__arg__path": "/usr/lib/tool"}, MKDIR, "/usr/lib/tool/part"),
    ):
        tell(actor(spot, **fields), rule=rule, host=spot.place).again(TAKE, shows="not moved")
        assert spot.run(f"test -e {path} && echo stays").strip() == "stays"


@pytest.mark.parametrize(("path", "stays"), [("/usr/lib/tool/", True), ("/lib/tool", True), ("/usr/lib/.x", False)])
def test_a_directory(rpm_spot: Spot, tell: Tell, path: str, *, stays: bool) -> None:
    spot = rpm_spot
    if not stays:
        spot.write(f"{path}/part", "x")
    report = tell(actor(spot, evt__arg__path=path), rule=MKDIR, host=spot.place)
    report.again("What lies in the directory", shows=["part", "tool-1.9.5-3" if stays else "not owned"])
    report.again(TAKE, shows="not moved" if stays else "No such file")
    assert spot.path(path).exists() is stays


def test_looks(rpm_spot: Spot, tell: Tell) -> None:
    spot = rpm_spot
    fields = actor(spot)
    report = tell(fields, rule=SUDO, host=spot.place)
    report.look("Is the hole closed", shows=["-rwsr-xr-x", "tool-1.9.5-3", "Fix CVE-2021-3156"])
    entered = tell(fields, rule=ENTRYPOINT, host=spot.place)
    entered.again("Is the node's runtime unchanged", hides="5....")
    spot.write("/usr/sbin/runc", "#!/bin/sh\nid\n", 0o755)
    entered.again("Is the node's runtime unchanged", shows=["S.5...", "/usr/sbin/runc"])
    removed = tell(fields, rule=MODIFY, host=spot.place)
    spot.path("/usr/bin/tool").unlink()
    removed.look("What changed in the program directories", shows=["missing     /usr/bin/tool"], seconds=60)
