# SPDX-License-Identifier: Apache-2.0
"""A server whose vault may be sealed: the gate before the API, and the local socket that opens and closes it."""
