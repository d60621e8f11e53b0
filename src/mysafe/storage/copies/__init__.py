# SPDX-License-Identifier: Apache-2.0
"""A vault as a whole: all its tables read one after the other, counted and copied. Opens nothing that is sealed."""
