package digest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/mail"
	"os"
	"path/filepath"
)

type outbox struct {
	folder string
	from   *mail.Address
}

// NewOutbox is a Mailer for a deployment without a mail server: each message becomes <Key>.eml in the
// folder, for its owner only. The folder is made.
func NewOutbox(folder, from string) (Mailer, error) {
	a, err := sender(from)
	if err != nil {
		return nil, err
	}
	if folder == "" {
		return nil, errors.New("mail: no outbox folder is configured")
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, fmt.Errorf("mail: the outbox folder: %w", err)
	}
	return outbox{folder, a}, nil
}

// ErrPacksInFolder says that packs were to go into a folder, where whoever reads it reads their ids.
var ErrPacksInFolder = errors.New("attachments: packs takes a mail server: a folder of messages keeps no ids " +
	"(remove it from the teams' file, or set HARMSTACK_SMTP instead of HARMSTACK_OUTBOX)")

// Send writes the file, whole or not at all; one that is there stays as it is.
func (o outbox) Send(_ context.Context, m Message) error {
	if len(m.Packs) > 0 { // the files lie in clear
		return ErrPacksInFolder
	}
	data, err := m.Bytes(o.from)
	if err != nil {
		return err
	}
	tmp, err := os.CreateTemp(o.folder, ".new-*") // mode 0600
	if err != nil {
		return fmt.Errorf("mail: the outbox: %w", err)
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(data)
	if err := errors.Join(err, tmp.Sync(), tmp.Close()); err != nil {
		return fmt.Errorf("mail: the outbox: %w", err)
	}
	if err := os.Link(tmp.Name(), filepath.Join(o.folder, m.Key+".eml")); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("mail: the outbox: %w", err)
	}
	return nil
}

// ProbeOutbox tells whether messages can be put into a folder, and leaves nothing behind. A folder that is not there
// yet is as good as one in which it could be made.
func ProbeOutbox(folder string) error {
	probe := folder
	for ; ; probe = filepath.Dir(probe) {
		info, err := os.Stat(probe)
		if errors.Is(err, fs.ErrNotExist) && probe != filepath.Dir(probe) {
			continue
		}
		if err == nil && !info.IsDir() {
			err = fmt.Errorf("%s is no folder", probe)
		}
		if err != nil {
			return fmt.Errorf("mail: the outbox folder: %w", err)
		}
		break
	}
	tmp, err := os.CreateTemp(probe, ".new-*")
	if err != nil {
		return fmt.Errorf("mail: the outbox folder: %w", err)
	}
	defer os.Remove(tmp.Name())
	// A message appears by a link, whole or not at all.
	defer os.Remove(tmp.Name() + "-link")
	if err := errors.Join(tmp.Close(), os.Link(tmp.Name(), tmp.Name()+"-link")); err != nil {
		return fmt.Errorf("mail: the outbox folder: %w", err)
	}
	return nil
}
