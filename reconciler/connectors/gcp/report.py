"""What BigQuery and Google's token services answer: shapes, checked.

Source: the discovery document of BigQuery v2. Whole numbers of 64 bits are texts, as all values of rows are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import Field

from reconciler.connectors.reading import Answer, Number


class Column(Answer):
    """A column of a table or of an answer; those of a RECORD have columns of their own."""

    name: str
    type: str
    mode: str = "NULLABLE"
    fields: Sequence[Column] = ()


class Schema(Answer):
    """The columns, in the order of the cells."""

    fields: Sequence[Column]


class Partitioning(Answer):
    """How a table is cut by time: by when rows were loaded, or by a column if one is named."""

    type: str
    field: str | None = None
    expiration: Number | None = Field(default=None, alias="expirationMs")


class Table(Answer):
    """What tables.get tells of a table or a view."""

    schema_: Schema = Field(alias="schema")
    type: str
    location: str | None = None
    rows: Number | None = Field(default=None, alias="numRows")
    partitioning: Partitioning | None = Field(default=None, alias="timePartitioning")


class Job(Answer):
    """Where the result of a query is found."""

    project: str = Field(alias="projectId")
    id: str | None = Field(default=None, alias="jobId")
    """A dry run has none."""
    location: str | None = None


class Result(Answer):
    """A page of a query's result, or the news that there is none yet."""

    complete: bool = Field(alias="jobComplete")
    job: Job | None = Field(default=None, alias="jobReference")
    columns: Schema | None = Field(default=None, alias="schema")
    rows: Sequence[Mapping[str, Any]] = ()
    following: str | None = Field(default=None, alias="pageToken")
    processed: Number | None = Field(default=None, alias="totalBytesProcessed")
    billed: Number | None = Field(default=None, alias="totalBytesBilled")
    errors: Sequence[Mapping[str, Any]] = ()


class Token(Answer):
    """What the token services of OAuth 2 and STS give."""

    value: str = Field(alias="access_token", min_length=1)


class Impersonation(Answer):
    """What generateAccessToken gives."""

    value: str = Field(alias="accessToken", min_length=1)
