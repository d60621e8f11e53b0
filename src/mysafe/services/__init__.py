# SPDX-License-Identifier: Apache-2.0
"""Use cases: one function each, whichever door it came through. They know no HTTP, HTML, wire JSON or argv."""
