# SPDX-License-Identifier: Apache-2.0
"""The root key while the vault lives: its slots, and opening the vault with what people type."""
