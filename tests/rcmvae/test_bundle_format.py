"""models/README.md, for readers written elsewhere, says what this code does."""

from pathlib import Path

import pytest
from pydantic import BaseModel

from rcmvae.bundle import Check, FileEntry, InputSignature, Lineage, Manifest, load_bundle
from rcmvae.bundle import publish_bundle as publish
from rcmvae.bundle.archive import LARGEST_BUNDLE, LARGEST_MANIFEST
from rcmvae.bundle.manifest import FORMAT_VERSION, REQUIRED_FILES
from tests.rcmvae.bundle_factory import FIRST, small_draft

DOCUMENT = (Path(__file__).parents[2] / "models" / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", sorted(REQUIRED_FILES))
def test_every_file_is_documented(name: str) -> None:
    assert f"`{name}`" in DOCUMENT


@pytest.mark.parametrize("model", [Manifest, InputSignature, Lineage, FileEntry])
def test_every_field_is_documented(model: type[BaseModel]) -> None:
    missing = [name for name in model.model_fields if f"{name}`" not in DOCUMENT]
    assert missing == []


@pytest.mark.parametrize("check", list(Check))
def test_every_check_is_documented(check: Check) -> None:
    assert f"| `{check}` |" in DOCUMENT


def test_every_tensor_of_the_sample_bundle_is_documented(tmp_path: Path) -> None:
    publish(tmp_path, small_draft(), expected_parent=None)
    bundle = load_bundle(tmp_path / FIRST)
    names = {
        tensor
        for file in bundle.contents
        if file.endswith(".safetensors") and file != "weights.safetensors"
        for tensor in bundle.arrays(file)
    }
    assert len(names) > 8
    assert [name for name in sorted(names) if f"`{name}`" not in DOCUMENT] == []


def test_limits_are_documented() -> None:
    assert f"Format version {FORMAT_VERSION}" in DOCUMENT
    assert (LARGEST_MANIFEST, LARGEST_BUNDLE) == (4 * 2**20, 2 * 2**30)
    assert "4 MiB" in DOCUMENT
    assert "2 GiB" in DOCUMENT
