package devserver

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// binaryVariable names a ready server. The Temporal CLI will do, as the flags are its own.
const binaryVariable = "HARMSTACK_DEVSERVER"

// testedServer is the Temporal server that deploy/devserver builds and all tests run on, major and minor: a Temporal
// CLI with an older one is passed over.
var testedServer = [2]int{1, 32}

// Build returns the path of a server's binary: one that is Ready, or else one that it builds from the checkout around
// the working directory, and keeps in the user's cache. It tells out how that goes.
func Build(ctx context.Context, out io.Writer) (string, error) {
	path, err := Ready(ctx)
	if err != nil || path != "" {
		return path, err
	}
	source, err := findSource()
	if err != nil {
		return "", err
	}
	cache, err := cacheFolder()
	if err != nil {
		return "", err
	}
	return build(ctx, out, source, cache)
}

// Ready returns the path of a server that need not be built first, empty when there is none. In this order: what
// HARMSTACK_DEVSERVER names; what was built of this checkout's own sources; a Temporal CLI on the path, unless it is
// older than what the tests run on; outside a checkout, or where there is no Go to build with, whatever was built last.
func Ready(ctx context.Context) (string, error) {
	if binary := os.Getenv(binaryVariable); binary != "" {
		path, err := exec.LookPath(binary)
		if err != nil {
			return "", fmt.Errorf("%s names no program: %w", binaryVariable, err)
		}
		return path, nil
	}
	cache, err := cacheFolder()
	if err != nil {
		return "", err
	}
	source, why := findSource()
	goTool, noGo := exec.LookPath("go")
	if why == nil && noGo == nil {
		path, err := target(ctx, goTool, source, cache)
		if err != nil {
			return "", err
		}
		if _, err := os.Stat(path); err == nil {
			return path, nil
		}
	}
	if path, err := exec.LookPath("temporal"); err == nil && serves(ctx, path) {
		return path, nil
	}
	if why == nil && noGo == nil {
		return "", nil
	}
	if path := lastBuilt(cache); path != "" {
		return path, nil
	}
	if why == nil {
		why = errNoGo
	}
	return "", why
}

var errNoGo = errors.New("the Temporal dev server is built with Go: install it from https://go.dev/dl, " +
	"or name a ready server in " + binaryVariable + " (the Temporal CLI will do)")

// cacheFolder is where servers are kept that were built.
func cacheFolder() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf(
			"no place to keep the Temporal dev server: %w; or name a ready one in %s",
			err,
			binaryVariable,
		)
	}
	return filepath.Join(cache, "harmstack"), nil
}

// serves is whether a Temporal CLI brings a server that is new enough. One that cannot say so does not.
func serves(ctx context.Context, path string) bool {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	said, err := exec.CommandContext(ctx, path, "--version").Output()
	if err != nil {
		return false
	}
	found := serverVersion.FindSubmatch(said)
	if found == nil {
		return false
	}
	major, _ := strconv.Atoi(string(found[1])) // digits, and few of them
	minor, _ := strconv.Atoi(string(found[2]))
	return major > testedServer[0] || major == testedServer[0] && minor >= testedServer[1]
}

// serverVersion is what "temporal --version" says of the server in it: temporal version 1.5.1 (Server 1.29.1, UI
// 2.42.1).
var serverVersion = regexp.MustCompile(`Server (\d{1,4})\.(\d{1,4})\.`)

// lastBuilt is the newest server in the cache, whatever it was built of; empty when there is none.
func lastBuilt(cache string) (path string) {
	var newest time.Time
	found, _ := filepath.Glob(filepath.Join(cache, "devserver-*")) // the pattern is well formed
	for _, f := range found {
		if info, err := os.Stat(f); err == nil && info.Mode().IsRegular() && info.ModTime().After(newest) {
			path, newest = f, info.ModTime()
		}
	}
	return path
}

// findSource walks up from the working directory to the checkout.
func findSource() (string, error) {
	working, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for dir := working; ; dir = filepath.Dir(dir) {
		source := filepath.Join(dir, "deploy", "devserver")
		if isModule(dir, "harmstack") && isModule(source, "harmstack/deploy/devserver") {
			return source, nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("the Temporal dev server is built from a checkout of Harmstack, and %s is in none: "+
				"run this inside one, or name a ready server in %s (the Temporal CLI will do)", working, binaryVariable)
		}
	}
}

func isModule(dir, name string) bool {
	content, _ := os.ReadFile(filepath.Join(dir, "go.mod"))
	for line := range strings.Lines(string(content)) {
		if strings.TrimSpace(line) == "module "+name {
			return true
		}
	}
	return false
}

// target is where the server of those sources and this Go belongs.
func target(ctx context.Context, goTool, source, cache string) (string, error) {
	key, err := cacheKey(ctx, goTool, source)
	name := "devserver-" + key
	if runtime.GOOS == "windows" {
		name += ".exe"
	}
	return filepath.Join(cache, name), err
}

func build(ctx context.Context, out io.Writer, source, cache string) (string, error) {
	goTool, err := exec.LookPath("go")
	if err != nil {
		return "", errNoGo
	}
	path, err := target(ctx, goTool, source, cache)
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return "", err
	}
	// Two builds at once take twice as long, so the second waits and finds the first one's.
	unlock, err := lock(ctx, out, filepath.Join(cache, "devserver.lock"))
	if err != nil {
		return "", err
	}
	defer unlock()
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	temp, err := os.MkdirTemp(cache, "build-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(temp)
	fmt.Fprintf(
		out,
		"Building the Temporal dev server: the first time takes some five minutes on two cores. It is kept in %s.\n",
		cache,
	)
	built := filepath.Join(temp, filepath.Base(path))
	if err := compile(ctx, out, goTool, source, built); err != nil {
		return "", err
	}
	// Whoever looks sees all of the binary or none.
	return path, os.Rename(built, path)
}

// cacheKey changes when the binary would.
func cacheKey(ctx context.Context, goTool, source string) (string, error) {
	version := exec.CommandContext(ctx, goTool, "version")
	version.Dir = source // its go.mod may choose another Go
	sum := sha256.New()
	version.Stdout = sum
	if err := version.Run(); err != nil {
		return "", fmt.Errorf("%s version: %w", goTool, err)
	}
	err := filepath.WalkDir(source, func(path string, d fs.DirEntry, err error) error {
		name := d.Name()
		if err != nil || d.IsDir() || strings.HasSuffix(name, "_test.go") ||
			filepath.Ext(name) != ".go" && name != "go.mod" && name != "go.sum" {
			return err
		}
		content, err := os.ReadFile(path)
		rel, _ := filepath.Rel(source, path) // both are of one walk
		fmt.Fprintf(sum, "%s %d\n%s", filepath.ToSlash(rel), len(content), content)
		return err
	})
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%x", sum.Sum(nil)[:8]), nil
}

func compile(ctx context.Context, out io.Writer, goTool, source, target string) error {
	var said bytes.Buffer
	cmd := exec.CommandContext(
		ctx,
		goTool,
		"build",
		"-trimpath",
		"-buildvcs=false",
		"-ldflags=-s -w",
		"-o",
		target,
		".",
	)
	cmd.Dir = source
	// A workspace knows nothing of this module, and flags such as -race are for other builds.
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=")
	cmd.Stderr = &said
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // a killed go leaves its compilers running
	cmd.WaitDelay = 10 * time.Second

	start := time.Now()
	if err := cmd.Start(); err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	tick := time.NewTicker(30 * time.Second)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			fmt.Fprintf(out, "Still building the Temporal dev server (%s).\n", time.Since(start).Round(time.Second))
		case err := <-done:
			switch {
			case ctx.Err() != nil:
				return fmt.Errorf("building the Temporal dev server: %w", context.Cause(ctx))
			case err != nil:
				return fmt.Errorf("building the Temporal dev server in %s: %w\n%s", source, err, problems(&said))
			}
			return nil
		}
	}
}

// problems leaves out what go says of its downloads.
func problems(said io.Reader) string {
	var lines []string
	for scan := bufio.NewScanner(said); scan.Scan(); {
		if !strings.HasPrefix(scan.Text(), "go: downloading ") {
			lines = append(lines, scan.Text())
		}
	}
	return strings.Join(lines, "\n")
}
