# SPDX-License-Identifier: Apache-2.0
"""Is it the standard algorithm, and the same as in every released version? Provenance is beside each vector."""
