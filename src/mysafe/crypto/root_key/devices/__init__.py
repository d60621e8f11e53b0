# SPDX-License-Identifier: Apache-2.0
"""Keys that stay elsewhere: on a token, or with a key management service. Each is a `Device` of envelope.py."""
