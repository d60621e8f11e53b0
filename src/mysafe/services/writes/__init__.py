# SPDX-License-Identifier: Apache-2.0
"""What a unit of work writes about the vault itself: decided, written and recorded in one call each."""
