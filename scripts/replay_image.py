"""Run the steps of the Dockerfile without a container engine, and try what they made.

    .venv/bin/python -m scripts.replay_image serve FOLDER --build-arg RUNTIME=cpu --models MODELS
    .venv/bin/python -m scripts.replay_image training FOLDER --models MODELS

Every stage is made in a folder that stands for its file system: COPY copies, RUN runs with the
absolute paths of the image put into that folder. The interpreter stands for the base image. What
needs an image's root (`useradd`, `chown`) is noted and not done; so nothing here says how the base
image is made, what user the container has, or what its kernel allows.

MODELS is a folder of bundles. The service is started by CMD with it, asked by HEALTHCHECK and for a
prediction; the watcher runs one job that finds nothing to do.
"""

import argparse
import fnmatch
import math
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from scripts.dockerfile import Instruction, exec_form, expand, parse_dockerfile, stages, values

_ROOT = Path(__file__).resolve().parents[1]
_IN_IMAGE = re.compile(r"(?<![\w./-])/(?=(?:app|opt|tmp)\b)")
_NOTED = ("useradd", "chown")
# What says how the container runs, not what is in it.
_LATER = {"USER", "VOLUME", "EXPOSE", "HEALTHCHECK", "CMD"}
_START_SECONDS = 60


@dataclass(slots=True)
class Stage:
    """A stage so far.

    Attributes:
        root: the folder that stands for its file system.
        environment: of RUN and CMD.
        workdir: in the image.
        instructions: that made it, those of the stages that it is made from first.
    """

    root: Path
    environment: dict[str, str]
    workdir: str = "/"
    instructions: list[Instruction] = field(default_factory=list)

    def outside(self, text: str) -> str:
        """Absolute paths of the image as paths of this machine."""
        return _IN_IMAGE.sub(f"{self.root}/", text)

    def path(self, text: str) -> Path:
        """A path in the image, from the working folder if it is relative."""
        return self.root / os.path.join(self.workdir, text).lstrip("/")  # noqa: PTH118

    def run(self, command: Sequence[str]) -> None:
        """Run a command in the working folder.

        Raises:
            CalledProcessError: it failed.
        """
        subprocess.run(command, cwd=self.path("."), env=self.environment, check=True)


class Replay:
    """The stages of a Dockerfile, made one after another.

    Args:
        context: folder of the Dockerfile.
        folder: for the file systems; must be empty.
        arguments: of the build.
    """

    def __init__(self, context: Path, folder: Path, arguments: Mapping[str, str]) -> None:
        self._context = context
        self._folder = folder
        self._given = arguments
        instructions = parse_dockerfile((context / "Dockerfile").read_text(encoding="utf-8"))
        self._sources = {_name(stage): stage for stage in stages(instructions)}
        self._ignored = (context / ".dockerignore").read_text(encoding="utf-8").splitlines()
        self._made: dict[str, Stage] = {}
        _stand_ins(folder / "bin")

    def make(self, target: str) -> Stage:
        """The stage of this name, in ``folder/root``; scripts in it know themselves there.

        Raises:
            KeyError: no stage has the name.
            CalledProcessError: a RUN failed.
        """
        source = self._sources[target]
        for needed in _needed(source):
            if needed in self._sources and needed not in self._made:
                self._keep(needed, self.make(needed))
        stage = self._begin(source[0])
        for instruction in source[1:]:
            self._do(stage, instruction)
        return stage

    def _begin(self, first: Instruction) -> Stage:
        root, base = self._folder / "root", self._made.get(first.value.split()[0])
        if base is None:
            root.mkdir()
            (root / "tmp").mkdir()
            return Stage(root, _environment(self._folder / "bin"))
        _copy(base.root, root)
        return Stage(root, dict(base.environment), base.workdir, list(base.instructions))

    def _keep(self, name: str, stage: Stage) -> None:
        stage.root = stage.root.rename(self._folder / name)
        self._made[name] = stage

    def _do(self, stage: Stage, instruction: Instruction) -> None:
        print(f"{instruction.keyword} {instruction.value}", flush=True)
        stage.instructions.append(instruction)
        value = instruction.value
        match instruction.keyword:
            case "ARG":
                self._declare(stage, value)
            case "ENV":
                _set_variables(stage, value)
            case "WORKDIR":
                stage.workdir = value
                stage.path(".").mkdir(parents=True, exist_ok=True)
            case "COPY":
                self._copy_into(stage, value.split())
            case "RUN":
                stage.run(["sh", "-euc", stage.outside(value)])
            case keyword if keyword not in _LATER:
                raise ValueError(f"{keyword}: not among what is replayed")

    def _declare(self, stage: Stage, value: str) -> None:
        name, has_default, default = value.partition("=")
        if name in self._given or has_default:
            stage.environment[name] = self._given.get(name, default)

    def _copy_into(self, stage: Stage, words: list[str]) -> None:
        *sources, target = [word for word in words if not word.startswith("--")]
        (from_stage,) = [w.removeprefix("--from=") for w in words if w.startswith("--")] or [""]
        into = stage.path(target)
        for source in (expand(source, stage.environment) for source in sources):
            if from_stage:
                _copy(self._made[from_stage].root / source.lstrip("/"), into)
                continue
            if not self._is_in_context(source):
                raise ValueError(f"COPY {source}: .dockerignore keeps it out of the context")
            found = self._context / source
            _copy(found, into / found.name if target.endswith("/") else into)

    def _is_in_context(self, source: str) -> bool:
        """By the last rule that matches, as Docker has it."""
        kept = True
        for rule in self._ignored:
            if fnmatch.fnmatch(source, rule.removeprefix("!")):
                kept = rule.startswith("!")
        return kept


def _set_variables(stage: Stage, value: str) -> None:
    for name, text in re.findall(r"(\w+)=(\S+)", value):
        path = stage.environment["PATH"]
        stage.environment[name] = stage.outside(text).replace("$PATH", path)


def _name(stage: Sequence[Instruction]) -> str:
    return stage[0].value.split(" AS ")[1]


def _needed(stage: Sequence[Instruction]) -> list[str]:
    """Other stages that this one takes from, its base last, as it is made in the same place."""
    copied = [re.search(r"--from=(\S+)", value) for value in values(list(stage), "COPY")]
    return [*(match[1] for match in copied if match), stage[0].value.split()[0]]


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(source, target, symlinks=True, ignore=ignored, dirs_exist_ok=True)
    else:
        shutil.copy2(source, target)


def _stand_ins(folder: Path) -> None:
    """The base image's interpreter, and what only notes that it was called."""
    folder.mkdir(parents=True)
    (folder / "python").symlink_to(Path(sys.base_prefix) / "bin/python3.11")
    for name in _NOTED:
        script = folder / name
        script.write_text(f'#!/bin/sh\necho "{name} $*" >>"{folder.parent}/noted"\n')
        script.chmod(0o755)


def _environment(programs: Path) -> dict[str, str]:
    """What the builder's machine knows of its network, and nothing of this project."""
    kept = {k: v for k, v in os.environ.items() if k.startswith(("PIP_", "SSL_")) or k == "HOME"}
    return kept | {"PATH": f"{programs}:/usr/bin:/bin"}


def try_service(stage: Stage) -> str:
    """Start CMD at a free port of loopback, wait for HEALTHCHECK, and ask for a prediction.

    Returns:
        What was answered.

    Raises:
        TimeoutError: it does not become healthy.
    """
    command = exec_form(values(stage.instructions, "CMD")[-1])
    check = exec_form(values(stage.instructions, "HEALTHCHECK")[-1])
    port = _free_port()
    command = _replaced(_replaced(command, "--host", "127.0.0.1"), "--port", str(port))
    check = [word.replace(":3000/", f":{port}/") for word in check]
    program = str(shutil.which(command[0], path=stage.environment["PATH"]))
    process = subprocess.Popen([program, *command[1:]], cwd=stage.path("."), env=stage.environment)
    try:
        _wait_for(stage, check)
        return _prediction(f"http://127.0.0.1:{port}")
    finally:
        process.terminate()
        process.wait()


def _wait_for(stage: Stage, check: Sequence[str]) -> None:
    end = time.monotonic() + _START_SECONDS
    while time.monotonic() < end:
        try:
            stage.run(["sh", "-c", 'exec "$@" 2>/dev/null', "sh", *check])
        except subprocess.CalledProcessError:
            time.sleep(0.2)
        else:
            return
    raise TimeoutError(f"HEALTHCHECK did not pass within {_START_SECONDS} s")


def _replaced(command: Sequence[str], option: str, value: str) -> list[str]:
    """The command with another value for an option that it has."""
    place = list(command).index(option) + 1
    return [*command[:place], value, *command[place + 1 :]]


def _prediction(url: str) -> str:
    with httpx.Client(base_url=url, timeout=10) as client:
        shape = client.get("/bundle").raise_for_status().json()["input"]["shape"]
        body = {"inputs": [[0.5] * math.prod(shape)], "include": []}
        return client.post("/predict", json=body).raise_for_status().text


def try_watcher(stage: Stage) -> None:
    """Run CMD for one job instead of for ever; there is no feedback.

    Raises:
        CalledProcessError: it failed.
    """
    command = exec_form(values(stage.instructions, "CMD")[-1])
    command = ["--once" if word == "--watch" else word for word in command]
    stage.run(["sh", "-c", 'exec "$@"', "sh", *command])


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def main(arguments: Sequence[str]) -> None:
    """Replay a target, and try it where there are models."""
    parser = argparse.ArgumentParser("python -m scripts.replay_image", description=__doc__)
    parser.add_argument("target", choices=("serve", "training"))
    parser.add_argument("folder", type=Path, help="for what is made; must not be there yet")
    parser.add_argument("--build-arg", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--models", type=Path, help="a folder of bundles to try the image with")
    given = parser.parse_args(arguments)
    folder = given.folder.resolve()
    build = dict(argument.split("=", 1) for argument in given.build_arg)
    stage = Replay(_ROOT, folder, build).make(given.target)
    print(f"noted, not done: {(folder / 'noted').read_text(encoding='utf-8').splitlines()}")
    if given.models is None:
        return
    shutil.copytree(given.models, stage.path("models"), dirs_exist_ok=True)
    if given.target == "serve":
        print(try_service(stage))
    else:
        try_watcher(stage)


if __name__ == "__main__":
    main(sys.argv[1:])
