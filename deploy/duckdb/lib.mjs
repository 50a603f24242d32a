// What check.mjs and bench.mjs share: DuckDB with an extract and the reference loaded, and what a ranking holds.
import { DuckDBInstance } from '@duckdb/node-api';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const here = dirname(fileURLToPath(import.meta.url));
export const root = join(here, '..', '..');
export const types = {
  allegation_id: 'VARCHAR', report_id: 'VARCHAR', suspect_id: 'VARCHAR', suspect_age: 'INTEGER', suspect_status: 'VARCHAR',
  offence_code: 'VARCHAR', offence_class: 'VARCHAR', offence_urn: 'VARCHAR', reported_at: 'TIMESTAMP', committed_at: 'TIMESTAMP',
  borough: 'VARCHAR', victim_id: 'VARCHAR', victim_sex: 'VARCHAR', victim_age: 'INTEGER', domestic_abuse: 'BOOLEAN',
  source: 'VARCHAR', outcome: 'VARCHAR', updated_at: 'TIMESTAMP', handling: 'VARCHAR',
};
export const quote = (s) => `'${s.replaceAll("'", "''")}'`;

export async function connect(settings = {}) {
  const db = await (await DuckDBInstance.create(':memory:', settings)).connect();
  const rows = async (sql) => (await db.runAndReadAll(sql)).getRowObjectsJson();
  return { run: (sql) => db.run(sql), rows };
}

// The rule sets that are part of the build, with the resolutions that belong to each.
const ruleSets = { 'vawg-v1': ['vawg-offences.csv', 'resolutions.csv'], 'vawg-v2': ['vawg-offences-v2.csv', 'resolutions-v2.csv'] };

// fields are the `name: value` of a model's declaration, on lines of their own or within braces.
const fields = (text) => Object.fromEntries([...text.replaceAll(/#.*/g, '').matchAll(/([a-z_]+): *([a-z0-9_-]+)/g)].map((m) => [m[1], m[2]]));
const schema = (...path) => readFileSync(join(root, 'schemas', ...path), 'utf8');

// load makes the view, the tables and the variables that contract.sql reads: of an extract, by a rule set and a model that are part of the build.
export async function load(db, extract, asOf, { rules = 'vawg-v2', model = 'rfs-v2', links } = {}) {
  const reference = (file) => `read_csv(${quote(join(root, 'schemas', 'reference', file))}, header = true, all_varchar = true)`;
  const [offences, resolutions] = ruleSets[rules];
  const tables = { cchi: 'cchi-2020.csv', vawg: offences, supplement: 'vawg-supplement.csv', resolutions, boroughs: 'boroughs.csv', aliases: 'borough-aliases.csv', placeholders: 'placeholders.csv' };
  for (const [table, file] of Object.entries(tables)) await db.run(`CREATE OR REPLACE TABLE ${table} AS SELECT * FROM ${reference(file)}`);
  if (rules === 'vawg-v1') await db.run("ALTER TABLE resolutions ADD COLUMN given_class VARCHAR DEFAULT 'known'; ALTER TABLE resolutions ADD COLUMN as_class VARCHAR");
  const links_of = links ? `SELECT person_id, same_as FROM ${links.endsWith('.csv') ? `read_csv(${quote(links)}, header = true, all_varchar = true)` : `read_parquet(${quote(links)})`}` : 'SELECT NULL::VARCHAR AS person_id, NULL::VARCHAR AS same_as WHERE false';
  await db.run(`CREATE OR REPLACE TABLE links AS ${links_of}; RESET VARIABLE counting`);
  const m = fields(schema('models', `${model}.yaml`));
  const of = (m) => [Number(m.half_life_days ?? 0), Number(m.frequency_step_ppm ?? 0), Number(m.frequency_cap ?? 0), m.frequency_apply ?? 'all', m.non_recent ?? 'full', m.per_report ?? 'all'];
  const value = (v) => (typeof v === 'number' ? `CAST(${v} AS BIGINT)` : quote(v));
  const [half_life, step, cap, apply] = of(m);
  for (const [name, v] of Object.entries({ as_of: asOf, half_life, step, cap, apply, depth: Number(m.depth), custody: m.custody ?? 'aside' })) await db.run(`SET VARIABLE ${name} = ${value(v)}`);
  const others = schema('stability.yaml').split('\n').filter((line) => line.includes('- {')).map(fields);
  await db.run(`CREATE OR REPLACE TABLE others AS FROM (VALUES ${others.map((o) => `(${[o.name, ...of(o)].map(value).join(', ')})`).join(', ')}) t(name, half_life, step, cap, apply, non_recent, per_report)`);
  const there = new Set((await db.rows(`DESCRIBE SELECT * FROM read_parquet(${quote(extract)})`)).map((r) => r.column_name));
  const columns = Object.entries(types).map(([name, type]) => (there.has(name) ? name : `CAST(NULL AS ${type}) AS ${name}`));
  await db.run(`CREATE OR REPLACE VIEW extract AS SELECT ${columns.join(', ')}, file_row_number AS row FROM read_parquet(${quote(extract)}, file_row_number = true)`);
  return { others: others.map((o) => o.name) };
}

// The ranking's columns, in order.
export const columns = ['position', 'rank', 'tie_size', 'suspect_id', 'score', 'score_days', 'sum_days', 'max_days', 'sum_rank', 'allegations', 'reports', 'victims',
  'first_reported', 'last_reported', 'owner_borough', 'owner_bcu', 'boroughs', 'domestic_abuse', 'non_recent', 'also_victim', 'suspect_status', 'lane', 'ages_disagree', 'restricted', 'withdrawn'];

// differences counts, for each of the columns, the keys at which two relations differ, and gives the first.
export async function differences(db, ours, theirs, key, columns) {
  const wrong = (c) => `FILTER (r.${c} IS DISTINCT FROM m.${c})`;
  const counts = columns.map((c, i) => `count(*) ${wrong(c)} AS n${i}, min(coalesce(r.${key}, m.${key})) ${wrong(c)} AS f${i}`);
  const [row] = await db.rows(`SELECT ${counts.join(', ')} FROM ${ours} r FULL JOIN ${theirs} m ON r.${key} = m.${key}`);
  return columns.map((column, i) => ({ column, n: Number(row[`n${i}`]), first: row[`f${i}`] }));
}
