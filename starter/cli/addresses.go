package cli

import (
	"context"
	"fmt"
	"strings"

	"harmstack/activities/casework/teams"
	"harmstack/worker/config"
)

// beyondASCII are the addresses that only some mail servers take, by team and place in its list.
func beyondASCII(who *teams.Teams) (wide []string) {
	for _, p := range who.Everybody() {
		for i, text := range p.Mail {
			if a, err := teams.ParseAddress(text); err == nil && teams.NeedsSMTPUTF8(a) {
				wide = append(wide, fmt.Sprintf("%s, address %d of %d", p.Name, i+1, len(p.Mail)))
			}
		}
	}
	return wide
}

// examineWide asks the mail server whether it takes such addresses. A folder takes everything.
func examineWide(ctx context.Context, m config.Mail, wide []string) error {
	mailer, err := m.Mailer()
	if err != nil {
		return err
	}
	server, ok := mailer.(interface {
		SMTPUTF8(ctx context.Context) (bool, error)
	})
	if !ok {
		return nil
	}
	able, err := server.SMTPUTF8(ctx)
	if err != nil {
		return fmt.Errorf("it cannot be told whether the mail server takes them: %w", err)
	}
	if !able {
		return fmt.Errorf(
			"the mail server takes no letters beyond ASCII before the @ (it has no SMTPUTF8): give another address for %s",
			strings.Join(wide, "; "),
		)
	}
	return nil
}
