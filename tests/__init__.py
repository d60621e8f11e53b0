# SPDX-License-Identifier: Apache-2.0
"""Tests of mysafe. Folders ask different questions: does a module keep its docstring, does the house stand, …"""
