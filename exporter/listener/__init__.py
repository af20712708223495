"""A listener for aiohttp applications that holds against the network.

Owns what every HTTP server of this program needs before its first route:
addresses, a connection cap, deadlines, TLS whose files may change. Serves the
pages and the receiver of Falco's http_output alike, so it stands below both.
"""

from exporter.listener.address import Address
from exporter.listener.connection import REASONS, Limits
from exporter.listener.server import Listener

__all__ = ["REASONS", "Address", "Limits", "Listener"]
