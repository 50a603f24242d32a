// What check.mjs and bench.mjs share: DuckDB with an extract and the reference loaded, and what a ranking holds.
import { DuckDBInstance } from '@duckdb/node-api';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const here = dirname(fileURLToPath(import.meta.url));
export const root = join(here, '..', '..');
export const types = {
  allegation_id: 'VARCHAR', report_id: 'VARCHAR', suspect_id: 'VARCHAR', suspect_age: 'INTEGER', suspect_status: 'VARCHAR',
  offence_code: 'VARCHAR', offence_class: 'VARCHAR', offence_urn: 'VARCHAR', reported_at: 'TIMESTAMP', committed_at: 'TIMESTAMP',
  borough: 'VARCHAR', victim_id: 'VARCHAR', victim_sex: 'VARCHAR', victim_age: 'INTEGER', domestic_abuse: 'BOOLEAN',
  source: 'VARCHAR', outcome: 'VARCHAR', updated_at: 'TIMESTAMP',
};
export const quote = (s) => `'${s.replaceAll("'", "''")}'`;

export async function connect(settings = {}) {
  const db = await (await DuckDBInstance.create(':memory:', settings)).connect();
  const rows = async (sql) => (await db.runAndReadAll(sql)).getRowObjectsJson();
  return { run: (sql) => db.run(sql), rows };
}

// load makes the view and the tables that contract.sql reads.
export async function load(db, extract, asOf) {
  const reference = (file) => `read_csv(${quote(join(root, 'schemas', 'reference', file))}, header = true, all_varchar = true)`;
  await db.run(`SET VARIABLE as_of = ${quote(asOf)}`);
  for (const [table, file] of [['cchi', 'cchi-2020.csv'], ['vawg', 'vawg-offences.csv'], ['supplement', 'vawg-supplement.csv'], ['resolutions', 'resolutions.csv'], ['boroughs', 'boroughs.csv']])
    await db.run(`CREATE OR REPLACE TABLE ${table} AS SELECT * FROM ${reference(file)}`);
  const there = new Set((await db.rows(`DESCRIBE SELECT * FROM read_parquet(${quote(extract)})`)).map((r) => r.column_name));
  const columns = Object.entries(types).map(([name, type]) => (there.has(name) ? name : `CAST(NULL AS ${type}) AS ${name}`));
  await db.run(`CREATE OR REPLACE VIEW extract AS SELECT ${columns.join(', ')} FROM read_parquet(${quote(extract)})`);
}

// The ranking's columns, in order.
export const columns = ['position', 'rank', 'tie_size', 'suspect_id', 'score', 'score_days', 'sum_days', 'max_days', 'sum_rank', 'allegations', 'reports', 'victims',
  'first_reported', 'last_reported', 'owner_borough', 'owner_bcu', 'boroughs', 'domestic_abuse', 'non_recent', 'also_victim', 'suspect_status'];

// differences counts, for each of the columns, the keys at which two relations differ, and gives the first.
export async function differences(db, ours, theirs, key, columns) {
  const wrong = (c) => `FILTER (r.${c} IS DISTINCT FROM m.${c})`;
  const counts = columns.map((c, i) => `count(*) ${wrong(c)} AS n${i}, min(coalesce(r.${key}, m.${key})) ${wrong(c)} AS f${i}`);
  const [row] = await db.rows(`SELECT ${counts.join(', ')} FROM ${ours} r FULL JOIN ${theirs} m ON r.${key} = m.${key}`);
  return columns.map((column, i) => ({ column, n: Number(row[`n${i}`]), first: row[`f${i}`] }));
}
