"""Refused requests as files: whole, private and bounded, or not there at all."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest

from exporter.sinks.otel.queue.refused import RefusedBatches


def test_a_request_is_kept_whole_and_private(tmp_path: Path) -> None:
    """0600 in a directory of 0700, under a name of its own."""
    refused = RefusedBatches(tmp_path / "queue" / "refused")
    path = refused.keep(b"request")
    assert path is not None
    assert path.read_bytes() == b"request"
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert refused.size_bytes() == 7


def test_the_oldest_go_where_the_bound_is_reached(tmp_path: Path) -> None:
    """The newest fit, whatever was there."""
    refused = RefusedBatches(tmp_path, limit_bytes=25)
    kept = [refused.keep(bytes([number]) * 10) for number in range(4)]
    assert sorted(tmp_path.iterdir()) == kept[2:]


@pytest.mark.parametrize(("limit_bytes", "left"), [(40, 4), (39, 3), (30, 3), (29, 2), (10, 1), (5, 1)])
def test_no_more_go_than_have_to(tmp_path: Path, limit_bytes: int, left: int) -> None:
    """Exactly the oldest that are too much; a request above the bound is kept by itself."""
    refused = RefusedBatches(tmp_path)
    kept = [refused.keep(bytes([number]) * 10) for number in range(3)]
    bounded = RefusedBatches(tmp_path, limit_bytes=limit_bytes)
    kept.append(bounded.keep(b"x" * 10))
    assert sorted(tmp_path.iterdir()) == kept[-left:]
    assert bounded.size_bytes() == left * 10


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What could not be written whole is not there in part, and the log says so."""
    refused = RefusedBatches(tmp_path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        assert refused.keep(b"x" * 10_000) is None
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(tmp_path.iterdir()) == []
    assert f"a refused batch could not be kept in {tmp_path}: File too large" in caplog.text


def test_what_a_killed_process_left_unfinished_goes_at_the_next_start(tmp_path: Path) -> None:
    """Parts do not pile up; whole files stay."""
    (tmp_path / "1.otlp.part").write_bytes(b"x")
    (tmp_path / "1.otlp").write_bytes(b"x")
    RefusedBatches(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["1.otlp"]


def test_a_link_in_the_place_of_a_part_is_replaced_and_not_followed(tmp_path: Path) -> None:
    """What it names stays as it was."""
    victim = tmp_path / "victim"
    victim.write_text("precious")
    directory = tmp_path / "refused"
    directory.mkdir()
    refused = RefusedBatches(directory)
    path = refused.keep(b"first")
    assert path is not None
    path.with_name(path.name + ".part").symlink_to(victim)
    assert refused.keep(b"second") is not None
    assert victim.read_text() == "precious"
