# SPDX-License-Identifier: Apache-2.0
"""The compose file means what it says: secrets, settings and services that it names exist, and nothing is open."""

import stat
import subprocess
from collections.abc import Mapping
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest

from mysafe.config import load_settings
from tests.deploy.files import COMPOSE, DEPLOY, PROXY, compose, seconds_to_end, unknown_settings
from tests.support.process import Installation

SCRIPT = DEPLOY / "compose/make-secrets.sh"
NODES = ("node1", "node2")


def faults(found: Mapping[str, Any]) -> list[str]:
    """Return what a compose file names and does not define, and what looks like a secret in it."""
    wrong = []
    for name, service in found["services"].items():
        wrong += [f"{name}: secret {one}" for one in service.get("secrets", []) if one not in found["secrets"]]
        wrong += [f"{name}: service {one}" for one in service.get("depends_on", []) if one not in found["services"]]
        wrong += [f"{name}: network {one}" for one in service.get("networks", []) if one not in found["networks"]]
        sources = [volume.partition(":")[0] for volume in service.get("volumes", [])]
        wrong += [f"{name}: volume {one}" for one in sources if one[0] != "." and one not in found["volumes"]]
        wrong += [f"{name}: setting {one}" for one in unknown_settings(" ".join(service.get("environment", {})))]
        given = service.get("environment", {}).items()
        wrong += [f"{name}: a secret in {key}" for key, value in given if _is_secret(key) and value[:1] != "/"]
        wrong += [f"{name}: may gain privileges" for _ in "x" if "no-new-privileges:true" not in _options(service)]
    return wrong


def _is_secret(key: str) -> bool:
    return any(word in key for word in ("PASSWORD", "SECRET", "TOKEN", "KEY"))


def _options(service: Mapping[str, Any]) -> list[str]:
    return list(service.get("security_opt", []))


def test_everything_that_is_named_exists_and_no_secret_is_there() -> None:
    assert faults(compose()) == []


@pytest.mark.parametrize(
    ("service", "key", "value"),
    [
        ("node1", "secrets", ["other"]),
        ("node1", "depends_on", {"other": {}}),
        ("proxy", "networks", ["other"]),
        ("node2", "volumes", ["other:/x"]),
        ("node1", "environment", {"MYSAFE_OTHER": "1"}),
        ("database", "environment", {"POSTGRES_PASSWORD": "mysafe"}),
        ("proxy", "security_opt", []),
    ],
)
def test_control_what_is_wrong_is_named(service: str, key: str, value: object) -> None:
    found = compose()
    found["services"][service][key] = value
    assert len(faults(found)) == 1


def test_both_nodes_have_settings_that_the_server_takes() -> None:
    for name in NODES:
        settings = load_settings({}, compose()["services"][name]["environment"], None)
        assert settings.is_on_postgresql
        assert settings.behind_proxy


def test_the_nodes_believe_the_proxy_and_nobody_else() -> None:
    found = compose()
    address = ip_address(found["services"]["proxy"]["networks"]["inside"]["ipv4_address"])
    (subnet,) = found["networks"]["inside"]["ipam"]["config"]
    assert address in ip_network(subnet["subnet"])
    for name in NODES:
        settings = load_settings({}, found["services"][name]["environment"], None)
        assert [str(network) for network in settings.trusted_proxies] == [f"{address}/32"]


def test_only_the_proxy_can_be_reached_from_outside() -> None:
    found = compose()
    assert [name for name, service in found["services"].items() if "ports" in service] == ["proxy"]
    assert found["networks"]["inside"]["internal"] is True
    assert found["services"]["database"]["network_mode"] == "none"
    assert all(found["services"][name]["networks"] == ["inside"] for name in NODES)


def test_the_nodes_share_contents_of_files_and_nothing_else() -> None:
    one, two = (set(compose()["services"][name]["volumes"]) for name in NODES)
    assert one & two == {"socket:/var/run/postgresql:ro", "files:/var/lib/mysafe/node/blobs"}


def test_the_nodes_cannot_write_outside_their_volumes() -> None:
    for name in (*NODES, "init", "proxy"):
        service = compose()["services"][name]
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]


def test_a_node_may_take_the_time_that_its_settings_give_it() -> None:
    for name in NODES:
        service = compose()["services"][name]
        assert int(service["stop_grace_period"].removesuffix("s")) > seconds_to_end(service["environment"])


def test_a_node_drains_for_longer_than_the_proxy_needs_to_notice() -> None:
    text = PROXY.read_text(encoding="utf-8")
    assert "check inter 1s fall 2 " in text
    assert "timeout check 2s" in text
    for name in NODES:
        assert int(compose()["services"][name]["environment"]["MYSAFE_DRAIN_SECONDS"]) > 1 * 2 + 2


def test_the_init_service_is_only_run_when_it_is_asked_for() -> None:
    init = compose()["services"]["init"]
    assert (init["profiles"], init["restart"], init["command"][0]) == (["init"], "no", "init")


# -- the script that makes the secrets --------------------------------------------------------------------------------


def make_secrets(directory: Path) -> None:
    subprocess.run([str(SCRIPT), str(directory)], check=True, capture_output=True, timeout=60)


def test_the_script_makes_every_secret_for_its_reader_only(tmp_path: Path) -> None:
    make_secrets(tmp_path / "secrets")
    files = {path.name: path for path in (tmp_path / "secrets").iterdir()}
    assert set(files) == {Path(one["file"]).name for one in compose()["secrets"].values()}
    assert {stat.S_IMODE(path.stat().st_mode) for path in files.values()} == {0o400}
    assert len(files["root_key"].read_bytes()) == 32
    assert len(files["database_password"].read_text()) == 48


def test_the_script_never_replaces_a_secret_and_never_makes_the_same_one(tmp_path: Path) -> None:
    make_secrets(tmp_path / "one")
    before = _contents(tmp_path / "one")
    make_secrets(tmp_path / "one")
    make_secrets(tmp_path / "two")
    assert _contents(tmp_path / "one") == before
    assert not set(before.values()) & set(_contents(tmp_path / "two").values())


def _contents(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def test_the_key_of_the_script_opens_a_vault(tmp_path: Path) -> None:
    make_secrets(tmp_path / "secrets")
    key = tmp_path / "key"
    key.write_bytes((tmp_path / "secrets/root_key").read_bytes())
    key.chmod(0o400)
    installation = Installation(tmp_path, environment={"MYSAFE_KEY_FILE": str(key)})
    installation.start()
    assert installation.call("GET", "/health/ready")[0] == 200
    installation.close()


def test_the_file_of_the_script_is_where_the_compose_file_looks() -> None:
    text = COMPOSE.read_text(encoding="utf-8")
    assert "make-secrets.sh" in text
    assert all(one["file"].startswith("./secrets/") for one in compose()["secrets"].values())
    assert (DEPLOY / "compose/.gitignore").read_text() == "secrets/\n"
