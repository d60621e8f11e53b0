# SPDX-License-Identifier: Apache-2.0
"""The words of the business. Standard library only; no I/O, no clock, no randomness."""
