# SPDX-License-Identifier: Apache-2.0
"""The switches that change answers, and the one limit that can be set (contract 10)."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Compatibility:
    """Defaults are the contract's. `longest_note` is in Unicode code points."""

    is_mensagem_sent: bool = False
    unauthenticated_status: int = 401
    is_existence_hidden: bool = False
    are_both_user_keys_sent: bool = False
    is_inactive_listed: bool = False
    longest_note: int = 900
