"""Second names for sensitive files, symbolic and hard: on a host, and in a container."""

from __future__ import annotations

import os

import pytest

from tests.lab.hostile import file_names
from tests.lab.places.spot import Spot
from tests.lab.story import Tell

SYMLINK = "Create Symlink Over Sensitive Files"
HARDLINK = "Create Hardlink Over Sensitive Files"
RULES = (SYMLINK, HARDLINK)

LINKS = ["/srv/www/passwords", *file_names("/srv/www")]
HASHES = "root:*:1::::::\n"


def prepare(spot: Spot) -> None:
    spot.write("/etc/shadow", HASHES, 0o640)
    spot.write("/srv/www/index.html")


@pytest.mark.parametrize("link", LINKS)
def test_a_symlink_below_a_web_root(spot: Spot, tell: Tell, link: str) -> None:
    prepare(spot)
    spot.path(link).symlink_to("/etc/shadow")
    pid = spot.start("tail", "-f", "/etc/passwd")
    fields = spot.fields(pid, evt__arg__target="/etc/shadow", evt__arg__linkpath=link)

    with tell(fields, rule=SYMLINK, host=spot.place) as report:
        report.look("Is the link still there", shows=["-> /etc/shadow", "index.html"])
        before = spot.snapshot("/srv", "/etc/shadow")
        report.contain("keep the link, then remove it", state=lambda: is_there(spot, link), becomes=False)
        assert str((spot.evidence / report.uid / "link").readlink()) == "/etc/shadow"
        report.again("Is the link still there", shows="No such file")
        report.look("Which request came just before?")
        report.undo(state=lambda: spot.snapshot("/srv", "/etc/shadow"), becomes=before)

        spot.path(link).unlink()
        spot.path(link).symlink_to("index.html")
        report.again("keep the link", shows="not that link")
        assert is_there(spot, link), "another link was removed"
    assert not spot.place.exists("/root/owned")


def is_there(spot: Spot, link: str) -> bool:
    """Whether there is such a name, whatever it leads to."""
    return os.path.lexists(spot.path(link))


@pytest.mark.parametrize("link", LINKS)
def test_a_second_name_for_the_hashes(spot: Spot, tell: Tell, link: str) -> None:
    prepare(spot)
    spot.path(link).hardlink_to(spot.path("/etc/shadow"))
    pid = spot.start("tail", "-f", "/etc/passwd")
    fields = spot.fields(pid, evt__arg__oldpath="/etc/shadow", evt__arg__newpath=link)

    with tell(fields, rule=HARDLINK, host=spot.place) as report:
        spot.path(link).chmod(0o666)
        inode = spot.path("/etc/shadow").stat().st_ino
        report.look("Was the file changed through the link?", shows=[f"{inode} 2 -rw-rw-rw- root"])
        report.contain("then remove the link", state=lambda: is_there(spot, link), becomes=False)
        assert spot.path("/etc/shadow").read_text() == HASHES
        report.look("Which request came just before?")
        report.undo(state=lambda: spot.path(link).read_text(), becomes=HASHES)

        spot.path("/etc/shadow").unlink()
        report.again("then remove the link", shows="nothing to remove")
        assert is_there(spot, link), "the last copy was removed"
    assert not spot.place.exists("/root/owned")
