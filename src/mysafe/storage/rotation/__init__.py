# SPDX-License-Identifier: Apache-2.0
"""The rows a key rotation works on: wrapped data keys of every table, and the processes that serve the vault."""
