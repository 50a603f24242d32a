// Package scoring is the engine: it validates every row of an extract, keeps one version of each allegation,
// scores every suspect and puts them in order (contract, sections 4 to 6).
//
// It takes Arrow batches from concurrent ingesters and yields suspects by position. It must not know
// files, stores or Temporal; what does not fit its memory it spills to storage that it is lent.
//
// Rows are scattered by the hash of their allegation into buckets, so that the versions of one
// allegation meet; those that stay are scattered by the hash of their suspect, so that a suspect's
// rows meet. Buckets share nothing. All sums are of whole numbers, so the result does not depend on
// the order, the layout or the number of ingesters.
//
// # Words
//
// The field's own, used for one thing each, here and in every other package:
//
//   - allegation: one report that one suspect did one thing; a row of an extract is a version of one.
//   - suspect: whoever an allegation names; victim: whom it says was harmed.
//   - offence code: the Home Office code; with class and URN it names one offence of the tables.
//   - harm days: days of prison that the Cambridge Crime Harm Index gives an offence; a tenth of one is the unit of sums.
//   - window: the days before as_of whose reports count; as_of is the date of a night.
//   - disposition: what became of one row; every row has exactly one.
//   - quarantine: rows that cannot be read as the contract demands, kept with the reason.
//   - stack: the suspects at the top of the ranking, 100 unless the model says otherwise; cut: the score of the last.
//   - borough, BCU: the area of a team, and the command unit of several; owner: the borough that is tasked.
//   - tasking: what a team is asked to do about one suspect, until it is closed.
//   - night: one run for one date; revision: its number among the runs for that date.
//
// And those of this engine:
//
//   - validator: normalises and checks a row.
//   - prescan: a first look at two columns, to learn which ids come twice.
//   - ingester: takes the batches of one goroutine in; router: sends rows on to their suspects.
//   - deduplicate: keep one version of each allegation.
//   - bucket: the rows of one range of hashes; shuffle: hand buckets to another machine.
//   - sort key: what decides a suspect's place; ranker: gives places.
package scoring
