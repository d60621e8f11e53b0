# SPDX-License-Identifier: Apache-2.0
"""The PostgreSQL engine (docs/decisions/0018). It needs the extra `mysafe[postgres]`; nothing else imports psycopg."""
