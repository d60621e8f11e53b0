# SPDX-License-Identifier: Apache-2.0
"""Rotation of the keys of a running vault: of the epoch that wraps data keys, and of the root key."""
