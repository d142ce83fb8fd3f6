"""Choice of execution providers; this machine has no CUDA."""

import onnxruntime
import pytest

from rcmvae.errors import ProviderUnavailable
from rcmvae.provider import (
    CPU,
    CUDA,
    TENSORRT,
    choose_providers,
    is_accelerated,
    machine_providers,
    require_active,
)


@pytest.mark.parametrize("require_cuda", [False, True])
def test_cuda_comes_first_and_the_cpu_last(require_cuda: bool) -> None:
    available = ["TensorrtExecutionProvider", CPU, CUDA]
    assert choose_providers(available, require_cuda=require_cuda) == (CUDA, CPU)


def test_the_cpu_alone_unless_cuda_is_required() -> None:
    assert choose_providers(["AzureExecutionProvider", CPU], require_cuda=False) == (CPU,)
    with pytest.raises(ProviderUnavailable, match=f"expected {CUDA}, got {CPU}"):
        choose_providers([CPU], require_cuda=True)


def test_a_session_that_fell_back_is_refused() -> None:
    require_active([CPU], require_cuda=False)
    require_active([CUDA, CPU], require_cuda=True)
    with pytest.raises(ProviderUnavailable, match=CUDA):
        require_active([CPU], require_cuda=True)
    with pytest.raises(ProviderUnavailable, match="got none"):
        require_active([], require_cuda=True)


def test_this_machine_runs_a_session() -> None:
    assert CPU in machine_providers(require_cuda=False)


def test_cuda_libraries_are_loaded_where_cuda_is_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A GPU runtime without a GPU loads its libraries, then falls back or refuses."""
    loaded: list[bool] = []
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [CUDA, CPU])
    monkeypatch.setattr(onnxruntime, "preload_dlls", lambda: loaded.append(True))
    # The CPU build of the runtime warns that it does not know CUDA, and goes on.
    with pytest.warns(UserWarning, match=CUDA):
        assert machine_providers(require_cuda=False) == (CPU,)
    with pytest.warns(UserWarning, match=CUDA), pytest.raises(ProviderUnavailable, match=CUDA):
        machine_providers(require_cuda=True)
    assert loaded == [True, True]


def test_wanted_providers_keep_their_order_and_must_be_listed() -> None:
    listed = [TENSORRT, CUDA, CPU]
    for wanted, chosen in (
        ((TENSORRT, CUDA), (TENSORRT, CUDA, CPU)),
        ((CUDA,), (CUDA, CPU)),
        ((CPU,), (CPU,)),
        ((CPU, CUDA), (CUDA, CPU)),
    ):
        assert choose_providers(listed, wanted=wanted, require_cuda=False) == chosen
    with pytest.raises(ProviderUnavailable, match=f"expected {TENSORRT}, got {CUDA}, {CPU}"):
        choose_providers([CUDA, CPU], wanted=(TENSORRT,), require_cuda=False)
    with pytest.raises(ProviderUnavailable, match=f"expected {CUDA}"):
        choose_providers(listed, wanted=(CPU,), require_cuda=True)


def test_a_wanted_provider_that_falls_back_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """TensorRT is listed, and the session comes up without: a machine that has no GPU."""
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [TENSORRT, CUDA, CPU])
    monkeypatch.setattr(onnxruntime, "preload_dlls", lambda: None)
    with (
        pytest.warns(UserWarning, match=TENSORRT),
        pytest.raises(ProviderUnavailable, match=f"expected {TENSORRT}, got {CPU}"),
    ):
        machine_providers(wanted=(TENSORRT,), require_cuda=False)
    assert machine_providers(wanted=(CPU,), require_cuda=False) == (CPU,)


def test_what_computes_on_a_gpu() -> None:
    assert is_accelerated([CUDA, CPU])
    assert is_accelerated([TENSORRT, CUDA, CPU])
    assert not is_accelerated([CPU, CUDA])
    assert not is_accelerated([])
