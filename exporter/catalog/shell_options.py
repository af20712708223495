"""Which programs take the next word as it stands, even where it begins with a dash.

Owns what is known of each program's reading of its arguments. A program or an
option that is not listed here may take such a word for an option: aws and
gcloud do so even after an option that needs a value (write ``--name=%{…}``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

_ONE: Mapping[str, frozenset[str]] = {
    "crictl": frozenset({"--label", "--name", "--namespace"}),
    "date": frozenset({"-d"}),
    "find": frozenset(
        {"-group", "-iname", "-inum", "-ipath", "-lname", "-name", "-newerat", "-newerct", "-newermt", "-path",
         "-samefile", "-user"}
    ),
    "grep": frozenset({"-e"}),
    "journalctl": frozenset({"--since", "--until", "-u"}),
    "kubectl": frozenset({"--as", "--namespace", "-l", "-n"}),
    "ps": frozenset({"-t"}),
}  # fmt: skip
"""Options after which one word is taken as it stands: by getopt, by Go's flags, or because it is an operand."""
_TWO: Mapping[str, frozenset[str]] = {"jq": frozenset({"--arg", "--argjson"})}
"""Options after which two words are."""
_TESTS = frozenset({"!=", "=", "-L", "-d", "-e", "-f", "-h", "-r", "-s", "-w", "-x"})


def takes_literally(command: Sequence[str]) -> bool:
    """Whether the word that follows is never read as an option; ``command`` is its simple command up to there."""
    if not command:
        return False
    program, before = command[0].rsplit("/", 1)[-1], command[1:]
    if program in {"[", "test"}:
        return before[-1:] != [] and before[-1] in _TESTS
    if program == "printf":
        return before[:1] != [] and not before[0].startswith("-")
    taken = 0
    for word in before:
        if taken:
            taken -= 1
        elif word in _ONE.get(program, ()):
            taken = 1
        elif word in _TWO.get(program, ()):
            taken = 2
    return taken > 0
