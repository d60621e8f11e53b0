# SPDX-License-Identifier: Apache-2.0
"""The steps, one file each. A step that was released is never changed."""
