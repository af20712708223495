"""Where settings come from: flags before environment before file before defaults.

Owns the precedence and the only reading of the environment. Every complaint
names the flag, the variable, or the file, line and key. What only makes sense
together is judged in ``validate.py``.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from exporter.config.model import Config, FalcoTarget, OtlpEndpoint, Route, TlsClient
from exporter.config.options import ENVIRONMENT_PREFIX, Option, options
from exporter.config.routes import to_endpoint, to_route
from exporter.config.values import from_text, items_from_text
from exporter.errors import ConfigError, ExporterError, nearest
from exporter.yaml_nodes import Node, read_document

TARGETS_VARIABLE = ENVIRONMENT_PREFIX + "TARGETS"
FILE_VARIABLE = ENVIRONMENT_PREFIX + "CONFIG_FILE"
_TARGET_KEYS = frozenset({"address", "name", "tls"})
_TLS_KEYS = frozenset(field.name for field in dataclasses.fields(TlsClient))
Values = dict[tuple[str, ...], Any]


@dataclasses.dataclass(slots=True)
class _Lists:
    """What the file gives as lists of mappings."""

    targets: tuple[FalcoTarget, ...] = ()
    endpoints: tuple[OtlpEndpoint, ...] = ()
    routes: tuple[Route, ...] = ()


_SERVICE_LINK = re.compile(
    r"_(?:SERVICE_HOST|SERVICE_PORT(?:_[A-Z0-9_]+)?|PORT(?:_\d+_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?)?)\Z"
)
"""Variables that the kubelet sets in every pod of a namespace for a Service whose name begins with ours.

Source: https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables
"""


def load_config(
    flags: Mapping[str, Any], environment: Mapping[str, str], file: Path | None = None, *, demo: bool = False
) -> Config:
    """Return the settings, checked whole.

    ``flags`` maps option keys (``web.listen_address``; ``targets`` to a list of
    addresses) to what was given on the command line. Raises ConfigError.
    """
    known = {option.path: option for option in options()}
    values: Values = {path: option.default for path, option in known.items()}
    lists = _Lists()
    file = file or (Path(environment[FILE_VARIABLE]) if environment.get(FILE_VARIABLE) else None)
    if file is not None:
        lists = _read_file(file, known, values)
    targets = _read_environment(environment, known, values) or lists.targets
    if flags.get("targets"):
        targets = tuple(FalcoTarget(address) for address in flags["targets"])
    values |= {path: flags[option.key] for path, option in known.items() if flags.get(option.key) is not None}
    config = dataclasses.replace(_build(Config, values), endpoints=lists.endpoints, routes=lists.routes)
    config = _with_targets(config, targets, demo=demo)
    # Imported here: rules files, patterns and addresses are not needed for --help and for completion.
    from exporter.config.validate import validate

    validate(config)
    return config


def _read_file(file: Path, known: Mapping[tuple[str, ...], Option], values: Values) -> _Lists:
    root = read_document(file, ConfigError)
    problems: list[ExporterError] = []
    keys = root.mapping(frozenset({path[0] for path in known} | {"targets", "endpoints", "routes"}), problems=problems)
    found: dict[str, list[Node]] = {
        name: list(keys.pop(name).items()) if name in keys else [] for name in ("targets", "endpoints", "routes")
    }
    lists = _Lists(
        tuple(_target(node) for node in found["targets"]),
        tuple(to_endpoint(node) for node in found["endpoints"]),
        tuple(to_route(node, number) for number, node in enumerate(found["routes"], 1)),
    )
    for name, node in keys.items():
        _read_node(node, (name,), known, values, problems)
    if problems:
        raise ConfigError("\n".join(map(str, problems)))
    return lists


def _read_node(
    node: Node,
    path: tuple[str, ...],
    known: Mapping[tuple[str, ...], Option],
    values: Values,
    problems: list[ExporterError],
) -> None:
    """Read one key with everything below it; what is wrong is added to ``problems``, and the rest is read on."""
    option = known.get(path)
    try:
        if option is None:
            below = frozenset(other[len(path)] for other in known if other[: len(path)] == path)
            for name, child in node.mapping(below, problems=problems).items():
                _read_node(child, (*path, name), known, values, problems)
        elif option.many and node.is_list():
            values[path] = tuple(_value(item, option) for item in node.items())
        else:
            values[path] = (_value(node, option),) if option.many else _value(node, option)
    except ConfigError as exc:
        problems.append(exc)


def _value(node: Node, option: Option) -> Any:
    try:
        return from_text(node.text(), option.kind, option.choices)
    except ValueError as exc:
        raise node.error(str(exc)) from exc


def _target(node: Node) -> FalcoTarget:
    if node.is_text():
        return FalcoTarget(node.text())
    keys = node.mapping(_TARGET_KEYS, frozenset({"address"}))
    tls = keys["tls"].mapping(_TLS_KEYS) if "tls" in keys else {}
    return FalcoTarget(
        address=keys["address"].text(),
        name=keys["name"].text() if "name" in keys else "",
        tls=TlsClient(**{key: Path(child.text()).expanduser() for key, child in tls.items()}),
    )


def _read_environment(
    environment: Mapping[str, str], known: Mapping[tuple[str, ...], Option], values: Values
) -> tuple[FalcoTarget, ...]:
    by_variable = {option.variable: option for option in known.values()}
    for variable in sorted(environment):
        if not variable.startswith(ENVIRONMENT_PREFIX) or variable in {TARGETS_VARIABLE, FILE_VARIABLE}:
            continue
        option = by_variable.get(variable)
        if option is None:
            if _SERVICE_LINK.search(variable):
                continue
            raise ConfigError(
                f"environment variable {variable}: no such setting{nearest(variable, by_variable)}; "
                "`falco-report-exporter run --help-all` lists them"
            )
        text = environment[variable]
        try:
            values[option.path] = (
                items_from_text(text, option.kind, option.separator)
                if option.many
                else from_text(text, option.kind, option.choices)
            )
        except ValueError as exc:
            raise ConfigError(f"environment variable {variable}: {exc}") from exc
    return tuple(FalcoTarget(item) for item in items_from_text(environment.get(TARGETS_VARIABLE, ""), str))


def _build(model: Any, values: Values, path: tuple[str, ...] = ()) -> Any:
    arguments: dict[str, Any] = {}
    for field in dataclasses.fields(model):
        here = (*path, field.name)
        if here in values:
            arguments[field.name] = values[here]
        elif any(other[: len(here)] == here for other in values):
            factory = field.default_factory
            arguments[field.name] = _build(factory, values, here)
    return model(**arguments)


def _with_targets(config: Config, targets: tuple[FalcoTarget, ...], *, demo: bool) -> Config:
    """Give TCP targets the common TLS files; without any source, the default socket is the target."""
    other_way = config.http.address or config.json_lines.stdin or config.json_lines.file or demo
    if not targets and not other_way:
        targets = (FalcoTarget(),)
    return dataclasses.replace(
        config,
        targets=tuple(
            dataclasses.replace(target, tls=config.grpc.tls) if target.tls == TlsClient() else target
            for target in targets
        ),
    )
