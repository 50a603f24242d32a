package cli

import "testing"

func TestThousands(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", 36000: "36,000", -1234567: "-1,234,567", -123: "-123"} {
		if got := thousands(n); got != want {
			t.Errorf("%d: got %s", n, got)
		}
	}
}

func TestDays(t *testing.T) {
	for d, want := range map[float64]string{0.1: "0.1", 547.5: "547.5", 474500: "474,500.0"} {
		if got := days(d); got != want {
			t.Errorf("%v: got %s", d, got)
		}
	}
}
