package seal

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"gocloud.dev/secrets"
	"gocloud.dev/secrets/localsecrets"
)

// KEK is a key-encryption key: data keys are wrapped by it, and nothing else is. It lies away from the store.
type KEK struct {
	keeper *secrets.Keeper
	name   string
}

// None is what HARMSTACK_STORE_KEY says where nothing is to be sealed.
const None = "none"

// OpenKEK opens the key-encryption key that a URL names: file:///path to 32 random bytes in base64, or a key of a
// service, by a driver that the program was built with. The error does not repeat a URL, which may hold a secret.
func OpenKEK(ctx context.Context, rawURL string) (*KEK, error) {
	u, err := url.Parse(rawURL)
	if err != nil || u.Scheme == "" {
		return nil, fmt.Errorf(
			"HARMSTACK_STORE_KEY: give file:///path/of/the.key, the URL of a key service, or %q where no real data is",
			None,
		)
	}
	switch {
	case u.Scheme == "file":
		return openFile(u)
	case u.Scheme == localsecrets.Scheme:
		return nil, errors.New("HARMSTACK_STORE_KEY: the key itself is no URL for it: put it into a file and give file:///path")
	case !secrets.DefaultURLMux().ValidKeeperScheme(u.Scheme):
		return nil, fmt.Errorf(
			"HARMSTACK_STORE_KEY: this program knows no keys of %s://: build it with -tags kms, or give file:///path",
			u.Scheme,
		)
	}
	keeper, err := secrets.OpenKeeper(ctx, rawURL)
	if err != nil {
		return nil, fmt.Errorf("HARMSTACK_STORE_KEY: the key service cannot be used: %w", err)
	}
	u.User, u.RawQuery, u.Fragment = nil, "", ""
	return &KEK{keeper, u.String()}, nil
}

func openFile(u *url.URL) (*KEK, error) {
	if u.Host != "" || u.Path == "" {
		return nil, errors.New("HARMSTACK_STORE_KEY: write file:///path, with three slashes")
	}
	data, err := os.ReadFile(filepath.FromSlash(u.Path))
	if err != nil {
		return nil, fmt.Errorf("HARMSTACK_STORE_KEY: the key cannot be read: %w", err)
	}
	key, err := localsecrets.Base64KeyStd(strings.TrimSpace(string(data)))
	if err != nil {
		return nil, errors.New("HARMSTACK_STORE_KEY: the file is to hold 32 random bytes in base64 (openssl rand -base64 32)")
	}
	return &KEK{localsecrets.NewKeeper(key), "file-" + fingerprint(key[:])}, nil
}

// Name tells one key from another without giving it away.
func (k *KEK) Name() string { return k.name }

// Close ends the connection to a key service.
func (k *KEK) Close() error { return k.keeper.Close() }

// fingerprint tells one key from another.
func fingerprint(key []byte) string {
	sum := sha256.Sum256(append([]byte("harmstack key-encryption key\x00"), key...))
	return fmt.Sprintf("%x", sum[:8])
}
