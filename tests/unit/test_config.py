# SPDX-License-Identifier: Apache-2.0
"""The settings: their order, their limits, and the combinations that are refused."""

import dataclasses
import subprocess
import sys
from collections.abc import Mapping
from ipaddress import ip_network
from pathlib import Path

import pytest

from mysafe.config import (
    FLAGS,
    Settings,
    SettingsRefused,
    find_settings_file,
    load_settings,
    load_with_sources,
    toml_key,
    variable,
)

EVERYWHERE = "0.0.0.0"  # noqa: S104  # never bound
CHECKOUT = Path(__file__).parents[2]
DATA: Mapping[str, object] = {"data": "/vault/data"}


def settings_file(folder: Path, text: str, mode: int = 0o600) -> Path:
    path = folder / "mysafe.toml"
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)
    return path


def test_the_defaults_are_safe() -> None:
    settings = load_settings(DATA, {}, None)
    assert settings == Settings(Path("/vault/data"))
    assert (settings.host, settings.port, settings.request_seconds, settings.header_seconds) == (
        "127.0.0.1",
        8080,
        60,
        10,
    )
    assert not any((settings.compat_mensagem, settings.compat_hide_existence, settings.compat_list_inactive))
    assert settings.compat_unauthenticated_status == 401
    assert settings.notes_max_characters == 900
    assert settings.body_bytes == 1_048_576


def test_a_flag_beats_a_variable_beats_the_file_beats_the_default(tmp_path: Path) -> None:
    file = settings_file(tmp_path, 'data = "/from/file"\n[server]\nport = 1\nmax_connections = 3\nheader_seconds = 5\n')
    environ = {"MYSAFE_PORT": "2", "MYSAFE_MAX_CONNECTIONS": "4", "PATH": "/bin"}
    settings, sources = load_with_sources({"port": 3, "host": None}, environ, file)
    assert (settings.port, settings.max_connections, settings.header_seconds) == (3, 4, 5)
    assert settings.data == Path("/from/file")
    assert sources["port"] == "--port"
    assert sources["max_connections"] == "MYSAFE_MAX_CONNECTIONS"
    assert sources["header_seconds"] == sources["data"] == str(file)
    assert sources["host"] == "default"
    assert sources.keys() == {field.name for field in dataclasses.fields(Settings)}


def test_every_setting_can_be_set_in_the_file_and_in_the_environment(tmp_path: Path) -> None:
    values = {
        "data": ("'/d'", "/d", Path("/d")),
        "database": ("'sqlite:////d/v.db'", "sqlite:////d/v.db", "sqlite:////d/v.db"),
        "key_file": ("'/k'", "/k", Path("/k")),
        "host": ("'::'", "::", "::"),
        "port": ("1", "1", 1),
        "behind_proxy": ("true", "true", True),
        "trusted_proxies": (
            "['10.0.0.0/8', '::1']",
            "10.0.0.0/8, ::1",
            (ip_network("10.0.0.0/8"), ip_network("::1")),
        ),
        "tls_certificate": ("'/c'", "/c", Path("/c")),
        "tls_key": ("'/t'", "/t", Path("/t")),
        "tls_client_ca": ("'/a'", "/a", Path("/a")),
        "client_certificate_header": ("'X-Cert'", "X-Cert", "X-Cert"),
        "access_keys_reveal": ("'once'", "once", "once"),
        "request_seconds": ("1.5", "1.5", 1.5),
        "header_seconds": ("2", "2", 2),
        "max_connections": ("7", "7", 7),
        "compat_mensagem": ("true", "1", True),
        "compat_unauthenticated_status": ("404", "404", 404),
        "compat_hide_existence": ("true", "True", True),
        "compat_list_inactive": ("true", "true", True),
        "notes_max_characters": ("1048576", "1048576", 1_048_576),
        "requests_per_second": ("0", "0", 0),
        "requests_burst": ("5", "5", 5),
        "token_failures_per_minute": ("6", "6", 6),
        "token_failures_per_address": ("7", "7", 7),
    }
    expected = Settings(**{name: value[2] for name, value in values.items()})  # type: ignore[arg-type]
    assert expected.body_bytes > 12 * 1_048_576
    tables: dict[str, list[str]] = {"": []}
    for name, value in values.items():
        table, key = toml_key(name)
        tables.setdefault(table, []).append(f"{key} = {value[0]}")
    text = "\n".join("\n".join([f"[{table}]" if table else "", *lines]) for table, lines in tables.items())
    assert load_settings({}, {}, settings_file(tmp_path, text)) == expected
    assert load_settings({}, {variable(name): value[1] for name, value in values.items()}, None) == expected


def test_relative_paths_become_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    settings = load_settings({"data": "a/../b", "database": "sqlite:///v.db"}, {}, None)
    assert settings.data == tmp_path / "b"
    assert settings.database == f"sqlite:///{tmp_path}/v.db"


def test_an_empty_variable_is_not_set() -> None:
    assert load_settings(DATA, {"MYSAFE_PORT": "", "MYSAFE_DATA": ""}, None).port == 8080


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"data": None}, "the data directory is not set"),
        ({"data": "/"}, "root of the file system"),
        ({"data": "  "}, "data (--data) must be a text"),
        ({"port": 65_536}, "port (--port) must be a whole number from 0 to 65535"),
        ({"port": -1}, "port"),
        ({"port": "http"}, "port"),
        ({"port": True}, "port"),
        ({"port": 1.5}, "port"),
        ({"request_seconds": 0}, "request_seconds"),
        ({"request_seconds": float("nan")}, "request_seconds"),
        ({"header_seconds": 121}, "header_seconds"),
        ({"max_connections": 0}, "max_connections"),
        ({"notes_max_characters": 1_048_577}, "from 1 to 1048576"),
        ({"requests_per_second": -1}, "from 0 to 100000"),
        ({"token_failures_per_minute": 0}, "from 1 to 100000"),
        ({"compat_unauthenticated_status": 403}, "401 or 404"),
        ({"compat_mensagem": "maybe"}, "true or false"),
        ({"compat_mensagem": 1}, "true or false"),
        ({"database": "postgresql://mysafe:8jhfy@db/mysafe"}, "may not hold a password"),
        ({"database": "postgresql://db/mysafe?password=8jhfy"}, "may not hold a password"),
        ({"database": "postgresql://db/mysafe?sslmode=verify-full&ssl%70assword=8jhfy"}, "may not hold a password"),
        ({"database_password_file": "/p"}, "only useful with a PostgreSQL database"),
        ({"database": "mysql://x"}, "sqlite:///PATH"),
        ({"database": "sqlite:///"}, "sqlite:///PATH"),
        ({"database": "sqlite:///v.db?mode=ro"}, "sqlite:///PATH"),
        ({"key_file": "/vault/data/key"}, "the key file lies in the data directory"),
        ({"host": EVERYWHERE}, "listening on 0.0.0.0 would send secrets unencrypted"),
        ({"host": "::"}, "unencrypted"),
        ({"host": "vault.example"}, "unencrypted"),
        ({"host": EVERYWHERE, "tls_certificate": "/c"}, "tls_certificate and tls_key"),
        ({"tls_key": "/c"}, "tls_certificate and tls_key"),
        ({"host": EVERYWHERE, "behind_proxy": True}, "behind_proxy and trusted_proxies"),
        ({"host": EVERYWHERE, "trusted_proxies": "10.0.0.1"}, "behind_proxy and trusted_proxies"),
        ({"behind_proxy": True, "trusted_proxies": "10.0.0.1/8"}, "has host bits set"),
        ({"behind_proxy": True, "trusted_proxies": "proxy"}, "not a list of addresses"),
        ({"behind_proxy": True, "trusted_proxies": 5}, "a list of addresses"),
        ({"behind_proxy": True, "trusted_proxies": "0.0.0.0/0"}, "narrower than the whole Internet"),
        ({"tls_client_ca": "/a"}, "tls_client_ca is only useful with tls_certificate"),
        ({"client_certificate_header": "X-Cert"}, "only believed from trusted_proxies"),
        ({"client_certificate_header": "X Cert"}, "the name of a header"),
        ({"client_certificate_header": "X\n"}, "the name of a header"),
        ({"access_keys_reveal": "always"}, "reauth or once"),
        ({"hots": "x"}, "unknown setting hots"),
    ],
)
def test_a_bad_setting_is_refused_with_one_sentence(given: dict[str, object], sentence: str) -> None:
    load_settings(DATA, {}, None)
    with pytest.raises(SettingsRefused) as refused:
        load_settings({**DATA, **given}, {}, None)
    text = str(refused.value)
    assert sentence in text
    assert "\n" not in text
    assert "8jhfy" not in text


@pytest.mark.parametrize(
    "given",
    [
        {"host": EVERYWHERE, "tls_certificate": "/c", "tls_key": "/k"},
        {"host": EVERYWHERE, "behind_proxy": True, "trusted_proxies": ["10.0.0.1"]},
        {"host": "::1"},
        {"host": "127.1.2.3"},
        {"host": "localhost"},
    ],
)
def test_a_safe_address_is_accepted(given: dict[str, object]) -> None:
    assert load_settings({**DATA, **given}, {}, None).host == given["host"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("hots = 1", "has the unknown setting hots"),
        ("port = 1", "has the unknown setting port"),
        ("[server]\ndata = 'x'", "has the unknown setting server.data"),
        ("[server]\nport = '1'\n[compat]\nmensagen = true", "has the unknown setting compat.mensagen"),
        ("[sever]\nport = 1", "has the unknown setting sever.port"),
        ("[sever]\n", "has the unknown setting sever"),
        ("server = 1", "has the unknown setting server"),
        ("data = ", "is not valid TOML"),
        ("[notes]\nmax_characters = 'x'", "notes_max_characters"),
    ],
)
def test_a_bad_settings_file_is_refused_with_one_sentence(text: str, sentence: str, tmp_path: Path) -> None:
    assert load_settings({}, {}, settings_file(tmp_path, "data = '/d'")).data == Path("/d")
    with pytest.raises(SettingsRefused, match=sentence) as refused:
        load_settings(DATA, {}, settings_file(tmp_path, text))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("mode", [0o604, 0o660, 0o602])
def test_a_settings_file_that_others_may_read_or_change_is_refused(mode: int, tmp_path: Path) -> None:
    assert load_settings({}, {}, settings_file(tmp_path, "data = '/d'", 0o640)).data == Path("/d")
    with pytest.raises(SettingsRefused, match="run chmod 640"):
        load_settings({}, {}, settings_file(tmp_path, "data = '/d'", mode))


def test_a_missing_settings_file_is_refused_when_it_was_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsRefused, match="cannot be read"):
        load_settings(DATA, {}, tmp_path / "none.toml")


def test_an_unknown_variable_is_refused_and_others_are_left_alone() -> None:
    assert load_settings(DATA, {"HOME": "/root", "MYSAFE_CONFIG": "x"}, None).port == 8080
    with pytest.raises(SettingsRefused, match="unknown setting MYSAFE_HOTS"):
        load_settings(DATA, {"MYSAFE_HOTS": "1"}, None)


def test_the_settings_file_is_the_named_one_or_the_default_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("mysafe.config.loading.SETTINGS_FILE", tmp_path / "mysafe.toml")
    assert find_settings_file({}) is None
    assert find_settings_file({"MYSAFE_CONFIG": "/x"}) == Path("/x")
    settings_file(tmp_path, "")
    assert find_settings_file({}) == tmp_path / "mysafe.toml"


def test_the_flags_are_fields() -> None:
    assert set(FLAGS) <= {field.name for field in dataclasses.fields(Settings)}


METRICS_ON = {"metrics_address": "127.0.0.1:9464", "metrics_token_file": "token"}


@pytest.mark.parametrize("address", ["127.0.0.1:9464", "[::1]:9464", "localhost:9464"])
def test_metrics_may_be_served_on_loopback(address: str) -> None:
    assert load_settings({"data": "data", **METRICS_ON, "metrics_address": address}, {}, None).metrics_place is not None


def test_metrics_elsewhere_need_a_certificate_or_a_trusted_proxy() -> None:
    elsewhere = {"data": "data", **METRICS_ON, "metrics_address": "0.0.0.0:9464"}
    with pytest.raises(SettingsRefused, match="would show their token"):
        load_settings(elsewhere, {}, None)
    proxies = {"behind_proxy": True, "trusted_proxies": ["192.0.2.1"]}
    assert load_settings({**elsewhere, **proxies}, {}, None).metrics_place == ("0.0.0.0", 9464)  # noqa: S104


@pytest.mark.parametrize("left_out", METRICS_ON)
def test_metrics_need_their_token(left_out: str) -> None:
    given = {name: value for name, value in METRICS_ON.items() if name != left_out}
    with pytest.raises(SettingsRefused, match="metrics_address and metrics_token_file"):
        load_settings({"data": "data", **given}, {}, None)


@pytest.mark.parametrize("address", ["9464", "127.0.0.1", "::1:9464", "127.0.0.1:99999", "http://127.0.0.1:1", "a b:1"])
def test_an_address_of_metrics_is_host_and_port(address: str) -> None:
    with pytest.raises(SettingsRefused, match="HOST:PORT"):
        load_settings({"data": "data", **METRICS_ON, "metrics_address": address}, {}, None)


@pytest.mark.parametrize(
    "endpoint",
    [
        "127.0.0.1:4318",
        "http://user:8jhfy@host/v1/traces",
        "http://host/v1/traces?key=8jhfy",
        "http://host",
        "ftp://host/",
    ],
)
def test_an_endpoint_of_traces_holds_no_secret(endpoint: str) -> None:
    with pytest.raises(SettingsRefused, match="http://HOST:PORT/PATH") as refused:
        load_settings({"data": "data", "traces_endpoint": endpoint}, {}, None)
    assert "8jhfy" not in str(refused.value)


def test_the_page_about_settings_is_up_to_date() -> None:
    done = subprocess.run(
        [sys.executable, str(CHECKOUT / "tools/configure_doc.py"), "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "up to date\n"), done.stdout + done.stderr
    page = (CHECKOUT / "docs/operate/configure.md").read_text(encoding="utf-8")
    for field in dataclasses.fields(Settings):
        assert f"## {field.name}\n" in page
