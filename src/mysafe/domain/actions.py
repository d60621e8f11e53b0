# SPDX-License-Identifier: Apache-2.0
"""What can be done. One word for the policy, the services, the command line and the audit log."""

from enum import StrEnum


class Action(StrEnum):
    """An action. The values are stored in the audit log: never rename one."""

    ITEM_CREATE = "item.create"
    ITEM_READ = "item.read"
    ITEM_UPDATE = "item.update"
    ITEM_LIST = "item.list"
    ITEM_UPLOAD = "item.upload"
    ITEM_DOWNLOAD = "item.download"
    ITEM_ACTIVATE = "item.activate"
    ITEM_DEACTIVATE = "item.deactivate"
    TOKEN_ISSUE = "token.issue"  # the name of an action
    USER_CREATE = "user.create"
    USER_UPDATE = "user.update"
    GROUP_CREATE = "group.create"
    ACCESS_KEY_CREATE = "access_key.create"
    ACCESS_KEY_UPDATE = "access_key.update"
    ACCESS_KEY_REVEAL = "access_key.reveal"
    AUDIT_READ = "audit.read"
    VAULT_CREATE = "vault.create"
