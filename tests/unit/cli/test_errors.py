# SPDX-License-Identifier: Apache-2.0
"""Every error has its sentence and its exit status."""

import inspect
import string

import pytest

from mysafe.cli.errors import _TABLE, EXPLAINED, REFUSED, USAGE, explain
from mysafe.config import SettingsRefused
from mysafe.domain import errors


def public_errors() -> list[type[errors.VaultError]]:
    return [
        one
        for name, one in inspect.getmembers(errors, inspect.isclass)
        if issubclass(one, errors.VaultError) and not name.startswith("_")
    ]


def test_the_table_has_every_class_and_no_other() -> None:
    assert len(public_errors()) > 20
    assert set(public_errors()) == set(_TABLE)


WITH_FACTS = (errors._FieldError,)
"""Bases whose facts a class inherits."""

EXAMPLES = [
    (errors.MissingField("username"), USAGE, "username must not be empty"),
    (errors.TooLong("name", 255), USAGE, "name is longer than 255 characters"),
    (errors.NotFound("user"), REFUSED, "there is no such user"),
    (errors.Conflict("group"), REFUSED, "the name is taken by another group"),
    (errors.AccessDenied("operators do not read items"), REFUSED, "the command line may not do this"),
    (errors.Busy(), REFUSED, "another process holds the database; nothing was changed, so try again"),
    (errors.NotAuthenticated(was_sent=True), REFUSED, "the credential was not accepted"),
    (SettingsRefused("port must be\n a number"), REFUSED, "port must be a number"),
    (PermissionError(13, "Permission denied", "/vault"), REFUSED, "Permission denied: /vault"),
    (TimeoutError(), REFUSED, "TimeoutError: input or output"),
]


@pytest.mark.parametrize(("error", "status", "sentence"), EXAMPLES)
def test_an_error_is_one_sentence(error: Exception, status: int, sentence: str) -> None:
    assert isinstance(error, EXPLAINED)
    assert explain(error) == (status, sentence)


@pytest.mark.parametrize("kind", public_errors())
def test_a_sentence_uses_facts_that_its_error_has(kind: type[errors.VaultError]) -> None:
    facts = {name for _, name, _, _ in string.Formatter().parse(_TABLE[kind][1]) if name}
    known = (
        set(inspect.signature(kind).parameters) if "__init__" in vars(kind) or kind.__base__ in WITH_FACTS else set()
    )
    assert facts <= known
