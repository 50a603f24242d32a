// Command starter is the one command line of Harmstack: it makes data, starts and follows nights, takes
// the officer's decision and shows what is published. `starter --help` lists the commands. It must hold nothing but the
// start of the command line: what the commands do is in starter/cli.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	_ "harmstack/activities/store/drivers" // buckets by URL
	"harmstack/starter/cli"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := cli.Run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "starter:", err)
		os.Exit(1)
	}
}
