"""Choice of execution providers; this machine has no CUDA."""

import onnxruntime
import pytest

from rcmvae.errors import ProviderUnavailable
from rcmvae.provider import CPU, CUDA, choose_providers, machine_providers, require_active


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
