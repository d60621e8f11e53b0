# SPDX-License-Identifier: Apache-2.0
"""The comparison with golden files accepts the golden answer and notices each kind of damage to it."""

from collections.abc import Callable

import pytest

from tests.support.golden import Facts, Json, codes, differences, parse, read

Damage = Callable[[dict[str, Json]], None]

CREATED = "password.create.response.json"
LISTED = "password.list.response.json"
REVEALED = "password.get.totp.response.json"
NOON = 1_700_000_000


def _rename(answer: dict[str, Json]) -> None:
    answer["entity"] = answer.pop("password_entity")


def _rename_deep(answer: dict[str, Json]) -> None:
    _entity(answer)["notes"] = _entity(answer).pop("note")


def _reorder(answer: dict[str, Json]) -> None:
    answer["code"] = answer.pop("code")


def _number_as_text(answer: dict[str, Json]) -> None:
    answer["code"] = "201"


def _number_for_false(answer: dict[str, Json]) -> None:
    answer["response"] = {**_object(answer["response"]), "error": 0}


def _other_value(answer: dict[str, Json]) -> None:
    _entity(answer)["tags"] = "tag1"


def _one_more_key(answer: dict[str, Json]) -> None:
    _entity(answer)["password"] = "8jhfy@3789"


def _one_more_share(answer: dict[str, Json]) -> None:
    _entity(answer)["users_allowed"] = []


def _identifier_as_number(answer: dict[str, Json]) -> None:
    _entity(answer)["identifier"] = 312


def _identifier_with_a_zero(answer: dict[str, Json]) -> None:
    _entity(answer)["identifier"] = "0312"


DAMAGES = (
    _rename,
    _rename_deep,
    _reorder,
    _number_as_text,
    _number_for_false,
    _other_value,
    _one_more_key,
    _one_more_share,
    _identifier_as_number,
    _identifier_with_a_zero,
)


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__.strip("_"))
def test_a_damaged_answer_is_noticed(damage: Damage) -> None:
    answer = _object(read(CREATED))
    assert differences(read(CREATED), answer) == []
    damage(answer)
    assert len(differences(read(CREATED), answer)) == 1


def test_another_identifier_is_accepted_unless_the_path_named_it() -> None:
    answer = _object(read(CREATED))
    _entity(answer)["identifier"] = "7"
    assert differences(read(CREATED), answer, Facts(identifier="7")) == []
    assert len(differences(read(CREATED), answer, Facts(identifier="8"))) == 1


def test_a_list_must_ascend() -> None:
    answer = _object(read(LISTED))
    lines = answer["password_on_list"]
    assert isinstance(lines, list)
    assert len(lines) > 1
    for number, line in enumerate(reversed(lines), start=9):
        _object(line)["identifier"] = str(number)
    assert len(differences(read(LISTED), answer)) == 1


def test_a_code_must_be_that_of_the_time_of_the_call() -> None:
    answer, facts = _object(read(REVEALED)), Facts(began_at=NOON, ended_at=NOON)
    (_entity(answer)["token"],) = codes("JBSWY3DPEHPK3PXP", [NOON // 30])
    assert differences(read(REVEALED), answer, facts) == []
    assert len(differences(read(REVEALED), answer, Facts(began_at=NOON + 60, ended_at=NOON + 60))) == 1
    _entity(answer)["token"] = None
    assert len(differences(read(REVEALED), answer, facts)) == 1


def test_the_codes_are_those_of_the_standard() -> None:
    seed = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"  # RFC 6238, appendix B: the last six of the eight digits
    assert codes(seed, [59 // 30]) == {"287082"}
    assert codes(seed, [1111111109 // 30]) == {"081804"}


def test_a_key_given_twice_is_no_answer() -> None:
    with pytest.raises(ValueError, match="twice"):
        parse(b'{"code": 201, "code": 201}')


def _object(value: Json) -> dict[str, Json]:
    assert isinstance(value, dict)
    return value


def _entity(answer: dict[str, Json]) -> dict[str, Json]:
    return _object(answer["password_entity"])
