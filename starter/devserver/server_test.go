package devserver

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
)

var (
	asOf     = temporal.NewSearchAttributeKeyTime("AsOf")
	stage    = temporal.NewSearchAttributeKeyKeyword("Stage")
	boroughs = temporal.NewSearchAttributeKeyKeywordList("Boroughs")
)

func night(ctx workflow.Context) error {
	return workflow.UpsertTypedSearchAttributes(ctx, stage.ValueSet("publish"))
}

func TestStart(t *testing.T) {
	server, err := Start(t.Context(), Options{
		Namespace:        "stack",
		SearchAttributes: []temporal.SearchAttributeKey{asOf, stage, boroughs},
		Log:              t.Output(),
	})
	require.NoError(t, err)
	t.Cleanup(server.Stop)

	c := dial(t, server, "stack")
	w := worker.New(c, "nights", worker.Options{})
	w.RegisterWorkflow(night)
	require.NoError(t, w.Start())
	run, err := c.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{
		ID: "night", TaskQueue: "nights",
		TypedSearchAttributes: temporal.NewSearchAttributes(boroughs.ValueSet([]string{"Barnet", "Sutton"})),
	}, night)
	require.NoError(t, err)
	require.NoError(t, run.Get(t.Context(), nil))
	described, err := c.DescribeWorkflow(t.Context(), "night", "")
	require.NoError(t, err)
	reached, ok := described.TypedSearchAttributes.GetKeyword(stage)
	require.True(t, ok)
	require.Equal(t, "publish", reached)

	page, err := http.Get(server.UIURL())
	require.NoError(t, err)
	defer page.Body.Close()
	require.Equal(t, http.StatusOK, page.StatusCode)

	w.Stop()
	server.Stop()
	server.Stop()
	require.False(t, listening(server.Address()))
}

func TestStartKeepsItsFile(t *testing.T) {
	opts := Options{DBFile: filepath.Join(t.TempDir(), "temporal.db"), Log: t.Output()}
	first, err := Start(t.Context(), opts)
	require.NoError(t, err)
	t.Cleanup(first.Stop)
	_, err = dial(t, first, "default").ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{ID: "night", TaskQueue: "nights"}, night)
	require.NoError(t, err)
	first.Stop()

	opts.SearchAttributes = []temporal.SearchAttributeKey{stage} // newer than the file
	second, err := Start(t.Context(), opts)
	require.NoError(t, err)
	t.Cleanup(second.Stop)
	c := dial(t, second, "default")
	_, err = c.DescribeWorkflow(t.Context(), "night", "")
	require.NoError(t, err)
	_, err = c.CountWorkflow(t.Context(), &workflowservice.CountWorkflowExecutionsRequest{Query: "Stage = 'publish'"})
	require.NoError(t, err)
}

func TestStartSaysWhyNot(t *testing.T) {
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer busy.Close()
	taken := busy.Addr().(*net.TCPAddr).Port
	var log bytes.Buffer

	_, err = Start(t.Context(), Options{Port: taken, Log: &log})
	require.ErrorContains(t, err, fmt.Sprintf("listen tcp 127.0.0.1:%d: bind: address already in use", taken))
	_, err = Start(t.Context(), Options{DBFile: "/nowhere/temporal.db", Log: &log})
	require.ErrorContains(t, err, "no folder /nowhere")
	require.Empty(t, log.String(), "what the error says is not said twice")

	ended, end := context.WithCancel(t.Context())
	end()
	_, err = Start(ended, Options{Log: &log})
	require.ErrorContains(t, err, "context canceled")
}

func dial(t *testing.T, server *Server, namespace string) client.Client {
	t.Helper()
	c, err := client.Dial(client.Options{HostPort: server.Address(), Namespace: namespace})
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}

func listening(address string) bool {
	conn, err := net.Dial("tcp", address)
	if err == nil {
		conn.Close()
	}
	return err == nil
}
