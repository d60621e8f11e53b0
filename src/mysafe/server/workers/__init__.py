# SPDX-License-Identifier: Apache-2.0
"""One server of several processes: they accept from the same sockets, and a foreman keeps them going."""
