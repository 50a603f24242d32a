// Command worker runs the nights, decisions and taskings of one deployment, which its environment
// describes: worker --help lists the variables. It must hold nothing but the start and the end of the process: what a
// worker is made of is in worker/service.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"go.temporal.io/sdk/log"

	_ "harmstack/activities/store/drivers" // buckets by URL
	"harmstack/worker/config"
	"harmstack/worker/service"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "worker:", err)
		os.Exit(1)
	}
}

// run works until ctx ends.
func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("worker", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	help := flags.Bool("help", false, "")
	err := flags.Parse(args)
	if *help || errors.Is(err, flag.ErrHelp) {
		_, err := fmt.Fprint(
			out,
			"worker runs the nights, decisions and taskings of one deployment until it is stopped.\n\n",
			config.Usage,
		)
		return err
	}
	if err != nil || flags.NArg() > 0 {
		return errors.New("it takes no arguments: the environment describes the deployment, see worker --help")
	}
	cfg, err := config.Load(os.Getenv)
	if err != nil {
		return err
	}
	slog.SetDefault(slog.New(slog.NewJSONHandler(out, nil)))
	logger := log.NewStructuredLogger(slog.Default())
	switch {
	case len(cfg.Payloads.Keys) == 0:
		logger.Warn("what passes through Temporal is not encrypted: no real data may pass")
	case cfg.Payloads.Older:
		logger.Warn("what was sent through Temporal in clear is still read: take the word older from HARMSTACK_PAYLOAD_KEYS " +
			"once what began before the keys has ended")
	}
	c, err := cfg.Dial(logger)
	if err != nil {
		return err
	}
	defer c.Close()
	s, err := service.New(ctx, c, cfg)
	if err != nil {
		return err
	}
	return s.Run(ctx)
}
