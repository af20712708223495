"""Each check: a sound entry passes, and one with this fault does not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from exporter.lint.checks import CHECKS, check_catalog
from exporter.lint.kinds import check_kinds
from exporter.lint.length import check_length
from tests.unit.catalog.builder import CHANGE, CONTAIN, LOOK, TUNE, catalog_of


@pytest.fixture(autouse=True)
def _without_kinds_and_length(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those two have tests of their own (test_kinds.py, test_length.py)."""
    others = tuple(check for check in CHECKS if check not in {check_kinds, check_length})
    monkeypatch.setattr("exporter.lint.checks.CHECKS", others)


def messages(directory: Path, *entries: dict[str, Any], procedures: tuple[dict[str, Any], ...] = ()) -> str:
    return "\n".join(str(found) for found in check_catalog(catalog_of(directory, *entries, procedures=procedures)))


def tuned(content: str, **changes: str) -> dict[str, Any]:
    return {"tune": [{**TUNE, "content": content, **changes}]}


def running(command: str) -> dict[str, Any]:
    return {"steps": [LOOK, {**LOOK, "run": command}]}


def written(content: str, file_format: str) -> dict[str, Any]:
    return {"configure": [{**CHANGE, "content": content, "format": file_format}]}


def test_a_sound_entry_passes_every_check(tmp_path: Path) -> None:
    """Nothing is found in an entry without faults."""
    assert messages(tmp_path, {}) == ""


def test_the_metadata_tokens_put_is_a_read(tmp_path: Path) -> None:
    """A look may ask AWS' metadata service for the token that its reads need."""
    assert messages(tmp_path, running("curl -sX PUT http://192.0.2.7/latest/api/token")) == ""


ASKS = """jq -n '{kind:"SubjectAccessReview"}' | kubectl create -f -"""


def test_a_question_about_rights_changes_nothing(tmp_path: Path) -> None:
    """A look may post a SubjectAccessReview, which is never stored; anything beside it is still seen."""
    assert messages(tmp_path, running(ASKS)) == ""
    assert "changes state" in messages(tmp_path, running(f"""{ASKS}; jq -n '{{kind:"Pod"}}' | kubectl create -f -"""))
    assert "changes state" in messages(tmp_path, running(f"{ASKS}; kubectl -n a delete pod x"))


USES_A_VALUE = "- list: log_files\n  items: [%{fd.name}]\n  override: {items: append}\n"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        # fields
        ({"summary": "%{proc.pid} emptied a file."}, "proc.pid: this rule's output does not give the field"),
        ({"benign": ["A test of %{ka.verb}."]}, "ka.verb: this rule's output"),
        ({"attack": [{"technique": "T1685.006", "tactic": "TA0112", "when": "ka.verb = get"}]}, "ka.verb: this rule's"),
        (running("stat -- %{fs.path.name}"), "fs.path.name: this rule's output"),
        ({"steps": [{**CONTAIN, "needs": ["proc.sid"]}]}, "proc.sid: this rule's output"),
        # limits
        ({"summary": "x " * 41}, "summary has 41 words"),
        ({"impact": "x " * 61}, "impact has 61 words"),
        ({"what": "x " * 10}, "what has 10 words"),
        ({"ask": "x " * 6}, "ask has 6 words"),
        ({"unknown": ["a", "b", "c"]}, "unknown has 3 items"),
        ({"references": []}, "references has 0 items"),
        ({"what": None}, "missing key: what"),
        ({"close_if": None}, "missing key: close_if"),
        ({"close_if": "the process name looks normal."}, "that an intruder cannot fake"),
        ({"steps": [{**LOOK, "empty": ""}]}, "missing key: empty"),
        ({"steps": [{**LOOK, "where": "cluster"}]}, "missing key: rights"),
        ({"steps": [{**LOOK, "shows": "x " * 50}]}, "shows has 50 words"),
        ({"configure": [{**CHANGE, "check": ""}]}, "format audit without `check`"),
        # wording
        ({"impact": "Implement monitoring of the host."}, "would fit any rule"),
        ({"escalate_if": "step 1 shows a line."}, "step 1 may be another one"),
        ({"recommend": ["Keep what Steps 2 and 3 found."]}, "Steps 2 may be another one"),
        ({"steps": [LOOK, {**LOOK, "run": "echo 'see step 1'"}]}, "step 1 may be another one"),
        # attack
        (
            {"attack": [{"technique": "T1070.002", "tactic": "TA0005"}]},
            "T1070.002 was revoked; ATT&CK 19.0 has T1685.006",
        ),
        ({"attack": [{"technique": "T9999", "tactic": "TA0005"}]}, "T9999 is not a technique"),
        ({"attack": [{"technique": "T1685.006", "tactic": "TA0001"}]}, "does not serve TA0001"),
        # links
        ({"references": [{"title": "x", "url": "http://falco.org/"}] * 2}, "expected https://"),
        ({"references": [{"title": "x", "url": "https://example.com/"}] * 2}, "not one of the catalog's sites"),
        ({"references": [{"title": "x", "url": "https://falco.org/docs/"}] * 2}, "name a link twice"),
        (
            {"references": [{"title": "x", "url": "https://attack.mitre.org/techniques/T1070/002/"}] * 2},
            "T1070.002 is not in ATT&CK",
        ),
        # shell
        (running("echo 'open"), "bash -n, plain values"),
        (running("if true; then echo"), "bash -n, plain values"),
        (running("cat <file name>"), "<file name> cannot be pasted"),
        (running("f=%{fd.name}\nstat -- $f"), "shellcheck: SC2086"),
        (running('for f in "$HOME"; do echo "$f"; done'), "shellcheck: SC2066"),
        # snippets
        (written("a: [", "yaml"), "not yaml with plain values"),
        (written('{"a": }', "json"), "not json with plain values"),
        (written("a = ", "toml"), "not toml with plain values"),
        (written("no section", "ini"), "not ini with plain values"),
        (written("watch /var/log", "audit"), "expected an audit rule"),
        (written("kernel.x 1", "sysctl"), "expected key = value"),
        (written("if true; then", "sh"), "not sh"),
        (written("x", "word"), "format 'word' is not known"),
        (written("a: %{fd.name} x", "yaml"), "not yaml with plain values"),
        # tuning
        (tuned("- macro: allowed_clear_log_files\n  condition: (proc.name = %{proc.name})\n"), "expected `override:`"),
        (
            tuned("- macro: nothing_like_it\n  condition: (proc.name = %{proc.name} and)\n"),
            "condition does not parse",
        ),
        (
            tuned(
                "- macro: user_known_cron_jobs\n  condition: (proc.name = %{proc.name})\n"
                "  override: {condition: replace}\n"
            ),
            "is not used by this rule's condition; upstream's hooks for it: allowed_clear_log_files",
        ),
        (
            tuned("- list: log_files\n  items: [%{fd.name}]\n  override: {items: replace}\n"),
            "has content upstream, which `replace` would lose",
        ),
        (
            tuned("- rule: Schedule Cron Jobs\n  enabled: false\n  override: {enabled: replace}\n" + USES_A_VALUE),
            "tunes Schedule Cron Jobs; expected Clear Log Activities",
        ),
        (
            tuned("- rule: Clear Log Activities\n  enabled: false\n  override: {enabled: replace}\n" + USES_A_VALUE),
            "disables the rule",
        ),
        (
            tuned(
                "- rule: Clear Log Activities\n  capture: true\n  capture_duration: 9\n"
                "  override: {capture: replace}\n" + USES_A_VALUE
            ),
            "capture_duration without an entry under `override`",
        ),
        (
            tuned("- rule: Clear Log Activities\n  capture: true\n  override: {capture: append}\n" + USES_A_VALUE),
            "capture cannot be appended to",
        ),
        (
            tuned(
                "- rule: Clear Log Activities\n  exceptions:\n    - name: a\n      fields: [proc.name, fd.num]\n"
                "      comps: [=, startswith]\n      values: [[%{proc.name}, 1]]\n  override: {exceptions: append}\n"
            ),
            "fd.num is a number; 'startswith' does not fit",
        ),
        (
            tuned(
                "- rule: Clear Log Activities\n  exceptions:\n    - name: a\n      fields: [proc.name, fd.name]\n"
                "      values: [[%{proc.name}]]\n  override: {exceptions: append}\n"
            ),
            "expected a list of 2 values",
        ),
        (
            tuned(
                "- rule: Clear Log Activities\n  condition: or proc.name = %{proc.name}\n  append: true\n"
                "  override: {condition: append}\n"
            ),
            "`append:` is deprecated",
        ),
        (
            tuned("- rule: Clear Log Activities\n  condition: proc.name = x\n  override: {condition: append}\n"),
            "begins with `and` or `or`",
        ),
        (
            tuned("- macro: allowed_clear_log_files\n  condition: (ka.verb = get)\n  override: {condition: replace}\n"),
            "ka.verb is not a field of source syscall",
        ),
        (
            tuned("- macro: allowed_clear_log_files\n  condition: (evt.num=0)\n  override: {condition: replace}\n"),
            "no placeholder",
        ),
        (tuned(TUNE["content"], file="/etc/falco/falco_rules.local.yaml"), "expected /etc/falco/rules.d/"),
        # safety
        (running("rm -rf /tmp/x"), "'rm -rf /tmp/x' changes state; put it under keep or contain"),
        (running("kubectl -n a delete pod x"), "changes state"),
        (running("aws iam delete-user --user-name x"), "changes state"),
        (running("gcloud projects add-iam-policy-binding p"), "changes state"),
        (running("gh api -X DELETE /repos/a/b"), "changes state"),
        (running("curl -X PUT http://192.0.2.7/latest/api/tokens"), "changes state"),
        (running("curl -s https://example.net/x | sh"), "fetches a script and runs it"),
        (running("curl -k https://example.net/"), "does not check the server's certificate"),
        ({"steps": [{**CONTAIN, "run": "systemctl stop falco"}]}, "switches a control off"),
        ({"steps": [{**CONTAIN, "run": "chmod 777 /srv"}]}, "makes files writable for everyone"),
        (running("kubectl get pods"), "names no namespace"),
        (running("kubectl exec web -- id"), "names no namespace"),
        # tools
        (running("frobnicate --now"), "frobnicate is not in the list of known tools"),
        (running("sudo frobnicate --now"), "frobnicate is not in the list of known tools"),
        (running("crictl pause %{container.id}"), "crictl has no subcommand 'pause'"),
        (running("kubectl auth can"), "kubectl auth has no subcommand 'can'"),
        (running("aws iam delete-everything"), "aws iam has no operation 'delete-everything'"),
        (running("aws iam get-user --user x"), "aws iam get-user has no option --user"),
        (running("aws frobnicate list"), "aws frobnicate: the service is not in the table"),
        (running("gcloud logging write-nothing"), "gcloud has no command"),
        (running("gcloud logging read x --since=1d"), "gcloud logging read has no option --since"),
    ],
)
def test_a_fault_is_found(tmp_path: Path, changes: dict[str, Any], expected: str) -> None:
    """Each fault that a check is for is found, with file and line."""
    found = messages(tmp_path, changes)
    assert expected in found
    assert all(line.startswith(f"{tmp_path}/entries.yaml:") for line in found.split("\n"))


@pytest.mark.parametrize(
    "changes",
    [
        running("aws iam get-user --user-name x --output json --no-cli-pager"),
        running("aws s3 ls s3://bucket"),
        {"steps": [{**CONTAIN, "run": "aws ec2 revoke-security-group-ingress --group-id x --port 22"}]},
        running("gcloud logging read x --freshness=1d --project=p"),
        running("kubectl -n %{k8s.ns.name} get pods"),
        running("nsenter -t 1 -n ss -tunap"),
        {"steps": [{**CONTAIN, "run": "kubectl debug node/x -it --image=busybox -- chroot /host crictl ps"}]},
        running("f() { :; }\nf"),
        running("kubectl get nodes,clusterroles"),
        running("kubectl get pods --all-namespaces"),
        running("kubectl auth can-i create pods --as=x"),
        running("aws iam list-users"),
        running("gcloud projects get-iam-policy p"),
        {"steps": [{**CONTAIN, "run": "kubectl -n %{k8s.ns.name} delete pod %{k8s.pod.name}"}]},
        running("case $HOME in (/root) echo 1 ;; *) echo 2 ;; esac"),
        written("a: %{fd.name}", "yaml"),
        written('{"a": %{fd.name}}', "json"),
        written("a = %{fd.name}", "toml"),
        tuned(
            "- rule: Clear Log Activities\n  exceptions:\n    - name: a\n      fields: [proc.name, fd.name]\n"
            '      comps: [in, startswith]\n      values: [[[%{proc.name}, "x"], %{fd.name}]]\n'
            "  override: {exceptions: append}\n"
        ),
        tuned(
            "- rule: Clear Log Activities\n  condition: >-\n    and not (proc.name = %{proc.name})\n"
            "  override: {condition: append}\n"
        ),
        tuned("- list: log_files\n  items: [%{fd.name}]\n  override: {items: append}\n"),
        tuned(
            "- rule: Clear Log Activities\n  capture: true\n  capture_duration: 9\n"
            "  override: {capture: replace, capture_duration: replace}\n" + USES_A_VALUE
        ),
    ],
)
def test_what_is_right_is_let_pass(tmp_path: Path, changes: dict[str, Any]) -> None:
    """What looks unusual but is right is not complained of."""
    assert messages(tmp_path, changes) == ""


SENTENCE = "The file that was emptied is the only copy that this host had of it."


def test_a_sentence_in_two_entries_is_found(tmp_path: Path) -> None:
    """Nine words in a row in two entries are found, in either's prose."""
    other = {"rule": "Schedule Cron Jobs", "impact": f"Now: {SENTENCE}", "tune": None, "summary": "A crontab changed."}
    assert "shares 'the file that was emptied is the only copy'" in messages(tmp_path, {"impact": SENTENCE}, other)


def test_a_procedure_is_shared_without_complaint(tmp_path: Path) -> None:
    """What a procedure says in two entries is one text."""
    procedure = {"name": "look", "purpose": "x", "steps": [{**LOOK, "shows": SENTENCE}]}
    used = {"steps": [{"use": "look"}, LOOK]}
    other = {"rule": "Read ssh information", **used}
    assert "shares 'the file that was emptied" not in messages(tmp_path, used, other, procedures=(procedure,))


def test_a_procedure_that_never_shows_is_found(tmp_path: Path) -> None:
    """A shared step that needs a field which the rule never gives is found at the entry that uses it."""
    procedure = {"name": "look", "purpose": "x", "steps": [{**LOOK, "run": "id -- %{ka.user.name}"}]}
    found = messages(tmp_path, {"steps": [{"use": "look"}, LOOK]}, procedures=(procedure,))
    assert "never shows: it needs ka.user.name" in found
