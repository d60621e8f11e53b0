# SPDX-License-Identifier: Apache-2.0
"""The description of the API (OpenAPI 3.1) and its readable page, made from what the server runs on.

    routes, wires, models, error tables → document → JSON and page

Nothing here is asked while a call of another operation is answered.
"""
