"""Where ``check`` finds live alerts to look at: a running exporter's pages, the end of the followed file."""

from __future__ import annotations

import http.client
import io
import json
import os
from collections.abc import Iterator
from pathlib import Path

from exporter.config.model import Config
from exporter.listener.address import Address
from exporter.missing_fields import Missing, explain
from exporter.sources.pasted import alerts_in

END_OF_FILE_BYTES = 512 * 1024
_ASK_SECONDS = 2.0
_LOCAL = "127.0.0.1"
_EVERYWHERE = {"", "0.0.0.0", "::"}  # noqa: S104 - only compared


def missing_fields(config: Config) -> Iterator[tuple[str, Missing]]:
    """Yield where the alerts were found and what they lack; nothing where there are none to be seen."""
    for address in (config.web.reports_address, config.web.listen_address):
        if address:
            for missing in _of_running(address):
                yield f"alerts of the exporter on {address}", missing
    if config.json_lines.file is not None:
        for missing in _of_file(config.json_lines.file):
            yield f"alerts at the end of {config.json_lines.file}", missing


def ask_running(address: Address, path: str) -> tuple[int, bytes] | None:
    """Return status and body of an exporter that runs at a TCP address; None where none answers without TLS."""
    if address.path or not address.port:
        return None
    host = _LOCAL if address.host in _EVERYWHERE else address.host
    connection = http.client.HTTPConnection(host, address.port, timeout=_ASK_SECONDS)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        is_ours = answer.headers.get("Server", "") == "falco-report-exporter"
        return (answer.status, answer.read()) if is_ours else None
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def _of_running(text: str) -> list[Missing]:
    """Ask an exporter that runs there; one that shows no pages, or wants a password for them, says nothing."""
    answer = ask_running(Address.from_text(text, "web.listen_address"), "/api/missing-fields")
    if answer is None or answer[0] != http.HTTPStatus.OK:
        return []
    try:
        return [Missing(**each) for each in json.loads(answer[1])["missing"]]
    except (ValueError, KeyError, TypeError):  # another version's
        return []


def _of_file(path: Path) -> list[Missing]:
    try:
        with path.open("rb") as file:
            if not file.seekable():
                return []
            whole = file.seek(0, os.SEEK_END) <= END_OF_FILE_BYTES
            file.seek(0 if whole else -END_OF_FILE_BYTES, os.SEEK_SET if whole else os.SEEK_END)
            if not whole:
                file.readline()
            end = file.read(END_OF_FILE_BYTES)
    except OSError:
        return []
    return explain([found.alert for found in alerts_in(io.BytesIO(end)) if found.alert is not None])
