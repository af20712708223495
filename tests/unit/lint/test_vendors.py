"""Kinds of faults of steps on clusters and clouds: each is found, and what is sound passes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from exporter.lint.vendors import check_vendors
from tests.unit.catalog.builder import CONTAIN, LOOK, catalog_of

AT = {"where": "cloud", "rights": "x"}
DENY = 'aws iam put-user-policy --user-name="$u" --policy-name=x --policy-document=y'
OPEN = "gh api --method PATCH repos/shop/web -F private=false"
NEW = "gh api repos/shop/web --jq %[jq:.created_at[:19] <= %{alert.time_rfc3339}[:19]]"


def found(directory: Path, step: dict[str, Any]) -> str:
    return "\n".join(str(each) for each in check_vendors(catalog_of(directory, {"steps": [step]})))


def look(run: str, **keys: str) -> dict[str, Any]:
    return {**LOOK, **AT, "run": run, **keys}


def contain(run: str, **keys: str) -> dict[str, Any]:
    return {**CONTAIN, **AT, "run": run, **keys}


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        (contain("true", undo='while read -r k; do echo "$k" | gh api x --input -; done'), "zsh's echo rewrites"),
        (look('[ -s "$d/a" ] || aws cloudtrail lookup-events --region=x > "$d/a"'), "a log that came late is kept"),
        (look('[ -s "$d/a" ] || gcloud logging read x \\\n  --limit=1 >"$d/a"'), "a log that came late is kept"),
        (contain('kubectl delete -f "$d/again.json"'), "waits for ever where the object has a finalizer"),
        (contain('kubectl -n"$n" delete pod -- x; kubectl get pods -A --timeout=1s'), "waits for ever"),
        (contain('[ "$(kubectl get -f"$d/a" -ojsonpath=x)" = "$u" ] || exit 1'), "reads as gone or changed"),
        (look('[ -s "$d/a" ] || kubectl get pods,nodes -A -ojson > "$d/a"'), "an empty one is kept for good"),
        (contain("true", undo='kubectl get -f"$d/a" | cmp "$d/put" - || exit 1'), "reads as gone or changed"),
        (contain("kubectl get pods -A -ojson | jq -c '.a|\n.b' > \"$d/cut\""), "reads as none"),
        (contain("gcloud storage buckets update x --soft-delete-duration=30d"), "may be less than what is set"),
        (contain(DENY), "another account may have one of this name"),
        (contain('aws lambda put-function-concurrency --function-name="$f"'), "another account may have one"),
        (contain(OPEN), "compare its .created_at[:19]"),
        (
            contain(f'r=repos/x; gh api "$r/keys" --jq %[jq:.[]|select(.created_at >= "2")]; {OPEN}'),
            "compare its .created_at",
        ),
        (contain(f"{NEW}; {OPEN}", undo=OPEN), "compare its .id"),
    ],
)
def test_a_fault_is_found(tmp_path: Path, step: dict[str, Any], expected: str) -> None:
    """Each kind is found, with file and line."""
    assert expected in found(tmp_path, step)


@pytest.mark.parametrize(
    "step",
    [
        contain(f"{NEW}|grep -x true && {OPEN}", undo=f"gh api repos/shop/web --jq .id; {OPEN}"),
        contain("gh api repos/shop/web/secret-scanning/alerts; gh api --method POST credentials/revoke --input -"),
        contain("true", undo="printf '%s\\n' \"$k\" | gh api x --input -"),
        look('[ -s "$d/a" ] || aws cloudtrail lookup-events --region=x | jq ".[0]//empty" > "$d/a"'),
        look('aws cloudtrail lookup-events --region=x > "$d/a"'),
        contain('kubectl delete --timeout=60s -f "$d/again.json"; kubectl delete --raw /api/v1/x -f -'),
        contain("true", undo="kubectl -n a delete networkpolicy x"),
        look('[ -s "$d/a" ] || kubectl get pods -A -ojson > "$d/a" || { rm "$d/a"; exit 1; }'),
        contain('l=$(kubectl get -f"$d/a" -ojsonpath=x) || exit 1; [ "$l" = "$u" ] || exit 1'),
        contain('kubectl get pods -A -ojson > "$d/now" || exit 1; jq -c \'.a|.b\' "$d/now" > "$d/cut"'),
        contain("kubectl get pods -A -ojson | jq -r '.items[]' | while read -r p; do echo \"$p\"; done"),
        contain('gcloud storage buckets update x --soft-delete-duration="${s}s"'),
        contain(f'[ "$(aws iam get-user --query=User.UserId)" = "$k" ] && {DENY}'),
        look("aws iam list-access-keys --user-name=x"),
    ],
)
def test_what_is_sound_passes(tmp_path: Path, step: dict[str, Any]) -> None:
    """What looks like a fault but is none is not complained of."""
    assert found(tmp_path, step) == ""
