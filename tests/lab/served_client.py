"""A vendor's real client, loaded once and forked for each command: it takes seconds to start and is called often.

Runs on a lab laptop as ``python served_client.py MODULE … SOCKET``: the module's
``load(…)`` returns what runs one command. What the laptop's PATH has under the
client's name (``clients``) hands over its terminal, arguments, environment and
directory, and ends with the command's status.
"""

from __future__ import annotations

import array
import importlib
import json
import os
import signal
import socket
import sys
import traceback
from collections.abc import Callable
from typing import NoReturn


def main(name: str, *arguments: str) -> NoReturn:
    """Load a client's module and serve commands on a socket, the last argument, until killed.

    Of the environment that the client was loaded with, the variables ``KEPT`` of the module stay; all others are the
    command's own.
    """
    *parameters, at = arguments
    module = importlib.import_module(name)
    run: Callable[[list[str]], object] = module.load(*parameters)
    kept = {each: os.environ[each] for each in module.KEPT}
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.bind(at)
    listener.listen(64)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        connection, _ = listener.accept()
        if os.fork() == 0:
            listener.close()
            _wait_for(connection, run, kept)
        connection.close()


def _wait_for(connection: socket.socket, run: Callable[[list[str]], object], kept: dict[str, str]) -> NoReturn:
    """Run the command in a process of its own and report its status."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    text, ancillary, _, _ = connection.recvmsg(1 << 20, socket.CMSG_LEN(3 * array.array("i").itemsize))
    descriptors = array.array("i")
    for _, _, data in ancillary:
        descriptors.frombytes(data)
    child = os.fork()
    if child == 0:
        _run(json.loads(text), list(descriptors), run, kept)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    connection.send(str(status if status >= 0 else 128 - status).encode())
    os._exit(0)


def _run(
    asked: dict[str, object], descriptors: list[int], run: Callable[[list[str]], object], kept: dict[str, str]
) -> NoReturn:
    for number, descriptor in enumerate(descriptors):
        os.dup2(descriptor, number)
    environment, arguments = asked["environment"], asked["arguments"]
    assert isinstance(environment, dict)
    assert isinstance(arguments, list)
    os.environ.clear()
    os.environ.update(environment | kept)
    os.chdir(str(asked["directory"]))
    status = 70
    try:
        status = _status(run(arguments))
    except Exception:  # noqa: BLE001 - as at the end of every program
        traceback.print_exc()
        status = 1
    except SystemExit as ended:
        status = _status(ended.code)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _status(ended: object) -> int:
    if isinstance(ended, str):
        print(ended, file=sys.stderr)
        return 1
    return int(ended) if isinstance(ended, int) else 0


if __name__ == "__main__":
    main(*sys.argv[1:])
