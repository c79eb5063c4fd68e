"""What the store takes, beside other forms of the same.

Arguments: the folder of recordings, and the folder whose `store` holds them. Prints two tables: all of the store beside the
recordings' own JSON, and the columns of trades, quotes and levels beside the Parquet that polars and pyarrow write of them.
"""

import gzip
import pathlib
import sys

import polars
import pyarrow
import pyarrow.parquet as parquet

RECORDINGS, FOLDER = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
STORE = FOLDER / "store" / "parquet"
FOLDERS = ["binance-spot", "binance-usdm", "binance-coinm", "okx", "bybit", "coinbase", "deribit", "htx", "kraken", "kraken-futures"]


def plain(path):
    """A recording without its packing."""
    kind = {".gz": "gzip", ".zst": "zstd"}.get(path.suffix)
    if kind is None:
        return path.read_bytes()
    with pyarrow.CompressedInputStream(pyarrow.OSFile(str(path)), kind) as stream:
        return stream.read()


def size_of(table, **options):
    """Bytes of a table as pyarrow writes it."""
    path = FOLDER / "try.parquet"
    parquet.write_table(table, path, version="2.6", **options)
    return path.stat().st_size


def tuned(table):
    """The least that pyarrow writes: of each column the best of its encodings, at the best level of zstd."""
    choices = {}
    for name in table.column_names:
        column = table.select([name])
        kind = column.schema.field(name).type
        tries = [(True, None), (False, "PLAIN")]
        if str(kind).startswith(("int", "uint", "timestamp")):
            tries += [(False, "DELTA_BINARY_PACKED"), (False, "BYTE_STREAM_SPLIT")]
        if str(kind) == "double":
            tries += [(False, "BYTE_STREAM_SPLIT")]
        measured = [
            (size_of(column, compression="zstd", compression_level=19, use_dictionary=dictionary,
                     column_encoding={name: encoding} if encoding else None), dictionary, encoding)
            for dictionary, encoding in tries
        ]
        choices[name] = min(measured, key=lambda it: it[0])[1:]
    encodings = {name: encoding for name, (_, encoding) in choices.items() if encoding}
    dictionaries = [name for name, (dictionary, _) in choices.items() if dictionary]
    return min(
        size_of(table, compression="zstd", compression_level=level, use_dictionary=dictionaries,
                column_encoding=encodings)
        for level in (9, 19, 22)
    )


def ours(files, columns):
    """Bytes that these columns take in our files, with their share of the footers."""
    total = 0
    for path in files:
        footer = parquet.read_metadata(path)
        groups = [footer.row_group(place) for place in range(footer.num_row_groups)]
        chunks = [group.column(at) for group in groups for at in range(group.num_columns)]
        taken = sum(chunk.total_compressed_size for chunk in chunks if chunk.path_in_schema in columns)
        every = sum(chunk.total_compressed_size for chunk in chunks)
        total += taken + (path.stat().st_size - every) * len(columns) / footer.num_columns
    return total


def main():
    """Prints the tables."""
    print(f"{'columns of':<16} {'rows':>9} {'ours':>7} {'polars':>7} {'pyarrow, tuned':>15}   bytes a row")
    for name, columns in {
        "trades": ["ts_event", "id", "price", "quantity", "aggressor"],
        "quotes": ["ts_event", "bid_price", "bid_quantity", "ask_price", "ask_quantity"],
        "book_deltas": ["ts_event", "seq", "side", "price", "quantity"],
        "book_snapshots": ["ts_event", "seq", "side", "price", "quantity"],
    }.items():
        files = sorted((STORE / name).glob("*/*.parquet"))
        rows = others = best = 0
        for path in files:
            table = parquet.read_table(path, columns=columns)
            rows += table.num_rows
            default = FOLDER / "default.parquet"
            polars.read_parquet(path, columns=columns).write_parquet(default)
            others += default.stat().st_size
            best += tuned(table)
        taken = ours(files, columns)
        print(f"{name:<16} {rows:>9} {taken / rows:>7.2f} {others / rows:>7.2f} {best / rows:>15.2f}")
    raw = b"".join(plain(path) for folder in FOLDERS for path in sorted((RECORDINGS / folder).iterdir()))
    every = sum(path.stat().st_size for path in STORE.rglob("*.parquet"))
    print(f"{'frames as they came':<28} {len(raw):>12} bytes")
    print(f"{'gzip -6':<28} {len(gzip.compress(raw, 6)):>12} bytes")
    print(f"{'zstd -3':<28} {len(pyarrow.compress(raw, codec='zstd', asbytes=True)):>12} bytes")
    print(f"{'the store, all columns':<28} {every:>12} bytes, {len(raw) / every:.1f} times less than the frames")


main()
