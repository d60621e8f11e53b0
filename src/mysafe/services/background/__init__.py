# SPDX-License-Identifier: Apache-2.0
"""Work that nobody asked for: chores, and who does them where several servers serve one vault."""
