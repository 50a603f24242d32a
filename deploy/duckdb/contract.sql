-- The contract once more, in SQL: an independent reading to hold the Go code against. Written for DuckDB.
-- Input: the view `extract` (the contract's columns; those that the file lacks as nulls), the tables `cchi`,
-- `vawg`, `supplement`, `resolutions` and `boroughs` as published, and the variable as_of.
-- Output: the tables `dispositions` and `ranking`.
-- Limit: DuckDB refuses a text column that is not UTF-8, so such rows are not tried here.

-- Section 3: white space is space, tab, CR, LF and the non-breaking space; a blank is null.
CREATE OR REPLACE MACRO clean(s) AS nullif(trim(s, ' ' || chr(9) || chr(10) || chr(13) || chr(160)), '');
CREATE OR REPLACE MACRO age_or_null(a) AS CASE WHEN a BETWEEN 0 AND 130 THEN a END;
CREATE OR REPLACE MACRO valid_time(t) AS t IS NULL OR (t >= epoch_us(TIMESTAMP '1900-01-01') AND t < epoch_us(TIMESTAMP '2201-01-01'));
CREATE OR REPLACE MACRO home_office(c) AS CASE
  WHEN regexp_full_match(c, '[0-9]{1,3}/[0-9]{1,2}') THEN lpad(split_part(c, '/', 1), 3, '0') || '/' || lpad(split_part(c, '/', 2), 2, '0')
  WHEN regexp_full_match(c, '[0-9]{5}') THEN c[1:3] || '/' || c[4:5] END;

-- Section 2: the date in London. Summer time runs from the last Sunday of March to that of October, 01:00 UTC.
CREATE OR REPLACE MACRO last_sunday(y, m) AS make_date(y, m, 31) - CAST(dayofweek(make_date(y, m, 31)) AS INTEGER);
CREATE OR REPLACE MACRO london_date(t) AS CAST(t + CASE
  WHEN t >= last_sunday(year(t), 3) + INTERVAL 1 HOUR AND t < last_sunday(year(t), 10) + INTERVAL 1 HOUR
  THEN INTERVAL 1 HOUR ELSE INTERVAL 0 HOUR END AS DATE);

CREATE OR REPLACE TABLE normalised AS
SELECT clean(allegation_id) AS allegation_id, clean(report_id) AS report_id, clean(suspect_id) AS suspect_id,
  age_or_null(suspect_age) AS suspect_age, clean(suspect_status) AS suspect_status,
  clean(offence_code) AS given_code, home_office(clean(offence_code)) AS offence_code,
  clean(offence_class) AS offence_class, clean(offence_urn) AS offence_urn,
  epoch_us(reported_at) AS reported_at, epoch_us(committed_at) AS committed_at,
  coalesce(b.borough, clean(e.borough)) AS borough,
  clean(victim_id) AS victim_id, clean(victim_sex) AS victim_sex, age_or_null(victim_age) AS victim_age,
  domestic_abuse, clean(source) AS source, clean(outcome) AS outcome, epoch_us(updated_at) AS updated_at
FROM extract e LEFT JOIN boroughs b ON lower(clean(e.borough)) = lower(b.borough);

-- Section 4, rule 1.
CREATE OR REPLACE TABLE judged AS
SELECT *, (allegation_id IS NULL OR report_id IS NULL OR offence_code IS NULL OR reported_at IS NULL OR updated_at IS NULL
    OR source IS NULL OR outcome IS NULL
    OR NOT valid_time(reported_at) OR NOT valid_time(committed_at) OR NOT valid_time(updated_at)
    OR coalesce(suspect_status NOT IN ('at_large', 'on_bail', 'in_custody', 'deceased', 'unknown'), false)
    OR coalesce(victim_sex NOT IN ('F', 'M', 'X', 'U'), false)
    OR source NOT IN ('victim', 'witness', 'third_party', 'police_detected', 'intelligence')
    OR outcome NOT IN ('open', 'charged', 'convicted', 'no_further_action', 'acquitted', 'no_crime')) AS quarantined
FROM normalised;

-- Rule 2: the latest version stays; of several as late, the greatest by its values, null lowest.
CREATE OR REPLACE TABLE versions AS
SELECT *, max(updated_at) OVER (PARTITION BY allegation_id) AS latest, row_number() OVER (PARTITION BY allegation_id ORDER BY
  updated_at DESC, report_id DESC, suspect_id DESC NULLS LAST, suspect_age DESC NULLS LAST, suspect_status DESC NULLS LAST, offence_code DESC,
  offence_class DESC NULLS LAST, offence_urn DESC NULLS LAST, reported_at DESC, committed_at DESC NULLS LAST, borough DESC NULLS LAST,
  victim_id DESC NULLS LAST, victim_sex DESC NULLS LAST, victim_age DESC NULLS LAST, domestic_abuse DESC NULLS LAST, source DESC, outcome DESC) AS place
FROM judged WHERE NOT quarantined;

-- Section 5: every row of the index and of the supplement.
CREATE OR REPLACE TABLE offences AS
SELECT c.urn, c.home_office_code AS code, c.offence_class AS class, CAST(round(CAST(c.days AS DECIMAL(10,1)) * 10) AS BIGINT) AS tenths,
  coalesce(v.vawg = 'yes', false) AS vawg, coalesce(v.victim_sex_in_code = 'female', false) AS female
FROM cchi c LEFT JOIN vawg v USING (urn)
UNION ALL
SELECT NULL, home_office_code, NULL, CAST(round(CAST(nullif(days, '') AS DECIMAL(10,1)) * 10) AS BIGINT), vawg = 'yes', false FROM supplement;

-- The rows that an allegation may be: by urn where the table knows it; else by code and class; else by code.
CREATE OR REPLACE TABLE combinations AS
WITH k AS (SELECT DISTINCT offence_urn AS urn, offence_code AS code, offence_class AS class, coalesce(victim_sex = 'F', false) AS woman FROM versions WHERE place = 1),
way AS (SELECT *, CASE WHEN urn IN (SELECT urn FROM offences WHERE urn IS NOT NULL) THEN 'urn'
    WHEN (code, class) IN (SELECT (code, class) FROM offences WHERE class IS NOT NULL) THEN 'pair' ELSE 'code' END AS how FROM k),
candidates AS (
  SELECT w.*, o.tenths, o.vawg AND (w.woman OR o.female) AS counts FROM way w JOIN offences o ON w.how = 'urn' AND o.urn = w.urn
  UNION ALL
  SELECT w.*, o.tenths, o.vawg AND (w.woman OR o.female) FROM way w JOIN offences o ON w.how = 'pair' AND o.code = w.code AND o.class = w.class
  UNION ALL
  SELECT w.*, o.tenths, o.vawg AND (w.woman OR o.female) FROM way w JOIN offences o ON w.how = 'code' AND o.code = w.code)
SELECT urn, code, class, woman, how, bool_or(counts) AS may_be, CASE
    WHEN NOT bool_and(counts) OR count(tenths) < count(*) THEN NULL
    WHEN min(tenths) = max(tenths) THEN min(tenths)
    WHEN how = 'pair' AND (code, class) IN (SELECT (home_office_code, offence_class) FROM resolutions WHERE rule = 'lowest') THEN min(tenths)
  END AS tenths
FROM candidates GROUP BY urn, code, class, woman, how;

-- Rules 3 to 11.
CREATE OR REPLACE TABLE staying AS
WITH v AS (SELECT v.*, date_diff('day', london_date(make_timestamp(reported_at)), CAST(getvariable('as_of') AS DATE)) AS age,
    coalesce(c.may_be, false) AS may_be, c.tenths
  FROM versions v LEFT JOIN combinations c ON c.code = v.offence_code AND c.urn IS NOT DISTINCT FROM v.offence_urn
    AND c.class IS NOT DISTINCT FROM v.offence_class AND c.woman = coalesce(v.victim_sex = 'F', false)
  WHERE v.place = 1)
SELECT *, CASE
    WHEN age < 0 THEN 'after_as_of'
    WHEN age > 364 THEN 'outside_window'
    WHEN suspect_id IS NULL OR lower(suspect_id) IN ('unknown', 'not known', 'n/k', 'nk', 'n/a', 'none', 'null', 'nil', 'tbc', '-', '0') THEN 'no_named_suspect'
    WHEN source = 'intelligence' THEN 'intelligence_only'
    WHEN source = 'police_detected' THEN 'police_detected'
    WHEN outcome IN ('no_crime', 'acquitted') THEN 'cleared'
    WHEN NOT may_be THEN 'not_vawg'
    WHEN tenths IS NULL THEN 'unscored_offence'
    WHEN suspect_age < 18 THEN 'suspect_under_18'
    ELSE 'candidate' END AS so_far
FROM v;

-- Rules 12, of a row without an age, and 13: by every row of the suspect that rules 1 and 2 leave, whatever became of it. Of age
-- on the day on which the youngest that an age allows would be, who had their birthday on the day of that report.
CREATE OR REPLACE MACRO years_on(day, years) AS CASE WHEN month(day) = 2 AND day(day) = 29
  THEN CAST(make_date(year(day) + years, 2, 28) + INTERVAL 1 DAY AS DATE) ELSE CAST(day + to_years(years) AS DATE) END;
CREATE OR REPLACE TABLE people AS
SELECT suspect_id, bool_or(suspect_status = 'deceased') AS deceased, max(years_on(london_date(make_timestamp(reported_at)), CAST(18 - suspect_age AS INTEGER))) AS adult
FROM staying GROUP BY suspect_id;
CREATE OR REPLACE TABLE settled AS
SELECT s.*, CASE WHEN so_far <> 'candidate' THEN so_far
    WHEN suspect_age IS NULL AND london_date(make_timestamp(reported_at)) < p.adult THEN 'suspect_under_18'
    WHEN p.deceased THEN 'suspect_deceased'
    ELSE 'scored' END AS disposition
FROM staying s LEFT JOIN people p USING (suspect_id);

CREATE OR REPLACE TABLE dispositions AS
SELECT 'quarantined' AS disposition, count(*) AS n FROM judged WHERE quarantined
UNION ALL SELECT 'superseded', count(*) FROM versions WHERE updated_at < latest
UNION ALL SELECT 'duplicate', count(*) FROM versions WHERE updated_at = latest AND place > 1
UNION ALL SELECT disposition, count(*) FROM settled GROUP BY disposition;

-- Section 6, in whole numbers.
CREATE OR REPLACE TABLE scored AS
SELECT *, tenths * CAST(round(1000000 * pow(2, -age / 180.0)) AS HUGEINT) AS base FROM settled WHERE disposition = 'scored';

CREATE OR REPLACE TABLE owners AS
SELECT suspect_id, borough, bcu FROM (
  SELECT s.suspect_id, s.borough, b.bcu, row_number() OVER (PARTITION BY s.suspect_id ORDER BY sum(base) DESC, max(reported_at) DESC, s.borough) AS place
  FROM scored s JOIN boroughs b ON b.borough = s.borough GROUP BY s.suspect_id, s.borough, b.bcu) WHERE place = 1;

CREATE OR REPLACE TABLE suspects AS
SELECT suspect_id,
  CAST(sum(base) * (1000000 + 100000 * least(count(*) - 1, 10)) // 1000000 AS BIGINT) AS score,
  sum(tenths) AS sum_tenths, max(tenths) AS max_tenths, count(*) AS allegations, count(DISTINCT report_id) AS reports,
  count(DISTINCT victim_id) AS victims, min(reported_at) AS first_reported, max(reported_at) AS last_reported,
  list_sort(list(DISTINCT borough) FILTER (borough IS NOT NULL)) AS boroughs,
  count(*) FILTER (domestic_abuse) AS domestic_abuse,
  count(*) FILTER (reported_at - committed_at > 365::BIGINT * 24 * 3600 * 1000000) AS non_recent,
  suspect_id IN (SELECT victim_id FROM settled WHERE victim_id IS NOT NULL AND disposition NOT IN ('after_as_of', 'outside_window')) AS also_victim,
  first(suspect_status ORDER BY updated_at DESC, allegation_id DESC) AS suspect_status
FROM scored GROUP BY suspect_id;

CREATE OR REPLACE TABLE ranking AS
SELECT row_number() OVER (ORDER BY score DESC, victims DESC, allegations DESC, last_reported DESC, s.suspect_id) AS position,
  rank() OVER (ORDER BY score DESC) AS rank, count(*) OVER (PARTITION BY score) AS tie_size, s.suspect_id, score,
  score / 10000000.0::DOUBLE AS score_days, sum_tenths / 10.0::DOUBLE AS sum_days, max_tenths / 10.0::DOUBLE AS max_days,
  rank() OVER (ORDER BY sum_tenths DESC) AS sum_rank, allegations, reports, victims, first_reported, last_reported,
  o.borough AS owner_borough, o.bcu AS owner_bcu, coalesce(boroughs, []) AS boroughs, domestic_abuse, non_recent, also_victim, suspect_status
FROM suspects s LEFT JOIN owners o ON o.suspect_id = s.suspect_id;
