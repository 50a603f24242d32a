package devserver

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// parentVariable makes of the test binary a program that starts a server and never stops it.
const parentVariable = "HARMSTACK_TEST_PARENT"

func TestMain(m *testing.M) {
	if os.Getenv(parentVariable) == "" {
		os.Exit(m.Run())
	}
	server, err := Start(context.Background(), Options{})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(server.Address())
	select {}
}

// A server that finds its ports taken is tried again with others, and sees nothing
// of this process's Temporal settings.
func TestStartTriesAgain(t *testing.T) {
	binary, err := Build(t.Context(), t.Output())
	require.NoError(t, err)
	dir := t.TempDir()
	script := filepath.Join(dir, "server")
	require.NoError(t, os.WriteFile(script, fmt.Appendf(nil, `#!/bin/sh
echo "$*" >>%[1]s/tried
env >>%[1]s/env
[ $(wc -l <%[1]s/tried) -gt 2 ] || exit 1
exec %[2]s "$@"
`, dir, binary), 0o755))
	t.Setenv("HARMSTACK_DEVSERVER", script)
	t.Setenv("TEMPORAL_ADDRESS", "production:7233")

	server, err := Start(t.Context(), Options{Log: t.Output()})
	require.NoError(t, err)
	t.Cleanup(server.Stop)
	tried, err := os.ReadFile(filepath.Join(dir, "tried"))
	require.NoError(t, err)
	lines := strings.Split(strings.TrimSpace(string(tried)), "\n")
	require.Len(t, lines, 3)
	require.NotEqual(t, lines[0], lines[1])
	env, err := os.ReadFile(filepath.Join(dir, "env"))
	require.NoError(t, err)
	require.NotContains(t, string(env), "TEMPORAL_")
}

func TestServerEndsWithItsParent(t *testing.T) {
	parent := exec.Command(os.Args[0])
	parent.Env = append(os.Environ(), parentVariable+"=1")
	parent.Stderr = t.Output()
	stdout, err := parent.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, parent.Start())
	var address string
	_, err = fmt.Fscanln(stdout, &address)
	require.NoError(t, err)
	require.True(t, listening(address))

	require.NoError(t, parent.Process.Kill())
	_, err = io.Copy(io.Discard, stdout)
	require.NoError(t, err)
	require.Error(t, parent.Wait())
	require.Eventually(t, func() bool { return !listening(address) }, time.Minute, 10*time.Millisecond)
}
