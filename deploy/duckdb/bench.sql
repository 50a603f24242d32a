-- The contract once more, written for speed: what its best user would give DuckDB. It reads the view
-- `extract` and the reference's tables, as contract.sql does, and leaves the table `dispositions` and, in the folder
-- $out, ranking, stack, contributions, stability and cases as Parquet files. bench.mjs runs it and holds all of them
-- against Harmstack's. What Harmstack does besides is not asked of it: the quarantine and its reasons, the counts of
-- what is left out and who would enter if it counted, links, the titles of offences, the report.
--
-- Lines that end in "-- contract" are left out, all after the ranking too, and those that begin with "--score" are put
-- in, when bench.mjs measures scoring and ranking alone: every sound row as it is, and no distinct victims.
--
-- The plan: words and offences are ruled on by their few hundred combinations, joined by what was written; of rows only
-- those that come again are ordered, and one narrow table keeps what was ruled; sums of suspects come from one grouping,
-- and what only some of them need, as the factors of more than three rows, from groupings of those; one sort writes the
-- ranking. The other models are tried on those alone who can be among the first of one, and the rows of the stack are
-- found by one more look at two columns.
--
-- Tried at ten million rows on two threads, and slower: contract.sql as it stands (more than three times); a table
-- of the judged rows with all columns; the rows ruled again for the dispositions and the victims instead of kept
-- (+3 s); trim on every id (+1 s for each), or behind contains, right or a regular expression; words cleaned row
-- by row instead of joined by what was written (+1 s of processor); the ids of all ruled rows, not of candidates
-- alone (no faster, more memory); repeated ids by their hashes; distinct reports by list_unique; the last status by
-- a window or a join; owners by a sorted list (ten times arg_max); position, rank and ties as window functions
-- over whole rows (11 s against 5 s).

SET preserve_insertion_order = false;

-- Section 3. Most ids begin and end with a visible character of ASCII, and need no trim.
CREATE OR REPLACE MACRO clean(s) AS nullif(trim(s, ' ' || chr(9) || chr(10) || chr(13) || chr(160)), '');
CREATE OR REPLACE MACRO clean_id(s) AS CASE WHEN s > '!' AND s < chr(127) AND NOT ends_with(s, ' ') AND NOT ends_with(s, chr(9))
  AND NOT ends_with(s, chr(10)) AND NOT ends_with(s, chr(13)) AND NOT ends_with(s, chr(160)) THEN s ELSE clean(s) END;

-- Section 4, rule 5. Of ids that begin with a P, as a force's may, only persons unknown are nobody, and none that begins with
-- one of the other characters here: the rest are held against one regular expression of all placeholders.
SET VARIABLE placeholders = (SELECT '0+|9+|[\pP\pS\s]+|' || string_agg(replace(replace(replace(pattern, '/', '\/'), ' ', '[ \t\r\n\x{a0}]+'), '*', '(?s:.*)'), '|') FROM placeholders);
CREATE OR REPLACE MACRO nobody(id) AS CASE
  WHEN id >= 'P' AND id < 'PE' OR id >= 'PF' AND id < 'Pe' OR id >= 'Pf' AND id < 'Q' OR ord(id) BETWEEN 49 AND 56 THEN false
  ELSE regexp_full_match(lower(id), getvariable('placeholders')) END;
CREATE OR REPLACE MACRO age_or_null(a) AS CASE WHEN a BETWEEN 0 AND 130 THEN a END;
CREATE OR REPLACE MACRO in_time(t) AS t >= -2208988800000000 AND t < 7289654400000000; -- 1900 to 2200
CREATE OR REPLACE MACRO home_office(c) AS CASE
  WHEN regexp_full_match(c, '[0-9]{1,3}/[0-9]{1,2}') THEN lpad(split_part(c, '/', 1), 3, '0') || '/' || lpad(split_part(c, '/', 2), 2, '0')
  WHEN regexp_full_match(c, '[0-9]{5}') THEN c[1:3] || '/' || c[4:5] END;

-- Section 2. The summers of London that a window can touch, looked up once.
CREATE OR REPLACE MACRO last_sunday(y, m) AS make_date(y, m, 31) - CAST(dayofweek(make_date(y, m, 31)) AS INTEGER);
SET VARIABLE summers = (SELECT list({'from': epoch_us(last_sunday(y, 3) + INTERVAL 1 HOUR), 'to': epoch_us(last_sunday(y, 10) + INTERVAL 1 HOUR)} ORDER BY y)
  FROM (SELECT year(CAST(getvariable('as_of') AS DATE)) + unnest([-1, 0, 1]) AS y));
SET VARIABLE today = (SELECT CAST(getvariable('as_of') AS DATE) - DATE '1970-01-01');
CREATE OR REPLACE MACRO summer(t, i) AS t >= getvariable('summers')[i]['from'] AND t < getvariable('summers')[i]['to'];
CREATE OR REPLACE MACRO age_of(t) AS getvariable('today') - (t + CASE WHEN summer(t, 1) OR summer(t, 2) OR summer(t, 3) THEN 3600000000 ELSE 0 END) // 86400000000;

-- Every borough as the extract writes it, its name and the name's place in the alphabet.
CREATE OR REPLACE TABLE places AS
SELECT raw, name, bcu, known, CAST(dense_rank() OVER (ORDER BY name) AS INTEGER) AS place FROM (
  SELECT raw, coalesce(b.borough, clean(raw)) AS name, b.bcu, b.borough IS NOT NULL AS known
  FROM (SELECT DISTINCT borough AS raw FROM extract) LEFT JOIN (SELECT borough AS written, borough, bcu FROM boroughs UNION ALL SELECT alias, borough, bcu FROM aliases JOIN boroughs USING (borough)) b
    ON lower(clean(raw)) = lower(b.written)) WHERE name IS NOT NULL;
CREATE OR REPLACE TABLE names AS SELECT DISTINCT place, name, bcu, known FROM places;

-- Section 5: what becomes of every combination that the extract writes, as rules 9 to 12 number it, and what it weighs; by halves, of rows that
-- are no domestic abuse and of those that are. Those without a code are left out.
CREATE OR REPLACE TABLE offences AS
SELECT c.urn, c.home_office_code AS code, c.offence_class AS class, CAST(round(CAST(c.days AS DECIMAL(10,1)) * 10) AS INTEGER) AS tenths,
  coalesce(v.vawg, 'no') AS vawg, coalesce(v.victim_sex_in_code = 'female', false) AS female, false AS supplement
FROM cchi c LEFT JOIN vawg v USING (urn)
UNION ALL
SELECT NULL, home_office_code, NULL, CAST(round(CAST(nullif(days, '') AS DECIMAL(10,1)) * 10) AS INTEGER), vawg, false, true FROM supplement;
CREATE OR REPLACE TABLE combinations AS
WITH raw AS (SELECT DISTINCT offence_code AS raw_code, offence_class AS raw_class, offence_urn AS raw_urn, victim_sex AS raw_sex FROM extract),
k AS (SELECT *, home_office(clean(raw_code)) AS code, clean(raw_class) AS class, clean(raw_urn) AS urn, CASE WHEN clean(raw_sex) IN ('F', 'M', 'X', 'U') THEN clean(raw_sex) END AS sex FROM raw WHERE code IS NOT NULL),
way AS (SELECT *, class AS as_class, coalesce(sex = 'F', false) AS woman, coalesce(sex = 'U', true) AS perhaps, CASE WHEN urn IN (SELECT urn FROM offences WHERE urn IS NOT NULL) THEN 'urn'
    WHEN (code, class) IN (SELECT (code, class) FROM offences WHERE class IS NOT NULL) THEN 'pair' ELSE 'code' END AS how FROM k),
ways AS (FROM way UNION ALL SELECT w.* REPLACE (r.as_class AS as_class, 'as_class' AS how) FROM way w JOIN resolutions r ON w.how = 'code' AND r.home_office_code = w.code AND r.given_class = 'missing'),
may AS (SELECT w.*, d.domestic, o.tenths, o.supplement, o.code AS table_code, o.vawg = 'yes' AND (w.woman OR o.female) OR o.vawg = 'if_domestic' AND d.domestic AND w.woman AS counts, o.vawg = 'yes' OR o.vawg = 'if_domestic' AND d.domestic AS would
  FROM ways w CROSS JOIN (VALUES (false), (true)) d(domestic) LEFT JOIN offences o
  ON CASE how WHEN 'urn' THEN o.urn = w.urn WHEN 'code' THEN o.code = w.code ELSE o.code = w.code AND o.class = w.as_class END),
summed AS (SELECT raw_code, raw_class, raw_urn, raw_sex, domestic, how, as_class, code, class, urn, sex, perhaps, bool_or(supplement) AS supplement, min(table_code) AS table_code, count(*) AS n, count(tenths) AS weighed, min(tenths) AS least, max(tenths) AS most,
    count(*) FILTER (counts) AS vawg, count(*) FILTER (would) AS vawg_of_a_woman FROM may GROUP BY ALL),
told AS (SELECT s.*, CASE WHEN least < most AND how IN ('pair', 'as_class') THEN 'lowest' WHEN supplement THEN 'supplement' ELSE how END AS weight_rule, coalesce(how = 'urn' AND table_code <> code, false) AS contradicts,
  CASE WHEN perhaps AND vawg_of_a_woman > vawg THEN 11 WHEN vawg = 0 THEN 10 WHEN vawg < n OR weighed < n OR least < most AND (r.rule IS NULL OR how NOT IN ('pair', 'as_class')) THEN 12 END AS why
  FROM summed s LEFT JOIN resolutions r ON r.home_office_code = s.code AND r.offence_class = s.as_class AND r.rule = 'lowest'),
one AS (FROM told QUALIFY row_number() OVER (PARTITION BY raw_code, raw_class, raw_urn, raw_sex, domestic ORDER BY CASE WHEN how = 'code' AND (why IS NULL OR why = 10) THEN 1 WHEN how = 'as_class' THEN 2 ELSE 3 END) = 1)
SELECT raw_code, raw_class, raw_urn, raw_sex, code, class, urn, sex, any_value(why) FILTER (NOT domestic) AS why, any_value(least) FILTER (NOT domestic AND why IS NULL) AS tenths,
  any_value(why) FILTER (domestic) AS domestic_why, any_value(least) FILTER (domestic AND why IS NULL) AS domestic_tenths,
  any_value(weight_rule) FILTER (why IS NULL) AS weight_rule, bool_or(contradicts) AS contradicts
FROM one GROUP BY ALL;

-- Section 4, rule 1: the words of the extract as they read, those that must be sound if they are, and the rows of a table that are.
CREATE TYPE status AS ENUM ('at_large', 'deceased', 'in_custody', 'on_bail', 'unknown'); -- by the alphabet: rule 2 compares them
CREATE OR REPLACE TABLE statuses AS SELECT raw, TRY_CAST(clean(raw) AS status) AS status FROM (SELECT DISTINCT suspect_status AS raw FROM extract);
CREATE OR REPLACE MACRO handling_of(s) AS CASE WHEN s IS NOT NULL AND clean(s) IS NOT NULL THEN CASE WHEN clean(s) = 'normal' THEN 1 ELSE 2 END END;
CREATE OR REPLACE TABLE sources AS SELECT raw, clean(raw) AS source, CASE clean(raw) WHEN 'intelligence' THEN 6 WHEN 'police_detected' THEN 7 END AS reason FROM (SELECT DISTINCT source AS raw FROM extract)
  WHERE clean(raw) IN ('victim', 'witness', 'third_party', 'police_detected', 'intelligence');
CREATE OR REPLACE TABLE outcomes AS SELECT raw, clean(raw) AS outcome, CASE WHEN clean(raw) IN ('no_crime', 'acquitted') THEN 8 WHEN clean(raw) = 'transferred' THEN 9 END AS ended,
    clean(raw) = 'victim_does_not_support' AS withdrawn FROM (SELECT DISTINCT outcome AS raw FROM extract)
  WHERE clean(raw) IN ('open', 'charged', 'convicted', 'victim_does_not_support', 'no_further_action', 'acquitted', 'no_crime', 'transferred');
CREATE OR REPLACE MACRO sound(rows) AS TABLE
SELECT clean_id(allegation_id) AS allegation_id, clean_id(report_id) AS report_id, clean_id(suspect_id) AS suspect_id,
  age_or_null(suspect_age) AS suspect_age, t.status AS suspect_status, c.code AS offence_code, c.class AS offence_class, c.urn AS offence_urn,
  epoch_us(reported_at) AS reported_at, CASE WHEN in_time(epoch_us(committed_at)) THEN epoch_us(committed_at) END AS committed_at, p.place,
  CASE WHEN NOT nobody(clean_id(victim_id)) THEN clean_id(victim_id) END AS victim_id, c.sex AS victim_sex, age_or_null(victim_age) AS victim_age,
  domestic_abuse, s.source, o.outcome, epoch_us(updated_at) AS updated_at, handling_of(handling) AS handling,
  CASE WHEN domestic_abuse THEN c.domestic_why ELSE c.why END AS why, CASE WHEN domestic_abuse THEN c.domestic_tenths ELSE c.tenths END AS tenths, s.reason, o.ended, o.withdrawn, row, c.weight_rule, c.contradicts
FROM query_table(rows) e LEFT JOIN places p ON p.raw = e.borough
JOIN sources s ON s.raw = e.source JOIN outcomes o ON o.raw = e.outcome JOIN statuses t ON t.raw IS NOT DISTINCT FROM e.suspect_status
JOIN combinations c ON c.raw_code = e.offence_code AND c.raw_class IS NOT DISTINCT FROM e.offence_class
  AND c.raw_urn IS NOT DISTINCT FROM e.offence_urn AND c.raw_sex IS NOT DISTINCT FROM e.victim_sex
WHERE clean_id(allegation_id) IS NOT NULL AND clean_id(report_id) IS NOT NULL AND in_time(epoch_us(reported_at)) AND in_time(epoch_us(updated_at));

-- Rule 2: only what comes again is read again, as it stands, and ordered.
CREATE OR REPLACE TABLE repeated AS SELECT clean_id(allegation_id) AS allegation_id FROM extract GROUP BY 1 HAVING count(*) > 1; -- contract
CREATE OR REPLACE TABLE again AS SELECT * FROM extract WHERE clean_id(allegation_id) IN (FROM repeated); -- contract
CREATE OR REPLACE TABLE versions AS -- contract
SELECT *, max(updated_at) OVER (PARTITION BY allegation_id) AS latest, row_number() OVER (PARTITION BY allegation_id ORDER BY -- contract
  updated_at DESC, report_id DESC, suspect_id DESC NULLS LAST, suspect_age DESC NULLS LAST, suspect_status DESC NULLS LAST, offence_code DESC, -- contract
  offence_class DESC NULLS LAST, offence_urn DESC NULLS LAST, reported_at DESC, committed_at DESC NULLS LAST, place DESC NULLS LAST, -- contract
  victim_id DESC NULLS LAST, victim_sex DESC NULLS LAST, victim_age DESC NULLS LAST, domestic_abuse DESC NULLS LAST, source DESC, outcome DESC, handling DESC NULLS LAST, row) AS version -- contract
FROM sound('again'); -- contract
CREATE OR REPLACE VIEW single AS
SELECT * FROM sound('extract') WHERE allegation_id NOT IN (FROM repeated) UNION ALL SELECT * EXCLUDE (latest, version) FROM versions WHERE version = 1; -- contract
--score FROM sound('extract');

-- Rules 3 to 12.
CREATE OR REPLACE MACRO ruled(rows) AS TABLE
SELECT *, reported_at - committed_at > 31536000000000 AS non_recent, CASE
    WHEN age < 0 THEN 3
    WHEN age > 364 THEN 4
    WHEN person IS NULL THEN 5
    WHEN reason IS NOT NULL THEN reason
    WHEN ended IS NOT NULL THEN ended
    WHEN why IS NOT NULL THEN why
    WHEN suspect_age < 18 THEN 13
    ELSE 15 END AS rule
FROM (SELECT *, age_of(reported_at) AS age, CASE WHEN NOT nobody(suspect_id) THEN suspect_id END AS person FROM query_table(rows));
CREATE OR REPLACE TABLE settled AS
SELECT CAST(rule AS UTINYINT) AS rule, victim_id, CASE WHEN rule = 15 OR suspect_age IS NOT NULL OR suspect_status = 'deceased' OR handling = 2 THEN person END AS suspect_id, CAST(suspect_age AS UTINYINT) AS suspect_age, CASE WHEN rule = 15 THEN allegation_id END AS allegation_id,
  CASE WHEN rule = 15 THEN report_id END AS report_id, suspect_status, reported_at, updated_at, domestic_abuse, withdrawn, place, tenths, non_recent, handling = 2 AS restricted, CAST(age AS INTEGER) AS age,
  CASE WHEN suspect_age IS NOT NULL THEN CAST(year(make_timestamp(reported_at)) - suspect_age AS SMALLINT) END AS born -- the year turns in London when it does in UTC
FROM ruled('single');
-- Rules 12, of a row without an age, and 13: by every row of the suspect that stays. Nobody older is under age in the window, but
-- by a report of after it.
CREATE OR REPLACE MACRO years_on(day, years) AS CASE WHEN month(day) = 2 AND day(day) = 29
  THEN CAST(make_date(year(day) + years, 2, 28) + INTERVAL 1 DAY AS DATE) ELSE CAST(day + to_years(years) AS DATE) END;
CREATE OR REPLACE MACRO london_date(t) AS CAST(t + CASE WHEN t >= last_sunday(year(t), 3) + INTERVAL 1 HOUR AND t < last_sunday(year(t), 10) + INTERVAL 1 HOUR
  THEN INTERVAL 1 HOUR ELSE INTERVAL 0 HOUR END AS DATE);
CREATE OR REPLACE TABLE people AS
SELECT suspect_id, coalesce(bool_or(suspect_status = 'deceased'), false) AS deceased, max(years_on(london_date(make_timestamp(reported_at)), 18 - CAST(suspect_age AS INTEGER))) AS adult
FROM settled WHERE suspect_id IS NOT NULL AND (suspect_status = 'deceased' OR suspect_age < 20) GROUP BY suspect_id;
UPDATE settled SET rule = 13 FROM people p WHERE settled.suspect_id = p.suspect_id AND settled.rule = 15 AND settled.suspect_age IS NULL
  AND CAST(getvariable('as_of') AS DATE) - settled.age < p.adult;
CREATE OR REPLACE MACRO recency(age, half_life) AS CASE WHEN half_life = 0 THEN 1000000 ELSE CAST(round(1000000 * pow(2, -age / CAST(half_life AS DOUBLE))) AS BIGINT) END;
CREATE OR REPLACE VIEW candidates AS SELECT *, tenths * recency(age, 180) AS base FROM settled WHERE rule = 15;

-- Section 6, in whole numbers: of up to three rows what the further ones add follows from the sum, the largest and the least.
CREATE OR REPLACE TABLE totals AS
SELECT suspect_id, CAST(sum(base) + CASE count(*) WHEN 1 THEN 0 WHEN 2 THEN sum(base) - max(base) ELSE sum(base) - max(base) + min(base) END // 10 AS BIGINT) AS score, count(*) AS allegations,
  CAST(sum(tenths) AS BIGINT) AS sum_tenths, max(tenths) AS max_tenths, min(reported_at) AS first_reported, max(reported_at) AS last_reported,
  count(victim_id) AS victims, -- contract
  min(place) AS place, max(place) AS last_place, count(*) FILTER (domestic_abuse) AS domestic_abuse, count(*) FILTER (non_recent) AS non_recent, count(*) FILTER (withdrawn) AS withdrawn,
  max(born) AS born_last, min(born) AS born_first, bool_or(restricted) AS restricted, any_value(suspect_status) AS suspect_status, suspect_id IN (SELECT suspect_id FROM people WHERE deceased) AS deceased
FROM candidates GROUP BY suspect_id;
-- Of more rows: the k-th of the first ten counts k - 1 tenths more, every later one ten.
CREATE OR REPLACE TABLE further AS
SELECT suspect_id, CAST(sum(base) AS BIGINT) AS base, 10 * CAST(sum(base) AS BIGINT) - CAST(list_dot_product(CAST(max(base, 10) AS DOUBLE[]), CAST([10, 9, 8, 7, 6, 5, 4, 3, 2, 1][1:least(count(*), 10)] AS DOUBLE[])) AS BIGINT) AS tenths
FROM candidates WHERE suspect_id IN (SELECT suspect_id FROM totals WHERE allegations > 3 AND NOT deceased) GROUP BY suspect_id;
UPDATE totals SET score = f.base + f.tenths // 10 FROM further f WHERE totals.suspect_id = f.suspect_id;
-- What the other rows of those suspects say of them.
CREATE OR REPLACE TABLE beside AS
SELECT suspect_id, max(born) AS born_last, min(born) AS born_first, bool_or(restricted) AS restricted FROM settled
WHERE rule < 15 AND suspect_id IN (SELECT suspect_id FROM totals) GROUP BY suspect_id;
CREATE OR REPLACE MACRO name_of(rule) AS ['after_as_of', 'outside_window', 'no_named_suspect', 'intelligence_only', 'police_detected', 'cleared', 'transferred', 'not_vawg', 'victim_sex_unknown', 'unscored_offence',
  'suspect_under_18', 'suspect_deceased', 'scored'][rule - 2];
CREATE OR REPLACE TABLE dispositions AS
WITH r AS (SELECT rule, count(*) AS n FROM settled GROUP BY rule),
v AS (SELECT count(*) FILTER (updated_at < latest) AS superseded, count(*) FILTER (updated_at = latest AND version > 1) AS duplicate FROM versions) -- contract
--score v AS (SELECT 0 AS superseded, 0 AS duplicate)
SELECT 'quarantined' AS disposition, (SELECT count(*) FROM extract) - (SELECT sum(n) FROM r) - superseded - duplicate AS n FROM v
UNION ALL SELECT 'superseded', superseded FROM v
UNION ALL SELECT 'duplicate', duplicate FROM v
UNION ALL SELECT name_of(rule), n
  FROM r WHERE rule < 15
UNION ALL SELECT CASE WHEN deceased THEN 'suspect_deceased' ELSE 'scored' END, sum(allegations) FROM totals GROUP BY deceased;

-- What a suspect of one row does not need: distinct reports and victims, the last status, and of several boroughs the owner.
CREATE OR REPLACE TABLE several AS
SELECT suspect_id, count(DISTINCT report_id) AS reports,
  count(DISTINCT victim_id) AS victims, -- contract
  nullif(arg_max(coalesce(CAST(suspect_status AS VARCHAR), ''), (updated_at, allegation_id)), '') AS suspect_status
FROM candidates WHERE suspect_id IN (SELECT suspect_id FROM totals WHERE allegations > 1 AND NOT deceased) GROUP BY suspect_id;
CREATE OR REPLACE TABLE owners AS
SELECT suspect_id, arg_max(place, (base, latest, -place)) FILTER (known) AS owner, list_sort(list(name)) AS boroughs
FROM (SELECT suspect_id, place, sum(base) AS base, max(reported_at) AS latest FROM candidates
  WHERE place IS NOT NULL AND suspect_id IN (SELECT suspect_id FROM totals WHERE place <> last_place AND NOT deceased) GROUP BY suspect_id, place) JOIN names USING (place)
GROUP BY suspect_id;
CREATE OR REPLACE TABLE also AS SELECT DISTINCT victim_id FROM settled WHERE rule > 4 AND victim_id IN (SELECT suspect_id FROM totals);

-- Ranks by distinct values, and one sort of the rows, which the file keeps.
CREATE OR REPLACE TABLE scores AS
SELECT score, n AS tie_size, CAST(sum(n) OVER (ORDER BY score DESC) - n + 1 AS BIGINT) AS rank FROM (SELECT score, count(*) AS n FROM totals WHERE NOT deceased GROUP BY score);
CREATE OR REPLACE TABLE sums AS
SELECT sum_tenths, CAST(sum(n) OVER (ORDER BY sum_tenths DESC) - n + 1 AS BIGINT) AS sum_rank FROM (SELECT sum_tenths, count(*) AS n FROM totals WHERE NOT deceased GROUP BY sum_tenths);
SET preserve_insertion_order = true;
COPY (
SELECT row_number() OVER () AS position, rank, tie_size, suspect_id, score,
  score / 10000000.0::DOUBLE AS score_days, sum_tenths / 10.0::DOUBLE AS sum_days, max_tenths / 10.0::DOUBLE AS max_days, sum_rank, allegations, reports,
  all_victims AS victims, -- contract
  make_timestamp(first_reported) AS first_reported, make_timestamp(last_reported) AS last_reported, CASE WHEN known THEN name END AS owner_borough, bcu AS owner_bcu,
  CASE WHEN boroughs IS NOT NULL THEN boroughs WHEN name IS NULL THEN [] ELSE [name] END AS boroughs, domestic_abuse, non_recent, also_victim, suspect_status,
  CASE suspect_status WHEN 'in_custody' THEN 'contained' WHEN 'on_bail' THEN 'bailed' ELSE 'free' END AS lane, ages_disagree, restricted, withdrawn
FROM (SELECT t.* EXCLUDE (suspect_status, restricted), coalesce(greatest(t.born_last, p.born_last) - least(t.born_first, p.born_first) > 2, false) AS ages_disagree,
    coalesce(t.restricted, false) OR coalesce(p.restricted, false) AS restricted, coalesce(d.reports, 1) AS reports,
    coalesce(d.victims, t.victims) AS all_victims, -- contract
    CASE WHEN allegations = 1 THEN CAST(t.suspect_status AS VARCHAR) ELSE d.suspect_status END AS suspect_status, o.boroughs, n.name, n.bcu, n.known, a.victim_id IS NOT NULL AS also_victim, s.rank, s.tie_size, u.sum_rank
  FROM totals t LEFT JOIN several d ON d.suspect_id = t.suspect_id LEFT JOIN owners o ON o.suspect_id = t.suspect_id LEFT JOIN also a ON a.victim_id = t.suspect_id LEFT JOIN beside p ON p.suspect_id = t.suspect_id
    LEFT JOIN names n ON n.place = coalesce(o.owner, t.place) JOIN scores s ON s.score = t.score JOIN sums u ON u.sum_tenths = t.sum_tenths
  WHERE NOT deceased
  ORDER BY score DESC,
    all_victims DESC, -- contract
    allegations DESC, last_reported DESC, t.suspect_id)
) TO '$out/ranking.parquet' (FORMAT parquet);

-- After the ranking. The stack, and what is said of its people.
CREATE OR REPLACE TABLE stack AS FROM '$out/ranking.parquet' WHERE position <=
  (SELECT max(position) FROM (SELECT position FROM '$out/ranking.parquet' WHERE lane <> 'contained' ORDER BY position LIMIT getvariable('depth')));
COPY (FROM stack ORDER BY position) TO '$out/stack.parquet' (FORMAT parquet);

-- Stability: who is among the first of those with the most harm in all has, under each model, a score that whoever else is
-- among the first of it must reach, and nobody's is more than twice their harm.
CREATE OR REPLACE MACRO standing_of(people) AS TABLE
WITH parts AS (SELECT m.name, m.step, m.cap, m.per_report, c.suspect_id, c.allegation_id, c.report_id, c.victim_id, c.tenths, c.tenths * recency(c.age, m.half_life) AS base
  FROM candidates c CROSS JOIN others m WHERE c.suspect_id IN (FROM query_table(people)) AND NOT (m.non_recent = 'aside' AND coalesce(c.non_recent, false))),
gravest AS (FROM parts WHERE per_report = 'all' OR victim_id IS NULL
  UNION ALL (FROM parts WHERE per_report = 'gravest' AND victim_id IS NOT NULL
    QUALIFY row_number() OVER (PARTITION BY name, suspect_id, report_id, victim_id ORDER BY tenths DESC, base DESC, allegation_id) = 1)),
ordered AS (SELECT *, row_number() OVER (PARTITION BY name, suspect_id ORDER BY base DESC) - 1 AS k FROM gravest)
SELECT name, suspect_id, sum(CAST(base AS HUGEINT) * (1000000 + step * least(k, cap))) // 1000000 AS score FROM ordered GROUP BY ALL;
CREATE OR REPLACE TABLE most AS SELECT suspect_id FROM totals WHERE NOT deceased ORDER BY sum_tenths DESC LIMIT 2 * getvariable('depth');
SET VARIABLE least_harm = (SELECT min(score) FROM (SELECT score FROM standing_of('most') QUALIFY row_number() OVER (PARTITION BY name ORDER BY score DESC) = getvariable('depth')));
CREATE OR REPLACE TABLE contenders AS SELECT suspect_id FROM totals WHERE NOT deceased AND sum_tenths * 2000000 >= coalesce(getvariable('least_harm'), 0);
COPY (
WITH places AS (SELECT s.name, suspect_id, position, row_number() OVER (PARTITION BY s.name ORDER BY s.score DESC, victims DESC, allegations DESC, last_reported DESC, suspect_id) AS place
  FROM standing_of('contenders') s JOIN (SELECT suspect_id, position, victims, allegations, last_reported FROM '$out/ranking.parquet' WHERE suspect_id IN (FROM contenders)) USING (suspect_id))
PIVOT (SELECT *, count(*) OVER (PARTITION BY suspect_id) AS models FROM places WHERE place <= getvariable('depth')) ON name USING any_value(place) GROUP BY suspect_id, position, models ORDER BY position
) TO '$out/stability.parquet' (FORMAT parquet);

-- Every row that names somebody of the stack, and what became of it.
CREATE OR REPLACE TABLE found AS SELECT * FROM extract WHERE clean_id(suspect_id) IN (SELECT suspect_id FROM stack) OR clean_id(victim_id) IN (SELECT suspect_id FROM stack);
CREATE OR REPLACE VIEW sound_found AS FROM sound('found');
CREATE OR REPLACE TABLE later AS
SELECT allegation_id FROM versions v JOIN (SELECT clean_id(allegation_id) AS allegation_id, max(epoch_us(updated_at)) AS updated FROM again
  WHERE row NOT IN (SELECT row FROM versions) AND in_time(epoch_us(updated_at)) GROUP BY 1) q USING (allegation_id) WHERE v.version = 1 AND q.updated > v.updated_at;
CREATE OR REPLACE TABLE fates AS
SELECT r.*, CASE WHEN v.version > 1 AND v.updated_at < v.latest THEN 'superseded' WHEN v.version > 1 THEN 'duplicate'
    ELSE name_of(CASE WHEN rule = 15 AND r.suspect_age IS NULL AND CAST(getvariable('as_of') AS DATE) - CAST(age AS INTEGER) < p.adult THEN 13 WHEN rule = 15 AND p.deceased THEN 14 ELSE rule END) END AS disposition,
  v.version = 1 AND r.allegation_id IN (FROM later) AS older_version_stands
FROM ruled('sound_found') r LEFT JOIN versions v ON v.row = r.row LEFT JOIN people p ON p.suspect_id = r.person;
CREATE OR REPLACE TABLE contributions AS
WITH k AS (SELECT suspect_id, allegation_id, base, recency(age, getvariable('half_life')) AS recency,
    1000000 + getvariable('step') * least(row_number() OVER (PARTITION BY suspect_id ORDER BY base DESC, allegation_id) - 1, getvariable('cap')) AS factor
  FROM candidates WHERE suspect_id IN (SELECT person FROM fates WHERE disposition = 'scored')),
shares AS (SELECT *, CAST(base * factor AS DOUBLE) / sum(CAST(base * factor AS DOUBLE)) OVER (PARTITION BY suspect_id) AS share FROM k)
SELECT s.position, f.suspect_id, allegation_id, f.report_id, f.victim_id, make_timestamp(f.reported_at) AS reported_at, make_timestamp(f.committed_at) AS committed_at, n.name AS borough, f.offence_code, f.offence_class, f.offence_urn,
  f.weight_rule, f.tenths / 10.0::DOUBLE AS harm_days, CAST(f.age AS BIGINT) AS age, recency AS recency_ppm, base, factor AS frequency_ppm, share, f.domestic_abuse, f.source, f.outcome,
  strftime(CAST(getvariable('as_of') AS DATE) - CAST(f.age AS INTEGER) + 365, '%Y-%m-%d') AS leaves_on, coalesce(f.older_version_stands, false) AS older_version_stands, f.contradicts AS urn_contradicts_code, f.row
FROM shares JOIN fates f USING (allegation_id) LEFT JOIN names n USING (place) LEFT JOIN stack s ON s.suspect_id = f.person
WHERE f.disposition = 'scored';
COPY (SELECT * EXCLUDE (row) FROM contributions WHERE position IS NOT NULL ORDER BY position, base DESC, allegation_id) TO '$out/contributions.parquet' (FORMAT parquet);
COPY (
WITH who AS (SELECT clean_id(suspect_id) AS person_id, CASE WHEN NOT nobody(clean_id(victim_id)) THEN clean_id(victim_id) END AS other_id, 'suspect' AS role, * FROM found
  UNION ALL SELECT clean_id(victim_id), CASE WHEN NOT nobody(clean_id(suspect_id)) THEN clean_id(suspect_id) END, 'victim', * FROM found)
SELECT s.position, w.*, coalesce(f.disposition, 'quarantined') AS disposition, coalesce(f.older_version_stands, false) AS older_version_stands, c.weight_rule, c.harm_days, c.recency_ppm, c.frequency_ppm, c.base, c.share
FROM who w JOIN stack s ON s.suspect_id = w.person_id LEFT JOIN fates f USING (row) LEFT JOIN contributions c USING (row)
ORDER BY position, role, reported_at NULLS FIRST, allegation_id NULLS FIRST, row
) TO '$out/cases.parquet' (FORMAT parquet);
