// Holds what `starter score` left in a folder against contract.sql, row by row and to the last digit.
//
//   node check.mjs --extract extract.parquet [--links links.csv] --as-of 2026-06-30 --out night
//   node check.mjs --self        makes extracts, scores them and checks each
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { columns, connect, differences, here, load, quote, root, types } from './lib.mjs';

export async function check(extract, asOf, out, links) {
  const db = await connect();
  const manifest = JSON.parse(readFileSync(join(out, 'manifest.json'), 'utf8'));
  const { others } = await load(db, extract, asOf, { rules: manifest.rules.name, model: manifest.model.name, links });
  const contract = readFileSync(join(here, 'contract.sql'), 'utf8');
  await db.run(contract);
  let faults = 0;
  const say = (what, count, wrong, example) => {
    console.log(`  ${wrong ? 'WRONG' : 'ok   '}  ${what.padEnd(32)} ${String(count).padStart(9)}${wrong ? `  ${wrong} differ, the first: ${example}` : ''}`);
    if (wrong) faults++;
  };
  const file = (name) => `read_parquet(${quote(join(out, name))})`;
  // compare says in what two relations differ, column by column, of those that their key joins.
  const compare = async (what, ours, theirs, key, columns) => {
    const [{ o, t }] = await db.rows(`SELECT (SELECT count(*) FROM ${ours}) AS o, (SELECT count(*) FROM ${theirs}) AS t`);
    say(`${what}, ${columns.length} columns`, t, Number(o) === Number(t) ? 0 : 1, `SQL has ${o}`);
    for (const { column, n, first } of (await differences(db, ours, theirs, key, columns)).filter((c) => c.n)) say(`${what}: ${column}`, t, n, `${key} ${first}`);
  };
  const counts = Object.fromEntries((await db.rows('SELECT disposition, n FROM dispositions')).map((r) => [r.disposition, Number(r.n)]));
  for (const name of new Set([...Object.keys(manifest.dispositions), ...Object.keys(counts)]))
    say(name, manifest.dispositions[name] ?? 0, (manifest.dispositions[name] ?? 0) === (counts[name] ?? 0) ? 0 : 1, `SQL counts ${counts[name] ?? 0}`);
  const sum = Object.values(manifest.dispositions).reduce((a, b) => a + b, 0);
  const [{ n }] = await db.rows('SELECT count(*) AS n FROM extract');
  say('rows read', manifest.rows_read, manifest.rows_read === Number(n) && sum === Number(n) ? 0 : 1, `the file holds ${n}, the dispositions sum to ${sum}`);
  const named = Object.fromEntries((await db.rows('SELECT fact, name, n FROM facts WHERE n > 0')).map((r) => [`${r.fact} ${r.name}`.trim(), Number(r.n)]));
  const told = {};
  for (const [fact, v] of Object.entries(manifest.facts))
    if (!['blind_spot', 'extra_columns', 'quarantine_reasons', 'unreadable_values'].includes(fact))
      for (const [name, n] of Object.entries(typeof v === 'number' ? { '': v } : v)) if (n) told[`${fact} ${name}`.trim()] = n;
  for (const name of new Set([...Object.keys(named), ...Object.keys(told)])) say(name, told[name] ?? 0, told[name] === named[name] ? 0 : 1, `SQL counts ${named[name] ?? 0}`);

  const made = (name) => `(SELECT * REPLACE (epoch_us(first_reported) AS first_reported, epoch_us(last_reported) AS last_reported) FROM ${file(name)})`;
  await compare('ranking', 'ranking', made('ranking.parquet'), 'position', columns);
  await compare('stack', 'stack', made('stack.parquet'), 'position', columns);
  const [{ ranked }] = await db.rows('SELECT count(*) AS ranked FROM ranking');
  say('suspects', manifest.suspects, Number(ranked) === manifest.suspects ? 0 : 1, `SQL ranks ${ranked}`);
  const keyed = (relation, replace = '') => `(SELECT * ${replace}, allegation_id AS key FROM ${relation})`;
  const exact = ['position', 'suspect_id', 'report_id', 'victim_id', 'reported_at', 'committed_at', 'borough', 'offence_code', 'offence_class', 'offence_urn', 'weight_rule', 'harm_days',
    'age', 'recency_ppm', 'base', 'frequency_ppm', 'domestic_abuse', 'source', 'outcome', 'leaves_on', 'older_version_stands', 'urn_contradicts_code'];
  const theirs = keyed(file('contributions.parquet'), 'REPLACE (epoch_us(reported_at) AS reported_at, epoch_us(committed_at) AS committed_at)');
  await compare('contributions', keyed('contributions'), theirs, 'key', exact);
  const [{ all, shares }] = await db.rows(`SELECT count(*) AS "all", count(*) FILTER (abs(s.share - c.share) > 1e-9) AS shares FROM contributions s JOIN ${theirs} c USING (allegation_id)`);
  say('contributions: share', all, Number(shares), 'they are not what each adds of the score');
  const [{ order }] = await db.rows(`SELECT count(*) AS "order" FROM (SELECT position, base, allegation_id, row_number() OVER () AS n, row_number() OVER (ORDER BY position, base DESC, allegation_id) AS m FROM ${file('contributions.parquet')}) WHERE n <> m`);
  say('contributions: order', all, Number(order), 'not by position, contribution and allegation');
  const places = others.map((name) => `places[${quote(name)}] AS ${name}`).join(', ');
  const cases = `(SELECT * REPLACE (epoch_us(reported_at) AS reported_at, epoch_us(committed_at) AS committed_at, epoch_us(updated_at) AS updated_at), row_number() OVER () AS n FROM ${file('cases.parquet')})`;
  const named_once = (relation) => `(SELECT *, concat_ws(' ', position, role, row) AS key FROM ${relation})`;
  await compare('cases', named_once('cases'), named_once(cases), 'key', ['position', 'person_id', 'other_id', 'role', 'row', ...Object.keys(types), 'disposition', 'older_version_stands', 'weight_rule', 'harm_days', 'recency_ppm', 'frequency_ppm', 'base']);
  const [{ all_cases, case_shares }] = await db.rows(`SELECT count(*) AS all_cases, count(*) FILTER (abs(s.share - c.share) > 1e-9) AS case_shares FROM cases s JOIN ${cases} c USING (position, role, row)`);
  say('cases: share', all_cases, Number(case_shares), 'they are not what each adds of the score');
  const [{ case_order }] = await db.rows(`SELECT count(*) FILTER (n <> m) AS case_order FROM (SELECT n, row_number() OVER (ORDER BY position, role, reported_at NULLS FIRST, allegation_id NULLS FIRST, row) AS m FROM ${cases})`);
  say('cases: order', all_cases, Number(case_order), 'not by position, role, report, allegation and row');
  if (links) await compare('links', 'linked', file('links.parquet'), 'person_id', ['person_id', 'same_as']);
  const blind = manifest.facts.blind_spot ?? {};
  const rows = ['by_code', 'by_borough'].flatMap((list) => (blind[list] ?? []).map((l) => `(${[list, l.reason, l.of].map(quote).join(', ')}, ${l.rows}, ${l.harm_tenths})`));
  await db.run('CREATE OR REPLACE TABLE told_left_out (list VARCHAR, reason VARCHAR, "of" VARCHAR, rows BIGINT, harm_tenths HUGEINT)');
  if (rows.length) await db.run(`INSERT INTO told_left_out VALUES ${rows.join(', ')}`);
  const left = (relation) => `(SELECT *, concat_ws(' ', list, reason, "of") AS key FROM ${relation})`;
  await compare('left out', left('left_out'), left('told_left_out'), 'key', ['rows', 'harm_tenths']);
  await compare('stability', `(SELECT suspect_id, position, models, standing, ${places} FROM standings)`, file('stability.parquet'), 'position', ['suspect_id', 'models', 'standing', ...others]);
  // Last, for it makes the tables anew: who would be on the stack, or beside it, if what is left out for a reason counted.
  await db.run('CREATE OR REPLACE TABLE on_stack AS SELECT suspect_id FROM stack');
  const reasons = ['intelligence_only', 'police_detected', 'victim_sex_unknown', 'unscored_offence'];
  if ((blind.would_enter ?? []).length !== reasons.length) say('would enter', (blind.would_enter ?? []).length, 1, `${reasons.length} reasons`);
  for (const reason of reasons) {
    await db.run(`SET VARIABLE counting = ${quote(reason)}`);
    await db.run(contract.slice(contract.indexOf('-- Rules 3 to 11.'), contract.indexOf('CREATE OR REPLACE TABLE contributions')));
    const [{ n }] = await db.rows('SELECT count(*) AS n FROM stack WHERE suspect_id NOT IN (FROM on_stack)');
    const told = (blind.would_enter ?? []).find((e) => e.reason === reason);
    const said = told?.not_counted ? told.not_counted : told?.suspects;
    say(`would enter: ${reason}`, said ?? 'nothing', said === Number(n) ? 0 : 1, `SQL counts ${n}`);
  }
  return faults;
}

// self makes extracts of several kinds, scores each with the starter and checks it.
async function self() {
  const dir = mkdtempSync(join(tmpdir(), 'harmstack-check-'));
  let faults = 0;
  try {
    const starter = join(dir, 'starter');
    execFileSync('go', ['build', '-o', starter, './starter'], { cwd: root, stdio: 'inherit' });
    const made = join(dir, 'made.parquet');
    const merged = join(dir, 'merged.csv');
    execFileSync(starter, ['generate', '--out', made, '--as-of', '2026-06-30', '--links', merged], { stdio: 'inherit' });
    const db = await connect();
    const cases = join(dir, 'cases');
    await db.run(`SET VARIABLE out = ${quote(cases)}`);
    await db.run(readFileSync(join(here, 'cases.sql'), 'utf8').replaceAll('$made', quote(made)).replaceAll('$out', cases));
    const v2 = ['--rules', 'vawg-v2', '--model', 'rfs-v2'];
    const v1 = ['--rules', 'vawg-v1', '--model', 'rfs-v1'];
    for (const [name, extract, asOf, by, links] of [['synthetic', made, '2026-06-30', v2], ['synthetic, on the night the clocks went back', made, '2025-10-26', v2],
      ['synthetic, by rules and model of version 1', made, '2026-06-30', v1], ['every rule, zstd, milliseconds', `${cases}-1.parquet`, '2026-06-30', v2],
      ['every rule, by rules and model of version 1', `${cases}-1.parquet`, '2026-06-30', v1],
      ['every rule, small row groups, nanoseconds, other order', `${cases}-2.parquet`, '2026-03-29', v2], ['a leap year, columns of version 1', `${cases}-3.parquet`, '2028-03-01', v2],
      ['synthetic, with person links', made, '2026-06-30', v2, merged], ['every rule, with chains of person links', `${cases}-1.parquet`, '2026-06-30', v2, `${cases}-links.parquet`],
      ['every rule, with person links, by rules and model of version 1', `${cases}-2.parquet`, '2026-03-29', v1, `${cases}-links.parquet`]]) {
      const out = join(dir, 'night');
      rmSync(out, { recursive: true, force: true });
      execFileSync(starter, ['score', '--extract', extract, '--as-of', asOf, '--out', out, ...(links ? ['--links', links] : []), ...by], { stdio: ['ignore', 'ignore', 'inherit'] });
      console.log(`${name}, as of ${asOf}`);
      faults += await check(extract, asOf, out, links);
    }
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
  return faults;
}

async function main() {
  const { values: args } = parseArgs({ options: { self: { type: 'boolean' }, extract: { type: 'string' }, links: { type: 'string' }, 'as-of': { type: 'string' }, out: { type: 'string' } } });
  if (!args.self && !(args.extract && args['as-of'] && args.out && existsSync(args.out))) {
    console.error('usage: node check.mjs --self | --extract FILE [--links FILE] --as-of DATE --out DIR');
    process.exit(2);
  }
  const faults = args.self ? await self() : await check(args.extract, args['as-of'], args.out, args.links);
  console.log(faults ? `${faults} faults` : 'all agree');
  process.exit(faults ? 1 : 0);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main();
