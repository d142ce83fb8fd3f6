"""Keys, their file, and the command that writes it."""

import errno
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rcmvae.errors import KeyFileError
from service.access.command import keys_command
from service.access.key import Key, new_key
from service.access.key_file import KeyFile, change_keys, read_keys
from service.access.keyring import Keyring
from service.access.principal import Principal, Scope

NOW = datetime(2026, 11, 25, tzinfo=UTC)


def added(path: Path, name: str, *scopes: Scope) -> str:
    """A new key in the file, as its owner gets it."""
    presented, key = new_key(name, scopes)
    change_keys(path, lambda file: KeyFile(keys=(*file.keys, key)))
    return presented


def test_a_key_opens_with_itself_alone() -> None:
    first, key = new_key("ada", (Scope.PREDICT,))
    second, _ = new_key("ada", (Scope.PREDICT,))
    assert key.opens_with(first, NOW)
    assert not key.opens_with(second, NOW)
    assert not key.opens_with(first[:-1], NOW)


def test_a_key_expires() -> None:
    presented, key = new_key("ada", (), expires=NOW)
    assert key.opens_with(presented, NOW - timedelta(seconds=1))
    assert not key.opens_with(presented, NOW)


def test_the_secret_is_nowhere_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    presented = added(path, "ada", Scope.PREDICT)
    secret = presented.split("_", 2)[2]
    assert len(secret) == 43
    assert secret not in path.read_text()
    assert path.stat().st_mode & 0o777 == 0o600


def test_permissions_of_the_file_stay(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    added(path, "ada")
    path.chmod(0o640)
    added(path, "bob")
    assert path.stat().st_mode & 0o777 == 0o640
    assert [key.name for key in read_keys(path).keys] == ["ada", "bob"]


def test_owner_and_group_of_the_file_stay(tmp_path: Path) -> None:
    """Else a service of another user could not read what an administrator has changed."""
    path = tmp_path / "keys.json"
    added(path, "ada")
    if os.geteuid() == 0:
        os.chown(path, 12345, 12346)
    else:
        os.chown(path, -1, os.getgroups()[-1])
    before = path.stat()
    added(path, "bob")
    assert (path.stat().st_uid, path.stat().st_gid) == (before.st_uid, before.st_gid)


def test_an_owner_that_cannot_be_kept_leaves_the_file_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "keys.json"
    added(path, "ada")
    other = os.stat_result((0o100600, 1, 1, 1, path.stat().st_uid + 1, *path.stat()[5:10]))

    def refused(*_: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "chown", refused)
    with monkeypatch.context() as patch:
        real = Path.stat
        patch.setattr(Path, "stat", lambda p, **o: other if p == path else real(p, **o))
        with pytest.raises(KeyFileError, match="not permitted"):
            added(path, "bob")
    assert [key.name for key in read_keys(path).keys] == ["ada"]


def test_a_link_to_the_file_stays_one(tmp_path: Path) -> None:
    (tmp_path / "mounted").mkdir()
    target, path = tmp_path / "mounted" / "keys.json", tmp_path / "keys.json"
    path.symlink_to(target)
    added(path, "ada")
    added(path, "bob")
    assert path.is_symlink()
    assert [key.name for key in read_keys(target).keys] == ["ada", "bob"]


def test_changes_at_the_same_time_lose_none(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda i: added(path, f"owner{i}"), range(24)))
    assert {key.name for key in read_keys(path).keys} == {f"owner{i}" for i in range(24)}


@given(st.text())
def test_whatever_is_presented_is_no_key(presented: str) -> None:
    ring = Keyring.__new__(Keyring)
    _, key = new_key("ada", ())
    ring._keys = {key.key_id: key}
    assert ring.owner(presented) is None
    assert ring.owner(f"rcmvae_{key.key_id}_{presented}") is None


def test_a_keyring_follows_its_file(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    ada = added(path, "ada", Scope.PREDICT, Scope.FEEDBACK)
    ring = Keyring(path)
    assert ring.owner(ada) == Principal("ada", frozenset({Scope.PREDICT, Scope.FEEDBACK}))
    bob = added(path, "bob")
    assert ring.owner(bob) is None
    ring.refresh()
    assert ring.owner(bob) == Principal("bob", frozenset())
    change_keys(path, lambda file: KeyFile(keys=file.keys[1:]))
    ring.refresh()
    assert ring.owner(ada) is None


@pytest.mark.parametrize("damage", ["gone", "not json", "a folder"])
def test_a_file_that_breaks_opens_nothing_and_closes_nothing(
    tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "keys.json"
    ada = added(path, "ada")
    ring = Keyring(path)
    content = path.read_bytes()
    path.unlink()
    if damage == "not json":
        path.write_text("{")
    elif damage == "a folder":
        path.mkdir()
    for _ in range(3):
        ring.refresh()
    assert ring.owner(ada) is not None
    assert len([r for r in caplog.records if "keys not read" in r.message]) == 1
    assert Keyring(path).owner(ada) is None
    if damage == "a folder":
        path.rmdir()
    path.write_bytes(content)
    ring.refresh()
    assert ring.owner(ada) is not None


def test_a_file_that_can_be_read_again_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Permissions change neither the file's size nor its time."""
    path = tmp_path / "keys.json"
    ada = added(path, "ada")
    with monkeypatch.context() as patch:

        def unreadable(_: Path) -> bytes:
            raise PermissionError(errno.EACCES, "Permission denied")

        patch.setattr(Path, "read_bytes", unreadable)
        ring = Keyring(path)
        ring.refresh()
    assert ring.owner(ada) is None
    ring.refresh()
    assert ring.owner(ada) is not None


def _key(**members: object) -> dict[str, object]:
    return new_key("ada", ())[1].model_dump(mode="json") | members


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"keys": [_key(sha256="no")]}, "keys.0.sha256"),
        ({"keys": [_key(scopes=["root"])]}, "keys.0.scopes.0"),
        ({"keys": [_key(name="a\nb")]}, "keys.0.name"),
        ({"keys": [_key(), _key(key_id="0" * 12), _key(key_id="0" * 12)]}, "two keys"),
        ({"key": []}, "key"),
    ],
)
def test_a_file_that_does_not_fit_names_the_member(
    tmp_path: Path, document: object, said: str
) -> None:
    path = tmp_path / "keys.json"
    path.write_text(json.dumps(document))
    with pytest.raises(KeyFileError, match=said):
        read_keys(path)


def test_a_key_that_was_pasted_into_the_file_is_not_repeated(tmp_path: Path) -> None:
    presented, _ = new_key("ada", ())
    path = tmp_path / "keys.json"
    path.write_text(json.dumps({"keys": [_key(sha256=presented)]}))
    with pytest.raises(KeyFileError) as raised:
        read_keys(path)
    assert presented not in str(raised.value)


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "keys.json"
    file = ["--file", str(path)]
    keys_command(["new", "ada", "--scope", "predict", "--scope", "labels", *file])
    keys_command(["new", "bob", "--expires-days", "30", *file])
    ada, bob = capsys.readouterr().out.split()
    ring = Keyring(path)
    assert ring.owner(ada) == Principal("ada", frozenset({Scope.PREDICT, Scope.LABELS}))
    keys_command(["list", *file])
    listed = capsys.readouterr().out.splitlines()
    assert "ada  predict,labels  expires never" in listed[0]
    assert "bob  -  expires 20" in listed[1]
    assert ada.split("_")[2] not in "".join(listed)
    keys_command(["remove", listed[0].split()[0], *file])
    ring.refresh()
    assert ring.owner(ada) is None
    assert ring.owner(bob) is not None


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["new", "two words"], "NAME: expected"),
        (["new", "ada", "--scope", "root"], "--scope"),
        (["new", "ada", "--expires-days", "0"], "--expires-days"),
        (["new", "ada", "--expires-days", "nan"], "--expires-days"),
        (["new", "ada", "--expires-days", "1e99"], "--expires-days"),
        (["remove", "000000000000"], "no key has the id"),
    ],
)
def test_the_command_says_what_does_not_fit(
    tmp_path: Path, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        keys_command([*arguments, "--file", str(tmp_path / "keys.json")])
    assert ended.value.code != 0
    assert said in capsys.readouterr().err


def test_the_command_asks_for_a_file(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("RCMVAE_KEYS_FILE", raising=False)
    with pytest.raises(SystemExit):
        keys_command(["list"])
    assert "RCMVAE_KEYS_FILE" in capsys.readouterr().err


def test_the_module_runs_it(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    done = subprocess.run(
        [sys.executable, "-m", "service", "keys", "new", "ada", "--file", str(path)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert Keyring(path).owner(done.stdout.strip()) is not None
    other = subprocess.run([sys.executable, "-m", "service"], capture_output=True, text=True)
    assert other.returncode == 1
    assert "usage" in other.stderr


def test_a_key_is_frozen() -> None:
    _, key = new_key("ada", ())
    with pytest.raises(ValueError, match="frozen"):
        Key.model_validate(key).name = "bob"  # type: ignore[misc]
