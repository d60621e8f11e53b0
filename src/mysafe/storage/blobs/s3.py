# SPDX-License-Identifier: Apache-2.0
"""Keep blobs in an object store that speaks S3. An object can be seen only when it is complete.

What is not complete yet is a multipart upload; `remove` ends those too, so that nothing is left, or paid for.
"""

import configparser
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from ipaddress import ip_address
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from botocore import session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from mysafe.domain.errors import StoreFull, Unavailable
from mysafe.storage.blobs.store import BlobMissing
from mysafe.storage.engine import StorageRefused

PART_BYTES = 5 * 1024 * 1024
"""Smallest part there may be, and about what an upload holds in memory."""

_MISSING = frozenset({"404", "NoSuchKey", "NotFound", "NoSuchUpload"})
_FULL = frozenset({"507", "QuotaExceeded", "InsufficientCapacity", "XMinioStorageFull"})


class Connection(NamedTuple):
    """How an object store is reached. An empty endpoint is Amazon's own for the region."""

    endpoint: str
    region: str
    access_key_id: str
    secret_access_key: str


def open_s3(address: str, file: Path) -> "S3Store":
    """Return the store at `s3://BUCKET` or `s3://BUCKET/PREFIX`. Nothing is asked of it yet.

    Args:
        address: bucket, and what the names of its objects begin with.
        file: INI file with a section `[s3]`: `endpoint`, `region`, `access_key_id`, `secret_access_key`.

    Raises:
        StorageRefused: the file cannot be used; the text says why.
    """
    connection = _read_connection(file)
    bucket, _, prefix = address.removeprefix("s3://").partition("/")
    client = session.Session().create_client(
        "s3",
        region_name=connection.region,
        endpoint_url=connection.endpoint or None,
        aws_access_key_id=connection.access_key_id,
        aws_secret_access_key=connection.secret_access_key,
        config=Config(
            connect_timeout=5,
            read_timeout=30,
            retries={"total_max_attempts": 3, "mode": "standard"},
            s3={"addressing_style": "path" if connection.endpoint else "auto"},
            # What other servers than Amazon's understand. Every byte is authenticated by its seal.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        ),
    )
    return S3Store(client, bucket, prefix.strip("/"))


def _read_connection(file: Path) -> Connection:
    parser = configparser.ConfigParser(interpolation=None)
    try:
        with file.open(encoding="utf-8") as opened:
            if os.fstat(opened.fileno()).st_mode & (stat.S_IRWXG | stat.S_IRWXO):
                raise StorageRefused(f"{file} may be read or changed by others: run chmod 600 on it")
            parser.read_file(opened)
        section = parser["s3"]
        given = Connection(
            section.get("endpoint", ""), section["region"], section["access_key_id"], section["secret_access_key"]
        )
    except OSError as error:
        raise StorageRefused(f"{file} cannot be read: {error.strerror}") from None
    except (configparser.Error, KeyError, UnicodeDecodeError):  # its text may quote a secret
        raise StorageRefused(
            f"{file} must have a section [s3] with region, access_key_id and secret_access_key"
        ) from None
    if not _is_safe(given.endpoint):
        raise StorageRefused(f"the endpoint in {file} must begin with https://")
    return given


def _is_safe(endpoint: str) -> bool:
    parts = urlsplit(endpoint)
    try:
        is_near = parts.hostname == "localhost" or ip_address(parts.hostname or "").is_loopback
    except ValueError:
        is_near = False
    return not endpoint or parts.scheme == "https" or (parts.scheme == "http" and is_near)


@contextmanager
def _explained() -> Iterator[None]:
    """Say what an error of the object store means here. It may hold names and addresses, so it is not carried on."""
    try:
        yield
    except ClientError as error:
        code = str(error.response.get("Error", {}).get("Code", ""))
        if code in _MISSING:
            raise BlobMissing from None
        if code in _FULL:
            raise StoreFull from None
        raise Unavailable from None
    except (BotoCoreError, OSError):
        raise Unavailable from None


class S3Store:
    """Blobs as objects of one bucket. `client` is one of botocore's, which may be used from several threads."""

    def __init__(self, client: Any, bucket: str, prefix: str) -> None:  # noqa: ANN401  # made at run time, without a type
        self._client = client
        self._bucket = bucket
        self._prefix = prefix

    def create(self, blob_id: str) -> "_Writer":
        """Return what takes the bytes of a new blob."""
        return _Writer(self._client, self._place(blob_id))

    def open(self, blob_id: str) -> "_Reader":
        """Return what reads a finished blob. Raises BlobMissing, Unavailable."""
        return _Reader(self._client, self._place(blob_id))

    def remove(self, blob_id: str) -> None:
        """Remove a blob, and what was begun of it. Raises Unavailable."""
        place = self._place(blob_id)
        with suppress(BlobMissing), _explained():  # somebody else removed it, or a part of it, meanwhile
            self._client.delete_object(**place)
            begun = self._client.list_multipart_uploads(Bucket=self._bucket, Prefix=place["Key"])
            for upload in begun.get("Uploads", []):
                if upload["Key"] == place["Key"]:
                    self._client.abort_multipart_upload(**place, UploadId=upload["UploadId"])

    def free_bytes(self) -> None:
        """Return None: an object store does not say."""

    def _place(self, blob_id: str) -> dict[str, str]:
        return {"Bucket": self._bucket, "Key": f"{self._prefix}/{blob_id}" if self._prefix else blob_id}


class _Writer:
    """An object that is sent in parts; a short one in a single request."""

    def __init__(self, client: Any, place: dict[str, str]) -> None:  # noqa: ANN401  # as above
        self._client = client
        self._place = place
        self._waiting = bytearray()
        self._upload_id: str | None = None
        self._parts: list[dict[str, object]] = []

    def write(self, data: bytes | memoryview) -> None:
        self._waiting += data
        if len(self._waiting) >= PART_BYTES:
            self._send_part()

    def finish(self) -> None:
        if self._upload_id is None:
            with _explained():
                self._client.put_object(**self._place, Body=bytes(self._waiting))
            return
        if self._waiting:
            self._send_part()
        with _explained():
            self._client.complete_multipart_upload(
                **self._place, UploadId=self._upload_id, MultipartUpload={"Parts": self._parts}
            )
        self._upload_id = None

    def abort(self) -> None:
        upload_id, self._upload_id = self._upload_id, None
        if upload_id is not None:
            with suppress(BlobMissing), _explained():  # what is gone needs no end
                self._client.abort_multipart_upload(**self._place, UploadId=upload_id)

    def _send_part(self) -> None:
        part, self._waiting = self._waiting, bytearray()  # not copied: this is most of what an upload holds
        with _explained():
            if self._upload_id is None:
                self._upload_id = self._client.create_multipart_upload(**self._place)["UploadId"]
            number = len(self._parts) + 1
            sent = self._client.upload_part(**self._place, UploadId=self._upload_id, PartNumber=number, Body=part)
            self._parts.append({"PartNumber": number, "ETag": sent["ETag"]})


class _Reader:
    """An object. What follows the last read comes out of the same answer; any other place is asked for anew."""

    def __init__(self, client: Any, place: dict[str, str]) -> None:  # noqa: ANN401  # as above
        self._client = client
        self._place = place
        self._stream: Any = None
        self._position = 0
        with _explained():
            self.size_bytes = int(client.head_object(**place)["ContentLength"])

    def read_into(self, offset: int, into: memoryview) -> None:
        length = len(into)
        if offset + length > self.size_bytes:
            raise BlobMissing
        if not length:
            return  # a range of nothing is an error to ask for
        if self._stream is not None and offset == self._position:
            try:
                self._read(into)
                return
            except Unavailable:
                pass  # the answer waited too long for a slow client: ask for the rest once more
        self.close()
        with _explained():
            self._stream = self._client.get_object(**self._place, Range=f"bytes={offset}-")["Body"]
        self._position = offset
        self._read(into)

    def close(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.close()

    def _read(self, into: memoryview) -> None:
        with _explained():
            data = self._stream.read(len(into))
        if len(data) < len(into):
            raise Unavailable
        into[:] = data
        self._position += len(into)
