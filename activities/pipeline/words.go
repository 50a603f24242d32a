package pipeline

import (
	"fmt"
	"strconv"
	"strings"

	"harmstack/schemas/text"
)

// Ageing says when age alone takes the suspect below the cut; empty: nobody knows, or they are not on the stack.
func (e *Explanation) Ageing() string {
	switch {
	case e.BelowCut != nil:
		return fmt.Sprintf("If nothing else happens, age takes them below this night's cut on %s.", e.BelowCut)
	case e.OnStack && e.Contributions != nil && len(e.Lacking) == 0:
		return "Age alone does not take them below this night's cut within a year."
	}
	return ""
}

// Among says under which models they are among the first; empty: the night is compared with none.
func (e *Explanation) Among() string {
	if len(e.Models) == 0 {
		return ""
	}
	all := text.Count(len(e.Models), "model")
	if e.Standing == nil {
		return fmt.Sprintf("Not among the first under any of the %s that the night is compared with.", all)
	}
	var in []string
	for i, name := range e.Models {
		if p := e.Standing.Positions[i]; p != nil {
			in = append(in, name+" #"+strconv.FormatInt(*p, 10))
		}
	}
	return fmt.Sprintf("Among the first under %d of %s (%s): %s.", len(in), all, e.Standing.Standing, strings.Join(in, ", "))
}
