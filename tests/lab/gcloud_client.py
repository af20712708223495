"""The real gcloud, as ``served_client`` loads it.

It is loaded as the SDK's own ``lib/gcloud.py`` does it, and each command then
starts with streams of its own, as in a process that has just begun.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from typing import Any

KEPT = ()
_LOADED = ("googlecloudsdk.gcloud_main", "googlecloudsdk.api_lib.util.apis", "googlecloudsdk.core.credentials.requests")
_SERVICES = ("compute", "storage", "iam", "cloudresourcemanager")
"""Those with many messages, which take longest to load."""


def load(sdk: str) -> Callable[[list[str]], object]:
    """Load what every command needs from the SDK's folder; return what runs one command."""
    # The lab's own folder comes last: it has modules of names that gcloud may import.
    sys.path[:] = [f"{sdk}/lib/third_party", f"{sdk}/lib", *sys.path[1:], sys.path[0]]
    main, apis, _ = map(importlib.import_module, _LOADED)
    for service in _SERVICES:
        apis.GetMessagesModule(service, "v1")
        apis.GetClientClass(service, "v1")
    return lambda arguments: _run(main, f"{sdk}/lib/gcloud.py", arguments)


def _run(main: Any, program: str, arguments: list[str]) -> object:
    sys.argv = [program, *arguments]
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - as long as the process
    for number, name in ((1, "stdout"), (2, "stderr")):
        file = open(number, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
        file.reconfigure(line_buffering=number == 2 or file.isatty())
        setattr(sys, name, file)
        setattr(sys, f"__{name}__", file)
    importlib.import_module("googlecloudsdk.core.log").Reset(sys.stdout, sys.stderr)
    return main.main()
