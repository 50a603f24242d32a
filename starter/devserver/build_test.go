package devserver

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

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
