// Lets other writers write the same offences as Parquet, and scores what each has written: the rankings must be the same
// bytes. parquet-go has written the extract, Arrow writes in the Go tests; here are DuckDB and Polars. Then the same by value
// for fewer rows in many more layouts: encodings.mjs.
//
//   node writers.mjs                 makes 200,000 offences
//   node writers.mjs --extract F --as-of D
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import pl from 'nodejs-polars';
import { different, layouts } from './encodings.mjs';
import { connect, quote, root } from './lib.mjs';

// writers are what each writes, and how: codecs, dictionaries, units, pages and row groups differ.
async function writers(extract, dir) {
  const db = await connect();
  const copy = (columns, to, options) => db.run(`COPY (SELECT ${columns} FROM read_parquet(${quote(extract)})) TO ${quote(join(dir, to))} (${options})`);
  const polars = (name, options, edit = (d) => d) => edit(pl.readParquet(extract)).writeParquet(join(dir, name), options);
  const units = (unit) => (d) => d.withColumns(...['reported_at', 'committed_at', 'updated_at'].map((c) => pl.col(c).cast(pl.Datetime(unit))));
  mkdirSync(join(dir, 'duckdb-folder'));
  const all = [
    ['duckdb, snappy', 'duckdb-1.parquet', (f) => copy('*', f, "FORMAT parquet, CODEC 'snappy'")],
    ['duckdb, zstd, newer pages and encodings', 'duckdb-2.parquet', (f) => copy('*', f, "FORMAT parquet, CODEC 'zstd', PARQUET_VERSION v2, ROW_GROUP_SIZE 20000")],
    ['duckdb, gzip, many tiny row groups', 'duckdb-3.parquet', (f) => copy('*', f, "FORMAT parquet, CODEC 'gzip', ROW_GROUP_SIZE 2048")],
    ['duckdb, no codec, nanoseconds, wide ages, other order', 'duckdb-4.parquet', (f) => copy(
      `* EXCLUDE (reported_at, committed_at, updated_at, suspect_age), suspect_age::BIGINT AS suspect_age, 'x' AS more,
       reported_at::TIMESTAMP_NS AS reported_at, committed_at::TIMESTAMP_NS AS committed_at, updated_at::TIMESTAMP_NS AS updated_at`, f, "FORMAT parquet, CODEC 'uncompressed', DICTIONARY_SIZE_LIMIT 1")],
    ['duckdb, a folder of files', 'duckdb-folder', (f) => copy('*', f, 'FORMAT parquet, PER_THREAD_OUTPUT, OVERWRITE_OR_IGNORE')],
    ['duckdb, csv', 'duckdb.csv', (f) => copy('*', f, 'FORMAT csv, HEADER')],
    ['duckdb, gzipped csv', 'duckdb.csv.gz', (f) => copy('*', f, 'FORMAT csv, HEADER, COMPRESSION gzip')],
    ['polars, zstd', 'polars-1.parquet', (f) => polars(f, { compression: 'zstd' })],
    ['polars, snappy, small row groups, statistics', 'polars-2.parquet', (f) => polars(f, { compression: 'snappy', rowGroupSize: 5000, statistics: true })],
    ['polars, no codec, nanoseconds', 'polars-3.parquet', (f) => polars(f, { compression: 'uncompressed' }, units('ns'))],
    ['polars, gzip, milliseconds', 'polars-4.parquet', (f) => polars(f, { compression: 'gzip' }, units('ms')), 'milliseconds'],
  ];
  // What milliseconds hold, written in microseconds: the one file that cannot be the same as the others.
  await copy("* REPLACE (date_trunc('milliseconds', reported_at) AS reported_at, date_trunc('milliseconds', committed_at) AS committed_at, date_trunc('milliseconds', updated_at) AS updated_at)",
    'milliseconds.parquet', 'FORMAT parquet');
  for (const [, file, write] of all) await write(file);
  return all;
}

// make makes a synthetic extract without the dates of year 1 and 9999, which nanoseconds cannot hold.
async function make(starter, to, asOf, suspects) {
  execFileSync(starter, ['generate', '--out', to + '.whole', '--as-of', asOf, '--suspects', suspects], { stdio: 'ignore' });
  const db = await connect();
  await db.run(`COPY (SELECT * REPLACE (CASE WHEN year(committed_at) BETWEEN 1900 AND 2200 THEN committed_at END AS committed_at) FROM read_parquet(${quote(to + '.whole')})) TO ${quote(to)} (FORMAT parquet)`);
}

const hash = (file) => createHash('sha256').update(readFileSync(file)).digest('hex');

async function main() {
  const { values: args } = parseArgs({ options: { extract: { type: 'string' }, 'as-of': { type: 'string', default: '2026-06-30' } } });
  const dir = mkdtempSync(join(tmpdir(), 'harmstack-writers-'));
  let faults = 0, layoutsRead = 0;
  try {
    const starter = join(dir, 'starter');
    execFileSync('go', ['build', '-o', starter, './starter'], { cwd: root, stdio: 'inherit' });
    const extract = args.extract ?? join(dir, 'made.parquet');
    if (!args.extract) await make(starter, extract, args['as-of'], '67900');
    const ranking = (file) => {
      const out = join(dir, 'night');
      rmSync(out, { recursive: true, force: true });
      execFileSync(starter, ['score', '--extract', file, '--as-of', args['as-of'], '--out', out], { stdio: ['ignore', 'ignore', 'pipe'] });
      return [hash(join(out, 'ranking.parquet')), JSON.parse(readFileSync(join(out, 'manifest.json'), 'utf8')).rows_read];
    };
    const all = await writers(extract, dir);
    const want = { undefined: ranking(extract), milliseconds: ranking(join(dir, 'milliseconds.parquet')) };
    for (const [name, file, , as] of all) {
      const [sum, rows] = ranking(join(dir, file));
      const right = sum === want[as][0] && rows === want[as][1];
      console.log(`  ${right ? 'ok   ' : 'WRONG'}  ${name.padEnd(52)} ${String(rows).padStart(9)} rows  ${sum.slice(0, 16)}`);
      if (!right) faults++;
    }
    const few = join(dir, 'few.parquet'), out = join(dir, 'night'), db = await connect({ threads: '1' });
    await db.run("SET TimeZone = 'UTC'");
    await make(starter, few, args['as-of'], '700');
    for (const [name, file, write, same] of await layouts(db, few, dir)) {
      rmSync(out, { recursive: true, force: true });
      let wrong;
      try {
        await write(file);
        execFileSync(starter, ['score', '--extract', file, '--as-of', args['as-of'], '--out', out, '--keep-extract'], { stdio: ['ignore', 'ignore', 'pipe'] });
        const n = await different(db, join(out, 'extract'), same ?? file);
        if (n) wrong = `${n} rows differ from DuckDB's reading`;
      } catch (e) {
        wrong = String(e.stderr ?? e).trim();
      }
      if (wrong) {
        console.log(`  WRONG  ${name}: ${wrong}`);
        faults++;
      }
      layoutsRead++;
    }
    console.log(`  ${layoutsRead} layouts were read`);
    if (readdirSync(join(dir, 'duckdb-folder')).length < 1) {
      console.log('  WRONG  DuckDB wrote no folder');
      faults++;
    }
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
  console.log(faults ? `${faults} faults` : 'all is read as it was written');
  process.exit(faults ? 1 : 0);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main();
