# SPDX-License-Identifier: Apache-2.0
"""Files: what differs from other items, because their content is too long for a transaction."""
