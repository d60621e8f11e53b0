# SPDX-License-Identifier: Apache-2.0
"""Our own management API under `/api/manage`: JSON in and out, errors as RFC 9457 says, same tokens and rights."""
