# SPDX-License-Identifier: Apache-2.0
"""Every metric there is. docs/operate/monitoring.md has the same table, and a test compares them.

Where a name ends in `_total`, only its growth means something: it begins at zero with the process, or when the vault
is opened anew.
"""

from mysafe.server.observing.exposition import Metric

COUNTER, GAUGE, HISTOGRAM = "counter", "gauge", "histogram"

BUILD = Metric("mysafe_build_info", GAUGE, "Always 1; the labels say what runs.", ("version", "python"))
OPEN = Metric("mysafe_vault_open", GAUGE, "1 while the vault is open, 0 while it is sealed.")
REQUESTS = Metric(
    "mysafe_requests_total", COUNTER, "Requests that are over; status 0 got no answer.", ("method", "route", "status")
)
DURATION = Metric(
    "mysafe_request_duration_seconds",
    HISTOGRAM,
    "From the head of a request to the end of its answer.",
    ("method", "route"),
)
IN_FLIGHT = Metric("mysafe_requests_in_flight", GAUGE, "Requests that are being answered.")
REFUSED = Metric("mysafe_requests_refused_total", COUNTER, "Requests that were refused, by why.", ("reason",))
CONNECTIONS = Metric("mysafe_connections", GAUGE, "Open connections.")
CONNECTIONS_REFUSED = Metric(
    "mysafe_connections_refused_total", COUNTER, "Connections ended before a request was complete.", ("reason",)
)
TOKENS = Metric("mysafe_tokens_total", COUNTER, "Requests for an access token, by what became of them.", ("outcome",))
OPENED = Metric("mysafe_secrets_opened_total", COUNTER, "Answers that held the secret of an item, downloads included.")
TRANSFERS = Metric("mysafe_transfers_total", COUNTER, "Contents of files moved whole.", ("direction",))
TRANSFER_BYTES = Metric(
    "mysafe_transfer_bytes_total", COUNTER, "Bytes of contents moved, unfinished ones included.", ("direction",)
)
WAITING_UNITS = Metric("mysafe_writer_queue_units", GAUGE, "Units of work that wait for the writer.")
WAITING_LOOKS = Metric("mysafe_reader_queue_units", GAUGE, "Units of work that wait for a reader.")
GROUP_SIZE = Metric("mysafe_commit_group_units", HISTOGRAM, "Units of work committed together.")
COMMIT_SECONDS = Metric("mysafe_commit_duration_seconds", HISTOGRAM, "From COMMIT until it is on disk.")
DATABASE_UP = Metric("mysafe_database_up", GAUGE, "1 if the database answered for this scrape.")
AUDIT_ROWS = Metric("mysafe_audit_rows", GAUGE, "Number of the newest audit row; it grows by one for each, gaps aside.")
BLOB_BYTES = Metric("mysafe_file_stored_bytes", GAUGE, "Bytes that the contents of files take, as the database says.")
EPOCH = Metric("mysafe_keyring_epoch", GAUGE, "Epoch under which this process wraps keys.")
KEYRING = Metric("mysafe_keyring_version", GAUGE, "Version of the keyring this process has.")
BACKUP = Metric(
    "mysafe_backup_last_timestamp_seconds",
    GAUGE,
    "Unix time of the last backup taken or proved, as far as is known; absent for never.",
    ("what",),
)
CPU = Metric("process_cpu_seconds_total", COUNTER, "CPU time of this process, user and system.")
MEMORY = Metric("process_resident_memory_bytes", GAUGE, "Memory of this process.")
OPEN_FILES = Metric("process_open_fds", GAUGE, "Open file descriptors.")
MOST_FILES = Metric("process_max_fds", GAUGE, "How many file descriptors may be open.")
STARTED = Metric("process_start_time_seconds", GAUGE, "Unix time at which this process began.")

METRICS = (
    *(BUILD, OPEN, REQUESTS, DURATION, IN_FLIGHT, REFUSED, CONNECTIONS, CONNECTIONS_REFUSED, TOKENS, OPENED),
    *(TRANSFERS, TRANSFER_BYTES, WAITING_UNITS, WAITING_LOOKS, GROUP_SIZE, COMMIT_SECONDS, DATABASE_UP, AUDIT_ROWS),
    *(BLOB_BYTES, EPOCH, KEYRING, BACKUP, CPU, MEMORY, OPEN_FILES, MOST_FILES, STARTED),
)
