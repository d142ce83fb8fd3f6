"""Compose, Kubernetes, dashboard, Dockerfile: read by their schemas' tools, held to the code."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

from ops.grafana.dashboard import FILE, build
from scripts.dockerfile import exec_form, parse_dockerfile, stages, values
from service.asgi import ROUTES
from service.settings import Settings, environment_name
from tests.house.repository import ROOT

STAGES = {
    stage[0].value.split(" AS ")[1]: stage
    for stage in stages(parse_dockerfile((ROOT / "Dockerfile").read_text(encoding="utf-8")))
}
IMAGE = [*STAGES["base"], *STAGES["serve"]]
KUBERNETES = "1.33.0"
# The operator's own kind has no schema in a package; a test below reads it.
MANIFESTS = ("ops/kubernetes/service.yaml", "ops/kubernetes/watcher.yaml")
COMPOSE = yaml.safe_load((ROOT / "ops/compose/compose.yaml").read_text(encoding="utf-8"))
VARIABLES = {environment_name(name) for name in Settings.model_fields}


def run_tool(name: str, *arguments: str) -> None:
    tool = Path(sys.executable).with_name(name)
    run = subprocess.run([tool, *arguments], cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr


def manifests() -> list[dict[str, Any]]:
    texts = [(ROOT / path).read_text(encoding="utf-8") for path in MANIFESTS]
    return [one for text in texts for one in yaml.safe_load_all(text)]


def of_kind(kind: str, name: str) -> dict[str, Any]:
    (found,) = [
        one for one in manifests() if (one["kind"], one["metadata"]["name"]) == (kind, name)
    ]
    return found


def pods() -> Iterator[dict[str, Any]]:
    """The specifications of all pods."""
    for one in manifests():
        if one["kind"] == "Deployment":
            yield one["spec"]["template"]["spec"]
        elif one["kind"] == "CronJob":
            yield one["spec"]["jobTemplate"]["spec"]["template"]["spec"]


def service_pod() -> tuple[dict[str, Any], dict[str, Any]]:
    pod = of_kind("Deployment", "rcmvae")["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    return pod, container


def test_hadolint_finds_nothing_in_the_dockerfile() -> None:
    run_tool("hadolint", "Dockerfile")


def test_manifests_fit_the_schemas_of_kubernetes() -> None:
    run_tool("kubernetes-validate", "--strict", "-k", KUBERNETES, *MANIFESTS)


def test_compose_file_fits_its_schema() -> None:
    run_tool(
        "check-jsonschema", "--builtin-schema", "vendor.compose-spec", "ops/compose/compose.yaml"
    )


def test_probes_ask_routes_that_there_are() -> None:
    _, container = service_pod()
    paths = {route.path for route in ROUTES}
    asked = {
        probe: container[probe]["httpGet"]["path"]
        for probe in ("startupProbe", "livenessProbe", "readinessProbe")
    }
    assert asked == {
        "startupProbe": "/livez",
        "livenessProbe": "/livez",
        "readinessProbe": "/readyz",
    }
    assert set(asked.values()) <= paths


def test_ports_are_the_image_s() -> None:
    (exposed,) = values(IMAGE, "EXPOSE")
    _, container = service_pod()
    assert container["ports"] == [{"name": "http", "containerPort": int(exposed)}]
    (rule,) = of_kind("NetworkPolicy", "rcmvae")["spec"]["ingress"]
    assert rule == {"ports": [{"protocol": "TCP", "port": int(exposed)}]}
    assert [port.rpartition(":")[2] for port in COMPOSE["services"]["service"]["ports"]] == [
        exposed
    ]


def test_every_pod_runs_as_the_image_s_user_and_may_little() -> None:
    (user,) = values(IMAGE, "USER")
    for pod in pods():
        assert pod["securityContext"]["runAsUser"] == int(user)
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["automountServiceAccountToken"] is False
        for container in pod["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert "memory" in container["resources"]["limits"]


def test_a_pod_outlives_what_is_in_flight() -> None:
    (command,) = values(IMAGE, "CMD")
    words = exec_form(command)
    graceful = int(words[words.index("--timeout-graceful-shutdown") + 1])
    pod, container = service_pod()
    pause = int(container["lifecycle"]["preStop"]["exec"]["command"][1])
    assert pod["terminationGracePeriodSeconds"] > graceful + pause
    assert int(COMPOSE["services"]["service"]["stop_grace_period"].rstrip("s")) > graceful


def test_what_the_image_writes_to_is_mounted() -> None:
    (volumes,) = values(IMAGE, "VOLUME")
    pod, container = service_pod()
    mounted = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
    assert set(json.loads(volumes)) <= set(mounted)
    assert set(mounted.values()) == {volume["name"] for volume in pod["volumes"]}
    composed = COMPOSE["services"]["service"]["volumes"]
    written = {one.split(":")[1] for one in composed if not one.endswith(":ro")}
    assert written == set(json.loads(volumes))


def test_compose_mounts_the_folder_of_the_keys() -> None:
    """A file that is mounted by itself stays the one that it was when another replaces it."""
    service = COMPOSE["services"]["service"]
    folder, name = service["environment"]["RCMVAE_KEYS_FILE"].rsplit("/", 1)
    (source,) = [one.split(":")[0] for one in service["volumes"] if one.split(":")[1] == folder]
    text = (ROOT / "ops/compose/compose.yaml").read_text(encoding="utf-8")
    assert f"--file ops/compose/{source.removeprefix('./')}/{name} " in text


def test_no_secret_stands_on_a_command_line() -> None:
    """Kubernetes writes the value of $(NAME) there."""
    for pod in pods():
        for container in pod["containers"]:
            words = [*container.get("command", ()), *container.get("args", ())]
            assert not [word for word in words if "$(" in word]


def test_settings_exist_and_keys_are_given() -> None:
    _, container = service_pod()
    given = {one["name"] for pod in pods() for c in pod["containers"] for one in c["env"]}
    composed = COMPOSE["services"]["service"]["environment"]
    assert given | set(composed) <= VARIABLES
    keys = {one["name"]: one.get("value") for one in container["env"]}["RCMVAE_KEYS_FILE"]
    assert keys.startswith("/secrets/")
    assert "RCMVAE_KEYS_FILE" in composed


def test_watcher_and_refit_run_in_the_image_that_fits() -> None:
    """What they run is what its CMD runs, but for where models and store are."""
    (command,) = values(STAGES["training"], "CMD")
    for pod in (one for one in pods() if one != service_pod()[0]):
        (container,) = pod["containers"]
        assert container["image"] == "rcmvae-training"
        assert container["command"][:4] == exec_form(command)[:4]
    watcher = COMPOSE["services"]["watcher"]
    assert watcher["build"]["target"] == "training"
    assert watcher["command"][:5] == exec_form(command)


def test_selectors_select_the_pods() -> None:
    labels = of_kind("Deployment", "rcmvae")["spec"]["template"]["metadata"]["labels"]
    monitor = yaml.safe_load((ROOT / "ops/kubernetes/monitor.yaml").read_text(encoding="utf-8"))
    (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
    assert monitor["spec"]["selector"]["matchLabels"] == labels
    assert (endpoint["port"], endpoint["path"]) == ("http", "/metrics")
    assert of_kind("Service", "rcmvae")["spec"]["selector"] == labels
    assert of_kind("NetworkPolicy", "rcmvae")["spec"]["podSelector"]["matchLabels"] == labels
    target = of_kind("HorizontalPodAutoscaler", "rcmvae")["spec"]["scaleTargetRef"]
    assert (target["kind"], target["name"]) == ("Deployment", "rcmvae")


def test_the_dashboard_is_what_its_code_builds() -> None:
    assert FILE.read_text(encoding="utf-8") == build()


def test_the_dashboard_has_no_member_that_grafana_s_model_does_not_know() -> None:
    register_default_plugins()
    text = FILE.read_text(encoding="utf-8")
    read = Dashboard.from_json(json.loads(text))
    assert lost(json.loads(text), json.loads(JSONEncoder().encode(read))) == []


def lost(given: Any, read: Any, path: str = "") -> list[str]:
    """Paths of what does not come back as it was; what is added are defaults."""
    if isinstance(given, dict) and isinstance(read, dict):
        pairs = {name: (value, read.get(name)) for name, value in given.items()}
    elif isinstance(given, list) and isinstance(read, list) and len(given) == len(read):
        pairs = {str(n): pair for n, pair in enumerate(zip(given, read, strict=True))}
    else:
        return [] if given == read else [path]
    return [one for name, pair in pairs.items() for one in lost(*pair, f"{path}.{name}")]


def test_panels_have_ids_of_their_own_and_lie_in_the_grid() -> None:
    panels = json.loads(FILE.read_text(encoding="utf-8"))["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    cells = [
        (panel["gridPos"]["x"] + x, panel["gridPos"]["y"] + y)
        for panel in panels
        for x in range(panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["h"])
    ]
    assert max(x for x, _ in cells) < 24
    assert len(set(cells)) == len(cells)


def test_files_that_compose_mounts_are_there() -> None:
    folder = ROOT / "ops/compose"
    mounted = [
        one.split(":")[0]
        for service in COMPOSE["services"].values()
        for one in service["volumes"]
        if one.startswith(".")
    ]
    assert mounted
    for source in mounted:
        assert (folder / source).exists(), source
