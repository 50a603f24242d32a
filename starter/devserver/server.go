// Package devserver runs Temporal on this machine, for demos and tests: it builds
// the server of deploy/devserver on first use, starts it as a child process and
// stops it. It knows nothing of the workflows that run there, and no production
// path may import it.
package devserver

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"
)

// Options say what to start. The zero value is a server in memory on free ports.
type Options struct {
	IP               string // default: 127.0.0.1
	Port             int    // 0: a free one
	UIPort           int    // 0: a free one
	UICodec          string // URL of a codec server by which the UI shows what is encrypted; empty: none
	DBFile           string // SQLite file that keeps everything; empty: in memory
	Namespace        string // created if need be; default: "default"
	SearchAttributes []temporal.SearchAttributeKey
	Log              io.Writer // told how the build goes and what the server complains of; default: standard error
}

// Server is a running server.
type Server struct {
	address, ui string
	process     *os.Process
	exited      chan struct{}
	said        *gate
}

// Address is where clients connect, host:port.
func (s *Server) Address() string { return s.address }

// UIURL is where people look.
func (s *Server) UIURL() string { return "http://" + s.ui }

// Start returns once clients can use the namespace and its search attributes. The
// context bounds only the start: the server runs until Stop, or until this process
// ends.
func Start(ctx context.Context, opts Options) (*Server, error) {
	opts.IP = cmp.Or(opts.IP, "127.0.0.1")
	opts.Namespace = cmp.Or(opts.Namespace, client.DefaultNamespace)
	if opts.Log == nil {
		opts.Log = os.Stderr
	}
	binary, err := Build(ctx, opts.Log)
	if err != nil {
		return nil, err
	}
	// Between finding a free port and using it another process may take it.
	for tries := 3; ; tries-- {
		server, err := start(ctx, binary, opts)
		if err == nil {
			return server, nil
		}
		chosen := opts.Port == 0 || opts.UIPort == 0
		if tries == 1 || !chosen || ctx.Err() != nil {
			return nil, fmt.Errorf("cannot start the Temporal dev server: %w", err)
		}
	}
}

// start execs rather than asks the SDK's testsuite.StartDevServer, which waits a
// minute for a server that has died, and leaves one running when the wait is
// cancelled.
func start(ctx context.Context, binary string, opts Options) (*Server, error) {
	for _, port := range []*int{&opts.Port, &opts.UIPort} {
		var err error
		if *port == 0 {
			*port, err = freePort(opts.IP)
		} else {
			err = untaken(opts.IP, *port)
		}
		if err != nil {
			return nil, err
		}
	}
	args := []string{
		"server", "start-dev",
		"--ip", opts.IP, "--port", strconv.Itoa(opts.Port), "--ui-port", strconv.Itoa(opts.UIPort),
		"--namespace", opts.Namespace, "--log-level", "error",
	}
	if opts.DBFile != "" {
		args = append(args, "--db-filename", opts.DBFile)
	}
	if opts.UICodec != "" {
		args = append(args, "--ui-codec-endpoint", opts.UICodec)
	}
	for _, key := range opts.SearchAttributes {
		args = append(args, "--search-attribute", key.GetName()+"="+key.GetValueType().String())
	}

	s := &Server{
		address: net.JoinHostPort(opts.IP, strconv.Itoa(opts.Port)),
		ui:      net.JoinHostPort(opts.IP, strconv.Itoa(opts.UIPort)),
		exited:  make(chan struct{}),
		said:    &gate{},
	}
	cmd := exec.Command(binary, args...)
	// Variables that say where this process's Temporal is must not configure the server.
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "TEMPORAL_") })
	cmd.Stderr = s.said
	cmd.SysProcAttr = childAttributes()
	if err := s.run(cmd); err != nil {
		return nil, err
	}
	if err := s.wait(ctx, opts); err != nil {
		s.Stop()
		return nil, err
	}
	s.said.open(opts.Log)
	return s, nil
}

// run starts the child and sees to its end.
func (s *Server) run(cmd *exec.Cmd) error {
	started := make(chan error)
	go func() {
		// The parent of which the kernel tells the child is not the process but this thread.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			cmd.Wait()
			close(s.exited)
		}
	}()
	err := <-started
	s.process = cmd.Process
	return err
}

// wait returns when the server does what it is for, or never will.
func (s *Server) wait(ctx context.Context, opts Options) error {
	c, err := client.NewLazyClient(client.Options{
		HostPort:  s.address,
		Namespace: opts.Namespace,
		Logger:    log.NewStructuredLogger(slog.New(slog.DiscardHandler)),
	})
	if err != nil {
		return err
	}
	defer c.Close()
	// A count that names the search attributes needs everything that clients need.
	var terms []string
	for _, key := range opts.SearchAttributes {
		terms = append(terms, key.GetName()+" IS NULL")
	}
	count := &workflowservice.CountWorkflowExecutionsRequest{Query: strings.Join(terms, " AND ")}

	ctx, cancel := context.WithTimeoutCause(ctx, time.Minute, fmt.Errorf("no answer within a minute"))
	defer cancel()
	trying, stopTrying := context.WithCancel(ctx)
	defer stopTrying()
	go func() {
		select {
		case <-s.exited:
			stopTrying()
		case <-trying.Done():
		}
	}()
	for {
		// The UI is the last to come up. A client that asks too early waits a second to ask again.
		if err = s.askUI(trying); err == nil {
			_, err = c.CountWorkflow(trying, count)
		}
		select {
		case <-s.exited:
			// Also when there was an answer: then another server has the port.
			return errors.New(cmp.Or(s.said.text(), "it ended without a word"))
		case <-ctx.Done():
			return fmt.Errorf("%w: %v", context.Cause(ctx), err)
		default:
		}
		if err == nil {
			return nil
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func (s *Server) askUI(ctx context.Context) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.UIURL(), nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("the UI answers %s", response.Status)
	}
	return nil
}

// Stop ends the server and waits for its end. It may be called again.
func (s *Server) Stop() {
	if s.process.Signal(os.Interrupt) != nil {
		s.process.Kill() // there are no signals on Windows
	}
	select {
	case <-s.exited:
	case <-time.After(10 * time.Second):
		s.process.Kill()
		<-s.exited
	}
}

// untaken tells whether nothing listens on a port yet. Whoever does may be another such server, which would answer in
// the place of one that is slow to say that it cannot start.
func untaken(ip string, port int) error {
	listener, err := net.Listen("tcp", net.JoinHostPort(ip, strconv.Itoa(port)))
	if err != nil {
		return err
	}
	return listener.Close()
}

// freePort finds a port that nothing listens on.
func freePort(ip string) (int, error) {
	listener, err := net.Listen("tcp", net.JoinHostPort(ip, "0"))
	if err != nil {
		return 0, err
	}
	defer listener.Close()
	// A connection that the listening end closed keeps the number from being found
	// again for a while; listening on it by number is not hindered.
	dialled, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		return 0, err
	}
	defer dialled.Close()
	accepted, err := listener.Accept()
	if err != nil {
		return 0, err
	}
	return listener.Addr().(*net.TCPAddr).Port, accepted.Close()
}

// gate keeps what is written until it is opened.
type gate struct {
	mu   sync.Mutex
	kept bytes.Buffer
	to   io.Writer
}

func (g *gate) Write(p []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.to == nil {
		return g.kept.Write(p)
	}
	return g.to.Write(p)
}

func (g *gate) open(to io.Writer) {
	g.mu.Lock()
	defer g.mu.Unlock()
	to.Write(g.kept.Bytes())
	g.to = to
}

func (g *gate) text() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return strings.TrimSpace(g.kept.String())
}
