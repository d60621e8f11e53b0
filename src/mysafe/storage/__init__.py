# SPDX-License-Identifier: Apache-2.0
"""SQL is in one place, and without keys: the database can be stolen. It must not import crypto or know a policy."""
