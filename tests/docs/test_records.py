"""What a caller is handed tells in its help what every field is."""

import dataclasses
import inspect

import pytest

import harness.api
from harness.analysis.comparison import Row
from harness.analysis.results import Results
from harness.statistics.intervals import Bands, Estimate


def fields(record: type) -> list[str]:
    """Of a dataclass or a named tuple; else none."""
    if dataclasses.is_dataclass(record):
        return [field.name for field in dataclasses.fields(record) if not field.name.startswith("_")]
    return list(getattr(record, "_fields", ()))


GIVEN = [each for name in harness.api.__all__ if fields(each := getattr(harness.api, name))]
RECORDS = [*GIVEN, Results, Row, Estimate, Bands]


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.__name__)
def test_a_record_tells_what_its_fields_are(record):
    told = (inspect.getdoc(record) or "").partition("Attributes:")[2]
    names = {name.strip() for line in told.splitlines() for name in line.partition(":")[0].split(",")}

    assert set(fields(record)) <= names


def test_a_log_of_another_shape_is_documented_where_it_is_called():
    assert "ContractBroken" in (inspect.getdoc(harness.api.Trial.log) or "")
