# SPDX-License-Identifier: Apache-2.0
"""Providers of the root key: each wraps and unwraps the same 32 bytes. Knows neither keyring nor database.

A provider is called when a vault is made, opened or rotated, never by a request. What a slot is bound to is the
caller's business. Formats: docs/formats/slots.md.
"""
