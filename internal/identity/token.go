package identity

import "encoding/base64"

// What leads on through a list is the key of the last item, in letters that the
// API's model lets a token have.

func pageToken(key string) string {
	if key == "" {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString([]byte(key))
}

func afterToken(token string) (key string, err error) {
	b, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil {
		return "", invalid("NextToken is not one of this list.")
	}
	return string(b), nil
}
