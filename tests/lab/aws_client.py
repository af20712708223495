"""The real aws client, loaded once and forked for each command: it takes a second to start, and a story calls it often.

Runs on a lab laptop as ``python aws_client.py SOCKET``; ``clients/aws`` is what the laptop's PATH has as ``aws``.
"""

from __future__ import annotations

import array
import json
import os
import signal
import socket
import sys
import traceback
from typing import NoReturn

import awscli.clidriver
import awscli.customizations.cloudtrail
import awscli.customizations.s3.s3


def main() -> None:
    """Serve commands until killed."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.bind(sys.argv[1])
    listener.listen(64)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        connection, _ = listener.accept()
        if os.fork() == 0:
            listener.close()
            _wait_for(connection)
        connection.close()


def _wait_for(connection: socket.socket) -> NoReturn:
    """Run the command in a process of its own and report its status."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    text, ancillary, _, _ = connection.recvmsg(1 << 20, socket.CMSG_LEN(3 * array.array("i").itemsize))
    descriptors = array.array("i")
    for _, _, data in ancillary:
        descriptors.frombytes(data)
    child = os.fork()
    if child == 0:
        _run(json.loads(text), list(descriptors))
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    connection.send(str(status if status >= 0 else 128 - status).encode())
    os._exit(0)


def _run(asked: dict[str, object], descriptors: list[int]) -> NoReturn:
    for number, descriptor in enumerate(descriptors):
        os.dup2(descriptor, number)
    environment = asked["environment"]
    assert isinstance(environment, dict)
    # The client's own, set where it was imported.
    data_path = os.environ["AWS_DATA_PATH"]
    os.environ.clear()
    os.environ.update(environment | {"AWS_DATA_PATH": data_path})
    os.chdir(str(asked["directory"]))
    status = 70
    try:
        arguments = asked["arguments"]
        assert isinstance(arguments, list)
        status = awscli.clidriver.create_clidriver().main(arguments) or 0
    except Exception:  # noqa: BLE001 - as at the end of every program
        traceback.print_exc()
    except SystemExit as ended:
        status = int(ended.code or 0) if not isinstance(ended.code, str) else 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    main()
