"""A Dockerfile, parsed as far as ours needs it: no heredocs, no escape directive."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction, with its continuation lines joined."""

    keyword: str
    value: str


def parse_dockerfile(text: str) -> list[Instruction]:
    """All instructions in order."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    split = (line.split(maxsplit=1) for line in joined.splitlines() if line.strip())
    return [Instruction(keyword.upper(), value) for keyword, value in split]


def stages(instructions: list[Instruction]) -> list[list[Instruction]]:
    """The instructions of each stage, from its FROM on."""
    found: list[list[Instruction]] = []
    for instruction in instructions:
        if instruction.keyword == "FROM":
            found.append([])
        if found:
            found[-1].append(instruction)
    return found


def values(instructions: list[Instruction], keyword: str) -> list[str]:
    """The values of every instruction with this keyword."""
    return [one.value for one in instructions if one.keyword == keyword]


def arguments(instructions: list[Instruction]) -> dict[str, str]:
    """The defaults of ARG."""
    declared = (value.partition("=") for value in values(instructions, "ARG"))
    return {name: default for name, _, default in declared}


def expand(text: str, variables: Mapping[str, str]) -> str:
    """Replace ``${NAME}``; an unknown name is an error."""
    return re.sub(r"\$\{(\w+)\}", lambda match: variables[match[1]], text)


def exec_form(value: str) -> list[str]:
    """The words of an instruction in JSON form, after its options."""
    words: list[str] = json.loads(value[value.index("[") :])
    return words
