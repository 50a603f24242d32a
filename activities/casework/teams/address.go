package teams

import (
	"errors"
	"net/mail"
	"strings"

	"golang.org/x/net/idna"
)

// ParseAddress reads an address as it goes out: name@host or Name <name@host>, a host with letters beyond ASCII in
// punycode (RFC 5891), which every mail server takes. The error does not repeat the address.
func ParseAddress(text string) (*mail.Address, error) {
	a, err := mail.ParseAddress(text)
	if err != nil {
		return nil, errors.New("cannot be read: write name@host or Name <name@host>")
	}
	at := strings.LastIndexByte(a.Address, '@')
	if host := a.Address[at+1:]; !isASCII(host) {
		host, err = idna.Lookup.ToASCII(host)
		if err != nil {
			return nil, errors.New("has a host that no domain can be named: check its letters")
		}
		a.Address = a.Address[:at+1] + host
	}
	return a, nil
}

// NeedsSMTPUTF8 tells whether an address has letters beyond ASCII before the @, which only mail servers with the
// extension SMTPUTF8 take (RFC 6531): there is no other way to write them.
func NeedsSMTPUTF8(a *mail.Address) bool { return !isASCII(a.Address) }

func isASCII(text string) bool {
	return strings.IndexFunc(text, func(r rune) bool { return r > 127 }) < 0
}
