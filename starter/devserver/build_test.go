package devserver

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestBuildKeepsWhatItBuilt(t *testing.T) {
	t.Setenv(binaryVariable, "")
	first, err := Build(t.Context(), t.Output())
	require.NoError(t, err)
	var said bytes.Buffer
	again, err := Build(t.Context(), &said)
	require.NoError(t, err)
	require.Equal(t, first, again)
	require.Empty(t, said.String())
}

func TestBuildTakesAReadyServer(t *testing.T) {
	goTool, err := exec.LookPath("go") // any program does
	require.NoError(t, err)
	t.Chdir(t.TempDir())
	t.Setenv(binaryVariable, goTool)
	path, err := Build(t.Context(), t.Output())
	require.NoError(t, err)
	require.Equal(t, goTool, path)

	t.Setenv(binaryVariable, "/nowhere/server")
	_, err = Build(t.Context(), t.Output())
	require.ErrorContains(t, err, "HARMSTACK_DEVSERVER names no program")
}

func TestBuildSaysWhatItNeeds(t *testing.T) {
	t.Setenv(binaryVariable, "")
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	t.Run("Go", func(t *testing.T) {
		t.Setenv("PATH", t.TempDir())
		_, err := Build(t.Context(), t.Output())
		require.ErrorContains(t, err, "install it from https://go.dev/dl, or name a ready server in HARMSTACK_DEVSERVER")
	})
	t.Run("a checkout", func(t *testing.T) {
		t.Chdir(t.TempDir())
		_, err := Build(t.Context(), t.Output())
		require.ErrorContains(t, err, "run this inside one, or name a ready server in HARMSTACK_DEVSERVER")
	})
}

// A program that was built and carried away finds a server without a checkout and without Go.
func TestReady(t *testing.T) {
	t.Setenv(binaryVariable, "")
	for _, c := range []struct {
		scenario string
		outside  bool   // of a checkout
		cli      string // what a temporal on the path says of itself; empty: there is none
		built    bool   // something was, some time
		want     string // the name of what is found; empty: nothing
	}{
		{"nothing is there, and all is there to build it with", false, "", false, ""},
		{"what was built of other sources is no server of this checkout", false, "", true, ""},
		{"the Temporal CLI serves", false, "temporal version 1.7.0 (Server 1.32.0, UI 2.55.0)", false, "temporal"},
		{"one that is newer by a major version serves", false, "temporal version 3.0.0 (Server 2.0.1, UI 3.0.0)", false, "temporal"},
		{"one that is too old does not", false, "temporal version 1.0.0 (Server 1.9.2, UI 2.30.0)", false, ""},
		{"one that does not say does not", false, "tctl version 1.18", false, ""},
		{"outside a checkout, what was built last serves", true, "", true, "devserver-new"},
		{"outside a checkout, the Temporal CLI goes before it", true, "temporal version 1.7.0 (Server 1.33.1, UI 2.55.0)", true, "temporal"},
		{"outside a checkout, an old CLI does not", true, "temporal version 1.7.0 (Server 1.31.9, UI 2.55.0)", true, "devserver-new"},
	} {
		t.Run(c.scenario, func(t *testing.T) {
			cache, bin := t.TempDir(), t.TempDir()
			t.Setenv("XDG_CACHE_HOME", cache)
			goTool, err := exec.LookPath("go")
			require.NoError(t, err)
			t.Setenv("PATH", bin+string(os.PathListSeparator)+filepath.Dir(goTool))
			if c.cli != "" {
				script := "#!/bin/sh\n[ \"$*\" = --version ] && echo '" + c.cli + "'\n"
				require.NoError(t, os.WriteFile(filepath.Join(bin, "temporal"), []byte(script), 0o755))
			}
			if c.built {
				require.NoError(t, os.Mkdir(filepath.Join(cache, "harmstack"), 0o755))
				for name, age := range map[string]time.Duration{"devserver-old": 2 * time.Hour, "devserver-new": time.Hour, "devserver-older": 3 * time.Hour} {
					file := filepath.Join(cache, "harmstack", name)
					require.NoError(t, os.WriteFile(file, nil, 0o755))
					require.NoError(t, os.Chtimes(file, time.Now(), time.Now().Add(-age)))
				}
			}
			if c.outside {
				t.Chdir(t.TempDir())
			}
			path, err := Ready(t.Context())
			require.NoError(t, err)
			if path != "" {
				path = filepath.Base(path)
			}
			require.Equal(t, c.want, path)
		})
	}
}

// What a Temporal CLI must bring is what the tests run on.
func TestTestedServer(t *testing.T) {
	mod, err := os.ReadFile(filepath.FromSlash("../../deploy/devserver/go.mod"))
	require.NoError(t, err)
	require.Contains(t, string(mod), fmt.Sprintf("go.temporal.io/server v%d.%d.", testedServer[0], testedServer[1]))
}

func TestFindSource(t *testing.T) {
	found, err := findSource()
	require.NoError(t, err)
	t.Chdir(found) // the nested module is not the checkout
	again, err := findSource()
	require.NoError(t, err)
	require.Equal(t, found, again)
}

func TestBuildOfAnySource(t *testing.T) {
	source, cache := t.TempDir(), t.TempDir()
	write := func(name, content string) {
		require.NoError(t, os.WriteFile(filepath.Join(source, name), []byte(content), 0o644))
	}
	write("go.mod", "module small\n\ngo 1.26\n")
	write("main.go", "package main\n\nfunc main() {}\n")

	// Several at once, as the tests of several packages are.
	paths, outs := make([]string, 4), make([]bytes.Buffer, 4)
	var group sync.WaitGroup
	for i := range paths {
		group.Go(func() { paths[i], _ = build(t.Context(), &outs[i], source, cache) })
	}
	group.Wait()
	for _, path := range paths {
		require.Equal(t, paths[0], path)
	}
	require.NoError(t, exec.Command(paths[0]).Run())

	write("main_test.go", "package main\n")
	same, err := build(t.Context(), t.Output(), source, cache)
	require.NoError(t, err)
	require.Equal(t, paths[0], same)

	write("main.go", "package main\n\nfunc main() { println() }\n")
	changed, err := build(t.Context(), t.Output(), source, cache)
	require.NoError(t, err)
	require.NotEqual(t, paths[0], changed)

	write("main.go", "package main\n\nfunc main() { undefined() }\n")
	_, err = build(t.Context(), t.Output(), source, cache)
	require.ErrorContains(t, err, "undefined: undefined")
	left, err := filepath.Glob(filepath.Join(cache, "build-*"))
	require.NoError(t, err)
	require.Empty(t, left)
}
