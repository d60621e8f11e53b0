# SPDX-License-Identifier: Apache-2.0
"""Blobs: sealed bytes too long for a row. Rows are in the database, bytes in a directory or object store."""
