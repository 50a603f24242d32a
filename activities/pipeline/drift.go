package pipeline

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"harmstack/activities/extract"
	"harmstack/activities/nights"
	"harmstack/schemas"
	"harmstack/schemas/fault"
	"harmstack/schemas/text"
)

// driftNights is how many published nights are looked through for one that read the same source.
const driftNights = 60

// Drift compares the form of the extract with that of the night published last from the same source. A column that is
// lost would read as null without a word, and one of another type may mean something else: both are refused, unless the
// request says why they are to be taken. It returns that night; nil: there is none.
func (n *Night) Drift(
	ctx context.Context,
	form *schemas.ExtractForm,
	extra int,
	accept string,
) (*schemas.Manifest, error) {
	all, err := nights.List(ctx, n.Store)
	if err != nil {
		return nil, err
	}
	for i := len(all) - 1; i >= max(0, len(all)-driftNights); i-- {
		before, _, err := nights.LoadManifest(ctx, n.Store, all[i].ID)
		if err != nil {
			return nil, err
		}
		if before.Form == nil || before.Form.Source != form.Source {
			continue
		}
		refused, noted := compareForms(before.Form.Columns, form.Columns, before.AsOf)
		if more := int64(extra) - before.Facts.ExtraColumns; more > 0 {
			noted = append(
				noted,
				fmt.Sprintf("%s beyond the contract more than on %s", text.Count(more, "column"), before.AsOf),
			)
		}
		form.Drift = append(refused, noted...)
		if len(refused) == 0 {
			return &before, nil
		}
		if form.Accepted = accept; schemas.TrimSpace(accept) == "" {
			return &before, fault.Errorf(
				fault.SchemaMismatch,
				"SchemaMismatch: the extract is not what it was: %s: ask the source; when it is meant, "+
					"run the night with accept_drift (starter run --accept-drift) and the reason",
				strings.Join(refused, "; "),
			)
		}
		return &before, nil
	}
	return nil, nil
}

// compareForms says in words which columns were lost or came in another type, and which are new. Text has no types of
// its own: it fits any.
func compareForms(before, now map[string]string, on schemas.Date) (refused, noted []string) {
	for _, c := range schemas.Offences {
		was, is := strings.Split(before[c.Name], " or "), strings.Split(now[c.Name], " or ")
		wasThere, isThere := !slices.Contains(was, extract.Absent), !slices.Contains(is, extract.Absent)
		added := slices.DeleteFunc(slices.Clone(is), func(form string) bool {
			return form == extract.Absent || form == extract.Text || form == extract.Empty || slices.Contains(was, form)
		})
		switch {
		case before[c.Name] == "" || now[c.Name] == "": // of a manifest that does not know the column
		case before[c.Name] == extract.Absent && now[c.Name] != extract.Absent:
			noted = append(noted, fmt.Sprintf("column %s is new", c.Name))
		case now[c.Name] == extract.Absent && before[c.Name] != extract.Absent:
			refused = append(
				refused,
				fmt.Sprintf("column %s was there on %s as %s, is not there now", c.Name, on, before[c.Name]),
			)
		case wasThere && !isThere:
			refused = append(
				refused,
				fmt.Sprintf("column %s was there on %s in every file, is not in all of them now", c.Name, on),
			)
		case slices.Contains(is, extract.Empty) && !slices.Contains(was, extract.Empty):
			noted = append(noted, fmt.Sprintf("column %s was %s on %s, has no value now", c.Name, before[c.Name], on))
		case len(added) > 0 && byDay(was, added):
			noted = append(
				noted,
				fmt.Sprintf("column %s was %s on %s, is %s now", c.Name, before[c.Name], on, now[c.Name]),
			)
		case len(added) > 0 && !slices.Contains(was, extract.Text):
			refused = append(
				refused,
				fmt.Sprintf("column %s was %s on %s, is %s now", c.Name, before[c.Name], on, now[c.Name]),
			)
		}
	}
	return refused, noted
}

// byDay tells whether the type may have changed with the day's data alone: some writers choose it by the values that
// there are.
func byDay(was, added []string) bool {
	return slices.Contains(was, extract.Empty) || slices.ContainsFunc(was, extract.Fractional) ||
		!slices.ContainsFunc(added, func(form string) bool { return !extract.Fractional(form) })
}
