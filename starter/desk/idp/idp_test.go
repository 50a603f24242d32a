package idp_test

import (
	"encoding/base64"
	"strings"
	"testing"

	"harmstack/starter/desk/idp"
)

// The provider names the people of its list, with their groups, in the identity token.
func TestToken(t *testing.T) {
	t.Parallel()
	token := idp.Start(t, "0").Token(t, idp.CLI, "oscar")
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
	if err != nil || !strings.Contains(string(payload), `"groups":["vawg-superintendents","everybody"]`) ||
		!strings.Contains(string(payload), `"name":"Supt Oscar Officer"`) {
		t.Errorf("%s, %v", payload, err)
	}
}
