"""The list of settings: each field of the model with its flag, environment variable and YAML key.

Owns naming. A setting's path in the model (``web.listen_address``) gives its
YAML key, its flag (``--web.listen-address``) and its environment variable
(``FALCO_REPORT_EXPORTER_WEB_LISTEN_ADDRESS``).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_type_hints

from exporter.config.model import Config

ENVIRONMENT_PREFIX = "FALCO_REPORT_EXPORTER_"


@dataclass(frozen=True, slots=True)
class Option:
    """One setting."""

    path: tuple[str, ...]
    """Field names from ``Config`` downwards."""
    kind: type
    """``str``, ``int``, ``float``, ``bool`` or ``Path``: of the value, or of each item."""
    many: bool
    """Whether it takes several values."""
    default: Any
    help_text: str
    choices: tuple[str, ...]
    flag: str
    separator: str = ","
    """What stands between several values in the environment."""

    @property
    def key(self) -> str:
        """The YAML key, dotted."""
        return ".".join(self.path)

    @property
    def default_text(self) -> str:
        """The default as people read it; empty where there is none, or it is off."""
        if self.default in (None, "", (), False):
            return ""
        shown = self.default if self.many else (self.default,)
        return ", ".join(str(int(x) if isinstance(x, float) and x.is_integer() else x) for x in shown)

    @property
    def variable(self) -> str:
        """The environment variable."""
        return ENVIRONMENT_PREFIX + "_".join(self.path).upper()


def options(model: type = Config, path: tuple[str, ...] = ()) -> Iterator[Option]:
    """Yield every setting below ``model`` but the Falco targets, which are a list of mappings."""
    hints = get_type_hints(model)
    for field in dataclasses.fields(model):
        here = (*path, field.name)
        kind = hints[field.name]
        if dataclasses.is_dataclass(kind) and isinstance(kind, type):
            yield from options(kind, here)
        elif "help" in field.metadata:
            item, many = _item_kind(kind)
            flag = field.metadata.get("flag") or "--" + ".".join(here).replace("_", "-")
            yield Option(
                here,
                item,
                many,
                field.default,
                field.metadata["help"],
                field.metadata.get("choices", ()),
                flag,
                field.metadata.get("separator", ","),
            )


def _item_kind(hint: Any) -> tuple[type, bool]:
    many = getattr(hint, "__origin__", None) is tuple
    text = str(hint)
    if "Path" in text:
        return Path, many
    if many:
        return str, True
    return hint, False
