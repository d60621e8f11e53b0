# SPDX-License-Identifier: Apache-2.0
"""The policy. Pure functions over values: no queries, no logging, and "no" is an answer, not an exception."""
