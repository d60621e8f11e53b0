# SPDX-License-Identifier: Apache-2.0
"""Where the network ends, and `async` with it."""
