# SPDX-License-Identifier: Apache-2.0
"""The command line. It does nothing to a database that a service could not do."""
