package config

import (
	"crypto/tls"
	"testing"

	"go.temporal.io/sdk/client"
)

// Nothing is sent in clear to a Temporal elsewhere unless the environment says so in words.
func TestTemporalElsewhereNeedsTLS(t *testing.T) {
	t.Parallel()
	key := client.NewAPIKeyStaticCredentials("hunter2")
	secured := client.ConnectionOptions{TLS: &tls.Config{}}
	for _, c := range []struct {
		scenario, word string
		options        client.Options
		taken          bool
	}{
		{"the default", "", client.Options{}, true},
		{"this machine", "", client.Options{HostPort: "localhost:7233"}, true},
		{"its address", "", client.Options{HostPort: "127.0.0.1:7233"}, true},
		{"its newer address", "", client.Options{HostPort: "[::1]:7233"}, true},
		{"elsewhere", "", client.Options{HostPort: "temporal.example:7233"}, false},
		{"a name that begins alike", "", client.Options{HostPort: "localhost.example:7233"}, false},
		{"every address", "", client.Options{HostPort: "0.0.0.0:7233"}, false},
		{"through a resolver", "", client.Options{HostPort: "dns:///temporal.example:7233"}, false},
		{"elsewhere with TLS", "", client.Options{HostPort: "temporal.example:7233", ConnectionOptions: secured}, true},
		{"elsewhere with a key", "", client.Options{HostPort: "temporal.example:7233", Credentials: key}, true},
		{"with a key in clear", "", client.Options{HostPort: "temporal.example:7233", Credentials: key,
			ConnectionOptions: client.ConnectionOptions{TLSDisabled: true}}, false},
		{"elsewhere in words", PlainTemporal, client.Options{HostPort: "temporal.example:7233"}, true},
	} {
		if err := (Config{TemporalTLS: c.word}).checkTLS(c.options); (err == nil) != c.taken {
			t.Errorf("%s: %v", c.scenario, err)
		}
	}
	env := good()
	env["HARMSTACK_TEMPORAL_TLS"] = "off"
	if _, err := load(env); err == nil {
		t.Error("a word that is none is taken")
	}
	env["HARMSTACK_TEMPORAL_TLS"] = PlainTemporal
	if c, err := load(env); err != nil || c.TemporalTLS != PlainTemporal {
		t.Error(c.TemporalTLS, err)
	}
	if _, err := (&Config{}).DialTo(client.Options{HostPort: "temporal.example:7233"}, nil); err == nil {
		t.Error("it was dialled")
	}
}
