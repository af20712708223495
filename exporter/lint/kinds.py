"""Kinds of faults that blocks of commands had, each found by its form.

Owns what breaks in the reader's shell, at the second run, in a managed
cluster or on a laptop. Refuses what a shell's own parser says (``shell.py``)
and what is never safe (``safety.py``).
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator

from exporter.catalog.catalog import Catalog
from exporter.catalog.exception import ExceptionStep
from exporter.catalog.steps import ChangeStep, CommandStep
from exporter.lint.finding import Finding
from exporter.lint.samples import VALUES
from exporter.lint.shell import rendered
from exporter.lint.walk import changes, commands

_ZSH = (
    "argv|cdpath|commands|fignore|fpath|functions|histchars|mailpath|manpath|match|mbegin|mend|options|path|pipestatus|"
    "prompt|psvar|signals|status|watch|ERRNO|GID|UID|EUID|EGID|PPID|SECONDS|RANDOM|USERNAME|HISTCMD"
)
_JQ_YES = r"\bjq (?=(?:-\w+ )*-(?:\w*e|-exit-status))(?!(?:-\w+ )*-\w*[ns])[^|;&\n]*"
_JQ_MESSAGE = "{}: jq 1.6 ends with 0 where its file is empty, which reads as a yes; write jq -se '.[]|…'"
_ASKED = "aws|crictl|curl|gcloud|gh|kubectl"
"""Programs whose answer may not come: no right, no network, another version."""
_EVERYWHERE: tuple[tuple[str, str], ...] = (
    (rf"(?m)(?:^|[\s;(&|])(?:{_ZSH})=|\b(?:for|read|read -r) (?:{_ZSH})\b",
     "{} has a meaning in zsh, macOS' default shell; take another name"),
    (r"(?m)(?:^|[\s;])#(?![!{]).*$", "comment {}: interactive zsh runs it as a command; put it into `shows`"),
    (r"\bfor \w+ in [^\n;]*\$\(", "{}: zsh does not split words; pipe into `while read -r`"),
    (r"\bfor \w+ in \$\w+\b", "{}: zsh does not split words; pipe into `while read -r`"),
    (r"\[![^\s\]]", "{}: interactive zsh looks into its history for what follows `!`; see what `tr -d` leaves"),
    (r"\b(?:mapfile|readarray)\b", "{} is not in zsh nor in macOS' bash; pipe into `while read -r`"),
    (r"\bsysctl --system\b", "{} applies every file anew; apply the one file with `sysctl -p FILE`"),
    (r"\bsystemctl (?:reboot|kexec|poweroff|halt)\b|(?m:^\s*reboot\b)", "{} destroys evidence and services"),
    (r"\bupdate-grub\b", "{} needs a reboot; change what is running"),
    (r"\bps (?![^\n|;)&]*-ww)[^\n|;)&]*\b(?:args|cmd)\b(?![^\n;)&]*\|)|\bps (?:-ef|aux)(?![\w ]*(?:ww|\|))",
     "{} cuts command lines at the terminal's width; write ps -ww"),
    (_JQ_YES, _JQ_MESSAGE),
    (r"\bnsenter\b(?=[^\n|;&]* (?:-\w*[am]\b|--all\b|--mount\b))[^\n|;&]*",
     "{} runs a program of the container's as the node's root; read through /proc/PID/root"),
    (r"\bmv -f\b|\bmv --force\b", "{} overwrites what was saved; write only where nothing is: [ -e F ] || …"),
    (r"\btar\b(?![^\n|;)]*-\w*S)[^\n|;)]* -\w*c\w*", "{} reads holes for hours, as lastlog's; write tar -S"),
    (r"/proc/\[0-9\]\*/cgroup[^\n]*\| (?:head -n 1|grep -om1)\b",
     "{} is the first by name, maybe with another root; take the container's oldest: ps -wweo … --sort=start_time"),
    (r"-printf ''[^\n|]*\|(?![^\n]*cat -v)[^\n]*", "{}: a name may hold what moves the cursor; end it with | cat -v"),
    (r"\blogs\b[^\n;|]*(?:\| tail\b|--tail\b(?!=-1\b))[^\n]*|--until %\{alert\.time\}",
     "{}: read later, or in the alert's own second, it leaves out what came just before; begin a minute before "
     "and take the first lines, or end at alert.just_after"),
    (r"--password \"?\$\w+", "{} shows the hash to everybody in ps; write printf '%s:%s' NAME HASH | chpasswd -e"),
    (rf"\[ [^\n\]]*!= \"?\$\((?:{_ASKED})\b[^\n]*",
     "{}: where nobody answers, it passes; write m=$(…); [ … != \"${{m:?unknown}}\" ]"),
    (rf"(?:^|[\s;(&|])! (?:{_ASKED})\b[^\n|]*\|(?!\|)[^\n]*",
     "{}: where nobody answers, nothing is found and it passes; read the answer first, and refuse an empty one"),
    (r"\bcp -(?!\w*T)\w+ (?:-- )?\"?(?:/root|\$HOME|\$d)/[^\n;&|)]*",
     "{} puts it into a folder that has been made by that name since; write cp -…T"),
    (r"\bps -o tty= -p\b",
     "{} knows a container's terminal only where the machine has one of that number; compare stat's with proc.tty"),
    (r"\bkubectl (?:un)?cordon\b", "{}: its undo lifts what others closed; taint it by a key of the alert's own"),
)  # fmt: skip
"""What no block may do, with {} for what was found."""
_LAPTOP: tuple[tuple[str, str], ...] = (
    (r"\bdate\b[^\n|;)]*\s(?:-d|--date)\b", "{}: macOS has no `date -d`; use a time that the program computes"),
    (r"\bsed\b[^\n|;)]*\s-i(?!\s*'')", "{}: macOS' sed reads -i differently; write to a new file"),
    (r"\b(?:grep|sed)\b[^\n|;)]*\s-\w*P\w*\b", "{}: macOS' grep has no -P"),
    (r"\breadlink -f\b|\bstat -c\b|\bxargs -r\b|\bbase64 -w", "{} is GNU's only; this step runs on a laptop"),
)  # fmt: skip
"""What no block may do where kubectl or a provider's client runs."""
_IN_A_ROOT = re.compile(r"/proc/[^/\s]+/root\b")
_SAFE_IN_A_ROOT = re.compile(
    r"\bcd \"/proc/[^/\s]+/root/?\"|\b(?:namei|stat|ls)(?: -\w+)*(?: --)? \"?/proc/[^/\s]+/root\b"
)
"""What follows no link that a container has made: its root itself, and who owns what on the way to a file."""
_TEN_MINUTES = re.compile(r"alert\.since(?:_rfc3339)?\}.*alert\.until(?:_rfc3339)?\}", re.DOTALL)
_APPLIED = re.compile(r"\bkubectl\b[^\n|;]*\bapply\b")
_HIDES = re.compile(r"2>\s*/dev/null|&>\s*/dev/null|>\s*/dev/null 2>&1")
_OVERLAY_FILES = re.compile(r"\bfind\b[^\n|;]*(?:upper|\$up|/diff\b)[^\n|;]*-type f\b")
_OF_ANY_SIZE = re.compile(r"\bgcore\b|\bcp -aT\b|\btar\b[^\n|;)]* -\w*c\w*")
_OF_ANY_CONTAINER = re.compile(r"\bpgrep (?![^\n|]*(?:--ns=|-P ))[^\n|]*")
_SAVED = re.compile(r"(?<![<>&=\-\d])>>?\s*\"?(?!/dev/|&|/proc/|/sys/)((?:\$\w+|\$\{\w+\}|\$HOME|~|/|\w)[^\s\";|&)]*)")
_RELOAD_ALL = re.compile(r"\b(?:systemctl (?:reboot|kexec)|sysctl --system|update-grub|nft flush ruleset)\b")


def check_kinds(catalog: Catalog) -> Iterator[Finding]:
    """Yield blocks, changes and tuning with a fault of a known kind."""
    own = [(owned.owner, step) for owned, step in commands(catalog)]
    for owner, step in own:
        for message in faults(step):
            yield Finding(step.place, owner, message)
    yield from _dash(own)
    for owned, change in changes(catalog):
        for message in _change(change):
            yield Finding(change.place, owned.owner, message)
    for entry in catalog.entries:
        if any(not isinstance(step, ExceptionStep) for step in entry.tuning):
            message = "tune with `content`: name the fields under `except`; the exception is written for you"
            yield Finding(entry.place, entry.rule, message)


def faults(step: CommandStep) -> Iterator[str]:
    """Yield what is wrong with one step's blocks, by kind."""
    for text in (step.run.text, step.undo.text):
        kinds = (*_EVERYWHERE, *(_LAPTOP if step.where in {"cluster", "cloud"} else ()))
        for pattern, message in kinds:
            if match := re.search(pattern, _without_strings(text)):
                yield message.format(match[0].strip())
    for text in (step.run.text, step.undo.text):
        if _IN_A_ROOT.search(_SAFE_IN_A_ROOT.sub("", text)) and "/mountinfo" not in text:
            yield (
                "/proc/PID/root: a link of the container's leads to the node's own files from there; open the file or "
                "enter its folder, then look for the mnt_id of /proc/self/fdinfo in /proc/PID/mountinfo"
            )
    if _TEN_MINUTES.search(step.run.text):
        yield "from alert.since to alert.until: a window of ten minutes; look from the beginning until now"
    if _APPLIED.search(step.run.text) and "<<" in step.run.text and not _is_whole(step.run.text):
        yield "kubectl apply of a part of a manifest; it would drop or refuse the rest: use patch"
    if step.phase in {"keep", "contain", "recover"} and (match := _HIDES.search(step.run.text + step.undo.text)):
        yield f"{match[0]} hides why it failed; let the reader see the error"
    if match := _OVERLAY_FILES.search(step.run.text):
        yield f"{match[0]}: whiteouts and links are not of type f; leave -type out"
    yield from _unbounded(step)
    yield from _saved(step)


def _unbounded(step: CommandStep) -> Iterator[str]:
    """What takes in more than the alert's: a disk's worth of memory or files, or other containers' processes."""
    match = _OF_ANY_SIZE.search(step.run.text)
    if match and "ulimit -f" not in step.run.text:
        yield f"{match[0]} may fill the disk; set ulimit -f in the block's subshell"
    match = _OF_ANY_CONTAINER.search(step.run.text)
    if match and "host" in step.condition.only:
        yield f"{match[0].strip()}: on a host it finds containers' processes too; add --ns=$$ --nslist=pid"


def _saved(step: CommandStep) -> Iterator[str]:
    """What is written goes below a directory that the alert's uid names, or into the kernel's own files."""
    if step.phase not in {"keep", "contain"}:
        return
    text = step.run.text
    inside = re.search(r"\bcd \"?\$\{?(\w+)\}?\"?(?![/\w])", text)
    for match in _SAVED.finditer(text):
        target = match[1]
        if inside and target[0] not in "/$~" and _named_by_uid(inside[1], text):
            continue
        variable = re.match(r"\$\{?(\w+)", target)
        if target.startswith(("/proc", "/sys")) or "alert.uid" in target:
            continue
        if variable and _named_by_uid(variable[1], text):
            continue
        if variable and re.search(rf"\b{variable[1]}=/(?:sys|proc)/", text):
            continue
        yield f"writes {target}: name it by the alert's uid, below d=/root/evidence/%{{alert.uid}}"


def _named_by_uid(variable: str, text: str, depth: int = 0) -> bool:
    assignment = re.search(rf"\b{variable}=(\S+)", text)
    if assignment is None or depth > 3:
        return False
    if "alert.uid" in assignment[1]:
        return True
    inner = re.match(r"\"?(?:\$HOME/evidence/)?\$\{?(\w+)", assignment[1])
    return inner is not None and _named_by_uid(inner[1], text, depth + 1)


def _without_strings(text: str) -> str:
    """Return the text with what stands in single quotes left out: programs of jq, awk and sed are not the shell's."""
    return re.sub(r"'[^']*'", "''", text)


def _change(change: ChangeStep) -> Iterator[str]:
    if match := re.search(_JQ_YES, _without_strings(f"{change.check}\n{change.load}")):
        yield _JQ_MESSAGE.format(match[0].strip())
    if match := _RELOAD_ALL.search(f"{change.check}\n{change.load}"):
        yield f"{match[0]}: load this one file only"
    if change.format == "falco" and re.search(
        r"override:\s*\n?\s*\{?\s*(?:condition|items): replace", change.content.text
    ):
        yield "override with `replace` drops what somebody else put there; append"
    if (
        _APPLIED.search(f"{change.check}\n{change.load}")
        and change.format == "yaml"
        and not _is_whole(change.content.text)
    ):
        yield "kubectl apply of a part of a manifest; it would drop or refuse the rest: use patch"
    if change.tool in {"kubernetes", "kubectl"} and re.search(r"\bjq \.", change.check):
        yield "`jq .` only says that it is JSON; check with the program that reads it"


def _is_whole(text: str) -> bool:
    """Whether the text is of whole Kubernetes objects."""
    return all(re.search(rf"\b{key}\b", text) for key in ("apiVersion", "kind", "name"))


def _dash(steps: list[tuple[str, CommandStep]]) -> Iterator[Finding]:
    """Yield blocks fenced sh that dash, the plainest POSIX shell, cannot parse; nothing where it is not installed."""
    dash = shutil.which("dash")
    for owner, step in steps if dash else ():
        if step.shell != "sh":
            continue
        lookup = VALUES["plain"](step.condition.only)
        for text in filter(None, (rendered(step.run, lookup), rendered(step.undo, lookup))):
            done = subprocess.run([str(dash), "-n"], input=text.encode(), capture_output=True, check=False, timeout=60)
            if done.returncode or done.stderr:
                said = done.stderr.decode(errors="replace").strip().split("\n")[0]
                yield Finding(step.place, owner, f"fenced sh, but dash -n says: {said}")
