// The same rows in every encoding, page version and codec that DuckDB, Polars, arrow-rs (parquet-wasm) and hyparquet write,
// with the types that a column may come in. What is read of each is compared value by value with DuckDB's reading of it.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import { parquetWriteBuffer } from 'hyparquet-writer';
import * as rust from 'parquet-wasm/node';
import pl from 'nodejs-polars';
import { quote, types } from './lib.mjs';

const kinds = { VARCHAR: 'text', INTEGER: 'whole', BOOLEAN: 'flag', TIMESTAMP: 'time' };
const kind = (column) => kinds[types[column]];

// pages are the sizes of pages that a codec is tried with: the others are slow where they are many.
const pages = (codec) => (['UNCOMPRESSED', 'SNAPPY'].includes(codec) ? [1000, 1 << 20] : [1 << 20]);

// layouts are the files: what each is called, where it goes, who writes it, and
// a file of the same values when DuckDB cannot read that one. extract has some thousand rows, in Parquet.
export async function layouts(db, extract, dir) {
  const all = [];
  const add = (name, write, same) => all.push([name, join(dir, `layout-${all.length}.parquet`), write, same]);
  const copy = (columns, options) => (to) => db.run(`COPY (SELECT ${columns} FROM read_parquet(${quote(extract)})) TO ${quote(to)} (FORMAT parquet, ${options})`);
  for (const version of ['v1', 'v2'])
    for (const codec of ['uncompressed', 'snappy', 'gzip', 'zstd', 'brotli', 'lz4_raw'])
      for (const limit of [1, 1000000]) add(`DuckDB ${version} ${codec}, dictionaries up to ${limit}`, copy('*', `PARQUET_VERSION ${version}, CODEC '${codec}', DICTIONARY_SIZE_LIMIT ${limit}`));
  for (const type of ['SMALLINT', 'UTINYINT', 'BIGINT', 'UBIGINT', 'FLOAT', 'DOUBLE', 'DECIMAL(4,1)', 'DECIMAL(9,2)', 'DECIMAL(18,3)', 'DECIMAL(38,18)'])
    for (const version of ['v1', 'v2']) add(`DuckDB ${version}, ages as ${type}`, copy(`* REPLACE (TRY_CAST(suspect_age AS ${type}) AS suspect_age, TRY_CAST(victim_age AS ${type}) AS victim_age)`, `PARQUET_VERSION ${version}`));
  for (const type of ['TIMESTAMP', 'TIMESTAMP_NS', 'TIMESTAMPTZ'])
    add(`DuckDB, times as ${type}`, copy(`* REPLACE (reported_at::${type} AS reported_at, committed_at::${type} AS committed_at)`, 'PARQUET_VERSION v2'));

  for (const compression of ['uncompressed', 'snappy', 'gzip', 'brotli', 'zstd', 'lz4'])
    add(`Polars ${compression}`, (to) => pl.readParquet(extract).writeParquet(to, { compression }));
  // A frame of which one column has no value, and so no type.
  add('Polars, ages of type Null', (to) => pl.readParquet(extract).drop('victim_age').withColumns(pl.lit(null).alias('victim_age')).writeParquet(to, { compression: 'zstd' }));

  const codecs = ['UNCOMPRESSED', 'SNAPPY', 'GZIP', 'BROTLI', 'ZSTD', 'LZ4_RAW'];
  const of = { // the encodings by turns
    text: ['PLAIN', 'DELTA_LENGTH_BYTE_ARRAY', 'DELTA_BYTE_ARRAY'], whole: ['PLAIN', 'DELTA_BINARY_PACKED', 'BYTE_STREAM_SPLIT'],
    flag: ['PLAIN', 'RLE', 'RLE'], time: ['PLAIN', 'DELTA_BINARY_PACKED', 'BYTE_STREAM_SPLIT'],
  };
  for (const version of ['V1', 'V2'])
    for (const codec of codecs)
      for (const turn of [-1, 0, 1, 2])
        for (const page of pages(codec))
          add(`arrow-rs ${version} ${codec} ${turn < 0 ? 'dictionaries' : Object.values(of).map((e) => e[turn])}, pages of ${page}`, (to) => {
            let p = new rust.WriterPropertiesBuilder().setWriterVersion(rust.WriterVersion[version]).setCompression(rust.Compression[codec]).setDataPageSizeLimit(page)
              .setWriteBatchSize(64).setMaxRowGroupSize(3000).setDictionaryEnabled(turn < 0);
            if (turn >= 0) for (const column of Object.keys(types)) p = p.setColumnEncoding(column, rust.Encoding[of[kind(column)][turn]]);
            writeFileSync(to, rust.writeParquet(rust.readParquet(readFileSync(extract)), p.build())); // which takes the table
          }, extract); // of whole numbers DuckDB does not read BYTE_STREAM_SPLIT

  const rows = await db.rows(`SELECT * REPLACE (epoch_us(reported_at) AS reported_at, epoch_us(committed_at) AS committed_at, epoch_us(updated_at) AS updated_at) FROM read_parquet(${quote(extract)})`);
  const micros = (column) => ({ name: column, type: 'INT64', repetition_type: 'OPTIONAL', converted_type: 'TIMESTAMP_MICROS' });
  const element = (column) => ({ text: { name: column, type: 'BYTE_ARRAY', repetition_type: 'OPTIONAL', converted_type: 'UTF8' }, whole: { name: column, type: 'INT32', repetition_type: 'OPTIONAL' },
    flag: { name: column, type: 'BOOLEAN', repetition_type: 'OPTIONAL' }, time: micros(column) })[kind(column)];
  const value = (column, v) => (v === null ? null : kind(column) === 'time' ? BigInt(v) : kind(column) === 'whole' ? Number(v) : v);
  const columns = Object.keys(types);
  const schema = [{ name: 'root', num_children: columns.length }, ...columns.map(element)];
  const compressors = { GZIP: gzipSync, BROTLI: brotliCompressSync };
  for (const codec of ['UNCOMPRESSED', 'SNAPPY', 'GZIP', 'BROTLI'])
    for (const turn of [-1, 0, 1, 2])
      for (const pageSize of pages(codec))
        add(`hyparquet ${codec} ${turn < 0 ? 'by default' : Object.values(of).map((e) => e[turn])}, pages of ${pageSize}`, (to) => {
          const columnData = columns.map((name) => ({ name, data: rows.map((r) => value(name, r[name])), ...(turn < 0 ? {} : { encoding: of[kind(name)][turn] }) }));
          writeFileSync(to, Buffer.from(parquetWriteBuffer({ columnData, schema, codec, compressors, pageSize, rowGroupSize: 3000 })));
        }, extract);
  return all;
}

// different counts the rows in which the parts in a folder hold another value than DuckDB reads in a file.
export async function different(db, parts, file) {
  const there = new Set((await db.rows(`DESCRIBE SELECT * FROM read_parquet(${quote(file)})`)).map((r) => r.column_name));
  const list = Object.entries(types).map(([c, type]) => (there.has(c) ? `CAST(${c} AS ${type})` : 'NULL') + ` AS ${c}`).join(', ');
  const [ours, theirs] = [join(parts, '*.parquet'), file].map((f) => `SELECT ${list} FROM read_parquet(${quote(f)})`);
  const [{ n }] = await db.rows(`SELECT count(*) AS n FROM ((${ours} EXCEPT ALL ${theirs}) UNION ALL (${theirs} EXCEPT ALL ${ours}))`);
  return Number(n);
}
