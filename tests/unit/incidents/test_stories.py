"""Written stories: what the shipped joining makes of them."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from tools.incidents import FILES, JOININGS, Figures, Story, figures, incidents_of, lines, stories

TOLD = tuple(stories())
STRICT = {story.name for path in FILES if path.stem == "stories" for story in stories([path])}
"""Stories in which no two alerts of noise belong to one person or container either."""


@cache
def together() -> Figures:
    return figures(TOLD, incidents_of([step.alert for story in TOLD for step in story.steps]))


def test_pairs_of_all_stories_at_once_are_joined_rightly() -> None:
    """With every story going on at the same time, at least 95 % of joined pairs belong together, and the reverse."""
    found = together()
    assert found.precision >= 0.95
    assert found.recall >= 0.95
    assert not found.split
    assert found.noise == 0


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_each_set_by_itself_is_joined_rightly(path: Path) -> None:
    """What was mended for one set of stories weakens no other."""
    told = tuple(stories([path]))
    found = figures(told, incidents_of([step.alert for story in told for step in story.steps]))
    assert found.precision >= 0.95
    assert found.recall >= 0.95
    assert not found.split
    assert found.noise == 0


def test_a_story_tells_only_what_falco_prints(tmp_path: Path) -> None:
    """A story that changes a field which the rule does not print is refused: no joining could see it."""
    told = tmp_path / "told.yaml"
    told.write_text("- {story: x, places: {}, steps: [[0, dev-012, x, {hostname: h}, {ct.user.accesskeyid: AKIA}]]}")
    with pytest.raises(ValueError, match=r"does not print ct\.user\.accesskeyid"):
        list(stories([told]))


@pytest.mark.parametrize("story", TOLD, ids=lambda story: story.name)
def test_a_story_is_one_incident_without_noise(story: Story) -> None:
    """Each part of a story is in one incident, and no benign work is in it."""
    joined = incidents_of([step.alert for step in story.steps])
    found = figures([story], joined)
    shown = "\n".join(lines(story, joined))
    assert not found.split, shown
    assert found.noise == 0, shown
    assert found.precision == 1.0 or story.name not in STRICT or not any(step.part for step in story.steps), shown


@pytest.mark.parametrize("name", [name for name in JOININGS if name != "incidents"])
def test_no_naive_joining_would_do(name: str) -> None:
    """The stories are hard enough that a host, a container, a principal or an address does not tell them apart."""
    found = figures(TOLD, JOININGS[name]([step.alert for story in TOLD for step in story.steps]))
    assert found.precision < 0.6
    assert found.noise > 10
