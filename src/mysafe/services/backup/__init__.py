# SPDX-License-Identifier: Apache-2.0
"""Copies of a vault that prove themselves: taken while it is used, restored elsewhere, every record opened."""
