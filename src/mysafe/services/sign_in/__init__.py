# SPDX-License-Identifier: Apache-2.0
"""How people sign in, stay signed in, and get their first or next password."""
