import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.house.lockfile import Pin, read_lock
from tests.house.repository import ROOT

REQUIREMENTS = ROOT / "requirements"
LOCKS = ("dev", "serve-cpu", "serve-gpu", "train", "clients")
SERVE_LOCKS = ("serve-cpu", "serve-gpu")
IMAGE_LOCKS = (*SERVE_LOCKS, "train")
TORCH = re.compile(r"^(torch|triton|torch.*)$")
ALL_OF_TRAINING = {"torch", "scikit-learn", "matplotlib", "onnxscript", "tqdm"}


def pins(lock: str) -> dict[str, Pin]:
    return {pin.name: pin for pin in read_lock(REQUIREMENTS / f"{lock}.lock")}


def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def names(requirements: list[str]) -> set[str]:
    return {re.split(r"[\[<>=;\s]", text, maxsplit=1)[0].lower() for text in requirements}


def test_a_line_that_pins_nothing_is_refused(tmp_path: Path) -> None:
    lock = tmp_path / "loose.lock"
    lock.write_text("# comment\nnumpy>=2 \\\n    --hash=sha256:00\n")
    with pytest.raises(ValueError, match="not a pinned requirement: 'numpy>=2'"):
        read_lock(lock)


@pytest.mark.parametrize("lock", LOCKS)
def test_every_package_is_pinned_with_sha256_hashes(lock: str) -> None:
    found = pins(lock)
    assert len(found) > 40
    for pin in found.values():
        assert pin.hashes, pin.name
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", one) for one in pin.hashes), pin.name


@pytest.mark.parametrize("lock", SERVE_LOCKS)
def test_serving_installs_nothing_of_training(lock: str) -> None:
    found = set(pins(lock))
    assert not found & ALL_OF_TRAINING
    assert not [name for name in found if TORCH.match(name)]


def test_the_runtimes_exclude_each_other() -> None:
    cpu, gpu, dev = (set(pins(lock)) for lock in ("serve-cpu", "serve-gpu", "dev"))
    assert "onnxruntime" in cpu & dev
    assert "onnxruntime" not in gpu
    assert "onnxruntime-gpu" in gpu - cpu - dev


def test_the_gpu_lock_carries_cuda_13_and_cudnn_9() -> None:
    found = pins("serve-gpu")
    assert found["nvidia-cuda-runtime"].version.startswith("13.")
    assert found["nvidia-cudnn-cu13"].version.startswith("9.")


@pytest.mark.parametrize("lock", IMAGE_LOCKS)
def test_what_is_served_and_fitted_with_is_what_was_tested(lock: str) -> None:
    tested = pins("dev")
    for pin in pins(lock).values():
        if pin.name in tested:
            assert pin.version == tested[pin.name].version, pin.name
        else:
            assert re.match(r"(nvidia|onnxruntime-gpu)", pin.name), pin.name


def test_the_locks_hold_every_declared_dependency() -> None:
    declared = project()
    extras = declared["project"]["optional-dependencies"]
    core = names(declared["project"]["dependencies"])
    serve = core | names(extras["service"])
    train = core | names(extras["cpu"]) | names(extras["training"]) - {"torch"}
    assert train <= set(pins("train"))
    develop = serve | names(extras["cpu"]) | names(extras["training"]) - {"torch"}
    assert serve | names(extras["cpu"]) <= set(pins("serve-cpu"))
    assert serve | names(extras["gpu"]) <= set(pins("serve-gpu"))
    assert develop | names(declared["dependency-groups"]["dev"]) <= set(pins("dev"))


def test_no_lock_was_resolved_against_a_cuda_build_of_torch() -> None:
    found = set(pins("dev")) | set(pins("train"))
    assert "torch" not in found
    assert not found & {"triton", "nvidia-cublas", "nvidia-cudnn-cu13"}


def test_torch_is_pinned_alike_in_its_file_and_the_extra() -> None:
    lines = (REQUIREMENTS / "torch.txt").read_text().splitlines()
    (pin,) = [line for line in lines if not line.startswith("#")]
    assert pin in project()["project"]["optional-dependencies"]["training"]
