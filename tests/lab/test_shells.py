"""Every block of the catalog, pasted into an interactive bash and an interactive zsh, means the same in both.

No program runs: on a host with an empty PATH, a shell function stands for
every command and writes down its arguments. Both shells must come to the end
of the block, leave themselves as they were, and have called the same programs
with the same arguments. Blocks for ``sh`` are read by dash as well.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator

import pytest

from exporter.catalog.template import Absent
from exporter.escaping import Unembeddable
from exporter.lint.proven import Block, blocks, blocks_of
from exporter.lint.samples import hostile, plain
from exporter.prose import Lookup
from tests.lab.paste import PasteError
from tests.lab.places.host import Host, host
from tests.lab.steps import reporter

RECORD = """\
PATH=/nowhere OKTA_ORG=example.okta.com OKTA_TOKEN=t GH_TOKEN=t SSH_CONNECTION="192.0.2.1 5 192.0.2.2 22"
command_not_found_handle() {
  local words; words=$(printf ' <%s>' "$@"); printf 'ran%s\\0' "${words//$'\\n'/ LF }" >> "$lab_record"
}
command_not_found_handler() { command_not_found_handle "$@"; }
"""
SAVED = re.compile(r'"\$HOME"(/evidence/\S+?/)([\w-]*)\*(\.\w+)')
"""Files of an earlier step: a pattern that matches none of them is an error in zsh and a file's name in bash."""
_NUMBERS = itertools.count()
VALUES: dict[str, Callable[[], Lookup]] = {"plain": plain, "hostile": hostile}


@pytest.fixture(scope="module")
def shells() -> Iterator[Host]:
    with host() as made:
        for shell in ("bash", "zsh"):
            made.terminal(shell).set_up(RECORD)
        yield made


@pytest.fixture
def chosen(request: pytest.FixtureRequest) -> list[Block]:
    """Every block of the catalog, or those of the rules that ``--lab-rule`` names."""
    wanted = request.config.getoption("--lab-rule").lower()
    catalog = reporter().catalog
    if not wanted:
        return list(blocks(catalog))
    named = [entry for entry in catalog.entries if wanted in entry.rule.lower()]
    return [block for entry in named for block in blocks_of(entry)]


def save_what_it_reads(shells: Host, block: Block, values: Lookup) -> None:
    """Write one file for each pattern of saved files in the block, as the step before it would."""
    for folder, name, suffix in SAVED.findall(block.template.text):
        shells.write("/root" + folder.replace("%{alert.uid}", values("alert.uid") or "") + name + "1" + suffix)


def called(shells: Host, shell: str, block: str) -> str:
    """Return what a shell called while the block was pasted, or what went wrong."""
    # One file a block: what an earlier one left running writes into its own. One line a call: bash writes line by line.
    record = f"/tmp/record-{next(_NUMBERS)}"
    shells.write(record)
    shells.terminal(shell).set_up(f"lab_record={record}")
    try:
        shells.paste(block, shell, 20)
    except PasteError as error:
        shells.new_terminals()
        for name in ("bash", "zsh"):
            shells.terminal(name).set_up(RECORD)
        return str(error)
    # Both ends of a pipe start at once, so the order says nothing; nor do the ids of processes and
    # how many there are, and so how often a loop over them called the same.
    lines = {re.sub(r"(</proc/\d+/(\w+)> *)+", r"</proc/N/\2>", line) for line in shells.read(record).split("\0")}
    calls = "\n".join(sorted(lines))
    return re.sub(rf"([<=]){shells.terminal(shell).variable('$')}>", r"\1$$>", calls) if "$$" in block else calls


@pytest.mark.timeout(900)
@pytest.mark.parametrize("values", VALUES)
def test_bash_and_zsh_take_a_pasted_block_alike(shells: Host, values: str, chosen: list[Block]) -> None:
    differing = []
    lookup = VALUES[values]()
    for each in chosen:
        try:
            block = each.template.render(lookup)
        except (Absent, Unembeddable):
            continue
        save_what_it_reads(shells, each, lookup)
        bash, zsh = (called(shells, shell, block) for shell in ("bash", "zsh"))
        if bash != zsh or "no end within" in bash or "left the reader" in bash:
            differing.append(f"{each.digest} {each.rule}: {each.title}\n{block}\n--- bash:\n{bash}\n--- zsh:\n{zsh}")
    assert not differing, f"{len(differing)} blocks:\n" + "\n==========\n".join(differing)


def test_dash_reads_blocks_for_sh(shells: Host, chosen: list[Block]) -> None:
    wrong = []
    for each in chosen:
        if each.shell == "sh":
            shells.write("/tmp/block", each.template.render(plain()))
            answer = shells.run("dash -n /tmp/block 2>&1 || true")
            wrong += [f"{each.rule}: {each.title}: {answer}"] if answer else []
    assert not wrong, "\n".join(wrong)
