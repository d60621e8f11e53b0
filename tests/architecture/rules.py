# SPDX-License-Identifier: Apache-2.0
"""The rules of the house that are not about imports. Each takes the root of a checkout and returns a verdict."""

import ast
from pathlib import Path

from tests.architecture import house
from tests.architecture.house import Verdict

LONGEST_FILE = 400
LONGEST_FUNCTION = 50
LONGEST_HANDLER = 15
LARGEST_ROOM = 15
MOST_ARGUMENTS = 6
DEEPEST_NESTING = 3
MOST_PUBLIC_NAMES_OF_A_UNIT = 10

TABLES = frozenset(
    {
        "src/mysafe/authz/decide.py",
        "src/mysafe/storage/schema.py",
        "src/mysafe/storage/statements.py",
    }
)
"""Files that are one long table and may be longer than the others."""

REVEALING_FILES = frozenset(
    {
        "src/mysafe/cli/access_keys.py",
        "src/mysafe/cli/keys.py",
        "src/mysafe/crypto/age.py",
        "src/mysafe/crypto/password_hash.py",
        "src/mysafe/crypto/root_key/devices/machine_token.py",
        "src/mysafe/crypto/root_key/passphrase.py",
        "src/mysafe/crypto/root_key/devices/pkcs11_token.py",
        "src/mysafe/crypto/root_key/shares.py",
        "src/mysafe/crypto/root_key/devices/transit.py",
        "src/mysafe/crypto/rsa_oaep.py",
        "src/mysafe/crypto/totp.py",
        "src/mysafe/protocol/api_secrets.py",
        "src/mysafe/protocol/files.py",
        "src/mysafe/protocol/notes.py",
        "src/mysafe/protocol/oauth2.py",
        "src/mysafe/protocol/passwords.py",
        "src/mysafe/server/api/manage/access_keys.py",
        "src/mysafe/server/observing/scraping.py",
        "src/mysafe/services/authentication.py",
        "src/mysafe/services/files/shelf.py",
        "src/mysafe/services/payloads/items.py",
        "src/mysafe/services/payloads/principals.py",
        "src/mysafe/services/payloads/sign_in.py",
        "src/mysafe/services/principals.py",
        "src/mysafe/services/registry.py",
        "src/mysafe/services/root/kit.py",
        "src/mysafe/services/sign_in/entrance.py",
        "src/mysafe/services/sign_in/links.py",
        "src/mysafe/services/sign_in/second_factor.py",
        "src/mysafe/services/writes/sign_in.py",
        "src/mysafe/services/accounts/passwords.py",
        "src/mysafe/services/accounts/users.py",
    }
)
"""The only files where a plaintext leaves its SecretText. A new one is a decision: say why in the review."""

SHAPELESS_NAMES = frozenset(
    {"base", "common", "core", "helper", "helpers", "manager", "managers", "misc", "models", "shared", "util", "utils"}
)
"""Names that say nothing about what is inside."""


def async_stays_in_the_server(root: Path) -> Verdict:
    """Find every `async def`; the network ends in the server room, and `async` with it."""
    found = [
        house.place(module, node)
        for module, node in house.nodes(root)
        if isinstance(node, ast.AsyncFunctionDef | ast.AsyncFor | ast.AsyncWith)
    ]
    return Verdict(found, [where for where in found if not where.startswith("src/mysafe/server/")])


def secrets_are_revealed_in_listed_files(root: Path) -> Verdict:
    """Find every use of an attribute named `reveal`, called or passed on."""
    found = [
        house.place(module, node)
        for module, node in house.nodes(root)
        if isinstance(node, ast.Attribute) and node.attr == "reveal"
    ]
    return Verdict(found, [where for where in found if where.rpartition(":")[0] not in REVEALING_FILES])


def grants_come_from_the_unit_of_work(root: Path) -> Verdict:
    """Find every construction of a `Grant`, the proof that a decision was made and recorded."""
    found = [
        house.place(module, node)
        for module, node in house.nodes(root)
        if isinstance(node, ast.Call) and _called_name(node) == "Grant"
    ]
    return Verdict(found, [where for where in found if not where.startswith("src/mysafe/services/unit_of_work.py:")])


def _called_name(call: ast.Call) -> str:
    match call.func:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case _:
            return ""


def files_are_short(root: Path) -> Verdict:
    """Count the lines of every source file, tests and tools included."""
    lengths = {
        module.path: len(module.text.splitlines())
        for folder in ("src/mysafe", "tests", "tools")
        for module in house.modules(root, folder)
    }
    wrong = [path for path, length in lengths.items() if length > LONGEST_FILE and path not in TABLES]
    return Verdict(list(lengths), wrong)


def functions_are_short(root: Path) -> Verdict:
    """Count the lines of every function body, without its docstring."""
    lengths = {house.place(*pair): house.body_lines(pair[1]) for pair in house.functions(root)}
    return Verdict(list(lengths), [where for where, length in lengths.items() if length > LONGEST_FUNCTION])


def handlers_are_short(root: Path) -> Verdict:
    """Count the lines of every handler: a function of the API wing that takes a `Call`."""
    lengths = {
        house.place(*pair): house.body_lines(pair[1])
        for pair in house.functions(root, "src/mysafe/server/api")
        if any(_annotation(argument) == "Call" for argument in house.arguments(pair[1]))
    }
    return Verdict(list(lengths), [where for where, length in lengths.items() if length > LONGEST_HANDLER])


def _annotation(argument: ast.arg) -> str:
    return ast.unparse(argument.annotation) if argument.annotation else ""


def argument_lists_are_short(root: Path) -> Verdict:
    """Count the arguments of every function; dataclasses have no function here and are free."""
    counts = {house.place(*pair): len(house.arguments(pair[1])) for pair in house.functions(root)}
    return Verdict(list(counts), [where for where, count in counts.items() if count > MOST_ARGUMENTS])


def nesting_is_shallow(root: Path) -> Verdict:
    """Measure how deep blocks stand within each other in every function."""
    depths = {house.place(*pair): house.nesting(pair[1].body) for pair in house.functions(root)}
    return Verdict(list(depths), [where for where, depth in depths.items() if depth > DEEPEST_NESTING])


def names_say_what_is_inside(root: Path) -> Verdict:
    """Look at the name of every folder and module of the package."""
    package = root / "src/mysafe"
    paths = [path for path in package.rglob("*") if path.is_dir() or path.suffix == ".py"]
    found = [path.relative_to(root).as_posix() for path in paths if "__pycache__" not in path.parts]
    return Verdict(found, [path for path in found if Path(path).stem.strip("_") in SHAPELESS_NAMES])


def rooms_are_small(root: Path) -> Verdict:
    """Count the modules of every folder of the package."""
    folders = sorted({(root / module.path).parent for module in house.modules(root)})
    sizes = {
        folder.relative_to(root).as_posix(): sum(path.name != "__init__.py" for path in folder.glob("*.py"))
        for folder in folders
    }
    return Verdict(list(sizes), [path for path, size in sizes.items() if size > LARGEST_ROOM])


def a_unit_of_work_offers_little(root: Path) -> Verdict:
    """List the public names of the class `UnitOfWork`, which wants to become a god."""
    found = [
        f"{house.place(module, member)} {member.name}"
        for module, node in house.nodes(root)
        if isinstance(node, ast.ClassDef) and node.name == "UnitOfWork"
        for member in node.body
        if isinstance(member, house.Function) and not member.name.startswith("_")
    ]
    return Verdict(found, found[MOST_PUBLIC_NAMES_OF_A_UNIT:])


_LICENSED = frozenset({".py", ".lua", ".sh", ".toml"})


def files_name_their_licence(root: Path) -> Verdict:
    """Look for the SPDX line at the top of every source file, after `#!` where there is one. Empty files need none."""
    paths = [
        path
        for folder in ("src", "tests", "tools", ".ci", "deploy")
        for path in sorted((root / folder).rglob("*"))
        if path.is_file() and (path.suffix in _LICENSED or folder == ".ci")
    ]
    paths += [root / name for name in ("Makefile", "pyproject.toml") if (root / name).exists()]
    found = [path.relative_to(root).as_posix() for path in paths]
    return Verdict(found, [name for name, path in zip(found, paths, strict=True) if not _is_licensed(path)])


def _is_licensed(path: Path) -> bool:
    lines = path.read_text(encoding="utf-8").splitlines()
    return not lines or any(line.endswith("SPDX-License-Identifier: Apache-2.0") for line in lines[:2])


def tests_are_not_skipped(root: Path) -> Verdict:
    """Find every test and every way to leave one out."""
    found = [house.place(*pair) for pair in house.functions(root, "tests") if pair[1].name.startswith("test_")]
    wrong = [
        house.place(module, node)
        for module, node in house.nodes(root, "tests")
        if isinstance(node, ast.Attribute) and node.attr in {"skip", "skipif", "xfail", "importorskip", "skipTest"}
    ]
    return Verdict(found, wrong)
