// Command devserver is Temporal for one machine: the real server and its web
// page in one process, with SQLite below. It is what demos and tests run
// against, and takes the flags of "temporal server start-dev", so either can
// stand in for the other.
//
// It is a module of its own, because the server brings some hundred modules that
// no other part needs, and it must know nothing of Harmstack. It has no
// authentication and is not for production.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"
	_ "time/tzdata" // schedules name time zones, and the machine may have no list of them

	enumspb "go.temporal.io/api/enums/v1"
	"gopkg.in/yaml.v3"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal does not wait
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "devserver:", err)
		os.Exit(1)
	}
}

// run serves until the context ends.
func run(ctx context.Context, args []string, out io.Writer) error {
	opts, err := parse(args, out)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	s, err := start(ctx, opts)
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return nil // told to stop before it was up
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "Temporal server: %s\n", hostPort(opts.ip, opts.port))
	if !opts.headless {
		fmt.Fprintf(out, "Temporal UI:     http://%s\n", hostPort(opts.uiIP, opts.uiPort))
	}
	<-ctx.Done()
	return s.stop()
}

// options are what the flags say.
type options struct {
	ip, uiIP                            string
	port, httpPort, metricsPort, uiPort int
	uiCodecEndpoint                     string
	headless                            bool
	dbFile                              string // empty: in memory
	namespaces                          []string
	searchAttributes                    map[string]enumspb.IndexedValueType
	dynamicConfig                       map[string]any
	logLevel, logFormat                 string
}

func parse(args []string, out io.Writer) (options, error) {
	opts := options{
		// SDKs expect this one, whatever others are asked for.
		namespaces:       []string{"default"},
		searchAttributes: map[string]enumspb.IndexedValueType{},
		dynamicConfig:    map[string]any{},
	}
	if len(args) < 2 || args[0] != "server" || args[1] != "start-dev" {
		return opts, errors.New("usage: devserver server start-dev [flags]; -h lists the flags")
	}

	flags := flag.NewFlagSet("devserver server start-dev", flag.ContinueOnError)
	flags.SetOutput(out)
	flags.StringVar(&opts.ip, "ip", "localhost", "address to serve on")
	flags.IntVar(&opts.port, "port", 7233, "gRPC port")
	flags.IntVar(&opts.httpPort, "http-port", 0, "port of the HTTP API (0: none)")
	flags.IntVar(&opts.metricsPort, "metrics-port", 0, "port of the Prometheus metrics (0: none)")
	flags.BoolVar(&opts.headless, "headless", false, "no web page")
	flags.StringVar(&opts.uiIP, "ui-ip", "", "address of the web page (default: as --ip)")
	flags.IntVar(&opts.uiPort, "ui-port", 0, "port of the web page (default: the gRPC port + 1000)")
	flags.StringVar(&opts.uiCodecEndpoint, "ui-codec-endpoint", "", "codec server the web page decrypts with")
	flags.StringVar(&opts.dbFile, "db-filename", "", "SQLite file to keep everything in (default: in memory)")
	flags.StringVar(&opts.logLevel, "log-level", "error", "debug, info, warn, error or never")
	flags.StringVar(&opts.logFormat, "log-format", "text", "text or json")
	flags.Func("namespace", "namespace to create beside \"default\" (repeatable)", func(s string) error {
		opts.namespaces = append(opts.namespaces, s)
		return nil
	})
	flags.Func("search-attribute", "search attribute of every namespace, NAME=TYPE (repeatable)", func(s string) error {
		name, value, ok := strings.Cut(s, "=")
		kind, err := enumspb.IndexedValueTypeFromString(value)
		if !ok || name == "" || err != nil || kind == enumspb.INDEXED_VALUE_TYPE_UNSPECIFIED {
			return errors.New("want NAME=TYPE, with Bool, Datetime, Double, Int, Keyword, KeywordList or Text for the type")
		}
		opts.searchAttributes[name] = kind
		return nil
	})
	flags.Func("dynamic-config-value", "setting of the server, KEY=VALUE with a value in JSON (repeatable)", func(s string) error {
		key, text, ok := strings.Cut(s, "=")
		if !ok || key == "" {
			return errors.New("want KEY=VALUE")
		}
		// YAML takes all of JSON and keeps whole numbers whole, as the server wants them.
		var value any
		if err := yaml.Unmarshal([]byte(text), &value); err != nil {
			return err
		}
		opts.dynamicConfig[key] = value
		return nil
	})
	if err := flags.Parse(args[2:]); err != nil {
		return opts, err
	}
	if flags.NArg() > 0 {
		return opts, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}

	if opts.uiIP == "" {
		opts.uiIP = opts.ip
	}
	for _, ip := range []*string{&opts.ip, &opts.uiIP} {
		if *ip == "localhost" {
			*ip = loopback // the server binds to addresses, not to names
		}
		if net.ParseIP(*ip) == nil {
			return opts, fmt.Errorf("%q is no address to serve on", *ip)
		}
	}
	if opts.uiPort == 0 {
		opts.uiPort = opts.port + 1000
	}
	return opts, nil
}
