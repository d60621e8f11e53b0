# SPDX-License-Identifier: Apache-2.0
"""The audit log proves itself: a Merkle tree over its rows, signed checkpoints, and what checks them (R-LOG-04)."""
