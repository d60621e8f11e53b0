# SPDX-License-Identifier: Apache-2.0
"""The manifests mean what they say: names, ports and settings agree, pods are confined, secrets are elsewhere."""

import os
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from mysafe.config import load_settings
from mysafe.server.sealing.gate import LIVE, READY
from tests.deploy.files import DEPLOY, MANIFESTS, VARIABLES, manifests, seconds_to_end

OF_THE_OPERATOR = {"mysafe-keys", "mysafe-tls", "mysafe-database-ca"}
"""What docs/operate/deploy.md has the operator make."""


def by_kind(kind: str) -> list[dict[str, Any]]:
    return [one for one in manifests() if one["kind"] == kind]


def settings_map() -> dict[str, str]:
    (found,) = [one["data"] for one in by_kind("ConfigMap") if one["metadata"]["name"] == "mysafe-settings"]
    return dict(found)


def pods() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the pod of each kind of work, by the kind's name."""
    for one in manifests():
        spec = one.get("spec", {})
        spec = spec.get("jobTemplate", {}).get("spec", spec)
        if "template" in spec:
            yield one["kind"], spec["template"]["spec"]


PODS = dict(pods())
BY_POD = pytest.mark.parametrize("kind", sorted(PODS))


def containers(pod: dict[str, Any]) -> list[dict[str, Any]]:
    return [*pod.get("initContainers", []), *pod["containers"]]


def confinement_faults(pod: dict[str, Any]) -> list[str]:
    """Return in which way a pod is less confined than the standard `restricted`, with files that cannot change."""
    general = pod["securityContext"]
    wrong = [] if general["runAsNonRoot"] and general["runAsUser"] > 0 else ["root"]
    wrong += [] if general["seccompProfile"]["type"] == "RuntimeDefault" else ["system calls"]
    wrong += [] if pod["automountServiceAccountToken"] is False else ["token"]
    for one in containers(pod):
        own = one["securityContext"]
        wrong += [] if own["allowPrivilegeEscalation"] is False else ["escalation"]
        wrong += [] if own["readOnlyRootFilesystem"] is True else ["files"]
        wrong += [] if own["capabilities"] == {"drop": ["ALL"]} else ["capabilities"]
    return wrong


@BY_POD
def test_a_pod_is_confined(kind: str) -> None:
    assert confinement_faults(PODS[kind]) == []


def test_control_a_pod_that_is_not_confined_is_named() -> None:
    pod = dict(pods())["Job"]
    pod["containers"][0]["securityContext"] = {
        "allowPrivilegeEscalation": True,
        "readOnlyRootFilesystem": False,
        "capabilities": {},
    }
    pod["securityContext"]["runAsUser"] = 0
    assert confinement_faults(pod) == ["root", "escalation", "files", "capabilities"]


def test_there_are_the_kinds_of_work_that_are_expected() -> None:
    assert set(PODS) == {"Deployment", "Job", "CronJob"}


@BY_POD
def test_what_a_pod_mounts_is_a_volume_and_what_is_a_volume_is_there(kind: str) -> None:
    pod = PODS[kind]
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    mounted = {mount["name"] for one in containers(pod) for mount in one["volumeMounts"]}
    assert mounted == set(volumes)
    named = {
        volume.get("secret", {}).get("secretName") or volume.get("configMap", {}).get("name")
        for volume in volumes.values()
    }
    assert named - {None} <= OF_THE_OPERATOR
    claims = {
        volume["persistentVolumeClaim"]["claimName"] for volume in volumes.values() if "persistentVolumeClaim" in volume
    }
    assert claims <= {one["metadata"]["name"] for one in by_kind("PersistentVolumeClaim")}


@BY_POD
def test_a_pod_takes_its_settings_from_maps_that_exist(kind: str) -> None:
    maps = {one["metadata"]["name"] for one in by_kind("ConfigMap")}
    for one in PODS[kind]["containers"]:
        assert {source["configMapRef"]["name"] for source in one["envFrom"]} <= maps


@BY_POD
def test_the_cluster_adds_no_variable_that_would_be_an_unknown_setting(kind: str) -> None:
    assert PODS[kind]["enableServiceLinks"] is False


def test_the_settings_are_settings_that_the_server_takes() -> None:
    assert set(settings_map()) <= VARIABLES
    settings = load_settings({}, settings_map(), None)
    assert settings.is_on_postgresql
    assert settings.tls_key is not None
    with pytest.raises(Exception, match="unknown setting"):
        load_settings({}, settings_map() | {"MYSAFE_SERVICE_HOST": "10.0.0.1"}, None)


def test_the_ports_agree() -> None:
    (container,) = PODS["Deployment"]["containers"]
    (port,) = container["ports"]
    assert port["containerPort"] == int(settings_map()["MYSAFE_PORT"])
    (service,) = by_kind("Service")
    assert [one["targetPort"] for one in service["spec"]["ports"]] == [port["name"]]
    (policy,) = by_kind("NetworkPolicy")
    assert policy["spec"]["ingress"] == [{"ports": [{"protocol": "TCP", "port": port["containerPort"]}]}]


def test_the_probes_ask_what_the_server_answers() -> None:
    (container,) = PODS["Deployment"]["containers"]
    asked = {name: container[f"{name}Probe"]["httpGet"] for name in ("startup", "liveness", "readiness")}
    paths = {name: one["path"].encode() for name, one in asked.items()}
    assert paths == {"startup": LIVE, "liveness": LIVE, "readiness": READY}
    assert {(one["port"], one["scheme"]) for one in asked.values()} == {("https", "HTTPS")}


def test_a_pod_may_take_the_time_that_its_settings_give_it() -> None:
    pod = PODS["Deployment"]
    assert pod["terminationGracePeriodSeconds"] > seconds_to_end(settings_map())
    probe = pod["containers"][0]["readinessProbe"]
    noticed = probe["periodSeconds"] * probe["failureThreshold"] + probe["timeoutSeconds"]
    assert int(settings_map()["MYSAFE_DRAIN_SECONDS"]) > noticed + 5


def test_a_replacement_leaves_a_node_at_every_moment() -> None:
    (deployment,) = by_kind("Deployment")
    (budget,) = by_kind("PodDisruptionBudget")
    assert deployment["spec"]["replicas"] > budget["spec"]["minAvailable"] >= 1
    assert deployment["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    (service,) = by_kind("Service")
    selectors = [deployment["spec"]["selector"]["matchLabels"], budget["spec"]["selector"]["matchLabels"]]
    assert [*selectors, service["spec"]["selector"]] == [labels] * 3


def test_no_secret_is_in_the_manifests() -> None:
    assert by_kind("Secret") == []
    values = [
        value for one in by_kind("ConfigMap") for key, value in one["data"].items() if key.endswith(("KEY", "PASSWORD"))
    ]
    assert all(value.startswith("/") for value in values)


def test_the_kustomization_lists_every_manifest() -> None:
    folder = DEPLOY / "kubernetes"
    listed = yaml.safe_load((folder / "kustomization.yaml").read_text())["resources"]
    there = {path.name for path in MANIFESTS if path.parent == folder} - {"kustomization.yaml"}
    assert sorted(listed) == sorted(there)


# -- what the containers run ------------------------------------------------------------------------------------------


def test_the_files_that_a_pod_prepares_are_private_and_those_of_its_settings(tmp_path: Path) -> None:
    names = [Path(value).name for value in settings_map().values() if value.startswith("/run/mysafe/")]
    keys, tls = tmp_path / "secrets/keys", tmp_path / "secrets/tls"
    for folder in (keys, tls, tmp_path / "run/mysafe", tmp_path / "var/lib/mysafe"):
        folder.mkdir(parents=True)
    for name in names:
        _as_a_secret_is_mounted((tls if name.startswith("tls.") else keys) / name)
    (prepare,) = PODS["Deployment"]["initContainers"]
    run(prepare, tmp_path)
    made = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "run/mysafe").iterdir()}
    assert made == dict.fromkeys(names, 0o400)
    assert stat.S_IMODE((tmp_path / "var/lib/mysafe/data").stat().st_mode) == 0o700


def _as_a_secret_is_mounted(path: Path) -> None:
    """Make a file as the cluster does: behind a link, readable by the group."""
    actual = path.parent / "..data" / path.name
    actual.parent.mkdir(exist_ok=True)
    actual.write_text(path.name)
    actual.chmod(0o440)
    path.symlink_to(Path("..data") / path.name)


def run(container: dict[str, Any], root: Path) -> None:
    """Run what a container runs, its directories under another root."""
    script = container["args"][0]
    for folder in ("/var/lib/mysafe", "/run/mysafe", "/secrets", "/backups"):
        script = script.replace(f" {folder}", f" {root}{folder}")
    subprocess.run([*container["command"], script], env=dict(os.environ), check=True, capture_output=True, timeout=60)
