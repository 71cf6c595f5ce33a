"""JSON in and out: R4 json.html, and what every decoder lets pass."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.outcome import FhirError
from server.resource import decode, encode, same


@pytest.mark.parametrize(
    "text",
    [
        '{"a":1,"a":2}',
        '{"a" :1,"a":2}',
        '{"a"\n: 1, "a": 2}',
        '{"b":{"a":1,"a":2}}',
        '{"b":[{"a":"x\\\\","a":2}]}',
        '{"a":"\\":","a":":"}',
        '{"a":1,"\\u0061":2}',
    ],
)
def test_a_key_that_comes_twice_is_refused_by_name(text):
    with pytest.raises(FhirError, match="«a» comes twice"):
        decode(text.encode())


@pytest.mark.parametrize(
    "text",
    ['{":":":"}', '{"a":"b\\":","c":":"}', '{"a" : ":", "b":{"a":1}}', '{"a\\\\":1,"a":2}', '{"a":"\\\\","b":"\\":"}'],
)
def test_colons_and_quotes_in_texts_are_no_keys(text):
    assert decode(text.encode()) == json.loads(text)


keys = st.text(max_size=3)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=12,
)


@given(st.dictionaries(keys, values, max_size=4), st.sampled_from([None, 2]), st.booleans())
def test_what_is_no_repetition_is_never_taken_for_one(value, indent, ascii):
    assert decode(json.dumps(value, indent=indent, ensure_ascii=ascii).encode()) == value


@pytest.mark.parametrize(
    "number", ["1.0", "1.50", "1e3", "1E3", "-0.0", "0.0000001", "12345678901234567890123", "1.5e-30", "1e400"]
)
def test_numbers_keep_their_digits(number):
    assert encode(decode(f'{{"a":{number}}}'.encode())) == f'{{"a":{number}}}'.encode()


def test_order_of_keys_is_no_difference_but_digits_are():
    assert same(decode(b'{"a":1.5,"b":[1]}'), decode(b'{"b":[1],"a":1.5}'))
    assert not same(decode(b'{"a":1.5}'), decode(b'{"a":1.50}'))
    assert same({"meta": {"versionId": "1", "lastUpdated": "x"}}, {})
    assert not same({"meta": {"versionId": "1", "tag": []}}, {})
