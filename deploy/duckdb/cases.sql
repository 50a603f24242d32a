-- Extracts in which every rule bites: rows drawn over few ids, so that they meet. Written by DuckDB, so
-- that the reader meets another writer.
SELECT setseed(0.42);
CREATE OR REPLACE MACRO any_of(list) AS list[1 + CAST(floor(random() * len(list)) AS INTEGER)];
CREATE OR REPLACE MACRO drawn(last) AS TABLE
SELECT
  any_of(['A', ' A', 'a']) || CAST(floor(random() * 60000) AS INTEGER) || any_of(['', '', chr(160), chr(9) || ' ']) AS allegation_id,
  any_of(['R', 'R', 'R', 'R', NULL, 'R']) || CAST(floor(random() * 40000) AS INTEGER) AS report_id,
  any_of(['S' || CAST(floor(random() * 9000) AS INTEGER), 'S' || CAST(floor(random() * 9000) AS INTEGER), 'S' || CAST(floor(random() * 9000) AS INTEGER), 'Ω' || CAST(floor(random() * 50) AS INTEGER),
    CASE WHEN random() < 0.5 THEN any_of([NULL, ' ', 'N/K', 'Unknown male', '-', '0', '00', '999', 'not  KNOWN ', 'Refused', 'x', '0007']) ELSE 'S' || CAST(floor(random() * 9000) AS INTEGER) END]) AS suspect_id,
  any_of([NULL, NULL, NULL, 17, 18, 40, 41, 42, 43, 38, 131, -1]) AS suspect_age,
  any_of([NULL, 'at_large', 'on_bail', 'in_custody', 'unknown', 'at_large ', 'at_large', 'at_large', CASE WHEN random() < 0.02 THEN 'deceased' END, CASE WHEN random() < 0.02 THEN 'dead' END]) AS suspect_status,
  any_of(['019/08', '19/8', '01908', '008/01', '8/1', '008/06', '195/94', '005/01', '008/77', '008/78', '999/99', '066/91', '020/05', '099/99', '008/73', '028/03', '056/01', '8/61', '079/05',
    CASE WHEN random() < 0.05 THEN '19-08' ELSE '105/01' END]) AS offence_code,
  any_of([NULL, NULL, '19C', '8N', '8S', '5D', '', 'ZZ', '20A', '105A', '8L', '56A', '10C', '79']) AS offence_class,
  any_of([NULL, NULL, NULL, NULL, '8N.8.1.1', '8N.8.1.2', '1.1.1.1', '0.0.0', '19C.19.8.0', '79.79.5.0', '56A.56.1.0']) AS offence_urn,
  last - to_microseconds(CAST(floor(random() * 380 * 86400000) AS BIGINT) * 1000) + INTERVAL 2 DAY
    - to_years(CASE WHEN random() < 0.05 THEN CAST(floor(random() * 12) AS INTEGER) - 2 ELSE 0 END) AS reported_at,
  any_of(['Camden', 'CAMDEN', ' Barnet', 'City of London', NULL, 'Westminster', 'brent', 'Newham', 'Sutton', 'rbkc', 'Kingston', 'hammersmith & Fulham', 'City of Westminster']) AS borough,
  any_of(['V' || CAST(floor(random() * 20000) AS INTEGER), 'S' || CAST(floor(random() * 9000) AS INTEGER), any_of([NULL, ' ', 'N/K', 'UNKNOWN female', '???', '0'])]) AS victim_id,
  any_of(['F', 'F', 'F', 'F', 'F', 'M', 'X', 'U', NULL, CASE WHEN random() < 0.1 THEN 'Female' ELSE 'F' END]) AS victim_sex,
  any_of([NULL, 3, 25, 60, 130, 200]) AS victim_age, any_of([NULL, true, false]) AS domestic_abuse,
  any_of(['victim', 'victim', 'victim', 'witness', 'third_party', 'police_detected', 'intelligence']) AS source,
  any_of(['open', 'open', 'charged', 'convicted', 'victim_does_not_support', 'victim_does_not_support', 'no_further_action', 'acquitted', 'no_crime', 'transferred', CASE WHEN random() < 0.01 THEN 'lost' ELSE 'open' END]) AS outcome,
  CASE WHEN random() < 0.03 THEN any_of(['restricted', ' restricted', 'normal', 'Normal', 'secret', ' ']) END AS handling
FROM range(150000);

-- The rest of a row follows from what was drawn; one in ten rows comes again, perhaps in another version.
CREATE OR REPLACE MACRO extract_of(last) AS TABLE
WITH d AS (SELECT *, CASE any_of([1, 2, 3]) WHEN 1 THEN NULL WHEN 2 THEN reported_at - INTERVAL 365 DAY - to_microseconds(any_of([-1000, 0, 1000])) ELSE reported_at - INTERVAL 1 HOUR END AS committed_at,
    reported_at + to_microseconds(CAST(floor(random() * 3) AS BIGINT) * 1000000) AS updated_at FROM drawn(last))
SELECT allegation_id, report_id, suspect_id, suspect_age, suspect_status, offence_code, offence_class, offence_urn,
  CASE WHEN random() < 0.0005 THEN TIMESTAMP '1899-12-31 23:59:59.999' ELSE reported_at END AS reported_at,
  CASE WHEN random() < 0.002 THEN any_of([TIMESTAMP '1899-12-31 23:59:59.999', TIMESTAMP '2201-01-01 00:00:00', TIMESTAMP '0001-01-01 00:00:00']) ELSE committed_at END AS committed_at, borough,
  victim_id, victim_sex, victim_age, domestic_abuse, source, outcome, updated_at, handling FROM d;
CREATE OR REPLACE TABLE one AS SELECT * FROM extract_of(TIMESTAMP '2026-06-30 23:59:59');
INSERT INTO one SELECT * FROM one WHERE random() < 0.05;
INSERT INTO one SELECT * REPLACE (any_of(['open', 'charged', 'no_crime']) AS outcome) FROM one WHERE random() < 0.05;
INSERT INTO one SELECT * REPLACE (any_of(['normal', 'restricted', NULL]) AS handling) FROM one WHERE random() < 0.02;
-- Some suspects of whom each report holds two allegations of one victim, the graver the older: of some models it alone counts, though it adds less.
INSERT INTO one BY NAME SELECT 'G' || g || '-' || i || '-' || offence_code AS allegation_id, 'GR' || g || '-' || i AS report_id, 'G' || g AS suspect_id, 40 AS suspect_age, 'at_large' AS suspect_status,
  offence_code, TIMESTAMP '2026-06-30 12:00:00' - to_days(CASE offence_code WHEN '019/08' THEN 60 + CAST(g % 7 * 30 AS INTEGER) ELSE 0 END) AS reported_at, reported_at AS updated_at,
  'Camden' AS borough, 'GV' || g AS victim_id, 'F' AS victim_sex, 'victim' AS source, 'open' AS outcome
FROM range(40) g(g), range(7) i(i), (VALUES ('019/08'), ('005/01')) o(offence_code);
INSERT INTO one SELECT * REPLACE ('lost' AS outcome, updated_at + to_microseconds(any_of([-1000000, 0, 1000000])) AS updated_at) FROM one WHERE random() < 0.02;
COPY (SELECT * REPLACE (CAST(reported_at AS TIMESTAMP_MS) AS reported_at, CAST(updated_at AS TIMESTAMP_MS) AS updated_at) FROM one) TO '$out-1.parquet' (FORMAT parquet, COMPRESSION zstd);
CREATE OR REPLACE TABLE two AS SELECT * FROM extract_of(TIMESTAMP '2026-03-29 23:59:59');
COPY (SELECT handling, updated_at, outcome, source, 'x' AS officer, domestic_abuse, CAST(victim_age AS BIGINT) AS victim_age, victim_sex, victim_id, borough, committed_at,
  CAST(reported_at AS TIMESTAMP_NS) AS reported_at, offence_urn, offence_class, offence_code, suspect_status, CAST(suspect_age AS SMALLINT) AS suspect_age, suspect_id, report_id, allegation_id
  FROM two) TO '$out-2.parquet' (FORMAT parquet, ROW_GROUP_SIZE 5000, COMPRESSION gzip);
CREATE OR REPLACE TABLE three AS SELECT * EXCLUDE (committed_at, domestic_abuse, offence_urn, handling) FROM extract_of(TIMESTAMP '2028-03-01 23:59:59');
COPY three TO '$out-3.parquet' (FORMAT parquet, COMPRESSION brotli);
-- Person links: chains of three among the suspects, victims who are suspects, white space, the same link twice and one of an id to itself.
COPY (SELECT 'S' || i AS person_id, ' S' || i + 1 || chr(160) AS same_as FROM range(9000) r(i) WHERE i % 7 < 2
  UNION ALL SELECT 'V' || i || chr(9), 'S' || i FROM range(9000) r(i) WHERE i % 11 = 0 UNION ALL SELECT 'S7 ', 'S8' UNION ALL SELECT 'S5', 'S5'
  UNION ALL SELECT 'Ω' || i, 'Ω' || i + 25 FROM range(25) r(i)) TO '$out-links.parquet' (FORMAT parquet);
