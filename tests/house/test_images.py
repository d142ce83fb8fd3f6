"""No engine builds the images here, so what matters is read off their sources."""

import importlib
import re
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
import yaml

from scripts.dockerfile import (
    Instruction,
    arguments,
    exec_form,
    expand,
    parse_dockerfile,
    stages,
    values,
)
from tests.house.lockfile import read_lock
from tests.house.repository import ROOT

INSTRUCTIONS = parse_dockerfile((ROOT / "Dockerfile").read_text())
DEPENDENCIES, TRAINING_DEPENDENCIES, BASE, TRAINING, SERVE = stages(INSTRUCTIONS)
RUNTIMES = ("cpu", "gpu")
SERVING = [*DEPENDENCIES, *BASE, *SERVE]
FITTING = [*TRAINING_DEPENDENCIES, *BASE, *TRAINING]


def context_sources(instructions: list[Instruction], runtime: str) -> list[str]:
    """What COPY takes from the build context."""
    variables = {**arguments(INSTRUCTIONS), "RUNTIME": runtime}
    copies = [value for value in values(instructions, "COPY") if "--from=" not in value]
    return [expand(source, variables) for value in copies for source in value.split()[:-1]]


def installed_lock(runtime: str) -> str:
    (lock,) = [s for s in context_sources(SERVING, runtime) if s.endswith(".lock")]
    return lock


def test_the_stages_are_taken_from_each_other_as_the_tests_have_it() -> None:
    assert [stage[0].value.split(" AS ")[1] for stage in stages(INSTRUCTIONS)] == [
        *("dependencies", "training-dependencies", "base", "training", "serve")
    ]
    for last, dependencies in ((SERVE, "dependencies"), (TRAINING, "training-dependencies")):
        assert last[0].value.startswith("base AS ")
        assert values(last, "COPY")[0] == f"--from={dependencies} /opt/venv /opt/venv"


def test_the_gpu_runtime_is_the_default() -> None:
    assert arguments(DEPENDENCIES)["RUNTIME"] == "gpu"
    assert installed_lock("gpu") == "requirements/serve-gpu.lock"
    assert installed_lock("cpu") == "requirements/serve-cpu.lock"


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_everything_copied_exists_and_enters_the_context(runtime: str) -> None:
    ignore = (ROOT / ".dockerignore").read_text().splitlines()
    allowed = [line.removeprefix("!") for line in ignore if line.startswith("!")]
    for source in context_sources(INSTRUCTIONS, runtime):
        assert (ROOT / source).exists(), source
        assert any(re.fullmatch(one.replace("*", ".*"), source) for one in allowed), source


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_the_image_holds_no_torch(runtime: str) -> None:
    packages = {pin.name for pin in read_lock(ROOT / installed_lock(runtime))}
    assert "bentoml" in packages
    assert not [name for name in packages if name.startswith(("torch", "triton"))]
    sources = context_sources(SERVING, runtime)
    assert not [source for source in sources if source.startswith(("training", "requirements/t"))]


def test_the_training_image_holds_no_server() -> None:
    packages = {pin.name for pin in read_lock(ROOT / "requirements/train.lock")}
    assert "scikit-learn" in packages
    assert not packages & {"bentoml", "starlette", "uvicorn", "pytest"}
    sources = context_sources(FITTING, "cpu")
    assert "requirements/torch.txt" in sources
    assert "service" not in sources
    (command,) = values(TRAINING, "CMD")
    assert exec_form(command) == ["python", "-m", "training", "retrain", "--watch"]


def test_only_wheels_are_installed_and_all_but_torch_by_hash() -> None:
    installs = [value for value in values(INSTRUCTIONS, "RUN") if "pip install" in value]
    assert all("--only-binary=:all:" in install for install in installs)
    without_hash = [install for install in installs if "--require-hashes" not in install]
    assert [install.split()[-1] for install in without_hash] == ["/tmp/torch.txt"]


def test_the_base_image_is_pinned_to_a_release() -> None:
    variables = arguments(INSTRUCTIONS)
    bases = {expand(value, variables).split()[0] for value in values(INSTRUCTIONS, "FROM")}
    bases -= {"base"}
    assert len(bases) == 1
    assert re.fullmatch(r"python:3\.11\.\d+-slim-[a-z]+", bases.pop())


def test_it_does_not_run_as_root() -> None:
    (user,) = values(INSTRUCTIONS, "USER")
    assert user not in {"root", "0"}
    assert f"--uid {user}" in values(BASE, "RUN")[0]
    assert values(BASE, "USER") == [user]


def run_health_check(port: int) -> int:
    (check,) = values(SERVE, "HEALTHCHECK")
    interpreter, option, program = exec_form(check)
    assert (interpreter, option) == ("python", "-c")
    here = program.replace("127.0.0.1:3000/", f"127.0.0.1:{port}/")
    assert here != program
    return subprocess.run([sys.executable, option, here], capture_output=True).returncode


@pytest.mark.parametrize(("status", "healthy"), [(200, True), (503, False), (404, False)])
def test_the_health_check_asks_whether_the_service_is_ready(status: int, healthy: bool) -> None:
    asked = []

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        assert (run_health_check(server.server_port) == 0) is healthy
        thread.join()
    assert asked == ["/readyz"]


def test_the_health_check_fails_when_nobody_listens() -> None:
    assert run_health_check(1) != 0


def test_image_and_bento_serve_the_same_object() -> None:
    bento = yaml.safe_load((ROOT / "bentofile.yaml").read_text())
    (command,) = values(SERVE, "CMD")
    module, _, name = bento["service"].partition(":")
    assert exec_form(command)[:3] == ["bentoml", "serve", bento["service"]]
    assert hasattr(importlib.import_module(module), name)


def test_the_bento_takes_the_serving_side_only() -> None:
    bento = yaml.safe_load((ROOT / "bentofile.yaml").read_text())
    assert bento["python"] == {
        "requirements_txt": "./requirements/serve-gpu.lock",
        "lock_packages": False,
    }
    for included in bento["include"]:
        assert included.startswith("/"), f"{included} would match in any folder"
        assert (ROOT / included.lstrip("/")).exists(), included
        assert not included.startswith(("/training", "/runs", "/var"))
