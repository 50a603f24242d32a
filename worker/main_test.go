package main

import (
	"bytes"
	"strings"
	"testing"
)

func TestRun(t *testing.T) {
	t.Setenv("HARMSTACK_STORE", "")
	for _, c := range []struct {
		scenario string
		args     []string
		out, err string
	}{
		{"help", []string{"--help"}, "HARMSTACK_STORE ", ""},
		{"an argument", []string{"night"}, "", "takes no arguments"},
		{"a flag that is unknown", []string{"--fast"}, "", "takes no arguments"},
		{"nothing configured", nil, "", "HARMSTACK_STORE: name the folder"},
	} {
		t.Run(c.scenario, func(t *testing.T) {
			var out bytes.Buffer
			err := run(t.Context(), c.args, &out)
			if !strings.Contains(out.String(), c.out) || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
				t.Errorf("%v\n%s", err, out.String())
			}
		})
	}
}
