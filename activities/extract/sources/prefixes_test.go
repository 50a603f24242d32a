package sources

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A request names an extract below a prefix, and nothing else, whichever way it is written.
func TestPrefixesAdmit(t *testing.T) {
	t.Parallel()
	scheme()
	dir, outside := t.TempDir(), t.TempDir()
	for _, folder := range []string{"data/deep", "database"} {
		if err := os.MkdirAll(filepath.Join(dir, folder), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for name, to := range map[string]string{
		"data/out": outside, "data/file.parquet": filepath.Join(outside, "x.parquet"), "data/in": filepath.Join(dir, "data/deep"),
		"linked": filepath.Join(dir, "data"),
	} {
		if err := os.Symlink(to, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	p, err := ParsePrefixes(filepath.Join(dir, "data") + ",\n " + filepath.Join(dir, "linked") + "/,test://exports/crimes?region=eu-west-2")
	if err != nil || len(p) != 3 {
		t.Fatal(p, err)
	}
	const whole = "test://exports/crimes/x.parquet?region=eu-west-2"
	for _, c := range []struct{ scenario, name, want string }{
		{"a file of the folder", dir + "/data/x.parquet", dir + "/data/x.parquet"},
		{"the folder itself", dir + "/data", dir + "/data"},
		{"deep in it", dir + "/data/deep/x.csv", dir + "/data/deep/x.csv"},
		{"by a file URL", "file://" + dir + "/data/x.csv", "file://" + dir + "/data/x.csv"},
		{"a link that stays inside", dir + "/data/in/x.csv", dir + "/data/in/x.csv"},
		{"a prefix that is a link", dir + "/linked/x.csv", dir + "/linked/x.csv"},
		{"an object of the bucket", "test://exports/crimes/x.parquet", whole},
		{"with the configured query", whole, whole},
		{"a name that begins alike", dir + "/database/x.csv", ""},
		{"its parent", dir, ""},
		{"somewhere else", outside + "/x.csv", ""},
		{"up and out", dir + "/data/../database/x.csv", ""},
		{"up and in again", dir + "/data/../data/x.csv", ""},
		{"by a file URL, encoded", "file://" + dir + "/data/%2e%2e/database/x.csv", ""},
		{"an encoded slash", "test://exports/crimes%2f..%2fother/x.csv", ""},
		{"a file of another host", "file://host" + dir + "/data/x.csv", ""},
		{"a link that leads out", dir + "/data/out/x.csv", ""},
		{"a link that leads nowhere yet", dir + "/data/file.parquet", ""},
		{"an empty element", dir + "//data/x.csv", ""},
		{"a backslash", dir + `/data/..\x.csv`, ""},
		{"a character nobody sees", dir + "/data/x\x00.csv", ""},
		{"another bucket", "test://export/crimes/x.parquet", ""},
		{"another folder of the bucket", "test://exports/crimes-2/x.parquet", ""},
		{"another scheme", "s3://exports/crimes/x.parquet", ""},
		{"another endpoint", "test://exports/crimes/x.parquet?endpoint=evil.example", ""},
		{"another endpoint beside the region", whole + "&endpoint=evil.example", ""},
		{"another account", "test://exports/crimes/x.parquet?storage_account=evil", ""},
		{"another protocol", "test://exports/crimes/x.parquet?protocol=http", ""},
		{"another profile", "test://exports/crimes/x.parquet?profile=admin", ""},
		{"the metadata service", "http://169.254.169.254/latest", ""},
		{"a database", "postgres://evil/crimes", ""},
		{"a declaration", dir + "/data/evil.yaml", ""},
		{"a declaration in capitals", dir + "/data/evil.YML", ""},
		{"a declaration, encoded", "file://" + dir + "/data/evil.yam%6c", ""},
		{"a fragment", "test://exports/crimes/x#.yaml", ""},
	} {
		got, err := p.Admit(c.name)
		if got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%s: %q, %v", c.scenario, got, err)
		}
		if err != nil && (strings.Contains(err.Error(), dir) || strings.Contains(err.Error(), "evil")) {
			t.Errorf("%s: repeated in %v", c.scenario, err)
		}
	}
	if _, err := Prefixes(nil).Admit(dir + "/data/x.parquet"); err == nil {
		t.Error("without a prefix something is admitted")
	}
}

func TestPrefixesThatAreRefused(t *testing.T) {
	t.Parallel()
	for scenario, text := range map[string]string{
		"the whole machine": "/", "no bucket": "ftp://hidden/x", "credentials": "s3://me:hidden@bucket/x",
		"not plain": "/data/../hidden", "a database": "postgres://hidden/x",
	} {
		if _, err := ParsePrefixes(text); err == nil || strings.Contains(err.Error(), "hidden") {
			t.Errorf("%s: %v", scenario, err)
		}
	}
}
