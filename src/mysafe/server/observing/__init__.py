# SPDX-License-Identifier: Apache-2.0
"""Watch the server at work: metrics, the access log and traces. Nothing here decides anything (decision 0023)."""
