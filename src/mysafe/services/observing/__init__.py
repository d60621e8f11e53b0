# SPDX-License-Identifier: Apache-2.0
"""What a running vault says about itself to those who watch it: numbers, and whether it can work."""
