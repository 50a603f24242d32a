package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"
	taskqueuepb "go.temporal.io/api/taskqueue/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/server/common/testing/freeport"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

func TestServes(t *testing.T) {
	s := serve(t, "--namespace", "stack", "--search-attribute", "AsOf=Datetime", "--search-attribute", "Stage=Keyword")

	namespaces, err := s.ListNamespaces(t.Context(), &workflowservice.ListNamespacesRequest{})
	require.NoError(t, err)
	var names []string
	for _, n := range namespaces.Namespaces {
		names = append(names, n.NamespaceInfo.Name)
	}
	require.Subset(t, names, []string{"default", "stack"})

	attributes, err := s.ListSearchAttributes(t.Context(), &operatorservice.ListSearchAttributesRequest{Namespace: "stack"})
	require.NoError(t, err)
	require.Equal(t, map[string]enumspb.IndexedValueType{
		"AsOf":  enumspb.INDEXED_VALUE_TYPE_DATETIME,
		"Stage": enumspb.INDEXED_VALUE_TYPE_KEYWORD,
	}, attributes.CustomAttributes)
	s.begin(t, "night")
	_, err = s.CountWorkflowExecutions(t.Context(), &workflowservice.CountWorkflowExecutionsRequest{
		Namespace: "stack", Query: "AsOf IS NULL AND Stage = 'rank'",
	})
	require.NoError(t, err)

	for path, want := range map[string]string{
		"/healthz":                       "OK",
		"/namespaces/stack/workflows":    "<html",
		"/api/v1/namespaces/stack":       `"stack"`,
		"/api/v1/namespaces?pageSize=10": `"default"`,
	} {
		resp, err := http.Get("http://" + s.ui + path)
		require.NoError(t, err)
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, http.StatusOK, resp.StatusCode, path)
		require.Contains(t, string(body), want, path)
	}
}

func TestKeepsItsFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "temporal.db")
	first := serve(t, "--db-filename", file, "--namespace", "stack", "--search-attribute", "Stage=Keyword")
	first.begin(t, "night")
	require.NoError(t, first.stop())

	second := serve(t, "--db-filename", file, "--namespace", "stack", "--namespace", "other",
		"--search-attribute", "Stage=Keyword", "--search-attribute", "Borough=Keyword")
	_, err := second.DescribeWorkflowExecution(t.Context(), &workflowservice.DescribeWorkflowExecutionRequest{
		Namespace: "stack", Execution: &commonpb.WorkflowExecution{WorkflowId: "night"},
	})
	require.NoError(t, err)
	for _, namespace := range []string{"stack", "other"} {
		attributes, err := second.ListSearchAttributes(t.Context(), &operatorservice.ListSearchAttributesRequest{Namespace: namespace})
		require.NoError(t, err)
		require.Contains(t, attributes.CustomAttributes, "Stage")
		require.Contains(t, attributes.CustomAttributes, "Borough")
	}
	require.NoError(t, second.stop())

	_, err = start(t.Context(), parsed(t, "--db-filename", file, "--search-attribute", "Stage=Int"))
	require.ErrorContains(t, err, "search attribute Stage of default is a Keyword in "+file+", not a Int")
}

func TestRefuses(t *testing.T) {
	busy, err := net.Listen("tcp", loopback+":0")
	require.NoError(t, err)
	defer busy.Close()
	taken := strconv.Itoa(busy.Addr().(*net.TCPAddr).Port)
	free := strconv.Itoa(freeport.MustGetFreePort())

	for name, c := range map[string]struct{ args, want string }{
		"no command":         {"", "usage: devserver server start-dev"},
		"another command":    {"server stop", "usage: devserver server start-dev"},
		"an unknown flag":    {"server start-dev --colour red", "not defined: -colour"},
		"an argument":        {"server start-dev now", `unexpected argument "now"`},
		"a busy port":        {"server start-dev --port " + taken, "address already in use; give a free one with --port"},
		"a busy UI port":     {"server start-dev --port " + free + " --ui-port " + taken, "give a free one with --ui-port"},
		"one port for two":   {"server start-dev --port " + free + " --ui-port " + free, "give a free one with --ui-port"},
		"no such port":       {"server start-dev --headless --port 70000", "no port has the number 70000"},
		"a host name":        {"server start-dev --ip example.org", `"example.org" is no address`},
		"an attribute alone": {"server start-dev --search-attribute Stage", "want NAME=TYPE"},
		"an unknown type":    {"server start-dev --search-attribute Stage=String", "want NAME=TYPE"},
		"no such folder":     {"server start-dev --headless --port " + free + " --db-filename /nowhere/t.db", "no folder /nowhere"},
		"an unknown level":   {"server start-dev --headless --port " + free + " --log-level loud", `no log level is called "loud"`},
	} {
		t.Run(name, func(t *testing.T) {
			err := run(t.Context(), strings.Fields(c.args), io.Discard)
			require.ErrorContains(t, err, c.want)
			require.NotContains(t, err.Error(), "\n")
		})
	}
}

func TestStopsWhileItStarts(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	args := []string{"server", "start-dev", "--port", strconv.Itoa(freeport.MustGetFreePort()), "--ui-port", strconv.Itoa(freeport.MustGetFreePort())}
	require.NoError(t, run(ctx, args, io.Discard))
}

// The flags are those testsuite.StartDevServer of the Go SDK gives.
func TestTakesTheFlagsOfTheSDK(t *testing.T) {
	opts := parsed(t, "--ip", "127.0.0.1", "--port", "7233", "--namespace", "default",
		"--dynamic-config-value", "frontend.enableServerVersionCheck=false",
		"--log-level", "warn", "--log-format", "pretty", "--headless", "--db-filename", "t.db", "--ui-port", "8080",
		"--search-attribute", "Stage=Keyword", "--search-attribute", "Boroughs=KeywordList",
		"--dynamic-config-value", "limit.maxIDLength=255", "--dynamic-config-value", `a.text="b"`)
	require.Equal(t, map[string]any{
		"frontend.enableServerVersionCheck": false, "limit.maxIDLength": 255, "a.text": "b",
	}, opts.dynamicConfig)
	require.Equal(t, map[string]enumspb.IndexedValueType{
		"Stage":    enumspb.INDEXED_VALUE_TYPE_KEYWORD,
		"Boroughs": enumspb.INDEXED_VALUE_TYPE_KEYWORD_LIST,
	}, opts.searchAttributes)
	require.True(t, opts.headless)
	require.Equal(t, 8080, opts.uiPort)
	_, _, err := newLogger(opts)
	require.NoError(t, err)
}

func parsed(t *testing.T, args ...string) options {
	t.Helper()
	fixed := []string{"server", "start-dev"}
	if !slices.Contains(args, "--port") {
		fixed = append(fixed, "--port", strconv.Itoa(freeport.MustGetFreePort()))
	}
	if !slices.Contains(args, "--ui-port") {
		fixed = append(fixed, "--ui-port", strconv.Itoa(freeport.MustGetFreePort()))
	}
	opts, err := parse(append(fixed, args...), io.Discard)
	require.NoError(t, err)
	return opts
}

type served struct {
	workflowservice.WorkflowServiceClient
	operatorservice.OperatorServiceClient
	ui   string
	stop func() error
}

func serve(t *testing.T, args ...string) served {
	t.Helper()
	opts := parsed(t, args...)
	server, err := start(t.Context(), opts)
	require.NoError(t, err)
	stopped := false
	s := served{ui: hostPort(opts.uiIP, opts.uiPort), stop: func() error {
		stopped = true
		return server.stop()
	}}
	t.Cleanup(func() {
		if !stopped {
			require.NoError(t, server.stop())
		}
	})
	conn, err := grpc.NewClient(hostPort(opts.ip, opts.port), grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	s.WorkflowServiceClient = workflowservice.NewWorkflowServiceClient(conn)
	s.OperatorServiceClient = operatorservice.NewOperatorServiceClient(conn)
	return s
}

// begin starts a workflow that sets the search attribute Stage, which no worker takes.
func (s served) begin(t *testing.T, id string) {
	t.Helper()
	_, err := s.StartWorkflowExecution(t.Context(), &workflowservice.StartWorkflowExecutionRequest{
		Namespace: "stack", WorkflowId: id, RequestId: id,
		WorkflowType: &commonpb.WorkflowType{Name: "Night"},
		TaskQueue:    &taskqueuepb.TaskQueue{Name: "nights"},
		SearchAttributes: &commonpb.SearchAttributes{IndexedFields: map[string]*commonpb.Payload{"Stage": {
			Metadata: map[string][]byte{"encoding": []byte("json/plain")}, Data: []byte(`"rank"`),
		}}},
	})
	require.NoError(t, err)
}
