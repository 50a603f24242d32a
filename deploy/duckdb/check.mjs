// Holds what `starter score` left in a folder against contract.sql, row by row and to the last digit.
//
//   node check.mjs --extract extract.parquet --as-of 2026-06-30 --out night
//   node check.mjs --self        makes extracts, scores them and checks each
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { columns, connect, differences, here, load, quote, root } from './lib.mjs';

export async function check(extract, asOf, out) {
  const db = await connect();
  await load(db, extract, asOf);
  await db.run(readFileSync(join(here, 'contract.sql'), 'utf8'));
  let faults = 0;
  const say = (what, count, wrong, example) => {
    console.log(`  ${wrong ? 'WRONG' : 'ok   '}  ${what.padEnd(16)} ${String(count).padStart(9)}${wrong ? `  ${wrong} differ, the first: ${example}` : ''}`);
    if (wrong) faults++;
  };
  const manifest = JSON.parse(readFileSync(join(out, 'manifest.json'), 'utf8'));
  const counts = Object.fromEntries((await db.rows('SELECT disposition, n FROM dispositions')).map((r) => [r.disposition, Number(r.n)]));
  for (const [name, n] of Object.entries(manifest.dispositions)) say(name, n, n === (counts[name] ?? 0) ? 0 : 1, `SQL counts ${counts[name] ?? 0}`);
  const sum = Object.values(manifest.dispositions).reduce((a, b) => a + b, 0);
  const [{ n }] = await db.rows('SELECT count(*) AS n FROM extract');
  say('rows read', manifest.rows_read, manifest.rows_read === Number(n) && sum === Number(n) ? 0 : 1, `the file holds ${n}, the dispositions sum to ${sum}`);

  const ranking = quote(join(out, 'ranking.parquet'));
  const made = `(SELECT * REPLACE (epoch_us(first_reported) AS first_reported, epoch_us(last_reported) AS last_reported) FROM ${ranking})`;
  const [{ theirs, ours }] = await db.rows(`SELECT (SELECT count(*) FROM ${ranking}) AS theirs, (SELECT count(*) FROM ranking) AS ours`);
  say('suspects', theirs, theirs === ours && Number(theirs) === manifest.suspects ? 0 : 1, `SQL ranks ${ours}, the manifest says ${manifest.suspects}`);
  for (const { column, n, first } of await differences(db, 'ranking', made, 'position', columns)) say(column, theirs, n, `position ${first}`);
  const stack = await db.rows(`SELECT count(*) AS n FROM (SELECT * FROM read_parquet(${quote(join(out, 'stack.parquet'))}) EXCEPT SELECT * FROM ${ranking} WHERE position <= 100)`);
  const [{ size }] = await db.rows(`SELECT count(*) AS size FROM read_parquet(${quote(join(out, 'stack.parquet'))})`);
  say('stack', size, Number(stack[0].n) || Number(size) !== Math.min(100, Number(theirs)) ? 1 : 0, 'it is not the first of the ranking');
  const contributions = quote(join(out, 'contributions.parquet'));
  const missing = await db.rows(`SELECT count(*) AS n FROM (SELECT s.suspect_id, s.allegation_id, s.age, s.base, s.tenths / 10.0::DOUBLE AS days FROM scored s JOIN ranking r USING (suspect_id) WHERE r.position <= 100) a
    FULL JOIN ${contributions} c USING (suspect_id, allegation_id) WHERE a.base IS DISTINCT FROM c.base OR a.age IS DISTINCT FROM c.age OR a.days IS DISTINCT FROM c.harm_days`);
  const [{ all }] = await db.rows(`SELECT count(*) AS all FROM ${contributions}`.replace('AS all', 'AS "all"'));
  say('contributions', all, Number(missing[0].n), 'allegations whose weight, age or base differ');
  const shares = await db.rows(`SELECT count(*) AS n FROM (SELECT position FROM ${contributions} GROUP BY position HAVING abs(sum(share) - 1) > 1e-9)`);
  say('shares', size, Number(shares[0].n), 'they do not sum to one');
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
    execFileSync(starter, ['generate', '--out', made, '--as-of', '2026-06-30'], { stdio: 'inherit' });
    const db = await connect();
    const cases = join(dir, 'cases');
    await db.run(`SET VARIABLE out = ${quote(cases)}`);
    await db.run(readFileSync(join(here, 'cases.sql'), 'utf8').replaceAll('$made', quote(made)).replaceAll('$out', cases));
    for (const [name, extract, asOf] of [['synthetic', made, '2026-06-30'], ['synthetic, on the night the clocks went back', made, '2025-10-26'],
      ['every rule, zstd, milliseconds', `${cases}-1.parquet`, '2026-06-30'], ['every rule, small row groups, nanoseconds, other order', `${cases}-2.parquet`, '2026-03-29'],
      ['a leap year', `${cases}-3.parquet`, '2028-03-01']]) {
      const out = join(dir, 'night');
      rmSync(out, { recursive: true, force: true });
      execFileSync(starter, ['score', '--extract', extract, '--as-of', asOf, '--out', out], { stdio: ['ignore', 'ignore', 'inherit'] });
      console.log(`${name}, as of ${asOf}`);
      faults += await check(extract, asOf, out);
    }
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
  return faults;
}

async function main() {
  const { values: args } = parseArgs({ options: { self: { type: 'boolean' }, extract: { type: 'string' }, 'as-of': { type: 'string' }, out: { type: 'string' } } });
  if (!args.self && !(args.extract && args['as-of'] && args.out && existsSync(args.out))) {
    console.error('usage: node check.mjs --self | --extract FILE --as-of DATE --out DIR');
    process.exit(2);
  }
  const faults = args.self ? await self() : await check(args.extract, args['as-of'], args.out);
  console.log(faults ? `${faults} faults` : 'all agree');
  process.exit(faults ? 1 : 0);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main();
