"""What every listener of this program needs before it understands a request.

Owns addresses, the accept loop, TLS and credentials whose files may change,
and how long a connection may take. Serves the pages and the receiver of
Falco's http_output alike, so it stands below both. Only ``server.py`` and
``request_log.py`` know aiohttp.
"""
