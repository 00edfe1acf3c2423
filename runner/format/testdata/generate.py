"""Writes the Parquet files of this folder with pyarrow 26, numpy and DuckDB 2: types.jsonl
says what types.parquet holds, and the codec_*.parquet files all hold the rows that
codecRow of the tests computes."""
import datetime
import decimal

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

D = decimal.Decimal
instants = [datetime.datetime(2026, 1, 2, 3, 4, 5, 123456), None, datetime.datetime(1969, 12, 31, 23, 59, 59, 999999)]
types = pa.table({
    'bool': pa.array([True, False, None]),
    'int8': pa.array([-128, 127, None], pa.int8()),
    'uint8': pa.array([0, 255, None], pa.uint8()),
    'int32': pa.array([-2**31, 2**31 - 1, None], pa.int32()),
    'uint32': pa.array([0, 2**32 - 1, None], pa.uint32()),
    'int64': pa.array([-2**63, 2**63 - 1, None], pa.int64()),
    'uint64': pa.array([0, 2**64 - 1, None], pa.uint64()),
    'half': pa.array(np.array([1.5, -0.25, np.inf], dtype=np.float16)),
    'float': pa.array([0.1, float('nan'), None], pa.float32()),
    'double': pa.array([1e-7, float('-inf'), None], pa.float64()),
    'string': pa.array(['a"é\n', '', None]),
    'binary': pa.array([b'\xff\x00', b'', None], pa.binary()),
    'fixed': pa.array([b'abcd', None, b'\x00' * 4], pa.binary(4)),
    'decimal9': pa.array([D('-0.05'), D('1234567.89'), None], pa.decimal128(9, 2)),
    'decimal38': pa.array([D('-12345678901234567890123456789012345.678'), D('0'), None], pa.decimal128(38, 3)),
    'decimal50': pa.array([D('12345678901234567890123456789012345678901234567.890'), D('-1.001'), None], pa.decimal256(50, 3)),
    'date': pa.array([datetime.date(2026, 1, 2), datetime.date(1969, 12, 31), None]),
    'millis': pa.array([1, None, -1], pa.timestamp('ms')),
    'micros': pa.array(instants, pa.timestamp('us', 'UTC')),
    'nanos': pa.array([1, None, -1], pa.timestamp('ns')),
    'time32': pa.array([1, None, 86399999], pa.time32('ms')),
    'time64': pa.array([1, None, 86399999999], pa.time64('us')),
    'list': pa.array([[1, None, 3], [], None], pa.list_(pa.int64())),
    'lists': pa.array([[[1], [], None, [2, 3]], [], None], pa.list_(pa.list_(pa.int32()))),
    'struct': pa.array([{'x': 1, 'y': 'a'}, {'x': None, 'y': None}, None], pa.struct([('x', pa.int64()), ('y', pa.string())])),
    'structs': pa.array([[{'x': 1, 'l': ['a', None]}, {'x': 2, 'l': []}], [{'x': None, 'l': None}, None], None],
                        pa.list_(pa.struct([('x', pa.int64()), ('l', pa.list_(pa.string()))]))),
    'map': pa.array([[('k', 1), ('l', None)], [], None], pa.map_(pa.string(), pa.int64())),
    'number_map': pa.array([[(1, 'a')], [], None], pa.map_(pa.int32(), pa.string())),
    'dictionary': pa.array(['x', 'y', None]).dictionary_encode(),
    'null': pa.nulls(3),
})
pq.write_table(types, 'types.parquet', compression='none', store_schema=False)
pq.write_table(types.select(['nanos']), 'int96.parquet', use_deprecated_int96_timestamps=True, store_schema=False)

rows = range(300)
table = pa.table({
    'id': pa.array(rows, pa.int64()),
    'share': pa.array([i / 7 for i in rows]),
    'name': pa.array(['row %d' % i for i in rows]),
    'kind': pa.array(['abc'[i % 3] for i in rows]),
    'list': pa.array([[i] * (i % 4) for i in rows], pa.list_(pa.int64())),
    'gaps': pa.array([None if i % 5 == 0 else i for i in rows], pa.int32()),
})
for codec, version, index in [('none', '1.0', False), ('snappy', '2.0', True), ('gzip', '1.0', True), ('zstd', '2.0', False),
                              ('lz4', '1.0', True), ('brotli', '2.0', True)]:
    pq.write_table(table, 'codec_%s.parquet' % codec, compression=codec, data_page_version=version, write_page_index=index,
                   row_group_size=130, data_page_size=200, write_batch_size=20, store_schema=False)
pq.write_table(table, 'encodings.parquet', use_dictionary=False, row_group_size=130, store_schema=False,
               column_encoding={'id': 'DELTA_BINARY_PACKED', 'share': 'BYTE_STREAM_SPLIT', 'name': 'DELTA_BYTE_ARRAY',
                                'kind': 'DELTA_LENGTH_BYTE_ARRAY', 'list.list.element': 'DELTA_BINARY_PACKED', 'gaps': 'PLAIN'})

# A page that is full with the last row of its row group is followed by one that holds nothing.
lists = pa.table({'list': pa.array([[text] * 3 for text in 'abcdefg'], pa.list_(pa.string()))})
pq.write_table(lists, 'empty_pages.parquet', compression='none', data_page_version='2.0', write_page_index=True,
               row_group_size=3, data_page_size=64, write_batch_size=1, store_schema=False)

# Booleans in runs: long ones of ones, ones that end within a byte, and packed ones.
flags = [None if i % 11 == 0 and i > 90 else i // 37 % 2 == 1 or i > 150 and i % 5 == 3 for i in range(300)]
for version in ['1.0', '2.0']:
    pq.write_table(pa.table({'flag': pa.array(flags), 'flags': pa.array([[flag, True] for flag in flags])}),
                   'booleans_%s.parquet' % version[0], compression='snappy', data_page_version=version, use_dictionary=False,
                   column_encoding={'flag': 'RLE', 'flags.list.element': 'RLE'}, row_group_size=200, data_page_size=20,
                   write_batch_size=30, write_statistics=False, store_schema=False)

# DuckDB fills the last run of levels up to 256.
duckdb.sql("""copy (select i as id, case when i % 5 = 0 then null else i end as gap, ['a', 'b', null][1 + i % 3] as text, [i] as list
    from range(40) rows(i)) to 'duckdb.parquet' (format parquet, compression 'uncompressed')""")
