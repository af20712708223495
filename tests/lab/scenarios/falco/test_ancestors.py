"""What a database or an installer started: its ancestors while it runs, on a host and in a container."""

from __future__ import annotations

import pytest

from tests.lab.places.spot import Spot
from tests.lab.story import Tell

DATABASE = "DB program spawned process"
BELOW = "Write below binary dir"
RULES = (DATABASE, BELOW)


def test_a_database_starts_a_program(spot: Spot, tell: Tell) -> None:
    pid = spot.start("tail", "-f", "/etc/passwd")
    other = spot.start("tail", "-f", "/etc/group")
    place = spot.place
    with tell(spot.fields(pid), rule=DATABASE, host=place) as report:
        report.look("Does it still run", shows=f"{pid} root", hides="/etc/group")
        report.look("Which request came just before?")
        report.contain("Freeze the process", state=lambda: place.state(pid), becomes="T", shows=f"{pid} T")
        assert place.state(other) == "S", "a bystander was stopped"
        report.undo(state=lambda: place.state(pid), becomes="S")
        place.run(f"kill -KILL {pid}")
        report.again("Does it still run", hides="tail")


@pytest.mark.parametrize("name", ["x", "it's $(touch owned)"])
def test_a_new_program(spot: Spot, tell: Tell, name: str) -> None:
    path = f"/usr/local/bin/{name}"
    spot.write(path, "#!/bin/sh\n", 0o4755)
    pid = spot.start("tail", "-f", "/etc/passwd")
    report = tell(spot.fields(pid, fd__name=path), rule=BELOW, host=spot.place)
    report.look(shows=["Change: ", "-rwsr-xr-x"])
    spot.path(path).unlink()
    report.again(report.steps[0].title, shows="No such file")
    assert not spot.place.exists("/root/owned")
