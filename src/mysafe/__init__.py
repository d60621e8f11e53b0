# SPDX-License-Identifier: Apache-2.0
"""mysafe: a self-hosted team vault, compatible with the HTTP API of Segura MySafe."""

__version__ = "0.1.0"
