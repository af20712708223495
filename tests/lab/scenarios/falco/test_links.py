"""Second names for sensitive files, symbolic and hard: on a host, and in a container."""

from __future__ import annotations

import os

import pytest

from tests.lab.hostile import file_names
from tests.lab.places.spot import Spot
from tests.lab.story import Story, Tell

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


def linked(spot: Spot, tell: Tell) -> Story:
    """The story of a second name for the hashes below the web server's folder."""
    prepare(spot)
    spot.path(LINKS[0]).hardlink_to(spot.path("/etc/shadow"))
    pid = spot.start("tail", "-f", "/etc/passwd")
    fields = spot.fields(pid, evt__arg__oldpath="/etc/shadow", evt__arg__newpath=LINKS[0])
    return tell(fields, rule=HARDLINK, host=spot.place)


def test_a_page_of_that_name_was_made_since(spot: Spot, tell: Tell) -> None:
    """The link is gone, and the site's own file or link has its name."""
    report = linked(spot, tell)
    spot.place.run("sleep 4")
    page = spot.path(LINKS[0])
    page.unlink()
    spot.write(LINKS[0], "<html>\n")
    report.again("then remove the link", shows="nothing to remove")
    assert page.read_text() == "<html>\n"
    page.unlink()
    page.symlink_to("index.html")
    report.again("then remove the link", shows="nothing to remove")
    assert is_there(spot, LINKS[0]), "a link of the site's was removed"


def test_the_password_was_changed_since(spot: Spot, tell: Tell) -> None:
    """`passwd` writes a new file: the link alone has the old hashes."""
    report = linked(spot, tell)
    spot.place.run("sleep 4")
    spot.path("/etc/shadow").unlink()
    spot.write("/etc/shadow", "root:*:2::::::\n", 0o640)
    report.again("then remove the link")
    assert not is_there(spot, LINKS[0]), "the old hashes can still be read"
    assert (spot.evidence / report.uid / "link").read_text() == HASHES


@pytest.mark.parametrize("rule", RULES)
def test_the_undo_puts_nothing_into_a_directory(spot: Spot, tell: Tell, rule: str) -> None:
    """A folder has the link's name since."""
    report = either(spot, tell, rule)
    link = spot.path(LINKS[0])
    report.again("remove")
    assert not is_there(spot, LINKS[0])
    link.mkdir()
    report.again("remove", undo=True)
    assert not list(link.iterdir()), "the link was put into a folder of the site's"


def test_a_link_of_the_hashes_to_themselves(spot: Spot, tell: Tell) -> None:
    """The kernel refused that call, which names no other file than the one to be kept."""
    prepare(spot)
    fields = {"evt.arg.oldpath": "/etc/shadow", "evt.arg.newpath": "/etc/shadow", "evt.res": "EEXIST"}
    report = tell(spot.fields(spot.start("tail", "-f", "/etc/passwd")) | fields, rule=HARDLINK, host=spot.place)
    if any("remove the link" in step.title for step in report.steps):
        report.again("remove the link", shows="nothing to remove")
    assert spot.path("/etc/shadow").read_text() == HASHES, "the hashes are gone"


@pytest.mark.parametrize("rule", RULES)
def test_a_link_that_cannot_be_kept_stays(spot: Spot, tell: Tell, rule: str) -> None:
    report = either(spot, tell, rule)
    spot.place.run("mkdir -p /root/evidence; mount -t tmpfs -o ro tmpfs /root/evidence")
    try:
        report.again("remove", shows="Read-only file system")
        assert is_there(spot, LINKS[0]), "it was removed, and nothing was kept of it"
    finally:
        spot.place.run("umount /root/evidence")


@pytest.mark.parametrize("rule", RULES)
def test_what_was_kept_first_stays(spot: Spot, tell: Tell, rule: str) -> None:
    """Somebody makes the link anew, from another place, and the step is pasted once more."""
    report = either(spot, tell, rule)
    link = spot.path(LINKS[0])
    kept = spot.evidence / report.uid / "link"
    report.again("remove")
    first = kept.lstat().st_mtime_ns
    spot.place.run("sleep 1.1")
    if rule == SYMLINK:
        link.symlink_to("/etc/shadow")
    else:
        spot.write("/etc/shadow", "root:*:2::::::\n", 0o640)
        link.hardlink_to(spot.path("/etc/shadow"))
    report.again("remove")
    assert not is_there(spot, LINKS[0])
    assert kept.lstat().st_mtime_ns == first, "the second run wrote over what the first had kept"


def either(spot: Spot, tell: Tell, rule: str) -> Story:
    """The story of a link of either kind."""
    if rule == HARDLINK:
        return linked(spot, tell)
    prepare(spot)
    spot.path(LINKS[0]).symlink_to("/etc/shadow")
    pid = spot.start("tail", "-f", "/etc/passwd")
    return tell(
        spot.fields(pid, evt__arg__target="/etc/shadow", evt__arg__linkpath=LINKS[0]), rule=rule, host=spot.place
    )
