# SPDX-License-Identifier: Apache-2.0
"""The vocabulary of the audit log. Holds no secret and signs nothing."""
