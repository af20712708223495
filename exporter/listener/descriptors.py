"""File descriptors: as many as this process may have, and how many connections fit into them.

Owns the soft limit of the process.
"""

from __future__ import annotations

import logging
import resource

logger = logging.getLogger(__name__)

RESERVED_DESCRIPTORS = 512
"""For the pages' connections, files, the collector and Falco."""
_ENOUGH_DESCRIPTORS = 65_536


def raise_descriptor_limit() -> int:
    """Raise the soft limit of open files as far as the hard limit allows; return it.

    The soft limit is 1,024 on most systems, for the sake of programs that use ``select``; this one does not.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _ENOUGH_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, _ENOUGH_DESCRIPTORS)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return soft if soft != resource.RLIM_INFINITY else _ENOUGH_DESCRIPTORS
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    except (OSError, ValueError) as exc:
        logger.warning("the limit on open files stays at %d: %s", soft, exc)
        return soft
    return wanted


def fitting_connections(wanted: int, setting: str) -> int:
    """Return how many connections fit: those wanted, or fewer where the process may not open so many files."""
    descriptors = raise_descriptor_limit()
    fitting = max(descriptors - RESERVED_DESCRIPTORS, descriptors // 2)
    if wanted <= fitting:
        return wanted
    logger.warning(
        "%s is %d, but this process may open only %d files, enough for %d connections. "
        "Raise the hard limit (ulimit -Hn, LimitNOFILE= of systemd)",
        setting, wanted, descriptors, fitting,
    )  # fmt: skip
    return fitting
