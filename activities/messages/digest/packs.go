package digest

import (
	"slices"
	"strings"
)

// MayHold tells whether an address gets the packs of the message: when its domain is exactly one of those that may hold
// them.
func (m Message) MayHold(address string) bool {
	domain := address[strings.LastIndexByte(address, '@')+1:]
	return len(m.Packs) > 0 && slices.Contains(m.PackDomains, strings.ToLower(domain))
}

// Holders counts the addresses that get the packs.
func (m Message) Holders() (n int) {
	for _, a := range m.To {
		if m.MayHold(a.Address) {
			n++
		}
	}
	return n
}

// letters are the message as it goes out: without the packs, and with them under an id of its own. Both name all
// addresses, of which each has its own that it is for.
func (m Message) letters() (without, with Message) {
	without, with = m, m
	without.Packs = nil
	with.Key += "-packs"
	return without, with
}
