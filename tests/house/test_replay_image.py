"""Replaying a small Dockerfile; scripts/replay_image.py on ours takes most of a minute."""

import subprocess
from pathlib import Path

import pytest

from scripts.dockerfile import parse_dockerfile
from scripts.replay_image import Replay, Stage
from tests.house.repository import ROOT

DOCKERFILE = """
ARG BASE=python
FROM ${BASE} AS tools
ARG KIND=plain
COPY ${KIND}.txt /tmp/kind
RUN mkdir -p /opt/tools \\
    && printf '#!/bin/sh\\necho "%s from %s"\\n' "$(cat /tmp/kind)" /opt/tools > /opt/tools/say \\
    && chmod +x /opt/tools/say

FROM ${BASE} AS base
RUN useradd --uid 7 somebody && mkdir -p /app/var && chown somebody /app/var
WORKDIR /app
ENV PATH=/opt/tools:$PATH PLACE=/app/var
USER 7

FROM base AS last
COPY --from=tools /opt/tools /opt/tools
COPY package ./package
RUN say > var/said && echo "$PLACE" >> var/said
CMD ["say"]
"""


def context(folder: Path, dockerfile: str = DOCKERFILE) -> Path:
    made = folder / "context"
    (made / "package").mkdir(parents=True)
    (made / "package/module.py").touch()
    for kind in ("plain", "fancy", "secret"):
        (made / f"{kind}.txt").write_text(f"{kind}\n")
    (made / "Dockerfile").write_text(dockerfile)
    (made / ".dockerignore").write_text("*\n!package\n!plain.txt\n!fancy.txt\n")
    return made


def made(folder: Path, dockerfile: str = DOCKERFILE, **arguments: str) -> Stage:
    return Replay(context(folder, dockerfile), folder / "image", arguments).make("last")


@pytest.mark.parametrize("arguments", [{}, {"KIND": "fancy"}])
def test_the_last_stage_holds_what_its_steps_made(
    tmp_path: Path, arguments: dict[str, str]
) -> None:
    stage = made(tmp_path, **arguments)
    root = tmp_path / "image/root"
    said = (root / "app/var/said").read_text().splitlines()
    assert said == [f"{arguments.get('KIND', 'plain')} from {root}/opt/tools", f"{root}/app/var"]
    assert (root / "app/package/module.py").is_file()
    assert not (root / "tmp/kind").exists()
    assert [one.keyword for one in stage.instructions][-1] == "CMD"


def test_what_needs_an_image_s_root_is_noted(tmp_path: Path) -> None:
    made(tmp_path)
    noted = (tmp_path / "image/noted").read_text().splitlines()
    # The first stage was no part of it.
    assert noted == [
        "useradd --uid 7 somebody",
        f"chown somebody {tmp_path}/image/root/app/var",
    ]


def test_a_step_that_fails_ends_it(tmp_path: Path) -> None:
    with pytest.raises(subprocess.CalledProcessError):
        made(tmp_path, DOCKERFILE.replace("RUN say", "RUN cat /app/nothing; say"))


def test_what_dockerignore_keeps_out_is_not_copied(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"secret\.txt: \.dockerignore"):
        made(tmp_path, KIND="secret")


def test_what_it_does_not_know_it_does_not_pass_over(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="ADD"):
        made(tmp_path, DOCKERFILE.replace("COPY package", "ADD package"))


def test_our_dockerfile_uses_nothing_else() -> None:
    known = {"FROM", "ARG", "ENV", "WORKDIR", "COPY", "RUN"}
    known |= {"USER", "VOLUME", "EXPOSE", "HEALTHCHECK", "CMD"}
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    assert {one.keyword for one in parse_dockerfile(text)} <= known
