# SPDX-License-Identifier: Apache-2.0
"""Does each module of the crypto room keep its docstring?"""
