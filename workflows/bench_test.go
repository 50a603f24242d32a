package workflows

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"harmstack/activities/store/seal"
	"harmstack/schemas"
	"harmstack/starter/synthetic"
)

// BenchmarkSealedNight runs a night in a plain store and in a sealed one, in turn, and says the median of what the seal
// costs, in time and in the processor's time, which hardly depends on who else is busy. The extract is the file that HARMSTACK_BENCH names, else a synthetic one of a million rows.
func BenchmarkSealedNight(b *testing.B) {
	extract := os.Getenv("HARMSTACK_BENCH")
	if extract == "" {
		var data bytes.Buffer
		if _, err := synthetic.Write(b.Context(), &data, synthetic.Options{AsOf: asOf, Suspects: 340_000, Seed: 1}); err != nil {
			b.Fatal(err)
		}
		extract = filepath.Join(b.TempDir(), "extract.parquet")
		if err := os.WriteFile(extract, data.Bytes(), 0o600); err != nil {
			b.Fatal(err)
		}
	}
	night := func(key string) (took, processor float64) {
		d := newDeployment(b)
		d.acts.Nightly.Sources["default"] = extract
		if err := d.store.Seal(b.Context(), key); err != nil {
			b.Fatal(err)
		}
		env := d.env(b, "night")
		env.SetTestTimeout(time.Hour)
		stopAtDecision(env)
		begun, used := time.Now(), processorTime(b)
		env.ExecuteWorkflow(NightlyRun, schemas.NightRequest{AsOf: asOf})
		took, processor = time.Since(begun).Seconds(), processorTime(b)-used
		if err := env.GetWorkflowError(); err != nil {
			b.Fatal(err)
		}
		if err := os.RemoveAll(filepath.Dir(d.extract)); err != nil { // of ten million rows there are many gigabytes
			b.Fatal(err)
		}
		return took, processor
	}
	key := storeKey(b)
	var times, processor, plain, sealed []float64
	for i := 0; b.Loop(); i++ {
		keys := []string{seal.None, key}
		if i%2 == 1 {
			slices.Reverse(keys)
		}
		took, used := map[string]float64{}, map[string]float64{}
		for _, k := range keys {
			took[k], used[k] = night(k)
		}
		plain, sealed = append(plain, took[seal.None]), append(sealed, took[key])
		times, processor = append(times, took[key]/took[seal.None]), append(processor, used[key]/used[seal.None])
		b.Logf("plain %.2f s, sealed %.2f s: %.3f; processor %.2f s, %.2f s: %.3f", plain[i], sealed[i], times[i], used[seal.None], used[key], processor[i])
	}
	median := func(of []float64) float64 { return slices.Sorted(slices.Values(of))[len(of)/2] }
	b.ReportMetric(median(times), "sealed/plain")
	b.ReportMetric(median(processor), "sealed/plain-cpu")
	b.ReportMetric(median(plain), "s/plain")
	b.ReportMetric(median(sealed), "s/sealed")
}

// processorTime is what this process has used, in seconds.
func processorTime(b *testing.B) float64 {
	b.Helper()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano()).Seconds()
}
