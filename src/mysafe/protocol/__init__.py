# SPDX-License-Identifier: Apache-2.0
"""The wire format of Segura MySafe: every oddity has one address here. No rule of ours, no I/O, no HTTP."""
