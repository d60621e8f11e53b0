# SPDX-License-Identifier: Apache-2.0
"""Domain values to and from the bytes that are sealed."""
