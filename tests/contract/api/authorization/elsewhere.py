# SPDX-License-Identifier: Apache-2.0
"""The routes that the matrix does not ask, and where it is asked who may use them."""

from tests.contract.api.authorization.table import Endpoint

_VERSIONS = "/api/manage/items/{kind}/{identifier}/versions"
ELSEWHERE: dict[Endpoint, str] = {
    ("GET", _VERSIONS): "test_history.py",
    ("GET", _VERSIONS + "/{version}"): "test_history.py",
    ("POST", _VERSIONS + "/{version}/restore"): "test_history.py",
    ("POST", "/api/manage/items/{kind}/{identifier}/erase"): "test_history.py",
    ("POST", "/api/manage/items/batch"): "test_batch.py",
    ("GET", "/api/manage/transfers"): "test_transfers.py",
    ("POST", "/api/manage/transfers"): "test_transfers.py",
    ("POST", "/api/manage/transfers/{identifier}/approve"): "test_transfers.py",
    ("POST", "/api/manage/transfers/{identifier}/cancel"): "test_transfers.py",
    **{
        (method, f"/api/mysafe/file{path}"): "../test_files.py"
        for method, path in (
            ("GET", ""),
            ("POST", ""),
            ("GET", "/{identifier}"),
            ("PUT", "/update/{identifier}"),
            ("POST", "/update/{identifier}"),
            ("POST", "/inactive/{identifier}"),
            ("POST", "/active/{identifier}"),
            ("GET", "/{identifier}/content"),
        )
    },
}
"""Routes about no single item, about more than its present state, or with a content: who may is asked elsewhere."""
