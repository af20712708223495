"""An OTLP receiver that looks at nothing, so that the exporter is what is measured.

Serves ``LogsService/Export`` on a free port of the loopback and says which in
a JSON line; each line on standard input is answered with what came so far.
With ``--count`` it looks into each request for the number of its log records.
"""

from __future__ import annotations

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import grpc
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

SERVICE = "opentelemetry.proto.collector.logs.v1.LogsService"


class Receiver:
    """Counts requests and bytes."""

    def __init__(self, *, count: bool) -> None:
        self._count = count
        self.records = 0
        self.requests = 0
        self.size_bytes = 0
        self.last_at = 0.0

    def export(self, request: bytes, _context: grpc.ServicerContext) -> bytes:
        """Take a request; an empty answer says that all of it was accepted."""
        self.requests += 1
        self.size_bytes += len(request)
        if self._count:
            resources = ExportLogsServiceRequest.FromString(request).resource_logs
            self.records += sum([len(scope.log_records) for found in resources for scope in found.scope_logs])
        self.last_at = time.time()
        return b""

    def counted(self) -> str:
        """Say what came."""
        return json.dumps(
            {
                "requests": self.requests,
                "records": self.records,
                "bytes": self.size_bytes,
                "last_at": self.last_at,
            }
        )


def main() -> None:
    """Serve until the input ends."""
    receiver = Receiver(count="--count" in sys.argv)
    server = grpc.server(ThreadPoolExecutor(2), options=[("grpc.max_receive_message_length", 64 * 1024 * 1024)])
    handler = grpc.unary_unary_rpc_method_handler(receiver.export)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, {"Export": handler}),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(json.dumps({"port": port}), flush=True)
    for _ in sys.stdin:
        print(receiver.counted(), flush=True)
    server.stop(0)


if __name__ == "__main__":
    main()
