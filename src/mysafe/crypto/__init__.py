# SPDX-License-Identifier: Apache-2.0
"""All cryptography of the vault. It knows bytes, keys and addresses, never rows, users or kinds of items.

Algorithms are chosen here and nowhere else, from the allow-list in section 3 of the security design.
"""
