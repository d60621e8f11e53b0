# SPDX-License-Identifier: Apache-2.0
"""The compatible HTTP API. It speaks Segura's protocol and decides nothing."""
