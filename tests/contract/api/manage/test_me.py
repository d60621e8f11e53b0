# SPDX-License-Identifier: Apache-2.0
"""`/api/manage/me`, and what every answer of the management API has in common."""

import pytest

from tests.support.server import RunningServer, authorization

ME = "/api/manage/me"


def test_a_token_tells_whose_it_is(server: RunningServer) -> None:
    username = server.new_actor()
    key = server.new_key(username)
    with server.client() as client:
        answer = client.get(ME, headers=authorization(server.token(key)))
    assert answer.status_code == 200
    body = answer.json()
    assert (body["user"]["username"], body["user"]["is_admin"]) == (username, False)
    assert (body["access_key"]["name"], body["access_key"]["client_id"]) == ("key", key[0])
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("headers", [{}, authorization("mst_wrong")])
def test_without_a_good_token_the_answer_is_a_problem_document(server: RunningServer, headers: dict[str, str]) -> None:
    with server.client() as client:
        answer = client.get(ME, headers=headers)
    assert (answer.status_code, answer.headers["content-type"]) == (401, "application/problem+json")
    assert answer.json() == {
        "type": "about:blank",
        "title": "The access token is missing, wrong or expired.",
        "status": 401,
        "code": "not_authenticated",
    }
    assert answer.headers["www-authenticate"].startswith("Bearer")


def test_a_fault_of_the_server_is_a_problem_without_internals(server: RunningServer) -> None:
    token = server.new_token(server.new_actor())
    with server.fault("internal-error"), server.client() as client:
        answer = client.get(ME, headers=authorization(token))
    assert (answer.status_code, answer.json()["code"]) == (500, "unexpected")
    assert "8jhfy" not in answer.text


def test_an_unknown_path_of_the_management_api_is_the_documented_404(server: RunningServer) -> None:
    with server.client() as client:
        answer = client.get("/api/manage/nothing", headers=authorization(server.new_token(server.new_actor())))
    assert (answer.status_code, answer.json()) == (404, {"message": "No route matched with those values."})
