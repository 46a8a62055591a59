"""What a user of a cluster sees of a Provider, by the real kubectl against a real API server."""

from __future__ import annotations

import json
import time
from decimal import Decimal

import yaml

from tests.e2e.team import KEY, Team
from tests.e2e.waiting import until

FIRST = ("First", "Succeeded")
MANUAL = ("Manual", "Succeeded")
CHANGED = ("SpecChange", "Succeeded")


def test_an_applied_provider_shows_progress_then_its_cost(team: Team) -> None:
    """Within two seconds it shows Reconciling; then Ready, with month to date, complete through, and its cost."""
    team.give_key()
    team.books.gate.clear()
    team.apply_provider()
    applied = time.monotonic()
    team.wait("condition=Reconciling")
    waited = time.monotonic() - applied
    early = team.condition()

    team.books.gate.set()
    team.wait_ready()

    assert waited <= 2
    assert early is not None
    assert (early["status"], early["reason"]) == ("Unknown", "Progressing")
    status = team.status()
    assert [condition["type"] for condition in status["conditions"]] == ["Ready"]
    assert status["observedGeneration"] == 1
    assert status["account"].keys() == {"id", "checkedAt"}
    assert status["account"]["id"] == "org-1"
    assert status["completeThrough"] < status["nextSyncTime"]
    assert status["spend"].endswith(" USD")
    assert team.cost() == Decimal("7.50")
    assert team.syncs() == [FIRST]


def test_kubectl_shows_providers_as_a_table(team: Team) -> None:
    """`kubectl get cprov` and `kubectl get costhook` show type, state, figures and times, and more with -o wide."""
    team.give_key()
    team.apply_provider()
    team.wait_ready()

    table = team.kubectl("get", "cprov").splitlines()
    everything = team.kubectl("get", "costhook", "-o", "wide")

    assert table[0].split() == ("NAME TYPE READY REASON MONTH TO DATE COMPLETE THROUGH LAST SYNC AGE".split())
    assert table[1].split()[:4] == ["openai", "openai", "True", "Succeeded"]
    assert "USD" in table[1]
    assert "provider.costhook.io/openai" in everything
    assert "the billing data of OpenAI is read and stored" in everything


def test_kubectl_explains_every_field(team: Team) -> None:
    """`kubectl explain provider.spec.openai` says what each field is, with its unit and its default."""
    said = team.kubectl("explain", "provider.spec.openai")
    interval = team.kubectl("explain", "provider.spec.interval")

    assert "Days asked for in one call" in said
    assert "baseURL" in said
    assert "at least 5m" in interval
    assert "6h" in interval


def test_the_whole_of_kubectl_works(team: Team) -> None:
    """Server-side apply, a dry run and `kubectl diff` work as for any kind; a dry run starts nothing."""
    team.give_key()
    manifest = yaml.safe_dump(team.provider())

    tried = team.kubectl("apply", "--dry-run=server", "-f", "-", text=manifest)
    assert "(server dry run)" in tried
    assert "NotFound" in team.kubectl("get", "provider", "openai", ok=False)

    team.kubectl("apply", "--server-side", "-f", "-", text=manifest)
    team.wait_ready()
    again = team.kubectl("apply", "--server-side", "-f", "-", text=manifest)

    assert "serverside-applied" in again
    assert team.get()["metadata"]["generation"] == 1
    assert team.kubectl("get", "provider", "--field-selector", "spec.type=openai", "-o", "name").strip()


def test_events_tell_the_story_once(team: Team) -> None:
    """`kubectl describe` shows an event at each turn, however often a sync goes the same way."""
    team.give_key()
    team.apply_provider()
    team.wait_ready()
    team.sync_now()
    team.sync_now()
    team.books.keys.clear()
    team.sync_now()
    team.sync_now()

    assert team.events() == [("Normal", "Succeeded"), ("Warning", "Unauthorized")]
    assert "Unauthorized" in team.kubectl("describe", "provider", "openai")


def test_a_wrong_manifest_is_refused_with_words(team: Team) -> None:
    """The API server refuses a wrong manifest and says what to do."""
    short = team.provider(interval="1m")
    other = team.provider(focus={"files": ["https://x.invalid/a.csv"]})
    misspelt = team.provider(suspnd=True)

    said = [team.kubectl("apply", "-f", "-", text=yaml.safe_dump(each), ok=False) for each in (short, other, misspelt)]

    assert "too short; write 5m or more" in said[0]
    assert "set spec.type to focus" in said[1]
    assert 'unknown field "spec.suspnd"' in said[2]


def test_a_type_cannot_be_changed(team: Team) -> None:
    """The API server refuses to turn a vendor's history into another's."""
    team.give_key()
    team.apply_provider(suspend=True)

    said = team.kubectl("patch", "provider", "openai", "--type=merge", "-p", '{"spec":{"type":"anthropic"}}', ok=False)

    assert "cannot be changed" in said


def test_a_wrong_key_is_told_with_the_key_that_is_needed(team: Team) -> None:
    """A key that the vendor refuses gives Ready=False with a reason, and words that say which key is needed."""
    team.give_key("sk-wrong", opens=False)
    team.apply_provider()
    team.wait_reason("Unauthorized")

    said = team.condition()

    assert said is not None
    assert said["status"] == "False"
    assert "sk-admin" in said["message"].lower() or "admin" in said["message"].lower()
    assert team.condition("Stalled") is not None
    assert "sk-wrong" not in json.dumps(team.get())


def test_a_missing_secret_is_told_and_its_arrival_noticed(team: Team) -> None:
    """A Provider that is applied before its Secret says what is missing, and becomes Ready when it comes."""
    team.apply_provider()
    team.wait_reason("SecretNotFound")
    said = team.condition()
    assert said is not None
    assert "openai-admin" in said["message"]

    team.give_key()

    team.wait_ready()


def test_an_annotation_asks_for_a_sync_now(team: Team) -> None:
    """`kubectl annotate cprov openai costhook.io/requested-at=...` syncs now; the status says that it was obeyed."""
    team.give_key()
    team.apply_provider()
    team.wait_ready()
    team.books.amount = "2.00"

    team.sync_now()

    assert team.cost() == 12
    assert team.syncs() == [FIRST, MANUAL]


def test_a_rotated_secret_is_picked_up(team: Team) -> None:
    """A labelled Secret that changes is used at once; a Provider that was refused becomes Ready with the new key."""
    team.give_key("sk-old", watched=True, opens=False)
    team.apply_provider()
    team.wait_reason("Unauthorized")

    team.give_key(watched=True)

    team.wait_ready()


def test_a_secret_that_nobody_watches_is_read_at_each_sync(team: Team) -> None:
    """A Secret without the label is read when a sync comes: a new key in it needs no restart and no edit."""
    team.give_key("sk-old")
    team.apply_provider()
    team.wait_ready()
    team.books.keys.clear()
    team.sync_now()
    team.wait_reason("Unauthorized")

    team.give_key()
    team.sync_now()

    team.wait_ready()


def test_suspend_stops_and_resume_goes_on(team: Team) -> None:
    """`suspend: true` stops syncing and says so without alarm; `false` goes on."""
    team.give_key()
    team.apply_provider(suspend=True)
    team.wait_reason("Suspended")
    assert team.syncs() == []

    team.apply_provider(suspend=False)
    team.wait_ready()

    assert len(team.syncs()) == 1
    assert team.events() == [("Normal", "Suspended"), ("Normal", "Succeeded")]


def test_a_changed_spec_is_obeyed(team: Team) -> None:
    """A longer history is read as soon as it is asked for, and the status says which spec it is about."""
    team.give_key()
    team.apply_provider()
    team.wait_ready()

    team.apply_provider(history="9d")
    team.wait("jsonpath={.status.observedGeneration}=2")

    assert team.cost() == Decimal("12.50")
    assert team.syncs() == [FIRST, CHANGED]


def test_deleting_with_retain_keeps_the_history(team: Team) -> None:
    """A deleted Provider is gone at once; its cost stays."""
    team.give_key()
    team.apply_provider()
    team.wait_ready()
    cost = team.cost()
    assert "finalizers" not in team.get()["metadata"]

    team.kubectl("delete", "provider", "openai", "--timeout=10s")

    until(lambda: _deleted_at(team) is not None)
    assert team.cost() == cost > 0


def test_deleting_with_delete_removes_the_rows_first(team: Team) -> None:
    """With `deletionPolicy: Delete` the object stays until its rows are gone, and then goes."""
    team.give_key()
    team.apply_provider(deletionPolicy="Delete")
    team.wait_ready()
    assert team.cost() > 0
    assert team.get()["metadata"]["finalizers"] == ["costhook.io/data"]

    team.kubectl("delete", "provider", "openai", "--timeout=20s")

    assert team.cost() == 0
    assert team.syncs() == []
    assert team.ledger.rows("select 1 from resource where namespace = :n", n=team.namespace) == []


def test_a_change_of_mind_about_deletion_is_obeyed(team: Team) -> None:
    """The object is held back exactly while `deletionPolicy` is Delete."""
    team.give_key()
    team.apply_provider(deletionPolicy="Delete")
    team.wait_ready()
    team.apply_provider(deletionPolicy="Retain")
    team.wait("jsonpath={.status.observedGeneration}=2")

    assert "finalizers" not in team.get()["metadata"]


def test_a_namespace_goes_with_everything_in_it(team: Team) -> None:
    """A namespace with Providers of both policies is deleted without hanging."""
    team.give_key()
    team.apply_provider("keeping")
    team.apply_provider("going", deletionPolicy="Delete")
    team.wait_ready("keeping")
    team.wait_ready("going")

    team.plane.kubectl("delete", "namespace", team.namespace, "--timeout=30s")

    assert team.cost("going") == 0
    assert team.cost("keeping") > 0


def test_manual_costs_need_no_key(team: Team) -> None:
    """A ManualCost is Ready with its figures as soon as it is applied."""
    entry = {"name": "figma", "serviceName": "Figma", "amount": "45.00", "start": "2026-01-01", "recurrence": "Monthly"}
    team.plane.apply(
        {
            "apiVersion": "costhook.io/v1alpha1",
            "kind": "ManualCost",
            "metadata": {"name": "subscriptions", "namespace": team.namespace},
            "spec": {"currency": "USD", "entries": [entry]},
        }
    )

    team.wait("condition=Ready", "subscriptions", "manualcost")

    assert team.cost("subscriptions") > 0


def test_no_secret_is_shown_anywhere(team: Team) -> None:
    """The key of a Secret shows in no object but the Secret, in no event, log or table."""
    team.give_key()
    team.apply_provider()
    team.wait_ready()

    shown = team.kubectl("get", "costhook,events,configmaps", "-A", "-o", "yaml")
    rows = team.ledger.rows("select r::text from resource r union all select s::text from sync_run s")

    assert KEY not in shown
    assert KEY not in str(rows)


def _deleted_at(team: Team) -> object:
    return team.ledger.rows("select deleted_at from provider where namespace = :n", n=team.namespace)[0][0]
