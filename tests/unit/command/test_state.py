"""The state folder remembers what `up` did, and says what is wrong with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from ledger.errors import NeedsPerson
from ledger.state import Memory, State, StateInUse

MEMORY = Memory(folder="/manifests", process=7, listen="127.0.0.1:2678", own_database=True)


def test_looking_makes_nothing(tmp_path: Path) -> None:
    """Asking a state that is not there leaves it not there."""
    state = State(tmp_path / "state")

    assert not state.is_held()
    assert not state.has_data()
    assert state.recall() is None
    assert not state.folder.exists()


def test_what_is_remembered_is_recalled(tmp_path: Path) -> None:
    """Memory outlives the process that wrote it, and the next one replaces it."""
    state = State(tmp_path)
    state.remember(MEMORY)

    assert State(tmp_path).recall() == MEMORY


@pytest.mark.parametrize("content", ["", "{", "[]", '{"folder": 1}', '{"other": 1}'])
def test_a_spoilt_memory_is_none(tmp_path: Path, content: str) -> None:
    """What cannot be read is as if it were not there."""
    (tmp_path / "up.json").write_text(content)

    assert State(tmp_path).recall() is None


def test_one_up_at_a_time(tmp_path: Path) -> None:
    """The second `up` learns who has the state and what to do; once the first is gone it may have it."""
    state = State(tmp_path)
    with state.held():
        state.remember(MEMORY)
        assert state.is_held()
        with (
            pytest.raises(StateInUse, match=r"process 7, watching /manifests\) runs on the state in .*--state"),
            state.held(),
        ):
            pass
    assert not state.is_held()
    with state.held():
        pass


def test_git_does_not_see_the_state(tmp_path: Path) -> None:
    """The folder ignores itself, so that data is not committed by accident."""
    state = State(tmp_path / "state")
    state.make()

    assert (state.folder / ".gitignore").read_text() == "*\n"


def test_a_folder_that_cannot_be_made_says_so(tmp_path: Path) -> None:
    """A file where the folder should be is an error that names it, and the flag that chooses another."""
    (tmp_path / "file").write_text("")

    with pytest.raises(NeedsPerson, match=r"file/state cannot be used: Not a directory; .*--state"):
        State(tmp_path / "file" / "state").make()
