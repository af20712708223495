"""Kinds of faults in blocks: each is found, and what looks like it but is sound passes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from exporter.lint.kinds import check_kinds
from tests.unit.catalog.builder import CHANGE, CONTAIN, LOOK, TUNE, catalog_of

EXCEPT = {"tune": [{"do": "Allow it.", "except": ["proc.name", "fd.name"]}]}


def found(directory: Path, changes: dict[str, Any]) -> str:
    return "\n".join(str(each) for each in check_kinds(catalog_of(directory, EXCEPT | changes)))


def look(run: str, **keys: str) -> dict[str, Any]:
    return {"steps": [{**LOOK, "run": run, **keys}]}


def contain(run: str, **keys: str) -> dict[str, Any]:
    return {"steps": [{**CONTAIN, "run": run, **keys}]}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (look('path=/etc/passwd\ncat "$path"'), "path= has a meaning in zsh"),
        (look("while read -r status; do echo; done"), "has a meaning in zsh"),
        (look("stat /etc # the file"), "comment # the file: interactive zsh"),
        (look("for x in $(ls /tmp); do echo; done"), "zsh does not split words"),
        (look("for x in $list; do echo; done"), "zsh does not split words"),
        (look("case $a in (*[!0-9]*) echo no ;; esac"), "[!0: interactive zsh looks into its history"),
        (look("mapfile -t a < /etc/passwd"), "mapfile is not in zsh"),
        (look("ps -o pid,args -p 7"), "ps -o pid,args cuts command lines"),
        (look("ls | xargs ps --forest -eo pid,cmd"), "cuts command lines"),
        (look("ls | wc -l; ps -ef"), "ps -ef cuts command lines"),
        (contain("sysctl --system"), "sysctl --system applies every file anew"),
        (contain("systemctl reboot"), "systemctl reboot destroys evidence"),
        (contain("mv -f a b"), "mv -f overwrites"),
        (contain("jq -er '.id' a.json && true"), "jq 1.6 ends with 0 where its file is empty"),
        (contain("true", undo='i=$(jq -r -e --arg a b .id "$d/a")'), "jq 1.6 ends with 0"),
        (look("jq --exit-status .id a.json"), "jq 1.6 ends with 0"),
        ({"configure": [{**CHANGE, "check": "jq -e .rules a.json"}]}, "jq 1.6 ends with 0"),
        (look("date -d yesterday", where="cloud", rights="x"), "macOS has no `date -d`"),
        (look("grep -P x /etc/passwd", where="cluster", rights="x"), "macOS' grep has no -P"),
        (look("journalctl --since %{alert.since} --until %{alert.until}"), "a window of ten minutes"),
        (contain("kubectl -n a apply -f - <<'END'\nspec: {replicas: 0}\nEND"), "kubectl apply of a part of a manifest"),
        (
            {"configure": [{**CHANGE, "format": "yaml", "content": "spec: {a: 1}", "load": "kubectl apply -f x.yaml"}]},
            "kubectl apply of a part of a manifest",
        ),
        (contain('d=/root/evidence/%{alert.uid}; tar -C /var -czf "$d/log.tgz" log'), "reads holes for hours"),
        (contain('d=/root/evidence/%{alert.uid}; tar -C /var -Sczf "$d/log.tgz" log'), "may fill the disk"),
        (contain("gcore -o /root/evidence/%{alert.uid}/core 7"), "may fill the disk"),
        (look("p=$(grep -ls x /proc/[0-9]*/cgroup | cut -d/ -f3 | head -n 1)"), "take the container's oldest"),
        (look("p=$(grep -ls x /proc/[0-9]*/cgroup | grep -om1 '[0-9]*')"), "take the container's oldest"),
        (look("find /tmp -printf '%p\\n' | sort"), "a name may hold what moves the cursor"),
        (look("kubectl -n a logs b --since-time=c | tail -n 500"), "leaves out what came just before"),
        (look("crictl logs --tail 500 a"), "leaves out what came just before"),
        (look("journalctl --until %{alert.time} | tail"), "leaves out what came just before"),
        (contain("true", undo='usermod --password "$h" "$n"'), "shows the hash to everybody"),
        (contain("true", undo="cp -an -- /root/evidence/x /srv/x"), "a folder that has been made by that name since"),
        (contain('[ "$(ps -o tty= -p "$p")" = pts/0 ] && kill -HUP "$p"'), "where the machine has one of that number"),
        (contain("true", undo="kubectl uncordon %{alert.hostname}"), "lifts what others closed"),
        (contain('[ "$u" != "$(aws sts get-caller-identity)" ] || exit 1'), "where nobody answers, it passes"),
        (
            contain("! gcloud config list | grep -qx me || exit 1"),
            "where nobody answers, nothing is found and it passes",
        ),
        (look("pgrep -fx -- %{alert.cmdline_regex}", only="host"), "finds containers' processes too"),
        (look('pgrep -u %{user.uid} "$s" | wc -l', only="host"), "finds containers' processes too"),
        (look("nsenter -t 1 -m -- ls -l /etc"), "runs a program of the container's as the node's root"),
        (look("nsenter --target 1 --all ls"), "runs a program of the container's as the node's root"),
        (look('p=7; sha256sum "/proc/$p/root"%{fd.name}'), "a link of the container's leads to the node's own files"),
        (look('cd "/proc/7/root/etc" && cat passwd'), "a link of the container's leads to the node's own files"),
        (contain("true", undo="cp x /proc/7/root/etc/x"), "a link of the container's leads to the node's own files"),
        (contain("kill 1 2>/dev/null"), "hides why it failed"),
        (contain("true", undo="kill 1 2>/dev/null"), "hides why it failed"),
        (look('up=/x/upperdir\nfind "$up" -xdev -type f'), "whiteouts and links are not of type f"),
        (contain("ss -tn > /root/sockets"), "writes /root/sockets: name it by the alert's uid"),
        (contain('d=/root/evidence; ss -tn > "$d/sockets"'), "name it by the alert's uid"),
        (look("diff <(id) <(id)"), "fenced sh, but dash -n says"),
        ({"configure": [{**CHANGE, "load": "sysctl --system"}]}, "load this one file only"),
        ({"tune": [TUNE]}, "override with `replace` drops what somebody else put there"),
        ({"tune": [TUNE]}, "tune with `content`"),
    ],
)
def test_a_fault_is_found(tmp_path: Path, changes: dict[str, Any], expected: str) -> None:
    """Each kind is found, with file and line."""
    assert expected in found(tmp_path, changes)


@pytest.mark.parametrize(
    "changes",
    [
        look('f=%{fd.name}\nstat -- "$f"'),
        look("awk '{ path = $1; print path }' /etc/passwd"),
        look('ls /proc | while read -r p; do echo "$p"; done'),
        look('for f in exe maps; do echo "$f"; done'),
        look("jq -ser '.[].id' a.json; jq -rse '.[].id' a.json; jq -ne 'true'"),
        look("jq -r '.e' a.json; jq --arg e s . a.json"),
        look("date -d yesterday"),
        look("ps -ww -o pid,args -p 7; ps -o ppid= -p 8; grep -A 2 args | xargs echo"),
        look("ps -o args= -C falco | tr ' ' x; ps -ef | head"),
        look("find /tmp -type f"),
        look("kubectl -n a logs -l app=b --tail=-1"),
        look("echo '#'; echo \"${#HOME}\""),
        look("diff <(id) <(id)", shell="bash"),
        look("ss -tn 2>/dev/null"),
        look("journalctl --since %{alert.day_before} --until %{alert.until}"),
        contain("kubectl -n a apply -f - <<'END'\napiVersion: v1\nkind: Pod\nmetadata: {name: x}\nEND"),
        contain('d=/root/evidence/%{alert.uid}; ss -tn > "$d/sockets"'),
        contain('u=%{alert.uid}; d=$HOME/evidence/$u; ss -tn > "$d/sockets"'),
        contain('d=/root/evidence/%{alert.uid}; cd "$d" && ss -tn > sockets'),
        contain('g=/sys/fs/cgroup/x; echo 1 > "$g/cgroup.freeze"'),
        contain('d=/root/evidence/%{alert.uid}; ulimit -f 4000000; tar -Sczf "$d/a.tgz" a; gcore -o "$d/c" 7'),
        look("grep -ls x /proc/[0-9]*/cgroup | cut -d/ -f3 | while read -r p; do head -n 1 /etc/passwd; done"),
        look("find /tmp -printf '%p\\n'; find /tmp -printf '%p\\n' | sort | tail -n 3 | cat -v"),
        look("kubectl -n a logs b --since-time=c | head -n 500; journalctl --until %{alert.just_after} | tail"),
        look("pgrep -fx --ns=$$ --nslist=pid -- %{alert.cmdline_regex}", only="host"),
        look("pgrep -fx -- %{alert.cmdline_regex}", only="container"),
        look("nsenter -t 7 -n ss -tunap; ls -l -a"),
        look('cd "/proc/7/root/" && find ./ -type f'),
        look('stat "/proc/7/root"%{fd.name}; namei -l "/proc/7/root/etc"'),
        look('exec 3< /proc/7/root/x; grep -q "$(cat /proc/self/fdinfo/3)" /proc/7/mountinfo; cat <&3'),
    ],
)
def test_what_is_sound_passes(tmp_path: Path, changes: dict[str, Any]) -> None:
    """What looks like a fault but is none is not complained of."""
    assert found(tmp_path, changes) == ""
