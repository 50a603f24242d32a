-- The contract once more, in SQL: an independent reading to hold the Go code against. Written for DuckDB.
-- Input: the view `extract` (the contract's columns; those that the file lacks as nulls), the tables `cchi`, `vawg`, `supplement`,
-- `resolutions`, `boroughs`, `aliases` and `placeholders` as published, `links` (person_id, same_as), `others` (the models of
-- stability.yaml), and the variables as_of, half_life, step, cap, apply, depth and custody (the night's model). With the variable
-- counting, the rows that are left out for that reason count.
-- Output: the tables `dispositions`, `facts`, `left_out`, `linked`, `ranking`, `stack`, `contributions`, `cases` and `standings`.
-- Limit: DuckDB refuses a text column that is not UTF-8, so such rows are not tried here.

-- Section 3: white space is space, tab, CR, LF and the non-breaking space; a blank is null.
CREATE OR REPLACE MACRO clean(s) AS nullif(trim(s, ' ' || chr(9) || chr(10) || chr(13) || chr(160)), '');
CREATE OR REPLACE MACRO valid_time(t) AS t >= epoch_us(TIMESTAMP '1900-01-01') AND t < epoch_us(TIMESTAMP '2201-01-01');
CREATE OR REPLACE MACRO home_office(c) AS CASE
  WHEN regexp_full_match(c, '[0-9]{1,3}/[0-9]{1,2}') THEN lpad(split_part(c, '/', 1), 3, '0') || '/' || lpad(split_part(c, '/', 2), 2, '0')
  WHEN regexp_full_match(c, '[0-9]{5}') THEN c[1:3] || '/' || c[4:5] END;

-- Section 2: the date in London. Summer time runs from the last Sunday of March to that of October, 01:00 UTC.
CREATE OR REPLACE MACRO last_sunday(y, m) AS make_date(y, m, 31) - CAST(dayofweek(make_date(y, m, 31)) AS INTEGER);
CREATE OR REPLACE MACRO london_date(t) AS CAST(t + CASE
  WHEN t >= last_sunday(year(t), 3) + INTERVAL 1 HOUR AND t < last_sunday(year(t), 10) + INTERVAL 1 HOUR
  THEN INTERVAL 1 HOUR ELSE INTERVAL 0 HOUR END AS DATE);

-- Section 3, person links: before anything else an id is replaced by the end of its chain. A link of an id to itself says nothing, the same
-- once more neither; that no chain goes round and none forks the night has made sure of.
CREATE OR REPLACE TABLE linked AS SELECT DISTINCT clean(person_id) AS person_id, clean(same_as) AS same_as FROM links WHERE clean(person_id) <> clean(same_as);
CREATE OR REPLACE TABLE ends AS
WITH RECURSIVE chains AS (FROM linked UNION ALL SELECT c.person_id, l.same_as FROM chains c JOIN linked l ON l.person_id = c.same_as)
SELECT person_id AS id, same_as AS person FROM chains WHERE same_as NOT IN (SELECT person_id FROM linked);

CREATE OR REPLACE TABLE cleaned AS
SELECT clean(allegation_id) AS allegation_id, clean(report_id) AS report_id, coalesce(s.person, clean(suspect_id)) AS suspect_id, suspect_age,
  clean(suspect_status) AS suspect_status, home_office(clean(offence_code)) AS offence_code, clean(offence_class) AS offence_class,
  clean(offence_urn) AS offence_urn, epoch_us(reported_at) AS reported_at, epoch_us(committed_at) AS committed_at,
  coalesce(b.name, clean(e.borough)) AS borough, coalesce(v.person, clean(victim_id)) AS victim_id, clean(victim_sex) AS victim_sex, victim_age,
  domestic_abuse, clean(source) AS source, clean(outcome) AS outcome, epoch_us(updated_at) AS updated_at, clean(handling) AS handling,
  s.id IS NOT NULL OR v.id IS NOT NULL AS replaced, e.row
FROM extract e LEFT JOIN (SELECT borough AS written, borough AS name FROM boroughs UNION ALL SELECT alias, borough FROM aliases) b
  ON lower(clean(e.borough)) = lower(b.written) LEFT JOIN ends s ON s.id = clean(e.suspect_id) LEFT JOIN ends v ON v.id = clean(e.victim_id);

-- Section 4, rule 5: the ids that name nobody, of suspects and of victims.
CREATE OR REPLACE TABLE nobodies AS
WITH ids AS (SELECT suspect_id AS id FROM cleaned UNION SELECT victim_id FROM cleaned),
folded AS (SELECT id, regexp_replace(lower(id), '[ \t\r\n\x{a0}]+', ' ', 'g') AS words FROM ids WHERE id IS NOT NULL)
SELECT id FROM folded WHERE regexp_full_match(id, '0+|9+|[\pP\pS\s]+')
  OR EXISTS (FROM placeholders WHERE CASE WHEN ends_with(pattern, '*') THEN starts_with(words, pattern[:-2]) ELSE words = pattern END);

-- Section 3: what a nullable column cannot hold is null; only handling reads as restricted. Section 4, rule 1.
CREATE OR REPLACE TABLE cannot AS
SELECT suspect_age NOT BETWEEN 0 AND 130 AS suspect_age, victim_age NOT BETWEEN 0 AND 130 AS victim_age, NOT valid_time(committed_at) AS committed_at,
  suspect_status NOT IN ('at_large', 'on_bail', 'in_custody', 'deceased', 'unknown') AS suspect_status, victim_sex NOT IN ('F', 'M', 'X', 'U') AS victim_sex,
  handling NOT IN ('normal', 'restricted') AS handling
FROM cleaned;
CREATE OR REPLACE TABLE judged AS
SELECT * REPLACE (
  CASE WHEN suspect_age BETWEEN 0 AND 130 THEN suspect_age END AS suspect_age, CASE WHEN victim_age BETWEEN 0 AND 130 THEN victim_age END AS victim_age,
  CASE WHEN valid_time(committed_at) THEN committed_at END AS committed_at,
  CASE WHEN suspect_status IN ('at_large', 'on_bail', 'in_custody', 'deceased', 'unknown') THEN suspect_status END AS suspect_status,
  CASE WHEN victim_sex IN ('F', 'M', 'X', 'U') THEN victim_sex END AS victim_sex,
  CASE WHEN victim_id NOT IN (FROM nobodies) THEN victim_id END AS victim_id,
  CASE WHEN handling = 'normal' THEN 'normal' WHEN handling IS NOT NULL THEN 'restricted' END AS handling),
  coalesce(suspect_id IN (FROM nobodies), false) AS suspect_nobody, coalesce(victim_id IN (FROM nobodies), false) AS victim_nobody,
  allegation_id IS NULL OR report_id IS NULL OR offence_code IS NULL OR NOT coalesce(valid_time(reported_at), false) OR NOT coalesce(valid_time(updated_at), false)
    OR NOT coalesce(source IN ('victim', 'witness', 'third_party', 'police_detected', 'intelligence'), false)
    OR NOT coalesce(outcome IN ('open', 'charged', 'convicted', 'victim_does_not_support', 'no_further_action', 'acquitted', 'no_crime', 'transferred'), false) AS quarantined
FROM cleaned;

-- Rule 2: the latest version stays; of several as late, the greatest by its values, null lowest. A later one that is quarantined is noted.
CREATE OR REPLACE TABLE versions AS
SELECT *, max(updated_at) OVER (PARTITION BY allegation_id) AS latest, row_number() OVER (PARTITION BY allegation_id ORDER BY
  updated_at DESC, report_id DESC, suspect_id DESC NULLS LAST, suspect_age DESC NULLS LAST, suspect_status DESC NULLS LAST, offence_code DESC,
  offence_class DESC NULLS LAST, offence_urn DESC NULLS LAST, reported_at DESC, committed_at DESC NULLS LAST, borough DESC NULLS LAST,
  victim_id DESC NULLS LAST, victim_sex DESC NULLS LAST, victim_age DESC NULLS LAST, domestic_abuse DESC NULLS LAST, source DESC, outcome DESC,
  handling DESC NULLS LAST, row) AS place
FROM judged WHERE NOT quarantined;
CREATE OR REPLACE TABLE later AS
SELECT v.allegation_id FROM versions v JOIN judged q ON q.quarantined AND q.allegation_id = v.allegation_id AND valid_time(q.updated_at)
WHERE v.place = 1 GROUP BY v.allegation_id, v.updated_at HAVING max(q.updated_at) > v.updated_at;

-- Section 5: every row of the index and of the supplement.
CREATE OR REPLACE TABLE offences AS
SELECT c.urn, c.home_office_code AS code, c.offence_class AS class, CAST(round(CAST(c.days AS DECIMAL(10,1)) * 10) AS BIGINT) AS tenths,
  coalesce(v.vawg, 'no') AS vawg, coalesce(v.victim_sex_in_code = 'female', false) AS female, false AS supplement
FROM cchi c LEFT JOIN vawg v USING (urn)
UNION ALL
SELECT NULL, home_office_code, NULL, CAST(round(CAST(nullif(days, '') AS DECIMAL(10,1)) * 10) AS BIGINT), vawg, false, true FROM supplement;

-- The rows that an allegation may be: by urn where the table knows it; else by code and class; else by code; and where that leaves it open
-- and a resolution says so, as another class. Of each way, how many there are, how many are VAWG and how many would be of a woman.
CREATE OR REPLACE TABLE combinations AS
WITH given AS (SELECT DISTINCT offence_urn AS urn, offence_code AS code, offence_class AS class, victim_sex AS sex, coalesce(domestic_abuse, false) AS domestic FROM versions WHERE place = 1),
k AS (FROM given UNION SELECT * REPLACE ('F' AS sex) FROM given WHERE coalesce(sex = 'U', true)),
way AS (SELECT *, class AS as_class, CASE WHEN urn IN (SELECT urn FROM offences WHERE urn IS NOT NULL) THEN 'urn'
    WHEN (code, class) IN (SELECT (code, class) FROM offences WHERE class IS NOT NULL) THEN 'pair' ELSE 'code' END AS how FROM k),
ways AS (FROM way UNION ALL SELECT w.* REPLACE (r.as_class AS as_class, 'as_class' AS how) FROM way w JOIN resolutions r
  ON w.how = 'code' AND r.home_office_code = w.code AND r.given_class = 'missing'),
found AS (
  SELECT w.*, o.* EXCLUDE (urn, code, class), o.code AS table_code, CASE o.vawg WHEN 'yes' THEN coalesce(sex = 'F', false) OR o.female WHEN 'if_domestic' THEN coalesce(sex = 'F', false) AND domestic ELSE false END AS counts,
    CASE o.vawg WHEN 'yes' THEN true WHEN 'if_domestic' THEN domestic ELSE false END AS of_a_woman
  FROM ways w JOIN offences o ON CASE how WHEN 'urn' THEN o.urn = w.urn WHEN 'code' THEN o.code = w.code ELSE o.code = w.code AND o.class = w.as_class END),
summed AS (
  SELECT urn, code, class, sex, domestic, how, as_class, count(*) AS offences, count(tenths) AS weighed, min(tenths) AS least, max(tenths) AS most,
    min(tenths) FILTER (counts) AS may_weigh, count(*) FILTER (counts) AS vawg, count(*) FILTER (of_a_woman) AS vawg_of_a_woman, bool_or(supplement) AS supplement, how = 'urn' AND min(table_code) <> code AS contradicts
  FROM found GROUP BY urn, code, class, sex, domestic, how, as_class),
read AS (SELECT s.*, least < most AND how IN ('pair', 'as_class') AND r.rule IS NOT NULL AS lowest, CASE WHEN vawg = offences AND weighed = offences AND (least = most OR lowest) THEN least END AS tenths
  FROM summed s LEFT JOIN resolutions r ON r.home_office_code = s.code AND r.offence_class = s.as_class AND r.rule = 'lowest')
SELECT urn, code, class, sex, domestic, contradicts, coalesce(sex = 'U', true) AND vawg_of_a_woman > vawg AS sex_unknown, vawg > 0 AS may_be, CASE WHEN NOT sex_unknown THEN tenths END AS tenths, may_weigh,
  CASE WHEN lowest THEN 'lowest' WHEN supplement THEN 'supplement' ELSE how END AS rule,
  nullif(concat_ws('; ', CASE WHEN how = 'as_class' THEN code || ' without its class as ' || as_class END, CASE WHEN lowest THEN code || ' ' || as_class || ' lowest' END), '') AS resolution
FROM read
QUALIFY row_number() OVER (PARTITION BY urn, code, class, sex, domestic ORDER BY CASE
  WHEN how = 'code' AND (tenths IS NOT NULL OR vawg = 0 AND NOT (coalesce(sex = 'U', true) AND vawg_of_a_woman > 0)) THEN 1 WHEN how = 'as_class' THEN 2 ELSE 3 END) = 1;

-- Rules 3 to 11. Where what is left out for a reason is to count, that rule does not bite, a victim whose sex nobody says is a woman, and an
-- offence without a single weight has the least of those that would make it VAWG.
CREATE OR REPLACE MACRO counting(reason) AS getvariable('counting') IS NOT DISTINCT FROM reason;
CREATE OR REPLACE MACRO or_a_woman(sex) AS CASE WHEN coalesce(sex = 'U', true) THEN 'F' ELSE sex END;
CREATE OR REPLACE TABLE staying AS
WITH v AS (SELECT v.*, london_date(make_timestamp(v.reported_at)) AS day, date_diff('day', day, CAST(getvariable('as_of') AS DATE)) AS age,
    coalesce(c.may_be, false) AS may_be, coalesce(c.sex_unknown, false) AS sex_unknown, c.rule, c.resolution, coalesce(c.contradicts, false) AS contradicts,
    CASE WHEN counting('unscored_offence') THEN coalesce(c.tenths, c.may_weigh) ELSE c.tenths END AS tenths,
    coalesce(w.may_be, false) AS may_be_of_a_woman, coalesce(w.tenths, 0) AS tenths_of_a_woman, v.allegation_id IN (FROM later) AS older_stands
  FROM versions v LEFT JOIN combinations c ON c.code = v.offence_code AND c.urn IS NOT DISTINCT FROM v.offence_urn AND c.domestic = coalesce(v.domestic_abuse, false)
    AND c.class IS NOT DISTINCT FROM v.offence_class AND c.sex IS NOT DISTINCT FROM CASE WHEN counting('victim_sex_unknown') THEN or_a_woman(v.victim_sex) ELSE v.victim_sex END
  LEFT JOIN combinations w ON w.code = v.offence_code AND w.urn IS NOT DISTINCT FROM v.offence_urn AND w.domestic = coalesce(v.domestic_abuse, false)
    AND w.class IS NOT DISTINCT FROM v.offence_class AND w.sex IS NOT DISTINCT FROM or_a_woman(v.victim_sex)
  WHERE v.place = 1)
SELECT *, CASE
    WHEN age < 0 THEN 'after_as_of'
    WHEN age > 364 THEN 'outside_window'
    WHEN suspect_id IS NULL OR suspect_nobody THEN 'no_named_suspect'
    WHEN source = 'intelligence' AND NOT counting('intelligence_only') THEN 'intelligence_only'
    WHEN source = 'police_detected' AND NOT counting('police_detected') THEN 'police_detected'
    WHEN outcome IN ('no_crime', 'acquitted') THEN 'cleared'
    WHEN outcome = 'transferred' THEN 'transferred'
    WHEN sex_unknown THEN 'victim_sex_unknown'
    WHEN NOT may_be THEN 'not_vawg'
    WHEN tenths IS NULL THEN 'unscored_offence'
    WHEN suspect_age < 18 THEN 'suspect_under_18'
    ELSE 'candidate' END AS so_far
FROM v;

-- Rules 12, of a row without an age, and 13, the years of birth and the handling: by every row of the suspect that rules 1 and 2 leave, whatever
-- became of it. Of age on the day on which the youngest that an age allows would be, who had their birthday on the day of that report.
CREATE OR REPLACE MACRO years_on(day, years) AS CASE WHEN month(day) = 2 AND day(day) = 29
  THEN CAST(make_date(year(day) + years, 2, 28) + INTERVAL 1 DAY AS DATE) ELSE CAST(day + to_years(years) AS DATE) END;
CREATE OR REPLACE TABLE people AS
SELECT suspect_id, bool_or(suspect_status = 'deceased') AS deceased, max(years_on(day, CAST(18 - suspect_age AS INTEGER))) AS adult,
  coalesce(max(year(day) - suspect_age) - min(year(day) - suspect_age) > 2, false) AS ages_disagree, coalesce(bool_or(handling = 'restricted'), false) AS restricted
FROM staying WHERE NOT suspect_nobody GROUP BY suspect_id;
CREATE OR REPLACE TABLE settled AS
SELECT s.*, CASE WHEN so_far <> 'candidate' THEN so_far
    WHEN suspect_age IS NULL AND day < p.adult THEN 'suspect_under_18'
    WHEN p.deceased THEN 'suspect_deceased'
    ELSE 'scored' END AS disposition
FROM staying s LEFT JOIN people p USING (suspect_id);

CREATE OR REPLACE TABLE dispositions AS
SELECT 'quarantined' AS disposition, count(*) AS n FROM judged WHERE quarantined
UNION ALL SELECT 'superseded', count(*) FROM versions WHERE updated_at < latest
UNION ALL SELECT 'duplicate', count(*) FROM versions WHERE updated_at = latest AND place > 1
UNION ALL SELECT disposition, count(*) FROM settled GROUP BY disposition;

CREATE OR REPLACE TABLE facts AS
SELECT 'out_of_range' AS fact, name, n FROM (UNPIVOT (SELECT count_if(COLUMNS(*)) FROM cannot) ON COLUMNS(*) INTO NAME name VALUE n)
UNION ALL SELECT 'placeholders', 'suspect_id', count(*) FROM judged WHERE NOT quarantined AND suspect_nobody
UNION ALL SELECT 'placeholders', 'victim_id', count(*) FROM judged WHERE NOT quarantined AND victim_nobody
UNION ALL SELECT 'older_version_stands', '', count(*) FROM staying WHERE older_stands
UNION ALL SELECT 'conflicting_duplicates', '', count(*) FROM (SELECT * EXCLUDE (latest, place, suspect_nobody, victim_nobody, replaced, row) FROM versions WHERE updated_at = latest AND place > 1) d
  ANTI JOIN (SELECT * EXCLUDE (latest, place, suspect_nobody, victim_nobody, replaced, row) FROM versions WHERE place = 1) s ON d IS NOT DISTINCT FROM s
UNION ALL SELECT 'person_links', 'links', count(*) FROM linked
UNION ALL SELECT 'person_links', 'rows_changed', count(*) FROM judged WHERE NOT quarantined AND replaced
UNION ALL SELECT 'resolutions', resolution, count(*) FROM settled WHERE disposition = 'scored' AND resolution IS NOT NULL GROUP BY resolution
UNION ALL SELECT 'urn_contradicts_code', '', count(*) FROM settled WHERE disposition = 'scored' AND contradicts
UNION ALL SELECT 'unknown_boroughs', '', count(*) FROM settled WHERE disposition = 'scored' AND borough IS NOT NULL AND borough NOT IN (SELECT borough FROM boroughs)
UNION ALL SELECT 'weight_by_lowest_rule', '', count(*) FROM settled WHERE disposition = 'scored' AND rule = 'lowest'
UNION ALL SELECT 'weight_by_supplement', '', count(*) FROM settled WHERE disposition = 'scored' AND rule = 'supplement';

-- Section 7, the blind spot: kept rows that are or may be VAWG and add to nobody's score, with what they weigh if it is known.
CREATE OR REPLACE TABLE left_out AS
WITH rows AS (SELECT disposition AS reason, offence_code, tenths_of_a_woman AS tenths,
    CASE WHEN borough IS NULL THEN 'not given' WHEN borough IN (SELECT borough FROM boroughs) THEN borough ELSE 'none of the boroughs' END AS place
  FROM settled WHERE may_be_of_a_woman AND disposition IN ('no_named_suspect', 'intelligence_only', 'police_detected', 'victim_sex_unknown', 'unscored_offence'))
SELECT 'by_code' AS list, reason, offence_code AS "of", count(*) AS rows, sum(tenths) AS harm_tenths FROM rows GROUP BY reason, offence_code
UNION ALL SELECT 'by_borough', reason, place, count(*), sum(tenths) FROM rows GROUP BY reason, place;

-- Section 6, in whole numbers: base, and the factor of each row by its place among the suspect's own.
CREATE OR REPLACE MACRO recency(age, half_life) AS CASE WHEN half_life = 0 THEN 1000000 ELSE CAST(round(1000000 * pow(2, -age / CAST(half_life AS DOUBLE))) AS BIGINT) END;
CREATE OR REPLACE MACRO factor(further, step, cap) AS 1000000 + step * least(further, cap);
CREATE OR REPLACE TABLE scored AS
SELECT *, recency(age, getvariable('half_life')) AS recency, CAST(tenths AS HUGEINT) * recency AS base,
  row_number() OVER (PARTITION BY suspect_id ORDER BY CAST(tenths AS HUGEINT) * recency(age, getvariable('half_life')) DESC, allegation_id) - 1 AS k, count(*) OVER (PARTITION BY suspect_id) - 1 AS n,
  factor(CASE WHEN getvariable('apply') = 'each' THEN k ELSE n END, getvariable('step'), getvariable('cap')) AS factor
FROM settled WHERE disposition = 'scored';

CREATE OR REPLACE TABLE owners AS
SELECT suspect_id, borough, bcu FROM (
  SELECT s.suspect_id, s.borough, b.bcu, row_number() OVER (PARTITION BY s.suspect_id ORDER BY sum(base) DESC, max(reported_at) DESC, s.borough) AS place
  FROM scored s JOIN boroughs b ON b.borough = s.borough GROUP BY s.suspect_id, s.borough, b.bcu) WHERE place = 1;

CREATE OR REPLACE TABLE suspects AS
SELECT suspect_id, CAST(sum(base * factor) // 1000000 AS BIGINT) AS score, sum(base * factor) AS whole,
  sum(tenths) AS sum_tenths, max(tenths) AS max_tenths, count(*) AS allegations, count(DISTINCT report_id) AS reports,
  count(DISTINCT victim_id) AS victims, min(reported_at) AS first_reported, max(reported_at) AS last_reported,
  list_sort(list(DISTINCT borough) FILTER (borough IS NOT NULL)) AS boroughs,
  count(*) FILTER (domestic_abuse) AS domestic_abuse,
  count(*) FILTER (reported_at - committed_at > 365::BIGINT * 24 * 3600 * 1000000) AS non_recent,
  suspect_id IN (SELECT victim_id FROM settled WHERE victim_id IS NOT NULL AND disposition NOT IN ('after_as_of', 'outside_window')) AS also_victim,
  first(suspect_status ORDER BY updated_at DESC, allegation_id DESC) AS suspect_status,
  count(*) FILTER (outcome = 'victim_does_not_support') AS withdrawn
FROM scored GROUP BY suspect_id;

CREATE OR REPLACE TABLE ranking AS
SELECT row_number() OVER (ORDER BY score DESC, victims DESC, allegations DESC, last_reported DESC, s.suspect_id) AS position,
  rank() OVER (ORDER BY score DESC) AS rank, count(*) OVER (PARTITION BY score) AS tie_size, s.suspect_id, score,
  score / 10000000.0::DOUBLE AS score_days, sum_tenths / 10.0::DOUBLE AS sum_days, max_tenths / 10.0::DOUBLE AS max_days,
  rank() OVER (ORDER BY sum_tenths DESC) AS sum_rank, allegations, reports, victims, first_reported, last_reported,
  o.borough AS owner_borough, o.bcu AS owner_bcu, coalesce(boroughs, []) AS boroughs, domestic_abuse, non_recent, also_victim, suspect_status,
  CASE suspect_status WHEN 'in_custody' THEN 'contained' WHEN 'on_bail' THEN 'bailed' ELSE 'free' END AS lane, p.ages_disagree, p.restricted, withdrawn
FROM suspects s LEFT JOIN owners o ON o.suspect_id = s.suspect_id LEFT JOIN people p ON p.suspect_id = s.suspect_id;

-- Lanes: with custody aside, the first so many who are not contained, and the contained above the last of those.
CREATE OR REPLACE TABLE stack AS
WITH takes AS (SELECT *, lane <> 'contained' OR getvariable('custody') = 'counted' AS takes_place FROM ranking),
counted AS (SELECT *, count(*) FILTER (takes_place) OVER (ORDER BY position) AS places FROM takes)
SELECT * EXCLUDE (takes_place, places) FROM counted WHERE position <= (SELECT max(position) FROM counted WHERE takes_place AND places <= getvariable('depth'));

CREATE OR REPLACE TABLE contributions AS
SELECT t.position, s.suspect_id, s.allegation_id, s.report_id, s.victim_id, s.reported_at, s.committed_at, s.borough, s.offence_code, s.offence_class, s.offence_urn,
  s.rule AS weight_rule, s.tenths / 10.0::DOUBLE AS harm_days, s.age, s.recency AS recency_ppm, s.base, s.factor AS frequency_ppm,
  CAST(s.base * s.factor AS DOUBLE) / CAST(u.whole AS DOUBLE) AS share, s.domestic_abuse, s.source, s.outcome,
  strftime(s.day + 365, '%Y-%m-%d') AS leaves_on, s.older_stands AS older_version_stands, s.contradicts AS urn_contradicts_code
FROM scored s JOIN stack t USING (suspect_id) JOIN suspects u USING (suspect_id);

-- Section 7: every row read that names somebody of the stack, as it was read, and what became of it. Who is named beside them, and they, after links.
CREATE OR REPLACE TABLE cases AS
WITH fates AS (SELECT row, suspect_id, suspect_nobody, victim_id, 'quarantined' AS disposition, false AS older_stands FROM judged WHERE quarantined
  UNION ALL SELECT row, suspect_id, suspect_nobody, victim_id, CASE WHEN updated_at < latest THEN 'superseded' ELSE 'duplicate' END, false FROM versions WHERE place > 1
  UNION ALL SELECT row, suspect_id, suspect_nobody, victim_id, disposition, older_stands FROM settled),
people AS (SELECT row, suspect_id AS person_id, victim_id AS other_id, 'suspect' AS role, disposition, older_stands FROM fates
  UNION ALL SELECT row, victim_id, CASE WHEN NOT suspect_nobody THEN suspect_id END, 'victim', disposition, older_stands FROM fates)
SELECT t.position, p.person_id, p.other_id, p.role, e.* REPLACE (epoch_us(e.reported_at) AS reported_at, epoch_us(e.committed_at) AS committed_at, epoch_us(e.updated_at) AS updated_at),
  p.disposition, p.older_stands AS older_version_stands, s.rule AS weight_rule, s.tenths / 10.0::DOUBLE AS harm_days, s.recency AS recency_ppm, s.factor AS frequency_ppm, s.base,
  CAST(s.base * s.factor AS DOUBLE) / CAST(u.whole AS DOUBLE) AS share
FROM people p JOIN stack t ON t.suspect_id = p.person_id JOIN extract e ON e.row = p.row LEFT JOIN scored s ON s.row = p.row LEFT JOIN suspects u ON u.suspect_id = s.suspect_id;

-- Stability: everybody's position under each of the other models, of which the first so many are kept.
CREATE OR REPLACE TABLE standings AS
WITH parts AS (SELECT m.name, m.step, m.cap, m.apply, m.per_report, s.suspect_id, s.allegation_id, s.report_id, s.victim_id, s.tenths, s.tenths * recency(s.age, m.half_life) AS base,
    m.non_recent = 'aside' AND coalesce(s.reported_at - s.committed_at > 365::BIGINT * 24 * 3600 * 1000000, false) AS aside
  FROM scored s CROSS JOIN others m),
gravest AS (SELECT * FROM parts WHERE NOT aside
  QUALIFY per_report = 'all' OR victim_id IS NULL OR row_number() OVER (PARTITION BY name, suspect_id, report_id, victim_id ORDER BY tenths DESC, base DESC, allegation_id) = 1),
ordered AS (SELECT *, row_number() OVER (PARTITION BY name, suspect_id ORDER BY base DESC, allegation_id) - 1 AS k, count(*) OVER (PARTITION BY name, suspect_id) - 1 AS n FROM gravest),
scores AS (SELECT name, suspect_id, sum(CAST(base AS HUGEINT) * factor(CASE WHEN apply = 'each' THEN k ELSE n END, step, cap)) // 1000000 AS score FROM ordered GROUP BY ALL),
places AS (SELECT m.name, r.suspect_id, r.position,
    row_number() OVER (PARTITION BY m.name ORDER BY coalesce(s.score, 0) DESC, victims DESC, allegations DESC, last_reported DESC, r.suspect_id) AS place
  FROM ranking r CROSS JOIN others m LEFT JOIN scores s ON s.name = m.name AND s.suspect_id = r.suspect_id)
SELECT suspect_id, position, count(*) AS models, CASE WHEN count(*) = (SELECT count(*) FROM others) THEN 'core' ELSE 'fringe' END AS standing, map_from_entries(list((name, place))) AS places
FROM places WHERE place <= getvariable('depth') GROUP BY suspect_id, position;
