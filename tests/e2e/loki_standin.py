"""A stand-in for Loki: the exporter's real records under Loki's names, and the LogQL that our dashboards use.

It is not Loki. It takes the records that a real collector wrote to a file,
names their attributes as Loki's OTLP endpoint does, and understands the queries
of ``dashboards/`` and nothing else, so that their pictures show true data where
no Loki can be had. Anything it does not understand is an error, never an
empty answer.

    python -m tests.e2e.loki_standin RECORDS.jsonl --port 3100
"""

from __future__ import annotations

import argparse
import json
import re
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlparse

from tests.e2e.loki_template import render

INDEXED = frozenset({"service.name", "service.namespace", "service.instance.id", "k8s.cluster.name"})
"""Resource attributes that Loki makes index labels of, those of them that our records may have."""
LEVELS = ("trace", "debug", "info", "warn", "error", "fatal")
"""``detected_level`` by severity number, four numbers a level."""
_METRIC = re.compile(
    r"^(?:topk\((?P<top>\d+), )?sum by \((?P<by>[^)]+)\) \(count_over_time\((?P<log>.*) \[(?P<window>\w+)\]\)\)\)?$",
    re.DOTALL,
)
_FILTER = re.compile(r'^(\w+)\s*(=~|!~|!=|=)\s*("(?:[^"\\]|\\.)*"|`[^`]*`)$', re.DOTALL)
_TOKEN = re.compile(r'[()]|\b(?:and|or)\b|\w+\s*(?:=~|!~|!=|=)\s*(?:"(?:[^"\\]|\\.)*"|`[^`]*`)', re.DOTALL)
_FORMAT = re.compile(r"(\w+)=(`[^`]*`)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


class UnknownQueryError(ValueError):
    """The query is none that the stand-in understands."""


@dataclass(frozen=True)
class Line:
    """One log line as Loki has it."""

    time_ns: int
    text: str
    stream: Mapping[str, str]
    metadata: Mapping[str, str]

    def get(self, name: str) -> str:
        """A label's value; empty where it is absent, as in LogQL."""
        return self.metadata.get(name) or self.stream.get(name, "")


def loki_name(attribute: str) -> str:
    """Return Loki's name of an attribute."""
    return re.sub(r"[^a-zA-Z0-9_]", "_", attribute)


def loki_value(value: Mapping[str, Any]) -> str:
    """Return an attribute's value as Loki keeps it: text; arrays as JSON text."""
    ((kind, content),) = value.items()
    if kind == "arrayValue":
        return json.dumps([loki_value(item) for item in content.get("values", ())], ensure_ascii=False)
    if kind == "boolValue":
        return "true" if content else "false"
    return str(content)


def lines_of(request: Mapping[str, Any]) -> Iterator[Line]:
    """Yield the lines of one OTLP request in JSON."""
    for group in request.get("resourceLogs", ()):
        resource = {a["key"]: loki_value(a["value"]) for a in group["resource"]["attributes"]}
        stream = {loki_name(key): value for key, value in resource.items() if key in INDEXED}
        common = {loki_name(key): value for key, value in resource.items() if key not in INDEXED}
        for scope in group["scopeLogs"]:
            for record in scope["logRecords"]:
                own = {loki_name(a["key"]): loki_value(a["value"]) for a in record["attributes"]}
                number = record["severityNumber"]
                own |= {"severity_text": record["severityText"], "severity_number": str(number)}
                own["detected_level"] = LEVELS[(number - 1) // 4]
                yield Line(int(record["timeUnixNano"]), record["body"]["stringValue"], stream, common | own)


def read_lines(path: Path) -> list[Line]:
    """Return every line of the collector's file, newest first."""
    requests = (json.loads(text) for text in path.read_text("utf-8").splitlines() if text.endswith("}"))
    return sorted((line for request in requests for line in lines_of(request)), key=lambda line: -line.time_ns)


def stages_of(query: str) -> tuple[str, list[str]]:
    """Return the stream selector and the stages after it."""
    selector, pieces, quote, start = "", [], "", 0
    for index, character in enumerate(query):
        if quote:
            if character == quote and (quote == "`" or query[index - 1] != "\\"):
                quote = ""
        elif character in '"`':
            quote = character
        elif character == "}" and not selector:
            selector, start = query[: index + 1], index + 1
        elif character == "|" and selector:
            pieces.append(query[start:index])
            start = index + (1 if query[index + 1] not in "~=" else 0)
    pieces.append(query[start:])
    return selector.strip(), [piece.strip() for piece in pieces if piece.strip()]


def unquoted(text: str) -> str:
    """Return the value of a string of LogQL."""
    return text[1:-1] if text[0] == "`" else str(json.loads(text))


def run(query: str, lines: Iterable[Line]) -> Iterator[Line]:
    """Yield the lines that a log query leaves. Raises UnknownQueryError."""
    selector, stages = stages_of(query)
    matchers = [(name, unquoted(text)) for name, text in re.findall(r'(\w+)=("[^"]*"|`[^`]*`)', selector)]
    if not matchers or not selector.startswith("{"):
        raise UnknownQueryError(f"no selector that the stand-in understands: {query[:80]}")
    for line in lines:
        if all(line.stream.get(name) == value for name, value in matchers):
            found: Line | None = line
            for stage in stages:
                found = apply(stage, found)
                if found is None:
                    break
            if found is not None:
                yield found


def apply(stage: str, line: Line) -> Line | None:
    """Return the line after a stage, None where a filter refuses it. Raises UnknownQueryError."""
    word, _, rest = stage.partition(" ")
    if word == "|~":
        return line if re.search(unquoted(rest.strip()), line.text) else None
    if word == "keep":
        kept = {name.strip() for name in rest.split(",")}
        return replace(line, stream={}, metadata={name: line.get(name) for name in kept if line.get(name)})
    if word == "line_format":
        names = {**line.metadata, **line.stream}
        return replace(line, text=render(unquoted(rest.strip()), names, line.text, line.time_ns))
    if word == "label_format":
        made = {
            name: render(unquoted(text), {**line.metadata, **line.stream}, line.text, line.time_ns)
            for name, text in _FORMAT.findall(rest)
        }
        return replace(line, metadata={**line.metadata, **made})
    tokens = _TOKEN.findall(stage)
    found = _either(tokens, line)
    if tokens or _TOKEN.sub("", stage).strip():
        raise UnknownQueryError(f"no stage that the stand-in understands: {stage[:80]}")
    return line if found else None


def _either(tokens: list[str], line: Line) -> bool:
    """Take conditions joined by ``or`` off the tokens; return whether the line meets one."""
    found = _both(tokens, line)
    while tokens and tokens[0] == "or":
        tokens.pop(0)
        found = _both(tokens, line) or found
    return found


def _both(tokens: list[str], line: Line) -> bool:
    """Take conditions joined by ``and`` off the tokens; return whether the line meets all."""
    found = _condition(tokens, line)
    while tokens and tokens[0] == "and":
        tokens.pop(0)
        found = _condition(tokens, line) and found
    return found


def _condition(tokens: list[str], line: Line) -> bool:
    token = tokens.pop(0) if tokens else ""
    if token == "(":
        found = _either(tokens, line)
        if not tokens or tokens.pop(0) != ")":
            raise UnknownQueryError("a parenthesis is not closed")
        return found
    if (matched := _FILTER.match(token)) is None:
        raise UnknownQueryError(f"no condition that the stand-in understands: {token[:80]}")
    name, operator, quoted = matched.groups()
    value, wanted = line.get(name), unquoted(quoted)
    equal = bool(re.fullmatch(wanted, value, re.DOTALL)) if "~" in operator else value == wanted
    return equal != operator.startswith("!")


def seconds(text: str) -> float:
    """Return a duration of one unit."""
    matched = re.fullmatch(r"(\d+)(ms|s|m|h|d)", text)
    if matched is None:
        raise UnknownQueryError(f"no duration that the stand-in understands: {text}")
    return int(matched[1]) * _SECONDS[matched[2]]


def count(query: re.Match[str], lines: Iterable[Line], moments: list[float]) -> list[dict[str, Any]]:
    """Return a metric query's series: lines by labels within the window before each moment."""
    names, window = [name.strip() for name in query["by"].split(",")], seconds(query["window"])
    found: dict[tuple[str, ...], Counter[float]] = defaultdict(Counter)
    for line in run(query["log"], lines):
        key, at = tuple(line.get(name) for name in names), line.time_ns / 1e9
        for moment in moments:
            if moment - window < at <= moment:
                found[key][moment] += 1
    series = sorted(found.items(), key=lambda item: -item[1].total())
    return [
        {
            "metric": {n: v for n, v in zip(names, key, strict=True) if v},
            "values": [[m, str(c)] for m, c in sorted(counted.items())],
        }
        for key, counted in series[: int(query["top"] or len(series))]
    ]


def answer(path: str, asked: Mapping[str, str], lines: list[Line]) -> dict[str, Any]:
    """Return the data of one call of Loki's HTTP API. Raises UnknownQueryError."""
    query, instant = asked.get("query", "").strip(), path.endswith("/query")
    end = int(asked.get("time" if instant else "end", time.time_ns())) / 1e9
    if matched := _METRIC.match(query):
        if instant:
            series = count(matched, lines, [end])
            return {
                "resultType": "vector",
                "result": [{"metric": s["metric"], "value": s["values"][0]} for s in series],
            }
        step, start = seconds(asked["step"]), int(asked["start"]) / 1e9
        first = start // step * step
        moments = [first + number * step for number in range(int((end - first) / step) + 1)]
        return {"resultType": "matrix", "result": count(matched, lines, moments)}
    start = int(asked["start"]) / 1e9
    within = (line for line in lines if start <= line.time_ns / 1e9 <= end)
    chosen = [line for _, line in zip(range(int(asked.get("limit", "100"))), run(query, within), strict=False)]
    streams = [
        {
            "stream": dict(line.stream),
            "values": [[str(line.time_ns), line.text, {"structuredMetadata": dict(line.metadata)}]],
        }
        for line in chosen
    ]
    return {"resultType": "streams", "encodingFlags": ["categorize-labels"], "result": streams}


def make_server(records: Path, port: int) -> ThreadingHTTPServer:
    """Return a server on 127.0.0.1 that reads the file anew for each question."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Nothing: the tests have no use for it."""

        def do_GET(self) -> None:
            url = urlparse(self.path)
            asked = {key: values[0] for key, values in parse_qs(url.query).items()}
            try:
                status, document = 200, {"status": "success", "data": answer(url.path, asked, read_lines(records))}
            except UnknownQueryError as exc:
                status, document = 400, {"status": "error", "errorType": "stand-in", "error": str(exc)}
            body = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    return ThreadingHTTPServer(("127.0.0.1", port), Handler)


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(description="a stand-in for Loki")
    parser.add_argument("records", type=Path)
    parser.add_argument("--port", type=int, default=3100)
    arguments = parser.parse_args()
    make_server(arguments.records, arguments.port).serve_forever()


if __name__ == "__main__":
    main()
