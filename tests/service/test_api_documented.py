"""docs/api.md says what the code does: every setting, route and metric, and no other."""

import re
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from service.asgi import ROUTES
from service.include import Part
from service.metrics import Metrics
from service.problem import problem_of
from service.refused_bundles import SwapFailure
from service.settings import Settings, environment_name

_TEXT = (Path(__file__).parents[2] / "docs" / "api.md").read_text(encoding="utf-8")
_ASSETS = {"/docs/start.js", "/docs/swagger-ui-bundle.js", "/docs/swagger-ui.css", "/assets/{name}"}


def _table(heading: str) -> dict[str, list[str]]:
    """Rows of the first table under a heading, by their first cell."""
    section = _TEXT.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    rows = [line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("|")]
    return {row[0].strip("` "): [cell.strip() for cell in row[1:]] for row in rows[2:]}


def test_settings_table_is_the_code() -> None:
    documented = _table("Settings")
    for name, field in Settings.model_fields.items():
        default, help_text = documented.pop(environment_name(name))
        shown = "" if field.default is None else str(field.default)
        assert default.strip("`") == shown
        assert help_text == field.description
    assert documented == {}


def test_every_setting_is_read_from_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    given = {"models_dir": "/m", "alpha": "0.2", "max_rows": "7", "require_cuda": "1"}
    for name, value in given.items():
        monkeypatch.setenv(environment_name(name), value)
    settings = Settings()
    assert (settings.models_dir, settings.alpha) == (Path("/m"), 0.2)
    assert (settings.max_rows, settings.require_cuda) == (7, True)


@pytest.mark.parametrize(
    ("name", "value"), [("alpha", "1"), ("max_rows", "0"), ("poll_seconds", "nan")]
)
def test_a_setting_that_makes_no_sense_is_refused(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(environment_name(name), value)
    with pytest.raises(ValueError, match=name):
        Settings()


def test_routes_table_is_the_code() -> None:
    served = {
        f"{method} {route.path}"
        for route in ROUTES
        for method in (route.methods or set()) - {"HEAD"}
        if route.path not in _ASSETS
    }
    assert set(_table("Routes")) == served


def test_metrics_table_is_the_code(tmp_path: Path) -> None:
    metrics = Metrics(tmp_path, multiprocess=False)
    text = metrics.exposition().decode()
    families = {
        family.name: family
        for family in text_string_to_metric_families(text)
        if not family.name.endswith("_created")
    }
    documented = _table("Metrics")
    assert {name.removesuffix("_total") for name in documented} == set(families)
    for name, (kind, _, meaning) in documented.items():
        family = families[name.removesuffix("_total")]
        assert (kind, meaning) == (family.type, family.documentation)


def test_reasons_and_parts_are_documented() -> None:
    for word in (*SwapFailure, *Part):
        assert f"`{word}`" in _TEXT


def test_every_kind_of_problem_is_documented() -> None:
    source = "".join(p.read_text() for p in (Path(__file__).parents[2] / "service").rglob("*.py"))
    kinds = set(
        re.findall(
            r'(?:refusal\(\s*|Problem\(\s*|_routing\(error, )(?:\d+,\s*)?"([a-z-]+)"', source
        )
    )
    assert "malformed-json" in kinds
    assert problem_of(RuntimeError()).kind in kinds | {"internal"}
    assert kinds | {"internal"} == set(_table("Errors"))
