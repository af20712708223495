"""What a step saves for its undo is there, and stays as the first run found it."""

from __future__ import annotations

import pytest

from exporter.lint.undo import undoing_others, unkept_processes, unsafe_saving

GOOD = (
    ('[ -s "$f" ] || get > "$f"\n[ -s "$f" ] && change', 'put "$f"'),
    ("[ -s a.json ] ||\n  get > a.json\n[ ! -s a.json ] || change", "put a.json"),
    ('if [ ! -s "$f" ]; then\n  get > "$f"\nfi\n[ ! -s "$f" ] || change', 'put "$f"'),
    ('get > "$f.new" && mv "$f.new" "$f" && kubectl delete thing', 'kubectl create -f "$f"'),
    ("asks >/dev/null||exit\nchange", "change </dev/null"),
    ('[[ -s $f ]] || get > "$f"\n[[ -s $f ]] && change', 'put "$f"'),
    ('user=$(get | jq -e .active) &&\n  printf %s "$user" > a.json && change', "put a.json"),
    ('get > "$f.new" && jq -e .open "$f.new" && mv -f "$f.new" "$f" && patch', 'put "$f"'),
    (
        '[ -e "$d/a.json" ] || { get > "$d/a.new" && mv "$d/a.new" "$d/a.json"; }\n[ ! -e "$d/a.json" ] || x',
        '< "$d/a.json"',
    ),
    ("if [ -u /bin/x ]; then stat > /root/m && chmod u-s /bin/x; fi", "chmod $(cat /root/m) /bin/x"),
    ('f=a-"$sa"-$(date -u +%H%M%S).json\nget > "$f" && test -s "$f" && delete', 'for f in a-*.json; do put "$f"; done'),
    ("get > /dev/null && change", "put back"),
    ("printf x > /etc/x.d/90.conf\nreload", "rm /etc/x.d/90.conf\nreload"),
    ('find | while read -r f; do echo > "$f"; done', 'while read -r f v; do echo "$v" > "$f"; done < list'),
    ('find | while read -r a; do echo > "$a"; done', 'while read -r a agent; do echo "$agent" > "$a"; done < list'),
    ("jq '.a >= .b' and 2> errors && change", "put = errors.txt"),
)


@pytest.mark.parametrize(("run", "undo"), GOOD)
def test_well_saved_state_is_left_alone(run: str, undo: str) -> None:
    """Saved once, or anew of a thing that is then deleted; files that the undo removes are no saved state."""
    assert list(unsafe_saving(run, undo)) == []


@pytest.mark.parametrize(
    ("run", "undo", "expected"),
    [
        ('get > "$f" &&\n  change', 'put "$f"', ["a second run overwrites '$f'"]),
        ("get > a.json && kubectl delete x", "kubectl create -f a.json", ["a second run overwrites 'a.json'"]),
        ('get > "$f.new" && mv -f "$f.new" "$f" && patch', 'put "$f"', ["a second run overwrites '$f'"]),
        ("[ -s a.json ] || get > a.json\nchange", "put a.json", ["the step acts although 'a.json'"]),
        ("get > a.json\nchange", "put a.json", ["a second run overwrites 'a.json'", "the step acts although 'a.json'"]),
    ],
)
def test_state_that_a_second_run_would_spoil_is_found(run: str, undo: str, expected: list[str]) -> None:
    """Overwritten by what the first run left, or by nothing; or missing while the step goes on."""
    found = list(unsafe_saving(run, undo))
    assert len(found) == len(expected)
    assert all(message.startswith(beginning) for message, beginning in zip(found, expected, strict=True))


@pytest.mark.parametrize(
    ("run", "undo", "expected"),
    [
        ('kill -STOP "$p"', 'chmod 755 "$f"', ["stops processes"]),
        ('echo "$p" >> "$d/stopped" && kill -STOP "$p"', 'kill -CONT "$p"', []),
        ('echo "$p" >> "$d/stopped"; kill -STOP "$p"', 'kill -CONT "$p"', ["stops what it may not have written down"]),
        ('kill -STOP "$p" && echo "$p" >> "$d/frozen"', 'kill -CONT "$p"', ["stops first and writes down"]),
        ("true", '[ "$(ps -olstart= -p"$p")" = "$s" ] && kill -CONT "$p"', ["the undo compares a time that moves"]),
        ('echo "$p" >> "$d/stopped"\n  kill -STOP "$p"', 'kill -CONT "$p"', ["stops what it may not"]),
        ('pgrep -P "$p" | while read -r c; do kill -STOP "$c"; done', 'kill -CONT "$p"', ["stops a few generations"]),
        ('kill -STOP "$1" && pgrep -P "$1" | while read -r c; do f "$c"; done', 'kill -CONT "$p"', []),
        ('ps -p "$p" >> "$d/killed" && kill -KILL "$p"', "", ["ends processes"]),
        ('cat "/proc/$p/$f" > "$d/$p.$f"; kill -KILL "$p"', "", []),
        ('kill -KILL "$p"; cat "/proc/$p/exe" > "$d/exe"', "", ["ends processes"]),
    ],
)
def test_processes_are_kept_and_go_on(run: str, undo: str, expected: list[str]) -> None:
    """The undo lets what was stopped go on; of what is ended its program is kept before."""
    found = list(unkept_processes(run, undo))
    assert len(found) == len(expected)
    assert all(message.startswith(beginning) for message, beginning in zip(found, expected, strict=True))


@pytest.mark.parametrize(
    "run",
    [
        'aws ecs update-service --desired-count=0 && { [ "$n" = 0 ] || mv "$d/now" "$d/was"; }',
        "aws cloudtrail stop-logging --name=x&&touch stopped",
        "aws iam put-user-policy --policy-name=falco-%{alert.uid}",
        'gcloud iam roles update x --stage=DISABLED && { [ "$(jq -r .stage "$f.now")" = DISABLED ] || mv "$f.now" x; }',
        "curl -sSf https://example.okta.com/api/v1/users/me",
    ],
)
def test_a_change_that_is_noted_once_it_was_made_is_left_alone(run: str) -> None:
    assert list(undoing_others(run, "")) == []


@pytest.mark.parametrize(
    ("run", "undo"),
    [
        ('curl -XDELETE "$s?a=1&b=2" -H"$h" && mv "$d/app.now" "$d/app.json"', 'post "$d/app.json"'),
        ('[ -z "$p" ]||{ curl -sSf -XPOST "$u/$p"&&mv "$f.now" "$f.json";}', "find -name 'user-*.json'"),
        (
            'gh api --method DELETE "$k" < /dev/null && mv "$d/key.now" "$d/key-$i-$k.json"',
            'find -name "key-$i-*.json"',
        ),
        ('curl -X PATCH "$u" \\\n  -d \'{"a": 1}\' && mv a.now "$d/case-$n.json"', "find -name 'case-*.json'"),
        ('curl -XPOST "$z" -d@"$d/z.now" -o"$d/z.now"&&mv "$d/z.now" "$d/z.json";}', 'jq .id "$d/z.json"'),
        ('curl -XDELETE "$u/sessions"\ncurl -XPOST "$u/suspend" && touch "$d/suspended"', '[ -e "$d/suspended" ]'),
    ],
)
def test_a_call_over_http_whose_undo_needs_that_it_was_accepted_is_left_alone(run: str, undo: str) -> None:
    """A file is moved into place behind the call, and the undo looks for just that."""
    assert list(undoing_others(run, undo)) == []


OLD_GROUP = """
[ -s "$d/groups.json" ] || curl -sSf "$s/users/$u/groups" -H"$h" -o"$d/groups.json"||exit 1
curl -sSf -XDELETE "$s/groups/$g/users/$u" -H"$h"
curl -sSf "$s/users/$u/groups" -H"$h"|jq -r '.[]|[.id,.profile.name]|@tsv'
"""
OLD_REPOSITORY = """
[ -s "$d/repo.json" ] || { gh api "repos/$r" > "$d/repo.new" && mv "$d/repo.new" "$d/repo.json"; }
gh api --paginate "repos/$r/forks" --jq '.[] | [.full_name, .created_at] | @tsv'
jq -se '.[].visibility=="public"' "$d/repo.json" && gh api --method PATCH "repos/$r" -F private=true --jq .visibility
"""
OLD_CASES = """
jq -r '.supportCases[].caseNumber' "$d/cases.json" | while read -r n; do
  curl -sSf -X PATCH "$u/$n" -H 'Content-Type: application/json' \\
    -d '{"impersonation": {"status": "DISABLED"}}' < /dev/null
done
"""


@pytest.mark.parametrize(
    ("run", "undo"),
    [
        (OLD_GROUP, 'jq -se \'.[]|any(.[]; .id==$g)\' "$d/groups.json" && curl -sSf -XPUT "$s/groups/$g/users/$u"'),
        (OLD_REPOSITORY, '[ "$(jq -r .visibility "$d/repo.json")" != public ] || gh api --method PATCH "repos/$r"'),
        (OLD_CASES, 'jq .caseNumber "$d/cases.json"'),
        ('curl -XPOST "$u/suspend" -o /dev/null', 'curl -XPOST "$u/unsuspend"'),
        ('jq -n {} | curl -XPOST "$z" -d@- -o"$d/zone.json"', 'jq .id "$d/zone.json"'),
        ('gh api --method PUT "$a" && mv "$d/a.now" "$d/a.json"', 'jq . "$d/before.json"'),
        ('gh api -X PUT "$a" ; mv "$d/a.now" "$d/a.json"', 'jq . "$d/a.json"'),
    ],
)
def test_a_call_over_http_that_others_may_have_made_is_found(run: str, undo: str) -> None:
    """The state before is kept whether the call was accepted or not, or the undo does not ask for the note."""
    (found,) = undoing_others(run, undo)
    assert "somebody else" in found


@pytest.mark.parametrize(
    "run",
    [
        '[ -s "$d/was" ] || aws x get > "$d/was"; [ -s "$d/was" ] && aws x put',
        'echo "$u" >> "$d/started" && gcloud compute instances start "$u"',
        'mv a b && gcloud storage buckets update "gs://$b" --public-access-prevention',
    ],
)
def test_a_change_that_others_may_have_made_is_found(run: str) -> None:
    (found,) = undoing_others(run, "")
    assert "somebody else" in found
