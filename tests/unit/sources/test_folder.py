"""A folder as it is looked at again and again: what is broken stays as it was last good, and nothing else does."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from reconciler.sources.base import Key
from reconciler.sources.folder import look
from reconciler.sources.state import State, changed, gone
from tests.unit.sources.files import KINDS, manual, provider, secret, write

A = Key("Provider", "default", "a")
B = Key("Provider", "default", "b")


class Folder:
    """Looks at a folder, and remembers the last look."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.state = State()

    def look(self) -> set[Key]:
        """What changed since the last look."""
        before, self.state = self.state, look(self.root, KINDS, self.state)
        return changed(before, self.state)

    def spec(self, key: Key) -> object:
        return self.state.held[key].resource.spec

    def told(self) -> list[str]:
        return [str(problem) for found in self.state.problems.values() for problem in found]


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def test_manifests_are_found_at_any_depth(folder: Folder) -> None:
    """Files named *.yaml and *.yml are read below the folder; hidden ones, other files and key files are not."""
    write(folder.root / "one.yaml", provider("a"), manual("m"))
    write(folder.root / "deep/er/two.yml", provider("b"))
    write(folder.root / "secrets/three.yaml", provider("c"))
    for ignored in (".git/x.yaml", ".x.yaml", "x.txt", "secrets/name/credentials.yaml"):
        write(folder.root / ignored, provider("ignored"))
    found = folder.look()

    assert {key.name for key in found} == {"a", "b", "c", "m"}
    assert folder.state.held[B].resource.folder == folder.root / "deep/er"
    assert folder.state.held[B].resource.place == "deep/er/two.yml:1"


def test_only_what_changed_is_told(folder: Folder) -> None:
    """Another look at the same files tells nothing; an edit tells the resource that it touches."""
    write(folder.root / "x.yaml", provider("a"), provider("b"))
    folder.look()
    assert folder.look() == set()

    write(folder.root / "x.yaml", "# moved\n" + provider("a"), provider("b", suspend="true"))
    assert folder.look() == {B}
    assert folder.state.held[A].resource.place == "x.yaml:2"


def test_a_generation_counts_changes_of_the_spec(folder: Folder) -> None:
    """A change of the spec makes a new generation; a label does not, and the uid never changes."""
    write(folder.root / "x.yaml", provider("a"))
    folder.look()
    first = folder.state.held[A].resource
    write(folder.root / "x.yaml", provider("a").replace("{name: a", "{name: a, labels: {x: z}"))
    assert folder.look() == {A}
    labelled = folder.state.held[A].resource
    write(folder.root / "x.yaml", provider("a", interval="1h"))
    assert folder.look() == {A}

    assert (first.generation, labelled.generation, folder.state.held[A].resource.generation) == (1, 1, 2)
    assert first.uid == folder.state.held[A].resource.uid


@pytest.mark.parametrize("broken", ["]", "kind: Provder\n", provider("A"), "\x00", "apiVersion: v2\nkind: Provider\n"])
def test_a_broken_file_keeps_what_it_declared(folder: Folder, broken: str) -> None:
    """While a file cannot be read whole, its resources stay as they were and the others go on."""
    write(folder.root / "x.yaml", provider("a", interval="1h"))
    write(folder.root / "y.yaml", provider("b"))
    folder.look()
    write(folder.root / "x.yaml", broken)
    write(folder.root / "y.yaml", provider("b", interval="2h"))

    assert folder.look() == {A, B}
    assert folder.spec(A) == {"type": "other", "interval": "1h"}
    assert folder.spec(B) == {"type": "other", "interval": "2h"}
    assert folder.state.unreadable == {"x.yaml"}
    assert folder.state.problems_of(A)
    assert not folder.state.problems_of(B)


def test_a_file_that_was_mended_is_read_again(folder: Folder) -> None:
    """Once the file is good, its resources are what it says, and those it no longer declares go."""
    write(folder.root / "x.yaml", provider("a"), provider("b"))
    folder.look()
    write(folder.root / "x.yaml", "]")
    folder.look()
    write(folder.root / "x.yaml", provider("b", interval="1h"))

    assert folder.look() == {A, B}
    assert set(folder.state.held) == {B}
    assert folder.state.problems == {}


def test_a_wrong_manifest_keeps_its_last_good_state_alone(folder: Folder) -> None:
    """A spec that is refused changes nothing but the problems; its neighbours in the file change as they say."""
    write(folder.root / "x.yaml", provider("a", interval="1h"), provider("b"))
    folder.look()
    write(folder.root / "x.yaml", provider("a", interval="5x"), provider("b", interval="1h"))

    assert folder.look() == {A, B}
    assert folder.spec(A) == {"type": "other", "interval": "1h"}
    assert folder.state.held[A].resource.generation == 1
    assert folder.spec(B) == {"type": "other", "interval": "1h"}
    assert folder.told() == ['x.yaml:6 spec.interval: "5x" is not a duration; write it like 30m, 6h or 7d']
    assert [str(problem) for problem in folder.state.problems_of(A)] == folder.told()
    assert folder.state.unreadable == frozenset()


def test_problems_stay_told_while_they_last(folder: Folder) -> None:
    """A file that is not read again keeps its problems, and does not tell its resources anew."""
    write(folder.root / "x.yaml", provider("a", interval="5x"))
    folder.look()
    first = folder.told()

    assert folder.look() == set()
    assert folder.told() == first != []


def test_a_resource_that_never_was_good_is_as_it_is_written(folder: Folder) -> None:
    """A new manifest that is wrong is a resource all the same, so that its reconcile can tell what is wrong."""
    write(folder.root / "x.yaml", provider("a", interval="5x"))

    assert folder.look() == {A}
    assert folder.spec(A) == {"type": "other", "interval": "5x"}
    assert not folder.state.held[A].good

    write(folder.root / "x.yaml", provider("a", interval="5y"))
    assert folder.look() == {A}
    assert folder.spec(A) == {"type": "other", "interval": "5y"}


def test_a_manifest_without_a_spec_is_told(folder: Folder) -> None:
    """A spec that is missing, or is no block, is told at its line."""
    write(folder.root / "x.yaml", provider("a").split("spec")[0])
    write(folder.root / "y.yaml", provider("b").split("spec")[0] + "spec: []\n")
    folder.look()

    assert folder.told() == [
        "x.yaml:1 spec: missing; it is required",
        "y.yaml:4 spec: write fields here: name: value",
    ]
    assert folder.spec(A) == folder.spec(B) == {}


def test_the_type_of_a_provider_cannot_be_edited(folder: Folder) -> None:
    """The rules on changes hold between the last good state and the file, as they do on an API server."""
    write(folder.root / "x.yaml", provider("a", "other"))
    folder.look()
    write(folder.root / "x.yaml", provider("a", "another"))
    folder.look()

    assert folder.spec(A) == {"type": "other"}
    assert "spec.type: cannot be changed" in folder.told()[0]


def test_a_removed_manifest_goes(folder: Folder) -> None:
    """A resource goes with its document, and with its file."""
    write(folder.root / "x.yaml", provider("a"), provider("b"))
    folder.look()
    before = folder.state
    write(folder.root / "x.yaml", provider("a"))
    assert folder.look() == {B}
    assert gone(before, folder.state) == {B}

    (folder.root / "x.yaml").unlink()
    assert folder.look() == {A}
    assert not folder.state.held


def test_a_manifest_may_move_to_another_file(folder: Folder) -> None:
    """A resource that another file declares now is the same resource, also when its old file broke meanwhile."""
    write(folder.root / "x.yaml", provider("a"))
    folder.look()
    write(folder.root / "x.yaml", "]")
    write(folder.root / "a.yaml", provider("a", interval="1h"))

    assert folder.look() == {A}
    assert folder.state.held[A].resource.generation == 2
    assert folder.state.problems_of(A) == ()


def test_the_first_to_declare_a_name_keeps_it(folder: Folder) -> None:
    """A second manifest of a name is told where the first is, and changes nothing, whatever its file is called."""
    write(folder.root / "m.yaml", provider("a"))
    folder.look()
    write(folder.root / "a.yaml", provider("a", interval="1h"))

    assert folder.look() == set()
    assert folder.told() == ["a.yaml:3 metadata.name: Provider default/a is declared at m.yaml:1 already; rename one"]


def test_two_kinds_that_feed_the_ledger_share_no_name(folder: Folder) -> None:
    """A Provider and a ManualCost of one name would write over each other; other namespaces are other names."""
    write(folder.root / "x.yaml", provider("a"), manual("a"), provider("a", namespace="team"))

    assert folder.look() == {A, A._replace(namespace="team")}
    (said,) = folder.told()
    assert said.startswith("x.yaml:9 metadata.name: Provider default/a is declared at x.yaml:1 already; ")
    assert said.endswith("the ledger keeps a Provider and a ManualCost under one name; rename one")


def test_items_on_one_line_are_told_apart(folder: Folder) -> None:
    """A name that is declared twice is told even where both stand on the same line."""
    item = "{apiVersion: costhook.io/v1alpha1, kind: Provider, metadata: {name: a}, spec: {type: other}}"
    write(folder.root / "x.yaml", f"{{kind: List, items: [{item}, {item}]}}")
    folder.look()

    assert folder.told() == ["x.yaml:1 metadata.name: Provider default/a is declared at x.yaml:1 already; rename one"]


def test_an_edited_secret_tells_the_resources_that_name_it(folder: Folder) -> None:
    """A resource hears of its Secret: declared, edited or gone, as a manifest in its namespace or as a file."""
    write(
        folder.root / "x.yaml",
        provider("a", secretRef="{name: key}"),
        provider("b", secretRef="{name: other}"),
        provider("b", namespace="team", secretRef="{name: key}"),
    )
    folder.look()
    team = B._replace(namespace="team")
    write(folder.root / "s.yaml", secret("key", "one"))
    assert folder.look() == {A}
    write(folder.root / "s.yaml", secret("key", "two"))
    assert folder.look() == {A}
    write(folder.root / "s.yaml", secret("key", "two"), secret("unnamed", "x"))
    assert folder.look() == set()
    write(folder.root / "secrets/key/apiKey", "three")
    assert folder.look() == {A, team}
    write(folder.root / "secrets/key/apiKey", "three, longer")
    assert folder.look() == {A, team}
    (folder.root / "s.yaml").unlink()
    assert folder.look() == {A}


def test_a_broken_secret_keeps_its_last_good_values(folder: Folder) -> None:
    """Neither a file that broke nor a value that is no text takes a credential away."""
    key = Key("Secret", "default", "key")
    write(folder.root / "s.yaml", secret("key", "one"))
    folder.look()
    for broken in ("]", secret("key", "one").replace("'one'", "5")):
        write(folder.root / "s.yaml", broken)
        folder.look()

        assert folder.told()
        assert folder.state.secrets[key].values == {"apiKey": "one"}


def test_a_secret_that_is_declared_twice_is_told(folder: Folder) -> None:
    """The first declaration holds."""
    write(folder.root / "s.yaml", secret("key", "one"), secret("key", "two"))
    folder.look()

    assert folder.told() == ["s.yaml:8 metadata.name: Secret default/key is declared at s.yaml:1 already; rename one"]
    assert folder.state.secrets[Key("Secret", "default", "key")].values == {"apiKey": "one"}


def test_a_folder_that_is_gone_takes_nothing_along(folder: Folder) -> None:
    """An unmounted disk is no wish to delete: everything stays, and is told to be hidden."""
    write(folder.root / "x.yaml", provider("a"))
    folder.look()
    moved = folder.root.rename(folder.root.parent / "elsewhere")

    assert folder.look() == set()
    assert folder.told() == [".: the folder cannot be read: No such file or directory"]
    assert folder.state.hides("x.yaml")

    moved.rename(folder.root)
    assert folder.look() == set()
    assert folder.told() == []
    assert not folder.state.hides("x.yaml")


@contextmanager
def as_nobody() -> Iterator[None]:
    """Root may list anything, so it is somebody else meanwhile."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


def test_a_folder_inside_that_may_not_be_listed_hides_what_it_holds() -> None:
    """What lies in a folder that cannot be listed stays as it was; the other folders are read."""
    with TemporaryDirectory() as place:
        Path(place).chmod(0o755)
        folder, inner = Folder(Path(place)), Path(place) / "in"
        write(inner / "x.yaml", provider("a"))
        write(folder.root / "y.yaml", provider("b"))
        folder.look()
        inner.chmod(0)
        write(folder.root / "y.yaml", provider("b", interval="1h"))
        with as_nobody():
            changes = folder.look()
        inner.chmod(0o755)

        assert changes == {B}
        assert folder.told() == ["in: the folder cannot be read: Permission denied"]
        assert folder.state.hides("in/x.yaml")
        assert not folder.state.hides("y.yaml")
        assert folder.look() == set()
        assert folder.told() == []
