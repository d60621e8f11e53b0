# SPDX-License-Identifier: Apache-2.0
"""What becomes of items besides being read and changed: their old versions, their end, and their next owner."""
