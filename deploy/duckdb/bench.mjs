// Measures `starter score` beside DuckDB: the same extract, the same threads, whole processes in turn; and
// holds the two rankings against each other.
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { createReadStream, existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { connect, differences, here, load, quote, root } from './lib.mjs';

const usage = `Measures Harmstack beside DuckDB on the same files and checks that their rankings agree.

  node bench.mjs                                 200,000 and ten million rows, five runs each
  node bench.mjs --rows 200k --runs 3            a first look
  node bench.mjs --rows 50m --memory 256MiB      once freely, once within 256 MiB
  node bench.mjs --rows 10m --mode score         scoring and ranking alone
  node bench.mjs --rows 1.5m --data made --json  keeps the files that it makes; JSON to standard output

  --rows     how many rows, several by commas: 200k, 10m, 1.5m (about: the real number is printed)
  --runs     runs of each, in turn (5)
  --threads  of both (all cores: ${availableParallelism()})
  --memory   also runs both within a budget: --memory of Harmstack, memory_limit of DuckDB
  --mode     contract: ranking, stack, contributions, stability, cases; score: neither deduplication nor distinct victims; extract: a typed copy of the extract
  --data     a folder that keeps the extracts (a temporary one)
  --starter  a built starter (built with go)
  --json     machine-readable results`;
const asOf = '2026-06-30';
const suspectsPerRow = 3_440_000 / 10_132_987; // of the generator
const self = fileURLToPath(import.meta.url);
const say = (text) => process.stderr.write(`${text}\n`);

// What a child does. Everything that loads DuckDB is a child, so that the measuring process stays small.
const deeds = {
  async empty() {
    await connect();
  },
  async count({ file }) {
    const db = await connect();
    return (await db.rows(`SELECT count(*) AS n FROM ${quote(file)}`))[0].n;
  },
  async rewrite({ from, to }) {
    const db = await connect();
    await db.run(`COPY (FROM ${quote(from)}) TO ${quote(to)} (FORMAT parquet)`);
  },
  async duckdb({ file, out, mode, threads, memory }) {
    const settings = { threads: String(threads), temp_directory: join(out, 'spill'), ...(memory ? { memory_limit: memory } : {}) };
    const db = await connect(settings);
    if (mode === 'extract') return void (await db.run(`COPY (FROM ${quote(file)}) TO ${quote(join(out, 'extract.parquet'))} (FORMAT parquet, COMPRESSION snappy, ROW_GROUP_SIZE 262144)`));
    await load(db, file, asOf);
    let sql = readFileSync(join(here, 'bench.sql'), 'utf8');
    if (mode === 'score') sql = sql.split('\n-- After the ranking.')[0].replaceAll(/^.*-- contract\n/gm, '').replaceAll(/^--score /gm, '');
    await db.run(sql.replaceAll('$out', () => out.replaceAll("'", "''")));
    return Object.fromEntries((await db.rows('SELECT disposition, n FROM dispositions')).map((r) => [r.disposition, Number(r.n)]));
  },
  // compare says in what the files differ. Without distinct victims ties are broken otherwise: no positions then.
  async compare({ ours, theirs, mode, spill }) {
    const db = await connect({ temp_directory: spill });
    const found = [];
    for (const [name, key] of Object.entries(mode === 'score' ? { ranking: files.ranking } : files)) {
      const [h, d] = [ours, theirs].map((dir) => quote(join(dir, `${name}.parquet`)));
      const described = await db.rows(`DESCRIBE FROM ${d}`);
      const held = described.map((c) => c.column_name).filter((c) => mode !== 'score' || (c !== 'position' && c !== 'victims'));
      const times = new Set(described.filter((c) => c.column_type.startsWith('TIMESTAMP')).map((c) => c.column_name));
      const of = (file) => `(SELECT ${held.map((c) => (times.has(c) ? `epoch_us(${c}) AS ${c}` : c === 'share' ? 'round(share, 9) AS share' : c)).join(', ')}, concat_ws(' ', ${key}) AS key FROM ${file})`;
      const [his, its] = [of(h), of(d)];
      const [{ n }] = await db.rows(`SELECT (SELECT count(*) FROM (FROM ${his} EXCEPT FROM ${its})) + (SELECT count(*) FROM (FROM ${its} EXCEPT FROM ${his}))
        + abs((SELECT count(*) FROM ${his}) - (SELECT count(*) FROM ${its})) AS n`);
      if (Number(n) === 0) continue;
      const wrong = (await differences(db, his, its, 'key', held)).filter((c) => c.n);
      found.push(...(wrong.length ? wrong.map((c) => `${name}, ${c.column}: ${c.n} rows differ, the first ${c.first}`) : [`${name}: a row comes more than once`]));
    }
    return found;
  },
};
// What is held against each other, and by what its rows are told apart.
const files = { ranking: 'suspect_id', stack: 'suspect_id', contributions: 'allegation_id', stability: 'suspect_id', cases: 'person_id, role, row' };

const child = (deed, args) => [process.execPath, self, 'child', deed, JSON.stringify(args ?? {})];
const ask = (deed, args) => {
  const [command, ...rest] = child(deed, args);
  return JSON.parse(execFileSync(command, rest, { stdio: ['ignore', 'pipe', 'inherit'] }).toString() || 'null');
};

// measured runs a command and gives its wall time, its processor time and its peak memory.
const gnuTime = ['/usr/bin/time', 'gtime'].find((t) => spawnSync(t, ['-f', '%M', 'true']).status === 0);
async function measured([command, ...rest]) {
  const args = gnuTime ? ['-q', '-f', '\nmeasured %U %S %M', command, ...rest] : rest;
  const from = performance.now();
  const p = spawn(gnuTime ?? command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let [out, err, cpu, memory] = ['', '', NaN, NaN];
  p.stdout.on('data', (d) => (out += d));
  p.stderr.on('data', (d) => (err += d));
  const look = () => {
    try { // what a process leaves in /proc until it ends, in ticks of 10 ms
      const times = readFileSync(`/proc/${p.pid}/stat`, 'utf8').split(') ')[1].split(' ');
      const peak = readFileSync(`/proc/${p.pid}/status`, 'utf8').match(/VmHWM:\s+(\d+)/);
      if (peak) [cpu, memory] = [(Number(times[11]) + Number(times[12])) / 100, Number(peak[1]) / 1024];
    } catch {}
  };
  const poll = gnuTime ? undefined : setInterval(look, 10);
  let seconds;
  p.on('exit', () => (seconds = (performance.now() - from) / 1000));
  const code = await new Promise((done, fail) => p.on('close', done).on('error', fail));
  clearInterval(poll);
  const told = err.match(/\nmeasured (\S+) (\S+) (\d+)\n$/);
  if (told) [cpu, memory] = [Number(told[1]) + Number(told[2]), Number(told[3]) / 1024];
  return { seconds, cpu, memory, out, failed: code ? err.replace(/\nmeasured .*\n$/, '').trim() || `exit ${code}` : undefined };
}

function numberOf(text) {
  const m = /^(\d+(?:\.\d+)?)([km]?)$/i.exec(text.trim());
  if (!m) throw new Error(`--rows: ${text} is no number of rows`);
  return Math.round(Number(m[1]) * { '': 1, k: 1e3, m: 1e6 }[m[2].toLowerCase()]);
}
const median = (list) => {
  const s = list.toSorted((a, b) => a - b);
  return s.length ? (s[(s.length - 1) >> 1] + s[s.length >> 1]) / 2 : NaN;
};

// make gives the two extracts of about so many rows: one by Harmstack's generator, one written again by DuckDB.
function make(starter, dir, rows) {
  const suspects = Math.round(rows * suspectsPerRow);
  const files = { harmstack: join(dir, `${suspects}-harmstack.parquet`), duckdb: join(dir, `${suspects}-duckdb.parquet`) };
  const made = (file, by) => { // under its own name only when whole: a later run may reuse it
    if (existsSync(file)) return;
    by(`${file}.part`);
    renameSync(`${file}.part`, file);
  };
  made(files.harmstack, (out) => {
    say(`making about ${rows.toLocaleString('en')} rows`);
    execFileSync(starter, ['generate', '--out', out, '--as-of', asOf, '--suspects', String(suspects)], { stdio: ['ignore', 'ignore', 'inherit'] });
  });
  made(files.duckdb, (to) => ask('rewrite', { from: files.harmstack, to }));
  return { files, count: Number(ask('count', { file: files.harmstack })) };
}

// one measures one file: runs in turn, and the rankings of the last.
async function one({ starter, file, mode, threads, memory, runs, dir }) {
  for await (const _ of createReadStream(file)); // nobody's first run reads from the disk
  const outs = { harmstack: join(dir, 'harmstack'), duckdb: join(dir, 'duckdb') };
  const harmstack = [starter, mode === 'extract' ? 'extract' : 'score', '--extract', file, ...(mode === 'extract' ? [] : ['--as-of', asOf, '--rules', 'vawg-v2', '--model', 'rfs-v2']),
    '--out', outs.harmstack, '--threads', String(threads), ...(mode === 'score' ? ['--unique'] : []), ...(memory ? ['--memory', memory] : [])];
  const commands = { harmstack, duckdb: child('duckdb', { file, out: outs.duckdb, mode, threads, memory }) };
  const result = { harmstack: [], duckdb: [], differ: [], failed: {} };
  const last = {};
  for (let i = 0; i < runs; i++) {
    for (const who of ['harmstack', 'duckdb']) {
      if (result.failed[who]) continue;
      rmSync(outs[who], { recursive: true, force: true });
      mkdirSync(outs[who], { recursive: true });
      const { out, failed, ...m } = await measured(commands[who]);
      if (failed) {
        result.failed[who] = failed;
        say(`  ${who} failed: ${failed.split('\n').slice(-3).join(' ')}`);
        continue;
      }
      last[who] = out;
      result[who].push(m);
      say(`  run ${i + 1}  ${who.padEnd(9)} ${m.seconds.toFixed(2)} s, ${m.cpu.toFixed(2)} s of processor, ${m.memory.toFixed(0)} MiB`);
    }
  }
  if (mode !== 'extract' && !result.failed.harmstack && !result.failed.duckdb) {
    result.differ = ask('compare', { ours: outs.harmstack, theirs: outs.duckdb, mode, spill: join(dir, 'spill') });
    const theirs = JSON.parse(last.duckdb);
    const ours = JSON.parse(readFileSync(join(outs.harmstack, 'manifest.json'), 'utf8')).dispositions;
    for (const name of new Set([...Object.keys(ours), ...Object.keys(theirs)]))
      if ((ours[name] ?? 0) !== (theirs[name] ?? 0)) result.differ.push(`${name}: ${ours[name] ?? 0} rows, DuckDB counts ${theirs[name] ?? 0}`);
  }
  for (const out of Object.values(outs)) rmSync(out, { recursive: true, force: true });
  return result;
}

// row is a line of the table: medians; a ratio is Harmstack's to DuckDB's of the same pair of runs.
function row(r) {
  const of = (who, what) => median(r[who].map((m) => m[what]));
  const pairs = (what) => r.duckdb.slice(0, r.harmstack.length).map((m, i) => r.harmstack[i][what] / m[what]);
  const number = (n, digits, unit) => (Number.isFinite(n) ? `${n.toFixed(digits)}${unit}` : '-');
  const times = pairs('seconds');
  return {
    rows: r.rows.toLocaleString('en'), 'written by': r.writer, memory: r.memory ?? 'free',
    Harmstack: number(of('harmstack', 'seconds'), 2, ' s'), DuckDB: number(of('duckdb', 'seconds'), 2, ' s'),
    ratio: times.length ? `${number(median(times), 2, '')} (${number(Math.min(...times), 2, '')}-${number(Math.max(...times), 2, '')})` : '-',
    'CPU ratio': number(median(pairs('cpu')), 2, ''),
    'Harmstack peak': number(of('harmstack', 'memory'), 0, ' MiB'), 'DuckDB peak': number(of('duckdb', 'memory'), 0, ' MiB'),
    'memory ratio': number(median(pairs('memory')), 2, ''),
    agree: r.failed.harmstack ? 'Harmstack failed' : r.failed.duckdb ? 'DuckDB failed' : r.mode === 'extract' ? '-' : r.differ.length ? 'NO' : 'yes',
  };
}

function table(lines) {
  const names = Object.keys(lines[0]);
  const widths = names.map((n) => Math.max(n.length, ...lines.map((l) => l[n].length)));
  for (const line of [Object.fromEntries(names.map((n) => [n, n])), ...lines]) console.log(names.map((n, i) => line[n].padStart(widths[i])).join('  '));
}

async function main() {
  const options = { rows: '200k,10m', runs: '5', threads: String(availableParallelism()), memory: undefined, mode: 'contract', data: undefined, starter: undefined };
  const { values: args } = parseArgs({ options: { ...Object.fromEntries(Object.keys(options).map((o) => [o, { type: 'string' }])), json: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } } });
  if (args.help) return console.log(usage);
  const { rows, runs, threads, memory, mode, data, starter: built } = { ...options, ...args };
  const sizes = rows.split(',').map(numberOf);
  if (!['contract', 'score', 'extract'].includes(mode) || !(Number(runs) >= 1) || !(Number(threads) >= 1)) throw new Error(`${usage}\n\nwrong options`);
  const dir = mkdtempSync(join(tmpdir(), 'harmstack-bench-'));
  const results = [];
  process.on('SIGINT', () => process.exit(130)).on('exit', () => rmSync(dir, { recursive: true, force: true }));
  const starter = built ?? join(dir, 'starter');
  if (!built) execFileSync('go', ['build', '-o', starter, './starter'], { cwd: root, stdio: 'inherit' });
  if (data) mkdirSync(data, { recursive: true });
  await measured(child('empty'));
  const start = await measured(child('empty'));
  if (!gnuTime) say('without GNU time: processor and memory are read from /proc every 10 ms');
  for (const size of sizes) {
    const { files, count } = make(starter, data ?? dir, size);
    for (const [writer, file] of Object.entries(files)) {
      for (const budget of memory ? [undefined, memory] : [undefined]) {
        say(`${count.toLocaleString('en')} rows written by ${writer}${budget ? `, within ${budget}` : ''}`);
        const r = await one({ starter, file, mode, threads: Number(threads), memory: budget, runs: Number(runs), dir });
        results.push({ rows: count, writer, memory: budget, mode, threads: Number(threads), ...r });
      }
    }
    if (!data) for (const file of Object.values(files)) rmSync(file);
  }
  if (args.json) console.log(JSON.stringify({ mode, threads: Number(threads), node_start: { seconds: start.seconds, memory: start.memory }, results }, null, 2));
  else {
    console.log(`${mode}, ${threads} threads, medians of ${runs}; a ratio is Harmstack to DuckDB, median of the pairs (least-most)`);
    console.log(`whole processes; node's start with an empty DuckDB included: ${start.seconds.toFixed(2)} s, ${start.memory.toFixed(0)} MiB`);
    table(results.map(row));
  }
  for (const r of results) for (const d of r.differ) say(`${r.rows} rows written by ${r.writer}: ${d}`);
  // A budget that DuckDB cannot keep is a result; a ranking that differs is a fault.
  if (results.some((r) => r.differ.length || r.failed.harmstack || (r.failed.duckdb && !r.memory))) process.exitCode = 1;
}

if (process.argv[2] === 'child') {
  const result = await deeds[process.argv[3]](JSON.parse(process.argv[4]));
  if (result !== undefined) console.log(JSON.stringify(result));
} else {
  try {
    await main();
  } catch (e) {
    say(e.message);
    process.exit(2);
  }
}
